"""What stands between a store and Redis."""

import asyncio
from types import TracebackType

from tests.support.redis_server import RedisServer


class Proxy:
    """Stands between a store and Redis, and may keep the answers to itself."""

    def __init__(self, redis: RedisServer) -> None:
        # Where new connections lead.
        self.redis = redis
        self.swallows = False
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from_redis, to_redis = await asyncio.open_unix_connection(self.redis.socket)
        self._writers += (writer, to_redis)
        await asyncio.gather(
            self._pass(reader, to_redis, is_answer=False),
            self._pass(from_redis, writer, is_answer=True),
        )

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_answer: bool,
    ) -> None:
        while data := await reader.read(65_536):
            if is_answer and self.swallows:
                break
            writer.write(data)
        writer.close()
