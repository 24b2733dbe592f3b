"""What can go wrong, as a tree.

Caught by those who start, watch and signal runs:

* StarflowError
  + RunFailed             the run ended with a failure
    x RunCancelled        because somebody asked it to end
  + RunYielded            the run waits for a signal
  + RunPaused             the service holds the run back
  + ResultTimeout         the run has not finished in time; also a TimeoutError
  + ConversionError       a value has no JSON form, or not the form asked for
  + ForkedError           a client was used in a child of the process that made it
  + RequestError          the service refused a request, or could not be reached
    + InvalidRequest      sending it again cannot help
      x PayloadInvalid
      x TooLarge
      x ScriptInvalid
      x FunctionUnknown
    + NotFound
      x RunNotFound
      x ScriptNotFound
    + Conflict            the id is taken, by something else
      x RunIdConflict
      x RunDeleted
      x SignalConflict
    + NotPossible         not in the state that the run or worker is in
      x RunFinished
      x RunNotFinished
      x SignalNotExpected
      x WorkerNotRegistered
      x VersionOutOfRange
    + RateLimited         later
      x SignalsFull
    x Unavailable         later, or elsewhere
    x ServiceFault        a defect of the service

Raised by functions that a worker executes:

* FunctionError
  x PermanentError        another attempt cannot help
  x RetryableError        another attempt may help
* TaskAbandoned           a BaseException: the attempt belongs to somebody else now
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starflow._failure import Failure


class StarflowError(Exception):
    """The base of every error that the client side raises on purpose."""


class RunFailed(StarflowError):
    """The run ended with a failure, which says why."""

    _came_to = "failed"

    def __init__(self, run_id: str, failure: "Failure") -> None:
        super().__init__(f"run {run_id} {self._came_to}: {failure}")
        self.run_id = run_id
        self.failure = failure
        self.code = failure.code
        self.message = failure.message
        self.details = failure.details


class RunCancelled(RunFailed):
    """The run ended because somebody asked it to; the message says why."""

    _came_to = "was cancelled"


class RunYielded(StarflowError):
    """The run waits for signals; only `Client.signal` can move it on."""

    def __init__(
        self,
        run_id: str,
        signal_ids: tuple[str, ...],
        signal_names: tuple[str, ...] = (),
    ) -> None:
        awaited = ", ".join((*signal_ids, *signal_names))
        super().__init__(f"run {run_id} waits for the signal {awaited}")
        self.run_id = run_id
        self.signal_ids = signal_ids
        self.signal_names = signal_names

    @property
    def signal_id(self) -> str:
        """The signal id that the run has waited for longest; empty if for none."""
        return self.signal_ids[0] if self.signal_ids else ""

    @property
    def signal_name(self) -> str:
        """The signal name that the run has waited for longest; empty if for none."""
        return self.signal_names[0] if self.signal_names else ""


class RunPaused(StarflowError):
    """The service holds the run back until somebody mends the reason."""

    def __init__(self, run_id: str, reason: str, message: str) -> None:
        super().__init__(f"run {run_id} is paused ({reason}): {message}")
        self.run_id = run_id
        self.reason = reason
        self.message = message


class ResultTimeout(StarflowError, TimeoutError):
    """The run has not finished in the time given. It goes on all the same."""

    def __init__(self, run_id: str, state: str, timeout_seconds: float) -> None:
        super().__init__(f"run {run_id} is {state} after {timeout_seconds:g} s")
        self.run_id = run_id
        self.state = state


class ConversionError(StarflowError, ValueError):
    """A value cannot be written as JSON, or JSON is not what a type asks for."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{path or 'the value'}: {problem}")
        self.problem = problem
        self.path = path


class ForkedError(StarflowError):
    """gRPC does not survive a fork; make the client in the child."""

    def __init__(self) -> None:
        super().__init__(
            "this client was made before a fork, which gRPC does not survive: "
            "make a client of its own in the child process, or start children by spawn"
        )


class RequestError(StarflowError):
    """The service refused a request, or did not answer it."""

    def __init__(
        self,
        message: str,
        *,
        status: str = "UNKNOWN",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        # The name of the gRPC status, such as NOT_FOUND.
        self.status = status
        # A name out of starflow.v1.ErrorReason, such as RUN_NOT_FOUND.
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after_seconds = retry_after_seconds


class InvalidRequest(RequestError):
    """The request is wrong; sending it again cannot help."""


class PayloadInvalid(InvalidRequest):
    """A payload is not JSON as the service defines it."""


class TooLarge(InvalidRequest):
    """A payload, a script or a request is over a limit; see `Client.server_info`."""


class ScriptInvalid(InvalidRequest):
    """The script does not parse or has no `main(ctx, input)`."""


class FunctionUnknown(InvalidRequest):
    """The script calls functions that no worker ever registered."""


class NotFound(RequestError):
    """There is no such thing."""


class RunNotFound(NotFound):
    """There is no such run."""


class ScriptNotFound(NotFound):
    """No stored script has this hash; send the text."""


class Conflict(RequestError):
    """The id is taken by something else."""


class RunIdConflict(Conflict):
    """The run id belongs to a run with another script or input."""


class RunDeleted(Conflict):
    """A run of this id was deleted, and its id is not free yet."""


class SignalConflict(Conflict):
    """The signal was delivered before, with another content."""


class NotPossible(RequestError):
    """Not in the state that the run or the worker is in."""


class RunFinished(NotPossible):
    """The run has finished."""


class RunNotFinished(NotPossible):
    """The run has not finished, and only those that have can be deleted."""


class SignalNotExpected(NotPossible):
    """The run never had this signal id, or does not wait for it now."""


class WorkerNotRegistered(NotPossible):
    """The service does not know the worker (any more); `Worker` registers again."""


class VersionOutOfRange(NotPossible):
    """The version lies past the end of the log."""


class RateLimited(RequestError):
    """A quota or a rate limit; try later."""


class SignalsFull(RateLimited):
    """The run holds too many signals by name that its script has not taken."""


class Unavailable(RequestError):
    """The service cannot be reached or cannot answer now; try later."""


class ServiceFault(RequestError):
    """A defect of the service. The message holds an id to look for in its log."""


class FunctionError(Exception):
    """The base of the errors by which a function says how it failed."""

    def __init__(
        self, message: str = "", *, code: str = "", details: Any = None
    ) -> None:
        super().__init__(message)
        self.message = message
        # Empty: the name of the class, in UPPER_SNAKE.
        self.code = code
        self.details = details


class PermanentError(FunctionError):
    """Raised by a function: another attempt cannot help, whatever the retry policy."""


class RetryableError(FunctionError):
    """Raised by a function: another attempt may help, after *delay* seconds if set."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        details: Any = None,
        delay: float | None = None,
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.delay = delay


class TaskAbandoned(BaseException):
    """
    The task belongs to somebody else now, or its worker shuts down: stop.

    A BaseException, so that `except Exception` in a function cannot swallow it.
    """
