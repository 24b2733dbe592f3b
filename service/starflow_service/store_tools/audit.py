"""Checks that a store has kept what it promised, and its index against its logs.

Of each run: every event has its checksum, its place and a meaning, the log follows the
grammar of logs, and its script is there.  Then the index is derived from the log again,
as a server that starts would, and compared.  Last, lists are compared with the entries
of the runs.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from starflow_backends.store import (
    CorruptError,
    Phase,
    Query,
    Store,
    StoredRun,
)
from starflow_service.engine.errors import LogCorruptError
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.index import adopt, changed_entry
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.world import NamespaceSources
from starflow_service.store_tools.progress import Progress
from starflow_service.store_tools.runs import all_events, all_runs

_PAGE = 500
# More are counted, and not told one by one.
_PROBLEMS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be."""

    # Empty: it is of no run.
    run: str
    # 0: it is of no event.
    version: int
    words: str

    def __str__(self) -> str:
        event = f", event {self.version}" if self.version else ""
        return f"run {self.run}{event}: {self.words}" if self.run else self.words


@dataclass(slots=True)
class Report:
    """What was found."""

    runs: int = 0
    events: int = 0
    scripts: int = 0
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, run: str, version: int, words: str) -> None:
        """Note a problem."""
        self.problem_count += 1
        if len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(Problem(run, version, words))


class Audit:
    """One check of one store, which nobody else writes to."""

    def __init__(self, store: Store) -> None:
        self.report = Report()
        self._store = store
        self._codec = ProtoCodec()
        self._progress = Progress("checked")
        # The scripts that runs name, with one of these runs.
        self._scripts: dict[str, str] = {}
        # Term to the runs that must be found by it.
        self._expected: dict[int, set[str]] = {}
        self._damaged: set[str] = set()

    async def run(self) -> Report:
        """Check all, and return what was found."""
        async for key in all_runs(self._store):
            await self._check_run(key)
        await self._check_scripts()
        await self._check_lists()
        self.report.runs = self._progress.runs
        self.report.events = self._progress.events
        return self.report

    async def _check_run(self, key: str) -> None:
        add = self.report.add
        try:
            stored = await self._store.load(key)
        except CorruptError as error:
            add(key, error.version, str(error))
            self._progress.add(0)
            self._damaged.add(key)
            return
        if stored is None:
            add(key, 0, "it is in the index, and is not there")
            return
        folded = await self._fold(key, stored.version)
        self._progress.add(stored.version)
        if stored.entry is not None:
            for term in stored.entry.terms:
                self._expected.setdefault(term, set()).add(key)
        if folded is not None:
            for words in self._differences(key, stored, *folded):
                add(key, 0, words)

    async def _fold(self, key: str, count: int) -> tuple[History, int] | None:
        """
        Return the state that the log leads to, and when it began.

        None if it cannot be followed.
        """
        history = History()
        version = create_ns = 0
        try:
            async for data in all_events(self._store, key, count):
                version += 1
                event = self._codec.decode(data)
                if event.version != version:
                    raise ValueError(f"it says that it is event {event.version}")
                history.apply(event)
                create_ns = create_ns or event.time_ns
        except CorruptError as error:
            self.report.add(key, error.version, str(error))
            return None
        except LogCorruptError as error:
            self.report.add(key, version, f"the log does not follow: {error}")
            return None
        except ValueError as error:
            self.report.add(key, version, str(error))
            return None
        if version < count:
            self.report.add(key, version + 1, "it is missing")
            return None
        if history.start is None:
            self.report.add(key, 0, "its log has no START")
            return None
        self._scripts.setdefault(history.start.script_hash, key)
        return history, create_ns

    def _differences(
        self, key: str, stored: StoredRun, history: History, create_ns: int
    ) -> Iterator[str]:
        """Yield what the index says otherwise than the log."""
        is_finished = history.finish is not None
        if is_finished != (stored.phase is Phase.FINISHED):
            # One that is to be looked at by the next server may have finished.
            if stored.phase is not Phase.RUNNABLE:
                yield f"its phase is {stored.phase.name}, and its log says otherwise"
            return
        if stored.phase is Phase.RUNNABLE:
            return
        run = _live(key, stored, history, self._codec)
        run.create_ns = create_ns
        if not is_finished and (run.pause is None) is (stored.phase is Phase.PAUSED):
            yield f"its phase is {stored.phase.name}, and its note says otherwise"
        elif stored.phase in (Phase.CALLING, Phase.DORMANT):
            calling = len(history.calls) > history.yields
            if calling != (stored.phase is Phase.CALLING):
                yield f"its phase is {stored.phase.name}, and its calls say otherwise"
        if run.due_timers() != dict(stored.timers):
            yield "its timers are not those that its log asks for"
        if not run.records.keys() <= history.calls.keys():
            yield "it has records of attempts of calls that are not open"
        run.listed = None
        if changed_entry(run) != stored.entry:
            yield "lists show it otherwise than its log says"

    async def _check_scripts(self) -> None:
        for script_hash, key in self._scripts.items():
            words = await self._script_problem(script_hash)
            if words:
                self.report.add(key, 0, f"its script {script_hash[:12]} {words}")
        self.report.scripts = len(self._scripts)

    async def _script_problem(self, script_hash: str) -> str:
        try:
            data = await self._store.get_record("script", script_hash)
        except CorruptError:
            return "is damaged"
        if data is None:
            return "is gone"
        is_same = hashlib.sha256(data).hexdigest() == script_hash
        return "" if is_same else "is another text than its hash says"

    async def _check_lists(self) -> None:
        for term, runs in self._expected.items():
            found = set()
            query: Query | None = Query([[term]], limit=_PAGE)
            while query is not None:
                page = await self._store.find(query)
                found |= {each.run for each in page.found}
                last = page.last
                query = last and Query([[term]], after=last, limit=_PAGE)
            for run in sorted(runs - found):
                self.report.add(run, 0, "lists do not find it")
            for run in sorted(found - runs - self._damaged):
                self.report.add(run, 0, "lists find it where they must not")


def _live(key: str, stored: StoredRun, history: History, codec: ProtoCodec) -> LiveRun:
    namespace, _, run_id = key.partition("/")
    run = LiveRun(key, namespace, run_id)
    adopt(run, stored, codec)
    run.ledger = Ledger(history, NamespaceSources(Clock(), {}))
    run.find_expiries()
    return run
