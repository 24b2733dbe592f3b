"""
Fuzzes for minutes or hours: `make fuzz MINUTES=60 JOBS=2`.

Each finding is printed with a program that shows it, made small, which is kept in
`tests/fuzz/seeds`.  The exit code is 1 if there was one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz.kinds import KEPT, KINDS

ROOT = Path(__file__).parents[2]
PRINT_SECONDS = 60.0
# What a process may grow once it is warm.
GROWTH_KIB_MAX = 100 * 1024
WARM_PROGRAMS = 5_000


class Fuzzing:
    """Children that judge programs, and what they found so far."""

    def __init__(self, minutes: float, jobs: int, start: int) -> None:
        self.ends: Counter[str] = Counter()
        self.findings: dict[str, str] = {}
        self.slowest: list[Any] = [0.0, "", 0]
        self.warm_rss_kib: dict[int, int] = {}
        self.rss_kib: dict[int, int] = {}
        self._judged: Counter[int] = Counter()
        self._jobs = jobs
        self._start = start
        self._began = time.monotonic()
        self._ends_at = self._began + 60 * minutes
        self._lock = threading.Lock()

    def run(self) -> None:
        """Fuzz until the time is up."""
        threads = [
            threading.Thread(target=self._attend, args=[job])
            for job in range(self._jobs)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(PRINT_SECONDS)
                self.report()

    def _attend(self, job: int) -> None:
        """Keep one child running; begin another behind the program that ended it."""
        seed = self._start + job
        with tempfile.TemporaryDirectory() as place:
            marker = Path(place) / "marker"
            while time.monotonic() < self._ends_at:
                code = self._listen(job, seed, marker)
                if code is None:
                    return
                kind, last = marker.read_text().split()
                self._died(kind, int(last), code)
                seed = int(last) // KINDS[kind].weight + self._jobs

    def _listen(self, job: int, seed: int, marker: Path) -> int | None:
        """Read what a child says; return its exit code, or None at the end."""
        command = [sys.executable, "-m", "tests.fuzz.child", str(marker), str(seed)]
        child = subprocess.Popen(
            [*command, str(self._jobs)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for line in child.stdout:
            with self._lock:
                self._take(job, json.loads(line))
            if time.monotonic() > self._ends_at:
                child.kill()
                child.wait()
                return None
        return child.wait()

    def _take(self, job: int, said: dict[str, Any]) -> None:
        if "finding" in said:
            self._keep(said)
            return
        self.ends.update(said["ends"])
        self.slowest = max(self.slowest, said["slowest"])
        self._judged[job] += sum(said["ends"].values())
        self.rss_kib[job] = said["rss_kib"]
        if self._judged[job] > WARM_PROGRAMS:
            self.warm_rss_kib.setdefault(job, said["rss_kib"])

    def _died(self, kind: str, seed: int, code: int) -> None:
        what = f"the process ended with {code}"
        source = KINDS[kind].make(seed)
        said = {"kind": kind, "seed": seed, "details": "", "source": source}
        with self._lock:
            self._keep({"finding": what, **said})

    def _keep(self, said: dict[str, Any]) -> None:
        problem = said["finding"]
        if problem in self.findings:
            return
        KEPT.mkdir(exist_ok=True)
        path = KEPT / f"{said['kind']}-{said['seed']}.star"
        path.write_text(said["source"], encoding="utf-8", errors="surrogatepass")
        self.findings[problem] = str(path)
        say(f"\n===== {problem}\n{said['details']}\n----- {path}\n{said['source']}\n")

    def report(self) -> None:
        """Say where it stands."""
        with self._lock:
            minutes = (time.monotonic() - self._began) / 60
            memory = ", ".join(
                f"{self.warm_rss_kib.get(job, 0) >> 10} -> {kib >> 10} MiB"
                for job, kib in sorted(self.rss_kib.items())
            )
            say(
                f"{minutes:.1f} min: {self.ends.total()} programs, "
                f"{len(self.findings)} findings; memory warm -> now: {memory}; "
                f"slowest {' '.join(map(str, self.slowest))} (CPU seconds, kind, seed)",
            )

    def leaks(self) -> bool:
        """Whether a process has grown since it was warm."""
        return any(
            self.rss_kib[job] - warm > GROWTH_KIB_MAX
            for job, warm in self.warm_rss_kib.items()
        )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--start", type=int, default=100_000, help="the first seed")
    options = parser.parse_args()
    fuzzing = Fuzzing(options.minutes, options.jobs, options.start)
    fuzzing.run()
    for end, count in sorted(fuzzing.ends.items()):
        say(f"{count:9}  {end}")
    if fuzzing.leaks():
        say("the memory grows")
    return 1 if fuzzing.findings or fuzzing.leaks() else 0


if __name__ == "__main__":
    sys.exit(main())
