from starflow.v1 import worker_service_pb2 as _worker_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LinkOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_OUTCOME_UNSPECIFIED: _ClassVar[LinkOutcome]
    LINK_OUTCOME_OK: _ClassVar[LinkOutcome]
    LINK_OUTCOME_REFUSED: _ClassVar[LinkOutcome]
    LINK_OUTCOME_NOT_OWNER: _ClassVar[LinkOutcome]
LINK_OUTCOME_UNSPECIFIED: LinkOutcome
LINK_OUTCOME_OK: LinkOutcome
LINK_OUTCOME_REFUSED: LinkOutcome
LINK_OUTCOME_NOT_OWNER: LinkOutcome

class LinkRequest(_message.Message):
    __slots__ = ("frame",)
    FRAME_FIELD_NUMBER: _ClassVar[int]
    frame: Frame
    def __init__(self, frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class LinkResponse(_message.Message):
    __slots__ = ("frame",)
    FRAME_FIELD_NUMBER: _ClassVar[int]
    frame: Frame
    def __init__(self, frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("answers", "calls", "cancels", "served", "wanted", "unwanted", "offered", "registered", "doubted", "directives")
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    CANCELS_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    UNWANTED_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    DOUBTED_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVES_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[LinkAnswer]
    calls: _containers.RepeatedCompositeFieldContainer[LinkCall]
    cancels: _containers.RepeatedScalarFieldContainer[int]
    served: Served
    wanted: _containers.RepeatedScalarFieldContainer[str]
    unwanted: _containers.RepeatedScalarFieldContainer[str]
    offered: _containers.RepeatedScalarFieldContainer[str]
    registered: _containers.RepeatedScalarFieldContainer[str]
    doubted: _containers.RepeatedScalarFieldContainer[str]
    directives: _containers.RepeatedCompositeFieldContainer[WorkerDirective]
    def __init__(self, answers: _Optional[_Iterable[_Union[LinkAnswer, _Mapping]]] = ..., calls: _Optional[_Iterable[_Union[LinkCall, _Mapping]]] = ..., cancels: _Optional[_Iterable[int]] = ..., served: _Optional[_Union[Served, _Mapping]] = ..., wanted: _Optional[_Iterable[str]] = ..., unwanted: _Optional[_Iterable[str]] = ..., offered: _Optional[_Iterable[str]] = ..., registered: _Optional[_Iterable[str]] = ..., doubted: _Optional[_Iterable[str]] = ..., directives: _Optional[_Iterable[_Union[WorkerDirective, _Mapping]]] = ...) -> None: ...

class LinkCall(_message.Message):
    __slots__ = ("id", "method", "request", "remaining_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REMAINING_MS_FIELD_NUMBER: _ClassVar[int]
    id: int
    method: str
    request: bytes
    remaining_ms: int
    def __init__(self, id: _Optional[int] = ..., method: _Optional[str] = ..., request: _Optional[bytes] = ..., remaining_ms: _Optional[int] = ...) -> None: ...

class LinkAnswer(_message.Message):
    __slots__ = ("id", "outcome", "data")
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    id: int
    outcome: LinkOutcome
    data: bytes
    def __init__(self, id: _Optional[int] = ..., outcome: _Optional[_Union[LinkOutcome, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Served(_message.Message):
    __slots__ = ("partitions", "leaving")
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    partitions: _containers.RepeatedScalarFieldContainer[int]
    leaving: bool
    def __init__(self, partitions: _Optional[_Iterable[int]] = ..., leaving: bool = ...) -> None: ...

class WorkerDirective(_message.Message):
    __slots__ = ("namespace", "worker_id", "directive")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    worker_id: str
    directive: _worker_service_pb2.TaskDirective
    def __init__(self, namespace: _Optional[str] = ..., worker_id: _Optional[str] = ..., directive: _Optional[_Union[_worker_service_pb2.TaskDirective, _Mapping]] = ...) -> None: ...

class TakeRequest(_message.Message):
    __slots__ = ("poll", "waited", "bytes_max")
    POLL_FIELD_NUMBER: _ClassVar[int]
    WAITED_FIELD_NUMBER: _ClassVar[int]
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    poll: _worker_service_pb2.PollRequest
    waited: bool
    bytes_max: int
    def __init__(self, poll: _Optional[_Union[_worker_service_pb2.PollRequest, _Mapping]] = ..., waited: bool = ..., bytes_max: _Optional[int] = ...) -> None: ...

class TakeResponse(_message.Message):
    __slots__ = ("tasks", "silent")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    SILENT_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Task]
    silent: bool
    def __init__(self, tasks: _Optional[_Iterable[_Union[_worker_service_pb2.Task, _Mapping]]] = ..., silent: bool = ...) -> None: ...

class ReadEventsRequest(_message.Message):
    __slots__ = ("namespace", "run_id", "from_version", "limit", "wait_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    from_version: int
    limit: int
    wait_ms: int
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., from_version: _Optional[int] = ..., limit: _Optional[int] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class ReadEventsResponse(_message.Message):
    __slots__ = ("events", "state", "last_version")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_VERSION_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedScalarFieldContainer[bytes]
    state: int
    last_version: int
    def __init__(self, events: _Optional[_Iterable[bytes]] = ..., state: _Optional[int] = ..., last_version: _Optional[int] = ...) -> None: ...
