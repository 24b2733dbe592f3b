"""Scripts to Python code: statements, functions and the file.

A script becomes ordinary CPython functions made through `ast`, which run at CPython's
speed and suspend with their greenlet.  What a script's operator does is decided by
`ops`; what is compiled inline is only what cannot fail and cannot allocate unpaid.

Every block of straight-line code takes its cost at its head: function entries and loop
heads are the only places where a script can repeat itself, so they are the only ones
that look whether the slice is over.

A function that might call itself has a flag, set while it runs, which finds recursion.
A function with loops has a list of what they iterate over, and unlocks it in one
`finally` however many loops there are: CPython allows twenty nested blocks and a `try`
for every loop would use them up.
"""

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from types import CodeType
from typing import Any, ClassVar, cast

from starflow_service.starlark import pysyntax as py
from starflow_service.starlark import syntax
from starflow_service.starlark.codegen_expr import Expressions, variable
from starflow_service.starlark.codegen_scope import FUNCTIONS_MAX, TooComplex, Unit
from starflow_service.starlark.kinds import Kinds
from starflow_service.starlark.pysyntax import At, at, is_simple
from starflow_service.starlark.syntax import Expr, File, Parameter, Pos, Stmt
from starflow_service.starlark.values import Module

TOPLEVEL = "<toplevel>"
LOCKS = "!locks"
DEF_BYTES = 500

# CPython allows twenty blocks inside each other; a function's own `try` is one.
LOOPS_MAX = 16

# Augmented operators that change their left operand in place where they can.
IN_PLACE = {"+": "!iadd", "|": "!ior"}


