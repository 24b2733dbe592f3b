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

class CompletionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPLETION_STATUS_UNSPECIFIED: _ClassVar[CompletionStatus]
    COMPLETION_STATUS_APPLIED: _ClassVar[CompletionStatus]
    COMPLETION_STATUS_IGNORED: _ClassVar[CompletionStatus]
    COMPLETION_STATUS_REJECTED: _ClassVar[CompletionStatus]

class TaskAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_ACTION_UNSPECIFIED: _ClassVar[TaskAction]
    TASK_ACTION_CANCEL: _ClassVar[TaskAction]
    TASK_ACTION_ABANDON: _ClassVar[TaskAction]

class WorkerConnection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_CONNECTION_UNSPECIFIED: _ClassVar[WorkerConnection]
    WORKER_CONNECTION_NONE: _ClassVar[WorkerConnection]
    WORKER_CONNECTION_POLL: _ClassVar[WorkerConnection]
    WORKER_CONNECTION_STREAM: _ClassVar[WorkerConnection]
COMPLETION_STATUS_UNSPECIFIED: CompletionStatus
COMPLETION_STATUS_APPLIED: CompletionStatus
COMPLETION_STATUS_IGNORED: CompletionStatus
COMPLETION_STATUS_REJECTED: CompletionStatus
TASK_ACTION_UNSPECIFIED: TaskAction
TASK_ACTION_CANCEL: TaskAction
TASK_ACTION_ABANDON: TaskAction
WORKER_CONNECTION_UNSPECIFIED: WorkerConnection
WORKER_CONNECTION_NONE: WorkerConnection
WORKER_CONNECTION_POLL: WorkerConnection
WORKER_CONNECTION_STREAM: WorkerConnection

class WorkerInfo(_message.Message):
    __slots__ = ("worker_id", "sdk", "build_id", "labels", "max_concurrency")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    sdk: str
    build_id: str
    labels: _containers.ScalarMap[str, str]
    max_concurrency: int
    def __init__(self, worker_id: _Optional[str] = ..., sdk: _Optional[str] = ..., build_id: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., max_concurrency: _Optional[int] = ...) -> None: ...

class FunctionSpec(_message.Message):
    __slots__ = ("name", "description", "retry_policy", "attempt_timeout", "call_timeout", "input_schema", "output_schema", "queue")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CALL_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    retry_policy: _retry_pb2.RetryPolicy
    attempt_timeout: _duration_pb2.Duration
    call_timeout: _duration_pb2.Duration
    input_schema: str
    output_schema: str
    queue: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., retry_policy: _Optional[_Union[_retry_pb2.RetryPolicy, _Mapping]] = ..., attempt_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., call_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., input_schema: _Optional[str] = ..., output_schema: _Optional[str] = ..., queue: _Optional[str] = ...) -> None: ...

class RegisterFunctionRequest(_message.Message):
    __slots__ = ("namespace", "worker", "functions")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    worker: WorkerInfo
    functions: _containers.RepeatedCompositeFieldContainer[FunctionSpec]
    def __init__(self, namespace: _Optional[str] = ..., worker: _Optional[_Union[WorkerInfo, _Mapping]] = ..., functions: _Optional[_Iterable[_Union[FunctionSpec, _Mapping]]] = ...) -> None: ...

class RegisterFunctionResponse(_message.Message):
    __slots__ = ("heartbeat_interval", "lease", "replaced_functions")
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    heartbeat_interval: _duration_pb2.Duration
    lease: _duration_pb2.Duration
    replaced_functions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, heartbeat_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., lease: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., replaced_functions: _Optional[_Iterable[str]] = ...) -> None: ...

