"""How things look: tables for people, JSON for programs."""

import dataclasses
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from starflow import _convert
from starflow._model import Event, RunInfo, SignalOutcome, Validation, Wait
from starflow.cli import _findings
from starflow.cli._scripts import Given

_UNCUT = 1_000_000


def json_line(document: Any) -> None:
    """Print *document* as one line of JSON."""
    print(_convert.encode(document), flush=True)


def value(output: Any) -> None:
    """Print a value for a person, who can still give it to a program."""
    print(_convert.encode(output))


def run_started(info: RunInfo, created: bool, *, as_json: bool) -> None:
    """Print that a run was started or found."""
    if as_json:
        json_line({**info.to_dict(), "created": created})
        return
    verb = "started" if created else "found"
    print(f"{verb} {info.id} ({info.state})")


def run_info(info: RunInfo, *, as_json: bool) -> None:
    """Print a run as it stands."""
    if as_json:
        json_line(info.to_dict())
        return
    rows = [
        ("run", info.id),
        ("namespace", info.namespace),
        ("state", f"{info.state} (paused)" if info.paused else info.state),
        ("events", str(info.version)),
        ("script", info.script_hash[:12]),
        ("created", _when(info.create_time)),
        ("updated", _when(info.update_time)),
        ("finished", _when(info.finish_time)),
        ("paused", _paused(info)),
        ("cancelling", _cancelling(info)),
        ("restarts", _restarts(info)),
        ("status", _status(info.status)),
        *(("waits for", _wait(info.id, wait)) for wait in info.waits),
        ("unread", _unread(info)),
        ("input", _cut(_convert.encode(info.input), 12)),
        ("output", _convert.encode(info.output) if info.state == "SUCCEEDED" else ""),
    ]
    if info.failure is not None:
        rows += [("failure", str(info.failure)), ("", info.failure.stack_trace)]
    for name, text in rows:
        if text:
            print(f"{name:<11}{_indented(text)}")


