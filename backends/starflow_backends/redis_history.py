"""What a partition acknowledged: if it goes back, it is known what is missing."""

from collections.abc import Mapping

# Of how many runs it is known how far they were, and for how long at least.  What a
# primary can lose in a failover are its last seconds.
RUNS_MAX = 4096
REMEMBERED_S = 60.0

# Run to the number of its last append with events, and its version then; the run that
# was appended to last comes last.
_Runs = dict[str, tuple[int, int]]


class History:
    """The appends of one partition that were acknowledged since it was claimed."""

    __slots__ = ("_begun", "_earlier", "_forgotten", "_runs", "count")

    def __init__(self, count: int, now: float) -> None:
        # The highest number of appends that the partition has told.
        self.count = count
        # The highest number of an append with events whose run is not known any more.
        self._forgotten = count
        # Those since `_begun`, and those of the time before that.
        self._begun = now
        self._runs: _Runs = {}
        self._earlier: _Runs = {}

    def append(self, count: int, run: str, version: int) -> None:
        """An append with events, the *count*-th of the partition, was acknowledged."""
        self.see(count)
        runs = self._runs
        runs.pop(run, None)
        runs[run] = count, version
        if len(runs) > RUNS_MAX:
            self._forget(runs.pop(next(iter(runs)))[0])

    def see(self, count: int) -> None:
        """The partition has told that there were *count* appends."""
        if count > self.count:
            self.count = count

    def grow_old(self, now: float) -> None:
        """Forget what was long ago; *now* is by the clock that it began by."""
        if now - self._begun < REMEMBERED_S:
            return
        self._forget(max((count for count, _ in self._earlier.values()), default=0))
        self._begun, self._earlier, self._runs = now, self._runs, {}

    def lost_after(self, count: int) -> Mapping[str, int] | None:
        """
        Return the runs that lost events if the partition went back to *count* appends.

        Each comes with the version that it had.  None: it went back so far that nobody
        knows which.
        """
        # A claim that was lost as well tells nothing of what was before it.
        if 0 <= count < self._forgotten:
            return None
        runs = {**self._earlier, **self._runs}
        return {run: v for run, (number, v) in runs.items() if number > count}

    def _forget(self, count: int) -> None:
        self._forgotten = max(self._forgotten, count)
