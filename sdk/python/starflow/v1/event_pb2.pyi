from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from starflow.v1 import failure_pb2 as _failure_pb2
from starflow.v1 import payload_pb2 as _payload_pb2
from starflow.v1 import retry_pb2 as _retry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_TYPE_UNSPECIFIED: _ClassVar[EventType]
    EVENT_TYPE_START: _ClassVar[EventType]
    EVENT_TYPE_CALL: _ClassVar[EventType]
    EVENT_TYPE_RETURN: _ClassVar[EventType]
    EVENT_TYPE_YIELD: _ClassVar[EventType]
    EVENT_TYPE_RESUME: _ClassVar[EventType]
    EVENT_TYPE_SLEEP: _ClassVar[EventType]
    EVENT_TYPE_TIME_NOW: _ClassVar[EventType]
    EVENT_TYPE_RAND_INT: _ClassVar[EventType]
    EVENT_TYPE_FINISH: _ClassVar[EventType]
    EVENT_TYPE_SIGNAL: _ClassVar[EventType]
    EVENT_TYPE_WAKE: _ClassVar[EventType]
    EVENT_TYPE_WAIT: _ClassVar[EventType]
    EVENT_TYPE_CANCEL: _ClassVar[EventType]
    EVENT_TYPE_DROP: _ClassVar[EventType]
    EVENT_TYPE_STATUS: _ClassVar[EventType]
    EVENT_TYPE_RESTART: _ClassVar[EventType]
EVENT_TYPE_UNSPECIFIED: EventType
EVENT_TYPE_START: EventType
EVENT_TYPE_CALL: EventType
EVENT_TYPE_RETURN: EventType
EVENT_TYPE_YIELD: EventType
EVENT_TYPE_RESUME: EventType
EVENT_TYPE_SLEEP: EventType
EVENT_TYPE_TIME_NOW: EventType
EVENT_TYPE_RAND_INT: EventType
EVENT_TYPE_FINISH: EventType
EVENT_TYPE_SIGNAL: EventType
EVENT_TYPE_WAKE: EventType
EVENT_TYPE_WAIT: EventType
EVENT_TYPE_CANCEL: EventType
EVENT_TYPE_DROP: EventType
EVENT_TYPE_STATUS: EventType
EVENT_TYPE_RESTART: EventType

class Event(_message.Message):
    __slots__ = ("version", "time", "type", "start_event", "call_event", "return_event", "yield_event", "resume_event", "sleep_event", "time_now_event", "rand_int_event", "finish_event", "signal_event", "wake_event", "wait_event", "cancel_event", "drop_event", "status_event", "restart_event")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    START_EVENT_FIELD_NUMBER: _ClassVar[int]
    CALL_EVENT_FIELD_NUMBER: _ClassVar[int]
    RETURN_EVENT_FIELD_NUMBER: _ClassVar[int]
    YIELD_EVENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_EVENT_FIELD_NUMBER: _ClassVar[int]
    SLEEP_EVENT_FIELD_NUMBER: _ClassVar[int]
    TIME_NOW_EVENT_FIELD_NUMBER: _ClassVar[int]
    RAND_INT_EVENT_FIELD_NUMBER: _ClassVar[int]
    FINISH_EVENT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_EVENT_FIELD_NUMBER: _ClassVar[int]
    WAKE_EVENT_FIELD_NUMBER: _ClassVar[int]
    WAIT_EVENT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_EVENT_FIELD_NUMBER: _ClassVar[int]
    DROP_EVENT_FIELD_NUMBER: _ClassVar[int]
    STATUS_EVENT_FIELD_NUMBER: _ClassVar[int]
    RESTART_EVENT_FIELD_NUMBER: _ClassVar[int]
    version: int
    time: _timestamp_pb2.Timestamp
    type: EventType
    start_event: StartEvent
    call_event: CallEvent
    return_event: ReturnEvent
    yield_event: YieldEvent
    resume_event: ResumeEvent
    sleep_event: SleepEvent
    time_now_event: TimeNowEvent
    rand_int_event: RandIntEvent
    finish_event: FinishEvent
    signal_event: SignalEvent
    wake_event: WakeEvent
    wait_event: WaitEvent
    cancel_event: CancelEvent
    drop_event: DropEvent
    status_event: StatusEvent
    restart_event: RestartEvent
    def __init__(self, version: _Optional[int] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., type: _Optional[_Union[EventType, str]] = ..., start_event: _Optional[_Union[StartEvent, _Mapping]] = ..., call_event: _Optional[_Union[CallEvent, _Mapping]] = ..., return_event: _Optional[_Union[ReturnEvent, _Mapping]] = ..., yield_event: _Optional[_Union[YieldEvent, _Mapping]] = ..., resume_event: _Optional[_Union[ResumeEvent, _Mapping]] = ..., sleep_event: _Optional[_Union[SleepEvent, _Mapping]] = ..., time_now_event: _Optional[_Union[TimeNowEvent, _Mapping]] = ..., rand_int_event: _Optional[_Union[RandIntEvent, _Mapping]] = ..., finish_event: _Optional[_Union[FinishEvent, _Mapping]] = ..., signal_event: _Optional[_Union[SignalEvent, _Mapping]] = ..., wake_event: _Optional[_Union[WakeEvent, _Mapping]] = ..., wait_event: _Optional[_Union[WaitEvent, _Mapping]] = ..., cancel_event: _Optional[_Union[CancelEvent, _Mapping]] = ..., drop_event: _Optional[_Union[DropEvent, _Mapping]] = ..., status_event: _Optional[_Union[StatusEvent, _Mapping]] = ..., restart_event: _Optional[_Union[RestartEvent, _Mapping]] = ...) -> None: ...

