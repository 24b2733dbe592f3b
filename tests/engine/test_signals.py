import pytest

from starflow_service.engine.errors import (
    AnsweredError,
    NotWaitingError,
    UnknownSignalError,
)
from starflow_service.engine.events import Failure
from starflow_service.engine.history import SignalAnswer
from tests.support.driver import Run, WaitForSignal

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