class PollRequest(_message.Message):
    __slots__ = ("namespace", "worker_id", "poll_id", "functions", "max_tasks", "wait")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    POLL_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_TASKS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    worker_id: str
    poll_id: str
    functions: _containers.RepeatedScalarFieldContainer[str]
    max_tasks: int
    wait: _duration_pb2.Duration
    def __init__(self, namespace: _Optional[str] = ..., worker_id: _Optional[str] = ..., poll_id: _Optional[str] = ..., functions: _Optional[_Iterable[str]] = ..., max_tasks: _Optional[int] = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PollResponse(_message.Message):
    __slots__ = ("tasks", "draining", "drained")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    draining: bool
    drained: bool
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., draining: bool = ..., drained: bool = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("task_id", "task_token", "run_id", "call_version", "function", "input", "attempt", "lease", "attempt_timeout", "signal_id", "last_progress", "last_failure", "call_time", "headers")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_VERSION_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    CALL_TIME_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    task_token: str
    run_id: str
    call_version: int
    function: str
    input: _payload_pb2.Payload
    attempt: int
    lease: _duration_pb2.Duration
    attempt_timeout: _duration_pb2.Duration
    signal_id: str
    last_progress: _payload_pb2.Payload
    last_failure: _failure_pb2.Failure
    call_time: _timestamp_pb2.Timestamp
    headers: _containers.ScalarMap[str, str]
    def __init__(self, task_id: _Optional[str] = ..., task_token: _Optional[str] = ..., run_id: _Optional[str] = ..., call_version: _Optional[int] = ..., function: _Optional[str] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., attempt: _Optional[int] = ..., lease: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., attempt_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., signal_id: _Optional[str] = ..., last_progress: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., last_failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., call_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., headers: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Yield(_message.Message):
    __slots__ = ("timeout",)
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    timeout: _duration_pb2.Duration
    def __init__(self, timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class TaskResult(_message.Message):
    __slots__ = ("task_token", "output", "failure", "wait_for_signal", "release")
    TASK_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    task_token: str
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    wait_for_signal: Yield
    release: Release
    def __init__(self, task_token: _Optional[str] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., wait_for_signal: _Optional[_Union[Yield, _Mapping]] = ..., release: _Optional[_Union[Release, _Mapping]] = ...) -> None: ...

class CompleteTasksRequest(_message.Message):
    __slots__ = ("namespace", "worker_id", "results")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    worker_id: str
    results: _containers.RepeatedCompositeFieldContainer[TaskResult]
    def __init__(self, namespace: _Optional[str] = ..., worker_id: _Optional[str] = ..., results: _Optional[_Iterable[_Union[TaskResult, _Mapping]]] = ...) -> None: ...

class Completion(_message.Message):
    __slots__ = ("task_token", "status", "rejection")
    TASK_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    task_token: str
    status: CompletionStatus
    rejection: Rejection
    def __init__(self, task_token: _Optional[str] = ..., status: _Optional[_Union[CompletionStatus, str]] = ..., rejection: _Optional[_Union[Rejection, _Mapping]] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("code", "reason", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class CompleteTasksResponse(_message.Message):
    __slots__ = ("completions",)
    COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    completions: _containers.RepeatedCompositeFieldContainer[Completion]
    def __init__(self, completions: _Optional[_Iterable[_Union[Completion, _Mapping]]] = ...) -> None: ...

class TaskHeartbeat(_message.Message):
    __slots__ = ("task_token", "progress")
    TASK_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    task_token: str
    progress: _payload_pb2.Payload
    def __init__(self, task_token: _Optional[str] = ..., progress: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("namespace", "worker_id", "tasks", "wait")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    worker_id: str
    tasks: _containers.RepeatedCompositeFieldContainer[TaskHeartbeat]
    wait: _duration_pb2.Duration
    def __init__(self, namespace: _Optional[str] = ..., worker_id: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[TaskHeartbeat, _Mapping]]] = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TaskDirective(_message.Message):
    __slots__ = ("task_token", "action", "reason")
    TASK_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    task_token: str
    action: TaskAction
    reason: str
    def __init__(self, task_token: _Optional[str] = ..., action: _Optional[_Union[TaskAction, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("lease", "directives", "draining", "drained")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVES_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    lease: _duration_pb2.Duration
    directives: _containers.RepeatedCompositeFieldContainer[TaskDirective]
    draining: bool
    drained: bool
    def __init__(self, lease: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., directives: _Optional[_Iterable[_Union[TaskDirective, _Mapping]]] = ..., draining: bool = ..., drained: bool = ...) -> None: ...

class DrainWorkerRequest(_message.Message):
    __slots__ = ("namespace", "worker_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    worker_id: str
    def __init__(self, namespace: _Optional[str] = ..., worker_id: _Optional[str] = ...) -> None: ...

class DrainWorkerResponse(_message.Message):
    __slots__ = ("held_tasks",)
    HELD_TASKS_FIELD_NUMBER: _ClassVar[int]
    held_tasks: int
    def __init__(self, held_tasks: _Optional[int] = ...) -> None: ...

class WorkStreamRequest(_message.Message):
    __slots__ = ("hello", "sequence", "results", "tasks", "credit", "drain")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    hello: RegisterFunctionRequest
    sequence: int
    results: _containers.RepeatedCompositeFieldContainer[TaskResult]
    tasks: _containers.RepeatedCompositeFieldContainer[TaskHeartbeat]
    credit: int
    drain: bool
    def __init__(self, hello: _Optional[_Union[RegisterFunctionRequest, _Mapping]] = ..., sequence: _Optional[int] = ..., results: _Optional[_Iterable[_Union[TaskResult, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[TaskHeartbeat, _Mapping]]] = ..., credit: _Optional[int] = ..., drain: bool = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("sequence", "exceptions", "error")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    exceptions: _containers.RepeatedCompositeFieldContainer[Completion]
    error: Rejection
    def __init__(self, sequence: _Optional[int] = ..., exceptions: _Optional[_Iterable[_Union[Completion, _Mapping]]] = ..., error: _Optional[_Union[Rejection, _Mapping]] = ...) -> None: ...

class WorkStreamResponse(_message.Message):
    __slots__ = ("welcome", "acknowledgements", "tasks", "directives", "draining", "drained")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENTS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVES_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    welcome: RegisterFunctionResponse
    acknowledgements: _containers.RepeatedCompositeFieldContainer[Acknowledgement]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    directives: _containers.RepeatedCompositeFieldContainer[TaskDirective]
    draining: bool
    drained: bool
    def __init__(self, welcome: _Optional[_Union[RegisterFunctionResponse, _Mapping]] = ..., acknowledgements: _Optional[_Iterable[_Union[Acknowledgement, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., directives: _Optional[_Iterable[_Union[TaskDirective, _Mapping]]] = ..., draining: bool = ..., drained: bool = ...) -> None: ...

class ListFunctionsRequest(_message.Message):
    __slots__ = ("namespace", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class FunctionStatus(_message.Message):
    __slots__ = ("spec", "worker_ids", "worker_count", "queued_calls", "leased_calls", "oldest_call_time", "registered")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    WORKER_IDS_FIELD_NUMBER: _ClassVar[int]
    WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_CALLS_FIELD_NUMBER: _ClassVar[int]
    LEASED_CALLS_FIELD_NUMBER: _ClassVar[int]
    OLDEST_CALL_TIME_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    spec: FunctionSpec
    worker_ids: _containers.RepeatedScalarFieldContainer[str]
    worker_count: int
    queued_calls: int
    leased_calls: int
    oldest_call_time: _timestamp_pb2.Timestamp
    registered: bool
    def __init__(self, spec: _Optional[_Union[FunctionSpec, _Mapping]] = ..., worker_ids: _Optional[_Iterable[str]] = ..., worker_count: _Optional[int] = ..., queued_calls: _Optional[int] = ..., leased_calls: _Optional[int] = ..., oldest_call_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., registered: bool = ...) -> None: ...

class ListFunctionsResponse(_message.Message):
    __slots__ = ("functions", "next_page_token")
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    functions: _containers.RepeatedCompositeFieldContainer[FunctionStatus]
    next_page_token: str
    def __init__(self, functions: _Optional[_Iterable[_Union[FunctionStatus, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ("namespace", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("worker", "functions", "held_tasks", "last_seen_time", "connection", "live", "draining")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    HELD_TASKS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    worker: WorkerInfo
    functions: _containers.RepeatedScalarFieldContainer[str]
    held_tasks: int
    last_seen_time: _timestamp_pb2.Timestamp
    connection: WorkerConnection
    live: bool
    draining: bool
    def __init__(self, worker: _Optional[_Union[WorkerInfo, _Mapping]] = ..., functions: _Optional[_Iterable[str]] = ..., held_tasks: _Optional[int] = ..., last_seen_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., connection: _Optional[_Union[WorkerConnection, str]] = ..., live: bool = ..., draining: bool = ...) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers", "next_page_token")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    next_page_token: str
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
