"""Which server of Redis has what: the only one, that of Sentinels, or of a cluster."""

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starflow_backends.redis_errors import store_error
from starflow_backends.redis_url import Address, Node
from starflow_backends.redis_wire import Pipe, ReplyError
from starflow_backends.store import LayoutError, StoreError, UnavailableError

SLOTS = 16_384
# How long a server may take to say where the others are.
_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class Map:
    """Which node has which slots."""

    # The last slot of each range, ascending, and who has it.
    ends: list[int]
    nodes: list[Node | None]

    def node_of(self, slot: int) -> Node | None:
        """Return the node that has *slot*, if anybody has it."""
        return self.nodes[bisect_left(self.ends, slot)]

    @property
    def is_whole(self) -> bool:
        """Whether every slot is somebody's."""
        return None not in self.nodes


class Places:
    """Looks where the nodes are."""

    def __init__(self, address: Address) -> None:
        self._address = address
        # To the Sentinel, or the node of a cluster, that answered last.
        self._asked: Pipe | None = None

    @property
    def can_change_unseen(self) -> bool:
        """Whether a connection may stand to a node that is not the primary any more."""
        return self._address.kind == "sentinel"

    async def look(self, pipes: Mapping[Node, Pipe]) -> Map:
        """
        Return where the slots are now; *pipes* lead to nodes that may know.

        Raises:
            UnavailableError: Nobody can say.
            LayoutError: What they say makes no sense.
        """
        if self._address.kind == "sentinel":
            words = [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._primary]
            return _alone(_primary(self._address, await self._ask(words, {})))
        if self._address.kind == "cluster":
            node, answer = await self._ask_with_node([b"CLUSTER", b"SLOTS"], pipes)
            return _map_of(node, answer)
        return _alone(self._address.seeds[0])

    async def close(self) -> None:
        """Let go of everything."""
        if self._asked is not None:
            await self._asked.close()
            self._asked = None

    @property
    def _primary(self) -> bytes:
        return self._address.primary.encode()

    async def _ask(self, words: list[bytes], pipes: Mapping[Node, Pipe]) -> Any:
        return (await self._ask_with_node(words, pipes))[1]

    async def _ask_with_node(
        self, words: list[bytes], pipes: Mapping[Node, Pipe]
    ) -> tuple[Node, Any]:
        """Ask one after the other until somebody has an answer."""
        failure: StoreError | None = None
        for node, pipe in pipes.items():
            if pipe.error is None:
                with contextlib.suppress(StoreError, ReplyError):
                    return node, await pipe.send(words)
        for node in self._seeds():
            try:
                return node, await self._ask_seed(node, words)
            except StoreError as error:
                failure = error
        raise failure or UnavailableError(f"{self._address.shown} does not answer")

    def _seeds(self) -> list[Node]:
        # The one that answered last comes first.
        seeds = self._address.seeds
        asked = self._asked
        if asked is None or asked.error is not None:
            return seeds
        return sorted(seeds, key=lambda node: str(node) != asked.shown)

    async def _ask_seed(self, node: Node, words: list[bytes]) -> Any:
        pipe = self._asked
        if pipe is None or pipe.error is not None or pipe.shown != str(node):
            await self.close()
            address = self._address
            is_sentinel = address.kind == "sentinel"
            make = address.sentinel_options if is_sentinel else address.options
            self._asked = pipe = await Pipe.connect(
                make(node), str(node), answer_s=_ANSWER_S
            )
        try:
            answer = await pipe.send(words)
        except ReplyError as error:
            raise _not_what_it_is(node, self._address, error) from error
        if answer is None:
            raise UnavailableError(
                f"the Sentinel {node} knows no primary {self._address.primary!r}"
            )
        return answer


def _not_what_it_is(node: Node, address: Address, error: ReplyError) -> StoreError:
    if "unknown command" in str(error).lower():
        return LayoutError(f"{node} is no Sentinel: give it the addresses of Sentinels")
    if "cluster support disabled" in str(error).lower():
        return LayoutError(f"{node} is no part of a cluster: give it a redis:// URL")
    return store_error(error)


def _alone(node: Node) -> Map:
    return Map([SLOTS - 1], [node])


def _primary(address: Address, answer: Any) -> Node:
    host, port = (word.decode(errors="replace") for word in answer)
    if not port.isdigit():
        raise LayoutError(f"{address.shown}: the Sentinel gives {host}:{port}")
    return Node(host, int(port))


def _map_of(asked: Node, answer: list[Any]) -> Map:
    """Read the answer to CLUSTER SLOTS; a node without a name is the one asked."""
    ends: list[int] = []
    nodes: list[Node | None] = []
    at = 0
    for first, last, primary, *_ in sorted(answer, key=lambda each: int(each[0])):
        if first > at:
            ends.append(first - 1)
            nodes.append(None)
        host = (primary[0] or b"").decode(errors="replace")
        if host in ("", "?"):
            host = asked.host
        ends.append(last)
        nodes.append(Node(host, primary[1]))
        at = last + 1
    if at < SLOTS:
        ends.append(SLOTS - 1)
        nodes.append(None)
    return Map(ends, nodes)


async def closed(*pipes: Pipe) -> None:
    """Close *pipes*."""
    await asyncio.gather(*(pipe.close() for pipe in pipes))
