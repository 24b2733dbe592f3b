"""Rows about losing the service, and about the worker's own end."""

import asyncio
from typing import Any

import grpc

from starflow._run import Run
from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from starflow.workercheck.record import Exchange
from starflow.workercheck.scene import Miss, NotApplicable, Scene
from starflow.workercheck.stream_tap import Loss

_AWAY_SECONDS = 1.5
_OUTAGE_SECONDS = 3.0
_OUTAGE_CALLS_MAX = 100
_RUNS = 3
# As long as the one that a container's runtime gives.
_GRACE_SECONDS = 25.0
_STEPS = """
def main(ctx, input):
    got = []
    for n in range(3):
        got.append(check.echo(ctx, n))
        check.sleep(ctx, {"seconds": 0.5})
    return got
"""
_TWO = """
load("flow", "start", "wait")

def main(ctx, input):
    return wait(ctx, [start(ctx, check.sleep, {"seconds": 1}) for _ in range(2)])
"""


async def restart(scene: Scene) -> None:
    """Kill the server in the middle of some runs, and start it again."""
    life = scene.record.life
    runs = [await scene.start(_STEPS) for _ in range(_RUNS)]
    await scene.held(runs[0], 2)
    await scene.kill_server()
    await asyncio.sleep(_AWAY_SECONDS)
    if not scene.worker.is_running:
        raise Miss(f"it ended with the server: {scene.worker.last_words()}")
    await scene.return_server()
    for run in runs:
        if (got := await scene.outcome(run)) != [0, 1, 2]:
            raise Miss(f"a run came to {got!a}, not [0, 1, 2]")
    if scene.record.life != life:
        raise Miss("it was started anew")


async def backoff(scene: Scene) -> None:
    """Answer everything with UNAVAILABLE for a while, and count how often it asks."""
    since = scene.record.place()
    with scene.losing(lambda *_: Loss.REQUEST):
        # A stream may have nothing to say.
        scene.cut_streams()
        await scene.until(
            lambda: any(e.ended and not e.response for e in _all(scene, since)),
            "it asked for nothing",
        )
        await asyncio.sleep(_OUTAGE_SECONDS)
        count = len(_all(scene, since))
    if count > _OUTAGE_CALLS_MAX:
        raise Miss(f"it called {count} times in {_OUTAGE_SECONDS:g} s of an outage")
    await scene.output("check.echo", "back again")


def _all(scene: Scene, since: int) -> list[Exchange]:
    return [e for e in scene.record.exchanges if e.began > since]


async def lost_report(scene: Scene) -> None:
    """Lose a report on its way to the server."""
    await _loses_report(scene, Loss.REQUEST)


async def lost_answer(scene: Scene) -> None:
    """Lose the answer of a report that the server has taken."""
    await _loses_report(scene, Loss.RESPONSE)


async def _loses_report(scene: Scene, loss: Loss) -> None:
    lost: list[Exchange] = []

    def once(exchange: Exchange, response: object) -> Loss | None:
        right_time = (response is None) == (loss is Loss.REQUEST)
        if exchange.method != "CompleteTasks" or lost or not right_time:
            return None
        lost.append(exchange)
        return loss

    with scene.losing(once):
        run = await scene.start("check.echo", "again")
        await scene.outcome(run)
        # The run may have ended before the answer came that is to be lost.
        await scene.until(lambda: lost, "it did not report")
        [result, *_] = lost[0].request.results
        await scene.until(
            lambda: len(list(scene.record.reports(result.task_token))) > 1,
            "it did not send the report again",
        )
    count = len(scene.record.deliveries(run.id))
    if count > 1:
        raise Miss(
            f"the function was executed {count} times, because a report was lost"
        )


async def lost_poll(scene: Scene) -> None:
    """Lose an answer with a task in it."""
    lost: list[Exchange] = []

    def once(exchange: Exchange, response: object) -> Loss | None:
        if exchange.method != "Poll" or lost or not getattr(response, "tasks", None):
            return None
        lost.append(exchange)
        return Loss.RESPONSE

    with scene.losing(once):
        run = await scene.start("check.echo", "again")
        await scene.until(lambda: lost, "it did not poll")
        poll_id = lost[0].request.poll_id
        if not poll_id:
            await scene.outcome(run)
            raise NotApplicable(
                "its polls have no poll_id: a lost answer costs a lease"
            )
        await scene.until(
            lambda: len([e for e in scene.record.of("Poll") if _id(e) == poll_id]) > 1,
            "it did not send the poll again under its poll_id",
        )
    await scene.outcome(run)
    token = lost[0].lost.tasks[0].task_token
    if not list(scene.record.reports(token)):
        raise Miss("the task was handed out again, for the poll came too late")


async def stream(scene: Scene) -> None:
    """Look whether it works over streams where they are let through."""
    await scene.output("check.echo", "over a stream")
    if not scene.streams_opened:
        raise NotApplicable("it polls, although there are streams")


def _id(exchange: Exchange) -> str:
    poll_id: str = exchange.request.poll_id
    return poll_id


async def poll_ids(scene: Scene) -> None:
    """Look through all polls for those that share their id with an answered one."""
    # How often each id came again.  Once it may: a worker that is told to end while an
    # answer is on its way does not know that it was answered, and asks.
    again: dict[str, int] = {}
    for exchange in scene.record.of("Poll"):
        poll_id = _id(exchange)
        if poll_id in again:
            again[poll_id] += 1
            if again[poll_id] > 1:
                raise Miss("polls have the poll_id of one that was answered")
        is_answered = exchange.response is not None and not exchange.is_unsure
        if poll_id and is_answered:
            again.setdefault(poll_id, 0)


async def death(scene: Scene) -> None:
    """Kill it while it holds a task, and start it again."""
    run = await scene.start("check.sleep", {"seconds": 1})
    await scene.held(run)
    scene.worker.kill()
    await scene.start_worker()
    await scene.outcome(run)


async def drain(scene: Scene) -> None:
    """Ask it to end while it holds tasks."""
    run = await scene.start(_TWO)
    await scene.held(run)
    scene.worker.terminate()
    await _ends(scene, run, "SIGTERM")


async def drained(scene: Scene) -> None:
    """Have the service tell it to end while it holds tasks."""
    run = await scene.start(_TWO)
    await scene.held(run)
    worker = scene.record.of("RegisterFunction")[-1].request.worker
    async with grpc.aio.insecure_channel(scene.address) as channel:
        # The stubs' types are those of blocking calls.
        service: Any = WorkerServiceStub(channel)
        await service.DrainWorker(pb.DrainWorkerRequest(worker_id=worker.worker_id))
    await _ends(scene, run, "it was told that it is `drained`")


async def _ends(scene: Scene, run: Run, since: str) -> None:
    try:
        code = await asyncio.wait_for(scene.worker.wait(), _GRACE_SECONDS)
    except TimeoutError:
        raise Miss(f"it had not ended {_GRACE_SECONDS:g} s after {since}") from None
    if code != 0:
        raise Miss(f"it ended with exit code {code}; {scene.worker.last_words()}")
    left = [t for _, t in scene.record.deliveries(run.id) if not scene.reported(t)]
    if left:
        raise Miss("it ended without finishing or releasing a task that it held")
    await scene.start_worker()
    await scene.outcome(run)
