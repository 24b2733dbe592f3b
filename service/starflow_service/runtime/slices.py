"""Lets scripts compute without being felt by others.

All scripts share the thread of the event loop, and a script that computes has it until
its slice ends.  What others feel of it is how long a slice is, how many scripts compute
in one round of the loop, and how much of the time is left between:

* **A slice is a time**, and half as long while others are about.  The meter counts
  steps; how many of them a slice has is fitted to what the last one took.
* **Only one script computes in a round of the loop.**  The first slice of a run is
  free, because most need no second.  For each further one it stands in line.
* **Who computes gives way.**  While the loop has other things to do, the line as a
  whole takes a share of the time and no more: each slice is followed by a rest.  When
  there is nothing else to do, it takes all.

Whether there are other things to do is seen from the CPU time that the loop took
between two slices.
"""

import asyncio
from typing import Final, Protocol

from starflow_service.runtime.clock import Clock
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.remains import Remains

# A script may turn from cheap steps to dear ones between two slices, so that the fewest
# and the most are bounds of what a wrong guess can do.
_STEPS_MIN: Final = 200
_STEPS_MAX: Final = 20_000
# Values given back in a slice.
_GIVEN_BACK: Final = 1_000
# The part of the time that computing scripts have while there are others.
_SHARE: Final = 0.2
# Less than this, in one round of the loop, is the loop itself and a passing timer.
_NOTICED_NS: Final = 100_000
# How long after it has seen others a script still gives way.
_WARY_S: Final = 0.02


class Sliced(Protocol):
    """What is computed: a machine, as far as slices need it."""

    @property
    def meter(self) -> Meter:
        """What the script has left."""
        ...


class Line:
    """The scripts that compute, one slice at a time."""

    def __init__(self, clock: Clock, slice_s: float) -> None:
        self.clock = clock
        self._slice_ns = int(slice_s * 1e9)
        self._turns = asyncio.Lock()
        self._wary_until = 0.0

    @property
    def is_wary(self) -> bool:
        """Whether there have been others of late."""
        return self.clock.monotonic() < self._wary_until

    @property
    def wanted_ns(self) -> int:
        """How long the next slice should take: half as long if others may wait."""
        return self._slice_ns // 2 if self.is_wary else self._slice_ns

    async def wait(self, used_ns: int) -> None:
        """Wait until another slice is due, after one that took *used_ns*."""
        async with self._turns:
            await self._look_around(0)
            if self.is_wary:
                await self._look_around(used_ns * (1 / _SHARE - 1) / 1e9)

    async def _look_around(self, pause_s: float) -> None:
        """Let others have the loop, and see whether there are any."""
        before = self.clock.cpu_ns()
        await asyncio.sleep(pause_s)
        if self.clock.cpu_ns() - before > _NOTICED_NS:
            self._wary_until = self.clock.monotonic() + _WARY_S

    async def give_back(self, remains: Remains) -> None:
        """Give back what a script has left, as if it were computing."""
        before = self.clock.cpu_ns()
        while remains.give_back(_GIVEN_BACK):
            await self.wait(self.clock.cpu_ns() - before)
            before = self.clock.cpu_ns()


class Computing:
    """What one run has had of the CPU since it last waited."""

    __slots__ = ("_activation", "_line", "_used_ns")

    def __init__(self, line: Line) -> None:
        self._line = line
        self._activation = 0
        self._used_ns = 0

    async def between(self, script: Sliced, slice_ns: int) -> None:
        """
        Wait for the next slice, after one that took *slice_ns*.

        The next one is made to fit, and to be the last if the script has had all the
        time that it may.
        """
        meter = script.meter
        if meter.activations != self._activation:
            # A replay has many activations in a slice; only the last one is going on.
            self._activation, self._used_ns = meter.activations, 0
        self._used_ns += slice_ns
        meter.is_out_of_time = self._used_ns > meter.limits.max_cpu_time_ns
        await self._line.wait(slice_ns)
        meter.slice_steps = fitted(meter.slice_steps, slice_ns, self._line.wanted_ns)


def fitted(steps: int, took_ns: int, wanted_ns: int) -> int:
    """Return how many steps take *wanted_ns* if *steps* took *took_ns*."""
    # Slowly up and fast down: one long native operation says that more may follow.
    ratio = min(1.5, wanted_ns / max(took_ns, 1))
    return int(max(_STEPS_MIN, min(_STEPS_MAX, steps * ratio)))
