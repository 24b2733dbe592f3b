"""Runs in Redis: the store for production.

`redis_layout` shows the keys, `redis_link` the way to them, `redis_leases` who may
write, and `redis_append.lua` what an append is.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from starflow_backends import redis_rows as rows
from starflow_backends import redis_script as script
from starflow_backends.redis_appends import Appends
from starflow_backends.redis_deletions import Deletions
from starflow_backends.redis_find import FindQuery
from starflow_backends.redis_layout import (
    PartitionKeys,
    head_crc,
    record_of,
    record_value,
)
from starflow_backends.redis_leases import Leases
from starflow_backends.redis_link import Link
from starflow_backends.redis_permits import RedisPermits
from starflow_backends.redis_runs import RunsQuery
from starflow_backends.redis_url import read_url
from starflow_backends.shared import PartitionState, Replica
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
    StoreError,
)

# Events that one answer of Redis holds: they may have a megabyte each.
_EVENTS_MAX = 200
_RUNS_SCANNED = b"1000"


class RedisStore:
    """
    A `SharedStore` in Redis, which refuses to be weaker than *durability*.

    *tell* is told, for a person, when the connection breaks and when it is back.  A
    store is opened once; to open it again, make another.
    """

    def __init__(
        self,
        url: str,
        *,
        durability: Durability = Durability.DISK,
        tell: Callable[[str], None] = lambda words: None,
    ) -> None:
        """
        Take what the URL says.

        Raises:
            ValueError: It names no Redis.
        """
        self._durability = durability
        self._link = Link(read_url(url), durability, tell)
        self._leases = Leases(self._link)
        self._appends = Appends(self._link, self._leases)
        self._permits = RedisPermits(self._link)
        self._deletions = Deletions(self._link, self._leases)

    @property
    def kind(self) -> str:
        return "redis"

    @property
    def durability(self) -> Durability:
        return self._durability

    async def open(self) -> None:
        await self._link.open()

    async def close(self) -> None:
        with contextlib.suppress(StoreError):
            await self._leases.leave()
        await self._appends.close()
        await self._link.close()

    # Who shares it

    @property
    def partitions(self) -> int:
        return len(self._link.keys.partitions)

    @property
    def replica_id(self) -> str:
        return self._leases.replica_id

    def partition_of(self, run: str) -> int:
        return self._link.keys.number_of(run.encode())

    @property
    def owned(self) -> frozenset[int]:
        return self._leases.owned

    async def join(self, address: str, version: str) -> None:
        await self._leases.join(address, version)

    async def leave(self) -> None:
        await self._leases.leave()

    async def replicas(self) -> list[Replica]:
        return await self._leases.replicas()

    async def partition_states(self) -> list[PartitionState]:
        return await self._leases.states()

    async def claim(self, partition: int) -> bool:
        return await self._leases.claim(partition)

    async def release(self, partition: int) -> None:
        await self._leases.release(partition)

    async def wait_lost_partitions(self) -> frozenset[int]:
        return await self._leases.wait_lost()

    async def wait_lost(self) -> StoreError:
        assert self._link.loss is not None, "the store is not open"
        return await asyncio.shield(self._link.loss)

    def append(self, append: Append) -> Awaitable[None]:
        return self._appends.append(append)

    # What is in it

    async def load(self, run: str) -> StoredRun | None:
        fields = await self._fields(run)
        if b"lost" in fields:
            raise rows.loss_of(run, fields)
        return rows.stored_run(run, fields) if fields else None

    async def read(
        self, run: str, *, from_version: int = 1, limit: int | None = None
    ) -> list[bytes]:
        fields = await self._fields(run)
        if not fields:
            return []
        if b"version" not in fields and b"lost" in fields:
            raise rows.loss_of(run, fields)
        to_version = rows.checked_head(run, fields).version
        if limit is not None:
            to_version = min(to_version, from_version + limit - 1)
        keys, name = self._place(run)
        events: list[bytes] = []
        while (first := from_version + len(events)) <= to_version:
            count = min(_EVENTS_MAX, to_version + 1 - first)
            arguments = [b"%d" % first, b"%d" % to_version, b"%d" % count]
            answer = await self._link.run(
                script.READ, [keys.log + name], arguments, run
            )
            events += rows.events_of(run, first, count, answer)
        return events

    async def runs_in(
        self,
        phases: Sequence[Phase],
        *,
        after: str = "",
        limit: int = 1000,
        partitions: Collection[int] | None = None,
    ) -> list[str]:
        looked_in = self._leases.claimed if partitions is None else partitions
        return await RunsQuery(self._link, phases, after, limit, looked_in).run()

    async def find(self, query: Query) -> Page:
        return await FindQuery(self._link, query).run()

    async def delete(
        self, run: str, *, expected_version: int, tombstone_ns: int
    ) -> bool:
        return await self._deletions.delete(run, expected_version, tombstone_ns)

    async def timers_due(self, *, limit: int = 1000) -> DueTimers:
        groups = self._link.groups(self._leases.claimed)
        if not groups:
            # Of no partition: any clock will do.
            now, _, _ = await self._timers_of([0], 0)
            return DueTimers(now_ns=int(now), due=[], next_due_ns=None)
        answers = await asyncio.gather(
            *(self._timers_of(numbers, limit + 1) for numbers in groups)
        )
        return rows.due_timers(answers, limit)

    async def _timers_of(self, numbers: list[int], limit: int) -> Any:
        keys = [self._link.keys.partitions[number].timers for number in numbers]
        return await self._link.run(script.TIMERS, keys, [b"%d" % limit])

    async def put_record(
        self, space: str, key: str, value: bytes, *, replace: bool = True
    ) -> bytes:
        place, stored = self._link.keys.records(space), record_value(space, key, value)
        command = b"HSET" if replace else b"HSETNX"
        await self._link.ask([command, place, key.encode(), stored])
        if replace:
            return value
        kept = await self.get_record(space, key)
        if kept is None:
            raise CorruptError("", 0, f"record {key} in {space} is gone")
        return kept

    async def get_record(self, space: str, key: str) -> bytes | None:
        place = self._link.keys.records(space)
        stored = await self._link.ask([b"HGET", place, key.encode()])
        return None if stored is None else record_of(space, key, stored)

    async def scan_records(self, space: str) -> dict[str, bytes]:
        found = await self._link.ask([b"HGETALL", self._link.keys.records(space)])
        names = [name.decode(errors="replace") for name in found[::2]]
        return {
            name: record_of(space, name, stored)
            for name, stored in zip(names, found[1::2], strict=True)
        }

    async def clear_index(self) -> None:
        for number in self._leases.claimed:
            keys = self._link.keys.partitions[number]
            cursor = b"0"
            while True:
                answer = await self._link.ask(
                    [
                        b"SCAN",
                        cursor,
                        b"MATCH",
                        _pattern(keys),
                        b"COUNT",
                        _RUNS_SCANNED,
                    ],
                    at=keys.partition,
                )
                cursor, found = answer
                names = [key.removeprefix(keys.run) for key in found]
                await asyncio.gather(*(self._clear(number, name) for name in names))
                if cursor == b"0":
                    break
            # Those of no run, or damaged.
            await self._link.ask([b"DEL", keys.timers, keys.found])

    async def set_queue(self, name: str, limits: QueueLimits | None) -> bool:
        return await self._permits.set_queue(name, limits)

    async def permits(self, request: PermitRequest) -> PermitAnswer:
        return await self._permits.permits(request)

    async def queues(self) -> dict[str, QueueState | CorruptError]:
        return await self._permits.queues()

    async def _clear(self, number: int, name: bytes) -> None:
        """Clear the index of a run, unless it is damaged: that must be seen."""
        run = name.decode(errors="replace")
        keys = self._link.keys.partitions[number]
        fields = await self._fields(run)
        try:
            head = rows.checked_head(run, fields)
        except CorruptError:
            return
        append_id = head.append_id
        crc = head_crc(run, head.version, int(Phase.RUNNABLE), append_id, b"")
        refused = await self._link.run(
            script.CLEAR,
            [keys.partition, keys.runs, keys.timers, keys.run + name, keys.found],
            [self._leases.epochs[number], name, append_id.encode(), crc.encode()],
            run,
        )
        if refused:
            raise self._leases.doubt(number, refused[1].decode())

    def _place(self, run: str) -> tuple[PartitionKeys, bytes]:
        name = run.encode()
        return self._link.keys.of_run(name), name

    async def _fields(self, run: str) -> dict[bytes, bytes]:
        keys, name = self._place(run)
        places = [keys.runs, keys.run + name, keys.log + name]
        found = await self._link.run(script.LOAD, places, [name], run)
        if isinstance(found, bytes):
            raise CorruptError(run, 0, found.decode())
        return dict(zip(found[::2], found[1::2], strict=True))


def _pattern(keys: PartitionKeys) -> bytes:
    # Neither tag nor prefix has a character that means something in a pattern.
    return keys.run + b"*"
