"""What the service answers, as plain Python values."""

from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from starflow import _failure, _json
from starflow._bundle import Bundle
from starflow._enums import enum_name
from starflow._failure import Failure
from starflow.v1 import event_pb2, failure_pb2, payload_pb2, run_pb2
from starflow.v1 import workflow_service_pb2 as workflow_pb2

_FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
_LEFT_OUT_IF_NONE = (
    "paused",
    "cancel_requested",
    "restarts",
    "segment_version",
    "unread_signal_count",
)


_state = enum_name(run_pb2.RunState, "RUN_STATE_")
_call_state = enum_name(run_pb2.CallState, "CALL_STATE_")
_pause_reason = enum_name(run_pb2.PauseReason, "PAUSE_REASON_")
_event_type = enum_name(event_pb2.EventType, "EVENT_TYPE_")
_severity = enum_name(workflow_pb2.Severity, "SEVERITY_")
_disposition = enum_name(workflow_pb2.SignalDisposition, "SIGNAL_DISPOSITION_")
_durability = enum_name(workflow_pb2.Durability, "DURABILITY_")


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that a run waits for."""

    # CALL, SLEEP or SIGNAL.
    kind: str
    # What the API says about it, by field: function, attempt, wake_time, ...
    detail: dict[str, Any]

    @property
    def signal_id(self) -> str:
        """The id to give to `Client.signal`; empty unless a call has yielded."""
        return str(self.detail.get("signal_id", ""))

    @property
    def signal_name(self) -> str:
        """The name to give to `Client.signal`; empty unless the script waits for it."""
        return str(self.detail.get("name", ""))

    @property
    def function(self) -> str:
        """The function that was called or that yielded; empty for a SLEEP."""
        return str(self.detail.get("function", ""))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"kind": self.kind, **_plain(self.detail)}


@dataclass(frozen=True, slots=True)
class UnreadSignal:
    """A signal by name that waits for the script to take it."""

    name: str
    # The version of its SIGNAL event.
    version: int
    time: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return _plain({name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as it stood when the service answered."""

    id: str
    namespace: str
    # PENDING, RUNNING, SLEEPING, YIELDED, SUCCEEDED, FAILED or CANCELLED.
    state: str
    # The number of events in the log.
    version: int
    paused: bool = False
    pause_reason: str = ""
    pause_message: str = ""
    script_hash: str = ""
    create_time: datetime | None = None
    update_time: datetime | None = None
    finish_time: datetime | None = None
    waits: tuple[Wait, ...] = ()
    input: Any = None
    output: Any = None
    failure: Failure | None = None
    # Only if it was asked for: the text of a script of one file, or all its files.
    script: str = ""
    bundle: Bundle | None = None
    # Whether somebody asked it to end, and why.
    cancel_requested: bool = False
    cancel_reason: str = ""
    # What the script last said about itself: text, and progress and data if given.
    status: dict[str, Any] | None = None
    # Signals by name that the script has not taken: the oldest, and how many in all.
    unread_signals: tuple[UnreadSignal, ...] = ()
    unread_signal_count: int = 0
    # How often the script began again, and the version of its last START.
    restarts: int = 0
    segment_version: int = 0
    # What it is found by.
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return self.state in _FINAL

    @property
    def signal_ids(self) -> tuple[str, ...]:
        """The ids of signals that the run waits for, longest first."""
        return tuple(wait.signal_id for wait in self.waits if wait.signal_id)

    @property
    def signal_names(self) -> tuple[str, ...]:
        """The names of signals that the run waits for, longest first."""
        return tuple(wait.signal_name for wait in self.waits if wait.signal_name)

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as JSON-ready values."""
        values: dict[str, Any] = {
            name: getattr(self, name) for name in self.__dataclass_fields__
        }
        values["waits"] = [wait.to_dict() for wait in self.waits]
        values["unread_signals"] = [each.to_dict() for each in self.unread_signals]
        if self.bundle is not None:
            values["bundle"] = asdict(self.bundle)
        known = {k: v for k, v in values.items() if v not in (None, "", (), [], {})}
        for name in _LEFT_OUT_IF_NONE:
            if not known[name]:
                del known[name]
        if self.state == "SUCCEEDED":
            known["output"] = self.output
        return _plain(known)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a run's log."""

    # The place in the log, from 1.
    version: int
    time: datetime
    # START, CALL, RETURN, YIELD, RESUME, SLEEP, TIME_NOW, RAND_INT, FINISH, SIGNAL,
    # WAKE, WAIT, CANCEL, DROP, STATUS, RESTART, or a type that this release does not
    # know.
    type: str
    # What the API says about it, by field: input, function, call_version, ...
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def function(self) -> str:
        """The function that a CALL names; empty for other events."""
        return str(self.detail.get("function", ""))

    @property
    def call_version(self) -> int:
        """The version of the CALL that this event belongs to; 0 if to none."""
        return int(self.detail.get("call_version", 0))

    @property
    def signal_id(self) -> str:
        """The signal id that the event names; empty if none."""
        return str(self.detail.get("signal_id", ""))

    @property
    def input(self) -> Any:
        """The input of a START, CALL or RESTART."""
        return self.detail.get("input")

    @property
    def output(self) -> Any:
        """The output of a RETURN, RESUME, SIGNAL or FINISH that did not fail."""
        return self.detail.get("output")

    @property
    def failure(self) -> Failure | None:
        """The failure of a RETURN, RESUME, SIGNAL or FINISH, if it is one."""
        return self.detail.get("failure")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        head = {"version": self.version, "time": self.time, "type": self.type}
        return _plain({**head, **self.detail})


