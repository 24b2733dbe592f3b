"""What must hold for the history of every run, whatever was killed and when.

A history is what can be seen from outside: the run's log at the end, all that clients
were ever shown of it before, and what the workers did, by their own account.

Every rule is a generator of violations, as sentences; a history that keeps the promises
gives none.  `test_histories.py` shows each rule a history that breaks it.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from starflow.v1 import event_pb2 as pb
from starflow.v1.event_pb2 import Event

# The events that a script makes, as against those with which the world answers.
_STEPS = (
    pb.EVENT_TYPE_CALL,
    pb.EVENT_TYPE_SLEEP,
    pb.EVENT_TYPE_TIME_NOW,
    pb.EVENT_TYPE_RAND_INT,
    pb.EVENT_TYPE_WAIT,
    pb.EVENT_TYPE_DROP,
    pb.EVENT_TYPE_STATUS,
    pb.EVENT_TYPE_RESTART,
    pb.EVENT_TYPE_FINISH,
)


@dataclass
class Read:
    """What one request for events brought, in order."""

    events: list[Event] = field(default_factory=list)
    # The highest version that anybody had been shown when this was asked for.
    seen_before: int = 0
    # Whether it was answered to its end: from the first event to the last of then.
    is_complete: bool = False


@dataclass(frozen=True, order=True)
class Execution:
    """A worker began to execute a call."""

    begin_ns: int
    run_id: str
    call_version: int
    attempt: int = 1
    # Whether it ended with a failure, which may lead to another attempt.
    has_failed: bool = False


@dataclass(frozen=True)
class Outage:
    """A process was killed and another took its place; wall-clock nanoseconds."""

    begin_ns: int
    end_ns: int


@dataclass
class History:
    """One run, as seen from outside."""

    run_id: str
    log: Sequence[Event]
    reads: Sequence[Read] = ()
    executions: Sequence[Execution] = ()
    outages: Sequence[Outage] = ()


_NEVER_NS = 1 << 63


class _Call(Enum):
    OPEN = "is open"
    YIELDED = "waits for its signal"
    ENDED = "has its result"
    DROPPED = "was given up"


_STILL_OPEN = (_Call.OPEN, _Call.YIELDED)


def violations(history: History) -> list[str]:
    """Return all that is wrong with *history*."""
    return [
        f"run {history.run_id}: {violation}"
        for rule in RULES
        for violation in rule(history)
    ]


def versions_have_gaps(history: History) -> Iterator[str]:
    """A version is the place in the log, from 1."""
    for place, event in enumerate(history.log, 1):
        if event.version != place:
            yield f"event {place} says that it is event {event.version}"


def start_is_not_alone(history: History) -> Iterator[str]:
    """START comes first, and after each RESTART, and nowhere else."""
    is_due = True
    for event in history.log:
        if (event.type == pb.EVENT_TYPE_START) != is_due:
            yield f"event {event.version} is {_name(event)}"
        is_due = event.type == pb.EVENT_TYPE_RESTART


def goes_on_after_finish(history: History) -> Iterator[str]:
    """Nothing comes after FINISH."""
    for event in history.log[:-1]:
        if event.type == pb.EVENT_TYPE_FINISH:
            yield f"event {event.version} of {len(history.log)} is FINISH"


def time_goes_back(history: History) -> Iterator[str]:
    """Recorded time never goes back."""
    before = 0
    for event in history.log:
        if _ns(event) < before:
            yield f"event {event.version} is older than the one before it"
        before = _ns(event)


def calls_have_not_one_result(history: History) -> Iterator[str]:
    """A CALL ends once: by RETURN, or by YIELD and then RESUME, or is given up."""
    calls: dict[int, _Call] = {}
    steps = {
        pb.EVENT_TYPE_RETURN: (_Call.OPEN, _Call.ENDED),
        pb.EVENT_TYPE_YIELD: (_Call.OPEN, _Call.YIELDED),
        pb.EVENT_TYPE_RESUME: (_Call.YIELDED, _Call.ENDED),
    }
    for event in history.log:
        if event.type == pb.EVENT_TYPE_CALL:
            calls[event.version] = _Call.OPEN
        elif event.type in steps:
            before, after = steps[event.type]
            call = calls.get(_call_version(event))
            if call is not before:
                state = "is not there" if call is None else call.value
                yield f"event {event.version} is {_name(event)} of a call that {state}"
            calls[_call_version(event)] = after
        elif event.type == pb.EVENT_TYPE_DROP:
            for version in event.drop_event.dropped_versions:
                if version in calls and calls[version] not in _STILL_OPEN:
                    state = calls[version].value
                    yield f"event {event.version} gives up call {version}, that {state}"
                calls[version] = _Call.DROPPED
        elif event.type == pb.EVENT_TYPE_RESTART:
            for version, call in calls.items():
                calls[version] = _Call.DROPPED if call in _STILL_OPEN else call


def calls_time_out_early(history: History) -> Iterator[str]:
    """What the service ends as too late is too late."""
    ends: dict[int, int] = {}
    for event in history.log:
        if event.type in (pb.EVENT_TYPE_CALL, pb.EVENT_TYPE_YIELD):
            version = event.version
            if event.type == pb.EVENT_TYPE_YIELD:
                version = _call_version(event)
            if _detail(event).HasField("expire_time"):
                end_ns = _detail(event).expire_time.ToNanoseconds()
                ends[version] = min(end_ns, ends.get(version, end_ns))
        elif event.type in (pb.EVENT_TYPE_RETURN, pb.EVENT_TYPE_RESUME):
            is_late = _detail(event).failure.code == "STARFLOW_TIMEOUT"
            if is_late and _ns(event) < ends.get(_call_version(event), _NEVER_NS):
                yield f"event {event.version} ends a call too early"


def deliveries_count_twice(history: History) -> Iterator[str]:
    """One delivery of a task gives one result."""
    deliveries = Counter(
        _detail(event).delivery
        for event in history.log
        if event.type in (pb.EVENT_TYPE_RETURN, pb.EVENT_TYPE_YIELD)
    )
    for delivery, count in deliveries.items():
        if delivery and count > 1:
            yield f"delivery {delivery} has {count} results"


def signals_go_astray(history: History) -> Iterator[str]:
    """A signal id belongs to a call, is kept once, and RESUME repeats its content."""
    ids: dict[int, str] = {}
    kept: dict[str, Event] = {}
    for event in history.log:
        if event.type == pb.EVENT_TYPE_CALL:
            ids[event.version] = event.call_event.signal_id
        elif event.type in (pb.EVENT_TYPE_YIELD, pb.EVENT_TYPE_RESUME):
            if _detail(event).signal_id != ids.get(_call_version(event)):
                yield f"event {event.version} names another call's signal"
        elif event.type == pb.EVENT_TYPE_SIGNAL and not event.signal_event.name:
            signal_id = event.signal_event.signal_id
            if signal_id in kept or signal_id not in ids.values():
                yield f"event {event.version} is a SIGNAL again, or to no call"
            kept[signal_id] = event
        if event.type == pb.EVENT_TYPE_RESUME:
            signal = kept.get(event.resume_event.signal_id)
            if signal is not None and _content(signal) != _content(event):
                yield f"event {event.version} is not what event {signal.version} keeps"


def named_signals_go_astray(history: History) -> Iterator[str]:
    """A signal by name answers one WAIT, the oldest first; none is lost or forged."""
    names = _Names()
    for event in history.log:
        if names.carried and event.type not in (
            pb.EVENT_TYPE_START,
            pb.EVENT_TYPE_SIGNAL,
        ):
            yield f"event {event.version} comes before signals that were not read"
        if event.type == pb.EVENT_TYPE_SIGNAL and event.signal_event.name:
            problem = names.signal(event)
            if problem:
                yield f"event {event.version} {problem}"
        elif event.type == pb.EVENT_TYPE_WAKE:
            wait = names.waits.pop(event.wake_event.sleep_version, None)
            if wait is not None and _ns(event) < _expire_ns(wait):
                yield f"event {event.version} ends the wait {wait.version} too early"
        else:
            names.take(event)


class _Names:
    """Signals by name, and the WAITs for them, at one place of a log."""

    def __init__(self) -> None:
        self.waits: dict[int, Event] = {}
        self.unread: list[Event] = []
        # What a RESTART left unread, to be recorded again.
        self.carried: list[Event] = []
        self._requests: set[tuple[str, str]] = set()

    def signal(self, event: Event) -> str:
        """Take a SIGNAL; return what is wrong with it."""
        problem = self._problem(event)
        signal = event.signal_event
        self._requests.add((signal.name, signal.request_id))
        for version, wait in self.waits.items():
            if wait.wait_event.name == signal.name:
                del self.waits[version]
                return problem
        self.unread.append(event)
        return problem

    def _problem(self, event: Event) -> str:
        signal = event.signal_event
        if self.carried:
            before = self.carried.pop(0)
            if before.signal_event != signal:
                return f"is not what event {before.version} left unread"
        elif signal.request_id and (signal.name, signal.request_id) in self._requests:
            return "is a SIGNAL again"
        return ""

    def take(self, event: Event) -> None:
        """Take any other event."""
        if event.type == pb.EVENT_TYPE_WAIT:
            for signal in self.unread:
                if signal.signal_event.name == event.wait_event.name:
                    self.unread.remove(signal)
                    return
            self.waits[event.version] = event
        elif event.type == pb.EVENT_TYPE_DROP:
            for version in event.drop_event.dropped_versions:
                self.waits.pop(version, None)
        elif event.type == pb.EVENT_TYPE_RESTART:
            self.carried, self.unread = self.unread, []
            self.waits.clear()


def cancelled_for_no_reason(history: History) -> Iterator[str]:
    """A run is asked to end once; then it does not begin again."""
    asked: Event | None = None
    for event in history.log:
        if event.type == pb.EVENT_TYPE_CANCEL:
            if asked is not None:
                yield f"event {event.version} is a second CANCEL"
            asked = event
        elif event.type == pb.EVENT_TYPE_RESTART and asked is not None:
            yield f"event {event.version} is RESTART after CANCEL"
        elif event.type == pb.EVENT_TYPE_FINISH:
            is_cancelled = event.finish_event.failure.code == "STARFLOW_CANCELLED"
            if is_cancelled and asked is None:
                yield f"event {event.version} says CANCELLED, and nobody asked"


def sleeps_end_early(history: History) -> Iterator[str]:
    """
    A sleep ends when its time has come, and once.

    WAKE ends it; one that needs no WAKE is also ended by the script's next step.
    """
    asleep: dict[int, Event] = {}
    waits: set[int] = set()
    for event in history.log:
        ended: list[int] = []
        if event.type == pb.EVENT_TYPE_WAKE:
            ended = [event.wake_event.sleep_version]
            if ended[0] not in asleep and ended[0] not in waits:
                yield f"event {event.version} is WAKE, and nobody sleeps"
            waits.discard(ended[0])
        elif event.type == pb.EVENT_TYPE_DROP:
            for version in event.drop_event.dropped_versions:
                asleep.pop(version, None)
        elif event.type == pb.EVENT_TYPE_RESTART:
            asleep = {v: e for v, e in asleep.items() if _is_quiet(e)}
        if event.type in _STEPS:
            ended = [version for version, each in asleep.items() if _is_quiet(each)]
        for version in ended:
            sleep = asleep.pop(version, None)
            if sleep and _ns(event) < sleep.sleep_event.wake_time.ToNanoseconds():
                yield f"event {event.version} ends the sleep {version} too early"
        if event.type == pb.EVENT_TYPE_SLEEP:
            asleep[event.version] = event
        elif event.type == pb.EVENT_TYPE_WAIT:
            waits.add(event.version)


def what_was_seen_is_lost(history: History) -> Iterator[str]:
    """What a client was shown is in the log for ever, and never changes."""
    for read in history.reads:
        for event in read.events:
            if event.version > len(history.log):
                yield f"event {event.version}, once seen, is not in the log"
            elif event != history.log[event.version - 1]:
                yield f"event {event.version} was seen with another content"


def reads_are_no_prefixes(history: History) -> Iterator[str]:
    """A read has no holes, and is never shorter than an earlier one."""
    for read in history.reads:
        versions = [event.version for event in read.events]
        first = versions[0] if versions else 1
        if versions != list(range(first, first + len(versions))):
            yield f"a read has holes: {versions}"
        last = versions[-1] if versions else 0
        if read.is_complete and last < read.seen_before:
            yield f"a read ends at {last} after {read.seen_before} had been seen"


def executed_before_it_was_recorded(history: History) -> Iterator[str]:
    """No worker sees a task whose CALL is not stored."""
    for execution in history.executions:
        version = execution.call_version
        if not 0 < version <= len(history.log):
            yield f"event {version}, a call that was executed, is not in the log"
            continue
        event = history.log[version - 1]
        if event.type != pb.EVENT_TYPE_CALL:
            yield f"event {version}, a call that was executed, is {_name(event)}"
        elif execution.begin_ns < _ns(event):
            yield f"event {version}, a CALL, was executed before it was recorded"


def recorded_but_never_executed(history: History) -> Iterator[str]:
    """A worker's result in the log comes from an execution."""
    executions = _executions(history)
    for event in history.log:
        if event.type == pb.EVENT_TYPE_RETURN and event.return_event.HasField("output"):
            known = executions[_call_version(event)]
            if not known or known[0].begin_ns > _ns(event):
                yield f"event {event.version} is a result of no execution"


