import pytest

from starflow_service.engine.errors import (
    AnsweredError,
    NotWaitingError,
    TooManySignalsError,
    UnknownSignalError,
)
from starflow_service.engine.events import Call, Failure, Resume, Sleep, Start, Wait
from starflow_service.engine.history import (
    REQUEST_IDS_MAX,
    UNREAD_BYTES_MAX,
    UNREAD_SIGNALS_MAX,
    History,
    SignalAnswer,
)
from starflow_service.engine.ledger import Answer, Ledger, LoneWake
from tests.support.driver import Run, WaitForSignal, World

SCRIPT = """
def main(ctx, input):
    return ask.person(ctx, {"question": "may I?"})
"""


@pytest.fixture
def run():
    return Run(SCRIPT, {"ask.person": lambda req: WaitForSignal(timeout_ns=10**9)})


def signal(run, content, **kwargs):
    kwargs = {"only_if_waiting": False, **kwargs}
    answer = run.ledger.signal(next(iter(run.history.signal_ids)), content, **kwargs)
    run.arrive()
    return answer


def test_a_signal_resumes_a_call_that_has_yielded(run):
    run.step()
    assert signal(run, '"yes"') == (SignalAnswer.RESUME, 4)
    assert run.kinds == ["START", "CALL", "YIELD", "RESUME", "FINISH"]
    assert run.result == '"yes"'


def test_a_signal_that_overtakes_its_yield_is_kept_and_used(run):
    assert signal(run, '"yes"') == (SignalAnswer.KEEP, 0)
    run.step()
    assert run.kinds == ["START", "CALL", "SIGNAL", "YIELD", "RESUME", "FINISH"]
    assert run.result == '"yes"'


def test_the_same_signal_again_changes_nothing(run):
    signal_id = next(iter(run.history.signal_ids))
    signal(run, '"yes"')
    assert signal(run, '"yes"') == (SignalAnswer.DUPLICATE, 0)
    run.step()
    judged = run.history.judge_signal(signal_id, '"yes"', only_if_waiting=False)
    assert judged == (SignalAnswer.DUPLICATE, 5)
    assert run.kinds.count("RESUME") == 1


def test_another_content_for_an_answered_signal_is_refused(run):
    signal_id = next(iter(run.history.signal_ids))
    signal(run, '"yes"')
    with pytest.raises(AnsweredError):
        signal(run, '"no"')
    run.step()
    with pytest.raises(AnsweredError):
        run.history.judge_signal(signal_id, '"no"', only_if_waiting=False)


def test_a_signal_that_must_not_wait_is_refused_before_the_yield(run):
    with pytest.raises(NotWaitingError):
        signal(run, '"yes"', only_if_waiting=True)
    assert run.kinds == ["START", "CALL"]


def test_an_id_that_the_run_never_had_is_refused(run):
    with pytest.raises(UnknownSignalError):
        run.ledger.signal("2-guess", "1", only_if_waiting=False)


def test_a_signal_may_be_a_failure(run):
    run.step()
    run.ledger.signal(
        next(iter(run.history.signal_ids)),
        Failure("DENIED", "not today"),
        only_if_waiting=False,
    )
    run.arrive()
    assert isinstance(run.result, Failure)
    assert run.result.code == "DENIED"


def test_a_yield_that_waited_too_long_is_a_timeout(run):
    run.step()
    run.ledger.expired(2)
    run.arrive()
    assert isinstance(run.result, Failure)
    assert run.result.code == "STARFLOW_TIMEOUT"
    assert run.kinds[-2:] == ["RESUME", "FINISH"]


# By name


@pytest.fixture
def ledger():
    ledger = Ledger(History(), World())
    ledger.record(Start(*ledger.next(), "hash", "null", 1))
    return ledger


def named(ledger, result, request_id="", *, name="go", only_if_waiting=False):
    return ledger.signal_by_name(
        name, request_id, result, only_if_waiting=only_if_waiting
    )


def test_a_signal_by_name_answers_the_oldest_wait(ledger):
    ledger.record(Wait(*ledger.next(), "go", None))
    ledger.record(Wait(*ledger.next(), "go", None))
    assert named(ledger, '"yes"') == (SignalAnswer.RESUME, 4)
    assert ledger.take_arrivals() == [Answer(2, '"yes"')]
    assert list(ledger.history.signal_waits) == [3]


