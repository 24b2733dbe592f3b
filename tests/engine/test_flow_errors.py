"""`flow.catch`, `flow.defer` and cancelling: what holds an error, and what none can."""

import json

import pytest

from starflow_service.engine.events import Failure, FailureKind
from starflow_service.engine.machine import Turn
from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits
from tests.engine.flows import error_of, result_of, run_of


def caught(text):
    return json.loads(result_of(text))


def test_what_succeeds_is_a_result_with_its_value():
    found = caught("return flow.catch(test.echo, ctx, [1])")
    assert found == {"ok": True, "value": [1], "error": None}


def test_the_failure_of_a_function_keeps_its_code_message_and_details():
    assert caught("return flow.catch(test.fail, ctx)") == {
        "ok": False,
        "value": None,
        "error": {
            "code": "CARD_DECLINED",
            "message": "no money",
            "details": {"bank": "x"},
            "retryable": False,
        },
    }


ERRORS = {
    'fail("out", 1)': "fail: out 1",
    "[][1]": "index 1 out of range: empty list",
    '{}["k"]': 'key "k" not in dict',
    "1 + 'a'": "unknown binary op: int + string",
    "unset()": "local variable x referenced before assignment",
    "unset(1)": "function unset accepts no arguments (1 given)",
    "None.x": "NoneType has no .x field or method",
    "test.echo(ctx, len)": "req: builtin_function_or_method has no JSON form",
}


@pytest.mark.parametrize("expression", ERRORS)
def test_errors_of_the_script_are_held_in_the_languages_words(expression):
    error = caught(f"""
def unset():
    if False:
        x = 1
    return x

def main(ctx, input):
    return flow.catch(lambda: {expression}).error
""")
    assert (error["code"], error["message"]) == (
        "STARFLOW_SCRIPT_ERROR",
        ERRORS[expression],
    )


def test_a_held_error_leaves_no_lock_and_no_flag():
    assert caught("""
def main(ctx, input):
    items = [1, 2]
    def through():
        for x in items:
            fail("inside")
    def again():
        return flow.catch(through).ok
    found = [again(), again()]
    items.append(3)
    return [found, items]
""") == [[False, False], [1, 2, 3]]


def test_an_error_that_goes_on_is_not_held_again():
    assert (
        error_of("""
def inner():
    fail("first")

def main(ctx, input):
    result = flow.catch(inner)
    fail(result.error.message, "and second")
""")
        == "fail: fail: first and second"
    )


def test_what_can_be_held_is_what_can_be_called():
    assert error_of("flow.catch(1)") == (
        "flow.catch: for parameter fn: got int, want a function"
    )


VALUES = {
    "str(good)": "result(ok = True, value = [1], error = None)",
    "str(bad.error)": 'error(code = "STARFLOW_SCRIPT_ERROR", message = "fail: x",'
    " details = None, retryable = False)",
    "type(good), type(bad.error)": ["result", "error"],
    "bool(good), bool(bad)": [True, True],
    "dir(good)": ["error", "ok", "value"],
    "bad == bad, good == bad, bad == flow.catch(lambda: fail('x'))": [
        True,
        False,
        True,
    ],
    "good == flow.catch(lambda: [1]), good != flow.catch(lambda: [2])": [True, True],
    "{bad: 1}[flow.catch(lambda: fail('x'))]": 1,
    "hasattr(good, 'ok'), getattr(good, 'other', 7)": [True, 7],
    "json.encode(good)": '{"error":null,"ok":true,"value":[1]}',
}


@pytest.mark.parametrize("expression", VALUES)
def test_results_are_values(expression):
    text = f"""
load("json", "json")

def main(ctx, input):
    good, bad = flow.catch(lambda: [1]), flow.catch(lambda: fail("x"))
    return {expression}
"""
    assert caught(text) == VALUES[expression]


