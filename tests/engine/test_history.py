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
TIMER = e.Sleep(0, 1, 10, explicit_wake=True)
WAIT = e.Wait(0, 1, "go", None)
OTHER_WAIT = e.Wait(0, 1, "stop", 99)
NAMED = e.Signal(0, 1, "", "1", "go", "r1")
CANCEL = e.Cancel(0, 1, "enough")
STATUS = e.Status(0, 1, '"halfway"')
RESTART = e.Restart(0, 1, "[2]")


def returned(call):
    return e.Return(0, 1, call, "1", 1, "w", "d")


def yielded(call, signal_id="sig"):
    return e.Yield(0, 1, call, signal_id, None, "w", "d")


def resumed(call, signal_id="sig"):
    return e.Resume(0, 1, call, signal_id, "1")


def woke(sleep):
    return e.Wake(0, 1, sleep)


def dropped(*versions):
    return e.Drop(0, 1, versions)


def fold(events, base=0):
    history = History(base)
    for version, event in enumerate(events, start=base + 1):
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
    "a wait and its signal": [START, WAIT, NAMED, WAIT, NAMED],
    "a signal before its wait": [START, NAMED, WAIT, WAIT, woke(4)],
    "a signal that nobody reads": [START, NAMED, FINISH],
    "a wait that takes too long": [START, WAIT, woke(2), FINISH],
    "steps beside a timer": [START, TIMER, TIME_NOW, TIMER, woke(4), woke(2)],
    "a lone timer ends by WAKE": [START, TIMER, woke(2), FINISH],
    "a lone sleep ends by any step": [START, SLEEP, WAIT, woke(3), SLEEP, STATUS],
    "giving up": [START, CALL, TIMER, WAIT, dropped(2, 3, 4), SLEEP, FINISH],
    "giving up a yielded call": [START, CALL, yielded(2), dropped(2), SLEEP, FINISH],
    "giving up a sleep beside a call": [START, CALL, SLEEP, dropped(3), returned(2)],
    "an answer between a cancel and its drop": [
        *(START, CALL, OTHER_CALL, CANCEL, returned(3), dropped(2), CALL, returned(7)),
        FINISH,
    ],
    "a cancel that came too late": [START, CANCEL, FINISH],
    "a status": [START, STATUS, STATUS, FINISH],
    "beginning again": [START, CALL, RESTART, START, NAMED, CALL, returned(6)],
    "beginning again from a sleep": [START, SLEEP, RESTART, START, SLEEP, FINISH],
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
    "giving up the call beside a sleep": [START, CALL, SLEEP, dropped(2)],
    "WAKE of a call": [START, CALL, woke(2)],
    "WAKE of a wait that was answered": [START, WAIT, NAMED, woke(2)],
    "WAKE of a wait that found its signal": [START, NAMED, WAIT, woke(3)],
    "giving up what is not open": [START, dropped(1)],
    "giving up twice": [START, CALL, dropped(2), dropped(2)],
    "an answer to what was given up": [START, CALL, dropped(2), returned(2)],
    "two CANCELs": [START, CANCEL, CANCEL],
    "RESTART after CANCEL": [START, CANCEL, RESTART],
    "RESTART without START": [START, RESTART, CALL],
    "an answer from before RESTART": [START, CALL, RESTART, START, returned(2)],
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


def test_an_open_call_ends_when_the_first_of_its_bounds_is_reached():
    call = e.Call(0, 1, "m.f", "{}", "sig", expire_ns=50)
    waiting = e.Yield(0, 1, 2, "sig", 40, "w", "d")
    assert fold([START, CALL]).calls[2].expire_ns is None
    assert fold([START, call]).calls[2].expire_ns == 50
    assert fold([START, call, waiting]).calls[2].expire_ns == 40
    assert fold([START, CALL, waiting]).calls[2].expire_ns == 40


def test_what_was_given_up_is_not_open_any_more():
    history = fold([START, CALL, yielded(2), TIMER, WAIT, dropped(2, 4, 5)])
    assert (history.waits, history.yields, history.open_versions()) == (0, 0, ())
    assert not history.signal_ids
    assert history.waiter("go") is None


def test_only_a_lone_plain_sleep_ends_without_an_event():
    assert fold([START, SLEEP]).ends_quietly(2)
    assert not fold([START, TIMER]).ends_quietly(2)
    assert not fold([START, CALL, SLEEP]).ends_quietly(3)
    assert fold([START, CALL, SLEEP, returned(2)]).ends_quietly(3)


def test_cancelling_closes_nothing_by_itself():
    history = fold([START, CALL, CANCEL])
    assert history.cancel.reason == "enough"
    assert 2 in history.open_versions()


def test_waits_are_answered_in_the_order_in_which_they_began():
    history = fold([START, WAIT, OTHER_WAIT, WAIT, NAMED])
    assert history.open_versions() == (3, 4)
    assert (history.waiter("go"), history.waiter("stop")) == (4, 3)


def test_unread_signals_are_kept_in_order_by_name():
    second = e.Signal(0, 1, "", "2", "go")
    history = fold([START, NAMED, second, e.Signal(0, 1, "", "3", "stop"), WAIT])
    assert history.next_unread("go").result == "2"
    assert [signal.result for signal in history.unread_signals()] == ["2", "3"]
    assert history.unread_count == 2


def test_a_restart_leaves_nothing_open_and_carries_what_nobody_read():
    before = [START, CALL, yielded(2), TIMER, WAIT, OTHER_CALL]
    history = fold([*before, e.Signal(0, 1, "", "1", "later"), STATUS, RESTART])
    assert (history.waits, history.yields, history.unread_count) == (0, 0, 0)
    assert [signal.name for signal in history.carried] == ["later"]
    assert history.restart.input == "[2]"


def test_the_last_segment_is_all_that_a_run_needs():
    segment = [START, NAMED, CALL]
    whole = fold([START, CALL, NAMED, RESTART, *segment])
    last = fold(segment, base=4)
    assert last.base == whole.base == 4
    assert last.version == whole.version == 7
    assert last.events == whole.events == 3
    assert last.calls == whole.calls
    assert last.unread == whole.unread


def test_a_segment_begins_with_start():
    with pytest.raises(LogCorruptError, match="START is first"):
        fold([CALL], base=4)
