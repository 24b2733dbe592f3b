"""What interpreters leave behind goes little by little.

A script may hold millions of values.  To free them all at once would keep everybody
waiting, so whoever drops an interpreter has it buried here.
"""

import asyncio
import contextvars

from starflow_service.engine.machine import Machine
from starflow_service.runtime.slices import Line
from starflow_service.starlark.remains import Remains


class Burials:
    """Ends machines, and gives back what they held as if they were computing."""

    def __init__(self, line: Line, context: contextvars.Context) -> None:
        self._line = line
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def bury(self, machine: Machine) -> None:
        """End *machine*; nobody uses it any more."""
        remains = machine.meter.remains
        machine.kill()
        if remains and not self._is_closed:
            giving = asyncio.create_task(
                self._line.give_back(Remains(remains)), context=self._context
            )
            self._tasks.add(giving)
            giving.add_done_callback(self._tasks.discard)

    @property
    def under_way(self) -> int:
        """How many have not given everything back yet."""
        return len(self._tasks)

    async def close(self) -> None:
        """Free the rest at once: the server ends."""
        self._is_closed = True
        for giving in self._tasks:
            giving.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