class Statements(Expressions):
    """Compiles statements and functions."""

    def statements(self, body: Sequence[Stmt]) -> None:
        """Emit the statements of *body*."""
        for node in body:
            self.cost.nodes += 1
            self._STATEMENTS[type(node)](self, node, at(node.pos))

    def suite(self, body: Sequence[Stmt]) -> list[ast.stmt]:
        """Return the statements of *body* as a list that Python accepts."""
        with self.buffer() as statements:
            self.statements(body)
        return statements or [ast.Pass(**at(Pos(1, 1)))]

    # Simple statements

    def _expr_stmt(self, node: syntax.ExprStmt, place: At) -> None:
        value = self.expr(node.value)
        if not isinstance(value, ast.Constant):
            self.emit(ast.Expr(value, **place))

    def _return(self, node: syntax.Return, place: At) -> None:
        value = None if node.value is None else self.expr(node.value)
        self.emit(ast.Return(value, **place))

    def _break(self, node: syntax.Break, place: At) -> None:
        self.emit(ast.Break(**place))

    def _continue(self, node: syntax.Continue, place: At) -> None:
        self.emit(ast.Continue(**place))

    def _pass(self, node: syntax.Pass, place: At) -> None:
        self.emit(ast.Pass(**place))

    def _load(self, node: syntax.Load, place: At) -> None:
        for binding in node.bindings:
            name = binding.local.name
            if name in self.unit.loaded:
                known = self.unit.constant(f"m!{name}", self.unit.loaded[name])
            else:
                known = f"l!{name}"
            value = py.load(known, place)
            self.emit(py.assign(variable(binding.local), value, place))

    # Assignment

    def _assign(self, node: syntax.Assign, place: At) -> None:
        target = node.target
        if type(target) in (syntax.Index, syntax.Dot):
            # The right side first, as in Go.
            value = self.spill(self.expr(node.value), place)
        elif not self._assigned_in_parallel(target, node.value, place):
            value = self.expr(node.value)
        else:
            return
        self.store(target, value)

    def _assigned_in_parallel(self, target: Expr, value: Expr, place: At) -> bool:
        """Emit `a, b = x, y` without the tuple between; say if that was done."""
        targets, values = _display(target), _display(value)
        names = [item for item in targets if type(item) is syntax.Name]
        if not names or not len(names) == len(targets) == len(values):
            return False
        left = [py.store(variable(name), at(name.pos)) for name in names]
        right = py.tuple_of(self.operands(values), place)
        self.emit(
            ast.Assign([ast.Tuple([*left], ast.Store(), **place)], right, **place)
        )
        return True

    def store(self, target: Expr, value: ast.expr) -> None:
        """Emit the assignment of *value*, which is evaluated once, to *target*."""
        place = at(target.pos)
        match target:
            case syntax.Paren(inner=inner):
                self.store(inner, value)
            case syntax.Name():
                self.emit(py.assign(variable(target), value, place))
            case syntax.TupleExpr(items=items) | syntax.ListExpr(items=items):
                self._unpack(items, value, place)
            case syntax.Index(operand=operand, index=index):
                owner, at_index = self._kept(self.operands([operand, index]), place)
                self.set_element(owner, at_index, value, target, place)
            case syntax.Dot(operand=operand, name=name):
                owner = self.expr(operand)
                self._run("!set_attr", [owner, py.constant(name, place), value], place)
            case _:
                raise AssertionError("the resolver refuses other targets")

    def _run(self, operation: str, arguments: list[ast.expr], place: At) -> None:
        self.emit(ast.Expr(py.metered(operation, arguments, place), **place))

    def _unpack(self, items: Sequence[Expr], value: ast.expr, place: At) -> None:
        count = py.constant(len(items), place)
        once, again = self.twice(value, place)
        is_tuple = py.has_type(once, "!tuple", place)
        length = py.call("!len", [again], place)
        fits = ast.Compare(length, [ast.Eq()], [count], **place)
        helped = py.metered("!unpack", [again, count], place)
        test = py.both([is_tuple, fits], place)
        values = ast.IfExp(test, again, helped, **place)
        direct = all(type(item) is syntax.Name for item in items)
        names = [
            variable(cast(syntax.Name, item)) if direct else self.temporary()
            for item in items
        ]
        targets: list[ast.expr] = [py.store(name, place) for name in names]
        # A list display, because a tuple of no targets is no Python.
        unpacked = ast.List(targets, ast.Store(), **place)
        self.emit(ast.Assign([unpacked], values, **place))
        if not direct:
            for item, name in zip(items, names, strict=True):
                self.store(item, py.load(name, place))

    def _augmented(self, node: syntax.AugmentedAssign, place: At) -> None:
        target = node.target
        while type(target) is syntax.Paren:
            target = target.inner
        match target:
            case syntax.Index(operand=operand, index=index):
                owner, at_index = self._kept(self.operands([operand, index]), place)
                there = at(target.pos)
                old = self.element(owner, at_index, target, there)
                new = self._updated(node, target, old)
                self.set_element(owner, at_index, new, target, there)
            case syntax.Dot(operand=operand, name=name):
                owner = self.spill(self.expr(operand), place)
                there = at(target.pos)
                parts = [owner, py.constant(name, there)]
                new = self._updated(node, target, py.metered("!attr", parts, there))
                self._run("!set_attr", [*parts, new], there)
            case _:
                operands = self.operands([target, node.value])
                self.store(target, self.in_place(node, target, operands))

    def _kept(self, operands: list[ast.expr], place: At) -> list[ast.expr]:
        """Return what can be used twice in place of *operands*."""
        if all(map(is_simple, operands)):
            return operands
        return [self.spill(operand, place) for operand in operands]

    def _updated(
        self, node: syntax.AugmentedAssign, target: Expr, old: ast.expr
    ) -> ast.expr:
        """Return the new value of an element, evaluated before it is stored."""
        operands = self.operands([node.value], [old])
        return self.spill(self.in_place(node, target, operands), at(node.pos))

    def in_place(
        self, node: syntax.AugmentedAssign, target: Expr, operands: list[ast.expr]
    ) -> ast.expr:
        """Return the value that `target op= value` assigns."""
        kinds = (self.kinds.of(target), self.kinds.of(node.value))
        helper = IN_PLACE.get(node.op)
        return self.operation(node.op, operands, kinds, at(node.pos), helper)

    # Control flow

    def _if(self, node: syntax.If, place: At) -> None:
        test = self.expr(node.test)
        body = self.suite(node.body)
        orelse = self.suite(node.orelse) if node.orelse else []
        self.emit(ast.If(test, body, orelse, **place))

    def _for(self, node: syntax.For, place: At) -> None:
        iterable = self.expr(node.iterable)
        self._loop(node, iterable, lambda: self.statements(node.body))

    def comprehension_loop(
        self, clause: syntax.ForClause, growing: str, compile_body: Callable[[], None]
    ) -> None:
        """Emit a loop of a comprehension, of a list that must not grow too long."""
        self._loop(clause, self.expr(clause.iterable), compile_body, growing)

    def _loop(
        self,
        node: syntax.For | syntax.ForClause,
        iterable: ast.expr,
        compile_body: Callable[[], None],
        growing: str = "",
    ) -> None:
        place = at(node.pos)
        self.repeats = True
        self.loops += 1
        if self.loops > LOOPS_MAX:
            raise TooComplex(node.pos, f"more than {LOOPS_MAX} loops inside each other")
        simple = type(node.target) is syntax.Name
        name = variable(cast(syntax.Name, node.target)) if simple else self.temporary()

        def body() -> None:
            if not simple:
                self.store(node.target, py.load(name, place))
            compile_body()

        unlocked = self._is_range(node.iterable)
        if not unlocked:
            self.locks = True
            iterable = py.metered("!begin", [iterable, py.load(LOCKS, place)], place)
        target = py.store(name, at(node.target.start))
        head, statements = self.block(place, body)
        if growing:
            look = py.metered("!made", [py.load(growing, place)], place)
            cast(ast.If, head[-1]).body.append(ast.Expr(look, **place))
        self.loops -= 1
        self.emit(ast.For(target, iterable, [*head, *statements], [], **place))
        if not unlocked:
            end = py.call("!end", [py.load(LOCKS, place)], place)
            self.emit(ast.Expr(end, **place))

    def _is_range(self, node: Expr) -> bool:
        """Tell whether *node* surely is a range, which nobody can change."""
        if type(node) is not syntax.Call:
            return False
        return self.unit.builtin_name(node.function) == "range"

    # Functions

    def _def(self, node: syntax.Def, place: At) -> None:
        self.cost.bytes += DEF_BYTES
        name = variable(node.name)
        start = node.name.start
        self.emit(self.function(name, node, node.parameters, node.body, start))

    def function(
        self,
        name: str,
        node: syntax.Def | syntax.Lambda,
        parameters: Sequence[Parameter],
        body: Sequence[Stmt],
        pos: Pos,
    ) -> ast.stmt:
        """Return the definition of a function, its defaults evaluated here."""
        self.unit.functions += 1
        if self.unit.functions > FUNCTIONS_MAX:
            raise TooComplex(pos, f"more than {FUNCTIONS_MAX} functions")
        place = at(pos)
        defaults = self.operands(
            [p.default for p in parameters if p.default is not None]
        )
        names = [p.name.name for p in parameters if p.name is not None]
        kinds = Kinds(body, names, self.unit.kinds.variables, self.unit.builtin_name)
        inner = Statements(self.unit, name, kinds)
        watched = self.unit.calls.may_recur(node)
        statements = inner.body(body, parameters, place, watched=watched)
        return ast.FunctionDef(
            name=name,
            args=_arguments(parameters, defaults),
            body=statements,
            decorator_list=[],
            returns=None,
            type_comment=None,
            **place,
        )

    def body(
        self,
        body: Sequence[Stmt],
        parameters: Sequence[Parameter],
        place: At,
        *,
        watched: bool,
    ) -> list[ast.stmt]:
        """Return the statements of this function; *watched* says it might recur."""
        head, statements = self.block(place, lambda: self.statements(body))
        if not self.repeats:
            # Whoever calls it has a loop or an entry that looks at the steps.
            head = [part for part in head if not isinstance(part, ast.If)]
        return [
            *head,
            *_gathered(parameters, place),
            *self._guarded(statements or [ast.Pass(**place)], place, watched=watched),
        ]

    def _guarded(
        self, body: list[ast.stmt], place: At, *, watched: bool
    ) -> list[ast.stmt]:
        """Return *body* with the flag and the locks of the function around it."""
        before: list[ast.stmt] = []
        after: list[ast.stmt] = []
        if self.locks:
            before.append(py.assign(LOCKS, py.list_of([], place), place))
            unlock = py.call("!unlock", [py.load(LOCKS, place)], place)
            after.append(
                ast.If(py.load(LOCKS, place), [ast.Expr(unlock, **place)], [], **place)
            )
        # What can refuse the call comes before whatever has to be undone.
        checks: list[ast.stmt] = []
        if watched:
            flag = self.unit.flag()
            checks = self._not_running(flag, place)
            before.append(py.assign(flag, py.constant(True, place), place))
            after.append(py.assign(flag, py.constant(False, place), place))
        if self.unit.deep and self.repeats:
            checks.append(ast.Expr(py.metered("!enter", [], place), **place))
            after.append(ast.Expr(py.metered("!leave", [], place), **place))
        if not after:
            return body
        return [*checks, *before, ast.Try(body, [], [], after, **place)]

    def _not_running(self, flag: str, place: At) -> list[ast.stmt]:
        name = py.constant(self.name.partition("!")[0], place)
        recursive = ast.Expr(py.call("!recursive", [name], place), **place)
        return [
            ast.Global([flag], **place),
            ast.If(py.load(flag, place), [recursive], [], **place),
        ]

    _STATEMENTS: ClassVar[dict[type, Callable[..., None]]] = {
        syntax.ExprStmt: _expr_stmt,
        syntax.Assign: _assign,
        syntax.AugmentedAssign: _augmented,
        syntax.Return: _return,
        syntax.Break: _break,
        syntax.Continue: _continue,
        syntax.Pass: _pass,
        syntax.If: _if,
        syntax.For: _for,
        syntax.Def: _def,
        syntax.Load: _load,
    }


