from google.protobuf import timestamp_pb2 as _timestamp_pb2
from starflow.v1 import failure_pb2 as _failure_pb2
from starflow.v1 import payload_pb2 as _payload_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_PENDING: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_SLEEPING: _ClassVar[RunState]
    RUN_STATE_YIELDED: _ClassVar[RunState]
    RUN_STATE_SUCCEEDED: _ClassVar[RunState]
    RUN_STATE_FAILED: _ClassVar[RunState]
    RUN_STATE_CANCELLED: _ClassVar[RunState]

class RunView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_VIEW_UNSPECIFIED: _ClassVar[RunView]
    RUN_VIEW_BASIC: _ClassVar[RunView]
    RUN_VIEW_FULL: _ClassVar[RunView]
    RUN_VIEW_WITH_SCRIPT: _ClassVar[RunView]

class PauseReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAUSE_REASON_UNSPECIFIED: _ClassVar[PauseReason]
    PAUSE_REASON_REPLAY_MISMATCH: _ClassVar[PauseReason]
    PAUSE_REASON_LIMIT: _ClassVar[PauseReason]
    PAUSE_REASON_LOG_CORRUPT: _ClassVar[PauseReason]
    PAUSE_REASON_INTERNAL: _ClassVar[PauseReason]
    PAUSE_REASON_CRASH_LOOP: _ClassVar[PauseReason]
    PAUSE_REASON_LOST_HISTORY: _ClassVar[PauseReason]

class CallState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALL_STATE_UNSPECIFIED: _ClassVar[CallState]
    CALL_STATE_NO_WORKER: _ClassVar[CallState]
    CALL_STATE_WORKERS_BUSY: _ClassVar[CallState]
    CALL_STATE_QUEUE_LIMIT: _ClassVar[CallState]
    CALL_STATE_LEASED: _ClassVar[CallState]
    CALL_STATE_BACKING_OFF: _ClassVar[CallState]
    CALL_STATE_STORING: _ClassVar[CallState]
    CALL_STATE_RECOVERING: _ClassVar[CallState]
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_PENDING: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_SLEEPING: RunState
RUN_STATE_YIELDED: RunState
RUN_STATE_SUCCEEDED: RunState
RUN_STATE_FAILED: RunState
RUN_STATE_CANCELLED: RunState
RUN_VIEW_UNSPECIFIED: RunView
RUN_VIEW_BASIC: RunView
RUN_VIEW_FULL: RunView
RUN_VIEW_WITH_SCRIPT: RunView
PAUSE_REASON_UNSPECIFIED: PauseReason
PAUSE_REASON_REPLAY_MISMATCH: PauseReason
PAUSE_REASON_LIMIT: PauseReason
PAUSE_REASON_LOG_CORRUPT: PauseReason
PAUSE_REASON_INTERNAL: PauseReason
PAUSE_REASON_CRASH_LOOP: PauseReason
PAUSE_REASON_LOST_HISTORY: PauseReason
CALL_STATE_UNSPECIFIED: CallState
CALL_STATE_NO_WORKER: CallState
CALL_STATE_WORKERS_BUSY: CallState
CALL_STATE_QUEUE_LIMIT: CallState
CALL_STATE_LEASED: CallState
CALL_STATE_BACKING_OFF: CallState
CALL_STATE_STORING: CallState
CALL_STATE_RECOVERING: CallState

class ScriptBundle(_message.Message):
    __slots__ = ("sources", "entry")
    class SourcesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.ScalarMap[str, str]
    entry: str
    def __init__(self, sources: _Optional[_Mapping[str, str]] = ..., entry: _Optional[str] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("namespace", "run_id", "state", "paused", "cancel_requested", "script_hash", "labels", "version", "create_time", "update_time", "finish_time", "waits", "input", "output", "failure", "script", "bundle", "pause_reason", "pause_message", "cancel_reason", "status", "unread_signals", "unread_signal_count", "restarts", "segment_version")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_HASH_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    PAUSE_REASON_FIELD_NUMBER: _ClassVar[int]
    PAUSE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REASON_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    UNREAD_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    UNREAD_SIGNAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    state: RunState
    paused: bool
    cancel_requested: bool
    script_hash: str
    labels: _containers.ScalarMap[str, str]
    version: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    waits: _containers.RepeatedCompositeFieldContainer[Wait]
    input: _payload_pb2.Payload
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    script: str
    bundle: ScriptBundle
    pause_reason: PauseReason
    pause_message: str
    cancel_reason: str
    status: _payload_pb2.Payload
    unread_signals: _containers.RepeatedCompositeFieldContainer[UnreadSignal]
    unread_signal_count: int
    restarts: int
    segment_version: int
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., state: _Optional[_Union[RunState, str]] = ..., paused: bool = ..., cancel_requested: bool = ..., script_hash: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., version: _Optional[int] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., waits: _Optional[_Iterable[_Union[Wait, _Mapping]]] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., script: _Optional[str] = ..., bundle: _Optional[_Union[ScriptBundle, _Mapping]] = ..., pause_reason: _Optional[_Union[PauseReason, str]] = ..., pause_message: _Optional[str] = ..., cancel_reason: _Optional[str] = ..., status: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., unread_signals: _Optional[_Iterable[_Union[UnreadSignal, _Mapping]]] = ..., unread_signal_count: _Optional[int] = ..., restarts: _Optional[int] = ..., segment_version: _Optional[int] = ...) -> None: ...

class UnreadSignal(_message.Message):
    __slots__ = ("name", "version", "time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Wait(_message.Message):
    __slots__ = ("call", "sleep", "signal")
    CALL_FIELD_NUMBER: _ClassVar[int]
    SLEEP_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    call: CallWait
    sleep: SleepWait
    signal: SignalWait
    def __init__(self, call: _Optional[_Union[CallWait, _Mapping]] = ..., sleep: _Optional[_Union[SleepWait, _Mapping]] = ..., signal: _Optional[_Union[SignalWait, _Mapping]] = ...) -> None: ...

class CallWait(_message.Message):
    __slots__ = ("function", "call_version", "attempt", "worker_id", "next_attempt_time", "last_failure", "attempt_start_time", "expire_time", "state", "state_message", "queue")
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    CALL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_START_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    function: str
    call_version: int
    attempt: int
    worker_id: str
    next_attempt_time: _timestamp_pb2.Timestamp
    last_failure: _failure_pb2.Failure
    attempt_start_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    state: CallState
    state_message: str
    queue: str
    def __init__(self, function: _Optional[str] = ..., call_version: _Optional[int] = ..., attempt: _Optional[int] = ..., worker_id: _Optional[str] = ..., next_attempt_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., attempt_start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[CallState, str]] = ..., state_message: _Optional[str] = ..., queue: _Optional[str] = ...) -> None: ...

class SleepWait(_message.Message):
    __slots__ = ("wake_time",)
    WAKE_TIME_FIELD_NUMBER: _ClassVar[int]
    wake_time: _timestamp_pb2.Timestamp
    def __init__(self, wake_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SignalWait(_message.Message):
    __slots__ = ("signal_id", "name", "function", "yield_version", "expire_time", "wait_version")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    YIELD_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    WAIT_VERSION_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    name: str
    function: str
    yield_version: int
    expire_time: _timestamp_pb2.Timestamp
    wait_version: int
    def __init__(self, signal_id: _Optional[str] = ..., name: _Optional[str] = ..., function: _Optional[str] = ..., yield_version: _Optional[int] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., wait_version: _Optional[int] = ...) -> None: ...
