"""Says from time to time how far a long work has come."""

import sys
import time

_EVERY_S = 5.0


class Progress:
    """Counts, and tells on standard error."""

    def __init__(self, verb: str) -> None:
        self.runs = 0
        self.events = 0
        self._verb = verb
        self._told_at = time.monotonic()

    def add(self, events: int) -> None:
        """One run is done."""
        self.runs += 1
        self.events += events
        if time.monotonic() - self._told_at >= _EVERY_S:
            self._told_at = time.monotonic()
            self.tell()

    def tell(self) -> None:
        """Say how far it has come."""
        counted = f"{self.runs:,} runs, {self.events:,} events"
        sys.stderr.write(f"{self._verb} {counted}\n")
