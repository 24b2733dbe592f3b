"""Which runs are this server's: those of the partitions that it has taken.

A partition is **open** from the moment that its runs may be worked on, and **served**
once they are recovered.  A store that is not shared has one partition, and it is open
as long as the server lives.
"""

from collections.abc import Callable


class Partitions:
    """The partitions that the runtime works on."""

    def __init__(self, of: Callable[[str], int]) -> None:
        # The partition of a run, by its key.
        self.of = of
        self.served: frozenset[int] = frozenset()
        self._open: set[int] = set()

    @property
    def open_ones(self) -> frozenset[int]:
        """The partitions whose runs may be worked on."""
        return frozenset(self._open)

    def is_open(self, run: str) -> bool:
        """Whether *run* may be worked on here."""
        return self.of(run) in self._open

    def serves(self, run: str) -> bool:
        """Whether *run* is here, and whatever waits for it as well."""
        return self.of(run) in self.served

    def open(self, partition: int) -> None:
        """The runs of *partition* may be worked on."""
        self._open.add(partition)

    def serve(self, partition: int) -> None:
        """The runs of *partition* are recovered, unless it was closed meanwhile."""
        if partition in self._open:
            self.served |= {partition}

    def close(self, partition: int) -> None:
        """The runs of *partition* are not ours any more."""
        self._open.discard(partition)
        self.served -= {partition}


def only_one(run: str) -> int:
    """Return the partition of *run* where there is but one."""
    return 0
