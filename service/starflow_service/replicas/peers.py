"""The links to all other servers of the store: opened, opened again, and closed.

Of two servers the one that started later opens the link, so that there is one for each
pair.  Both prove that they know the store's secret: the one that opens with a keyed
hash of both names, and the other by being where the store says it is.
"""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import grpc
import structlog

from starflow.v1 import replica_service_pb2 as pb
from starflow.v1.replica_service_pb2_grpc import (
    ReplicaServiceServicer,
    ReplicaServiceStub,
    add_ReplicaServiceServicer_to_server,
)
from starflow_backends.shared import Replica
from starflow_service.replicas.link import CarryOut, Link

log = structlog.get_logger()

_FROM: Final = "starflow-from"
_TO: Final = "starflow-to"
_PROOF: Final = "starflow-proof"
_BACKOFF_S: Final = 0.05
_BACKOFF_MAX_S: Final = 1.0
_OPTIONS: Final = (
    # Frames are bounded by what they carry.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


class PeerBindError(Exception):
    """The address for other servers cannot be listened on."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"cannot listen on {address} for other servers: choose another"
            " --peer-listen"
        )


class Peers(ReplicaServiceServicer):
    """The links of one server."""

    def __init__(
        self,
        me: str,
        secret: bytes,
        *,
        carry_out: CarryOut,
        on_news: Callable[[Link, pb.Frame], None],
        on_open: Callable[[Link], None],
        on_end: Callable[[Link], None],
    ) -> None:
        self.links: dict[str, Link] = {}
        self._me = me
        self._secret = secret
        self._carry_out = carry_out
        self._on_news = on_news
        self._on_open = on_open
        self._on_end = on_end
        # Who was a member at the last look.
        self._known: set[str] = set()
        self._dials: dict[str, asyncio.Task[None]] = {}
        self._server = grpc.aio.server(options=_OPTIONS)
        add_ReplicaServiceServicer_to_server(self, self._server)

    async def open(self, address: str) -> int:
        """
        Listen for links on *address*; return the port.

        Raises:
            PeerBindError: It cannot be had.
        """
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            raise PeerBindError(address) from None
        await self._server.start()
        return port

    async def close(self) -> None:
        """End all links."""
        for dial in self._dials.values():
            dial.cancel()
        await asyncio.gather(*self._dials.values(), return_exceptions=True)
        await self._server.stop(0)

    def update(self, members: Sequence[Replica]) -> None:
        """Link with *members*, by the time they started, and with nobody else."""
        ids = [member.id for member in members]
        older = members[: ids.index(self._me)] if self._me in ids else []
        wanted = {member.id: member.address for member in older}
        for peer in self._known - set(ids):
            if peer in self.links and not self._leaves(peer):
                # It may be frozen; its answers would be those of the past.
                self.links[peer].close()
        self._known = set(ids)
        for peer in [peer for peer in self._dials if peer not in wanted]:
            if not self._leaves(peer):
                self._dials.pop(peer).cancel()
        for peer, address in wanted.items():
            if peer not in self._dials:
                self._dials[peer] = asyncio.create_task(self._dial(peer, address))

    def _leaves(self, peer: str) -> bool:
        """Whether *peer* ends in peace: it still brings what its clients ask for."""
        link = self.links.get(peer)
        return link is not None and link.is_leaving

    def say(self, write: Callable[[pb.Frame], None]) -> None:
        """Tell everybody what *write* puts into a frame."""
        for link in self.links.values():
            write(link.frame())

    async def _dial(self, peer: str, address: str) -> None:
        backoff_s = _BACKOFF_S
        metadata = (
            (_FROM, self._me),
            (_TO, peer),
            (_PROOF, self._proof(self._me, peer)),
        )
        while True:
            async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
                stub: Any = ReplicaServiceStub(channel)
                stream = stub.Link(metadata=metadata)
                try:
                    # The other side speaks first, if it takes us at all.
                    welcome = await stream.read()
                    if welcome is not grpc.aio.EOF:
                        backoff_s = _BACKOFF_S
                        await self._run(peer, stream, pb.LinkRequest)
                except grpc.RpcError as error:
                    log.debug("replicas.link_failed", peer=peer, error=str(error))
                finally:
                    stream.cancel()
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, _BACKOFF_MAX_S)

    async def Link(  # type: ignore[override]
        self,
        request_iterator: AsyncIterator[pb.LinkRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        """Take a link that another server opens."""
        said: Mapping[str, Any] = dict(context.invocation_metadata() or ())
        peer = str(said.get(_FROM, ""))
        proof = str(said.get(_PROOF, ""))
        is_known = proof.isascii() and hmac.compare_digest(
            proof, self._proof(peer, self._me)
        )
        if not is_known or said.get(_TO) != self._me:
            problem = "this is no link between servers of this store"
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, problem)
        await context.write(pb.LinkResponse())
        await self._run(peer, context, pb.LinkResponse)

    async def _run(self, peer: str, stream: Any, message: Callable[[], Any]) -> None:
        link = Link(
            peer, stream, message, carry_out=self._carry_out, on_news=self._on_news
        )
        # A link that is there already has broken, and does not know it yet.
        self.links[peer] = link
        log.info("replicas.linked", peer=peer)
        self._on_open(link)
        try:
            await link.run()
        finally:
            if self.links.get(peer) is link:
                del self.links[peer]
            log.info("replicas.unlinked", peer=peer)
            self._on_end(link)

    def _proof(self, opener: str, other: str) -> str:
        text = f"link\n{opener}\n{other}".encode()
        return hashlib.blake2b(text, key=self._secret, digest_size=32).hexdigest()
