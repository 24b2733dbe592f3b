"""Runs of several shapes, kept going until a test has done all its harm."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import starflow
from starflow.v1 import event_pb2
from tests.support.processes import until
from tests.system.histories import History
from tests.system.scene import Scene

# How many runs are in flight.
WIDTH = 8
GATE = "faults"
_PAUSE_S = 0.02

IN_TURN = """
def main(ctx, input):
    value = input["n"]
    for n in range(3):
        value = step.add(ctx, {"value": value, "n": n, "ms": 2})["value"]
    return value
"""
AT_ONCE = """
load("flow", "start", "wait")
load("time", "millisecond", "sleep")

def main(ctx, input):
    adds = [start(ctx, step.add, {"value": 1, "n": n, "ms": 5}) for n in range(4)]
    sleep(ctx, 10 * millisecond)
    return input["n"] + sum([each["value"] for each in wait(ctx, adds)]) - 7

def sum(values):
    total = 0
    for value in values:
        total += value
    return total
"""
ASLEEP = """
load("time", "millisecond", "sleep")

def main(ctx, input):
    sleep(ctx, 30 * millisecond)
    value = step.add(ctx, {"value": input["n"], "n": 3, "ms": 1})["value"]
    sleep(ctx, 20 * millisecond)
    return value
"""
ASKING = """
def main(ctx, input):
    answer = step.ask(ctx, {"gate": "faults"})
    return input["n"] + answer["more"]
"""
FAILING = """
def main(ctx, input):
    attempts = step.flaky(ctx, {"failures": 1})
    return input["n"] + (3 if attempts > 1 else attempts)
"""
# All of them add 3.
SHAPES = (IN_TURN, AT_ONCE, ASLEEP, ASKING, FAILING)


class Load:
    """Runs in flight: when one ends, another begins."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._results: dict[str, Any] = {}
        self._started = 0
        self._is_over = False

    @property
    def ended(self) -> int:
        """How many runs have ended."""
        return len(self._results)

    @contextlib.asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Keep runs in flight while the block lasts; then let them end."""
        self._scene.open_gate(GATE)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WIDTH):
                tasks.create_task(self._one_after_the_other())
            try:
                yield
            finally:
                self._is_over = True

    async def check(self) -> list[History]:
        """Make sure that all promises were kept; return what can be known."""
        found = await self._scene.check(*self._results)
        for history in found:
            assert history.log[-1].type == event_pb2.EVENT_TYPE_FINISH
            result = json.loads(history.log[-1].finish_event.output.json)
            n = int(history.run_id.removeprefix("load-"))
            assert result == self._results[history.run_id] == n + 3, history.run_id
        return found

    async def _one_after_the_other(self) -> None:
        while not self._is_over:
            self._started += 1
            await self._play(self._started)

    async def _play(self, n: int) -> None:
        run = await self._scene.client.start(
            SHAPES[n % len(SHAPES)], run_id=f"load-{n}", input={"n": n}
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._scene.reader(run.id).follow())
            if SHAPES[n % len(SHAPES)] is ASKING:
                tasks.create_task(self._answer(run.id))
            result = tasks.create_task(self._result(run))
        self._results[run.id] = result.result()

    async def _result(self, run: starflow.Run) -> Any:
        while True:
            with contextlib.suppress(starflow.RunYielded):
                return await run.result()
            # Whoever answers it has not yet.
            await asyncio.sleep(_PAUSE_S)

    async def _answer(self, run_id: str) -> None:
        """Signal the run as soon as its function told the world the id."""
        asked = await until(
            lambda: self._scene.journal.of(run_id), f"{run_id} asks somebody"
        )
        await self._scene.client.signal(run_id, asked[0].signal_id, {"more": 3})
