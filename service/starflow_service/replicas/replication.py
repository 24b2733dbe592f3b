"""A server among others on one store: everything of this room, put together."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from starflow.v1 import replica_service_pb2 as pb
from starflow_backends.shared import Replica, SharedStore
from starflow_service import __version__
from starflow_service.replicas.demand import Demand
from starflow_service.replicas.link import Link
from starflow_service.replicas.ownership import Ownership
from starflow_service.replicas.peers import Peers
from starflow_service.replicas.router import Router
from starflow_service.replicas.supply import Supply
from starflow_service.rpc.routing import Membership, Method, ReplicaView
from starflow_service.runtime.runtime import Runtime

log = structlog.get_logger()

# A member that no link reaches for so long may be dead, and its lease not over yet.
_UNREACHED_S: Final = 0.5


class Replication:
    """
    Shares the store's runs with other servers.

    `open` once the runtime is open, `step_down` before the server stops, and `close`
    when it has stopped.
    """

    def __init__(self, store: SharedStore, runtime: Runtime) -> None:
        self._store = store
        self._runtime = runtime
        self._peers: Peers | None = None
        self._is_leaving = False
        # Members without a link, and since when.
        self._unreached: dict[str, float] = {}
        self.router = Router(
            runtime,
            links=lambda: self.links,
            owned=lambda: store.owned,
            membership=self._membership,
        )
        self._demand: Demand
        self._supply: Supply
        self._ownership = Ownership(
            store,
            runtime,
            absent=self._absent,
            on_members=self._note_members,
            on_change=self._announce,
        )

    async def open(
        self, methods: Mapping[str, Method], host: str, port: int, advertise: str
    ) -> None:
        """
        Become a member, and take a share of the partitions.

        *host* and *port* are where other servers may open links, and *advertise* is
        what they are told, the port that was taken in place of port 0; empty: the same.

        Raises:
            PeerBindError: The address cannot be had.
            StoreError: The store cannot be used.
        """
        self.router.open(methods)
        secret = await self._store.get_record("server", "token_secret")
        assert secret is not None, "the runtime is not open"
        workers = self._runtime.workers
        self._demand = Demand(workers)
        self._supply = Supply(
            workers,
            self.router,
            links=lambda: self.links,
            on_shown=lambda tokens: self._demand.shown(tokens, None),
        )
        self.router.internal |= {
            "Take": self._demand.take,
            "Complete": self._demand.complete,
            "Renew": self._demand.renew,
        }
        self._supply.open()
        workers.share(self._supply)
        peers = self._peers = Peers(
            self._store.replica_id,
            secret,
            carry_out=self.router.carry_out,
            on_news=self._take_news,
            on_open=self._greet,
            on_end=self._miss,
        )
        port = await peers.open(_address(host, port))
        if advertise.endswith(":0"):
            advertise = f"{advertise[:-1]}{port}"
        await self._store.join(advertise or _address(host, port), __version__)
        await self._ownership.open()

    async def step_down(self) -> None:
        """Give all partitions to the others, if there are any."""
        self._is_leaving = True
        if self.links:
            self._announce()
            await self._ownership.close()

    async def close(self) -> None:
        """Give back what is left, and end all links."""
        if self._peers is None:
            return
        self._is_leaving = True
        await self._ownership.close()
        await self._supply.close()
        await self._peers.close()

    @property
    def links(self) -> Mapping[str, Link]:
        """The links that are open, by the id of the server at the other end."""
        return self._peers.links if self._peers is not None else {}

    # Who is there

    def _note_members(self, members: Sequence[Replica]) -> None:
        if self._peers is not None:
            self._peers.update(members)
        now = time.monotonic()
        unreached = {m.id for m in members} - {*self.links}
        unreached.discard(self._store.replica_id)
        self._unreached = {
            member: self._unreached.get(member, now) for member in unreached
        }

    def _absent(self) -> set[str]:
        now = time.monotonic()
        leaving = {p for p, link in self.links.items() if link.is_leaving}
        return leaving | {
            member
            for member, since in self._unreached.items()
            if now - since > _UNREACHED_S
        }

    async def _membership(self) -> Membership:
        members = await self._store.replicas()
        states = await self._store.partition_states()
        ids = {member.id for member in members}
        has_owner = [bool(s.owner in ids and s.lease_left_s) for s in states]
        return Membership(
            [
                ReplicaView(
                    id=member.id,
                    address=member.address,
                    version=member.version,
                    start_ns=member.started_ns,
                    lease_left_s=member.lease_left_s,
                    partitions=[s.number for s in states if s.owner == member.id],
                    runs=sum(s.runs for s in states if s.owner == member.id),
                    answers=member.id == self._store.replica_id,
                )
                for member in members
            ],
            len(states),
            [s.number for s, owned in zip(states, has_owner, strict=True) if not owned],
        )

    # What the links say

    def _announce(self) -> None:
        """Tell everybody what this server serves."""
        self.router.changed()
        if self._peers is not None:
            self._peers.say(self._say_served)

    def _say_served(self, frame: pb.Frame) -> None:
        frame.served.SetInParent()
        frame.served.partitions[:] = sorted(self._runtime.partitions.served)
        frame.served.leaving = self._is_leaving

    def _greet(self, link: Link) -> None:
        self._say_served(link.frame())
        self._supply.greet(link)
        self._ownership.look()

    def _miss(self, link: Link) -> None:
        self._demand.forget(link)
        self._supply.forget(link)
        self.router.changed()
        self._ownership.look()

    def _take_news(self, link: Link, frame: pb.Frame) -> None:
        if frame.HasField("served"):
            link.served = frozenset(frame.served.partitions)
            link.is_leaving = frame.served.leaving
            self.router.changed()
            self._ownership.look()
        self._demand.note(link, frame)
        self._supply.note(link, frame)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
