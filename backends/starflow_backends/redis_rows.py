"""An append as a command to Redis, and a run as Redis gives it back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from starflow_backends import redis_script as script
from starflow_backends.redis_entries import entry_of, entry_value
from starflow_backends.redis_layout import (
    Keys,
    attempt_of,
    attempt_value,
    due_of,
    event_crc,
    head_crc,
    lost_of,
    record_value,
    timer_of,
    timer_value,
)
from starflow_backends.store import (
    Append,
    CorruptError,
    DueTimer,
    DueTimers,
    LostHistoryError,
    Phase,
    StoredRun,
)


def append_command(
    append: Append, run: bytes, keys: Keys, number: int, epoch: bytes
) -> list[bytes]:
    """Return the command that carries out *append* in partition *number*."""
    of = keys.partitions[number]
    places = [of.partition, of.runs, of.timers, of.run + run, of.log + run]
    places += (of.found, of.gone + run)
    if append.scripts:
        places.append(keys.records("script"))
    phase = int(append.phase)
    version = append.expected_version + len(append.events)
    crc = head_crc(append.run, version, phase, append.append_id, append.note)
    arguments = [
        epoch,
        run,
        b"%d" % append.expected_version,
        append.append_id.encode(),
        b"%d" % phase,
        append.note,
        crc.encode(),
        b"" if append.entry is None else entry_value(append.run, append.entry),
    ]
    _add_lists(arguments, append)
    return script.APPEND.call(places, arguments)


def _add_lists(arguments: list[bytes], append: Append) -> None:
    run = append.run
    arguments.append(b"%d" % len(append.events))
    for at, event in enumerate(append.events, append.expected_version + 1):
        arguments += (event_crc(run, at, event).encode(), event)
    arguments.append(b"%d" % len(append.timers))
    for name, due_ns in append.timers.items():
        timer = b"" if due_ns is None else timer_value(run, name, due_ns)
        arguments += (name.encode(), timer)
    arguments.append(b"%d" % len(append.attempts))
    for version, value in append.attempts.items():
        attempt = b"" if value is None else attempt_value(run, version, value)
        arguments += (b"%d" % version, attempt)
    arguments.append(b"%d" % len(append.scripts))
    for key, text in append.scripts.items():
        arguments += (key.encode(), record_value("script", key, text))


@dataclass(frozen=True, slots=True)
class Head:
    """What every append rewrites of a run."""

    version: int
    phase: Phase
    append_id: str
    note: bytes


Fields = dict[bytes, bytes]


def checked_head(run: str, fields: Fields) -> Head:
    """
    Return the head of a run.

    Raises:
        CorruptError: It is damaged.
    """
    version, phase = fields.get(b"version", b""), fields.get(b"phase", b"")
    append_id = fields.get(b"append", b"").decode(errors="replace")
    note = fields.get(b"note", b"")
    if version.isdigit() and phase.isdigit():
        crc = head_crc(run, int(version), int(phase), append_id, note)
        if crc.encode() == fields.get(b"crc"):
            return Head(int(version), Phase(int(phase)), append_id, note)
    raise CorruptError(run, 0, "the checksum of its head does not match")


def stored_run(run: str, fields: Fields) -> StoredRun:
    """
    Return the index of a run.

    Raises:
        CorruptError: It is damaged.
    """
    head = checked_head(run, fields)
    timers: dict[str, int] = {}
    attempts: dict[int, bytes] = {}
    for field, value in fields.items():
        kind, _, name = field.decode(errors="replace").partition(":")
        if kind == "timer":
            timers[name] = due_of(run, name, value)
        elif kind == "attempt":
            stored = attempt_of(run, name, value)
            attempts[int(name)] = stored
    entry = entry_of(run, fields[b"entry"]) if b"entry" in fields else None
    return StoredRun(head.version, head.phase, timers, attempts, head.note, entry)


def loss_of(run: str, fields: Fields) -> LostHistoryError:
    """
    Return what to say of a run that lost events.

    Raises:
        CorruptError: What is said of it is damaged.
    """
    version = checked_head(run, fields).version if b"version" in fields else 0
    return LostHistoryError(run, lost_of(run, fields[b"lost"]), version)


def due_timers(answers: Sequence[Sequence[Any]], limit: int) -> DueTimers:
    """
    Return the timers of some nodes, each with a clock of its own, in one answer.

    The next is the one that is due soonest by the clock of its node, and the time is of
    that node: what counts is how long it is until then.
    """
    damaged: list[CorruptError] = []
    due: list[DueTimer] = []
    waits: list[tuple[int, int]] = []
    for now, members, others in answers:
        due += _intact(members, damaged)
        waits += [
            (each.due_ns - int(now), int(now)) for each in _intact(others, damaged)
        ]
    due.sort(key=lambda timer: (timer.due_ns, timer.name, timer.run))
    if len(due) > limit:
        now_ns = int(answers[0][0])
        return DueTimers(now_ns, due[:limit], due[limit].due_ns, damaged)
    if not waits:
        return DueTimers(int(answers[0][0]), due, None, damaged)
    wait_ns, now_ns = min(waits)
    return DueTimers(now_ns, due, now_ns + wait_ns, damaged)


def _intact(
    members: Sequence[bytes], damaged: list[CorruptError]
) -> Iterator[DueTimer]:
    """Yield the timers that *members* stand for; the errors of others go aside."""
    for member in members:
        try:
            yield DueTimer(*timer_of(member))
        except CorruptError as error:
            damaged.append(error)


def events_of(run: str, first: int, count: int, answer: list[bytes]) -> list[bytes]:
    """
    Return the *count* events from version *first* on that Redis gave back.

    Raises:
        CorruptError: One of them is damaged, or missing.
    """
    places, packed = answer
    words = places.split()
    events: list[bytes] = []
    start = 0
    for at in range(count):
        version = first + at
        name, crc, length = words[3 * at : 3 * at + 3] or (b"", b"", b"")
        if name != b"0-%d" % version:
            raise CorruptError(run, version, "it is missing")
        event = packed[start : start + int(length)]
        if event_crc(run, version, event).encode() != crc:
            raise CorruptError(run, version, "its checksum does not match")
        events.append(event)
        start += len(event)
    return events
