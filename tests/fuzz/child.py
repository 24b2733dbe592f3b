"""
Judges one program after the other, and says in JSON lines what it found.

A process of its own: what gets past the meter takes this one down, by its memory or by
its CPU time, and the parent reads in the marker which program it was.
"""

import json
import resource
import signal
import sys
import time
from pathlib import Path

from tests.fuzz.kinds import KINDS, Kind

ADDRESS_SPACE = 2 * 1024**3
# More than any program may take, by far.
HANG_CPU_SECONDS = 60.0
REPORT_SECONDS = 2.0


class Child:
    """The loop, and what it has to say about it."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker
        self._ends: dict[str, int] = {}
        self._slowest = (0.0, "", 0)
        self._reported = time.monotonic()
        self._known: set[str] = set()

    def run(self, seed: int, stride: int) -> None:
        """Judge programs for ever: of each kind some, then of the next seed."""
        while True:
            for kind in KINDS.values():
                for n in range(kind.weight):
                    self.judge(kind, seed * kind.weight + n)
            if time.monotonic() - self._reported > REPORT_SECONDS:
                self.report(seed)
            seed += stride

    def judge(self, kind: Kind, seed: int) -> None:
        self._marker.write_text(f"{kind.name} {seed}")
        # The signal's default is to end the process, wherever it is.
        signal.setitimer(signal.ITIMER_PROF, HANG_CPU_SECONDS)
        source = kind.make(seed)
        began = time.process_time()
        verdict = kind.judge(source)
        seconds = time.process_time() - began
        self._slowest = max(self._slowest, (seconds, kind.name, seed))
        end = f"{kind.name}: {verdict.end}"
        self._ends[end] = self._ends.get(end, 0) + 1
        if verdict.problem and verdict.problem not in self._known:
            self._known.add(verdict.problem)
            signal.setitimer(signal.ITIMER_PROF, 10 * HANG_CPU_SECONDS)
            say(
                finding=verdict.problem,
                kind=kind.name,
                seed=seed,
                details=verdict.details[-4000:],
                source=kind.shrunk(source, verdict.problem),
            )

    def report(self, seed: int) -> None:
        seconds, kind, slow_seed = self._slowest
        say(
            ends=self._ends,
            seed=seed,
            rss_kib=rss_kib(),
            slowest=[round(seconds, 3), kind, slow_seed],
        )
        self._ends = {}
        self._reported = time.monotonic()


def rss_kib() -> int:
    """Return the memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def say(**facts: object) -> None:
    """Print *facts* as a line of JSON."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    Child(Path(sys.argv[1])).run(int(sys.argv[2]), int(sys.argv[3]))
