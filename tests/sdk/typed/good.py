"""A program of a user that both type checkers must accept."""
# pyright: strict

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict, assert_type

import starflow
from starflow.testing import NEVER, InTurn, RecordedCall, SyncTestServer, TestServer

payments = starflow.Module("payments")


@dataclass
class Charge:
    order_id: str
    cents: int


class Receipt(TypedDict):
    id: str


@payments.function
async def charge(ctx: starflow.TaskContext, req: Charge) -> Receipt:
    ctx.progress({"cents": req.cents})
    return {"id": ctx.task_id}


@payments.function(
    name="Refund",
    retry=starflow.Retry(max_attempts=3, initial=timedelta(seconds=1)),
    attempt_timeout=30,
    runs_in="thread",
    concurrency=4,
)
def refund(order_id: str, cents: int = 0) -> int | starflow.WaitForSignal:
    if cents < 0:
        raise starflow.PermanentError("no", code="NEGATIVE", details={"cents": cents})
    return cents or starflow.wait_for_signal(timeout=timedelta(hours=1))


# What was decorated is what it was before.
assert_type(refund("a", cents=1), int | starflow.WaitForSignal)
typed_charge: Callable[[starflow.TaskContext, Charge], Coroutine[Any, Any, Receipt]] = (
    charge
)


async def main() -> None:
    async with starflow.Client("localhost:7233", namespace="shop") as client:
        worker = starflow.Worker(client, modules=[payments], concurrency=8)
        assert_type(worker.id, str)
        run = await client.start("...", input=Charge("a", 1), run_id="r")
        assert_type(run, starflow.Run)
        assert_type(await run.result(), Any)
        assert_type(await run.result(timeout=5, result_type=Charge), Charge)
        assert_type(await client.result("r", result_type=Receipt), Receipt)
        async for event in run.events(follow=True):
            assert_type(event, starflow.Event)
        try:
            await client.signal("r", name="go", output=1)
        except starflow.SignalConflict as error:
            assert_type(error.retry_after_seconds, float | None)
        except starflow.RunFailed as failed:
            assert_type(failed.failure, starflow.Failure)
        await worker.run()


def blocking() -> None:
    with starflow.SyncClient() as client:
        run = client.start("...", wait=1.5)
        assert_type(run, starflow.SyncRun)
        assert_type(run.result(result_type=Charge), Charge)
        assert_type(client.get("r").finished, bool)
        for event in client.events("r"):
            assert_type(event.version, int)


async def tests() -> None:
    async with TestServer([payments], {"a.b": NEVER, "a.c": InTurn(1, 2)}) as server:
        run = await server.client.start("...")
        assert_type(await server.finish(run, result_type=Charge), Charge)
        assert_type(await server.run("..."), Any)
        assert_type(server.calls("a.b"), list[RecordedCall])
        waiting: Awaitable[None] = server.advance(days=1)
        await waiting
    with SyncTestServer(functions={"a.b": ValueError}) as blocking_server:
        assert_type(blocking_server.run("...", result_type=int), int)
