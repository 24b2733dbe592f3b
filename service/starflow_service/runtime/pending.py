"""A call that a worker has to execute, as the server that owns its run keeps it.

Nothing of it but the record of failed attempts is stored: the CALL event is the task,
and whoever has the log can make this again.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starflow_service.engine.events import Call, RetryPolicy
from starflow_service.runtime.attempts import AttemptRecord
from starflow_service.runtime.types import (
    Directive,
    FunctionSpec,
    Task,
    TaskAction,
    WorkerInfo,
)

if TYPE_CHECKING:
    from starflow_service.runtime.limited import LimitedQueue

# More directives than this are not kept for a worker that never asks for them.
_DIRECTIVES_MAX = 1_000


@dataclass(slots=True, eq=False)
class Session:
    """A worker, as far as it has shown itself."""

    namespace: str
    worker_id: str
    functions: tuple[str, ...] = ()
    # By token.
    held: "dict[str, PendingCall]" = field(default_factory=dict)
    # The tokens that the last polls brought, by poll id, oldest first.
    polls: dict[str, list[str]] = field(default_factory=dict)
    # By the monotonic clock.
    seen_at: float = 0.0
    # Whether it let a lease end, and has not been heard of since: frozen, perhaps, with
    # a poll still waiting that would swallow the next task.
    is_silent: bool = False
    # Whether it gets no more tasks, because somebody asked it to end.
    is_drained: bool = False
    # Whether a poll was answered since.
    knows_drained: bool = False
    # What it must be told and was not yet, by token.
    directives: dict[str, Directive] = field(default_factory=dict)
    # Its calls that wait, to be told of a directive, and of being drained.
    listeners: set[Callable[[], None]] = field(default_factory=set)
    # How many streams it has open, and how many of its polls wait.
    streams: int = 0
    waiting_polls: int = 0
    # What it registered with; None: it never did.
    info: WorkerInfo | None = None
    # What it polled for last by name.
    polled: tuple[str, ...] = ()

    def tell(self, token: str, action: TaskAction, reason: str) -> None:
        """Let the worker know what to do with a task, as soon as it can be told."""
        if len(self.directives) < _DIRECTIVES_MAX:
            self.directives[token] = Directive(token, action, reason)
            self.wake()

    def take_directives(self) -> list[Directive]:
        """Return what the worker must be told; it is told once."""
        taken = list(self.directives.values())
        self.directives.clear()
        return taken

    def wake(self) -> None:
        """Let what waits look at this session."""
        for listener in tuple(self.listeners):
            listener()

    @property
    def offers(self) -> tuple[str, ...]:
        """The functions that calls may be said to have a worker for in it."""
        return self.functions or self.polled

    def is_live(self, now: float, live_s: float) -> bool:
        """Whether it was heard of so lately that it is probably there."""
        if self.is_silent:
            return False
        is_connected = bool(self.streams or self.waiting_polls)
        return is_connected or now - self.seen_at <= live_s

    def heard_of(self, now: float) -> None:
        """The worker sent something."""
        self.seen_at = now
        self.is_silent = False


@dataclass(slots=True, eq=False)
class Lease:
    """A task in the hands of a worker.  Times are of the monotonic clock."""

    task: Task
    session: Session
    ends_at: float
    # When the attempt has taken too long, however often its lease is renewed.
    times_out_at: float
    start_ns: int
    # Armed when the attempt's time ends before the lease does.
    timer: asyncio.TimerHandle | None = None
    # The holder of its permit; empty if its queue has no limits.
    permit: str = ""


@dataclass(slots=True, eq=False)
class PendingCall:
    """A call without a result, and without a YIELD."""

    run: str
    namespace: str
    run_id: str
    call: Call
    spec: FunctionSpec | None
    # Of the run.
    headers: Mapping[str, str]
    # The number of the attempt under way, or of the next one.
    attempt: int = 1
    # The failed attempts so far; None: none.
    record: AttemptRecord | None = None
    progress: str | None = None
    lease: Lease | None = None
    # The newest delivery by this server; only its report counts.
    delivery: str = ""
    # Whether an earlier server may have handed it out: then a genuine report counts
    # until this server hands it out itself.
    is_recovered: bool = False
    # Whether a report is on its way into the store.
    is_settling: bool = False
    is_queued: bool = False
    is_closed: bool = False
    # Its place in time among all calls; 0: not queued yet.
    order: int = 0
    # The queue with limits that it was offered in, if any, and the token and delivery
    # that it has a permit for, or has asked for one.
    limited: "LimitedQueue | None" = None
    permit: tuple[str, str] | None = None

    @property
    def queue(self) -> tuple[str, str]:
        """The queue's name: namespace and function."""
        return self.namespace, self.call.function

    @property
    def queue_name(self) -> str:
        """The name of the queue that may bound how many like it are executed."""
        named = self.call.queue or (self.spec.queue if self.spec is not None else "")
        return named or self.call.function.partition(".")[0]

    @property
    def key(self) -> tuple[str, int]:
        """The run and the version of the CALL."""
        return self.run, self.call.version

    @property
    def is_offered(self) -> bool:
        """Whether a queued call may still be handed out."""
        return not (self.is_closed or self.is_settling or self.lease is not None)

    @property
    def failed(self) -> int:
        """How many attempts have failed."""
        return self.record.failed if self.record is not None else 0

    @property
    def policy(self) -> RetryPolicy | None:
        """The retry policy that holds for the call."""
        if self.record is not None:
            return self.record.policy
        if self.call.retry is not None:
            return self.call.retry
        return self.spec.retry if self.spec is not None else None

    @property
    def attempt_timeout_ns(self) -> int | None:
        """How long an attempt may take; None: as long as the service lets any."""
        if self.call.attempt_timeout_ns is not None:
            return self.call.attempt_timeout_ns
        return self.spec.attempt_timeout_ns if self.spec is not None else None

    @property
    def attempts_made(self) -> int:
        """How many attempts were handed out."""
        return self.attempt - 1 if self.lease is None else self.lease.task.attempt
