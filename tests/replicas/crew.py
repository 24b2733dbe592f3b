"""Several servers on one Redis, with clients that know all of them, or one."""

import asyncio
import contextlib
import itertools
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc.aio

import starflow
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from starflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from starflow_backends.redis_layout import Keys
from tests.support.processes import PATIENCE_S, Server, Stage, until_async
from tests.support.redis_server import RedisServer
from tests.system.histories import Outage
from tests.system.scene import Scene

LEASE_S = 1.5


class Crew:
    """Servers that share a Redis, and a scene whose address is that of all."""

    def __init__(
        self, redis: RedisServer, servers: Sequence[Server], scene: Scene
    ) -> None:
        self.redis = redis
        self.servers = list(servers)
        self.scene = scene
        self._channels = [grpc.aio.insecure_channel(s.address) for s in servers]
        self.workflows = [WorkflowServiceStub(channel) for channel in self._channels]
        self.workers = [WorkerServiceStub(channel) for channel in self._channels]

    async def close(self) -> None:
        """Close what belongs to this process."""
        for channel in self._channels:
            await channel.close()

    async def replicas(self, through: int = 0) -> pb.ListReplicasResponse:
        """Return the members, as one of them sees them."""
        stub = self.workflows[through]
        found: pb.ListReplicasResponse = await stub.ListReplicas(
            pb.ListReplicasRequest(), wait_for_ready=True
        )
        return found

    async def until_balanced(self, count: int | None = None, through: int = 0) -> None:
        """Wait until *count* servers have all partitions, in equal shares."""
        wanted = len(self.servers) if count is None else count

        async def is_balanced() -> bool:
            found = await self.replicas(through)
            shares = [len(replica.partitions) for replica in found.replicas]
            return (
                len(shares) == wanted
                and sum(shares) == found.partitions
                and max(shares) - min(shares) <= 1
            )

        await until_async(is_balanced, f"{wanted} servers have equal shares")

    @contextlib.asynccontextmanager
    async def killed(self, number: int) -> AsyncIterator[None]:
        """Kill a server with -9; have it back after the block."""
        begin_ns = time.time_ns()
        await self.servers[number].kill()
        yield
        await self.servers[number].start()
        self.scene.outages.append(Outage(begin_ns, time.time_ns()))

    @contextlib.asynccontextmanager
    async def redis_killed(self) -> AsyncIterator[None]:
        """Kill Redis with -9; it starts from its append-only file after the block."""
        begin_ns = time.time_ns()
        self.redis.kill()
        yield
        self.redis.start()
        self.scene.outages.append(Outage(begin_ns, time.time_ns()))

    @contextlib.asynccontextmanager
    async def frozen(self, number: int) -> AsyncIterator[None]:
        """Freeze a server for the block; what it had moves elsewhere meanwhile."""
        begin_ns = time.time_ns()
        self.servers[number].send(signal.SIGSTOP)
        yield
        self.servers[number].send(signal.SIGCONT)
        self.scene.outages.append(Outage(begin_ns, time.time_ns()))

    async def restart(self, number: int) -> int:
        """End a server gracefully and start it again; return its exit status."""
        begin_ns = time.time_ns()
        status = await self.servers[number].terminate()
        await self.servers[number].start()
        self.scene.outages.append(Outage(begin_ns, time.time_ns()))
        return status

    async def run_owned_by(self, number: int, prefix: str) -> str:
        """Return an id, beginning with *prefix*, whose run belongs to that server."""
        found = await self.replicas(number)
        (mine,) = [replica for replica in found.replicas if replica.answers]
        keys = Keys("main", found.partitions)
        ids = (f"{prefix}-{n}" for n in itertools.count())
        return next(
            each
            for each in ids
            if keys.number_of(f"default/{each}".encode()) in mine.partitions
        )


@contextlib.asynccontextmanager
async def open_crew(
    place: Path,
    count: int,
    *options: str,
    lease_s: float = LEASE_S,
    patience_s: float = 4 * PATIENCE_S,
) -> AsyncIterator[Crew]:
    """Start *count* servers on a Redis of their own; nothing runs afterwards."""
    # Not in *place*: the path of a socket must be short.
    with (
        tempfile.TemporaryDirectory(prefix="sf-crew-") as redis_place,
        Stage(place) as stage,
    ):
        redis = RedisServer(Path(redis_place))
        redis.start()
        store = f"{redis.url}?lease_ms={int(lease_s * 1000)}"
        servers = []
        for number in range(count):
            own = place / f"server-{number}"
            own.mkdir()
            servers.append(stage.add(Server(own, *options, store=store)))
        try:
            async with asyncio.timeout(patience_s):
                async with asyncio.TaskGroup() as starts:
                    for server in servers:
                        starts.create_task(server.start())
                address = "ipv4:" + ",".join(server.address for server in servers)
                async with starflow.Client(address, patience=PATIENCE_S) as client:
                    scene = Scene(stage, servers[0], client, address)
                    crew = Crew(redis, servers, scene)
                    try:
                        await crew.until_balanced()
                        yield crew
                    finally:
                        await crew.close()
                        await scene.close()
        except BaseException as error:
            error.add_note(stage.last_words())
            raise
        finally:
            redis.end()
