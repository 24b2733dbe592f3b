"""Workflows of every kind, run to their end by the driver."""

from collections.abc import Callable
from random import Random

from starflow_service.engine.events import Failure, Retryability
from tests.support.driver import Run, WaitForSignal

# The scenario of the Go original: three phases, two of which wait for a person.
THREE_PHASES = """
load("time", "now", "sleep", "parse_duration")
load("rand", "int")

def main(ctx, input):
    started = now(ctx=ctx)
    ticket = int(ctx=ctx, max=1000)
    first = phase.Approve(ctx=ctx, req={"ticket": ticket, "name": input["name"]})
    sleep(ctx=ctx, duration=parse_duration("5ms"))
    second = phase.Approve(ctx=ctx, req={"after": first})
    sleep(ctx, parse_duration("10ms"))
    number = int(ctx, 10)
    done = phase.Work(ctx, {"second": second, "number": number})
    ended = now(ctx)
    return {"started": started, "ended": ended, "done": done, "ticket": ticket}
"""

PARALLEL = """
load("flow", "flow")

def main(ctx, input):
    futures = [flow.start(ctx, test.square, {"n": n}) for n in range(input["count"])]
    last = flow.wait(ctx, futures[-1])
    everything = flow.wait(ctx, futures)
    return {"sum": sum_of(everything), "last": last}

def sum_of(numbers):
    total = 0
    for n in numbers:
        total += n
    return total
"""

SLEEP_BESIDE_CALLS = """
load("flow", "flow")
load("time", "hour", "millisecond", "minute", "now", "second", "sleep")

def main(ctx, input):
    slow = flow.start(ctx, test.square, {"n": 12})
    sleep(ctx, second * 30)
    quick = test.square(ctx, {"n": 3})
    sleep(ctx, minute)
    return [flow.wait(ctx, slow), quick]
"""

LOOP = """
def main(ctx, input):
    total = 0
    for n in range(20):
        total += test.square(ctx, {"n": n})
        print("round", n, total)
    return total
"""

FAILING = """
def main(ctx, input):
    return outer(ctx)

def outer(ctx):
    return test.fail(ctx, {"why": "no money"})
"""

NOTHING = """
def main(ctx, input):
    return input
"""

SCRIPTS = {
    "three phases": THREE_PHASES,
    "parallel": PARALLEL,
    "sleep beside calls": SLEEP_BESIDE_CALLS,
    "loop": LOOP,
    "failing": FAILING,
    "nothing": NOTHING,
}

FUNCTIONS = {
    "test.square": lambda req: req["n"] ** 2,
    "test.fail": lambda req: Failure(
        "CARD_DECLINED",
        req["why"],
        retryability=Retryability.PERMANENT,
        details='{"bank": "x"}',
    ),
    "phase.Approve": lambda req: WaitForSignal(),
    "phase.Work": lambda req: {"worked": req},
}

INPUTS = {
    "three phases": {"name": "Ada"},
    "parallel": {"count": 7},
    "nothing": {"big": 2**100, "float": 1.0, "text": "é\u2028", "none": None},
}


def play(
    name: str, *, seed: int = 0, between: Callable[[Run], None] | None = None
) -> Run:
    """Run a workflow of the corpus to its end; *between* is called after each step."""
    run = Run(SCRIPTS[name], FUNCTIONS, INPUTS.get(name), chance=Random(seed))
    while True:
        moved = run.step()
        if not moved and run.history.signal_ids and run.result is None:
            run.signal({"approved": True})
            moved = True
        if between is not None:
            between(run)
        if not moved:
            return run
