"""`flow.call`, `start`, `wait`, `first` and their bounds of time."""

import json

import pytest

from starflow_service.engine.errors import ReplayMismatch
from starflow_service.engine.events import Call, Failure, FailureKind, RetryPolicy
from starflow_service.engine.machine import Turn
from tests.engine.flows import error_of, result_of, run_of
from tests.support.driver import World

SECOND = 1_000_000_000


def call_of(text):
    run = run_of(text)
    return next(event for event in run.log if isinstance(event, Call))


def test_a_call_without_options_is_the_plain_call():
    plain, called = (
        call_of("test.echo(ctx, 1)"),
        call_of("flow.call(ctx, test.echo, 1)"),
    )
    assert plain == called
    assert result_of("return flow.call(ctx, test.echo, [1])") == "[1]"


def test_the_options_of_a_call_are_recorded():
    call = call_of("""
flow.call(ctx, test.echo, 1, timeout=time.minute, attempt_timeout=2 * time.second,
    retry=dict(max_attempts=7, initial=time.second, max=time.hour, coefficient=1.5,
        non_retryable=["A", "B_1"]), queue="bank-1.eu")
""")
    assert call.queue == "bank-1.eu"
    assert call.expire_ns == call.time_ns + 60 * SECOND
    assert call.attempt_timeout_ns == 2 * SECOND
    assert call.retry == RetryPolicy(SECOND, 1.5, 3600 * SECOND, 7, ("A", "B_1"))


def test_what_a_retry_does_not_say_is_as_usual():
    call = call_of(
        "flow.start(ctx, test.echo, 1, retry={'max_attempts': 1})\ntest.echo(ctx)"
    )
    assert call.retry == RetryPolicy(max_attempts=1)
    assert (call.expire_ns, call.attempt_timeout_ns) == (None, None)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [("", 30), (", timeout=time.minute", 30), (", timeout=time.second", 1)],
)
def test_a_function_may_bound_its_calls(options, seconds):
    world = World()
    world.call_timeouts["test.ask"] = 30 * SECOND
    script = f"r = flow.start(ctx, test.ask{options})\ntest.echo(ctx)\nreturn r"
    run = run_of(script, world=world)
    ask, echo = (event for event in run.log if isinstance(event, Call))
    assert ask.expire_ns == ask.time_ns + seconds * SECOND
    assert echo.expire_ns is None


def test_a_call_that_takes_too_long_fails_with_a_timeout():
    run = run_of(
        "r = flow.catch(flow.call, ctx, test.ask, timeout=time.second)\nreturn r"
    )
    run.ledger.expired(2, attempts=1)
    run.arrive()
    error = json.loads(run.result)["error"]
    assert error["code"] == "STARFLOW_TIMEOUT"
    assert error["retryable"] is True


