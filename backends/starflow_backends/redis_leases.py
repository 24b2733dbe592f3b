"""Which partitions are this server's, and since when: leases, epochs, counts.

A claim gives a partition a new epoch.  Every append names it, and Redis refuses what
comes with another.  The lease says when others may claim; it is renewed by the keeper
of `redis_ways`, over each new connection before anything else.

Redis counts the appends of each partition.  A renewal that finds less than was
acknowledged has met a Redis that went back in time: one restored, or a replica that
was promoted before it had everything.  So has one that finds another epoch, which began
at less.  Then the runs that lost events are marked in the store, so that nobody
continues them, and the partition is lost: all that is known of its runs is dropped.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from starflow_backends import redis_script as script
from starflow_backends.redis_errors import store_error
from starflow_backends.redis_history import History
from starflow_backends.redis_layout import lost_value
from starflow_backends.redis_link import Link
from starflow_backends.redis_owner import Owner
from starflow_backends.redis_wire import Pipe, ReplyError
from starflow_backends.shared import PartitionState, Replica
from starflow_backends.store import (
    NotOwnerError,
    StoreError,
    UnsafeError,
)

_NOBODY = b""
_MS_NS = 1_000_000


@dataclass(slots=True)
class _Claim:
    """What is known of a partition that was claimed, and may still be ours."""

    epoch: bytes
    history: History
    # By the clock of the event loop: until then nobody else can have it.
    until: float
    # Somebody has said that it is not ours: it is not used before that is clear.
    is_doubtful: bool = False


class Leases:
    """The partitions of this server, and its membership."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._owner = Owner.here()
        self._claims: dict[int, _Claim] = {}
        # By partition: the epoch for appends, empty where there is none.
        self.epochs: list[bytes] = []
        self._lost: set[int] = set()
        self._is_news = asyncio.Event()
        # What is told of this server, if it is a member.
        self._membership: bytes | None = None
        self._owned: frozenset[int] = frozenset()
        self._owned_until = 0.0
        link.ways.upkeep = self

    @property
    def replica_id(self) -> str:
        """Who this server is, in this life."""
        return self._owner.id

    # Membership

    async def join(self, address: str, version: str) -> None:
        """See `SharedStore.join`."""
        told = {"address": address, "version": version}
        self._membership = json.dumps(told).encode()
        await self._tell_members(self._link.address.lease_ms)

    async def leave(self) -> None:
        """See `SharedStore.leave`."""
        await asyncio.gather(*(self.release(number) for number in list(self._claims)))
        if self._membership is not None:
            self._membership = None
            await self._tell_members(0)

    async def replicas(self) -> list[Replica]:
        """See `SharedStore.replicas`."""
        found = [_replica(each) for each in await self._members(b"", 0, b"")]
        return sorted(found, key=lambda replica: (replica.started_ns, replica.id))

    async def _tell_members(self, lease_ms: int) -> None:
        kept = self._membership or b""
        await self._members(self.replica_id.encode(), lease_ms, kept)

    async def _members(self, replica: bytes, lease_ms: int, kept: bytes) -> list[Any]:
        keys = [self._link.keys.members]
        arguments = [replica, b"%d" % lease_ms, kept]
        found: list[Any] = await self._link.run(script.MEMBERS, keys, arguments)
        return found

    async def stay_member(self) -> None:
        """See `Upkeep.stay_member`."""
        if self._membership is not None:
            await self._tell_members(self._link.address.lease_ms)

    # Ownership

    @property
    def owned(self) -> frozenset[int]:
        """See `SharedStore.owned`."""
        if not self._claims:
            return frozenset()
        now = asyncio.get_running_loop().time()
        if now >= self._owned_until:
            sure = {
                number: claim.until
                for number, claim in self._claims.items()
                if claim.until > now and not claim.is_doubtful
            }
            self._owned = frozenset(sure)
            self._owned_until = min(sure.values(), default=now)
        return self._owned

    @property
    def claimed(self) -> list[int]:
        """The partitions that were claimed, and not lost since; in order."""
        return sorted(self._claims)

    def _claims_changed(self) -> None:
        self._owned_until = 0.0
        self.epochs = [_NOBODY] * len(self._link.keys.partitions)
        for number, claim in self._claims.items():
            if not claim.is_doubtful:
                self.epochs[number] = claim.epoch

    def check(self, number: int) -> None:
        """
        Make sure that *number* can be appended to.

        Raises:
            NotOwnerError: It is not this server's.
        """
        if not self.epochs or self.epochs[number] == _NOBODY:
            raise NotOwnerError(number)

    async def claim(self, number: int) -> bool:
        """See `SharedStore.claim`."""
        if number in self._claims:
            return not self._claims[number].is_doubtful
        link, owner = self._link, self._owner
        lease_ms = link.address.lease_ms
        dead = b""
        while True:
            began = asyncio.get_running_loop().time()
            status, *rest = await link.run(
                script.CLAIM,
                [link.keys.partitions[number].partition],
                [
                    link.store_id,
                    str(owner).encode(),
                    owner.nonce.encode(),
                    b"%d" % lease_ms,
                    dead,
                ],
            )
            if status == b"ok":
                until = began + lease_ms / 1000
                self._claims[number] = _Claim(rest[0], History(rest[1], began), until)
                self._lost.discard(number)
                self._claims_changed()
                return True
            if status != b"held":
                raise self._refuse(status)
            if dead == rest[0] or not owner.knows_dead(Owner.read(rest[0].decode())):
                return False
            dead = rest[0]

    async def release(self, number: int) -> None:
        """See `SharedStore.release`."""
        claim = self._claims.pop(number, None)
        self._claims_changed()
        if claim is None:
            return
        keys = [self._link.keys.partitions[number].partition]
        try:
            pipe = self._link.ways.pipe_now(number)
            arguments = [self._link.store_id, b"0", claim.epoch]
            await self._link.run_over(pipe, script.RENEW, keys, arguments)
        except (StoreError, ReplyError):
            # Then it is free when its lease is over.
            return

    async def states(self) -> list[PartitionState]:
        """See `SharedStore.partition_states`."""
        link = self._link
        groups = link.groups(range(len(link.keys.partitions)))
        answers = await asyncio.gather(
            *(
                link.run(
                    script.STATES, [link.keys.partitions[n].partition for n in ns], []
                )
                for ns in groups
            )
        )
        states = [
            _state(number, found)
            for numbers, answer in zip(groups, answers, strict=True)
            for number, found in zip(numbers, answer, strict=True)
        ]
        return sorted(states, key=lambda state: state.number)

    # What becomes of claims

    def acknowledged(self, number: int, count: int, run: str, version: int) -> None:
        """An append with events to *run* was acknowledged, as the *count*-th."""
        claim = self._claims.get(number)
        if claim is not None:
            claim.history.append(count, run, version)

    def seen(self, number: int, count: int) -> None:
        """A change of the index was acknowledged."""
        claim = self._claims.get(number)
        if claim is not None:
            claim.history.see(count)

    def doubt(self, number: int, owner: str) -> NotOwnerError:
        """Somebody else seems to have a partition; return what to tell who asked."""
        claim = self._claims.get(number)
        if claim is not None and not claim.is_doubtful:
            claim.is_doubtful = True
            self._claims_changed()
            # What has become of it is known once its lease is renewed.
            self._link.ways.nudge()
        return NotOwnerError(number, Owner.read(owner).words if owner else "")

    async def wait_lost(self) -> frozenset[int]:
        """See `SharedStore.wait_lost_partitions`."""
        while not self._lost:
            self._is_news.clear()
            await self._is_news.wait()
        lost, self._lost = frozenset(self._lost), set()
        return lost

    async def renew(self, pipe: Pipe, numbers: Sequence[int]) -> None:
        """See `Upkeep.renew`."""
        mine = {n: self._claims[n] for n in numbers if n in self._claims}
        groups = self._link.groups(list(mine))
        await asyncio.gather(
            *(self._renew_group(pipe, {n: mine[n] for n in group}) for group in groups)
        )

    async def _renew_group(self, pipe: Pipe, claims: dict[int, _Claim]) -> None:
        link = self._link
        lease_ms = link.address.lease_ms
        began = asyncio.get_running_loop().time()
        answers = await link.run_following(
            pipe,
            script.RENEW,
            [link.keys.partitions[number].partition for number in claims],
            [
                link.store_id,
                b"%d" % lease_ms,
                *(claim.epoch for claim in claims.values()),
            ],
        )
        for (number, claim), answer in zip(claims.items(), answers, strict=True):
            status, count, _ = (*answer, 0, b"")[:3]
            if self._claims.get(number) is not claim:
                # It was released meanwhile.
                continue
            if status == b"ok" and count >= claim.history.count:
                claim.until = began + lease_ms / 1000
                claim.is_doubtful = False
                claim.history.grow_old(began)
            elif status in (b"ok", b"lost"):
                await self._lose(pipe, number, claim, count)
            else:
                raise self._refuse(status)
        self._claims_changed()

    async def _lose(self, pipe: Pipe, number: int, claim: _Claim, count: int) -> None:
        """Drop a partition; mark the runs that lost what came after it."""
        claim.is_doubtful = True
        self._claims_changed()
        runs = claim.history.lost_after(count)
        if runs is None:
            raise self._link.lose(
                UnsafeError(
                    f"{self._link.address.shown} went back in time: partition {number}"
                    f" is at append {count}, {claim.history.count} was acknowledged,"
                    " and there are too many runs between to know which lost events"
                )
            )
        marks = (self._mark(pipe, number, claim, run, v) for run, v in runs.items())
        await asyncio.gather(*marks)
        if self._claims.get(number) is claim:
            del self._claims[number]
        self._lost.add(number)
        self._is_news.set()

    async def _mark(
        self, pipe: Pipe, number: int, claim: _Claim, run: str, version: int
    ) -> None:
        keys = self._link.keys.partitions[number]
        arguments = [claim.epoch, b"%d" % version, lost_value(run, version)]
        try:
            await self._link.run_over(
                pipe, script.MARK, [keys.partition, keys.run + run.encode()], arguments
            )
        except ReplyError as error:
            raise store_error(error, run) from error

    def _refuse(self, status: bytes) -> StoreError:
        if status == b"another":
            return self._link.is_another()
        return self._link.is_gone()


def _replica(found: Iterable[Any]) -> Replica:
    replica, left_ms, began_ms, kept = found
    try:
        told = json.loads(kept)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        told = {}
    return Replica(
        id=replica.decode(errors="replace"),
        address=str(told.get("address", "")),
        version=str(told.get("version", "")),
        started_ns=int(began_ms) * _MS_NS,
        lease_left_s=left_ms / 1000,
    )


def _state(number: int, found: Sequence[Any]) -> PartitionState:
    epoch, owner, left_ms, runs = found
    return PartitionState(
        number=number,
        epoch=int(epoch.partition(b"-")[0] or 0),
        owner=Owner.read(owner.decode(errors="replace")).id if owner else "",
        lease_left_s=left_ms / 1000,
        runs=runs,
    )
