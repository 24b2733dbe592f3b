"""
Hundreds of workflows made by chance, each answered in an order made by chance.

`make sim` plays more: STARFLOW_SEEDS says how many, or which as `FIRST-LAST`.
"""

import os
from random import Random

import pytest

from starflow_service.engine.machine import Turn
from tests.support.driver import Run, WaitForSignal, decisions_after
from tests.support.workflows import make_workflow

FUNCTIONS = {"test.echo": lambda req: req, "test.ask": lambda req: WaitForSignal()}


def seeds(default: int) -> range:
    first, dash, last = os.environ.get("STARFLOW_SEEDS", str(default)).partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(first))


def play(seed, *, reload_every=0):
    chance = Random(seed)
    run = Run(make_workflow(seed), FUNCTIONS, chance=Random(seed + 1))
    steps = 0
    while run.result is None:
        assert run.turned is Turn.BLOCKED
        if run.history.signal_ids and chance.random() < 0.3:
            signal_id = chance.choice(list(run.history.signal_ids))
            run.signal({"by": "chance"}, signal_id=signal_id)
        elif not run.step():
            run.signal("the last resort")
        steps += 1
        if reload_every and steps % reload_every == 0 and run.result is None:
            run.reload()
    return run


@pytest.mark.parametrize("seed", seeds(150))
def test_a_replay_after_every_event_decides_the_same(seed):
    run = play(seed)
    for length in range(1, len(run.log)):
        new = decisions_after(run.script, run.log, length)
        assert new == run.log[length : length + len(new)], f"after event {length}"


@pytest.mark.parametrize("reload_every", [1, 2, 5])
@pytest.mark.parametrize("seed", seeds(50))
def test_restarts_change_nothing(seed, reload_every):
    undisturbed, restarted = play(seed), play(seed, reload_every=reload_every)
    assert restarted.log == undisturbed.log


def test_the_generator_makes_every_kind_of_event():
    kinds = {kind for seed in range(150) for kind in play(seed).kinds}
    assert kinds == {
        *("START", "CALL", "RETURN", "YIELD", "RESUME", "SLEEP", "TIME_NOW"),
        *("RAND_INT", "FINISH", "SIGNAL", "WAKE"),
    }
