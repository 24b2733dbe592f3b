from starflow_service.engine.machine import Turn
from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits
from tests.support.driver import Run


def parked_by(run):
    assert run.turned is Turn.PARKED
    assert isinstance(run.machine.abort, LimitError)
    return run.machine.abort


def test_a_log_over_its_limit_parks_the_run():
    script = "def main(ctx, input):\n    for n in range(100):\n        f.f(ctx, n)\n"
    run = Run(script, {"f.f": lambda req: None}, limits=Limits(max_events=10))
    run.go_on()
    abort = parked_by(run)
    assert abort.limit == "max_events"
    assert abort.stack[-1].pos.line == 3
    assert len(run.log) == 11  # the limit, and the answer that the world gave


def test_too_many_open_calls_park_the_run():
    script = """
load("flow", "flow")
def main(ctx, input):
    return flow.wait(ctx, [flow.start(ctx, f.f, n) for n in range(100)])
"""
    run = Run(script, limits=Limits(max_open_calls=10))
    assert parked_by(run).limit == "max_open_calls"
    assert run.kinds.count("CALL") == 10


def test_a_raised_limit_lets_the_run_go_on():
    script = "def main(ctx, input):\n    for n in range(100):\n        f.f(ctx, n)\n"
    run = Run(script, {"f.f": lambda req: None}, limits=Limits(max_events=10))
    run.go_on()
    parked_by(run)
    run.limits = Limits()
    run.reload()
    run.go_on()
    assert run.result == "null"


def test_an_endless_loop_is_sliced_and_then_parked():
    script = """
def main(ctx, input):
    n = 0
    for i in range(100000):
        for j in range(100000):
            n += 1
"""
    run = Run(script, limits=Limits(max_steps=200_000))
    assert parked_by(run).limit == "max_steps"
    assert run.kinds == ["START"]


def test_an_answer_that_comes_while_the_run_is_parked_is_kept():
    script = """
load("flow", "flow")
def main(ctx, input):
    a = flow.start(ctx, f.f, 1)
    b = flow.start(ctx, f.f, 2)
    flow.wait(ctx, a)
    f.f(ctx, 3)
    return flow.wait(ctx, b)
"""
    run = Run(script, {"f.f": lambda req: req}, limits=Limits(max_events=4))
    run.answer(2)
    run.arrive()
    assert parked_by(run).limit == "max_events"
    # The run is parked before its third call; the second call's answer comes.
    run.ledger.returned(3, "2", attempts=1, worker_id="w", delivery="d")
    run.log += run.ledger.take()
    run.limits = Limits()
    run.reload()
    run.go_on()
    assert run.result == "2"
    run.reload()
