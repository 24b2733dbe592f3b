"""Signals by name, restarts, status, time, chance and printed lines."""

import json

import pytest

from starflow_service.engine.errors import ReplayMismatch
from starflow_service.engine.events import Failure, Start
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine, Turn
from starflow_service.starlark.limits import Limits
from tests.engine.flows import error_of, result_of, run_of

# Signals


def test_a_signal_ends_the_wait_for_it():
    run = run_of('return flow.wait_signal(ctx, "go")')
    assert run.kinds == ["START", "WAIT"]
    run.send("stop", 1)
    assert run.result is None
    run.send("go", {"by": "Ada"})
    assert json.loads(run.result) == {"by": "Ada"}


def test_signals_that_came_before_are_read_oldest_first():
    run = run_of("""
test.ask(ctx)
return [flow.wait_signal(ctx, name) for name in ["go", "stop", "go"]]
""")
    for name, value in [("go", 1), ("go", 2), ("stop", 3)]:
        run.send(name, value)
    run.signal(None)
    run.step()
    assert run.result == "[1,3,2]"
    assert run.kinds.count("WAIT") == 3


def test_a_signal_may_be_a_failure():
    run = run_of('return flow.catch(flow.wait_signal, ctx, "go").error')
    run.ledger.signal_by_name("go", "", Failure("DENIED", "no"), only_if_waiting=True)
    run.arrive()
    assert json.loads(run.result)["code"] == "DENIED"


def test_a_wait_that_takes_too_long_gives_the_default():
    body = 'return flow.wait_signal(ctx, "go", timeout=time.second, default=DEFAULT)'
    assert result_of(body.replace("DEFAULT", "7")) == "7"
    assert result_of(body.replace("DEFAULT", "None")) == "null"


def test_a_wait_that_takes_too_long_fails_without_a_default():
    failure = result_of('flow.wait_signal(ctx, "go", timeout=time.second)')
    assert (failure.code, failure.message) == (
        "STARFLOW_TIMEOUT",
        "no signal go came in time",
    )


def test_branches_that_wait_for_one_name_are_answered_in_their_order():
    run = run_of("""
futures = [flow.spawn(ctx, flow.wait_signal, ctx, "go") for _ in range(3)]
return flow.wait(ctx, futures)
""")
    for value in range(3):
        run.send("go", value)
    assert run.result == "[0,1,2]"


