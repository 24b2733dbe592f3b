"""Finds out what the names of a script mean, and what else is wrong before it runs.

All errors of a file are collected; nothing here depends on the order of execution.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from starflow_service.starlark.bundle import is_file
from starflow_service.starlark.diagnostics import (
    Diagnostic,
    ScriptSyntaxError,
    bounded,
)
from starflow_service.starlark.hints import undefined_hint
from starflow_service.starlark.scopes import Scopes, Use
from starflow_service.starlark.signatures import argument_faults, parameter_faults
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.syntax import (
    Assign,
    AugmentedAssign,
    Binary,
    Break,
    Call,
    Comprehension,
    Conditional,
    Continue,
    Def,
    DictEntry,
    DictExpr,
    Dot,
    Expr,
    ExprStmt,
    File,
    For,
    ForClause,
    If,
    Index,
    Lambda,
    ListExpr,
    Literal_,
    Load,
    Name,
    Node,
    Paren,
    Pass,
    Pos,
    Return,
    Slice,
    Stmt,
    TupleExpr,
    Unary,
)

# What other files export, by the names that loads use for them.
Files: TypeAlias = Mapping[str, Collection[str] | None]

_LISTED_MAX: Final = 50
# Suggestions cost a comparison with every visible name, so only so many are looked for.
_SUGGESTIONS_MAX: Final = 20

# CPython's compiler refuses to bind these, whoever asks it.
UNBINDABLE: Final = frozenset(["None", "True", "False", "__debug__"])

_TARGET_NAMES: Final[dict[type[Expr], str]] = {
    Literal_: "literal",
    DictExpr: "dict expression",
    Unary: "unary expression",
    Binary: "binary expression",
    Conditional: "conditional expression",
    Slice: "slice",
    Call: "call",
    Lambda: "lambda",
    Comprehension: "comprehension",
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """
    What the resolver found out about a file.

    `globals` are in the order in which the text binds them.  `host_names` are the names
    that only the host can know, with their first use; `functions` are the dotted paths
    that the script writes upon them.
    """

    globals: list[str]
    host_names: dict[str, Pos]
    functions: dict[str, Pos]
    loads: list[Load]
    main: Def | None
    warnings: list[Diagnostic]

    def exported(self) -> list[str]:
        """Return the names that other files can load: its own, and not private."""
        loaded = {b.local.name for load in self.loads for b in load.bindings}
        return [
            name
            for name in self.globals
            if name not in loaded and not name.startswith("_")
        ]


def resolve(
    file: File,
    universe: Collection[str],
    modules: Mapping[str, Collection[str]],
    files: Files | None = None,
) -> Resolution:
    """
    Fill in the scopes of all names of *file*, and the `info` of its functions.

    *universe* are the names that every script knows, *modules* the names that can be
    loaded and their members.  *files* are the other files that it may load, as its
    loads call them, and what they export (None: that is not known because of another
    error); no *files* at all means that it is a script by itself.

    Raises:
        ScriptSyntaxError: With all errors, in the order of the text.
    """
    resolution, errors = examine(file, universe, modules, files)
    if errors:
        raise ScriptSyntaxError(file.name, bounded(errors))
    return resolution


def examine(
    file: File,
    universe: Collection[str],
    modules: Mapping[str, Collection[str]],
    files: Files | None = None,
    *,
    lost: frozenset[str] = frozenset(),
    known: Collection[str] = (),
) -> tuple[Resolution, list[Diagnostic]]:
    """
    Do what `resolve` does, and return the errors, in the order of the text.

    *lost* are names that a part of the text may bind which could not be read: nothing
    is said about them.  *known* are the host's functions, for suggestions.
    """
    resolver = _Resolver(file, frozenset(universe), modules, files, lost, known)
    resolver.run()
    errors = sorted(resolver.errors, key=lambda finding: finding.pos)
    return resolver.resolution(), errors


class _Resolver:
    """One walk over a file."""

    def __init__(
        self,
        file: File,
        universe: frozenset[str],
        modules: Mapping[str, Collection[str]],
        files: Files | None,
        lost: frozenset[str] = frozenset(),
        known: Collection[str] = (),
    ) -> None:
        self.errors: list[Diagnostic] = []
        self._lost = lost
        # The host's functions, by the last part of their names.
        self._known = {path.rpartition(".")[2]: path for path in sorted(known)}
        self._files = files
        self._file = file
        self._universe = universe
        self._modules = modules
        self._scopes = Scopes()
        self._loads: list[Load] = []
        # Names used by themselves, and names used as the root of a dotted path.
        self._bare: list[Use] = []
        self._paths: list[tuple[Use, str]] = []
        self._host_names: dict[str, Pos] = {}
        self._functions: dict[str, Pos] = {}
        # How many loops and conditionals of the same function are around this place.
        self._loops = 0
        self._conditionals = 0
        self._visits: dict[type[Node], Callable[[Any], None]] = {
            ExprStmt: self._expr_stmt,
            Assign: self._assignment,
            AugmentedAssign: self._augmented,
            Return: self._return,
            Break: self._jump,
            Continue: self._jump,
            Pass: self._nothing,
            If: self._if,
            For: self._for,
            Def: self._def,
            Load: self._load,
            Name: self._name,
            Literal_: self._nothing,
            ListExpr: self._items,
            TupleExpr: self._items,
            DictExpr: self._dict,
            DictEntry: self._entry,
            Paren: self._paren,
            Unary: self._unary,
            Binary: self._binary,
            Conditional: self._conditional,
            Dot: self._dot,
            Index: self._index,
            Slice: self._slice,
            Call: self._call,
            Lambda: self._lambda,
            Comprehension: self._comprehension,
        }

    def run(self) -> None:
        """Walk the file, then look its names up."""
        info = self._scopes.info(self._scopes.file)
        self._statements(self._file.body)
        self._scopes.settle(self._universe)
        self._file.info = info
        self._check_paths()
        self._check_bare_names()

    def resolution(self) -> Resolution:
        """Return the findings of a run without errors."""
        return Resolution(
            globals=list(self._scopes.file.bindings),
            host_names=self._host_names,
            functions=self._functions,
            loads=self._loads,
            main=self._main(),
            warnings=self._suspicious_paths(),
        )

    def _main(self) -> Def | None:
        for statement in self._file.body:
            if isinstance(statement, Def) and statement.name.name == "main":
                return statement
        return None

    def _error(self, code: str, message: str, pos: Pos, hint: str = "") -> None:
        self.errors.append(Diagnostic("error", code, message, pos, hint))

    def _visit(self, node: Node) -> None:
        self._visits[type(node)](node)

    # Names

    def _name(self, name: Name) -> None:
        self._bare.append(self._scopes.use(name))

    def _bind(self, name: Name, *, is_loaded: bool = False) -> None:
        if name.name in UNBINDABLE:
            hint = "it is a name of the language; choose another one"
            self._error(
                "RESERVED_NAME", f"cannot assign to {name.name}", name.pos, hint
            )
            return
        before = self._scopes.bind(name, is_loaded=is_loaded)
        if before is None or self._scopes.block.kind != "file":
            return
        if name.name in self._lost:
            return
        # The words of the Go implementation, to which a loaded name is a local one.
        kind = "local" if before.is_loaded else "global"
        line, column = before.pos
        self._error(
            "REASSIGNED",
            f"cannot reassign {'top-level' if is_loaded else kind} {name.name} "
            f"declared at {self._file.name}:{line}:{column}",
            name.pos,
            "a name at the top level is bound once; use another name, or a function",
        )

    def _assign(self, target: Expr) -> None:
        match target:
            case Name():
                self._bind(target)
            case Index() | Dot():
                self._place(target)
            case TupleExpr() | ListExpr():
                for item in target.items:
                    self._assign(item)
            case Paren():
                self._assign(target.inner)
            case _:
                what = _TARGET_NAMES[type(target)]
                hint = "to compare write =="
                self._error("BAD_TARGET", f"can't assign to {what}", target.start, hint)

    def _place(self, target: Index | Dot) -> None:
        self._visit(target.operand)
        if isinstance(target, Index):
            self._visit(target.index)

    # Statements

    def _statements(self, body: list[Stmt]) -> None:
        for statement in body:
            self._visits[type(statement)](statement)

    def _nothing(self, _: Node) -> None:
        pass

    def _expr_stmt(self, statement: ExprStmt) -> None:
        self._visit(statement.value)

    def _assignment(self, statement: Assign) -> None:
        self._visit(statement.value)
        self._assign(statement.target)

    def _augmented(self, statement: AugmentedAssign) -> None:
        self._visit(statement.value)
        target = statement.target
        while isinstance(target, Paren):
            target = target.inner
        if isinstance(target, TupleExpr | ListExpr):
            kind = "tuple" if isinstance(target, TupleExpr) else "list"
            message = f"can't use {kind} expression in augmented assignment"
            self._error("BAD_TARGET", message, target.start)
        else:
            self._assign(target)

    def _return(self, statement: Return) -> None:
        if self._scopes.block.kind == "file":
            hint = "only functions return; main returns the output of the run"
            self._misplaced(
                "return statement not within a function", statement.pos, hint
            )
        if statement.value is not None:
            self._visit(statement.value)

    def _jump(self, statement: Break | Continue) -> None:
        if not self._loops:
            word = "break" if isinstance(statement, Break) else "continue"
            hint = "only a for loop can be left; a function is left by return"
            self._misplaced(f"{word} not in a loop", statement.pos, hint)

    def _misplaced(self, message: str, pos: Pos, hint: str = "") -> None:
        self._error("MISPLACED", message, pos, hint)

    def _if(self, statement: If) -> None:
        if self._scopes.block.kind == "file" and not self._conditionals:
            hint = "put it into a function, or write: x = a if condition else b"
            self._misplaced("if statement not within a function", statement.pos, hint)
        self._visit(statement.test)
        self._conditionals += 1
        self._statements(statement.body)
        self._statements(statement.orelse)
        self._conditionals -= 1

    def _for(self, statement: For) -> None:
        if self._scopes.block.kind == "file":
            hint = "put it into a function, or write a comprehension"
            self._misplaced("for loop not within a function", statement.pos, hint)
        self._visit(statement.iterable)
        self._assign(statement.target)
        self._loops += 1
        self._statements(statement.body)
        self._loops -= 1

    def _load(self, load: Load) -> None:
        self._check_load_place(load)
        if load.module in self._modules:
            # A module's own name stands for all of it.
            members = self._modules[load.module]
            self._check_members(load, members, {load.module})
        elif is_file(load.module):
            self._check_file(load)
        else:
            self._unknown_module(load)
        for binding in load.bindings:
            self._bind(binding.local, is_loaded=True)
        self._loads.append(load)

    def _check_load_place(self, load: Load) -> None:
        hint = "load at the top of the file"
        if self._scopes.block.kind == "function":
            self._misplaced("load statement within a function", load.pos, hint)
        elif self._loops:
            self._misplaced("load statement within a loop", load.pos, hint)
        elif self._conditionals:
            self._misplaced("load statement within a conditional", load.pos, hint)

    def _unknown_module(self, load: Load) -> None:
        known = sorted(self._modules)
        meant = nearest(load.module, known)
        suggestion = f" (did you mean {meant}?)" if meant else ""
        message = f'cannot load "{load.module}": unknown module{suggestion}'
        hint = f"the modules are {', '.join(known)}"
        self._error("BAD_LOAD", message, load.module_pos, hint)

    def _check_file(self, load: Load) -> None:
        if self._files is None:
            message = f'cannot load "{load.module}": the script is a single file'
            hint = "send it as a bundle, together with the files it loads"
            self._error("BAD_LOAD", message, load.module_pos, hint)
            return
        # Files that cannot be loaded have been reported when they were looked for.
        exported = self._files.get(load.module)
        if exported is not None:
            self._check_members(load, exported, ())

    def _check_members(
        self, load: Load, members: Collection[str], also: Collection[str]
    ) -> None:
        for binding in load.bindings:
            name, pos = binding.exported, binding.pos
            if not name:
                self._error("BAD_LOAD", "load: empty identifier", pos)
            elif name.startswith("_"):
                message = "load: names with leading underscores are not exported"
                self._error("BAD_LOAD", f"{message}: {name}", pos)
            elif name not in members and name not in also:
                self._unknown_member(load.module, sorted(members), name, pos)

    def _unknown_member(
        self, module: str, members: list[str], name: str, pos: Pos
    ) -> None:
        meant = nearest(name, members)
        suggestion = f" (did you mean {meant}?)" if meant else ""
        message = f"load: name {name} not found in module {module}{suggestion}"
        listed = ", ".join(members[:_LISTED_MAX]) or "nothing that can be loaded"
        self._error("BAD_LOAD", message, pos, f"{module} has {listed}")

    # Functions

    def _def(self, statement: Def) -> None:
        self._bind(statement.name)
        around = self._enter_function(statement)
        self._statements(statement.body)
        self._leave_function(around)

    def _lambda(self, expression: Lambda) -> None:
        around = self._enter_function(expression)
        self._visit(expression.body)
        self._leave_function(around)

    def _enter_function(self, function: Def | Lambda) -> tuple[int, int]:
        """Enter the block of *function*; return what leaving it needs."""
        for parameter in function.parameters:
            if parameter.default is not None:
                self._visit(parameter.default)
        self.errors.extend(parameter_faults(function.parameters))
        around = self._loops, self._conditionals
        self._loops = self._conditionals = 0
        function.info = self._scopes.info(self._scopes.push("function"))
        for parameter in function.parameters:
            if parameter.name is not None:
                self._bind(parameter.name)
        return around

    def _leave_function(self, around: tuple[int, int]) -> None:
        self._scopes.pop()
        self._loops, self._conditionals = around

    # Expressions

    def _items(self, expression: ListExpr | TupleExpr) -> None:
        for item in expression.items:
            self._visit(item)

    def _dict(self, expression: DictExpr) -> None:
        for entry in expression.entries:
            self._visit(entry.key)
            self._visit(entry.value)

    def _entry(self, entry: DictEntry) -> None:
        self._visit(entry.key)
        self._visit(entry.value)

    def _paren(self, expression: Paren) -> None:
        self._visit(expression.inner)

    def _unary(self, expression: Unary) -> None:
        self._visit(expression.operand)

    def _binary(self, expression: Binary) -> None:
        self._visit(expression.left)
        self._visit(expression.right)

    def _conditional(self, expression: Conditional) -> None:
        self._visit(expression.test)
        self._visit(expression.yes)
        self._visit(expression.no)

    def _dot(self, expression: Dot) -> None:
        names = [expression.name]
        root = expression.operand
        while isinstance(root, Dot):
            names.append(root.name)
            root = root.operand
        if isinstance(root, Name):
            path = ".".join([root.name, *reversed(names)])
            self._paths.append((self._scopes.use(root), path))
        else:
            self._visit(root)

    def _index(self, expression: Index) -> None:
        self._visit(expression.operand)
        self._visit(expression.index)

    def _slice(self, expression: Slice) -> None:
        self._visit(expression.operand)
        for part in (expression.lo, expression.hi, expression.step):
            if part is not None:
                self._visit(part)

    def _call(self, call: Call) -> None:
        self._visit(call.function)
        self.errors.extend(argument_faults(call.arguments))
        for argument in call.arguments:
            if argument.name in UNBINDABLE:
                message = f"{argument.name} cannot be the name of an argument"
                self._error("RESERVED_NAME", message, argument.pos)
            self._visit(argument.value)

    def _comprehension(self, expression: Comprehension) -> None:
        # The first iterable belongs to the block around: consider [x for x in x].
        first = expression.clauses[0]
        assert isinstance(first, ForClause)
        self._visit(first.iterable)
        block = self._scopes.push("comprehension")
        self._assign(first.target)
        for clause in expression.clauses[1:]:
            if isinstance(clause, ForClause):
                self._assign(clause.target)
                self._visit(clause.iterable)
            else:
                self._visit(clause.test)
        self._visit(expression.body)
        self._scopes.pop()
        expression.bound = [binding.name for binding in block.bindings.values()]

    # What only the host can know

    def _check_paths(self) -> None:
        paths = [(use, path) for use, path in self._paths if use.name.scope == "host"]
        for use, path in sorted(paths, key=lambda pair: pair[0].name.start):
            name = use.name
            if name.name in self._modules or name.name in UNBINDABLE:
                # Used without its load: never the name of a worker's function.
                self._bare.append(use)
                continue
            if name.name in self._lost:
                continue
            self._host_names.setdefault(name.name, name.start)
            self._functions.setdefault(path, name.start)

    def _check_bare_names(self) -> None:
        seen: set[str] = set()
        for use in sorted(self._bare, key=lambda use: use.name.start):
            name = use.name.name
            if name in seen or name in self._lost:
                continue
            if use.name.scope == "host":
                seen.add(name)
                suggest = len(seen) <= _SUGGESTIONS_MAX
                self._undefined(use, suggest=suggest)

    def _undefined(self, use: Use, *, suggest: bool) -> None:
        name = use.name.name
        message, hint = f"undefined: {name}", ""
        if name in self._modules:
            hint = f'add at the top: load("{name}", "{name}")'
        elif suggest:
            hint = undefined_hint(name)
            meant = nearest(name, use.block.visible() | self._universe)
            if meant and not hint:
                message += f" (did you mean {meant}?)"
            hint = hint or self._home_of(name)
            if not hint and not meant:
                hint = "define it, or load it; names of workers' functions have a dot"
        self._error("UNDEFINED_NAME", message, use.name.start, hint)

    def _home_of(self, name: str) -> str:
        """Tell which module, or which functions of workers, have the name."""
        for module, members in self._modules.items():
            if name in members:
                return f'add at the top: load("{module}", "{name}")'
        path = self._known.get(name)
        return f"did you mean the function {path} of a worker?" if path else ""

    def _suspicious_paths(self) -> list[Diagnostic]:
        """Return warnings about paths whose root looks like a slip of a variable."""
        roots: dict[str, tuple[Use, str]] = {}
        for use, path in sorted(self._paths, key=lambda pair: pair[0].name.start):
            if use.name.scope == "host" and len(use.name.name) > 3:
                roots.setdefault(use.name.name, (use, path))
        findings = []
        for use, path in list(roots.values())[:_SUGGESTIONS_MAX]:
            name = use.name.name
            meant = nearest(name, use.block.visible() - {"main"})
            # A module named by the plural of what its functions return is none.
            if meant and meant.rstrip("s") != name.rstrip("s"):
                findings.append(self._suspicion(use, path, meant))
        return findings

    def _suspicion(self, use: Use, path: str, meant: str) -> Diagnostic:
        message = f"{path} is taken for a function of a worker"
        hint = f"did you mean the variable {meant}?"
        return Diagnostic("warning", "SUSPICIOUS_NAME", message, use.name.start, hint)
