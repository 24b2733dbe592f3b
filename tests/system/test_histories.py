"""The checker of histories, shown histories that break each of its rules."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from starflow.v1 import event_pb2 as pb
from starflow.v1.failure_pb2 import Failure
from starflow.v1.payload_pb2 import Payload
from tests.system import histories
from tests.system.histories import Execution, History, Outage, Read

MS = 1_000_000
SIGNAL = "5-a"


def event(version: int, at_ms: int, **detail: object) -> pb.Event:
    """Make an event; its type is that of its only detail."""
    (name,) = detail
    made = pb.Event(
        version=version,
        type=pb.EventType.Value(f"EVENT_TYPE_{name.removesuffix('_event').upper()}"),
        **detail,
    )
    made.time.FromNanoseconds(at_ms * MS)
    return made


def payload(json: str) -> Payload:
    return Payload(json=json)


def sleep(wake_ms: int) -> pb.SleepEvent:
    made = pb.SleepEvent()
    made.wake_time.FromNanoseconds(wake_ms * MS)
    return made


def good_log() -> list[pb.Event]:
    """A call that returned, one that yielded, a sleep beside an open call, an end."""
    call, done = pb.CallEvent, pb.ReturnEvent
    return [
        event(1, 10, start_event=pb.StartEvent(script_hash="x")),
        event(2, 10, call_event=call(function="a.b", signal_id="2-a")),
        event(
            3, 20, return_event=done(call_version=2, delivery="1", output=payload("1"))
        ),
        event(4, 20, sleep_event=sleep(30)),
        event(5, 30, call_event=call(function="a.c", signal_id=SIGNAL)),
        event(
            6, 40, signal_event=pb.SignalEvent(signal_id=SIGNAL, output=payload("7"))
        ),
        event(
            7,
            50,
            yield_event=pb.YieldEvent(call_version=5, delivery="2", signal_id=SIGNAL),
        ),
        event(
            8,
            50,
            resume_event=pb.ResumeEvent(
                call_version=5, signal_id=SIGNAL, output=payload("7")
            ),
        ),
        event(9, 60, call_event=call(function="a.b", signal_id="9-a")),
        event(10, 60, sleep_event=sleep(70)),
        event(11, 70, wake_event=pb.WakeEvent(sleep_version=10)),
        event(
            12, 80, return_event=done(call_version=9, delivery="3", output=payload("2"))
        ),
        event(13, 80, finish_event=pb.FinishEvent(output=payload("3"))),
    ]


def good_history() -> History:
    log = good_log()
    return History(
        "r",
        log,
        reads=[Read(log[:3]), Read(log[3:8]), Read(log[:9], 8, True), Read(log[9:], 9)],
        executions=[
            Execution(12 * MS, "r", 2),
            Execution(35 * MS, "r", 5),
            Execution(61 * MS, "r", 9),
            Execution(75 * MS, "r", 9),
        ],
        outages=[Outage(65 * MS, 72 * MS)],
    )


def timed(message: pb.CallEvent | pb.WaitEvent, expire_ms: int) -> Any:
    message.expire_time.FromNanoseconds(expire_ms * MS)
    return message


def signal(name: str, json: str, request_id: str = "") -> pb.SignalEvent:
    return pb.SignalEvent(name=name, output=payload(json), request_id=request_id)


def two_segments() -> History:
    """Signals by name, a timer, calls given up, a restart, and a run that is asked."""
    late = Failure(code="STARFLOW_TIMEOUT")
    call = pb.CallEvent
    done = pb.ReturnEvent
    log = [
        event(1, 10, start_event=pb.StartEvent(script_hash="x")),
        event(2, 10, wait_event=pb.WaitEvent(name="go")),
        event(3, 20, signal_event=signal("go", "1", "a")),
        event(4, 20, wait_event=timed(pb.WaitEvent(name="go"), 30)),
        event(5, 30, wake_event=pb.WakeEvent(sleep_version=4)),
        event(6, 30, call_event=timed(call(function="a.b", signal_id="6-a"), 40)),
        event(7, 30, call_event=call(function="a.c", signal_id="7-a")),
        event(8, 30, sleep_event=timer(90)),
        event(9, 40, return_event=done(call_version=6, failure=late)),
        event(10, 40, drop_event=pb.DropEvent(dropped_versions=[7, 8])),
        event(11, 45, signal_event=signal("go", "2", "b")),
        event(12, 45, signal_event=signal("go", "3")),
        event(13, 50, restart_event=pb.RestartEvent(input=payload("1"))),
        event(14, 50, start_event=pb.StartEvent(script_hash="x")),
        event(15, 50, signal_event=signal("go", "2", "b")),
        event(16, 50, signal_event=signal("go", "3")),
        event(17, 60, wait_event=pb.WaitEvent(name="go")),
        event(18, 60, wait_event=pb.WaitEvent(name="go")),
        event(19, 60, wait_event=pb.WaitEvent(name="go")),
        event(20, 70, cancel_event=pb.CancelEvent(reason="enough")),
        event(21, 70, drop_event=pb.DropEvent(dropped_versions=[19])),
        event(22, 70, call_event=call(function="a.d", signal_id="22-a")),
        event(
            23,
            80,
            return_event=done(call_version=22, delivery="1", output=payload("1")),
        ),
        event(
            24,
            80,
            finish_event=pb.FinishEvent(failure=Failure(code="STARFLOW_CANCELLED")),
        ),
    ]
    return History("r", log, executions=[Execution(75 * MS, "r", 22)])


def timer(wake_ms: int) -> pb.SleepEvent:
    made = sleep(wake_ms)
    made.explicit_wake = True
    return made


@pytest.mark.parametrize("make", [good_history, two_segments])
def test_a_good_history_is_not_found_fault_with(make):
    assert histories.violations(make()) == []


@pytest.mark.parametrize("make", [good_history, two_segments])
def test_a_run_that_still_goes_on_is_not_found_fault_with(make):
    whole = make()
    for length in range(1, len(whole.log)):
        log = whole.log[:length]
        executions = [e for e in whole.executions if e.call_version <= length]
        history = replace(whole, log=log, reads=[], executions=executions)
        assert histories.violations(history) == []


Break = Callable[[History], None]
Rule = Callable[[History], Iterator[str]]


def without(version: int) -> Break:
    def apply(history: History) -> None:
        history.log = [e for e in history.log if e.version != version]

    return apply


def renumbered_without(version: int) -> Break:
    """Take an event out and close the gap, as a log that was written anew would."""

    def apply(history: History) -> None:
        without(version)(history)
        for place, each in enumerate(history.log, 1):
            each.version = place

    return apply


def inserted(version: int, at_ms: int, **detail: object) -> Break:
    def apply(history: History) -> None:
        later = list(history.log[version - 1 :])
        for each in later:
            each.version += 1
        history.log = [
            *history.log[: version - 1],
            event(version, at_ms, **detail),
            *later,
        ]

    return apply


def changed(version: int, change: Callable[[pb.Event], None]) -> Break:
    return lambda history: change(history.log[version - 1])


def set_time(at_ms: int) -> Callable[[pb.Event], None]:
    return lambda each: each.time.FromNanoseconds(at_ms * MS)


def set_delivery(each: pb.Event) -> None:
    each.return_event.delivery = "1"


def set_output(each: pb.Event) -> None:
    each.resume_event.output.json = "8"


def set_signal(each: pb.Event) -> None:
    each.yield_event.signal_id = "2-a"


def set_sleep(each: pb.Event) -> None:
    each.wake_event.sleep_version = 4


def seen(version: int, change: Callable[[pb.Event], None]) -> Break:
    """Show a client something else than what the log holds in the end."""

    def apply(history: History) -> None:
        shown = pb.Event()
        shown.CopyFrom(history.log[version - 1])
        change(shown)
        history.reads = [*history.reads, Read([shown])]

    return apply


def cut_short(history: History) -> None:
    history.log = history.log[:8]


def read_with_a_hole(history: History) -> None:
    history.reads = [Read([history.log[0], history.log[2]])]


def shorter_read(history: History) -> None:
    history.reads = [*history.reads, Read(list(history.log[:6]), 8, True)]


def execution(begin_ms: int, call_version: int) -> Break:
    def apply(history: History) -> None:
        more = Execution(begin_ms * MS, "r", call_version)
        history.executions = [*history.executions, more]

    return apply


def no_execution_of(call_version: int) -> Break:
    def apply(history: History) -> None:
        history.executions = [
            e for e in history.executions if e.call_version != call_version
        ]

    return apply


def late_execution(history: History) -> None:
    no_execution_of(2)(history)
    execution(25, 2)(history)


def no_outage(history: History) -> None:
    history.outages = []


def outage_elsewhere(history: History) -> None:
    history.outages = [replace(history.outages[0], end_ns=60 * MS, begin_ns=50 * MS)]


RETURN = pb.ReturnEvent(call_version=2, delivery="9", output=payload("1"))
RESUME = pb.ResumeEvent(call_version=5, signal_id=SIGNAL, output=payload("7"))
KEPT = pb.SignalEvent(signal_id=SIGNAL, output=payload("7"))

PLANTED: dict[Rule, dict[str, Break]] = {
    histories.versions_have_gaps: {
        "an event is missing": without(4),
    },
    histories.start_is_not_alone: {
        "a second START": inserted(3, 15, start_event=pb.StartEvent()),
        "no START": renumbered_without(1),
    },
    histories.goes_on_after_finish: {
        "an event after FINISH": inserted(
            14, 90, wake_event=pb.WakeEvent(sleep_version=10)
        ),
        "two FINISH": inserted(14, 90, finish_event=pb.FinishEvent()),
    },
    histories.time_goes_back: {
        "time goes back": changed(5, set_time(15)),
    },
    histories.calls_have_not_one_result: {
        "two RETURN": inserted(4, 20, return_event=RETURN),
        "a RETURN after RESUME": inserted(
            9, 55, return_event=pb.ReturnEvent(call_version=5)
        ),
        "a RETURN after YIELD": inserted(
            8, 50, return_event=pb.ReturnEvent(call_version=5)
        ),
        "two RESUME": inserted(9, 55, resume_event=RESUME),
        "a RESUME without YIELD": renumbered_without(7),
        "a RETURN of no call": inserted(
            4, 20, return_event=pb.ReturnEvent(call_version=3)
        ),
    },
    histories.deliveries_count_twice: {
        "one delivery, two results": changed(12, set_delivery),
    },
    histories.signals_go_astray: {
        "a signal kept twice": inserted(7, 45, signal_event=KEPT),
        "a signal to no call": inserted(3, 15, signal_event=KEPT),
        "another signal's content": changed(8, set_output),
        "another call's signal": changed(7, set_signal),
    },
    histories.sleeps_end_early: {
        "a lone sleep ends early": changed(5, set_time(29)),
        "a WAKE too early": changed(11, set_time(69)),
        "a WAKE of another sleep": changed(11, set_sleep),
        "a WAKE of no sleep": inserted(4, 20, wake_event=pb.WakeEvent(sleep_version=2)),
    },
    histories.what_was_seen_is_lost: {
        "what was seen is gone": cut_short,
        "what was seen is different": seen(8, set_output),
        "what was seen was later": seen(8, set_time(51)),
    },
    histories.reads_are_no_prefixes: {
        "a hole in a read": read_with_a_hole,
        "a read shorter than one before": shorter_read,
    },
    histories.executed_before_it_was_recorded: {
        "executed, but not recorded": execution(90, 14),
        "executed what is no call": execution(15, 1),
        "executed, then recorded": execution(9, 2),
    },
    histories.recorded_but_never_executed: {
        "a result of nothing": no_execution_of(2),
        "a result before its execution": late_execution,
    },
    histories.repeated_without_reason: {
        "a repetition": no_outage,
        "a repetition after the outage": outage_elsewhere,
    },
}


def set_name(each: pb.Event) -> None:
    each.signal_event.name = "stop"


def set_content(each: pb.Event) -> None:
    each.signal_event.output.json = "4"


def set_request(each: pb.Event) -> None:
    each.signal_event.request_id = "a"


def set_dropped(*versions: int) -> Callable[[pb.Event], None]:
    def change(each: pb.Event) -> None:
        each.drop_event.dropped_versions[:] = versions

    return change


CANCEL = pb.CancelEvent(reason="again")

# Of what only scripts with branches, signals by name and restarts leave.
PLANTED_IN_TWO_SEGMENTS: dict[Rule, dict[str, Break]] = {
    histories.start_is_not_alone: {
        "no START after RESTART": renumbered_without(14),
    },
    histories.calls_have_not_one_result: {
        "a RETURN of a call that was given up": inserted(
            11, 40, return_event=pb.ReturnEvent(call_version=7)
        ),
        "a call given up that has ended": changed(10, set_dropped(6)),
        "a RETURN of a call before the restart": inserted(
            17, 50, return_event=pb.ReturnEvent(call_version=7)
        ),
    },
    histories.calls_time_out_early: {
        "a call ends too early": changed(9, set_time(39)),
    },
    histories.named_signals_go_astray: {
        "a request twice": changed(11, set_request),
        "an unread signal is lost": renumbered_without(16),
        "an unread signal is changed": changed(15, set_content),
        "an unread signal has another name": changed(16, set_name),
        "a wait ends too early": changed(5, set_time(29)),
    },
    histories.cancelled_for_no_reason: {
        "two CANCEL": inserted(22, 70, cancel_event=CANCEL),
        "RESTART after CANCEL": inserted(5, 20, cancel_event=CANCEL),
        "nobody asked": renumbered_without(20),
    },
    histories.sleeps_end_early: {
        "a timer ends too early": inserted(
            9, 35, wake_event=pb.WakeEvent(sleep_version=8)
        ),
    },
}


@pytest.mark.parametrize(
    ("make", "rule", "plant"),
    [
        pytest.param(make, rule, plant, id=name)
        for make, planted in (
            (good_history, PLANTED),
            (two_segments, PLANTED_IN_TWO_SEGMENTS),
        )
        for rule, plants in planted.items()
        for name, plant in plants.items()
    ],
)
def test_a_planted_violation_is_found_by_its_rule(make, rule, plant):
    history = make()
    plant(history)

    found = list(rule(history))
    assert found != []
    assert {f"run r: {each}" for each in found} <= set(histories.violations(history))


def test_every_rule_has_a_violation_planted_for_it():
    assert {*PLANTED, *PLANTED_IN_TWO_SEGMENTS} == set(histories.RULES)


def test_an_attempt_after_a_failure_is_no_repetition():
    history = good_history()
    no_outage(history)
    history.executions = [replace(e, has_failed=True) for e in history.executions]

    assert histories.violations(history) == []
    assert histories.repeats(history) == 0


def test_steps_in_flight_are_those_whose_execution_and_result_span_the_outage():
    history = good_history()

    assert histories.steps_in_flight(history, history.outages[0]) == 1
    assert histories.steps_in_flight(history, Outage(13 * MS, 38 * MS)) == 2
    assert histories.steps_in_flight(history, Outage(52 * MS, 58 * MS)) == 0
    assert histories.repeats(history) == 1
