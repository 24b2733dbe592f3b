"""Runs in one file: the default, which needs no server of its own."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from starflow_backends import sqlite_find as find
from starflow_backends import sqlite_index as index
from starflow_backends import sqlite_permits as permits
from starflow_backends.lock import FileLock
from starflow_backends.sqlite_commit import Committer
from starflow_backends.sqlite_errors import translated
from starflow_backends.sqlite_schema import open_reader, open_writer
from starflow_backends.sqlite_writer import Writer
from starflow_backends.store import (
    Append,
    CorruptError,
    DueTimers,
    Durability,
    Page,
    PermitAnswer,
    PermitRequest,
    Phase,
    Query,
    QueueLimits,
    QueueState,
    StoredRun,
    UnavailableError,
)

T = TypeVar("T")
# So that one long read does not make all others wait.
_READERS = 2


class SqliteStore:
    """
    A `Store` in a SQLite database.

    One thread writes and commits in groups, others read; the event loop never touches
    the disk.  The database belongs to one open store at a time: `PATH.lock` says whose.
    A store is opened once; to open the database again, make another.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], int] = time.time_ns,
        work_max: int = 1_024,
    ) -> None:
        # By its real name, so that there is one lock for a file however it is called.
        self._path = Path(path).resolve()
        self._clock = clock
        self._work_max = work_max
        self._lock = FileLock(self._path)
        self._committer: Committer | None = None
        self._writer: Writer | None = None
        self._closing: asyncio.Future[None] | None = None
        self._threads = ThreadPoolExecutor(_READERS, "starflow-sqlite-read")
        # Those that no thread is reading with.
        self._readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()

    @property
    def kind(self) -> str:
        return "sqlite"

    @property
    def durability(self) -> Durability:
        return Durability.DISK

    async def open(self) -> None:
        committer = await asyncio.to_thread(self._open)
        loop = asyncio.get_running_loop()
        self._writer = Writer(committer, loop, self._work_max)

    async def close(self) -> None:
        # Once begun it goes on to its end, whoever waits for it or gives up waiting.
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._finish())
        await asyncio.shield(self._closing)

    def append(self, append: Append) -> Awaitable[None]:
        return self._open_writer.append(append)

    async def load(self, run: str) -> StoredRun | None:
        return await self._read(partial(index.load, run=run), run)

    async def read(
        self, run: str, *, from_version: int = 1, limit: int | None = None
    ) -> list[bytes]:
        query = partial(index.read, run=run, from_version=from_version, limit=limit)
        return await self._read(query, run, from_version)

    async def runs_in(
        self,
        phases: Sequence[Phase],
        *,
        after: str = "",
        limit: int = 1000,
        partitions: Collection[int] | None = None,
    ) -> list[str]:
        if partitions is not None and 0 not in partitions:
            return []
        query = partial(index.runs_in, phases=phases, after=after, limit=limit)
        return await self._read(query)

    async def find(self, query: Query) -> Page:
        return await self._read(partial(find.find, query=query))

    async def delete(
        self, run: str, *, expected_version: int, tombstone_ns: int
    ) -> bool:
        def operation(connection: sqlite3.Connection) -> bool:
            now_ns = self._clock()
            find.forget_tombstones(connection, now_ns)
            until_ns = now_ns + tombstone_ns
            return find.delete(connection, run, expected_version, until_ns)

        return await self._open_writer.operate_alone(operation)

    async def timers_due(self, *, limit: int = 1000) -> DueTimers:
        query = partial(index.timers_due, now_ns=self._clock(), limit=limit)
        return await self._read(query)

    async def put_record(
        self, space: str, key: str, value: bytes, *, replace: bool = True
    ) -> bytes:
        operation = partial(
            index.put_record, space=space, key=key, value=value, replace=replace
        )
        return await self._open_writer.operate(operation)

    async def get_record(self, space: str, key: str) -> bytes | None:
        return await self._read(partial(index.get_record, space=space, key=key))

    async def scan_records(self, space: str) -> dict[str, bytes]:
        return await self._read(partial(index.scan_records, space=space))

    async def clear_index(self) -> None:
        await self._open_writer.operate_alone(index.clear_index)

    async def set_queue(self, name: str, limits: QueueLimits | None) -> bool:
        return await self._open_writer.operate(
            lambda connection: permits.set_queue(
                connection, name, limits, self._clock() // 1000
            )
        )

    async def permits(self, request: PermitRequest) -> PermitAnswer:
        # By the clock when the writer comes to it, not when it was asked.
        return await self._open_writer.operate(
            lambda connection: permits.permits(
                connection, request, self._clock() // 1000
            )
        )

    async def queues(self) -> dict[str, QueueState | CorruptError]:
        now_us = self._clock() // 1000
        return await self._read(partial(permits.queues, now_us=now_us))

    async def _finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer:
            await writer.close()
        await asyncio.to_thread(self._close)

    @property
    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise UnavailableError("the store is not open")
        return self._writer

    async def _read(
        self,
        query: Callable[[sqlite3.Connection], T],
        run: str = "",
        version: int = 0,
    ) -> T:
        if self._writer is None:
            raise UnavailableError("the store is not open")
        loop = asyncio.get_running_loop()
        with translated(run, version):
            return await loop.run_in_executor(self._threads, self._on_reader, query)

    # What follows blocks, and runs in other threads.

    def _on_reader(self, query: Callable[[sqlite3.Connection], T]) -> T:
        # As many connections as threads: this one never waits.
        connection = self._readers.get_nowait()
        try:
            return query(connection)
        finally:
            self._readers.put(connection)

    def _open(self) -> Committer:
        try:
            with translated():
                return self._open_all()
        except OSError as error:
            self._close()
            raise UnavailableError(f"{self._path}: {error.strerror}") from error
        except BaseException:
            self._close()
            raise

    def _open_all(self) -> Committer:
        self._lock.acquire()
        self._committer = Committer(open_writer(self._path), self._clock)
        for _ in range(_READERS):
            self._readers.put(open_reader(self._path))
        return self._committer

    def _close(self) -> None:
        self._threads.shutdown()
        # The connection that is closed last takes a checkpoint: it is the writing one.
        while not self._readers.empty():
            self._readers.get_nowait().close()
        if self._committer:
            self._committer.close()
            self._committer = None
        self._lock.release()