@dataclass(frozen=True, slots=True)
class SignalOutcome:
    """What became of a signal."""

    # RESUMED, KEPT (the run does not wait for it yet) or DUPLICATE.
    disposition: str
    # The version of the RESUME event, 0 if there is none yet; of a signal by name the
    # version of its SIGNAL event.
    resume_version: int


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a script."""

    # ERROR or WARNING.
    severity: str
    code: str
    message: str
    # From 1; 0 if unknown.
    line: int
    column: int
    hint: str
    # The path of the file in the bundle; empty if the script is a single file.
    file: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """What the service says about a script without running it."""

    valid: bool
    diagnostics: tuple[Diagnostic, ...]
    script_hash: str
    # The dotted functions that the script names, as far as a look can tell.
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes and times that the server enforces."""

    max_payload_bytes: int
    max_script_bytes: int
    max_events_per_run: int
    max_wait_seconds: float
    max_poll_tasks: int
    max_payload_depth: int
    max_integer_digits: int
    max_steps: int
    max_allocated_bytes: int
    max_open_calls: int
    max_sleep_seconds: float
    # Every limit by its name, such as max_steps, which is also the server's option.
    by_name: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server is and can."""

    version: str
    capabilities: tuple[str, ...]
    limits: Limits
    # MEMORY, PROCESS or DISK: what an acknowledged event survives.
    durability: str
    language_version: int
    # The kind of store, such as sqlite.
    store: str


def run_info(run: run_pb2.Run) -> RunInfo:
    """Return a run as plain values."""
    failed = run.WhichOneof("result") == "failure"
    return RunInfo(
        id=run.run_id,
        namespace=run.namespace,
        state=_state(run.state),
        version=run.version,
        paused=run.paused,
        pause_reason=_pause_reason(run.pause_reason) if run.paused else "",
        pause_message=run.pause_message,
        script_hash=run.script_hash,
        create_time=time_of(run.create_time) if run.HasField("create_time") else None,
        update_time=time_of(run.update_time) if run.HasField("update_time") else None,
        finish_time=time_of(run.finish_time) if run.HasField("finish_time") else None,
        waits=tuple(map(_wait, run.waits)),
        input=payload_value(run.input),
        output=payload_value(run.output),
        failure=_failure.from_pb(run.failure) if failed else None,
        script=run.script,
        cancel_requested=run.cancel_requested,
        cancel_reason=run.cancel_reason,
        status=payload_value(run.status),
        unread_signals=tuple(
            UnreadSignal(each.name, each.version, time_of(each.time))
            for each in run.unread_signals
        ),
        unread_signal_count=run.unread_signal_count,
        restarts=run.restarts,
        segment_version=run.segment_version,
        labels=dict(run.labels),
        bundle=Bundle(dict(run.bundle.sources), run.bundle.entry)
        if run.HasField("bundle")
        else None,
    )


def event(message: event_pb2.Event) -> Event:
    """Return an event as plain values."""
    which = message.WhichOneof("detail")
    detail = _fields(getattr(message, which)) if which else {}
    return Event(
        message.version, time_of(message.time), _event_type(message.type), detail
    )


def signal_outcome(response: workflow_pb2.SignalResponse) -> SignalOutcome:
    """Return what became of a signal."""
    return SignalOutcome(_disposition(response.disposition), response.resume_version)


def validation(response: workflow_pb2.ValidateScriptResponse) -> Validation:
    """Return the findings about a script."""
    findings = (
        Diagnostic(
            _severity(d.severity), d.code, d.message, d.line, d.column, d.hint, d.file
        )
        for d in response.diagnostics
    )
    return Validation(
        response.valid,
        tuple(findings),
        response.script_hash,
        tuple(response.functions),
    )


def server_info(response: workflow_pb2.GetServerInfoResponse) -> ServerInfo:
    """Return what a server is and can."""
    limits = response.limits
    return ServerInfo(
        version=response.version,
        capabilities=tuple(response.capabilities),
        limits=Limits(
            max_payload_bytes=limits.max_payload_bytes,
            max_script_bytes=limits.max_script_bytes,
            max_events_per_run=limits.max_events_per_run,
            max_wait_seconds=limits.max_wait.ToTimedelta().total_seconds(),
            max_poll_tasks=limits.max_poll_tasks,
            max_payload_depth=limits.max_payload_depth,
            max_integer_digits=limits.max_integer_digits,
            max_steps=limits.max_steps,
            max_allocated_bytes=limits.max_allocated_bytes,
            max_open_calls=limits.max_open_calls,
            max_sleep_seconds=limits.max_sleep.ToTimedelta().total_seconds(),
            by_name=dict(limits.by_name),
        ),
        durability=_durability(response.durability),
        language_version=response.language_version,
        store=response.store,
    )


def payload_value(payload: payload_pb2.Payload) -> Any:
    """Return the value of a payload; one without a kind is null."""
    return _json.decode(payload.json) if payload.json else None


def _wait(wait: run_pb2.Wait) -> Wait:
    which = wait.WhichOneof("kind")
    if which is None:
        return Wait("UNKNOWN", {})
    detail = _fields(getattr(wait, which))
    if which == "call":
        detail["state"] = _call_state(wait.call.state)
    return Wait(which.upper(), detail)


def _fields(message: Message) -> dict[str, Any]:
    """Return what is set in *message*; numbers always, since 0 is a value."""
    values: dict[str, Any] = {}
    for spec in message.DESCRIPTOR.fields:
        value = getattr(message, spec.name)
        if isinstance(value, MutableMapping):
            if value:
                values[spec.name] = dict(value)
        elif spec.message_type is not None:
            if message.HasField(spec.name):
                values[spec.name] = _value(value)
        elif not isinstance(value, str | int | float):
            values[spec.name] = list(value)
        elif value != "" and not _is_none(spec.name, value):
            values[spec.name] = value
    return values


def _is_none(name: str, value: Any) -> bool:
    # Versions count from 1.
    return value is False or (value == 0 and name.endswith("_version"))


def _value(message: Message) -> Any:
    if isinstance(message, payload_pb2.Payload):
        return payload_value(message)
    if isinstance(message, failure_pb2.Failure):
        return _failure.from_pb(message)
    if isinstance(message, Timestamp):
        return time_of(message)
    if isinstance(message, Duration):
        return message.ToTimedelta().total_seconds()
    return _fields(message)


def time_of(timestamp: Timestamp) -> datetime:
    """Return a time as Python has it."""
    return timestamp.ToDatetime(tzinfo=UTC)


def plain_fields(info: Any) -> dict[str, Any]:
    """Return what is set in a dataclass, as JSON-ready values; numbers always."""
    values = {name: getattr(info, name) for name in info.__dataclass_fields__}
    known = {k: v for k, v in values.items() if v not in (None, "", (), {})}
    return _plain(known)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values* with times as RFC 3339 text and failures as objects."""
    plain = {}
    for name, value in values.items():
        if isinstance(value, datetime):
            value = value.isoformat().replace("+00:00", "Z")
        elif isinstance(value, Failure):
            value = value.to_dict()
        plain[name] = value
    return plain