def test_a_signal_by_name_that_nobody_waits_for_is_kept(ledger):
    assert named(ledger, '"yes"') == (SignalAnswer.KEEP, 2)
    assert ledger.take_arrivals() == []
    assert ledger.history.next_unread("go").result == '"yes"'


def test_a_signal_by_name_that_must_not_wait_is_refused(ledger):
    with pytest.raises(NotWaitingError):
        named(ledger, "1", only_if_waiting=True)
    assert ledger.history.version == 1


@pytest.mark.parametrize("result", ["1", Failure("DENIED", "no")])
def test_a_repeated_request_changes_nothing(ledger, result):
    assert named(ledger, result, "r1") == (SignalAnswer.KEEP, 2)
    assert named(ledger, result, "r1") == (SignalAnswer.DUPLICATE, 2)
    ledger.record(Wait(*ledger.next(), "go", None))
    assert named(ledger, result, "r1") == (SignalAnswer.DUPLICATE, 2)
    assert ledger.history.knows_request("go", "r1")
    assert not ledger.history.knows_request("stop", "r1")


def test_a_request_id_with_another_content_is_refused(ledger):
    named(ledger, "1", "r1")
    for other in ("2", Failure("1", "1")):
        with pytest.raises(AnsweredError):
            named(ledger, other, "r1")


def test_a_request_id_belongs_to_its_name(ledger):
    named(ledger, "1", "r1")
    assert named(ledger, "2", "r1", name="stop") == (SignalAnswer.KEEP, 3)


def test_signals_without_a_request_id_are_all_different(ledger):
    assert named(ledger, "1") == (SignalAnswer.KEEP, 2)
    assert named(ledger, "1") == (SignalAnswer.KEEP, 3)


def test_no_more_signals_are_kept_than_allowed(ledger):
    for _ in range(UNREAD_SIGNALS_MAX):
        named(ledger, "1")
    with pytest.raises(TooManySignalsError):
        named(ledger, "1")
    ledger.record(Wait(*ledger.next(), "go", None))
    assert named(ledger, "1")[0] is SignalAnswer.KEEP


def test_no_more_bytes_of_signals_are_kept_than_allowed(ledger):
    for _ in range(3):
        named(ledger, "1" * (UNREAD_BYTES_MAX // 4))
    with pytest.raises(TooManySignalsError):
        named(ledger, "1" * (UNREAD_BYTES_MAX // 4))


def test_the_oldest_request_ids_are_forgotten(ledger):
    for number in range(REQUEST_IDS_MAX + 1):
        ledger.record(Wait(*ledger.next(), "go", None))
        named(ledger, "1", f"r{number}")
    assert not ledger.history.knows_request("go", "r0")
    assert ledger.history.knows_request("go", "r1")


# What else comes from outside


def test_a_wait_ends_with_wake_however_alone_it_is(ledger):
    ledger.record(Wait(*ledger.next(), "go", 5))
    ledger.woke(2)
    assert [event.NAME for event in ledger.take()] == ["START", "WAIT", "WAKE"]


def test_only_a_lone_plain_sleep_ends_without_wake(ledger):
    ledger.record(Sleep(*ledger.next(), 5))
    ledger.woke(2)
    assert ledger.take_arrivals() == [LoneWake(2)]
    ledger.record(Sleep(*ledger.next(), 5, explicit_wake=True))
    ledger.woke(3)
    assert ledger.take()[-1].NAME == "WAKE"


def test_a_run_is_cancelled_once(ledger):
    assert ledger.cancel("enough")
    assert not ledger.cancel("again")
    assert [event.NAME for event in ledger.take()] == ["START", "CANCEL"]
    assert ledger.history.cancel.reason == "enough"


def test_a_call_that_takes_too_long_returns_a_timeout(ledger):
    ledger.record(Call(*ledger.next(), "m.f", "1", "2-x", expire_ns=7))
    ledger.expired(2, attempts=3)
    returned = ledger.take()[-1]
    assert (returned.NAME, returned.attempts) == ("RETURN", 3)
    assert returned.result.code == "STARFLOW_TIMEOUT"
    assert returned.result.message == "m.f took longer than its timeout"


def test_a_yielded_call_that_takes_too_long_resumes_with_a_timeout(ledger):
    ledger.record(Call(*ledger.next(), "m.f", "1", "2-x", expire_ns=7))
    ledger.yielded(2, None, worker_id="w", delivery="d")
    ledger.expired(2)
    resumed = ledger.take()[-1]
    assert isinstance(resumed, Resume)
    assert resumed.result.code == "STARFLOW_TIMEOUT"
