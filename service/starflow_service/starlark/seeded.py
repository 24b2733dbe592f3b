"""Random bytes that are the same whenever a run is replayed.

A run's seed is chosen once and recorded; everything drawn from it follows from the
order in which the script draws.  The stream is part of what a recorded run means: it
must give the same bytes for ever.
"""

from hashlib import blake2b

_BLOCK_BYTES = 64
_PERSON = b"starflow rand 1"


class SeededStream:
    """An endless stream of bytes: BLAKE2b of a counter, under the seed as its key."""

    __slots__ = ("_block", "_key", "_left")

    def __init__(self, seed: str) -> None:
        # A key has at most 64 bytes, and a seed any number.
        self._key = blake2b(seed.encode(), person=_PERSON).digest()
        self._block = 0
        self._left = b""

    def take(self, n: int) -> bytes:
        """Return the next *n* bytes."""
        short = n - len(self._left)
        parts = [self._left]
        for _ in range(-(-short // _BLOCK_BYTES)):
            parts.append(self._next_block())
        taken = b"".join(parts)
        self._left = taken[n:]
        return taken[:n]

    def _next_block(self) -> bytes:
        counter = self._block.to_bytes(8, "little")
        self._block += 1
        return blake2b(counter, key=self._key, person=_PERSON).digest()