def repeated_without_reason(history: History) -> Iterator[str]:
    """
    A call is executed again only for a reason.

    It failed, or something was killed while it was in flight.
    """
    for version, executions in _executions(history).items():
        for one, again in itertools.pairwise(executions):
            is_explained = one.has_failed or any(
                outage.begin_ns < again.begin_ns and one.begin_ns < outage.end_ns
                for outage in history.outages
            )
            if not is_explained:
                yield f"event {version}, a CALL, was executed again for no reason"


RULES = (
    versions_have_gaps,
    start_is_not_alone,
    goes_on_after_finish,
    time_goes_back,
    calls_have_not_one_result,
    calls_time_out_early,
    deliveries_count_twice,
    signals_go_astray,
    named_signals_go_astray,
    cancelled_for_no_reason,
    sleeps_end_early,
    what_was_seen_is_lost,
    reads_are_no_prefixes,
    executed_before_it_was_recorded,
    recorded_but_never_executed,
    repeated_without_reason,
)


def steps_in_flight(history: History, outage: Outage) -> int:
    """Return how many calls were being executed at some moment of *outage*."""
    ends = {
        _call_version(event): _ns(event)
        for event in history.log
        if event.type in (pb.EVENT_TYPE_RETURN, pb.EVENT_TYPE_YIELD)
    }
    return sum(
        executions[0].begin_ns < outage.end_ns
        and ends.get(version, outage.end_ns) > outage.begin_ns
        for version, executions in _executions(history).items()
    )


def repeats(history: History) -> int:
    """Return how many executions came after one that had not failed."""
    return sum(
        not one.has_failed
        for executions in _executions(history).values()
        for one in executions[:-1]
    )


def _executions(history: History) -> defaultdict[int, list[Execution]]:
    """Return the executions of each call, oldest first."""
    executions: defaultdict[int, list[Execution]] = defaultdict(list)
    for execution in sorted(history.executions):
        executions[execution.call_version].append(execution)
    return executions


def _detail(event: Event) -> Any:
    return getattr(event, event.WhichOneof("detail") or "")


def _call_version(event: Event) -> int:
    return int(_detail(event).call_version)


def _is_quiet(sleep: Event) -> bool:
    return not sleep.sleep_event.explicit_wake


def _expire_ns(wait: Event) -> int:
    if not wait.wait_event.HasField("expire_time"):
        return _NEVER_NS
    return wait.wait_event.expire_time.ToNanoseconds()


def _content(event: Event) -> tuple[Any, Any]:
    detail = _detail(event)
    return detail.output, detail.failure


def _name(event: Event) -> str:
    return pb.EventType.Name(event.type).removeprefix("EVENT_TYPE_")


def _ns(event: Event) -> int:
    return event.time.ToNanoseconds()
