"""A runtime on a store, and the two parties that use it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starflow_backends import MemoryStore, Store
from starflow_service.engine.events import Event, Failure
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.options import Options
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import (
    CompletionStatus,
    ConflictPolicy,
    FunctionSpec,
    PollRequest,
    RunView,
    StartRequest,
    Task,
    TaskReport,
    Until,
    WorkerInfo,
)

NS = "default"
WAIT_S = 20.0  # for what must happen; no test waits this long when all is well
ECHO = "def main(ctx, input):\n    return test.echo(ctx, input)\n"


@dataclass
class Shop:
    """A runtime, with short words for what tests do with it."""

    runtime: Runtime
    store: Store

    async def start(
        self,
        script: str = ECHO,
        payload: Any = None,
        *,
        run_id: str = "run",
        policy: ConflictPolicy = ConflictPolicy.ATTACH_SAME,
    ) -> tuple[RunView, bool]:
        return await self.runtime.start_run(
            StartRequest(NS, run_id, script, "", json.dumps(payload), policy, True)
        )

    async def register(self, *names: str, worker: str = "w", **spec: Any) -> None:
        specs = [FunctionSpec(name, **spec) for name in names]
        await self.runtime.workers.register(NS, WorkerInfo(worker), specs)

    async def poll(
        self,
        *functions: str,
        worker: str = "w",
        poll_id: str = "",
        tasks: int = 1,
        wait_s: float = WAIT_S,
    ) -> list[Task]:
        return await self.runtime.workers.poll(
            PollRequest(NS, worker, poll_id, functions or ("test.echo",), tasks, wait_s)
        )

    async def take(self, *functions: str, worker: str = "w") -> Task:
        """Return the one task that comes."""
        (task,) = await self.poll(*functions, worker=worker)
        return task

    async def report(
        self, task: Task | str, outcome: Any, *, worker: str = "w"
    ) -> CompletionStatus:
        token = task if isinstance(task, str) else task.token
        (completion,) = await self.runtime.workers.complete(
            NS, worker, [TaskReport(token, outcome)]
        )
        return completion.status

    async def work(
        self, functions: Mapping[str, Callable[[Any], Any]], *, worker: str = "w"
    ) -> None:
        """Serve *functions* for ever; to be run as a task."""
        while True:
            for task in await self.poll(*functions, worker=worker, tasks=16):
                outcome = functions[task.function](json.loads(task.input))
                if not isinstance(outcome, Failure):
                    outcome = json.dumps(outcome)
                await self.report(task, outcome, worker=worker)

    async def finished(self, run_id: str = "run") -> RunView:
        view = await self.runtime.wait_run(NS, run_id, Until.FINISHED, WAIT_S)
        assert view.result is not None, view
        return view

    async def view(self, run_id: str = "run") -> RunView:
        return await self.runtime.get_run(NS, run_id)

    async def log(self, run_id: str = "run") -> list[Event]:
        decode = ProtoCodec().decode
        return [decode(data) for data in await self.store.read(f"{NS}/{run_id}")]

    async def kinds(self, run_id: str = "run") -> str:
        return " ".join(event.NAME for event in await self.log(run_id))


@asynccontextmanager
async def shop(
    store: Store | None = None, *, clock: Clock | None = None, **options: Any
) -> AsyncIterator[Shop]:
    """
    Open a runtime, on a store of its own or on one that an earlier one has left.

    Leaving closes the runtime only: what a server keeps in its store stays.
    """
    if store is None:
        store = MemoryStore()
        await store.open()
    settings = {"recovery_grace_s": 0.05, **options}
    runtime = Runtime(store, ProtoCodec(), Options(**settings), clock or Clock())
    await runtime.open()
    try:
        yield Shop(runtime, store)
    finally:
        await runtime.close()


@asynccontextmanager
async def working(
    shop: Shop, functions: Mapping[str, Callable[[Any], Any]]
) -> AsyncIterator[None]:
    """Let a worker serve *functions* meanwhile."""
    task = asyncio.create_task(shop.work(functions))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until *condition*, which may be async, holds; fail if it never does."""
    async with asyncio.timeout(WAIT_S):
        while True:
            held = condition()
            if asyncio.iscoroutine(held):
                held = await held
            if held:
                return
            await asyncio.sleep(0.005)
