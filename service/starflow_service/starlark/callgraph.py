"""Which functions of a file could call themselves, as far as its text shows.

The nodes are the functions, and one more that stands for whatever a value could be:
a call of something that is not known by name leads there, and from there to every
function that is used as a value.  Methods lead nowhere, but other attributes do: the
result of `flow.catch` may hold a function.  A function outside every cycle needs no
watching.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from starflow_service.starlark import syntax
from starflow_service.starlark.access import METHODS
from starflow_service.starlark.syntax import Def, Expr, Lambda, Stmt
from starflow_service.starlark.values import Builtin, HostFunction
from starflow_service.starlark.walk import children, expressions

Function: TypeAlias = Def | Lambda
Edges: TypeAlias = dict[int, set[int]]
# What stands for any value; no function's id is 0.
ANYTHING = 0

# The built-ins that take a key function.
KEYED = frozenset({"sorted", "min", "max"})
# The module whose members call functions of the script.
CALLING = "flow."
# What these name is never a function of the script, whatever they are selected from.
METHOD_NAMES = frozenset(name for methods in METHODS.values() for name in methods)


class CallGraph:
    """
    The calls that a file's text shows.

    *builtin* returns the built-in, member of a module or function of the host that an
    expression surely is, else None.  *shared* are the functions that other files load.
    """

    def __init__(
        self,
        body: Sequence[Stmt],
        defs: Mapping[str, Def],
        builtin: Callable[[Expr], Builtin | HostFunction | None],
        shared: Collection[str] = (),
    ) -> None:
        self._defs = defs
        self._builtin = builtin
        # Another file may pass what it loads to a function of this one.
        known = {id(defs[name]) for name in shared if name in defs}
        self._edges: Edges = {ANYTHING: known}
        self._enter(ANYTHING, body)
        self._recursive = _cyclic(self._edges)

    def may_recur(self, function: Function) -> bool:
        """Tell whether a call of *function* could lead to another one inside it."""
        return id(function) in self._recursive

    def runs_script(self, node: syntax.Call) -> bool:
        """Tell whether a call could run code of the script."""
        return bool(self._targets(node))

    def _enter(self, caller: int, body: Sequence[Stmt]) -> None:
        for node in _statements(body):
            if type(node) is Def:
                self._function(node, node.body)
                if self._defs.get(node.name.name) is not node:
                    self._edges[ANYTHING].add(id(node))
            for expression in expressions(node):
                self._expression(caller, expression)

    def _function(self, node: Function, body: Sequence[Stmt]) -> None:
        self._edges[id(node)] = set()
        self._enter(id(node), body)

    def _expression(self, caller: int, node: Expr) -> None:
        pending = [node]
        while pending:
            found = pending.pop()
            parts = children(found)
            if type(found) is syntax.Call:
                if caller != ANYTHING:
                    self._edges[caller].update(self._targets(found))
                if self._named(found.function) is not None:
                    parts = parts[1:]
            elif type(found) is Lambda:
                returned = syntax.Return(found.start, found.pos, found.body)
                self._function(found, [returned])
                self._edges[ANYTHING].add(id(found))
            else:
                escaped = self._named(found)
                if escaped is not None:
                    self._edges[ANYTHING].add(id(escaped))
            pending.extend(parts)

    def _named(self, node: Expr) -> Def | None:
        if type(node) is not syntax.Name or node.scope != "global":
            return None
        return self._defs.get(node.name)

    def _targets(self, node: syntax.Call) -> set[int]:
        """Return what a call may lead to."""
        function = node.function
        named = self._named(function)
        if named is not None:
            return {id(named)}
        builtin = self._builtin(function)
        if builtin is not None:
            return {ANYTHING} if _may_call_back(builtin, node) else set()
        method = type(function) is syntax.Dot and function.name in METHOD_NAMES
        return set() if method else {ANYTHING}


def _may_call_back(builtin: Builtin | HostFunction, node: syntax.Call) -> bool:
    if type(builtin) is HostFunction:
        return False
    name = cast(Builtin, builtin).name
    if name not in KEYED:
        return name.startswith(CALLING)
    if any(argument.kind != "positional" for argument in node.arguments):
        return True
    # The others take their elements by position.
    return name == "sorted" and len(node.arguments) > 1


def _statements(body: Sequence[Stmt]) -> Iterator[Stmt]:
    """Yield the statements of a function, those of nested functions excluded."""
    for node in body:
        yield node
        if type(node) is syntax.If:
            yield from _statements(node.body)
            yield from _statements(node.orelse)
        elif type(node) is syntax.For:
            yield from _statements(node.body)


def _cyclic(edges: Edges) -> set[int]:
    """Return the nodes that lie on a cycle, or between two."""
    return set(_trimmed(_reversed(_trimmed(edges))))


def _reversed(edges: Edges) -> Edges:
    result: Edges = {node: set() for node in edges}
    for node, targets in edges.items():
        for target in targets:
            result[target].add(node)
    return result


def _trimmed(edges: Edges) -> Edges:
    """Return the graph without the nodes from which no cycle can be reached."""
    sources = _reversed(edges)
    open_ends = {node: len(targets) for node, targets in edges.items()}
    gone = [node for node, count in open_ends.items() if not count]
    for node in gone:
        for source in sources[node]:
            open_ends[source] -= 1
            if not open_ends[source]:
                gone.append(source)
    kept = edges.keys() - set(gone)
    return {node: edges[node] & kept for node in kept}
