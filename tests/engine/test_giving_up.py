"""What a script gives up is closed in its log, and nobody goes on waiting for it."""

import pytest

from starflow_service.engine.events import Drop
from tests.support.driver import Run

HEAD = """
load("flow", "first", "map", "spawn", "start", "wait", "wait_signal")
load("time", "hour", "second", "sleep")

def main(ctx, input):
    first(ctx, [spawn(ctx, loser, ctx), spawn(ctx, sleep, ctx, second)])
    sleep(ctx, hour)
    return "done"

def loser(ctx):
"""
# How many events each of them waits for, and no one else.
LOSERS = {
    "a sleep": ("sleep(ctx, hour)", 1),
    "a signal": ('wait_signal(ctx, "go", timeout=hour)', 1),
    "a call": ("test.echo(ctx, 1)", 1),
    "a map of calls": ("map(ctx, test.echo, [1, 2, 3])", 3),
    "a map of branches": ("map(ctx, lambda ctx, n: sleep(ctx, n * hour), [1, 2])", 2),
    "a map in a map": (
        "map(ctx, lambda ctx, n: map(ctx, test.echo, [n, n]), [1, 2])",
        4,
    ),
}


@pytest.mark.parametrize(("loser", "waits"), LOSERS.values(), ids=LOSERS)
@pytest.mark.parametrize("with_restarts", [False, True])
def test_what_the_loser_alone_waited_for_is_dropped(loser, waits, with_restarts):
    run = Run(f"{HEAD}    {loser}\n", {"test.echo": lambda req: req})
    history = run.history
    before = {*history.calls, *history.sleeps, *history.signal_waits}

    end_the_winner(run)
    if with_restarts:
        run.reload()

    (drop,) = [event for event in run.log if isinstance(event, Drop)]
    assert set(drop.dropped_versions) < before
    assert len(drop.dropped_versions) == waits
    assert run.history.waits == 1
    assert run.go_on().result == '"done"'


def test_a_future_of_the_loser_may_be_somebody_elses():
    run = Run(
        f"{HEAD}    wait(ctx, start(ctx, test.echo, 1), timeout=hour)\n",
        {"test.echo": lambda req: req},
    )

    end_the_winner(run)

    assert len(run.history.calls) == 1
    assert len(run.history.sleeps) == 1


def end_the_winner(run: Run) -> None:
    sleeps = run.history.sleeps
    run.ledger.woke(min(sleeps, key=sleeps.__getitem__))
    run.arrive()
