"""Lets long native work be done in slices, beside whatever else the loop has to do.

For work that no script pays for, such as checking what a client sent.  It runs in a
greenlet of its own, counts what it does, and is left in the middle whenever it has done
enough for one turn of the loop.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")

# Each is about as long as a round of a loop: a slice takes a few milliseconds.
_SLICE_STEPS = 20_000


class Pacer:
    """Counts work, and leaves it when its slice is over."""

    __slots__ = ("_hub", "_left", "slices")

    def __init__(self, hub: greenlet) -> None:
        self._hub = hub
        self._left = _SLICE_STEPS
        # How many slices there were before this one.
        self.slices = 0

    def work(self, n: int) -> None:
        """*n* steps were done, or are about to be."""
        self._left -= n
        if self._left < 0:
            self._left = _SLICE_STEPS
            self.slices += 1
            self._hub.switch()


class Paced(Generic[T]):
    """One piece of work: `advance` until it says that it is done, then `result`."""

    def __init__(self, work: Callable[[Pacer], T]) -> None:
        self.pacer = Pacer(getcurrent())
        self._work = work
        self._greenlet = greenlet(self._run)
        self._outcome: tuple[T] | Exception | None = None

    def advance(self) -> bool:
        """Work for a slice; return whether it was the last."""
        self._greenlet.switch()
        return bool(self._greenlet.dead)

    def result(self) -> T:
        """Return what the work returned, or raise what it raised."""
        if isinstance(self._outcome, Exception):
            raise self._outcome
        assert self._outcome is not None, "it is not done"
        return self._outcome[0]

    def end(self) -> None:
        """Give the work up, wherever it is."""
        # What it raises on its way out is its own affair.
        if not self._greenlet.dead:
            self._greenlet.throw()

    def _run(self) -> None:
        # Nothing crosses as an exception: it would end whatever the hub was doing.
        try:
            self._outcome = (self._work(self.pacer),)
        except Exception as error:
            self._outcome = error