WRONG = {
    "1": "got int, want string",
    "''": '"" is no name of a signal (want letters, digits and any of ._:- after the'
    " first, at most 128)",
    "'a b'": '"a b" is no name of a signal (want letters, digits and any of ._:- after'
    " the first, at most 128)",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_name_that_no_signal_can_have_is_refused(name):
    message = error_of(f"flow.wait_signal(ctx, {name})")
    assert message == f"flow.wait_signal: for parameter name: {WRONG[name]}"


def test_a_wait_for_another_signal_has_left_its_log():
    run = run_of('flow.wait_signal(ctx, "go")')
    changed = run_of('flow.wait_signal(ctx, "stop")')
    changed.log = run.log
    changed.reload()
    assert isinstance(changed.machine.abort, ReplayMismatch)
    assert str(changed.machine.abort) == (
        "event 2 records WAIT for signal go, but the script now waits for signal stop"
    )


# Beginning again

LOOP = """
def main(ctx, input):
    print("round", input)
    test.echo(ctx, input)
    if input < 3:
        flow.restart(ctx, input + 1)
    return input
"""


def test_a_script_begins_again_with_another_input():
    run = run_of(LOOP, payload=0).go_on()
    segment = ["START", "CALL", "RETURN"]
    assert run.kinds == [*[*segment, "RESTART"] * 3, *segment, "FINISH"]
    assert run.result == "3"
    assert run.prints == [f"round {n}" for n in range(4)]
    starts = [event for event in run.log if isinstance(event, Start)]
    assert [start.input for start in starts] == ["0", "1", "2", "3"]
    assert len({start.seed for start in starts}) == 4
    assert {start.script_hash for start in starts} == {"hash"}


def test_the_last_segment_is_all_that_is_replayed():
    run = run_of(LOOP, payload=0)
    while run.history.base == 0:
        run.step()
    base = run.history.base
    history = History(base)
    ledger = Ledger(history, run.world)
    machine = Machine(run.program, ledger, Limits())
    machine.load(run.log[base:], printed=0)
    while machine.turn() is Turn.SLICED:
        pass
    assert [line.text for line in machine.take_prints()] == ["round 1"]
    assert ledger.take() == []
    assert list(history.calls) == list(run.history.calls)
    machine.kill()


def test_what_is_open_is_given_up_and_what_nobody_read_is_kept():
    run = run_of(
        """
def main(ctx, input):
    if input:
        return [flow.wait_signal(ctx, "go"), flow.wait_signal(ctx, "go")]
    flow.start(ctx, test.ask)
    flow.spawn(ctx, test.ask, ctx)
    test.ask(ctx)
    flow.restart(ctx, 1)
""",
        payload=0,
    )
    run.send("go", "a", request_id="r1")
    run.send("go", "b")
    run.answer(3)
    run.signal(None, signal_id=run.history.calls[3].call.signal_id)
    assert run.result == '["a","b"]'
    assert run.kinds[-7:] == [
        *("RESTART", "START", "SIGNAL", "SIGNAL", "WAIT", "WAIT", "FINISH"),
    ]
    assert run.history.knows_request("go", "r1")


def test_deferred_functions_run_before_it_begins_again():
    run = run_of(
        """
def main(ctx, input):
    if input:
        return "done"
    for on in ["always", "success", "failure"]:
        flow.defer(ctx, print, on, on=on)
    flow.restart(ctx, 1)
""",
        payload=0,
    )
    assert run.prints == ["success", "always"]
    assert run.result == '"done"'


def test_an_error_in_a_deferred_function_ends_the_run_instead():
    message = error_of('flow.defer(ctx, fail, "no")\nflow.restart(ctx, 1)')
    assert message == "fail: no"


def test_a_cancel_that_came_before_ends_the_run_instead():
    run = run_of("flow.defer(ctx, test.echo, ctx)\nflow.restart(ctx, 1)")
    run.ledger.cancel("enough")
    run.arrive()
    run.go_on()
    assert run.result.code == "STARFLOW_CANCELLED"
    assert "RESTART" not in run.kinds


def test_only_main_begins_again():
    words = "flow.restart: only main may begin again, and not a branch or a deferred"
    branch = "flow.wait(ctx, flow.spawn(ctx, flow.restart, ctx, 1))"
    assert words in error_of(branch)
    assert words in error_of("flow.defer(ctx, flow.restart, ctx, 1)")


def test_a_restart_cannot_be_held():
    body = "if input:\n    return 2\nflow.catch(flow.restart, ctx, 1)"
    assert result_of(body) == "2"


def test_an_input_that_is_no_payload_is_refused_at_its_place():
    assert error_of("flow.restart(ctx, len)") == (
        "input: builtin_function_or_method has no JSON form"
    )


def test_another_input_has_left_the_log():
    run = run_of(LOOP, payload=0).go_on()
    at = run.kinds.index("RESTART") + 1
    changed = run_of(LOOP.replace("input + 1", "input + 2"), payload=0)
    changed.log = run.log[:at]
    changed.reload()
    assert "begins again with another input" in str(changed.machine.abort)


def test_the_limit_of_events_is_for_each_segment():
    run = run_of(LOOP, payload=0, limits=Limits(max_events=4)).go_on()
    assert run.result == "3"


def test_a_script_that_only_begins_again_comes_to_an_end():
    run = run_of("flow.restart(ctx, 1)", limits=Limits(max_steps=100_000))
    assert run.machine.abort.limit == "max_steps"
    assert run.kinds.count("RESTART") < 20


# Status, time, chance


def test_a_status_is_recorded():
    run = run_of("""
flow.set_status(ctx, "begun")
flow.set_status(ctx, "half", progress=0.5, data={"left": 3})
flow.set_status(ctx, "done", 1)
test.ask(ctx)
""")
    statuses = [json.loads(e.status) for e in run.log if e.NAME == "STATUS"]
    assert statuses == [
        {"text": "begun"},
        {"text": "half", "progress": 0.5, "data": {"left": 3}},
        {"text": "done", "progress": 1.0},
    ]
    assert json.loads(run.history.status)["text"] == "done"
    run.reload()
    assert run.machine.abort is None


WRONG_STATUS = {
    "1": "text: got int, want string",
    "'x' * 1001": "text: more than 1000 characters",
    "'x', '1'": "progress: got string, want a number from 0 to 1",
    "'x', 1.5": "progress: 1.5 out of range (want a number from 0 to 1)",
    "'x', float('nan')": "progress: nan out of range (want a number from 0 to 1)",
}


@pytest.mark.parametrize("arguments", WRONG_STATUS)
def test_a_status_that_says_nothing_is_refused(arguments):
    message = error_of(f"flow.set_status(ctx, {arguments})")
    assert message == f"flow.set_status: for parameter {WRONG_STATUS[arguments]}"


def test_the_data_of_a_status_is_a_payload():
    assert error_of("flow.set_status(ctx, 'x', data=len)") == (
        'status["data"]: builtin_function_or_method has no JSON form'
    )


def test_the_time_is_a_value_to_reckon_with():
    run = run_of("""
now = flow.now(ctx)
later = now + time.hour
return [str(now), (later - now) == time.hour, now.unix, type(now)]
""")
    assert run.kinds == ["START", "TIME_NOW", "FINISH"]
    read = run.log[1].value_ns
    assert json.loads(run.result)[1:] == [True, read // 10**9, "time.time"]


def test_numbers_without_events_are_those_of_the_seed():
    body = "test.echo(ctx)\nreturn [rand.float(ctx), rand.float(ctx)]"
    run = run_of(body)
    run.reload()
    run.go_on()
    again = run_of(body).go_on()
    assert run.result == again.result
    assert run.kinds == ["START", "CALL", "RETURN", "FINISH"]
    assert len(run.log[0].seed) == 16


# Printed lines


def test_a_line_of_a_print_that_no_code_calls_has_no_place():
    run = run_of("flow.defer(ctx, print, 'bye')")
    machine = new_machine(run.program, run.world)
    machine.begin("hash", "null")
    assert lines_of(machine) == [("bye", "", (0, 0))]


def lines_of(machine):
    while machine.turn() is Turn.SLICED:
        pass
    return [(p.text, p.filename, tuple(p.pos)) for p in machine.take_prints()]


def new_machine(program, world):
    return Machine(program, Ledger(History(), world), Limits())


def test_a_line_is_handed_out_with_its_place():
    run = run_of("print('one')\nprint('two')")
    machine = new_machine(run.program, run.world)
    machine.begin("hash", "null")
    assert lines_of(machine) == [
        ("one", "script.star", (6, 10)),
        ("two", "script.star", (7, 10)),
    ]
    assert machine.lines == 2


TWO_LINES = "print('one')\nprint('two')\ntest.ask(ctx)\nprint('three')"


@pytest.mark.parametrize(
    ("printed", "texts"), [(0, ["one", "two"]), (1, ["two"]), (2, []), (None, [])]
)
def test_a_replay_hands_out_the_lines_that_were_not(printed, texts):
    run = run_of(TWO_LINES)
    machine = new_machine(run.program, run.world)
    machine.load(run.log, printed=printed)
    assert [text for text, *_ in lines_of(machine)] == texts
    assert machine.lines == 2
    machine.ledger.returned(2, "1", attempts=1, worker_id="w", delivery="d")
    machine.arrive(machine.ledger.take_arrivals()[0])
    assert [text for text, *_ in lines_of(machine)] == ["three"]
    assert machine.lines == 3


def test_lines_that_a_parked_run_had_not_come_to_are_printed():
    run = run_of(
        "print('one')\nfor i in range(10000):\n    pass\nprint('two')\ntest.ask(ctx)",
        limits=Limits(max_steps=100),
    )
    assert run.turned is Turn.PARKED
    run.ledger.cancel("enough")
    run.log += run.ledger.take()
    run.limits = Limits()
    run.reload()
    assert run.prints == ["one", "two"]
