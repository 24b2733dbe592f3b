"""The modules of the language in a run: what is an event of its log, and what not."""

import json

import pytest

from starflow_service.engine.events import Sleep, Start
from starflow_service.engine.machine import Turn
from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits
from tests.support.driver import Run, World

CHANCE = """
load("rand", "rand")
load("uuid", "uuid")

def main(ctx, input):
    drawn = [rand.float(ctx), rand.choice(ctx, range(1000)), uuid.v4(ctx)]
    number = f.f(ctx, drawn)
    mixed, again = rand.shuffle(ctx, range(10)), uuid.v4(ctx)
    return [drawn, mixed, again, rand.int(ctx, 10), number]
"""


def chance(seed):
    world = World(seed)
    return Run(CHANCE, {"f.f": lambda req: len(req)}, world=world).go_on()


def test_what_is_drawn_from_the_seed_is_no_event():
    run = chance(1)
    assert run.kinds == ["START", "CALL", "RETURN", "RAND_INT", "FINISH"]
    start = run.log[0]
    assert isinstance(start, Start)
    assert len(start.seed) >= 16


def test_a_replay_draws_the_same():
    run = chance(1)
    before = run.result
    run.reload()
    assert run.result == before
    drawn, shuffled, second, _, number = json.loads(before)
    assert sorted(shuffled) == list(range(10))
    assert drawn[2] != second
    assert number == 3


def test_runs_draw_from_seeds_of_their_own():
    assert len({json.loads(chance(seed).result)[2] for seed in range(5)}) == 5


SLEEPS = """
load("time", "time")

def main(ctx, input):
    t = time.parse_time(time.now(ctx)) + time.parse_duration(input)
    time.sleep_until(ctx, t.in_location("Asia/Tokyo"))
    return t.unix_nano
"""


@pytest.mark.parametrize(("duration", "seconds"), [("90m", 5400), ("-90m", None)])
def test_a_sleep_until_a_time_is_recorded_with_it(duration, seconds):
    run = Run(SLEEPS, input=duration).go_on()
    sleep = next(event for event in run.log if isinstance(event, Sleep))
    wanted_ns = int(run.result)
    if seconds is None:
        # What has passed is a sleep of no length.
        assert sleep.wake_ns == sleep.time_ns > wanted_ns
    else:
        assert sleep.wake_ns == wanted_ns
    before = list(run.kinds)
    run.reload()
    assert run.kinds == before
    assert run.turned is Turn.FINISHED


@pytest.mark.parametrize(
    "sleep", ["sleep(ctx, hour + second)", "sleep_until(ctx, from_timestamp(1 << 40))"]
)
def test_a_sleep_over_its_limit_parks_the_run(sleep):
    names = '"from_timestamp", "hour", "second", "sleep", "sleep_until"'
    script = f'load("time", {names})\ndef main(ctx, input): {sleep}\n'
    limits = Limits(max_sleep_ns=3600 * 10**9)
    run = Run(script, limits=limits)
    assert run.turned is Turn.PARKED
    abort = run.machine.abort
    assert isinstance(abort, LimitError)
    assert abort.limit == "max_sleep_ns"
    assert abort.message == "a sleep of more than 3600 seconds"
    assert run.kinds == ["START"]