class EventLines:
    """Prints events one by one, as they come."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._has_head = False

    def add(self, event: Event) -> None:
        """Print *event*."""
        if self._as_json:
            json_line(event.to_dict())
            return
        if not self._has_head:
            self._has_head = True
            print(f"{'VERSION':>7}  {'TIME (UTC)':<23}  {'TYPE':<8}  DETAIL")
        head = f"{event.version:>7}  {_when(event.time):<23}  {event.type:<8}  "
        # Flushed, because whoever follows a log through a pipe wants each event now.
        print(f"{head}{_cut(_detail(event), len(head))}".rstrip(), flush=True)


def ending(info: RunInfo, *, as_json: bool) -> None:
    """Print how a run stands that was asked to end."""
    if as_json:
        json_line(info.to_dict())
    elif info.finished:
        print(f"{info.id} has ended ({info.state})")
    elif info.paused:
        print(
            f"{info.id} is paused ({info.pause_reason}) and ends when it goes on;"
            f" to end it now: starflow terminate {info.id}"
        )
    else:
        print(f"{info.id} is ending ({info.state})")


def unpaused(info: RunInfo, *, as_json: bool) -> None:
    """Print how a run stands that was tried again."""
    if as_json:
        json_line(info.to_dict())
    elif info.paused:
        print(f"{info.id} is paused again: {_paused(info)}")
    elif info.finished:
        print(f"{info.id} has ended ({info.state})")
    else:
        print(f"{info.id} goes on ({info.state})")


def signal_outcome(run_id: str, found: SignalOutcome, *, as_json: bool) -> None:
    """Print what became of a signal."""
    if as_json:
        json_line(dataclasses.asdict(found))
    elif found.disposition == "RESUMED":
        print(f"{run_id} goes on (event {found.resume_version})")
    elif found.disposition == "KEPT":
        print(f"kept until {run_id} waits for it")
    else:
        print(f"{found.disposition.lower()}: {run_id} had this signal before")


def validations(found: Sequence[tuple[Given, Validation]], *, as_json: bool) -> None:
    """Print what was found in scripts: pictures, or one document."""
    if as_json:
        json_line(_validations_document(found))
        return
    for given, each in found:
        _findings.show(given, each.diagnostics)
        print(_findings.summary(given, each))
    if len(found) > 1:
        valid = sum(each.valid for _, each in found)
        print(f"{valid} of {len(found)} scripts are valid")


def _validations_document(
    found: Sequence[tuple[Given, Validation]],
) -> dict[str, Any]:
    return {
        "valid": all(each.valid for _, each in found),
        "diagnostics": [
            {"script": given.name, **dataclasses.asdict(finding)}
            for given, each in found
            for finding in each.diagnostics
        ],
        "scripts": [
            {
                "name": given.name,
                "valid": each.valid,
                "script_hash": each.script_hash,
                "functions": list(each.functions),
            }
            for given, each in found
        ],
    }


def _wait(run_id: str, wait: Wait) -> str:
    detail = wait.detail
    until = f" until {_when(detail['expire_time'])}" if "expire_time" in detail else ""
    if wait.signal_name:
        command = f"starflow signal {run_id} --name {wait.signal_name} JSON"
        return f"the signal {wait.signal_name}{until}: {command}"
    if wait.kind == "SIGNAL":
        command = f"starflow signal {run_id} {wait.signal_id} --output JSON"
        return f"a signal for {wait.function}{until}: {command}"
    if wait.kind == "SLEEP":
        return f"a sleep until {_when(detail.get('wake_time'))}"
    if wait.kind != "CALL":
        return wait.kind
    text = f"{wait.function}{until}, attempt {detail.get('attempt', 1)}"
    if detail.get("worker_id"):
        text += f", on worker {detail['worker_id']}"
        if "attempt_start_time" in detail:
            text += f" since {_when(detail['attempt_start_time'])}"
    elif "next_attempt_time" in detail:
        text += f", not before {_when(detail['next_attempt_time'])}"
    else:
        text += f": {detail.get('state_message') or 'no worker has taken it yet'}"
    if detail.get("last_failure") is not None:
        text += f"; the last attempt: {detail['last_failure']}"
    return text


def _detail(event: Event) -> str:
    """Return what one event says, in one line."""
    detail = event.detail
    words = [f"#{event.call_version}"] if event.call_version else []
    words += [event.function, event.signal_id if event.type != "CALL" else ""]
    words += [str(detail.get(name, "")) for name in ("name", "reason")]
    words += [_when(detail[k]) for k in ("wake_time", "expire_time") if k in detail]
    if "sleep_version" in detail:
        words.append(f"#{detail['sleep_version']}")
    words += [f"#{version}" for version in detail.get("dropped_versions", ())]
    words.append(_status(detail.get("status")))
    if "value" in detail:
        drawn = detail["value"]
        words.append(_when(drawn) if isinstance(drawn, datetime) else str(drawn))
    for name in ("input", "output"):
        if name in detail:
            words.append(_convert.encode(detail[name]))
    if event.failure is not None:
        words.append(f"failed: {event.failure}")
    if detail.get("attempts", 0) > 1:
        words.append(f"({detail['attempts']} attempts)")
    return " ".join(word for word in words if word)


def _status(status: dict[str, Any] | None) -> str:
    """Return what a script said about itself, in one line."""
    if status is None:
        return ""
    words = [str(status.get("text", ""))]
    if status.get("progress") is not None:
        words.append(f"({status['progress']:.0%})")
    if status.get("data") is not None:
        words.append(_convert.encode(status["data"]))
    return " ".join(words)


def _cancelling(info: RunInfo) -> str:
    if not info.cancel_requested or info.finished:
        return ""
    return info.cancel_reason or "asked to end"


def _restarts(info: RunInfo) -> str:
    if not info.restarts:
        return ""
    return f"{info.restarts}, the last at event {info.segment_version}"


def _unread(info: RunInfo) -> str:
    """Return the signals that nobody has taken, by name, and how many of each."""
    if not info.unread_signals:
        return ""
    counts = Counter(signal.name for signal in info.unread_signals)
    words = [f"{name} ({n})" if n > 1 else name for name, n in counts.items()]
    more = info.unread_signal_count - len(info.unread_signals)
    return ", ".join([*words, *([f"and {more} more"] if more > 0 else [])])


def _paused(info: RunInfo) -> str:
    return f"{info.pause_reason}: {info.pause_message}" if info.paused else ""


def _when(time: datetime | None) -> str:
    if time is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S.") + f"{time.microsecond // 1000:03d}"


def _cut(text: str, taken: int) -> str:
    """Return *text* in one line that fits the terminal; whole if there is none."""
    text = text.replace("\n", "\\n")
    if not sys.stdout.isatty():
        return text
    room = max(shutil.get_terminal_size().columns - taken, 20)
    return text if len(text) <= room else f"{text[: room - 3]}..."


def _indented(text: str) -> str:
    return text.rstrip().replace("\n", f"\n{'':<11}")
