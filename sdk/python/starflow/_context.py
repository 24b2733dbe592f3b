"""What a function gets to know about its task, and what it can say about it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starflow import _convert, _failure, _model
from starflow._failure import Failure
from starflow.errors import TaskAbandoned
from starflow.v1 import worker_service_pb2 as pb

# Functions log below the worker's own logger, so that one setting rules both.
_logger = logging.getLogger("starflow.task")
# What `logging` itself takes by keyword, and what its records have.
_OF_LOGGING = frozenset({"exc_info", "stack_info", "stacklevel", "extra"})
_OF_RECORDS = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "run_id", "task_id"}
)


@dataclass(frozen=True, slots=True)
class WaitForSignal:
    """Returned by a function: the call goes on when somebody signals it."""

    timeout_seconds: float | None


def wait_for_signal(timeout: float | timedelta | None = None) -> WaitForSignal:
    """
    Return what a function returns in order to wait for a signal to `ctx.signal_id`.

    The signal's content becomes the result of the call; after *timeout* seconds
    without one the call fails with a TIMEOUT failure.
    """
    return WaitForSignal(None if timeout is None else seconds(timeout))


def seconds(duration: float | timedelta) -> float:
    """Return a duration given either way in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


class TaskContext:
    """
    One task: one attempt of one call.

    A function that takes it declares its first parameter as `ctx` or annotates it.
    All of it may be used from any thread.
    """

    __slots__ = ("_beat_soon", "_stop_reason", "_task", "_unsent")

    def __init__(self, task: pb.Task, beat_soon: Callable[[], None]) -> None:
        self._task = task
        self._beat_soon = beat_soon
        # JSON text of the progress that the service has not been told yet.
        self._unsent: str | None = None
        self._stop_reason: str | None = None

    def __repr__(self) -> str:
        return f"<starflow.TaskContext {self.task_id} attempt {self.attempt}>"

    @property
    def run_id(self) -> str:
        """The run that called."""
        return self._task.run_id

    @property
    def task_id(self) -> str:
        """
        Names the call, the same for all its attempts.

        Use it as the idempotency key towards other systems: a worker that dies after
        it did the work, and before it said so, is followed by another attempt.
        """
        return self._task.task_id

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._task.attempt

    @property
    def function(self) -> str:
        """The dotted name that the script called."""
        return self._task.function

    @property
    def input(self) -> Any:
        """The request as the script gave it, before types make anything of it."""
        return _model.payload_value(self._task.input)

    @property
    def headers(self) -> dict[str, str]:
        """The context that the run was started with, such as a `traceparent`."""
        return dict(self._task.headers)

    @property
    def call_version(self) -> int:
        """The version of the CALL event in the run's log."""
        return self._task.call_version

    @property
    def signal_id(self) -> str:
        """
        The signal to hand to the outside world before returning `wait_for_signal()`.

        It is valid already, and the same for all attempts; a signal that comes before
        the function has returned is kept.
        """
        return self._task.signal_id

    @property
    def last_progress(self) -> Any:
        """The last progress that an earlier attempt reported; None if none did."""
        return _model.payload_value(self._task.last_progress)

    @property
    def last_failure(self) -> Failure | None:
        """Why the last attempt failed, if one did."""
        if not self._task.HasField("last_failure"):
            return None
        return _failure.from_pb(self._task.last_failure)

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """
        A logger whose records carry run_id, task_id, function and attempt.

        Keyword arguments become attributes of the record: `ctx.log.info("charged",
        cents=5)`.
        """
        bound = {
            "run_id": self.run_id,
            "task_id": self.task_id,
            "function": self.function,
            "attempt": self.attempt,
        }
        return _TaskLogger(_logger, bound)

    def progress(self, value: Any) -> None:
        """
        Record how far this attempt is; the next attempt sees it as `last_progress`.

        It travels with the next heartbeat, and only the newest one does, so that this
        may be called often.

        Raises:
            ConversionError: *value* has no JSON form.
        """
        self._unsent = _convert.encode(value)

    def heartbeat(self, value: Any = None) -> None:
        """
        Tell the service now, and not at the next heartbeat, that this goes on.

        Leases are renewed without it. It is for a function that wants a progress
        recorded, or to hear sooner whether it should stop.

        Raises:
            ConversionError: *value* has no JSON form.
        """
        if value is not None:
            self.progress(value)
        self._beat_soon()

    @property
    def cancelled(self) -> bool:
        """Whether to stop: the task is somebody else's now, or the worker ends."""
        return self._stop_reason is not None

    def raise_if_cancelled(self) -> None:
        """
        Do nothing while the task is ours.

        Raises:
            TaskAbandoned: Stop; what the function returns would not count.
        """
        if self._stop_reason is not None:
            raise TaskAbandoned(self._stop_reason)

    def cancel(self, reason: str) -> None:
        """Let the function know that it should stop; the worker calls this."""
        self._stop_reason = reason

    def unsent_progress(self) -> str | None:
        """Return the progress that the service has yet to be told, as JSON text."""
        return self._unsent

    def progress_sent(self, text: str | None) -> None:
        """Note that the service knows the progress *text*."""
        # A newer progress may have come while the older one travelled.
        if self._unsent is text:
            self._unsent = None


class _TaskLogger(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        # The base class throws away what the caller puts into `extra`.
        extra = {**(kwargs.pop("extra", None) or {}), **(self.extra or {})}
        for name in kwargs.keys() - _OF_LOGGING:
            # A record has attributes of its own, which `logging` does not let go.
            free = f"{name}_" if name in _OF_RECORDS else name
            extra[free] = kwargs.pop(name)
        return msg, {**kwargs, "extra": extra}
