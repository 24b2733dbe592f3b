import json

import pytest

from starflow_service.engine.events import Call, Failure, Start
from starflow_service.engine.machine import Turn
from tests.engine import corpus
from tests.support.driver import Run, decisions_after


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", corpus.SCRIPTS)
def test_a_replay_after_every_event_decides_the_same(name, seed):
    run = corpus.play(name, seed=seed)
    assert run.result is not None
    for length in range(1, len(run.log)):
        new = decisions_after(run.script, run.log, length)
        assert new == run.log[length : length + len(new)], f"after event {length}"


@pytest.mark.parametrize("name", corpus.SCRIPTS)
def test_a_run_that_is_reloaded_after_every_step_leaves_the_same_log(name):
    def reload(run: Run) -> None:
        if run.result is None:
            run.reload()

    undisturbed = corpus.play(name)
    reloaded = corpus.play(name, between=reload)
    assert reloaded.log == undisturbed.log
    assert reloaded.prints == undisturbed.prints


def test_the_originals_three_phases_leave_the_originals_sequence():
    run = corpus.play("three phases")
    assert " ".join(run.kinds) == (
        "START TIME_NOW RAND_INT CALL YIELD RESUME SLEEP CALL YIELD RESUME SLEEP"
        " RAND_INT CALL RETURN TIME_NOW FINISH"
    )


def test_answers_are_seen_in_the_order_of_the_log():
    """Whatever order the calls of a fan-out end in, a replay sees that order."""
    logs = [corpus.play("parallel", seed=seed).log for seed in range(20)]
    orders = {tuple(e.call_version for e in log if e.NAME == "RETURN") for log in logs}
    assert len(orders) > 5
    assert {log[-1].result for log in logs} == {'{"sum":91,"last":36}'}


def test_a_sleep_that_is_the_only_wait_ends_without_an_event():
    run = corpus.play("three phases")
    assert "WAKE" not in run.kinds


def test_a_sleep_beside_an_open_call_ends_with_wake():
    orders = {
        " ".join(corpus.play("sleep beside calls", seed=s).kinds) for s in range(30)
    }
    assert any("WAKE" in order for order in orders)
    assert any("WAKE" not in order for order in orders)


CHANGED = {
    "another argument": ('{"n": n}', '{"n": n + 1}', 2, "calls test.square"),
    "another function": ("test.square", "test.cube", 2, "calls test.cube"),
    "an end": ("total = 0", "return 7", 2, "the script now ends"),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_script_that_leaves_its_log_is_stopped_there(change):
    old, new, version, asked = CHANGED[change]
    log = corpus.play("loop").log
    run = Run(corpus.LOOP.replace(old, new), corpus.FUNCTIONS)
    run.log = list(log)
    run.reload()
    assert run.turned is Turn.PARKED
    message = str(run.machine.abort)
    assert f"event {version} records CALL test.square" in message
    assert asked in message
    assert run.ledger.take() == []


def test_a_mismatch_tells_the_line_and_the_stack():
    log = corpus.play("failing").log
    run = Run(corpus.FAILING.replace("no money", "no luck"), corpus.FUNCTIONS)
    run.log = list(log)
    run.reload()
    frames = [(frame.function, frame.pos.line) for frame in run.machine.abort.stack]
    assert frames == [("main", 3), ("outer", 6)]


def test_a_script_that_waits_where_the_log_has_a_step_has_left_its_log():
    log = corpus.play("loop").log
    script = """
load("time", "hour", "millisecond", "minute", "now", "second", "sleep")
load("flow", "flow")

def main(ctx, input):
    f = flow.start(ctx, test.square, {"n": 0})
    g = flow.start(ctx, test.square, {"n": 1})
    flow.wait(ctx, [f])
    flow.wait(ctx, [g])
"""
    run = Run(script, corpus.FUNCTIONS)
    del log[4:]
    log[2:] = [Call(3, log[2].time_ns, "test.square", '{"n": 1}', "3-x")]
    log.append(Call(4, log[2].time_ns, "test.square", '{"n": 2}', "4-x"))
    run.log = log
    run.reload()
    assert "waits for test.square (event 2)" in str(run.machine.abort)


def test_a_failed_run_keeps_the_functions_code_and_adds_the_place():
    failure = corpus.play("failing").result
    assert isinstance(failure, Failure)
    assert (failure.code, failure.message) == ("CARD_DECLINED", "no money")
    assert json.loads(failure.details) == {"bank": "x"}
    assert "script.star:6" in failure.stack_trace


def test_start_is_recorded_with_the_language_version():
    start = corpus.play("nothing").log[0]
    assert isinstance(start, Start)
    assert start.language_version == 1
