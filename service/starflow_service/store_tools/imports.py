"""Reads runs out of a file into a store.

It may be done again, after it was broken off or because nobody knows whether it was
done: what is there already stays as it is.  A run whose log is there with other events
is a conflict, and left alone; so is one whose log was deleted.

A log of many events comes in several appends.  Until the last one the run is parked in
such a way that no server touches it.
"""

from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from starflow_backends.store import Append, DeletedError, Phase, Store, StoredRun
from starflow_service.runtime.notes import Note, Pause
from starflow_service.runtime.types import PauseReason
from starflow_service.store_tools import lines
from starflow_service.store_tools.exports import SPACES
from starflow_service.store_tools.lines import FORM, Reader
from starflow_service.store_tools.progress import Progress
from starflow_service.store_tools.runs import all_events

# Events that go into the store in one append, and their bytes.
_EVENTS_MAX = 1_000
_BYTES_MAX = 8 << 20
_UNFINISHED = Note(
    Pause(PauseReason.CRASH_LOOP, "its import was broken off: import it again")
).encode()


@dataclass(slots=True)
class Outcome:
    """What became of the runs of a file."""

    imported: int = 0
    events: int = 0
    # There already, as they were exported or further on.
    present: int = 0
    # Left alone, and why.
    conflicts: dict[str, str] = field(default_factory=dict)


async def import_runs(store: Store, reader: Reader) -> Outcome:
    """
    Bring the runs of a file into *store*, which nobody else writes to.

    Raises:
        FileError: The file is damaged; what came before that is imported.
    """
    outcome, progress = Outcome(), Progress("imported")
    head = reader.next()
    if head is None or head.get("export") != FORM:
        raise reader.error(f"it is no export that this release can read (form {FORM})")
    while (line := reader.next()) is not None:
        if "run" in line:
            await _Import(store, reader, outcome, line).run()
            progress.add(line["events"])
        elif "record" in line:
            await _put_record(store, reader, line["record"])
        elif "queue" in line:
            await _set_queue(store, line["queue"])
        elif "end" in line:
            if line["end"] != [progress.runs, progress.events]:
                raise reader.error("runs or events are missing before it")
            return outcome
        else:
            raise reader.error("it is no line of an export")
    raise reader.error("the file was cut off")


async def _put_record(store: Store, reader: Reader, record: list[str]) -> None:
    space, key, value = record
    if space not in SPACES:
        raise reader.error("it is no record of an export")
    await store.put_record(space, key, lines.bytes_of(value), replace=False)


async def _set_queue(store: Store, value: list[Any]) -> None:
    name, limits = lines.queue_of(value)
    if name not in await store.queues():
        await store.set_queue(name, limits)


class _Import:
    """One run on its way into the store."""

    def __init__(
        self, store: Store, reader: Reader, outcome: Outcome, line: dict[str, Any]
    ) -> None:
        self._store = store
        self._reader = reader
        self._outcome = outcome
        self._key: str = line["run"]
        self._stored = lines.stored_run(line)
        # How many events are in the store, and the checksum of those and their places.
        self._version = 0
        self._crc = 0

    async def run(self) -> None:
        """Import it, unless something is there already."""
        present = await self._store.load(self._key)
        is_same = True
        if present is not None:
            is_same = await self._compare(present)
        if present is None or _is_unfinished(present):
            if is_same:
                await self._append_all()
                return
        elif is_same:
            self._outcome.present += 1
        await self._skip()
        if not is_same:
            self._outcome.conflicts[self._key] = "its log is there with other events"

    async def _compare(self, present: StoredRun) -> bool:
        """
        Read the events that are there, as far as the file has them; are they the same?

        A run that is there in part is continued after them.
        """
        count = min(present.version, self._stored.version)
        async for event in all_events(self._store, self._key, count):
            if self._next_event() != event:
                return False
        # A log that ends earlier, and was not being imported, is another one.
        return _is_unfinished(present) or present.version >= self._stored.version

    async def _append_all(self) -> None:
        try:
            while self._version < self._stored.version:
                await self._append(self._next_events())
            if not self._stored.version:
                await self._append([])
        except DeletedError:
            await self._skip()
            self._outcome.conflicts[self._key] = "it was deleted here"
            return
        self._outcome.imported += 1
        self._outcome.events += self._stored.version

    async def _append(self, events: list[bytes]) -> None:
        stored, key = self._stored, self._key
        before = self._version - len(events)
        append_id = f"import.{self._version}.{self._crc:08x}"
        if self._version < stored.version:
            append = Append(
                key, before, append_id, events, Phase.PAUSED, note=_UNFINISHED
            )
        else:
            append = Append(
                key,
                before,
                append_id,
                events,
                stored.phase,
                stored.timers,
                stored.attempts,
                stored.note,
                entry=stored.entry,
            )
        await self._store.append(append)

    def _next_events(self) -> list[bytes]:
        events: list[bytes] = []
        size = 0
        while self._version < self._stored.version:
            event = self._next_event()
            events.append(event)
            size += len(event)
            if len(events) == _EVENTS_MAX or size >= _BYTES_MAX:
                break
        return events

    def _next_event(self) -> bytes:
        line = self._reader.next()
        if line is None or "e" not in line:
            raise self._reader.error(f"an event of run {self._key} is missing")
        event = lines.bytes_of(line["e"])
        self._version += 1
        self._crc = crc32(event, self._crc)
        return event

    async def _skip(self) -> None:
        """Read the rest of the run, so that the next line is the next run's."""
        while self._version < self._stored.version:
            self._next_event()


def _is_unfinished(present: StoredRun) -> bool:
    return present.phase is Phase.PAUSED and present.note == _UNFINISHED
