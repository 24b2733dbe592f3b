"""
Hundreds of workflows with branches, made by chance, in a world made by chance.

`make sim` plays more: STARFLOW_SEEDS says how many, or which as `FIRST-LAST`.
"""

from itertools import takewhile
from random import Random

import pytest

from starflow_service.engine.events import Failure, Restart
from starflow_service.engine.history import STEPS, History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Turn
from starflow_service.starlark.limits import Limits
from tests.engine.test_generated import seeds
from tests.support.branching import make_branching
from tests.support.driver import Run, WaitForSignal, decisions_after

FUNCTIONS = {
    "test.echo": lambda req: req,
    "test.ask": lambda req: WaitForSignal(timeout_ns=10**9),
    "test.fail": lambda req: Failure("REFUSED", "no", details="[1]"),
    "test.odd": lambda req: req if req % 2 else Failure("EVEN", "even"),
}
SMALL_SLICES = Limits(slice_steps=20)


class World:
    """What happens to a run: answers, signals and, sometimes, a wish to end it."""

    def __init__(self, seed):
        self.chance = Random(seed)
        self.sent = 0
        self.is_cancelling = self.chance.random() < 0.2

    def act(self, run):
        """Write one thing into the run's ledger."""
        history, ledger = run.history, run.ledger
        draw = self.chance.random()
        if draw < 0.15 and self.sent < 6:
            self.sent += 1
            name = self.chance.choice(["go", "stop"])
            ledger.signal_by_name(name, f"r{self.sent}", "7", only_if_waiting=False)
        elif self.is_cancelling and draw > 0.9:
            ledger.cancel("enough")
        elif history.waits:
            self.answer(run, self.chance.choice(history.open_versions()))
        else:
            assert history.finish is not None

    def answer(self, run, version):
        history, ledger = run.history, run.ledger
        if version in history.signal_waits:
            wait = history.signal_waits[version]
            if wait.expire_ns is None:
                ledger.signal_by_name(wait.name, "", "8", only_if_waiting=True)
            else:
                ledger.woke(version)
        elif version in history.sleeps:
            ledger.woke(version)
        elif history.calls[version].yielded is None:
            run.answer(version)
        else:
            signal_id = history.calls[version].call.signal_id
            ledger.signal(signal_id, '"yes"', only_if_waiting=False)


def begin(seed, limits=None):
    rounds = Random(seed).choice([0, 0, 1, 2])
    payload = {"round": 0, "rounds": rounds}
    script = make_branching(seed)
    return Run(script, FUNCTIONS, payload, limits=limits or Limits())


def check(run):
    assert run.turned is not Turn.PARKED, run.machine.abort
    return run.result is None


def play(seed, *, reload=lambda chance: False):
    run, world, chance = begin(seed), World(seed), Random(seed)
    while check(run):
        world.act(run)
        run.arrive()
        if reload(chance) and run.result is None:
            run.reload()
    return run


def inside_a_restart(log):
    """The lengths at which no store ever holds the log: these events come together."""
    history, lengths = History(), set()
    for event in log:
        history.apply(event)
        if isinstance(event, Restart):
            carried = len(history.carried)
            lengths.update(range(event.version + 1, event.version + 1 + carried))
    return lengths


def check_replays(run):
    """From wherever the log is replayed, the script decides what the log holds."""
    unstored = inside_a_restart(run.log)
    for length in range(1, len(run.log)):
        if length not in unstored:
            new = decisions_after(run.script, run.log, length)
            assert new == run.log[length : length + len(new)], f"after event {length}"


def check_steps(run):
    """
    As `check_replays`, for a log that has answers that came together, or between steps.

    Where it ends between such answers the script would have done something else, and
    what is compared ends where the next answer came.
    """
    unstored = inside_a_restart(run.log)
    for length in range(1, len(run.log)):
        steps = [*takewhile(lambda event: type(event) in STEPS, run.log[length:])]
        if steps and length not in unstored:
            # A second quiet sleep would have to be ended as well.
            new = decisions_after(run.script, run.log, length)[: len(steps)]
            assert new, f"after event {length}"
            assert new == steps[: len(new)], f"after event {length}"


@pytest.mark.parametrize("seed", seeds(50))
def test_a_replay_after_every_event_decides_the_same(seed):
    check_replays(play(seed))


@pytest.mark.parametrize("seed", seeds(25))
def test_evictions_change_nothing(seed):
    undisturbed = play(seed)
    always = play(seed, reload=lambda chance: True)
    sometimes = play(seed, reload=lambda chance: chance.random() < 0.3)
    for run in (always, sometimes):
        assert run.log == undisturbed.log
        assert run.prints == undisturbed.prints


def absent(run):
    """Take the script out of memory; only the ledger goes on."""
    printed = run.machine.lines
    run.machine.kill()
    history = History()
    for event in run.log:
        history.apply(event)
    run.ledger = Ledger(history, run.world)
    return printed


def come_back(run, printed):
    run.log += run.ledger.take()
    run.ledger = Ledger(History(), run.world)
    run.machine = type(run.machine)(run.program, run.ledger, run.limits)
    run.machine.load(run.log, printed=printed)
    run.turn()


@pytest.mark.parametrize("seed", seeds(25))
def test_answers_that_come_while_the_script_is_out_of_memory(seed):
    """They lie in the log together, and the script still takes them one by one."""
    run, world, chance = begin(seed), World(seed), Random(seed)
    while check(run):
        if chance.random() < 0.5:
            printed = absent(run)
            for _ in range(chance.randint(1, 4)):
                # A quiet sleep would leave no trace for the script to come back to.
                if run.history.waits and run.history.quiet_sleep is None:
                    world.act(run)
            come_back(run, printed)
        else:
            world.act(run)
            run.arrive()
    check_steps(run)


@pytest.mark.parametrize("seed", seeds(25))
def test_answers_that_come_while_the_script_computes(seed):
    run, world, chance = begin(seed, SMALL_SLICES), World(seed), Random(seed)
    while check(run):
        world.act(run)
        for arrival in run.ledger.take_arrivals():
            run.machine.arrive(arrival)
        while (turned := run.machine.turn()) is Turn.SLICED:
            if chance.random() < 0.3 and run.history.waits:
                world.act(run)
        run.turned = turned
        run.log += run.ledger.take()
    check_steps(run)


def test_the_generator_makes_every_kind_of_event():
    runs = [play(seed) for seed in range(80)]
    assert {kind for run in runs for kind in run.kinds} == {
        *("START", "CALL", "RETURN", "YIELD", "RESUME", "SLEEP", "TIME_NOW", "WAKE"),
        *("RAND_INT", "FINISH", "SIGNAL", "WAIT", "DROP", "CANCEL", "STATUS"),
        "RESTART",
    }
    codes = {run.result.code for run in runs if isinstance(run.result, Failure)}
    assert codes >= {"STARFLOW_CANCELLED", "STARFLOW_SCRIPT_ERROR"}
