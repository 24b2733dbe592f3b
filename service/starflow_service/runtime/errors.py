"""What the runtime refuses, and why.

* RuntimeRefusal                  the base: nothing was changed
  x FieldInvalidError             a field is missing or malformed
  x PayloadInvalidError           a payload is not JSON as the API defines it
  x TooLargeError                 over a limit; trying again cannot help
  x ScriptInvalidError            the script does not parse or has no main(ctx, input)
  x FunctionUnknownError          the script calls what nobody ever registered
  x ScriptNotFoundError           no script has this hash
  x RunNotFoundError              no such run
  x RunIdConflictError            the run id is taken
  x RunFinishedError              the run has finished
  x RunNotFinishedError           the run has not finished
  x RunDeletedError               a run of this id was deleted, and must not begin anew
  x SignalNotExpectedError        the run has no such signal id, or does not wait now
  x SignalConflictError           the signal id was given another content
  x SignalsFullError              the run holds too many signals that nobody has taken
  x VersionOutOfRangeError        past the end of the log
  x WorkerNotRegisteredError      register first
  x RateLimitedError              a bound of the service is reached; try again later
  x DrainingError                 this server is shutting down
  x RunMovingError                the run is on its way to another server
  x StoreDownError                the store does not answer
  x LogCorruptedError             a stored event cannot be read

Each takes the facts and makes its own sentence, with the fix in it where there is one.
"""

from collections.abc import Mapping, Sequence

from starflow_service.starlark.diagnostics import Diagnostic


class RuntimeRefusal(Exception):
    """The base of everything that the runtime refuses."""


class FieldInvalidError(RuntimeRefusal):
    """A field is missing or malformed."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class PayloadInvalidError(RuntimeRefusal):
    """A payload is not JSON as the API defines it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class TooLargeError(RuntimeRefusal):
    """Something is over a limit; trying again cannot help."""

    def __init__(self, field: str, size: int, limit: int, unit: str = "bytes") -> None:
        super().__init__(f"{field}: {size} {unit}, the limit is {limit}")
        self.field = field
        self.limit = limit


class ScriptInvalidError(RuntimeRefusal):
    """The script does not parse or has no main(ctx, input)."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        first = diagnostics[0]
        hint = f" ({first.hint})" if first.hint else ""
        more = f", and {len(diagnostics) - 1} more" if len(diagnostics) > 1 else ""
        line, column = first.pos
        place = f"{first.file or 'script'}:{line}:{column}"
        super().__init__(f"{place}: {first.message}{hint}{more}")
        self.diagnostics = diagnostics


class FunctionUnknownError(RuntimeRefusal):
    """The script calls functions that no worker ever registered."""

    def __init__(self, unknown: Mapping[str, str]) -> None:
        names = [
            f"{name} (did you mean {suggestion}?)" if suggestion else name
            for name, suggestion in unknown.items()
        ]
        super().__init__(
            f"no worker ever registered {', '.join(names)}: start one, or set"
            " allow_unregistered to let the calls wait for it"
        )


class ScriptNotFoundError(RuntimeRefusal):
    """No script has this hash."""

    def __init__(self, script_hash: str) -> None:
        super().__init__(f"no script has the hash {script_hash}: send its text")


class RunNotFoundError(RuntimeRefusal):
    """No such run."""

    def __init__(self, namespace: str, run_id: str) -> None:
        super().__init__(f"there is no run {run_id} in namespace {namespace}")


class RunIdConflictError(RuntimeRefusal):
    """The run id is taken."""

    def __init__(self, run_id: str, state: str, difference: str) -> None:
        super().__init__(
            f"run {run_id} exists ({state}){difference}: choose another run_id, or the"
            " conflict policy ATTACH_ANY"
        )
        self.run_id = run_id
        self.state = state


class RunFinishedError(RuntimeRefusal):
    """The run has finished."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has finished")


class RunNotFinishedError(RuntimeRefusal):
    """The run has not finished."""

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(
            f"run {run_id} has not finished ({state}): cancel or terminate it first"
        )
        self.run_id = run_id
        self.state = state


class RunDeletedError(RuntimeRefusal):
    """A run of this id was deleted, and must not begin anew yet."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run {run_id} was deleted, and its id is not free yet: choose another"
            " run_id, unless this is a late repetition"
        )
        self.run_id = run_id


class SignalNotExpectedError(RuntimeRefusal):
    """The run has no such signal id, or does not wait for it now."""

    def __init__(self, run_id: str, signal_id: str, why: str) -> None:
        super().__init__(f"run {run_id}, signal {signal_id}: {why}")


class SignalConflictError(RuntimeRefusal):
    """The signal id was given another content before."""

    def __init__(self, run_id: str, signal_id: str) -> None:
        super().__init__(
            f"run {run_id}: signal {signal_id} was answered before, differently"
        )


class SignalsFullError(RuntimeRefusal):
    """The run holds as many unread signals as one may."""

    def __init__(self, run_id: str, limit: int) -> None:
        super().__init__(
            f"run {run_id} holds {limit} signals that its script has not taken, the"
            " most that one may: send it again when it has taken some"
        )
        self.run_id = run_id
        self.limit = limit
        self.retry_s = 1.0


class VersionOutOfRangeError(RuntimeRefusal):
    """Past the end of the log."""

    def __init__(self, from_version: int, last_version: int) -> None:
        super().__init__(
            f"from_version {from_version} is past the log, whose last version is"
            f" {last_version}"
        )
        self.last_version = last_version


class WorkerNotRegisteredError(RuntimeRefusal):
    """The worker must register first."""

    def __init__(self, worker_id: str) -> None:
        super().__init__(
            f"worker {worker_id} is not registered: call RegisterFunction, then go on"
        )


class RateLimitedError(RuntimeRefusal):
    """A bound of the service is reached."""

    def __init__(self, what: str, retry_s: float = 1.0) -> None:
        super().__init__(f"{what}: try again in {retry_s:g} s")
        self.retry_s = retry_s


class DrainingError(RuntimeRefusal):
    """This server is shutting down."""

    def __init__(self) -> None:
        super().__init__("this server is shutting down: connect again")


class RunMovingError(RuntimeRefusal):
    """
    The run is not this server's, or not any more.

    What was asked for was not done, or is found again by whoever asks once more.
    """

    def __init__(self, run: str, retry_s: float = 1.0) -> None:
        super().__init__(
            f"run {run} is on its way to another server: try again in {retry_s:g} s"
        )
        self.retry_s = retry_s


class StoreDownError(RuntimeRefusal):
    """The store does not answer."""

    def __init__(self, problem: str, retry_s: float = 1.0) -> None:
        super().__init__(f"the event store does not answer: {problem}")
        self.retry_s = retry_s


class LogCorruptedError(RuntimeRefusal):
    """A stored event cannot be read; nothing is made up in its place."""

    def __init__(self, run_id: str, problem: str) -> None:
        super().__init__(f"the log of run {run_id} is damaged: {problem}")
