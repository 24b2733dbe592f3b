"""A worker's own account of what it executed, which survives a kill -9.

One line an entry, each written by one call that appends: the kernel has it as soon as
the call returns, and two processes can write to one journal.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.system.histories import Execution


@dataclass(frozen=True)
class Entry:
    """A begin, end, fail or cancel of an execution."""

    what: str
    time_ns: int
    run_id: str
    call_version: int
    attempt: int
    task_id: str
    signal_id: str


class Journal:
    """The file of entries."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._counted = self._counted_bytes = 0

    def close(self) -> None:
        os.close(self._fd)

    def write(self, what: str, **facts: object) -> None:
        entry = {"what": what, "time_ns": time.time_ns(), **facts}
        os.write(self._fd, json.dumps(entry).encode() + b"\n")

    def entries(self, what: str = "begin") -> list[Entry]:
        """Return the entries so far, oldest first."""
        # Somebody may be at writing the last one.
        lines = self._path.read_bytes().rpartition(b"\n")[0].splitlines()
        entries = (Entry(**json.loads(line)) for line in lines)
        return [entry for entry in entries if entry.what == what]

    def count(self) -> int:
        """Return the number of entries of any kind; cheap enough to look often."""
        with self._path.open("rb") as file:
            file.seek(self._counted_bytes)
            news = file.read()
        self._counted_bytes += len(news)
        self._counted += news.count(b"\n")
        return self._counted

    def executions(self) -> list[Execution]:
        """Return what was begun."""
        failed = {(e.task_id, e.attempt) for e in self.entries("fail")}
        return [
            Execution(
                e.time_ns,
                e.run_id,
                e.call_version,
                e.attempt,
                has_failed=(e.task_id, e.attempt) in failed,
            )
            for e in self.entries()
        ]

    def of(self, run_id: str, what: str = "begin") -> list[Entry]:
        """Return the entries of one run."""
        return [entry for entry in self.entries(what) if entry.run_id == run_id]
