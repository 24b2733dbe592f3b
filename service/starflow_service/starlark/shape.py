"""How deep and how large a syntax tree may be.

Whoever walks a tree, CPython's compiler included, recurses once or several times a
level.  A chain such as 1+1+1+... is a deep tree although no bracket nests, so it is the
tree that is measured, without recursion.
"""

from typing import Final, TypeGuard

from starflow_service.starlark.diagnostics import Diagnostic
from starflow_service.starlark.syntax import (
    Argument,
    DictEntry,
    File,
    ForClause,
    IfClause,
    Node,
    Parameter,
    Pos,
)

DEPTH_MAX: Final = 150
NODES_MAX: Final = 50_000

# Parts of their parent that never stand alone: they count as nodes but add no level.
_PARTS: Final = (Argument, DictEntry, ForClause, IfClause, Parameter)

_fields: dict[type[Node], tuple[str, ...]] = {}


def too_deep(pos: Pos) -> Diagnostic:
    """Return the finding for a tree, or a text, that nests too deeply at *pos*."""
    hint = "give parts of it a name, or a function of their own"
    message = "script too deeply nested"
    return Diagnostic("error", "LIMIT", message, pos, hint)


def check_shape(file: File) -> Diagnostic | None:
    """Return why *file* is too deep or too large a tree, or None."""
    level: list[Node] = list(file.body)
    nodes = 0
    for _ in range(DEPTH_MAX):
        below: list[Node] = []
        for node in level:
            # Parts join the level that is being walked, the others the next one.
            for child in children(node):
                (level if isinstance(child, _PARTS) else below).append(child)
        nodes += len(level)
        if nodes > NODES_MAX:
            message = f"script too long: more than {NODES_MAX} syntax nodes"
            return Diagnostic("error", "LIMIT", message, Pos(1, 1))
        if not below:
            return None
        level = below
    return too_deep(min(node.pos for node in level))


def size(file: File) -> int:
    """Return how many nodes *file* has."""
    pending: list[Node] = list(file.body)
    count = 0
    while pending:
        count += 1
        pending.extend(children(pending.pop()))
    return count


def children(node: Node) -> list[Node]:
    """Return the nodes right below *node*, in the order of its fields."""
    found: list[Node] = []
    for field in _node_fields(type(node)):
        value = getattr(node, field)
        if isinstance(value, Node):
            found.append(value)
        elif _is_node_list(value):
            found.extend(value)
    return found


def _is_node_list(value: object) -> TypeGuard[list[Node]]:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Node)


def _node_fields(kind: type[Node]) -> tuple[str, ...]:
    """Return the names of the fields that may hold nodes; the type decides."""
    if kind not in _fields:
        own = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
        _fields[kind] = tuple(name for name in own if name not in {"start", "pos"})
    return _fields[kind]
