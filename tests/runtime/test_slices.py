"""Scripts that compute: in slices, for as long as they may, and giving way."""

import asyncio

from starflow_service.runtime.clock import Clock
from starflow_service.runtime.slices import Computing, Line, fitted
from starflow_service.runtime.types import PauseReason, Until
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.meter import Meter
from tests.runtime.harness import NS, WAIT_S, shop, until, working
from tests.starlark.scripted_host import ScriptedHost

COMPUTES = """
def main(ctx, input):
    for i in range(1 << 40):
        pass
"""
COMPUTES_A_WHILE = """
def main(ctx, input):
    for i in range(1000000):
        pass
    return test.echo(ctx, "done")
"""
MS = 1_000_000


class SteppedClock(Clock):
    """Each look at the CPU time adds to it; the other clock stands."""

    def __init__(self, step_ns: int) -> None:
        super().__init__()
        self._step_ns = step_ns
        self._cpu_ns = 0

    def monotonic(self) -> float:
        return 0.0

    def cpu_ns(self) -> int:
        self._cpu_ns += self._step_ns
        return self._cpu_ns


class Script:
    def __init__(self, **limits: int) -> None:
        self.meter = Meter(ScriptedHost(), Limits(**limits))


def test_a_slice_is_fitted_to_the_time_that_it_took():
    assert fitted(5000, 2 * MS, MS) == 2500
    assert fitted(1000, MS // 10, MS) == 1500  # up, but not at once
    assert fitted(5000, 500 * MS, MS) == 200  # one long operation, and no fewer
    assert fitted(20_000, 1, MS) == 20_000


async def test_an_activation_is_out_of_time_when_its_slices_add_up():
    line = Line(SteppedClock(0), 0.001)
    script, computing = Script(max_cpu_time_ns=5 * MS), Computing(line)
    for _ in range(5):
        await computing.between(script, MS)
        assert not script.meter.is_out_of_time
    await computing.between(script, MS)
    assert script.meter.is_out_of_time


async def test_an_activation_that_begins_has_all_its_time():
    line = Line(SteppedClock(0), 0.001)
    script, computing = Script(max_cpu_time_ns=5 * MS), Computing(line)
    for _ in range(20):
        script.meter.grant(1)
        await computing.between(script, 3 * MS)
        assert not script.meter.is_out_of_time


async def test_who_computes_rests_only_while_the_loop_is_busy():
    quiet, busy = Line(SteppedClock(0), 0.001), Line(SteppedClock(MS), 0.001)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3):
        await busy.wait(20 * MS)
    # Four times as long as each slice.
    assert loop.time() - begun >= 3 * 0.08
    for _ in range(3):
        # An hour of rest, if it were to rest.
        await quiet.wait(900_000 * MS)


async def test_one_at_a_time_computes_and_all_have_their_turns():
    line = Line(SteppedClock(0), 0.001)
    turns = []

    async def compute(name: str) -> None:
        for _ in range(3):
            await line.wait(MS)
            turns.append(name)

    await asyncio.gather(compute("a"), compute("b"), compute("c"))
    assert turns == ["a", "b", "c"] * 3


async def test_a_run_that_used_its_time_is_parked_and_says_where():
    limits = Limits(max_cpu_time_ns=20 * MS, max_steps=10**12)
    async with shop(limits=limits) as here:
        await here.start(COMPUTES)
        view = await here.runtime.wait_run(NS, "run", Until.FINISHED, WAIT_S)
    assert view.pause_reason is PauseReason.LIMIT
    assert view.pause_message.startswith("max_cpu_time: script used more than 0.02 s")
    assert "script.star:3:5: in main" in view.pause_message


async def test_more_time_lets_it_go_on_where_it_was():
    async with shop(limits=Limits(max_cpu_time_ns=MS)) as here:
        await here.start(COMPUTES_A_WHILE)
        view = await here.runtime.wait_run(NS, "run", Until.FINISHED, WAIT_S)
        assert view.pause_reason is PauseReason.LIMIT
        store = here.store
    async with shop(store) as here, working(here, {"test.echo": lambda text: text}):
        assert (await here.finished()).result == '"done"'
        assert await here.kinds() == "START CALL RETURN FINISH"


async def test_a_server_that_stops_does_not_wait_for_a_computation():
    async with shop(limits=Limits(max_steps=10**12)) as here:
        await here.start(COMPUTES)
        store = here.store
    # Nothing was decided, so that another server does it again.
    async with shop(store, limits=Limits(max_steps=10_000)) as here:

        async def is_parked() -> bool:
            return (await here.view()).pause_reason is PauseReason.LIMIT

        await until(is_parked)
        assert await here.kinds() == "START"
