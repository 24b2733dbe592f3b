"""The rows: what is asked of a worker, and what to do about it if it fails."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starflow.workercheck import (
    rows_failures,
    rows_holding,
    rows_outages,
    rows_values,
)
from starflow.workercheck.scene import Scene

BASIC = "basic"
FULL = "full"
PROFILES = (BASIC, FULL)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is asked of a worker."""

    name: str
    # The shortest profile that has it.
    profile: str
    asks: str
    fix: str
    play: Callable[[Scene], Awaitable[None]]
    # Whether it is about streams only (True), about polls only (False), or about both.
    streams: bool | None = None


ROWS = (
    Row(
        "registers",
        BASIC,
        "registers the functions of the check",
        "call RegisterFunction once, at start, with a worker_id and all functions",
        rows_values.registers,
    ),
    Row(
        "executes",
        BASIC,
        "executes a call and reports its result",
        "Poll, execute, CompleteTasks with the task_token of the task",
        rows_values.executes,
    ),
    Row(
        "sequence",
        BASIC,
        "executes one call after another",
        "poll again after every report, and after every empty answer",
        rows_values.sequence,
    ),
    Row(
        "empty",
        BASIC,
        "takes and returns null and empty values",
        "an unset payload means null; an output has to be set, also if it is null",
        rows_values.empty,
    ),
    Row(
        "integers",
        BASIC,
        "leaves integers of any size as they are",
        "keep the JSON text, or read numbers without fraction as big integers",
        rows_values.integers,
    ),
    Row(
        "floats",
        BASIC,
        "tells 1.0 from 1",
        "keep the JSON text, or write floats with a fraction or an exponent",
        rows_values.floats,
    ),
    Row(
        "unicode",
        BASIC,
        "leaves all text as it is",
        "read and write JSON as UTF-8; escape only what JSON wants to be escaped",
        rows_values.unicode,
    ),
    Row(
        "deep",
        BASIC,
        "takes and returns deeply nested values",
        "allow 100 levels in the JSON reader and writer",
        rows_values.deep,
    ),
    Row(
        "big",
        BASIC,
        "takes and returns nearly 1 MiB",
        "allow messages of 4 MiB, which is gRPC's default",
        rows_values.big,
    ),
    Row(
        "failures",
        BASIC,
        "reports failures with code, message and details",
        "report TaskResult.failure; code, message and details are the function's",
        rows_failures.failures,
    ),
    Row(
        "permanent",
        BASIC,
        "says which failures are for good",
        "set Failure.retryability to RETRYABILITY_PERMANENT",
        rows_failures.permanent,
    ),
    Row(
        "undecided",
        BASIC,
        "leaves other failures to the retry policy",
        "leave Failure.retryability unset unless the function knows",
        rows_failures.undecided,
    ),
    Row(
        "retryable",
        BASIC,
        "says which failures may pass",
        "set Failure.retryability to RETRYABILITY_RETRYABLE; Task.attempt is from 1",
        rows_failures.retryable,
    ),
    Row(
        "yields",
        BASIC,
        "lets a call wait for a signal",
        "report TaskResult.wait_for_signal",
        rows_failures.yields,
    ),
    Row(
        "own",
        BASIC,
        "asks only for the functions that it registered",
        "leave PollRequest.functions empty, or list what was registered",
        rows_failures.own_functions,
    ),
    Row(
        "idles",
        BASIC,
        "waits quietly while there is nothing to do",
        "give polls a `wait` of some seconds",
        rows_holding.idles,
    ),
    Row(
        "backoff",
        BASIC,
        "survives an outage without a storm of requests",
        "on UNAVAILABLE wait before the next attempt, longer each time, up to seconds",
        rows_outages.backoff,
    ),
    Row(
        "restart",
        BASIC,
        "survives that the server is killed and started again",
        "go on after UNAVAILABLE; call RegisterFunction after WORKER_NOT_REGISTERED",
        rows_outages.restart,
    ),
    Row(
        "death",
        BASIC,
        "is followed by a new process when it is killed",
        "keep nothing in files that a second process would trip over",
        rows_outages.death,
    ),
    Row(
        "identity",
        BASIC,
        "has a new worker_id in every process",
        "make the worker_id from something random; host and pid alone come again",
        rows_values.identity,
    ),
    Row(
        "drain",
        BASIC,
        "finishes or releases what it holds on SIGTERM, and exits with 0",
        "stop polling, finish or Release the held tasks, report, exit(0)",
        rows_outages.drain,
    ),
    Row(
        "functions",
        FULL,
        "registers the functions of the long profile, too",
        "add check.large and check.progress",
        rows_values.registers_more,
    ),
    Row(
        "concurrent",
        FULL,
        "executes several tasks at a time",
        "poll with max_tasks = free hands, also while tasks are being executed",
        rows_holding.concurrent,
    ),
    Row(
        "heartbeats",
        FULL,
        "keeps its leases while it is busy",
        "send a Heartbeat with all held tasks every heartbeat_interval",
        rows_holding.heartbeats,
    ),
    Row(
        "held",
        FULL,
        "keeps a heartbeat waiting, so that its death is noticed",
        "give heartbeats a `wait`",
        rows_holding.held_heartbeat,
    ),
    Row(
        "progress",
        FULL,
        "reports progress, and sees that of the attempt before",
        "send TaskHeartbeat.progress; read Task.last_progress",
        rows_failures.progress,
    ),
    Row(
        "abandons",
        FULL,
        "stops what it is told to abandon, and does not report it",
        "read HeartbeatResponse.directives; drop the task, and list it no more",
        rows_holding.abandons,
    ),
    Row(
        "drained",
        FULL,
        "ends as on SIGTERM when somebody drains it at the service",
        "look at `drained` in the answers of Poll and Heartbeat, or of the stream",
        rows_outages.drained,
    ),
    Row(
        "lost-lease",
        FULL,
        "outlives the loss of a lease",
        "when heartbeats fail go on trying; take the task again if it comes again",
        rows_holding.lost_lease,
    ),
    Row(
        "lost-report",
        FULL,
        "sends a report again that was lost",
        "repeat CompleteTasks on UNAVAILABLE until it is answered",
        rows_outages.lost_report,
    ),
    Row(
        "lost-answer",
        FULL,
        "sends a report again whose answer was lost",
        "repeat CompleteTasks on UNAVAILABLE until it is answered",
        rows_outages.lost_answer,
    ),
    Row(
        "lost-poll",
        FULL,
        "gets the tasks of a poll whose answer was lost",
        "repeat a poll that failed at once, with the same poll_id",
        rows_outages.lost_poll,
        streams=False,
    ),
    Row(
        "poll-ids",
        FULL,
        "gives every poll an id of its own",
        "make a new poll_id as soon as a poll was answered",
        rows_outages.poll_ids,
        streams=False,
    ),
    Row(
        "stream",
        FULL,
        "works over a stream where there is one",
        "open WorkStream if GetServerInfo names the capability worker-stream",
        rows_outages.stream,
        streams=True,
    ),
    Row(
        "oversize",
        FULL,
        "turns a result that is too large into a failure",
        "when a result is REJECTED report a failure that says so; the call ends then",
        rows_failures.oversize,
    ),
    Row(
        "once",
        FULL,
        "reports no task twice",
        "forget a task as soon as its report was answered, APPLIED or IGNORED",
        rows_holding.once,
    ),
)


def rows_over(*, streams: bool) -> list[Row]:
    """Return the rows that are played with streams, or without."""
    return [row for row in ROWS if row.streams in (None, streams)]
