"""What a script leaves behind, given back bit by bit.

A script may hold a million values.  Dropped at once, they take a tenth of a second to
go, one in the other, and nothing can interrupt that.  So they are taken apart: what is
in a value is picked up before the value itself is dropped, so that each goes by itself.
What refers to itself is left to the collector.

When a script is broken off, the values of its variables are kept as its frames go.  One
that makes much is also looked at while it runs, and what its variables stand for is
held: once nobody else has it, the script has dropped it.
"""

from gc import get_referents, is_tracked
from sys import getrefcount
from types import FrameType, TracebackType
from typing import Any, Final

from starflow_service.starlark.trace import is_script

# Bytes that a script has to have taken for this to be worth the trouble, and between
# two looks at its variables.
WORTH: Final = 4 * 1024 * 1024
# Elements of a long list that are picked up together.
_AT_ONCE: Final = 4_000
# Values that are held, and those given back between two slices.
_HELD_MAX: Final = 256
_GIVEN_BACK: Final = 1_000


def variables(traceback: TracebackType | None) -> list[Any]:
    """Return the values of the script's variables in the frames of *traceback*."""
    found: list[Any] = []
    while traceback is not None:
        if is_script(traceback.tb_frame):
            found += traceback.tb_frame.f_locals.values()
        traceback = traceback.tb_next
    return found


def _alone() -> int:
    values: list[Any] = [[]]
    value = values.pop()
    return getrefcount(value)


def _references(values: list[Any]) -> list[int]:
    return [getrefcount(value) for value in values]


# What it says of a value that only a variable has, or only a list that is gone through;
# that depends on the release of Python.
_ALONE: Final = _alone()
_LISTED: Final = _references([[]])[0]


class Remains:
    """Values that nobody wants any more."""

    def __init__(self, values: list[Any]) -> None:
        """Take *values* over: the list is emptied as they are given back."""
        self._values = values

    def give_back(self, count: int) -> bool:
        """Look at some *count* values and no more; return whether any are left."""
        values = self._values
        while count > 0 and values:
            value = values.pop()
            # What somebody else holds goes with whoever comes last.
            if not is_tracked(value) or getrefcount(value) > _ALONE:
                count -= 1
                continue
            if isinstance(value, list) and len(value) > _AT_ONCE:
                inside = value[-_AT_ONCE:]
                list.__delitem__(value, slice(-_AT_ONCE, None))
                values.append(value)
            else:
                inside = get_referents(value)
            count -= 1 + (len(inside) >> 3)
            values += inside
            # Or it would hold what it has given.
            del inside
        return bool(values)


class Held:
    """What a running script may drop at any moment, and what it has dropped."""

    __slots__ = ("_dropped", "_values")

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._dropped: list[Any] = []

    def look(self, frame: FrameType | None) -> None:
        """Hold what the variables of a script stand for that runs in *frame*."""
        found: dict[int, Any] = {id(value): value for value in self._values}
        values: list[Any] = []
        room = _HELD_MAX
        while frame is not None and room > 0:
            if is_script(frame):
                values = [x for x in frame.f_locals.values() if is_tracked(x)][:room]
                found |= zip(map(id, values), values, strict=True)
                room -= len(values)
            frame = frame.f_back
        self._values = list(found.values())
        del found, values
        # Those that are dropped are known before there is no room for them any more.
        self._sort_out()
        del self._values[:-_HELD_MAX]

    def hold(self, value: Any) -> None:
        """Hold *value*, which may be dropped before anybody looks."""
        self._values.append(value)

    def drop(self, values: list[Any]) -> None:
        """Take over *values*, which nobody wants."""
        self._dropped += values

    def give_back(self) -> None:
        """Give back some of what the script has dropped."""
        if self._values:
            self._sort_out()
        if self._dropped:
            Remains(self._dropped).give_back(_GIVEN_BACK)

    def take_all(self) -> list[Any]:
        """Return everything, for the script has ended."""
        taken = [*self._dropped, *self._values]
        self._values.clear()
        self._dropped.clear()
        return taken

    def _sort_out(self) -> None:
        counts = _references(self._values)
        if min(counts, default=_LISTED + 1) <= _LISTED:
            both = list(zip(self._values, counts, strict=True))
            self._dropped += [value for value, count in both if count <= _LISTED]
            self._values = [value for value, count in both if count > _LISTED]
