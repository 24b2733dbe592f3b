from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from starflow.v1 import event_pb2 as _event_pb2
from starflow.v1 import failure_pb2 as _failure_pb2
from starflow.v1 import payload_pb2 as _payload_pb2
from starflow.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunIdConflictPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_ID_CONFLICT_POLICY_UNSPECIFIED: _ClassVar[RunIdConflictPolicy]
    RUN_ID_CONFLICT_POLICY_ATTACH_SAME: _ClassVar[RunIdConflictPolicy]
    RUN_ID_CONFLICT_POLICY_ATTACH_ANY: _ClassVar[RunIdConflictPolicy]
    RUN_ID_CONFLICT_POLICY_FAIL: _ClassVar[RunIdConflictPolicy]

class WaitUntil(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_UNTIL_UNSPECIFIED: _ClassVar[WaitUntil]
    WAIT_UNTIL_FINISHED_OR_YIELDED: _ClassVar[WaitUntil]
    WAIT_UNTIL_FINISHED: _ClassVar[WaitUntil]

class SignalDisposition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNAL_DISPOSITION_UNSPECIFIED: _ClassVar[SignalDisposition]
    SIGNAL_DISPOSITION_RESUMED: _ClassVar[SignalDisposition]
    SIGNAL_DISPOSITION_KEPT: _ClassVar[SignalDisposition]
    SIGNAL_DISPOSITION_DUPLICATE: _ClassVar[SignalDisposition]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_ERROR: _ClassVar[Severity]
    SEVERITY_WARNING: _ClassVar[Severity]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_MEMORY: _ClassVar[Durability]
    DURABILITY_PROCESS: _ClassVar[Durability]
    DURABILITY_DISK: _ClassVar[Durability]
RUN_ID_CONFLICT_POLICY_UNSPECIFIED: RunIdConflictPolicy
RUN_ID_CONFLICT_POLICY_ATTACH_SAME: RunIdConflictPolicy
RUN_ID_CONFLICT_POLICY_ATTACH_ANY: RunIdConflictPolicy
RUN_ID_CONFLICT_POLICY_FAIL: RunIdConflictPolicy
WAIT_UNTIL_UNSPECIFIED: WaitUntil
WAIT_UNTIL_FINISHED_OR_YIELDED: WaitUntil
WAIT_UNTIL_FINISHED: WaitUntil
SIGNAL_DISPOSITION_UNSPECIFIED: SignalDisposition
SIGNAL_DISPOSITION_RESUMED: SignalDisposition
SIGNAL_DISPOSITION_KEPT: SignalDisposition
SIGNAL_DISPOSITION_DUPLICATE: SignalDisposition
SEVERITY_UNSPECIFIED: Severity
SEVERITY_ERROR: Severity
SEVERITY_WARNING: Severity
DURABILITY_UNSPECIFIED: Durability
DURABILITY_MEMORY: Durability
DURABILITY_PROCESS: Durability
DURABILITY_DISK: Durability

class RunRequest(_message.Message):
    __slots__ = ("namespace", "run_id", "script", "script_hash", "bundle", "input", "labels", "conflict_policy", "allow_unregistered", "wait", "wait_until", "headers")
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
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_HASH_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_POLICY_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNREGISTERED_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_UNTIL_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    script: str
    script_hash: str
    bundle: _run_pb2.ScriptBundle
    input: _payload_pb2.Payload
    labels: _containers.ScalarMap[str, str]
    conflict_policy: RunIdConflictPolicy
    allow_unregistered: bool
    wait: _duration_pb2.Duration
    wait_until: WaitUntil
    headers: _containers.ScalarMap[str, str]
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., script: _Optional[str] = ..., script_hash: _Optional[str] = ..., bundle: _Optional[_Union[_run_pb2.ScriptBundle, _Mapping]] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., conflict_policy: _Optional[_Union[RunIdConflictPolicy, str]] = ..., allow_unregistered: bool = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., wait_until: _Optional[_Union[WaitUntil, str]] = ..., headers: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RunResponse(_message.Message):
    __slots__ = ("run", "created")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    created: bool
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., created: bool = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("namespace", "run_id", "view", "wait", "wait_until")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_UNTIL_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    view: _run_pb2.RunView
    wait: _duration_pb2.Duration
    wait_until: WaitUntil
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., view: _Optional[_Union[_run_pb2.RunView, str]] = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., wait_until: _Optional[_Union[WaitUntil, str]] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class RunFilter(_message.Message):
    __slots__ = ("states", "labels", "earliest_create_time", "latest_create_time", "paused", "script_hash", "run_id_prefix")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STATES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EARLIEST_CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LATEST_CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_HASH_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[_run_pb2.RunState]
    labels: _containers.ScalarMap[str, str]
    earliest_create_time: _timestamp_pb2.Timestamp
    latest_create_time: _timestamp_pb2.Timestamp
    paused: bool
    script_hash: str
    run_id_prefix: str
    def __init__(self, states: _Optional[_Iterable[_Union[_run_pb2.RunState, str]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., earliest_create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., latest_create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., paused: bool = ..., script_hash: _Optional[str] = ..., run_id_prefix: _Optional[str] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("namespace", "page_size", "page_token", "filter")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    page_size: int
    page_token: str
    filter: RunFilter
    def __init__(self, namespace: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[_Union[RunFilter, _Mapping]] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[_run_pb2.Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[_run_pb2.Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SignalRequest(_message.Message):
    __slots__ = ("namespace", "run_id", "signal_id", "name", "output", "failure", "request_id", "only_if_waiting")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ONLY_IF_WAITING_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    signal_id: str
    name: str
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    request_id: str
    only_if_waiting: bool
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., signal_id: _Optional[str] = ..., name: _Optional[str] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., request_id: _Optional[str] = ..., only_if_waiting: bool = ...) -> None: ...

class SignalResponse(_message.Message):
    __slots__ = ("disposition", "resume_version")
    DISPOSITION_FIELD_NUMBER: _ClassVar[int]
    RESUME_VERSION_FIELD_NUMBER: _ClassVar[int]
    disposition: SignalDisposition
    resume_version: int
    def __init__(self, disposition: _Optional[_Union[SignalDisposition, str]] = ..., resume_version: _Optional[int] = ...) -> None: ...

class CancelRunRequest(_message.Message):
    __slots__ = ("namespace", "run_id", "reason")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    reason: str
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class TerminateRunRequest(_message.Message):
    __slots__ = ("namespace", "run_id", "reason")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    reason: str
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class TerminateRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class UnpauseRunRequest(_message.Message):
    __slots__ = ("namespace", "run_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class UnpauseRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class DeleteRunRequest(_message.Message):
    __slots__ = ("namespace", "run_id", "allow_missing")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    allow_missing: bool
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., allow_missing: bool = ...) -> None: ...

class DeleteRunResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: bool = ...) -> None: ...

class GetEventsRequest(_message.Message):
    __slots__ = ("namespace", "run_id", "from_version", "limit", "follow", "types", "omit_payloads")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    OMIT_PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    from_version: int
    limit: int
    follow: bool
    types: _containers.RepeatedScalarFieldContainer[_event_pb2.EventType]
    omit_payloads: bool
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., from_version: _Optional[int] = ..., limit: _Optional[int] = ..., follow: bool = ..., types: _Optional[_Iterable[_Union[_event_pb2.EventType, str]]] = ..., omit_payloads: bool = ...) -> None: ...

class GetEventsResponse(_message.Message):
    __slots__ = ("events", "next_version", "state")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    next_version: int
    state: _run_pb2.RunState
    def __init__(self, events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., next_version: _Optional[int] = ..., state: _Optional[_Union[_run_pb2.RunState, str]] = ...) -> None: ...

class Diagnostic(_message.Message):
    __slots__ = ("severity", "code", "message", "line", "column", "hint", "file")
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    severity: Severity
    code: str
    message: str
    line: int
    column: int
    hint: str
    file: str
    def __init__(self, severity: _Optional[_Union[Severity, str]] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., line: _Optional[int] = ..., column: _Optional[int] = ..., hint: _Optional[str] = ..., file: _Optional[str] = ...) -> None: ...

class ValidateScriptRequest(_message.Message):
    __slots__ = ("namespace", "script", "bundle")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    script: str
    bundle: _run_pb2.ScriptBundle
    def __init__(self, namespace: _Optional[str] = ..., script: _Optional[str] = ..., bundle: _Optional[_Union[_run_pb2.ScriptBundle, _Mapping]] = ...) -> None: ...

class ValidateScriptResponse(_message.Message):
    __slots__ = ("valid", "diagnostics", "script_hash", "functions")
    VALID_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_HASH_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    diagnostics: _containers.RepeatedCompositeFieldContainer[Diagnostic]
    script_hash: str
    functions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, valid: bool = ..., diagnostics: _Optional[_Iterable[_Union[Diagnostic, _Mapping]]] = ..., script_hash: _Optional[str] = ..., functions: _Optional[_Iterable[str]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "capabilities", "limits", "durability", "language_version", "store")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    version: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    durability: Durability
    language_version: int
    store: str
    def __init__(self, version: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., language_version: _Optional[int] = ..., store: _Optional[str] = ...) -> None: ...

class ListReplicasRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Replica(_message.Message):
    __slots__ = ("id", "address", "version", "start_time", "lease_left", "partitions", "runs", "answers")
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    LEASE_LEFT_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    id: str
    address: str
    version: str
    start_time: _timestamp_pb2.Timestamp
    lease_left: _duration_pb2.Duration
    partitions: _containers.RepeatedScalarFieldContainer[int]
    runs: int
    answers: bool
    def __init__(self, id: _Optional[str] = ..., address: _Optional[str] = ..., version: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., lease_left: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., partitions: _Optional[_Iterable[int]] = ..., runs: _Optional[int] = ..., answers: bool = ...) -> None: ...

class ListReplicasResponse(_message.Message):
    __slots__ = ("replicas", "partitions", "unowned_partitions")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    UNOWNED_PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    replicas: _containers.RepeatedCompositeFieldContainer[Replica]
    partitions: int
    unowned_partitions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replicas: _Optional[_Iterable[_Union[Replica, _Mapping]]] = ..., partitions: _Optional[int] = ..., unowned_partitions: _Optional[_Iterable[int]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_payload_bytes", "max_script_bytes", "max_events_per_run", "max_wait", "max_poll_tasks", "max_payload_depth", "max_integer_digits", "max_steps", "max_allocated_bytes", "max_open_calls", "max_sleep", "by_name")
    class ByNameEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MAX_PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_SCRIPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_EVENTS_PER_RUN_FIELD_NUMBER: _ClassVar[int]
    MAX_WAIT_FIELD_NUMBER: _ClassVar[int]
    MAX_POLL_TASKS_FIELD_NUMBER: _ClassVar[int]
    MAX_PAYLOAD_DEPTH_FIELD_NUMBER: _ClassVar[int]
    MAX_INTEGER_DIGITS_FIELD_NUMBER: _ClassVar[int]
    MAX_STEPS_FIELD_NUMBER: _ClassVar[int]
    MAX_ALLOCATED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_CALLS_FIELD_NUMBER: _ClassVar[int]
    MAX_SLEEP_FIELD_NUMBER: _ClassVar[int]
    BY_NAME_FIELD_NUMBER: _ClassVar[int]
    max_payload_bytes: int
    max_script_bytes: int
    max_events_per_run: int
    max_wait: _duration_pb2.Duration
    max_poll_tasks: int
    max_payload_depth: int
    max_integer_digits: int
    max_steps: int
    max_allocated_bytes: int
    max_open_calls: int
    max_sleep: _duration_pb2.Duration
    by_name: _containers.ScalarMap[str, int]
    def __init__(self, max_payload_bytes: _Optional[int] = ..., max_script_bytes: _Optional[int] = ..., max_events_per_run: _Optional[int] = ..., max_wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., max_poll_tasks: _Optional[int] = ..., max_payload_depth: _Optional[int] = ..., max_integer_digits: _Optional[int] = ..., max_steps: _Optional[int] = ..., max_allocated_bytes: _Optional[int] = ..., max_open_calls: _Optional[int] = ..., max_sleep: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., by_name: _Optional[_Mapping[str, int]] = ...) -> None: ...
