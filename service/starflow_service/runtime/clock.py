"""The only place of the service that reads time and chance."""

import os
import time
from random import SystemRandom

_NONCE_BYTES = 8
# So many are drawn at once: asking the kernel costs ten times as much as taking one.
_NONCES = 256


class Clock:
    """Time, and numbers that nobody can guess.  Tests put their own in its place."""

    def __init__(self) -> None:
        self._random = SystemRandom()
        self._nonces: list[str] = []

    def now_ns(self) -> int:
        """Return the wall clock's time, in nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()

    def cpu_ns(self) -> int:
        """Return the CPU time that the calling thread has had."""
        return time.thread_time_ns()

    def rand_below(self, limit: int) -> int:
        """Return a random number from 0 to *limit* - 1."""
        return self._random.randrange(limit)

    def nonce(self) -> str:
        """Return 64 random bits as text."""
        if not self._nonces:
            size = _NONCE_BYTES
            drawn = os.urandom(_NONCES * size)
            starts = range(0, len(drawn), size)
            self._nonces = [drawn[at : at + size].hex() for at in starts]
        return self._nonces.pop()


class MovableClock(Clock):
    """
    A clock whose wall time stands still until it is moved.

    Scripts, timers and stores go by the wall time.  Leases go by the monotonic clock,
    which runs on: moving the time kills no worker.
    """

    def __init__(self, now_ns: int) -> None:
        super().__init__()
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def move_to(self, now_ns: int) -> None:
        """Let it be *now_ns*; a clock does not go back."""
        self._now_ns = max(self._now_ns, now_ns)
