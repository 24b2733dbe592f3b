"""What the code generator knows while it compiles: the file, and one function of it.

Names.  Whatever a script can spell stands for itself as a local variable; every other
name that occurs in compiled code contains a "!", so that nothing a script says can
reach it:

    x!              the script's global variable x
    lambda!3        a lambda; `trace` cuts the name at the "!"
    !M              the meter of the run
    !7              a temporary
    !add            an operation, from `support.OPERATIONS`
    l!x             what a load of another file binds to x
    u!len, m!json.encode, h!payments.charge
                    a built-in, a member of a module, a function of the host
    f!len           the Python function inside a built-in

The first five live in the globals or the locals of a run, the others in the program's
`__builtins__`, which all its runs share.
"""

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starflow_service.starlark import pysyntax as py
from starflow_service.starlark.callgraph import CallGraph
from starflow_service.starlark.kinds import Kinds
from starflow_service.starlark.pysyntax import At, Operand, at
from starflow_service.starlark.syntax import Def, Dot, Expr, File, Load, Name, Pos
from starflow_service.starlark.values import Builtin, HostFunction, Module

# CPython looks at every name around a function for each function in it, and holds the
# interpreter's lock while it does.
FUNCTIONS_MAX = 2_000

# Longer files are compiled without inline operations: they take three times as long.
LEAN_CHARACTERS = 32 * 1024

# More functions than this could call each other deeper than `Limits.max_call_depth`
# without any of them being called recursively, so their depth is counted.
UNCOUNTED_FUNCTIONS_MAX = 100

CONSTANTS = {"None": None, "True": True, "False": False}


class TooComplex(Exception):
    """The file cannot be compiled, because of what is at `pos`."""

    def __init__(self, pos: Pos, reason: str) -> None:
        super().__init__(reason)
        self.pos = pos
        self.reason = reason


class Unit:
    """One file: what is the same for all its functions."""

    def __init__(
        self,
        file: File,
        universe: Mapping[str, Any],
        modules: Mapping[str, Module],
        *,
        deep: bool,
        lean: bool,
        shared: Collection[str] = (),
    ) -> None:
        self.universe = universe
        self.deep = deep
        self.lean = lean
        # Names that the program adds to its `__builtins__`.
        self.constants: dict[str, Any] = {}
        # Where compiled code accesses an element inline: the owner and the index.
        self.accesses: dict[Pos, tuple[Operand, Operand]] = {}
        # Global variables of a run that say which functions are running.
        self.flags: list[str] = []
        self.functions = 0
        self.defs = {node.name.name: node for node in file.body if type(node) is Def}
        self.loaded = {
            binding.local.name: member(modules, load.module, binding.exported)
            for load in file.body
            if type(load) is Load and load.module in modules
            for binding in load.bindings
        }
        # Every global is assigned once, so the kinds of the top level hold anywhere.
        self.kinds = Kinds(file.body, [], None, self.builtin_name)
        self.calls = CallGraph(file.body, self.defs, self.builtin, shared)

    def constant(self, name: str, value: Any) -> str:
        """Add a constant to the program and return its name."""
        self.constants[name] = value
        return name

    def flag(self) -> str:
        """Return the name of a new flag."""
        self.flags.append(f"!on{len(self.flags)}")
        return self.flags[-1]

    def known(self, node: Expr) -> tuple[str, Any] | None:
        """
        Return the name and the value of what is the same in every run, else None.

        That is a function of the host, a built-in, or a member of a loaded module.
        """
        if type(node) is Name:
            return self._known_name(node)
        if type(node) is not Dot:
            return None
        path = dotted(node)
        if path is not None:
            value = HostFunction(path)
            return self.constant(f"h!{path}", value), value
        owner = self.known(node.operand)
        if owner is None or type(owner[1]) is not Module:
            return None
        name, module = owner
        if node.name not in module.members:
            return None
        value = module.members[node.name]
        return self.constant(f"{name}.{node.name}", value), value

    def _known_name(self, node: Name) -> tuple[str, Any] | None:
        if node.scope == "universal" and node.name not in CONSTANTS:
            value = self.universe[node.name]
            return self.constant(f"u!{node.name}", value), value
        if node.scope == "global" and node.name in self.loaded:
            value = self.loaded[node.name]
            return self.constant(f"m!{node.name}", value), value
        return None

    def builtin(self, node: Expr) -> Builtin | HostFunction | None:
        """Return the built-in or host's function that *node* surely is, else None."""
        known = self.known(node)
        if known is None or not isinstance(known[1], Builtin | HostFunction):
            return None
        return known[1]

    def builtin_name(self, node: Expr) -> str | None:
        """
        Return the name of the built-in that *node* surely is, else None.

        Those of modules are named differently from those that need no load.
        """
        known = self.known(node)
        if known is None or type(known[1]) not in (Builtin, HostFunction):
            return None
        return known[0].removeprefix("u!")

    def inner(self, name: str, function: Callable[..., Any]) -> str:
        """Return the name of the Python function inside a built-in or a method."""
        return self.constant(f"f!{name}", function)


