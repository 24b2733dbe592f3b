"""A TCP proxy on loopback which does to connections what networks do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Self

_CHUNK = 1 << 16


@dataclass
class Weather:
    """What becomes of bytes at this moment."""

    # Seconds that each piece is late.
    delay_s: float = 0.0
    # Directions that nothing gets through: it is kept, and comes later.
    stalled: set[str] = field(default_factory=set)
    # Directions in which bytes are swallowed for ever.
    lost: set[str] = field(default_factory=set)
    # After so many bytes more a connection is cut; None: never.
    bytes_left: int | None = None
    is_refusing: bool = False


UP, DOWN = "up", "down"


class Proxy:
    """Passes connections on to *target*, host and port."""

    def __init__(self, target: Callable[[], tuple[str, int]]) -> None:
        self._target = target
        self.weather = Weather()
        self._calm = asyncio.Event()
        self._calm.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        # Connections that were made through it.
        self.connections = 0

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """The same, with the host."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        # Each ends with its connections; to cancel them would only be louder.
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Cut all connections, as by a reset."""
        for writer in self._writers:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def bad(self, weather: Weather) -> AsyncIterator[None]:
        """
        Let *weather* reign during the block.

        After it all connections are cut on which something was lost.
        """
        self.weather = weather
        self._calm.clear()
        try:
            yield
        finally:
            self.weather = Weather()
            self._calm.set()
            if weather.lost:
                self.cut()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._connect(reader, writer)
        except OSError:
            # One of the two has gone: then the other goes, too.
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.weather.is_refusing:
            return
        self.connections += 1
        there_reader, there = await asyncio.open_connection(*self._target())
        self._writers.add(there)
        try:
            ways = {
                asyncio.ensure_future(self._pump(UP, reader, there)),
                asyncio.ensure_future(self._pump(DOWN, there_reader, writer)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._writers.discard(there)
            there.transport.abort()

    async def _pump(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_CHUNK):
            if self.weather.delay_s:
                await asyncio.sleep(self.weather.delay_s)
            if way in self.weather.stalled:
                await self._calm.wait()
            if way in self.weather.lost:
                continue
            left = self.weather.bytes_left
            if left is not None:
                self.weather.bytes_left = max(0, left - len(data))
                data = data[:left]
            writer.write(data)
            await writer.drain()
            if left is not None and len(data) == left:
                return