REFUSED = {
    "good.value2": "result has no .value2 field or method (did you mean .value?)",
    "{good: 1}": "unhashable type: list",
    "good < good": "result < result not implemented",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_results_have_no_more_than_their_parts(expression):
    text = f"good = flow.catch(lambda: [1])\nreturn {expression}"
    assert REFUSED[expression] in error_of(text)


def test_a_result_at_the_top_level_is_frozen_with_what_it_holds():
    assert "frozen list" in error_of("""
kept = flow.catch(lambda: [1])

def main(ctx, input):
    kept.value.append(2)
""")


def test_a_result_within_itself_is_shown_once_and_is_no_payload():
    text = """
def main(ctx, input):
    items = []
    items.append(flow.catch(lambda: items))
    print(items)
    return items
"""
    run = run_of(text)
    assert run.prints == ["[result(ok = True, value = [...], error = None)]"]
    assert "nested deeper than 100 levels" in run.result.message


@pytest.mark.parametrize(
    ("limits", "body"),
    [
        ({"max_steps": 1_000}, "for i in range(100000):\n        pass"),
        ({"max_allocated_bytes": 10**6}, "x = [[0] * 1000 for i in range(1000)]"),
        ({"max_open_calls": 1}, "[flow.start(ctx, test.ask) for _ in range(2)]"),
        ({"max_events": 2}, "[flow.start(ctx, test.ask) for _ in range(3)]"),
    ],
)
def test_no_limit_can_be_held(limits, body):
    text = f"def work(ctx):\n    {body}\n\ndef main(ctx, input):\n    "
    run = run_of(f"{text}flow.catch(work, ctx)\n    return 1", limits=Limits(**limits))
    assert run.turned is Turn.PARKED
    assert isinstance(run.machine.abort, LimitError)
    assert run.machine.abort.limit in limits


def test_holding_within_holding_is_as_deep_as_calls_may_be():
    run = run_of("return flow.catch(*([flow.catch] * 1000 + [len, []]))")
    assert run.turned is Turn.PARKED
    assert run.machine.abort.limit == "max_call_depth"
    assert result_of("return flow.catch(*([flow.catch] * 90 + [len, []])).ok") == "true"


def test_no_mismatch_can_be_held():
    text = "flow.catch(test.echo, ctx, 1)\nreturn 1"
    changed = run_of(text.replace("ctx, 1", "ctx, 2"))
    changed.log = run_of(text).log
    changed.reload()
    assert changed.turned is Turn.PARKED
    assert "event 2 records CALL test.echo(1)" in str(changed.machine.abort)


# flow.defer


def deferring(body):
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return f"""
def main(ctx, input):
    def cleanup(name):
        print(name, test.echo(ctx, name))
{lines}
"""


def test_deferred_functions_run_last_first_when_main_has_returned():
    run = run_of(
        deferring("""
flow.defer(ctx, cleanup, "a")
flow.defer(ctx, cleanup, name="b")
return test.echo(ctx, 1)
""")
    ).go_on()
    assert run.prints == ["b b", "a a"]
    assert run.result == "1"
    assert run.kinds == ["START", *("CALL", "RETURN") * 3, "FINISH"]


@pytest.mark.parametrize(
    ("end", "due"),
    [("return 1", ["always", "success"]), ("fail('x')", ["always", "failure"])],
)
def test_deferred_functions_run_when_they_are_due(end, due):
    run = run_of(
        deferring(f"""
for on in ["success", "failure", "always"]:
    flow.defer(ctx, cleanup, on, on=on)
{end}
""")
    ).go_on()
    assert [line.split()[0] for line in run.prints] == due
    assert isinstance(run.result, Failure) is (end != "return 1")


def test_a_result_that_is_no_payload_is_a_failure_for_deferred_functions():
    run = run_of(
        deferring('flow.defer(ctx, cleanup, "undo", on="failure")\nreturn len')
    )
    run.go_on()
    assert run.prints == ["undo undo"]
    assert "no JSON form" in run.result.message


def test_an_error_in_one_does_not_stop_the_others():
    run = run_of(
        deferring("""
flow.defer(ctx, cleanup, "last")
flow.defer(ctx, fail, "second")
flow.defer(ctx, fail, "first")
return 1
""")
    ).go_on()
    assert run.prints == ["last last"]
    assert run.result.message == "fail: first"


def test_the_error_of_main_is_the_runs():
    body = 'flow.defer(ctx, fail, "later")\ntest.fail(ctx)'
    assert error_of(deferring(body)) == "no money"


def test_what_is_deferred_later_runs_as_well():
    run = run_of(
        deferring("""
flow.defer(ctx, flow.defer, ctx, cleanup, "inner")
""")
    ).go_on()
    assert run.prints == ["inner inner"]


def test_what_a_branch_deferred_runs_at_the_end_of_main():
    run = run_of(
        deferring("""
def work():
    flow.defer(ctx, cleanup, "of a branch")
    test.ask(ctx)
flow.spawn(ctx, work)
test.echo(ctx, 1)
""")
    )
    run.answer(2)
    run.arrive()
    assert run.log[-2].NAME == "DROP"
    run.go_on()
    assert run.prints == ["of a branch of a branch"]
    assert run.result == "null"


def test_open_branches_are_given_up_before_deferred_functions_run():
    run = run_of(
        deferring("""
flow.defer(ctx, flow.wait_signal, ctx, "go")
flow.spawn(ctx, flow.wait_signal, ctx, "go")
test.echo(ctx, 1)
return 1
""")
    )
    run.answer(2)
    run.arrive()
    run.send("go", 1)
    assert run.result == "1"


def test_when_it_is_due_must_be_said_right():
    assert error_of('flow.defer(ctx, print, on="error")') == (
        'flow.defer: for parameter on: got "error", '
        'want "always", "failure" or "success"'
    )


# Cancelling


def cancelled(run, reason="enough"):
    run.cancel(reason)
    assert isinstance(run.result, Failure)
    assert (run.result.code, run.result.kind) == (
        "STARFLOW_CANCELLED",
        FailureKind.CANCELLED,
    )
    return run.result.message


WAITS = {
    "a call": "test.ask(ctx)",
    "a sleep": "time.sleep(ctx, time.hour)",
    "a signal": "flow.wait_signal(ctx, 'go')",
    "futures": "flow.wait(ctx, [flow.start(ctx, test.ask)], timeout=time.hour)",
    "the first": "flow.first(ctx, [flow.start(ctx, test.ask)])",
    "a map": "flow.map(ctx, test.ask, [1, 2])",
    "a branch": "flow.wait(ctx, flow.spawn(ctx, test.ask, ctx))",
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_run_is_cancelled_wherever_it_waits(wait):
    run = run_of(f"{WAITS[wait]}\nreturn 1")
    assert cancelled(run) == "enough"
    assert run.kinds[-3:] == ["CANCEL", "DROP", "FINISH"]
    assert run.history.waits == 0
    assert "script.star:" in run.result.stack_trace
    run.reload()
    assert run.machine.abort is None


def test_cancelling_cannot_be_held():
    run = run_of("flow.catch(test.ask, ctx)\nreturn 1")
    assert cancelled(run) == "enough"


def test_a_cancelled_run_still_cleans_up():
    run = run_of(
        deferring("""
flow.defer(ctx, cleanup, "undo", on="failure")
flow.defer(ctx, cleanup, "never", on="success")
test.ask(ctx)
""")
    )
    run.cancel("enough")
    assert run.result is None
    run.go_on()
    assert run.prints == ["undo undo"]
    assert run.result.code == "STARFLOW_CANCELLED"
    assert run.kinds == ["START", "CALL", "CANCEL", "DROP", "CALL", "RETURN", "FINISH"]


def test_a_cancel_while_it_cleans_up_changes_nothing():
    run = run_of(
        deferring("""
flow.defer(ctx, cleanup, "undo")
return 7
""")
    )
    run.cancel("too late")
    run.go_on()
    assert run.result == "7"
    assert run.prints == ["undo undo"]
    assert "DROP" not in run.kinds


def test_branches_do_not_hear_of_a_cancel_but_end():
    run = run_of("""
def work(ctx):
    flow.catch(test.ask, ctx)
    print("never")

def main(ctx, input):
    flow.wait(ctx, [flow.spawn(ctx, work, ctx) for _ in range(3)])
""")
    assert cancelled(run) == "enough"
    assert run.prints == []


def test_a_cancel_without_a_reason_says_that_much():
    assert cancelled(run_of("test.ask(ctx)"), "") == "the run was cancelled"


def test_a_second_cancel_is_no_event():
    run = run_of(deferring('flow.defer(ctx, cleanup, "x")\ntest.ask(ctx)'))
    run.cancel("first")
    run.cancel("second")
    assert run.kinds.count("CANCEL") == 1
    run.go_on()
    assert run.result.message == "first"


def test_a_cancel_that_comes_while_a_sleep_has_just_ended_comes_after_it():
    run = run_of(
        """
time.sleep(ctx, time.second)
for i in range(1000):
    pass
test.echo(ctx, 1)
""",
        limits=Limits(slice_steps=50),
    )
    run.ledger.woke(2)
    run.machine.arrive(run.ledger.take_arrivals()[0])
    assert run.machine.turn() is Turn.SLICED
    run.ledger.cancel("now")
    run.turn()
    assert run.kinds == ["START", "SLEEP", "WAKE", "CANCEL", "CALL", "DROP", "FINISH"]
    run.reload()
    assert run.machine.abort is None
