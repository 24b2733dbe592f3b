"""Connections to the servers that have the slots, each looked at before it is used."""

import asyncio
from collections.abc import Callable

from starflow_backends import redis_checks as checks
from starflow_backends import redis_script as script
from starflow_backends.redis_errors import store_error
from starflow_backends.redis_places import Map, Places
from starflow_backends.redis_url import Address, Node
from starflow_backends.redis_wire import LoadingError, Pipe, ReplyError
from starflow_backends.store import Durability, StoreError, UnavailableError

# How long Redis may take for an answer.
ANSWER_S = 5.0
# How long a server that starts waits for a Redis that reads its data.
_LOADING_S = 60.0
_LOOK_S = 0.1


class Nodes:
    """One connection to each node that has slots; `mend` makes what is missing."""

    def __init__(
        self,
        address: Address,
        demanded: Durability,
        on_break: Callable[[Pipe, UnavailableError], None],
        on_new: Callable[[], None],
    ) -> None:
        self._address = address
        self._demanded = demanded
        # Called when a connection broke, and when there is a new one.
        self._on_break = on_break
        self._on_new = on_new
        self._places = Places(address)
        self._map = Map([1 << 14], [None])
        self._pipes: dict[Node, Pipe] = {}
        # Why there is none to a node.
        self._problems: dict[Node, StoreError] = {}

    @property
    def can_change_unseen(self) -> bool:
        """Whether it has to be looked at now and then although nothing broke."""
        return self._places.can_change_unseen

    def pipe_of(self, slot: int) -> Pipe:
        """
        Return the connection to who has *slot*.

        Raises:
            StoreError: There is none.
        """
        node = self._map.node_of(slot)
        if node is None:
            raise UnavailableError(f"{self._address.shown}: nobody has slot {slot}")
        pipe = self._pipes.get(node)
        if pipe is None or pipe.error is not None:
            raise self._problem(node, pipe)
        return pipe

    def _problem(self, node: Node, pipe: Pipe | None) -> StoreError:
        problem = self._problems.get(node) or (None if pipe is None else pipe.error)
        if problem is None:
            return UnavailableError(f"{self._shown(node)} is not connected yet")
        # Each time another error: one that is raised again and again grows.
        return type(problem)(str(problem))

    def pipes(self) -> list[Pipe]:
        """Return all connections that stand."""
        return [pipe for pipe in self._pipes.values() if pipe.error is None]

    @property
    def problems(self) -> list[StoreError]:
        """Why there is no connection to some nodes."""
        return list(self._problems.values())

    async def pipe_at(self, host: str, port: int) -> Pipe:
        """
        Return the connection to a node by its address.

        Raises:
            StoreError: It cannot be had.
        """
        node = Node(host, port)
        pipe = self._pipes.get(node)
        if pipe is None or pipe.error is not None:
            pipe = await self._connect(node)
            self._pipes[node] = pipe
        return pipe

    async def open(self) -> None:
        """
        Connect to all, and wait for those that still read their data.

        Raises:
            StoreError: One of them cannot be had, or not be used.
        """
        ends_at = asyncio.get_running_loop().time() + _LOADING_S
        while True:
            await self.mend()
            if not self._problems and self._map.is_whole:
                return
            problem = next(iter(self._problems.values()), None) or UnavailableError(
                f"{self._address.shown}: there are slots that no node has"
            )
            is_late = asyncio.get_running_loop().time() > ends_at
            if is_late or not isinstance(problem, LoadingError):
                raise problem
            await asyncio.sleep(_LOOK_S)

    async def mend(self) -> None:
        """
        Look where the nodes are, connect to those that are new, leave those that went.

        Raises:
            StoreError: Nobody says where they are.
        """
        found = await self._places.look(self._pipes)
        wanted = dict.fromkeys(node for node in found.nodes if node is not None)
        for node, pipe in list(self._pipes.items()):
            if node not in wanted or pipe.error is not None:
                pipe.give_up("it has no part of the store any more")
                await pipe.close()
                del self._pipes[node]
        self._problems = {}
        # Those that are there are used while others are being connected.
        if found != self._map:
            self._map = found
            self._on_new()
        missing = [node for node in wanted if node not in self._pipes]
        await asyncio.gather(*(self._add(node) for node in missing))

    async def close(self) -> None:
        """Let go of all."""
        await self._places.close()
        for pipe in self._pipes.values():
            await pipe.close()
        self._pipes.clear()

    async def _add(self, node: Node) -> None:
        try:
            self._pipes[node] = await self._connect(node)
        except StoreError as error:
            self._problems[node] = error
        else:
            self._on_new()

    async def _connect(self, node: Node) -> Pipe:
        """Connect to a Redis that answers, and that can be trusted."""
        shown = self._shown(node)
        pipe = await Pipe.connect(self._address.options(node), shown, answer_s=ANSWER_S)
        try:
            await pipe.send([b"PING"])
            facts = await checks.facts_of(pipe)
            checks.check(facts, shown, self._demanded, kind=self._address.kind)
            loads = [pipe.send([b"SCRIPT", b"LOAD", each.text]) for each in script.ALL]
            await asyncio.gather(*loads)
        except ReplyError as error:
            await pipe.close()
            raise store_error(error) from error
        except BaseException:
            await pipe.close()
            raise
        pipe.on_break = lambda error: self._on_break(pipe, error)
        return pipe

    def _shown(self, node: Node) -> str:
        return str(node) if self._address.kind else self._address.shown