def dotted(node: Expr) -> str | None:
    """Return the path of a chain of dots on a name of the host, else None."""
    names: list[str] = []
    while type(node) is Dot:
        names.append(node.name)
        node = node.operand
    if type(node) is not Name or node.scope != "host":
        return None
    return ".".join([node.name, *reversed(names)])


def member(modules: Mapping[str, Module], module: str, exported: str) -> Any:
    """Return what a load binds: a member, or the module under its own name."""
    members = modules[module].members
    if exported in members:
        return members[exported]
    assert exported == module, "the resolver has checked the members"
    return modules[module]


@dataclass(slots=True)
class Cost:
    """What a block of straight-line code costs, summed while it is compiled."""

    nodes: int = 0
    bytes: int = 0

    def steps(self) -> int:
        """Return the steps that one pass through the block takes."""
        return 1 + self.nodes // 4


@dataclass(slots=True)
class Emitter:
    """
    One function under compilation.

    An expression may need statements before the one it stands in: `out` takes them.
    `ordered` counts those among them whose place in the order of evaluation matters.
    """

    unit: Unit
    name: str
    kinds: Kinds
    out: list[ast.stmt] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    ordered: int = 0
    temporaries: int = 0
    lambdas: int = 0
    # Whether the function locks what it iterates over, and whether it can run for
    # longer than its own text: it has loops, or calls functions of the script.
    locks: bool = False
    repeats: bool = False
    loops: int = 0  # around the place that is being compiled

    def expr(self, node: Expr) -> ast.expr:
        """Return the Python expression for *node*; `out` gets what it needs before."""
        raise NotImplementedError

    def operands(
        self, nodes: Sequence[Expr], before: Sequence[ast.expr] = ()
    ) -> list[ast.expr]:
        """Return *before* and the expressions for *nodes*, to be evaluated in order."""
        done = list(before)
        for node in nodes:
            mark, ordered = len(self.out), self.ordered
            value = self.expr(node)
            if done and self.ordered > ordered:
                needed = self.out[mark:]
                del self.out[mark:]
                done = [self.spill(earlier, at(node.start)) for earlier in done]
                self.out.extend(needed)
            done.append(value)
        return done

    def emit(self, *statements: ast.stmt) -> None:
        """Add statements whose order matters."""
        self.out.extend(statements)
        self.ordered += 1

    def temporary(self) -> str:
        """Return a name that is used nowhere else in the function."""
        self.temporaries += 1
        return f"!{self.temporaries}"

    def spill(self, value: ast.expr, place: At) -> ast.expr:
        """Evaluate *value* now and return what stands for the result."""
        if isinstance(value, ast.Constant):
            return value
        if isinstance(value, ast.Name) and value.id.startswith("!"):
            return value
        name = self.temporary()
        self.emit(py.assign(name, value, place))
        return py.load(name, place)

    @contextmanager
    def buffer(self) -> Iterator[list[ast.stmt]]:
        """Collect what is emitted into a list of its own."""
        outer, self.out = self.out, []
        try:
            yield self.out
        finally:
            self.out = outer

    def block(
        self, place: At, compile_body: Callable[[], None]
    ) -> tuple[list[ast.stmt], list[ast.stmt]]:
        """Return what takes the cost of a block, and the block's statements."""
        outer, self.cost = self.cost, Cost()
        with self.buffer() as body:
            compile_body()
        head = [*charges(self.cost, place), py.tick_when_spent(place)]
        self.cost = outer
        return head, body


def charges(cost: Cost, place: At) -> list[ast.stmt]:
    """Return the statements that take the cost of a block."""
    head = [py.spend("steps", ast.Constant(cost.steps(), **place), place)]
    if cost.bytes:
        head.append(py.spend("bytes", ast.Constant(cost.bytes, **place), place))
    return head
