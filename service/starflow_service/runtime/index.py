"""What the store's index keeps of a run: read into memory, and brought up to date."""

from dataclasses import replace

from starflow_backends.store import Entry, StoredRun
from starflow_service.engine.events import Event, Failure
from starflow_service.engine.history import History
from starflow_service.runtime.attempts import decode_record
from starflow_service.runtime.codec import Codec
from starflow_service.runtime.endings import is_cancelled
from starflow_service.runtime.entries import Listed, entry_of, listed_of
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.notes import Note
from starflow_service.runtime.types import RunState


def adopt(run: LiveRun, stored: StoredRun, codec: Codec) -> None:
    """Take over what the index knows of *run*."""
    run.version = stored.version
    run.phase = stored.phase
    run.timers = dict(stored.timers)
    run.records = {v: decode_record(d, codec) for v, d in stored.attempts.items()}
    run.retries = {
        version: record.due_ns
        for version, record in run.records.items()
        if f"retry/{version}" in stored.timers
    }
    note = Note.decode(stored.note)
    run.pause, run.segments, run.create_ns = note.pause, note.segments, note.create_ns
    run.lines = note.lines
    entry = stored.entry
    run.listed = None if entry is None else listed_of(entry.summary)


def state_of(history: History) -> RunState:
    """Return where a run stands."""
    finish = history.finish
    if finish is not None:
        if is_cancelled(finish):
            return RunState.CANCELLED
        failed = isinstance(finish.result, Failure)
        return RunState.FAILED if failed else RunState.SUCCEEDED
    if len(history.calls) > history.yields:
        return RunState.RUNNING
    if history.sleeps:
        return RunState.SLEEPING
    if history.yields or history.signal_waits:
        return RunState.YIELDED
    return RunState.RUNNING


def changed_entry(run: LiveRun) -> Entry | None:
    """Return what the run is found by from now on, or None if that did not change."""
    before = run.listed
    reason = None if run.pause is None else run.pause.reason
    if run.ledger is None:
        # Its log cannot be read, and so it is parked.
        if before is None:
            return None
        run.listed = replace(before, pause_reason=reason)
        return entry_of(run.namespace, run.listed)
    history = run.history
    state = state_of(history)
    is_asked = history.cancel is not None
    restarts = run.restarts_before + history.restarts
    if (
        before is not None
        and before.state is state
        and before.pause_reason is reason
        and before.cancel_requested == is_asked
        and before.restarts == restarts
    ):
        return None
    start, finish = history.start, history.finish
    assert start is not None, "a log begins with START"
    run.listed = Listed(
        state,
        start.script_hash,
        run.create_ns,
        None if finish is None else finish.time_ns,
        start.labels,
        reason,
        is_asked,
        restarts,
    )
    return entry_of(run.namespace, run.listed)


def index_changes(
    run: LiveRun, events: list[Event]
) -> tuple[dict[str, int | None], dict[str, int]]:
    """Bring what the index keeps of *run* up to date; return its timers and changes."""
    if run.history.base != run.segments.present:
        run.segments = run.segments.after(events)
    if run.records:
        run.forget_ended_calls()
    run.note_expiries(events)
    if not run.may_have_timers:
        return {}, {}
    timers = run.due_timers()
    return _timer_changes(run.timers, timers), timers


def _timer_changes(
    before: dict[str, int], after: dict[str, int]
) -> dict[str, int | None]:
    changes: dict[str, int | None] = {
        name: due for name, due in after.items() if before.get(name) != due
    }
    for name in before:
        if name not in after:
            changes[name] = None
    return changes
