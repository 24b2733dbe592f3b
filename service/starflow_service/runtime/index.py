"""What the store's index keeps of a run: read into memory, and brought up to date."""

from starflow_backends.store import StoredRun
from starflow_service.engine.events import Event
from starflow_service.runtime.attempts import decode_record
from starflow_service.runtime.codec import Codec
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.notes import Note


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
