"""A server, its workers and a client, with the means to do them harm."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from random import Random

import grpc.aio

import starflow
from tests.support.processes import PATIENCE_S, Process, Server, Stage, until_async
from tests.system import histories
from tests.system.histories import Execution, History, Outage
from tests.system.journal import Journal
from tests.system.reader import Reader

# Names every function of the worker, so that it is valid once the worker is known.
ALL_FUNCTIONS = """
def main(ctx, input):
    step.add(ctx)
    step.multiply(ctx)
    step.flaky(ctx)
    step.hold(ctx)
    step.ask(ctx)
"""


class Scene:
    """What one test plays with: a running server, and workers as it starts them."""

    def __init__(
        self, stage: Stage, server: Server, client: starflow.Client, address: str
    ) -> None:
        self.stage = stage
        self.server = server
        # Where workers find it.
        self.address = address
        self.client = client
        self.journal = Journal(stage.place / "journal")
        self.outages: list[Outage] = []
        self.channel: grpc.aio.Channel = client.connection.open()
        self._gates = stage.place / "gates"
        self._gates.mkdir()
        self._readers: dict[str, Reader] = {}
        # Those that run, or should.
        self.workers: list[Process] = []
        self._launched = 0

    async def close(self) -> None:
        """Close what belongs to this process."""
        await self.channel.close()
        self.journal.close()

    # Workers

    def launch_worker(self) -> Process:
        """Start one more worker, and do not wait for it."""
        self._launched += 1
        worker = Process(
            f"worker-{self._launched}",
            self.stage.place,
            "tests.system.worker",
            self.address,
            str(self.stage.place / "journal"),
            str(self._gates),
        )
        worker.launch()
        self.workers.append(worker)
        return self.stage.add(worker)

    async def start_worker(self) -> Process:
        """Start one more worker; come back when its functions can be called."""
        worker = self.launch_worker()
        await until_async(self._knows_functions, "the worker is registered")
        return worker

    async def _knows_functions(self) -> bool:
        return (await self.client.validate(ALL_FUNCTIONS)).valid

    def open_gate(self, name: str) -> None:
        """Let functions go on that wait for the gate *name*."""
        (self._gates / name).touch()

    # Harm

    @contextlib.asynccontextmanager
    async def server_killed(self) -> AsyncIterator[None]:
        """Kill the server with -9; have it back after the block."""
        begin_ns = time.time_ns()
        await self.server.kill()
        yield
        await self.server.start()
        self.outages.append(Outage(begin_ns, time.time_ns()))

    async def replace(self, worker: Process) -> Process:
        """Kill a worker with -9, and start another."""
        begin_ns = time.time_ns()
        await worker.kill()
        self.workers.remove(worker)
        self.outages.append(Outage(begin_ns, time.time_ns()))
        return self.launch_worker()

    # What became of it

    def reader(self, run_id: str) -> Reader:
        """Return the one that keeps what was seen of a run's log."""
        if run_id not in self._readers:
            self._readers[run_id] = Reader(self.channel, run_id, Random(run_id))
        return self._readers[run_id]

    async def log_types(self, run_id: str) -> list[str]:
        """Return the types of the events in a run's log."""
        return [event.type async for event in self.client.events(run_id)]

    async def histories(self, run_ids: Iterable[str]) -> list[History]:
        """Return all that can be known of the runs."""
        executions: defaultdict[str, list[Execution]] = defaultdict(list)
        for execution in self.journal.executions():
            executions[execution.run_id].append(execution)
        readers = [self.reader(run_id) for run_id in run_ids]
        logs = await asyncio.gather(*(reader.log() for reader in readers))
        return [
            History(
                reader.run_id,
                log,
                reader.reads,
                executions[reader.run_id],
                self.outages,
            )
            for reader, log in zip(readers, logs, strict=True)
        ]

    async def check(self, *run_ids: str) -> list[History]:
        """Make sure that the service kept its promises to the runs."""
        found = await self.histories(run_ids)
        problems = [v for each in found for v in histories.violations(each)]
        assert not problems, "\n".join(problems)
        in_flight = sum(
            histories.steps_in_flight(each, outage)
            for each in found
            for outage in self.outages
        )
        assert sum(map(histories.repeats, found)) <= in_flight
        return found


@contextlib.asynccontextmanager
async def open_scene(
    place: Path,
    *options: str,
    store: str = "",
    front: Callable[[], str] | None = None,
) -> AsyncIterator[Scene]:
    """
    Start a server in *place*; whatever happens, nothing runs afterwards.

    If something stands before it, *front* says where that listens.
    """
    with Stage(place) as stage:
        server = stage.add(Server(place, *options, store=store))
        try:
            async with asyncio.timeout(2 * PATIENCE_S):
                await server.start()
                address = front() if front else server.address
                async with starflow.Client(address, patience=PATIENCE_S) as client:
                    scene = Scene(stage, server, client, address)
                    try:
                        yield scene
                    finally:
                        await scene.close()
        except BaseException as error:
            error.add_note(stage.last_words())
            raise
