"""The rules of the log, per call and for the whole, one row a rule."""

import pytest

from starflow_service.engine import events as e
from starflow_service.engine.errors import LogCorruptError
from starflow_service.engine.history import History

START = e.Start(0, 1, "hash", "null", 1)
CALL = e.Call(0, 1, "m.f", "{}", "sig")
OTHER_CALL = e.Call(0, 1, "m.g", "{}", "sig2")
SLEEP = e.Sleep(0, 1, 10)
FINISH = e.Finish(0, 1, "null")
TIME_NOW = e.TimeNow(0, 1, 5)
RAND_INT = e.RandInt(0, 1, 5)
UNKNOWN = e.Unknown(0, 1, 99)
SIGNAL = e.Signal(0, 1, "sig", "1")


def returned(call):
    return e.Return(0, 1, call, "1", 1, "w", "d")


def yielded(call, signal_id="sig"):
    return e.Yield(0, 1, call, signal_id, None, "w", "d")


def resumed(call, signal_id="sig"):
    return e.Resume(0, 1, call, signal_id, "1")


def woke(sleep):
    return e.Wake(0, 1, sleep)


def fold(events):
    history = History()
    for version, event in enumerate(events, start=1):
        fields = {name: getattr(event, name) for name in event.__slots__}
        history.apply(type(event)(**{**fields, "version": version}))
    return history


ALLOWED = {
    "a call returns": [START, CALL, returned(2), FINISH],
    "a call yields and resumes": [START, CALL, yielded(2), resumed(2), FINISH],
    "a signal before its yield": [START, CALL, SIGNAL, yielded(2), resumed(2)],
    "a signal that is never used": [START, CALL, SIGNAL, returned(2)],
    "calls beside each other": [START, CALL, OTHER_CALL, returned(3), returned(2)],
    "a lone sleep ends by the next step": [START, SLEEP, TIME_NOW, SLEEP, FINISH],
    "a sleep beside a call ends by WAKE": [START, CALL, SLEEP, woke(3), SLEEP],
    "a call that ends makes a sleep lone": [START, CALL, SLEEP, returned(2), FINISH],
    "reads": [START, TIME_NOW, RAND_INT, FINISH],
    "the end with calls open": [START, CALL, FINISH],
    "an event of a later release": [START, UNKNOWN, CALL, UNKNOWN, returned(3)],
}

FORBIDDEN = {
    "no START": [CALL],
    "two STARTs": [START, START],
    "anything after FINISH": [START, FINISH, TIME_NOW],
    "an answer after FINISH": [START, CALL, FINISH, returned(2)],
    "RETURN without CALL": [START, returned(2)],
    "RETURN twice": [START, CALL, returned(2), returned(2)],
    "RETURN after YIELD": [START, CALL, yielded(2), returned(2)],
    "RESUME without YIELD": [START, CALL, resumed(2)],
    "RESUME twice": [START, CALL, yielded(2), resumed(2), resumed(2)],
    "YIELD twice": [START, CALL, yielded(2), yielded(2)],
    "YIELD after RETURN": [START, CALL, returned(2), yielded(2)],
    "WAKE without SLEEP": [START, woke(2)],
    "SIGNAL that nothing waits for": [START, SIGNAL],
    "a step in a sleep beside a call": [START, CALL, SLEEP, TIME_NOW],
}


@pytest.mark.parametrize("case", ALLOWED)
def test_allowed(case):
    assert fold(ALLOWED[case]).version == len(ALLOWED[case])


@pytest.mark.parametrize("case", FORBIDDEN)
def test_forbidden(case):
    events = FORBIDDEN[case]
    fold(events[:-1])
    with pytest.raises(LogCorruptError) as caught:
        fold(events)
    assert caught.value.version == len(events)


def test_a_gap_is_noticed():
    history = fold([START])
    with pytest.raises(LogCorruptError, match="there is a gap"):
        history.apply(e.TimeNow(3, 1, 5))


def test_open_calls_and_yields_are_counted():
    history = fold([START, CALL, OTHER_CALL, yielded(2)])
    assert (len(history.calls), history.yields, history.waits) == (2, 1, 2)
    assert list(history.signal_ids) == ["sig", "sig2"]