def _display(node: Expr) -> Sequence[Expr]:
    """Return the items of a tuple or list as it is written, else nothing."""
    while isinstance(node, syntax.Paren):
        node = node.inner
    if isinstance(node, syntax.TupleExpr | syntax.ListExpr):
        return node.items
    return ()


def _gathered(parameters: Sequence[Parameter], place: At) -> list[ast.stmt]:
    """Return what makes values of the script of `*args` and `**kwargs`."""
    statements: list[ast.stmt] = []
    for parameter in parameters:
        if parameter.name is None or parameter.kind not in ("star", "starstar"):
            continue
        name = parameter.name.name
        operation = "!args" if parameter.kind == "star" else "!kwargs"
        value = py.metered(operation, [py.load(name, place)], place)
        statements.append(py.assign(name, value, place))
    return statements


def _arguments(
    parameters: Sequence[Parameter], defaults: Sequence[ast.expr]
) -> ast.arguments:
    """Return Python's parameter list; *defaults* are those given, in order."""
    given = iter(defaults)
    result = ast.arguments([], [], None, [], [], None, [])
    after_star = False
    for parameter in parameters:
        after_star = after_star or parameter.kind in ("star", "bare_star")
        if parameter.name is None:
            continue
        argument = ast.arg(parameter.name.name, None, **at(parameter.start))
        if parameter.kind == "star":
            result.vararg = argument
        elif parameter.kind == "starstar":
            result.kwarg = argument
        elif after_star:
            result.kwonlyargs.append(argument)
            missing = parameter.default is None
            result.kw_defaults.append(None if missing else next(given))
        else:
            result.args.append(argument)
            if parameter.default is not None:
                result.defaults.append(next(given))
    return result