class StartEvent(_message.Message):
    __slots__ = ("script_hash", "input", "language_version", "seed", "labels", "headers")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCRIPT_HASH_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    script_hash: str
    input: _payload_pb2.Payload
    language_version: int
    seed: str
    labels: _containers.ScalarMap[str, str]
    headers: _containers.ScalarMap[str, str]
    def __init__(self, script_hash: _Optional[str] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., language_version: _Optional[int] = ..., seed: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., headers: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CallEvent(_message.Message):
    __slots__ = ("function", "input", "signal_id", "expire_time", "attempt_timeout", "retry_policy", "queue")
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    function: str
    input: _payload_pb2.Payload
    signal_id: str
    expire_time: _timestamp_pb2.Timestamp
    attempt_timeout: _duration_pb2.Duration
    retry_policy: _retry_pb2.RetryPolicy
    queue: str
    def __init__(self, function: _Optional[str] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., signal_id: _Optional[str] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., attempt_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., retry_policy: _Optional[_Union[_retry_pb2.RetryPolicy, _Mapping]] = ..., queue: _Optional[str] = ...) -> None: ...

class ReturnEvent(_message.Message):
    __slots__ = ("output", "failure", "attempts", "worker_id", "call_version", "delivery")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    attempts: int
    worker_id: str
    call_version: int
    delivery: str
    def __init__(self, output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., attempts: _Optional[int] = ..., worker_id: _Optional[str] = ..., call_version: _Optional[int] = ..., delivery: _Optional[str] = ...) -> None: ...

class YieldEvent(_message.Message):
    __slots__ = ("signal_id", "expire_time", "call_version", "delivery", "worker_id")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CALL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    expire_time: _timestamp_pb2.Timestamp
    call_version: int
    delivery: str
    worker_id: str
    def __init__(self, signal_id: _Optional[str] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., call_version: _Optional[int] = ..., delivery: _Optional[str] = ..., worker_id: _Optional[str] = ...) -> None: ...

class ResumeEvent(_message.Message):
    __slots__ = ("signal_id", "output", "failure", "call_version")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    CALL_VERSION_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    call_version: int
    def __init__(self, signal_id: _Optional[str] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., call_version: _Optional[int] = ...) -> None: ...

class SleepEvent(_message.Message):
    __slots__ = ("wake_time", "explicit_wake")
    WAKE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPLICIT_WAKE_FIELD_NUMBER: _ClassVar[int]
    wake_time: _timestamp_pb2.Timestamp
    explicit_wake: bool
    def __init__(self, wake_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., explicit_wake: bool = ...) -> None: ...

class TimeNowEvent(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: _timestamp_pb2.Timestamp
    def __init__(self, value: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RandIntEvent(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class FinishEvent(_message.Message):
    __slots__ = ("output", "failure")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    def __init__(self, output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ...) -> None: ...

class SignalEvent(_message.Message):
    __slots__ = ("signal_id", "output", "failure", "name", "request_id")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    name: str
    request_id: str
    def __init__(self, signal_id: _Optional[str] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class WakeEvent(_message.Message):
    __slots__ = ("sleep_version",)
    SLEEP_VERSION_FIELD_NUMBER: _ClassVar[int]
    sleep_version: int
    def __init__(self, sleep_version: _Optional[int] = ...) -> None: ...

class WaitEvent(_message.Message):
    __slots__ = ("name", "expire_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CancelEvent(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class DropEvent(_message.Message):
    __slots__ = ("dropped_versions",)
    DROPPED_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    dropped_versions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, dropped_versions: _Optional[_Iterable[int]] = ...) -> None: ...

class StatusEvent(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _payload_pb2.Payload
    def __init__(self, status: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class RestartEvent(_message.Message):
    __slots__ = ("input",)
    INPUT_FIELD_NUMBER: _ClassVar[int]
    input: _payload_pb2.Payload
    def __init__(self, input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...
