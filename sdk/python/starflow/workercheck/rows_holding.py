"""Rows about holding tasks: one or many, for long, and giving them up."""

import asyncio
from typing import Any

from starflow.v1 import worker_service_pb2 as pb
from starflow.workercheck.record import Exchange
from starflow.workercheck.scene import (
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    Miss,
    NotApplicable,
    Scene,
)
from starflow.workercheck.stream_tap import Loss

_LONG_SECONDS = 2.5 * LEASE_SECONDS
_IDLE_SECONDS = 2.0
_IDLE_POLLS_MAX = 8
_BESIDE = 3
_TOGETHER = f"""
load("flow", "start", "wait")

def main(ctx, input):
    return wait(ctx, [start(ctx, check.sleep, input) for _ in range({_BESIDE})])
"""


async def idles(scene: Scene) -> None:
    """Give it nothing to do, and count how often it asks."""
    await scene.output("check.echo", "the last for now")
    since = scene.record.place()
    await asyncio.sleep(_IDLE_SECONDS)
    polls = len(scene.record.of("Poll", since))
    if polls > _IDLE_POLLS_MAX:
        raise Miss(
            f"it polled {polls} times in {_IDLE_SECONDS:g} s, with nothing to do"
        )
    if not any(e.request.wait.seconds for e in scene.record.of("Poll")):
        raise Miss("its polls have no `wait`, so that a task lies until the next one")


async def concurrent(scene: Scene) -> None:
    """Give it several tasks that take a second; it is to hold all at once."""
    run = await scene.start(_TOGETHER, {"seconds": 1})
    tasks = await scene.held(run, _BESIDE)
    first = next(scene.record.reports(tasks[0].task_token), None)
    last = scene.record.deliveries(run.id)[-1][0]
    if first is not None and first.exchange.began < last.ended:
        raise Miss("it took the last of three tasks after it had finished the first")
    await scene.outcome(run)


async def heartbeats(scene: Scene) -> None:
    """Keep it busy for longer than a lease."""
    run = await scene.start("check.sleep", {"seconds": _LONG_SECONDS})
    await scene.outcome(run)
    count = len(scene.record.deliveries(run.id))
    if count > 1:
        raise Miss(
            f"a task of {_LONG_SECONDS:g} s was handed out {count} times, because its "
            f"lease of {LEASE_SECONDS:g} s was not renewed"
        )


async def held_heartbeat(scene: Scene) -> None:
    """Look whether one of its heartbeats always waits."""
    run = await scene.start("check.sleep", {"seconds": 2 * HEARTBEAT_SECONDS})
    await scene.outcome(run)
    beats = scene.record.of("Heartbeat")
    if not any(e.request.wait.seconds or e.request.wait.nanos for e in beats):
        raise NotApplicable("its heartbeats have no `wait`: its death is noticed late")


async def abandons(scene: Scene) -> None:
    """Cancel what it executes; it is to stop and say nothing."""
    run = await scene.start("check.sleep", {"seconds": 3})
    [task] = await scene.held(run)
    await run.cancel("nobody needs it")
    told = await scene.until(
        lambda: _told(scene, task), "it sent no heartbeat, so nobody could tell it"
    )
    await asyncio.sleep(3)
    if scene.reported(task):
        raise Miss("it reported a task that it was told to abandon")
    assert told is not None
    later = scene.record.of("Heartbeat", told.ended)
    if sum(_lists(exchange, task) for exchange in later) > 1:
        raise Miss("it lists a task in heartbeats that it was told to abandon")
    await scene.output("check.echo", "still there")


def _told(scene: Scene, task: Any) -> Exchange | None:
    for exchange in scene.record.of("Heartbeat"):
        for directive in exchange.response.directives if exchange.response else ():
            if directive.task_token == task.task_token:
                return exchange
    return None


def _lists(exchange: Exchange, task: Any) -> bool:
    return any(t.task_token == task.task_token for t in exchange.request.tasks)


async def lost_lease(scene: Scene) -> None:
    """Lose its heartbeats until its task is handed out again."""
    run = await scene.start("check.sleep", {"seconds": 1.5 * LEASE_SECONDS})
    [first] = await scene.held(run)
    with scene.losing(lambda e, _: Loss.REQUEST if e.method == "Heartbeat" else None):
        await scene.held(run, 2)
    await scene.outcome(run)
    applied = [
        report
        for _, task in scene.record.deliveries(run.id)
        for report in scene.record.reports(task.task_token)
        if report.status == pb.COMPLETION_STATUS_APPLIED
    ]
    if any(report.result.task_token == first.task_token for report in applied):
        raise Miss("the result of the lease that it had lost was taken")


async def once(scene: Scene) -> None:
    """Look through all that was said for results that were reported twice."""
    answered: dict[str, pb.TaskResult] = {}
    for report in scene.record.reports():
        token = report.result.task_token
        if token in answered:
            raise Miss("it reported a task again whose report had been answered")
        # A rejected result is to be followed by a failure, and a lost answer by the
        # same report.
        exchange = report.exchange
        is_answered = exchange.response is not None and not exchange.is_unsure
        if is_answered and report.status != pb.COMPLETION_STATUS_REJECTED:
            answered[token] = report.result
