from google.protobuf import timestamp_pb2 as _timestamp_pb2
from starflow.v1 import failure_pb2 as _failure_pb2
from starflow.v1 import payload_pb2 as _payload_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

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

class Event(_message.Message):
    __slots__ = ("version", "time", "type", "start_event", "call_event", "return_event", "yield_event", "resume_event", "sleep_event", "time_now_event", "rand_int_event", "finish_event", "signal_event", "wake_event")
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
    def __init__(self, version: _Optional[int] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., type: _Optional[_Union[EventType, str]] = ..., start_event: _Optional[_Union[StartEvent, _Mapping]] = ..., call_event: _Optional[_Union[CallEvent, _Mapping]] = ..., return_event: _Optional[_Union[ReturnEvent, _Mapping]] = ..., yield_event: _Optional[_Union[YieldEvent, _Mapping]] = ..., resume_event: _Optional[_Union[ResumeEvent, _Mapping]] = ..., sleep_event: _Optional[_Union[SleepEvent, _Mapping]] = ..., time_now_event: _Optional[_Union[TimeNowEvent, _Mapping]] = ..., rand_int_event: _Optional[_Union[RandIntEvent, _Mapping]] = ..., finish_event: _Optional[_Union[FinishEvent, _Mapping]] = ..., signal_event: _Optional[_Union[SignalEvent, _Mapping]] = ..., wake_event: _Optional[_Union[WakeEvent, _Mapping]] = ...) -> None: ...

class StartEvent(_message.Message):
    __slots__ = ("script_hash", "input", "language_version")
    SCRIPT_HASH_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    script_hash: str
    input: _payload_pb2.Payload
    language_version: int
    def __init__(self, script_hash: _Optional[str] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., language_version: _Optional[int] = ...) -> None: ...

class CallEvent(_message.Message):
    __slots__ = ("function", "input", "signal_id")
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    function: str
    input: _payload_pb2.Payload
    signal_id: str
    def __init__(self, function: _Optional[str] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., signal_id: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("wake_time",)
    WAKE_TIME_FIELD_NUMBER: _ClassVar[int]
    wake_time: _timestamp_pb2.Timestamp
    def __init__(self, wake_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("signal_id", "output", "failure")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    def __init__(self, signal_id: _Optional[str] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ...) -> None: ...

class WakeEvent(_message.Message):
    __slots__ = ("sleep_version",)
    SLEEP_VERSION_FIELD_NUMBER: _ClassVar[int]
    sleep_version: int
    def __init__(self, sleep_version: _Optional[int] = ...) -> None: ...
