"""Branches, signals by name, restarts, timeouts and cancelling, while the server is
killed with -9 again and again.

Which moments is decided by a seed: SYSTEM_SEEDS="7 8 9" plays others.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

import starflow
from starflow.v1 import event_pb2 as pb
from tests.support.processes import until, until_async
from tests.system.histories import History
from tests.system.scene import Scene, open_scene

pytestmark = pytest.mark.system

RUNS = 50
KILLS = 4
SIGNALS = 6
SEGMENTS = 8
SEEDS = [int(seed) for seed in os.environ.get("SYSTEM_SEEDS", "1").split()]

# Two at a time in a map, beside branches of two steps each.
IN_BRANCHES = """
load("flow", "flow")

def twice(ctx, n):
    first = step.add(ctx, {"value": n, "n": 1, "ms": 20})["value"]
    return step.multiply(ctx, {"value": first, "n": 2, "ms": 5})["value"]

def main(ctx, input):
    branches = [flow.spawn(ctx, twice, ctx, n) for n in range(3)]
    requests = [{"value": input["start"], "n": n, "ms": 20} for n in range(5)]
    added = flow.map(ctx, step.add, requests, max_concurrency=2)
    return flow.wait(ctx, branches) + [each["value"] for each in added]
"""

# Takes each signal after a step, so that some of them have to be kept.
TAKES_SIGNALS = """
load("flow", "flow")

def main(ctx, input):
    taken = []
    for n in range(input["signals"]):
        step.add(ctx, {"value": n, "n": 1, "ms": 10})
        taken.append(flow.wait_signal(ctx, "item"))
    return taken
"""

# The value goes from segment to segment.
BEGINS_AGAIN = """
load("flow", "flow")

def main(ctx, input):
    flow.set_status(ctx, "segment", data=input["left"])
    if not input["left"]:
        return input["value"]
    added = step.add(ctx, {"value": input["value"], "n": input["left"], "ms": 10})
    flow.restart(ctx, {"value": added["value"], "left": input["left"] - 1})
"""

# Nobody opens the gate.
RUNS_OUT_OF_TIME = """
load("flow", "flow")
load("time", "millisecond")

def main(ctx, input):
    request = {"gate": "none"}
    seen = []
    for n in range(3):
        got = flow.catch(flow.call, ctx, step.hold, request, timeout=150 * millisecond)
        seen.append(got.error.code)
        step.add(ctx, {"value": n, "n": 1, "ms": 10})
    late = flow.wait_signal(ctx, "none", timeout=100 * millisecond, default="late")
    return seen + [late]
"""

# Cancelled while it waits for what never comes.
UNDOES = """
load("flow", "flow")

def main(ctx, input):
    for n in range(3):
        request = {"value": n, "n": 1, "ms": 10}
        step.add(ctx, request)
        flow.defer(ctx, step.multiply, ctx, request, on="failure")
    flow.wait_signal(ctx, "never")
"""

Play = Callable[[Scene, starflow.Run], Awaitable[Any]]


async def only_wait(scene: Scene, run: starflow.Run) -> Any:
    return await run.result(through_yields=True)


async def send_signals(scene: Scene, run: starflow.Run) -> Any:
    for n in range(SIGNALS):
        # Sent twice, as by a sender who is not sure.
        for _ in range(2):
            await run.signal(name="item", output=n, request_id=f"item-{n}")
        await asyncio.sleep(0.02)
    return await run.result(through_yields=True)


async def cancel(scene: Scene, run: starflow.Run) -> Any:
    async def waits() -> bool:
        return (await run.get()).signal_names == ("never",)

    await until_async(waits, "it waits for what never comes")
    await run.cancel("enough")
    with pytest.raises(starflow.RunCancelled) as caught:
        await run.result(through_yields=True)
    return caught.value.message


SCRIPTS: list[tuple[str, Play, Callable[[int], Any]]] = [
    (IN_BRANCHES, only_wait, lambda start: [2, 4, 6, *range(start, start + 5)]),
    (TAKES_SIGNALS, send_signals, lambda _: list(range(SIGNALS))),
    (BEGINS_AGAIN, only_wait, lambda start: start + sum(range(SEGMENTS + 1))),
    (RUNS_OUT_OF_TIME, only_wait, lambda _: ["STARFLOW_TIMEOUT"] * 3 + ["late"]),
    (UNDOES, cancel, lambda _: "enough"),
]


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_run_ends_right_although_the_server_is_killed(tmp_path, seed):
    chance = Random(seed)
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(play(scene, n)) for n in range(RUNS)]
            await harm(scene, runs, chance)
            results = await asyncio.gather(*runs)
        found = await scene.check(*(f"run-{n}" for n in range(RUNS)))
        for n, (history, result) in enumerate(zip(found, results, strict=True)):
            assert result == SCRIPTS[n % len(SCRIPTS)][2](n)
            assert_ended(history, result)


async def play(scene: Scene, n: int) -> Any:
    script, go_on, _ = SCRIPTS[n % len(SCRIPTS)]
    given = {"start": n, "value": n, "left": SEGMENTS, "signals": SIGNALS}
    run = await scene.client.start(script, run_id=f"run-{n}", input=given)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scene.reader(run.id).follow())
        result = tasks.create_task(as_task(go_on(scene, run)))
    return result.result()


async def as_task(going_on: Awaitable[Any]) -> Any:
    return await going_on


async def harm(scene: Scene, runs: list[asyncio.Task[Any]], chance: Random) -> None:
    """Kill the server at some moments between the first step and about the last."""
    entries = RUNS * 10
    for moment in sorted(chance.sample(range(entries // 20, entries), KILLS)):
        await until(
            lambda at=moment: (
                scene.journal.count() >= at or all(run.done() for run in runs)
            ),
            "steps are done",
        )
        async with scene.server_killed():
            await asyncio.sleep(chance.uniform(0, 0.2))


def assert_ended(history: History, result: Any) -> None:
    end = history.log[-1].finish_event
    if end.HasField("failure"):
        assert end.failure.code == "STARFLOW_CANCELLED"
        undone = [e for e in history.log if e.call_event.function == "step.multiply"]
        values = [json.loads(e.call_event.input.json)["value"] for e in undone]
        assert values == [2, 1, 0]
    else:
        assert json.loads(end.output.json) == result


async def test_a_loop_of_two_hundred_segments_survives(tmp_path):
    script = BEGINS_AGAIN.replace('"ms": 10', '"ms": 0')
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        run = await scene.client.start(
            script, run_id="loop", input={"value": 0, "left": 200}
        )
        for at in (100, 250):
            await until(lambda at=at: scene.journal.count() >= at, "steps are done")
            async with scene.server_killed():
                pass

        assert await run.result() == sum(range(201))
        assert run.info.restarts == 200
        assert run.info.status == {"text": "segment", "data": 0}
        (history,) = await scene.check("loop")
        types = [event.type for event in history.log]
        assert types.count(pb.EVENT_TYPE_RESTART) == 200
        assert run.info.segment_version == len(types) - 2
