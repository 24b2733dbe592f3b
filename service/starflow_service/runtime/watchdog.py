"""Names the run that holds the loop, and leaves its name where a crash cannot take it.

A script gives the loop back after a slice.  One that does not has found something that
is not counted: a defect of ours, and whoever mends it must know where it is.  A thread
looks at the loop's thread from outside, for what never ends, and every slice is looked
at when it is over, for what held the interpreter itself so that no thread could look.
"""

import sys
import threading
from typing import Final

import structlog

from starflow_service.runtime.clock import Clock
from starflow_service.runtime.strikes import Mark
from starflow_service.starlark.errors import Abort, LimitError
from starflow_service.starlark.trace import live_stack

log = structlog.get_logger()

_LOOK_S: Final = 0.1


class Watchdog:
    """Watches the run that computes."""

    def __init__(self, clock: Clock, mark: Mark | None, held_s: float) -> None:
        self.mark = mark
        # How many slices were named.
        self.held_count = 0
        # How many scripts got past their budget and found no memory left.
        self.out_of_memory_count = 0
        self._clock = clock
        self._held_s = held_s
        self._loop_thread = threading.get_ident()
        self._run = ""
        self._since = 0.0
        # Since when the slice that was named last is under way.
        self._named = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog")

    def open(self) -> None:
        """Begin to watch the calling thread."""
        self._loop_thread = threading.get_ident()
        self._thread.start()

    def close(self) -> None:
        """Stop watching; the server stops in peace."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.mark is not None:
            self.mark.close()

    def enter(self, run: str, name: str, version: int) -> None:
        """
        *run* is about to compute.

        What the mark holds is *name*, which is not the run's as long as no store does.
        """
        if self.mark is not None:
            self.mark.enter(name, version)
        self._since = self._clock.monotonic()
        self._run = run

    def leave(self) -> None:
        """It has stopped to compute."""
        run, self._run = self._run, ""
        if self.mark is not None:
            self.mark.leave()
        held_s = self._clock.monotonic() - self._since
        if held_s >= self._held_s:
            self._name(run, self._since, held_s, [])

    def look_at(self, run: str, abort: Abort | None) -> None:
        """Say it if *abort* shows that something is not counted."""
        if isinstance(abort, LimitError) and abort.limit == "memory":
            self.out_of_memory_count += 1
            times = self.out_of_memory_count
            frames = list(map(str, abort.stack))
            log.error("watchdog.out_of_memory", run=run, frames=frames, times=times)

    def _watch(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            run, since = self._run, self._since
            held_s = self._clock.monotonic() - since
            if run and held_s >= self._held_s and since != self._named:
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001
                self._name(run, since, held_s, list(map(str, live_stack(frame))))

    def _name(self, run: str, since: float, held_s: float, stack: list[str]) -> None:
        """Say it, once at the time it is seen and once when it is over."""
        if since != self._named:
            self._named = since
            self.held_count += 1
        log.error(
            "watchdog.loop_held",
            run=run,
            held_s=round(held_s, 3),
            # Not "stack": structlog takes that for text.
            frames=stack,
            times=self.held_count,
        )
