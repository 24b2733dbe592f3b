"""A run as a person or a program wants to see it."""

from starflow_service.engine.events import Failure
from starflow_service.runtime.calls import Calls
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.types import (
    CallWait,
    RunState,
    RunView,
    SignalWait,
    SleepWait,
)


def view_of(run: LiveRun, calls: Calls) -> RunView:
    """Return *run* as its log, and the calls under way, say it stands."""
    history = run.history
    start, finish = history.start, history.finish
    if start is None:
        raise AssertionError(f"run {run.key} has no START")
    waits = [] if finish is not None else _waits(run, calls)
    return RunView(
        namespace=run.namespace,
        run_id=run.run_id,
        state=_state(run, waits),
        script_hash=start.script_hash,
        version=history.version,
        create_ns=start.time_ns,
        update_ns=history.last_ns,
        finish_ns=None if finish is None else finish.time_ns,
        waits=waits,
        input=start.input,
        result=None if finish is None else finish.result,
        pause_reason=None if run.pause is None else run.pause.reason,
        pause_message="" if run.pause is None else run.pause.message,
    )


def _state(run: LiveRun, waits: list[CallWait | SleepWait | SignalWait]) -> RunState:
    finish = run.history.finish
    if finish is not None:
        failed = isinstance(finish.result, Failure)
        return RunState.FAILED if failed else RunState.SUCCEEDED
    if any(isinstance(wait, CallWait) for wait in waits):
        return RunState.RUNNING
    if any(isinstance(wait, SleepWait) for wait in waits):
        return RunState.SLEEPING
    return RunState.YIELDED if waits else RunState.RUNNING


def _waits(run: LiveRun, calls: Calls) -> list[CallWait | SleepWait | SignalWait]:
    history = run.history
    waits: list[tuple[int, CallWait | SleepWait | SignalWait]] = [
        (version, SleepWait(wake_ns)) for version, wake_ns in history.sleeps.items()
    ]
    for version, call in history.calls.items():
        yielded = call.yielded
        if yielded is None:
            waits.append((version, _call_wait(run, calls, version)))
        else:
            wait = SignalWait(
                yielded.signal_id,
                call.call.function,
                yielded.version,
                yielded.expire_ns,
            )
            waits.append((version, wait))
    waits.sort(key=lambda pair: pair[0])
    return [wait for _, wait in waits]


def _call_wait(run: LiveRun, calls: Calls, version: int) -> CallWait:
    function = run.history.calls[version].call.function
    record = run.records.get(version)
    pending = calls.find(run.key, version)
    lease = None if pending is None else pending.lease
    attempt = pending.attempt if pending else record.next_attempt if record else 1
    return CallWait(
        function,
        version,
        attempt,
        worker_id="" if lease is None else lease.session.worker_id,
        attempt_start_ns=None if lease is None else lease.start_ns,
        next_attempt_ns=run.retries.get(version),
        last_failure=None if record is None else record.failure,
    )