def generate(
    file: File,
    global_names: Sequence[str],
    universe: Mapping[str, Any],
    modules: Mapping[str, Module],
    *,
    deep: bool,
    lean: bool,
    shared: Collection[str] = (),
) -> tuple[CodeType, Unit]:
    """
    Compile a resolved file to the code of its top level.

    The code is that of a function without parameters; *deep* says that the file has so
    many functions that the depth of their calls has to be counted, *lean* that it is
    so long that nothing is compiled inline.  *shared* are the names that other files
    load from it.

    Raises:
        TooComplex: the file passes the parser's limits but not ours here.
        SyntaxError, ValueError, RecursionError, MemoryError, OverflowError: it passes
            ours but not Python's.
    """
    unit = Unit(file, universe, modules, deep=deep, lean=lean, shared=shared)
    emitter = Statements(unit, TOPLEVEL, unit.kinds)
    place = at(Pos(1, 1))
    body = emitter.body(file.body, [], place, watched=False)
    if global_names:
        body.insert(0, ast.Global([f"{name}!" for name in global_names], **place))
    top = ast.FunctionDef(
        name=TOPLEVEL,
        args=_arguments([], []),
        body=body,
        decorator_list=[],
        returns=None,
        type_comment=None,
        **place,
    )
    tree = ast.Module([top], [])
    # No warning can come of this: Python warns about calls, subscripts and `is` of
    # literals, and none of these is ever written with a literal of the script.
    module = compile(tree, file.name, "exec", dont_inherit=True, optimize=0)
    return next(c for c in module.co_consts if isinstance(c, CodeType)), unit
