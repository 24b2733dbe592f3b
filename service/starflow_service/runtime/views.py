"""A run as a person or a program wants to see it."""

from typing import TypeAlias

from starflow_service.engine.history import OpenCall
from starflow_service.runtime.calls import Calls
from starflow_service.runtime.index import state_of
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.stands import stands
from starflow_service.runtime.types import (
    CallWait,
    RunView,
    SignalWait,
    SleepWait,
    UnreadSignal,
)
from starflow_service.runtime.workforce import Workforce

_UNREAD_MAX = 100

Wait: TypeAlias = CallWait | SleepWait | SignalWait


def view_of(run: LiveRun, calls: Calls, force: Workforce) -> RunView:
    """Return *run* as its log, and the calls under way, say it stands."""
    history = run.history
    start, finish = history.start, history.finish
    if start is None:
        raise AssertionError(f"run {run.key} has no START")
    waits = [] if finish is not None else _waits(run, calls, force)
    return RunView(
        namespace=run.namespace,
        run_id=run.run_id,
        state=state_of(history),
        script_hash=start.script_hash,
        version=history.version,
        create_ns=run.create_ns,
        update_ns=history.last_ns,
        finish_ns=None if finish is None else finish.time_ns,
        waits=waits,
        input=start.input,
        result=None if finish is None else finish.result,
        pause_reason=None if run.pause is None else run.pause.reason,
        pause_message="" if run.pause is None else run.pause.message,
        cancel_reason=None if history.cancel is None else history.cancel.reason,
        status=history.status,
        unread=_unread(run) if history.unread_count else (),
        unread_count=history.unread_count,
        restarts=run.restarts_before + history.restarts,
        segment_version=history.base + 1,
        labels=start.labels,
    )


def _waits(run: LiveRun, calls: Calls, force: Workforce) -> list[Wait]:
    history = run.history
    waits: dict[int, Wait] = {v: SleepWait(wake) for v, wake in history.sleeps.items()}
    for version, wait in history.signal_waits.items():
        waits[version] = SignalWait(
            wait.expire_ns, name=wait.name, wait_version=version
        )
    for version, call in history.calls.items():
        yielded = call.yielded
        if yielded is None:
            waits[version] = _call_wait(run, calls, call, force)
        else:
            waits[version] = SignalWait(
                call.expire_ns,
                yielded.signal_id,
                call.call.function,
                yielded.version,
            )
    return [waits[version] for version in sorted(waits)]


def _call_wait(
    run: LiveRun, calls: Calls, call: OpenCall, force: Workforce
) -> CallWait:
    version = call.call.version
    record = run.records.get(version)
    pending = calls.find(run.key, version)
    lease = None if pending is None else pending.lease
    attempt = pending.attempt if pending else record.next_attempt if record else 1
    limited = None if pending is None else pending.limited
    is_backing_off = version in run.retries
    state, message = stands(
        run.namespace,
        call.call.function,
        pending,
        calls,
        force,
        is_backing_off=is_backing_off,
    )
    return CallWait(
        call.call.function,
        version,
        attempt,
        worker_id="" if lease is None else lease.session.worker_id,
        attempt_start_ns=None if lease is None else lease.start_ns,
        next_attempt_ns=run.retries.get(version),
        last_failure=None if record is None else record.failure,
        expire_ns=call.expire_ns,
        state=state,
        state_message=message,
        queue="" if limited is None else limited.name,
    )


def _unread(run: LiveRun) -> list[UnreadSignal]:
    oldest = run.history.unread_signals()[:_UNREAD_MAX]
    return [UnreadSignal(each.name, each.version, each.time_ns) for each in oldest]
