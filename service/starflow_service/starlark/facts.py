"""What a file's text shows about its functions, variables and values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from starflow_service.starlark import syntax
from starflow_service.starlark.builtins import MODULES
from starflow_service.starlark.syntax import Def, Expr, Lambda, Name, Stmt
from starflow_service.starlark.walk import expressions, walk

How: TypeAlias = Literal["assign", "unpack", "loop", "augment", "def", "parameter"]
# The type of a value, as scripts call it; a "payload" came in as JSON, and "ctx" is
# what main gets and hands on.
Kind: TypeAlias = Literal[
    "string",
    "bytes",
    "int",
    "float",
    "bool",
    "list",
    "dict",
    "tuple",
    "payload",
    "ctx",
]


class Binding(NamedTuple):
    """One place that gives a variable a value; None if the text does not show it."""

    name: Name
    value: Expr | None
    how: How


class Event(NamedTuple):
    """
    A name that is read or bound.

    A reading is late if it may not happen in the first round of a loop around it.
    """

    how: Literal["read", "bind"]
    name: Name
    is_late: bool


@dataclass(slots=True)
class Function:
    """
    A function, or the top level (`node` is None), without those inside of it.

    `events` are the reads and bindings of names, in the order of execution.
    """

    node: Def | Lambda | None
    body: Sequence[Stmt]
    statements: list[Stmt] = field(default_factory=list)
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    # How many loops, and branches within loops, are around the place that is read.
    loops: int = 0
    branches: int = 0

    def expressions(self) -> Iterator[Expr]:
        """Yield all expressions of the function, each part of one by itself."""
        for statement in self.statements:
            for expression in expressions(statement):
                yield from walk(expression)


_RESULTS: Final[dict[str, Kind]] = {
    "bool": "bool",
    "bytes": "bytes",
    "dict": "dict",
    "enumerate": "list",
    "float": "float",
    "hash": "int",
    "int": "int",
    "len": "int",
    "list": "list",
    "ord": "int",
    "repr": "string",
    "sorted": "list",
    "str": "string",
    "tuple": "tuple",
    "type": "string",
    "zip": "list",
}
_METHOD_RESULTS: Final[dict[tuple[str, str], Kind]] = {
    **{
        ("string", name): "string"
        for name in (
            *("capitalize", "format", "join", "lower", "lstrip", "replace"),
            *("removeprefix", "removesuffix", "rstrip", "strip", "title", "upper"),
        )
    },
    ("string", "split"): "list",
    ("string", "rsplit"): "list",
    ("string", "splitlines"): "list",
    ("string", "find"): "int",
    ("string", "count"): "int",
    ("string", "startswith"): "bool",
    ("string", "endswith"): "bool",
    ("dict", "keys"): "list",
    ("dict", "values"): "list",
    ("dict", "items"): "list",
}
_COMPARISONS: Final = frozenset(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
# How far a value is followed through variables.
_STEPS_MAX: Final = 8


class Facts:
    """All functions of a file, and what names and expressions in them are."""

    def __init__(
        self, file: syntax.File, *, lost: frozenset[str] = frozenset()
    ) -> None:
        # Names that may be bound in what could not be read: nothing is known of them.
        self._lost = lost
        # Local name of each load: module and name there.
        self.loaded: dict[str, tuple[str, str]] = {}
        self.load_names: list[Name] = []
        self.functions: list[Function] = []
        # Functions, by the ids of the names that they bind.
        self._defs: dict[int, Def] = {}
        self._enter(None, file.body)
        self.top = self.functions[0]
        self.main = self._only_def("main")

    def definition(self, node: Expr) -> Def | None:
        """Return the function at the top level that *node* surely is."""
        if isinstance(node, Name) and node.scope == "global":
            return None if node.name in self._lost else self._only_def(node.name)
        return None

    def _only_def(self, name: str) -> Def | None:
        found = self.top.bindings.get(name, [])
        return self._defs.get(id(found[0].name)) if len(found) == 1 else None

    def member(self, node: Expr) -> tuple[str, str] | None:
        """Return module and name of the member that *node* surely is."""
        if isinstance(node, Name) and node.scope == "global":
            found = self.loaded.get(node.name)
            is_only = node.name not in self.top.bindings
            return found if is_only else None
        if isinstance(node, syntax.Dot):
            module = self.module(node.operand)
            return (module, node.name) if module else None
        return None

    def module(self, node: Expr) -> str:
        """Return the module that *node* surely is as a whole, or ""."""
        found = self.member(node) if isinstance(node, Name) else None
        return found[0] if found is not None and found[0] == found[1] else ""

    def host_path(self, node: Expr) -> str:
        """Return the dotted name of the worker's function that *node* is, or ""."""
        names: list[str] = []
        while isinstance(node, syntax.Dot):
            names.append(node.name)
            node = node.operand
        if not names or not isinstance(node, Name) or node.scope != "host":
            return ""
        if node.name in self._lost or node.name in MODULES:
            return ""
        return ".".join([node.name, *reversed(names)])

    # Kinds

    def kind(self, node: Expr, function: Function, steps: int = 0) -> Kind | None:
        """Return the type that *node*, in *function*, surely has, if one is known."""
        if steps > _STEPS_MAX:
            return None
        match node:
            case syntax.Literal_(value=value):
                return _literal_kind(value)
            case syntax.Paren(inner=inner):
                return self.kind(inner, function, steps)
            case syntax.ListExpr():
                return "list"
            case syntax.TupleExpr():
                return "tuple"
            case syntax.DictExpr():
                return "dict"
            case syntax.Comprehension(is_dict=is_dict):
                return "dict" if is_dict else "list"
            case Name():
                return self._name_kind(node, function, steps)
            case syntax.Call():
                return self._call_kind(node, function, steps)
            case _:
                return self._operator_kind(node, function, steps)

    def _operator_kind(self, node: Expr, function: Function, steps: int) -> Kind | None:
        match node:
            case syntax.Unary(op="not"):
                return "bool"
            case syntax.Unary(operand=operand):
                return self.kind(operand, function, steps + 1)
            case syntax.Binary(op=op) if op in _COMPARISONS:
                return "bool"
            case syntax.Binary(op="+", left=left, right=right):
                kind = self.kind(left, function, steps + 1)
                same = kind == self.kind(right, function, steps + 1)
                return kind if same and kind != "payload" else None
            case syntax.Binary(op="%", left=left):
                is_text = self.kind(left, function, steps + 1) == "string"
                return "string" if is_text else None
            case syntax.Index(operand=operand):
                is_payload = self.kind(operand, function, steps + 1) == "payload"
                return "payload" if is_payload else None
            case syntax.Conditional(yes=yes, no=no):
                kind = self.kind(yes, function, steps + 1)
                return kind if kind == self.kind(no, function, steps + 1) else None
        return None

    def _call_kind(
        self, node: syntax.Call, function: Function, steps: int
    ) -> Kind | None:
        called = node.function
        if isinstance(called, Name) and called.scope == "universal":
            return _RESULTS.get(called.name)
        if self.host_path(called):
            return "payload"
        if isinstance(called, syntax.Dot):
            owner = self.kind(called.operand, function, steps + 1)
            return _METHOD_RESULTS.get((owner or "", called.name))
        return None

    def _name_kind(self, node: Name, function: Function, steps: int) -> Kind | None:
        if node.name in self._lost:
            return None
        if node.scope == "universal":
            return "bool" if node.name in {"True", "False"} else None
        if node.scope == "global":
            function = self.top
        elif node.scope not in {"local", "cell"}:
            return None
        found = function.bindings.get(node.name, [])
        if len(found) != 1:
            return None
        (binding,) = found
        if binding.how == "parameter":
            return self._parameter_kind(function, binding.name)
        if binding.how != "assign" or binding.value is None:
            return None
        return self.kind(binding.value, function, steps + 1)

    def _parameter_kind(self, function: Function, name: Name) -> Kind | None:
        if name.name == "ctx" and isinstance(function.node, Def):
            return "ctx"
        if function.node is not self.main or self.main is None:
            return None
        parameters = self.main.parameters
        is_input = len(parameters) > 1 and parameters[1].name is name
        return "payload" if is_input else None

    # Functions

    def _enter(self, node: Def | Lambda | None, body: Sequence[Stmt]) -> None:
        function = Function(node, body)
        self.functions.append(function)
        for parameter in node.parameters if node is not None else ():
            if parameter.name is not None:
                self._bind(function, parameter.name, None, "parameter")
        self._statements(function, body)

    def _statements(self, function: Function, body: Sequence[Stmt]) -> None:
        for statement in body:
            function.statements.append(statement)
            self._statement(function, statement)

    def _statement(self, function: Function, node: Stmt) -> None:
        is_loop = isinstance(node, syntax.For)
        is_branch = bool(function.loops) and _may_skip(node)
        function.loops += is_loop
        function.branches += is_branch
        self._parts(function, node)
        function.loops -= is_loop
        function.branches -= is_branch

    def _parts(self, function: Function, node: Stmt) -> None:
        match node:
            case syntax.Assign():
                self._reads(function, node.value)
                self._target(function, node.target, node.value, "assign")
            case syntax.AugmentedAssign():
                self._reads(function, node.target)
                self._reads(function, node.value)
                self._target(function, node.target, None, "augment")
            case syntax.For():
                self._reads(function, node.iterable)
                self._target(function, node.target, None, "loop")
                self._statements(function, node.body)
            case syntax.If():
                self._reads(function, node.test)
                self._statements(function, node.body)
                self._statements(function, node.orelse)
            case Def():
                for expression in expressions(node):
                    self._reads(function, expression)
                self._bind(function, node.name, None, "def")
                self._defs[id(node.name)] = node
                self._enter(node, node.body)
            case syntax.Load():
                self._load(node)
            case _:
                for expression in expressions(node):
                    self._reads(function, expression)

    def _load(self, load: syntax.Load) -> None:
        for binding in load.bindings:
            self.loaded[binding.local.name] = (load.module, binding.exported)
            self.load_names.append(binding.local)

    def _target(
        self, function: Function, target: Expr, value: Expr | None, how: How
    ) -> None:
        match target:
            case Name():
                self._bind(function, target, value, how)
            case syntax.Paren(inner=inner):
                self._target(function, inner, value, how)
            case syntax.TupleExpr(items=items) | syntax.ListExpr(items=items):
                part: How = "loop" if how == "loop" else "unpack"
                for item in items:
                    self._target(function, item, None, part)
            case _:
                self._reads(function, target)

    def _bind(
        self, function: Function, name: Name, value: Expr | None, how: How
    ) -> None:
        binding = Binding(name, value, how)
        function.bindings.setdefault(name.name, []).append(binding)
        function.events.append(Event("bind", name, False))

    def _reads(self, function: Function, node: Expr) -> None:
        for part in walk(node):
            if isinstance(part, Name):
                is_late = function.branches > 0
                function.events.append(Event("read", part, is_late))
            elif isinstance(part, Lambda):
                returned = syntax.Return(part.start, part.pos, part.body)
                self._enter(part, [returned])


def _may_skip(node: Stmt) -> bool:
    """Tell whether parts of a statement may not be executed."""
    return isinstance(node, syntax.If) or any(
        isinstance(part, syntax.Conditional | syntax.Comprehension)
        or (isinstance(part, syntax.Binary) and part.op in {"and", "or"})
        for expression in expressions(node)
        for part in walk(expression)
    )


def _literal_kind(value: object) -> Kind:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bytes):
        return "bytes"
    return "int" if isinstance(value, int) else "float"