OPTIONS = {
    "timeout=1": ("timeout: got int, want time.duration, such as 5 * time.second"),
    "timeout=0 * time.second": ("timeout: want more than no time"),
    "attempt_timeout=-1 * time.second": ("attempt_timeout: want more than no time"),
    "queue=3": ("queue: got int, want string"),
    "queue='a b'": (
        'queue: "a b" is no name of a queue (want letters, digits and any of _.- after'
        " a letter or _, at most 128)"
    ),
    "retry=3": (
        "retry: got int, want a dict of max_attempts, initial, max, c"
        "oefficient, non_retryable"
    ),
    "retry=dict(max_attempt=3)": ('retry: "max_attempt" (did you mean max_attempts?)'),
    "retry={1: 2}": (
        "retry: int (want max_attempts, initial, max, coefficient, non_retryable)"
    ),
    "retry=dict(max_attempts=0)": ("retry: max_attempts must be from 1 to 1000"),
    "retry=dict(max_attempts='3')": ("retry: max_attempts: got string, want int"),
    "retry=dict(initial=1)": (
        "retry: initial: got int, want time.duration, such as 5 * time.second"
    ),
    "retry=dict(initial=time.hour, max=time.second)": (
        "retry: max is shorter than initial"
    ),
    "retry=dict(coefficient=0.5)": (
        "retry: coefficient must be a number from 1 to 1000, not 0.5"
    ),
    "retry=dict(coefficient=float('nan'))": (
        "retry: coefficient must be a number from 1 to 1000, not nan"
    ),
    "retry=dict(non_retryable='A')": (
        "retry: non_retryable: got string, want a list of codes"
    ),
    "retry=dict(non_retryable=['a'])": (
        'retry: non_retryable: "a" is no code such as "CARD_DECLINED"'
    ),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_means_nothing_is_refused(option):
    message = error_of(f"flow.call(ctx, test.echo, 1, {option})")
    assert message == f"flow.call: for parameter {OPTIONS[option]}"


def test_results_come_in_the_order_of_the_list():
    body = """
futures = [flow.start(ctx, test.echo, n) for n in range(5)]
return [flow.wait(ctx, futures), flow.wait(ctx, futures[3]), flow.wait(ctx, [])]
"""
    assert result_of(body) == "[[0,1,2,3,4],3,[]]"


def test_the_first_failure_in_the_list_is_the_error():
    body = "flow.wait(ctx, [flow.start(ctx, test.odd, n) for n in [1, 4, 2]])"
    run = run_of(body)
    for version in (4, 3, 2):
        run.answer(version)
        run.arrive()
    assert run.result.message == "4 is even"


def test_a_wait_that_takes_too_long_fails_and_leaves_the_futures():
    run = run_of("""
future = flow.start(ctx, test.ask)
print(flow.catch(flow.wait, ctx, future, timeout=time.second).error.message)
return flow.wait(ctx, future)
""")
    assert run.kinds == ["START", "CALL", "SLEEP"]
    run.ledger.woke(3)
    run.arrive()
    assert run.prints == ["1 of 1 are not done"]
    run.ledger.returned(2, "7", attempts=1, worker_id="w", delivery="d")
    run.arrive()
    assert run.result == "7"
    assert run.kinds == ["START", "CALL", "SLEEP", "WAKE", "RETURN", "FINISH"]


def test_a_wait_in_time_gives_up_its_timer():
    run = run_of(
        "return flow.wait(ctx, flow.start(ctx, test.echo, 7), timeout=time.second)"
    )
    run.answer(2)
    run.arrive()
    assert run.result == "7"
    assert run.kinds == ["START", "CALL", "SLEEP", "RETURN", "DROP", "FINISH"]
    assert run.log[4].dropped_versions == (3,)


def test_a_wait_for_what_is_done_sets_no_timer():
    run = run_of("""
future = flow.start(ctx, test.echo, 7)
flow.wait(ctx, future)
return flow.wait(ctx, future, timeout=time.second)
""").go_on()
    assert "SLEEP" not in run.kinds


def test_the_first_to_end_wins_and_the_rest_is_given_up():
    run = run_of("""
futures = [flow.start(ctx, test.echo, n) for n in range(3)]
won = flow.first(ctx, futures)
return [won, flow.catch(flow.wait, ctx, futures[0]).error.code]
""")
    run.answer(3)
    run.arrive()
    assert run.result == '[[1,1],"STARFLOW_DROPPED"]'
    assert run.log[-2].dropped_versions == (2, 4)
    assert run.history.finish is not None


def test_without_cancelling_the_others_go_on():
    run = run_of("""
futures = [flow.start(ctx, test.echo, n) for n in range(2)]
place, _ = flow.first(ctx, futures, cancel_rest=False)
return [place, flow.wait(ctx, futures)]
""")
    run.answer(3)
    run.arrive()
    run.go_on()
    assert run.result == "[1,[0,1]]"
    assert "DROP" not in run.kinds


def test_of_several_that_are_done_the_one_that_ended_first_wins():
    run = run_of("""
futures = [flow.start(ctx, test.echo, n) for n in range(3)]
flow.wait(ctx, futures)
return flow.first(ctx, futures)
""")
    for version in (4, 2, 3):
        run.answer(version)
        run.arrive()
    assert run.result == "[2,2]"


def test_the_error_of_the_first_is_raised():
    assert error_of("flow.first(ctx, [flow.start(ctx, test.fail)])") == "no money"


WRONG = {
    "flow.first(ctx, [])": ("first: for parameter futures: an empty list"),
    "flow.first(ctx, 1)": (
        "first: for parameter futures: got int, want a list of futures"
    ),
    "flow.first(ctx, [1])": ("first: at index 0: got int, want future"),
    "flow.first(ctx, [flow.start(ctx, test.echo)], cancel_rest=1)": (
        "first: for parameter cancel_rest: got int, want bool"
    ),
    "flow.first(1, [])": ("first: for parameter ctx: got int, want context"),
    "flow.call(ctx, len)": (
        "call: for parameter fn: got builtin_function_or_method, want"
        " the name of a worker's function, such as payments.charge"
    ),
    "flow.wait(ctx, [], timeout=5)": (
        "wait: for parameter timeout: got int, want time.duration, su"
        "ch as 5 * time.second"
    ),
}


@pytest.mark.parametrize("expression", WRONG)
def test_what_makes_no_sense_is_refused(expression):
    assert error_of(expression) == f"flow.{WRONG[expression]}"


def test_giving_up_something_else_leaves_the_log():
    text = """
futures = [flow.start(ctx, test.echo, n) for n in range(3)]
flow.first(ctx, futures)
test.echo(ctx)
"""
    run = run_of(text)
    run.answer(2)
    run.arrive()
    changed = run_of(text.replace("ctx, futures)", "ctx, futures[:2])"))
    changed.log = run.log
    changed.reload()
    assert changed.turned is Turn.PARKED
    assert isinstance(changed.machine.abort, ReplayMismatch)
    assert str(changed.machine.abort) == (
        "event 6 records DROP of events 3, 4, but the script now gives up events 3"
    )


def test_an_answer_to_what_was_given_up_is_no_event():
    run = run_of("""
flow.first(ctx, [flow.start(ctx, test.echo, n) for n in range(2)])
test.ask(ctx)
""")
    run.answer(2)
    run.arrive()
    assert list(run.history.calls) == [6]


def test_a_dropped_call_is_a_cancelled_failure():
    run = run_of("""
futures = [flow.start(ctx, test.echo, n) for n in range(2)]
flow.first(ctx, futures)
flow.wait(ctx, futures)
""")
    run.answer(2)
    run.arrive()
    assert isinstance(run.result, Failure)
    assert run.result.kind is FailureKind.CANCELLED
    assert run.result.message == "call 3 was given up"
