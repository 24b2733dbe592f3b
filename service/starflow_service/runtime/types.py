"""What goes in and out of the runtime: requests, tasks, reports, in plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum, IntEnum

# Limits are the store's: what is said of them here is said to it.
from starflow_backends.store import QueueLimits as QueueLimits
from starflow_backends.store import QueueRate as QueueRate
from starflow_backends.store import QueueState
from starflow_service.engine.events import Failure, Result, RetryPolicy
from starflow_service.engine.frozen import frozen
from starflow_service.starlark.bundle import Source
from starflow_service.starlark.diagnostics import Diagnostic

NS = 1_000_000_000  # nanoseconds in a second


class RunState(IntEnum):
    """Where a run stands; the numbers are those of ``starflow.v1.RunState``."""

    PENDING = 1
    RUNNING = 2
    SLEEPING = 3
    YIELDED = 4
    SUCCEEDED = 5
    FAILED = 6
    CANCELLED = 7


FINAL_STATES = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


class PauseReason(IntEnum):
    """Why the service parked a run; numbers as in ``starflow.v1.PauseReason``."""

    REPLAY_MISMATCH = 1
    LIMIT = 2
    LOG_CORRUPT = 3
    INTERNAL = 4
    CRASH_LOOP = 5
    LOST_HISTORY = 6


class ConflictPolicy(Enum):
    """What to do when a run id is taken."""

    ATTACH_SAME = "attach_same"
    ATTACH_ANY = "attach_any"
    FAIL = "fail"


class Until(Enum):
    """What a waiting call waits for."""

    FINISHED_OR_YIELDED = "finished_or_yielded"
    FINISHED = "finished"


@frozen
class StartRequest:
    """A run to be started.  Exactly one of `script` and `script_hash` is set."""

    namespace: str
    # Empty: the runtime chooses one.
    run_id: str
    script: Source
    script_hash: str
    # JSON text.
    input: str
    policy: ConflictPolicy = ConflictPolicy.ATTACH_SAME
    allow_unregistered: bool = False
    # What the run is found by.
    labels: Mapping[str, str] = field(default_factory=dict)
    # The context that each of its tasks carries.
    headers: Mapping[str, str] = field(default_factory=dict)


class CallState(IntEnum):
    """What a call waits for; numbers as in ``starflow.v1.CallState``."""

    NO_WORKER = 1
    WORKERS_BUSY = 2
    QUEUE_LIMIT = 3
    LEASED = 4
    BACKING_OFF = 5
    STORING = 6
    RECOVERING = 7


@frozen
class CallWait:
    """A call under way."""

    function: str
    call_version: int
    # The current or next attempt, from 1.
    attempt: int
    # Empty while no worker holds it.
    worker_id: str = ""
    attempt_start_ns: int | None = None
    next_attempt_ns: int | None = None
    last_failure: Failure | None = None
    # When the call as a whole has taken too long; None: never.
    expire_ns: int | None = None
    state: CallState = CallState.RECOVERING
    # The same for people.
    state_message: str = ""
    # The queue with limits that it belongs to, if any.
    queue: str = ""


@frozen
class SleepWait:
    """A durable sleep."""

    wake_ns: int


@frozen
class SignalWait:
    """A call that yielded, or a script that waits for a name: the rest is empty."""

    expire_ns: int | None
    signal_id: str = ""
    function: str = ""
    yield_version: int = 0
    name: str = ""
    wait_version: int = 0


@frozen
class UnreadSignal:
    """A signal by name that no script has taken yet."""

    name: str
    version: int
    time_ns: int


@frozen
class RunView:
    """A run as it stands."""

    namespace: str
    run_id: str
    state: RunState
    script_hash: str
    version: int
    create_ns: int
    update_ns: int
    finish_ns: int | None
    waits: Sequence[CallWait | SleepWait | SignalWait]
    input: str
    # None while the run goes on.
    result: Result | None
    pause_reason: PauseReason | None = None
    pause_message: str = ""
    # Why somebody asked it to end; None: nobody did.
    cancel_reason: str | None = None
    # JSON text that the script set; None: none.
    status: str | None = None
    # The oldest ones.
    unread: Sequence[UnreadSignal] = ()
    unread_count: int = 0
    restarts: int = 0
    # The version of the START that the script began with last.
    segment_version: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)


class Disposition(IntEnum):
    """What became of a signal; numbers as in ``starflow.v1.SignalDisposition``."""

    RESUMED = 1
    KEPT = 2
    DUPLICATE = 3


@frozen
class FunctionSpec:
    """A registered function."""

    name: str
    description: str = ""
    # None: a failure is retried only if it says so, then with the default policy.
    retry: RetryPolicy | None = None
    # None: the service's default.
    attempt_timeout_ns: int | None = None
    input_schema: str = ""
    output_schema: str = ""
    # The queue of its calls; empty: the first part of its name.
    queue: str = ""
    # The longest a call may take, with all its attempts; None: as the script says.
    call_timeout_ns: int | None = None


@frozen
class WorkerInfo:
    """One worker process."""

    worker_id: str
    sdk: str = ""
    build_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    max_concurrency: int = 0


class Connection(IntEnum):
    """How a worker gets its tasks; numbers as in ``starflow.v1.WorkerConnection``."""

    NONE = 1
    POLL = 2
    STREAM = 3


@frozen
class QueueView:
    """A queue with limits as it stands."""

    name: str
    # As the store has it.
    state: QueueState
    # What waits here.
    waiting: int = 0
    oldest_ns: int | None = None


@frozen
class PollRequest:
    """A worker asks for tasks."""

    namespace: str
    worker_id: str
    poll_id: str
    # Empty: all that the worker registered.
    functions: Sequence[str]
    max_tasks: int
    wait_s: float
    # Tasks together stay under this many bytes of input, one task excepted.
    max_bytes: int = 3 << 20


@frozen
class Task:
    """One attempt of one call, leased to one worker."""

    task_id: str
    token: str
    run_id: str
    call_version: int
    function: str
    input: str
    attempt: int
    lease_s: float
    attempt_timeout_ns: int
    signal_id: str
    call_ns: int
    last_progress: str | None
    last_failure: Failure | None
    headers: Mapping[str, str]


@frozen
class YieldResult:
    """The function waits for a signal."""

    timeout_ns: int | None


@frozen
class ReleaseResult:
    """The function was not executed; the attempt does not count."""

    reason: str


@frozen
class TaskReport:
    """How a task ended: payload text, a failure, a yield, or a release."""

    token: str
    outcome: str | Failure | YieldResult | ReleaseResult


class CompletionStatus(IntEnum):
    """What became of a report; numbers as in ``starflow.v1.CompletionStatus``."""

    APPLIED = 1
    IGNORED = 2
    REJECTED = 3


@frozen
class Completion:
    """The answer to one report; `error` is set when it was rejected."""

    token: str
    status: CompletionStatus
    error: Exception | None = None


@frozen
class TaskBeat:
    """A held task, and its progress as JSON text if there is news."""

    token: str
    progress: str | None


class TaskAction(IntEnum):
    """What to do with a held task; numbers as in ``starflow.v1.TaskAction``."""

    # Nobody waits for it any more.
    CANCEL = 1
    # It is no longer this worker's.
    ABANDON = 2


@frozen
class Directive:
    """What a worker is told about a task that it holds, or held."""

    token: str
    action: TaskAction
    reason: str


@frozen
class ScriptReport:
    """What a look at a script finds, without running it."""

    # Whether Run would take it.
    valid: bool
    diagnostics: Sequence[Diagnostic]
    script_hash: str
    # The dotted functions that it names.
    functions: Sequence[str]
