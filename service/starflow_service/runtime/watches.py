"""Waiting for a run to change: long polls of runs, and followed logs."""

import asyncio
from collections import defaultdict
from collections.abc import Callable


class Watch:
    """One party that waits for one run.  Use it as a context manager."""

    def __init__(self, watches: "Watches", run: str, *, every_change: bool) -> None:
        self._watches = watches
        self._run = run
        self._every_change = every_change
        self._changed = asyncio.Event()

    def __enter__(self) -> "Watch":
        self._watches.add(self._run, self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watches.discard(self._run, self)

    def notify(self, *, is_at_rest: bool) -> None:
        """The run changed; *is_at_rest* says that no worker has to do anything."""
        if is_at_rest or self._every_change:
            self._changed.set()

    async def wait(self, timeout_s: float) -> bool:
        """
        Wait until the run has changed since the last wait; return False on time-out.

        Enter the watch before looking at the run, so that no change falls between.
        """
        if timeout_s <= 0 or self._watches.closed:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return not self._watches.closed


class Watches:
    """Who waits for which run."""

    def __init__(self) -> None:
        self.closed = False
        self._by_run: defaultdict[str, set[Watch]] = defaultdict(set)

    def watch(self, run: str, *, every_change: bool = True) -> Watch:
        """
        Return a watch of *run*, to be entered.

        Without *every_change* it is told only when the run comes to rest: it finished,
        or waits for a timer or a signal, or was parked.
        """
        return Watch(self, run, every_change=every_change)

    def add(self, run: str, watch: Watch) -> None:
        """Begin to tell *watch* of changes."""
        self._by_run[run].add(watch)

    def discard(self, run: str, watch: Watch) -> None:
        """Tell *watch* no more."""
        watches = self._by_run[run]
        watches.discard(watch)
        if not watches:
            del self._by_run[run]

    def notify(self, run: str, *, is_at_rest: bool) -> None:
        """*run* changed."""
        for watch in self._by_run.get(run, ()):
            watch.notify(is_at_rest=is_at_rest)

    def wake(self, concerned: Callable[[str], bool]) -> None:
        """Let all look who watch a run that is *concerned*."""
        for run in [run for run in self._by_run if concerned(run)]:
            self.notify(run, is_at_rest=True)

    def close(self) -> None:
        """End all waiting, now and from now on."""
        self.closed = True
        for watches in self._by_run.values():
            for watch in watches:
                watch.notify(is_at_rest=True)
