"""What a Starlark value is in Python.

None, bool, int, float, str, bytes, tuple and range are Python's own.  Functions of the
script are Python functions made by the code generator.  Everything else is a class of
this module or derives from `Value`.

Whether a list or dict may change is its class, so that one exact-type test in compiled
code covers kind and mutability at once: `List` may change, `LockedList` is being
iterated over, `FrozenList` never changes again.  The three share one layout and
`__class__` is assigned.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.host import Context, Future

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# Values frozen between two looks at the budget.
_CHUNK = 1_000


class _Missing:
    """The type of `MISSING`."""

    __slots__ = ()


# An argument that was not given, or an attribute that does not exist: None is a value.
MISSING: Any = _Missing()


class List(list[Any]):
    """A list that may change."""

    # How many iterations hold it; set only while it is locked.
    __slots__ = ("locks",)
    locks: int

    __hash__: ClassVar[None]


class LockedList(List):
    """A list that somebody iterates over."""

    __slots__ = ()


class FrozenList(List):
    """A list that never changes again."""

    __slots__ = ()


class Dict(dict[Any, Any]):
    """
    A dict that may change, from dict keys (see `compare.dict_key`) to values.

    `holes` counts deleted entries, which CPython walks over until the dict is rebuilt.
    """

    __slots__ = ("holes", "locks")
    locks: int
    holes: int

    __hash__: ClassVar[None]


class LockedDict(Dict):
    """A dict that somebody iterates over."""

    __slots__ = ()


class FrozenDict(Dict):
    """A dict that never changes again."""

    __slots__ = ()


class Key:
    """
    A dict key whose Python equality is not Starlark's.

    Python takes True for 1, finds NaN unequal to itself, compares tuples without
    metering and hashes long integers predictably.  *token* is a plain Python object
    that hashes and compares as Starlark wants *value* to.
    """

    __slots__ = ("hash", "token", "value")

    def __init__(self, value: object, token: object) -> None:
        self.value = value
        self.token = token
        self.hash = hash(token)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return type(other) is Key and self.token == other.token


class Value:
    """
    The base of values that Python does not have.

    The defaults are those of an opaque value: true, without attributes or operators,
    and equal only to itself.
    """

    __slots__ = ()
    type_name: ClassVar[str]

    def text(self, m: "Meter") -> str:
        """Return the value as `repr` and `str` show it."""
        return f"<{self.type_name}>"

    def truth(self) -> bool:
        return True

    def __bool__(self) -> bool:
        # Compiled code tests values as Python does.
        return self.truth()

    def attr(self, m: "Meter", name: str) -> Any:
        """Return the attribute, or MISSING."""
        return MISSING

    def attr_names(self) -> Iterable[str]:
        return ()

    def binary(self, m: "Meter", op: str, other: Any, *, swapped: bool) -> Any:
        """
        Return `self op other`, or `other op self` if *swapped*, or MISSING.

        *op* is an arithmetic operator as the script writes it.
        """
        return MISSING

    def index(self, m: "Meter", i: Any) -> Any:
        """Return `self[i]`, or MISSING."""
        return MISSING

    def size(self) -> int | None:
        """Return what `len` gives, or None."""
        return None

    def elements(self, m: "Meter") -> Sequence[Any] | None:
        """Return what a loop over the value goes through, or None."""
        return None

    def equals(self, other: Any) -> bool:
        """Return whether this equals *other*, which is of the same type."""
        return self is other

    def order(self, other: Any) -> int | None:
        """Return how this compares with *other* of the same type: below, 0 or above."""
        return None

    def fields(self) -> Mapping[str, Any] | None:
        """Return the parts that are all there is to the value, or None."""
        return None

    def token(self) -> object:
        """Return what stands for this value in the key of a dict."""
        raise EvalError(f"unhashable type: {self.type_name}")


class Builtin(Value):
    """
    A function or method of the language itself.

    It is called as `fn(m, *args, **kwargs)`, a method as `fn(m, receiver, *args,
    **kwargs)`; None is never a receiver.  *members* are for the one function that has
    the name of its module: a load of that name gives both.
    """

    __slots__ = ("fn", "members", "name", "receiver")
    type_name = "builtin_function_or_method"

    def __init__(self, name: str, fn: Callable[..., Any], receiver: Any = None) -> None:
        self.name = name
        self.fn = fn
        self.receiver = receiver
        self.members: Mapping[str, Any] = _NO_MEMBERS

    def text(self, m: "Meter") -> str:
        if self.receiver is None:
            return f"<built-in function {self.name}>"
        owner = type_name(self.receiver)
        return f"<built-in method {self.name} of {owner} value>"

    def attr(self, m: "Meter", name: str) -> Any:
        return self.members.get(name, MISSING)

    def attr_names(self) -> Iterable[str]:
        return self.members

    def token(self) -> object:
        return self


_NO_MEMBERS: Mapping[str, Any] = {}


class Module(Value):
    """A library module: `load("time", "time")` binds the whole of it."""

    __slots__ = ("members", "name")
    type_name = "module"

    def __init__(self, name: str, members: Mapping[str, Any]) -> None:
        self.name = name
        self.members = members

    def text(self, m: "Meter") -> str:
        return f'<module "{self.name}">'

    def attr(self, m: "Meter", name: str) -> Any:
        return self.members.get(name, MISSING)

    def attr_names(self) -> Iterable[str]:
        return self.members


class HostFunction(Value):
    """
    A dotted name of the host, such as `payments.charge`: a function that workers run.

    Every attribute of it is a longer name, because only the workers know which exist.
    """

    __slots__ = ("path",)
    type_name = "function"

    def __init__(self, path: str) -> None:
        self.path = path

    def text(self, m: "Meter") -> str:
        return f"<function {self.path}>"

    def attr(self, m: "Meter", name: str) -> Any:
        m.charge(64 + len(self.path) + len(name))
        return HostFunction(f"{self.path}.{name}")

    def equals(self, other: Any) -> bool:
        return bool(self.path == other.path)

    def token(self) -> object:
        return (HostFunction, self.path)


_TYPE_NAMES: dict[type, str] = {
    type(None): "NoneType",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    bytes: "bytes",
    tuple: "tuple",
    range: "range",
    List: "list",
    LockedList: "list",
    FrozenList: "list",
    Dict: "dict",
    LockedDict: "dict",
    FrozenDict: "dict",
    FunctionType: "function",
    Context: "context",
    Future: "future",
}


def type_name(x: Any) -> str:
    """Return the name that `type(x)` gives."""
    known = _TYPE_NAMES.get(type(x))
    if known is not None:
        return known
    assert isinstance(x, Value), "not a Starlark value"
    return x.type_name


def _at_once(steps: int) -> None:
    """Let nobody else have a turn."""


def freeze(x: Any, linger: Callable[[int], None] = _at_once) -> None:
    """
    Make *x* and everything it reaches unchangeable, for ever.

    It goes through the defaults and captured variables of functions too, and *linger*
    is called with the steps that this takes.  A stack and not recursion, because the
    script decides how deep its values are.
    """
    pending = [x]
    seen: set[int] = set()
    count = 0
    while pending:
        value = pending.pop()
        count += 1
        if count % _CHUNK == 0:
            linger(4 * _CHUNK)
        kind = type(value)
        if kind is FunctionType or kind is tuple:
            # Neither shows whether it was visited, and functions may be cyclic.
            if id(value) not in seen:
                seen.add(id(value))
                pending.extend(value if kind is tuple else _captured(value))
        elif kind is List or kind is LockedList:
            value.__class__ = FrozenList
            pending.extend(value)
        elif kind is Dict or kind is LockedDict:
            value.__class__ = FrozenDict
            pending.extend(value.values())
            pending.extend(key.value for key in value if type(key) is Key)
        elif kind is Builtin:
            pending.append(value.receiver)
        elif isinstance(value, Value) and id(value) not in seen:
            seen.add(id(value))
            pending.extend((value.fields() or {}).values())


def _captured(function: FunctionType) -> list[Any]:
    """Return what a function holds: its defaults and captured variables."""
    held = list(function.__defaults__ or ())
    held.extend((function.__kwdefaults__ or {}).values())
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:
            # A variable of the enclosing function that was never assigned.
            continue
    return held
