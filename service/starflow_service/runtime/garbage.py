"""When the garbage collector looks at what, so that nobody waits for it.

Nearly everything dies by its count.  What is left for the collector is what refers to
itself, and a script can make much of that; looking at all of it takes tens of
milliseconds in which nothing else happens.  So by itself the collector looks at the
young only, in portions that take about one.  At the rest it looks when nothing else is
to be done, or when so much has come together that it has to be.
"""

import gc
from typing import Final

from starflow_service.runtime.clock import Clock

# Objects of which the collector looks at the young.  Their references are followed, and
# a script can make thousands of each, so this is some milliseconds at the worst.
_YOUNG: Final = 1_000
_NEVER: Final = 1_000_000_000
# Looks at the young after which a look at everything is worth while, and overdue: a
# tenth of a million objects, and two millions.
_WORTH: Final = 100
_OVERDUE: Final = 2_000
# Times that `Garbage.look` is called in a row while nothing happens at all, after which
# the last of it is collected, too: nobody would come to do it.
_STILL: Final = 3
# The part of the time that goes into looks at everything which nobody waits for: with
# thousands of runs in memory one takes a tenth of a second.
_PART: Final = 0.01


def tend() -> None:
    """Set the collector up, once everything that stays is made."""
    gc.collect()
    # What was made up to here is for good: the collector need not look at it again.
    gc.freeze()
    gc.set_threshold(_YOUNG, _NEVER, _NEVER)


class Garbage:
    """Decides when to look at everything."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looks = self._seen = self._looks_so_far()
        self._still = 0
        # When the next look is in proportion to what the last one took, in seconds.
        self._not_before = clock.monotonic()

    def look(self, *, is_idle: bool) -> bool:
        """Collect everything if it is worth it now; return whether it was."""
        looks = self._looks_so_far()
        since = looks - self._looks
        self._still = self._still + 1 if is_idle and looks == self._seen else 0
        self._seen = looks
        is_cheap = is_idle and self._clock.monotonic() >= self._not_before
        worth = 1 if self._still >= _STILL else _WORTH
        if since < (worth if is_cheap else _OVERDUE):
            return False
        before_ns = self._clock.cpu_ns()
        gc.collect()
        took_s = (self._clock.cpu_ns() - before_ns) / 1e9
        self._not_before = self._clock.monotonic() + took_s / _PART
        self._looks = self._looks_so_far()
        return True

    @staticmethod
    def _looks_so_far() -> int:
        looks: int = gc.get_stats()[0]["collections"]
        return looks
