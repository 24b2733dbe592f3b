from google.protobuf import duration_pb2 as _duration_pb2
from starflow.v1 import payload_pb2 as _payload_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FailureKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_KIND_UNSPECIFIED: _ClassVar[FailureKind]
    FAILURE_KIND_APPLICATION: _ClassVar[FailureKind]
    FAILURE_KIND_TIMEOUT: _ClassVar[FailureKind]
    FAILURE_KIND_CANCELLED: _ClassVar[FailureKind]
    FAILURE_KIND_WORKER_LOST: _ClassVar[FailureKind]
    FAILURE_KIND_SCRIPT: _ClassVar[FailureKind]
    FAILURE_KIND_INTERNAL: _ClassVar[FailureKind]

class Retryability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRYABILITY_UNSPECIFIED: _ClassVar[Retryability]
    RETRYABILITY_RETRYABLE: _ClassVar[Retryability]
    RETRYABILITY_PERMANENT: _ClassVar[Retryability]

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_FIELD_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_PAYLOAD_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_SCRIPT_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_SCRIPT_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_ID_CONFLICT: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_FINISHED: _ClassVar[ErrorReason]
    ERROR_REASON_SIGNAL_NOT_EXPECTED: _ClassVar[ErrorReason]
    ERROR_REASON_SIGNAL_CONFLICT: _ClassVar[ErrorReason]
    ERROR_REASON_VERSION_OUT_OF_RANGE: _ClassVar[ErrorReason]
    ERROR_REASON_WORKER_NOT_REGISTERED: _ClassVar[ErrorReason]
    ERROR_REASON_RATE_LIMITED: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_SERVER_DRAINING: _ClassVar[ErrorReason]
    ERROR_REASON_FUNCTION_UNKNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_SIGNALS_FULL: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_DELETED: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_NOT_FINISHED: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_MOVING: _ClassVar[ErrorReason]
FAILURE_KIND_UNSPECIFIED: FailureKind
FAILURE_KIND_APPLICATION: FailureKind
FAILURE_KIND_TIMEOUT: FailureKind
FAILURE_KIND_CANCELLED: FailureKind
FAILURE_KIND_WORKER_LOST: FailureKind
FAILURE_KIND_SCRIPT: FailureKind
FAILURE_KIND_INTERNAL: FailureKind
RETRYABILITY_UNSPECIFIED: Retryability
RETRYABILITY_RETRYABLE: Retryability
RETRYABILITY_PERMANENT: Retryability
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_FIELD_INVALID: ErrorReason
ERROR_REASON_PAYLOAD_INVALID: ErrorReason
ERROR_REASON_TOO_LARGE: ErrorReason
ERROR_REASON_SCRIPT_INVALID: ErrorReason
ERROR_REASON_RUN_NOT_FOUND: ErrorReason
ERROR_REASON_SCRIPT_NOT_FOUND: ErrorReason
ERROR_REASON_RUN_ID_CONFLICT: ErrorReason
ERROR_REASON_RUN_FINISHED: ErrorReason
ERROR_REASON_SIGNAL_NOT_EXPECTED: ErrorReason
ERROR_REASON_SIGNAL_CONFLICT: ErrorReason
ERROR_REASON_VERSION_OUT_OF_RANGE: ErrorReason
ERROR_REASON_WORKER_NOT_REGISTERED: ErrorReason
ERROR_REASON_RATE_LIMITED: ErrorReason
ERROR_REASON_STORE_UNAVAILABLE: ErrorReason
ERROR_REASON_SERVER_DRAINING: ErrorReason
ERROR_REASON_FUNCTION_UNKNOWN: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_SIGNALS_FULL: ErrorReason
ERROR_REASON_RUN_DELETED: ErrorReason
ERROR_REASON_RUN_NOT_FINISHED: ErrorReason
ERROR_REASON_RUN_MOVING: ErrorReason

class Failure(_message.Message):
    __slots__ = ("code", "message", "kind", "retryability", "retry_delay", "details", "stack_trace")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RETRYABILITY_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    STACK_TRACE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    kind: FailureKind
    retryability: Retryability
    retry_delay: _duration_pb2.Duration
    details: _payload_pb2.Payload
    stack_trace: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., kind: _Optional[_Union[FailureKind, str]] = ..., retryability: _Optional[_Union[Retryability, str]] = ..., retry_delay: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., details: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., stack_trace: _Optional[str] = ...) -> None: ...
