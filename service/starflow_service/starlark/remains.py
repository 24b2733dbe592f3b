"""What a script that was broken off leaves behind, given back bit by bit.

A script may hold a million values.  Dropped at once, they take a tenth of a second to
go, one in the other, and nothing can interrupt that.  So the values of its variables
are kept when its frames go, and taken apart from outside: what is in a value is picked
up before the value itself is dropped, so that each goes by itself.  What refers to
itself is left to the collector.
"""

from gc import get_referents, is_tracked
from sys import getrefcount
from types import TracebackType
from typing import Any, Final

from starflow_service.starlark.trace import is_script

# Bytes that a script has to have taken for this to be worth the trouble.
WORTH: Final = 8 * 1024 * 1024
# Elements of a long list that are picked up together.
_AT_ONCE: Final = 4_000
# A variable here, and the argument of `getrefcount`.
_OURS: Final = 2


def variables(traceback: TracebackType | None) -> list[Any]:
    """Return the values of the script's variables in the frames of *traceback*."""
    found: list[Any] = []
    while traceback is not None:
        if is_script(traceback.tb_frame):
            found += traceback.tb_frame.f_locals.values()
        traceback = traceback.tb_next
    return found


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
            if not is_tracked(value) or getrefcount(value) > _OURS:
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
