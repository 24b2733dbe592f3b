"""What the machine did meanwhile: processor time, memory, the speed of the disk."""

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

_BLOCK = bytes(4096)
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes have used up to a moment; seconds."""

    at_s: float
    # By the name that the process was given.
    cpu_s: dict[str, float]
    # Of all processors and all processes of the machine.
    machine_cpu_s: float


class Processes:
    """The processes of a workload, looked at from outside."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}

    def usage(self) -> Usage:
        """Return what they have used up to now."""
        cpu_s = {}
        for name, process in self._processes.items():
            times = process.cpu_times()
            cpu_s[name] = times.user + times.system
        machine = psutil.cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        # Linux counts the time of guests as time of users, too.
        busy = sum(machine) - idle - getattr(machine, "guest", 0.0)
        return Usage(time.monotonic(), cpu_s, busy)

    def memory_kib(self) -> dict[str, float]:
        """
        Return the proportional set size of each, in KiB.

        Unlike the resident set it counts what processes share only once.
        """
        return {
            name: process.memory_full_info().pss / _KIB
            for name, process in self._processes.items()
        }


@dataclass(frozen=True, slots=True)
class Work:
    """What was used between two moments."""

    begin: Usage
    end: Usage

    @property
    def elapsed_s(self) -> float:
        """How long it took."""
        return self.end.at_s - self.begin.at_s

    def cpu_s(self, name: str) -> float:
        """Return the processor time of one process, in seconds."""
        return self.end.cpu_s[name] - self.begin.cpu_s[name]

    @property
    def total_cpu_s(self) -> float:
        """The processor time of all processes of the workload."""
        return sum(self.cpu_s(name) for name in self.end.cpu_s)

    @property
    def other_cores_busy(self) -> float:
        """
        How many processors were busy with something else.

        Rates measured while this is not near zero say little.
        """
        machine_s = self.end.machine_cpu_s - self.begin.machine_cpu_s
        return max(0.0, (machine_s - self.total_cpu_s) / self.elapsed_s)


def durable_append_ms(place: Path, *, count: int = 100) -> float:
    """Return the median time of a durable append of 4 KiB to a file in *place*."""
    path = place / "appends"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    times = []
    # macOS has no fdatasync.
    sync = getattr(os, "fdatasync", os.fsync)
    try:
        for _ in range(count):
            began = time.perf_counter()
            os.write(fd, _BLOCK)
            sync(fd)
            times.append(time.perf_counter() - began)
    finally:
        os.close(fd)
        path.unlink()
    return statistics.median(times) * 1000
