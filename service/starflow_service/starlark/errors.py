"""What can go wrong while a script runs.

* EvalError (Exception)     the script's own error; `flow.catch` holds it
* Abort (BaseException)     ends the interpreter from outside; no script can hold it
  x LimitError              the script broke a limit on steps, memory or values
  x InternalError           the interpreter itself failed
  x Killed                  the run is evicted, or the server stops
  x Cancelled               somebody asked the run to end
  x Restarting              the script begins again
  (the engine adds its own: a replay that left its log)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from starflow_service.starlark.syntax import Pos


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a Starlark stack: a function, and where in the file it stands."""

    function: str
    filename: str
    pos: Pos

    def __str__(self) -> str:
        line, column = self.pos
        return f"{self.filename}:{line}:{column}: in {self.function}"


def backtrace(stack: Sequence[Frame]) -> str:
    """Return *stack* as the Go implementation prints it, at most 20 frames."""
    frames = [f"  {frame}" for frame in stack]
    if len(frames) > 20:
        frames = [*frames[:10], f"  ... {len(frames) - 20} more", *frames[-10:]]
    return "\n".join(["Traceback (most recent call last):", *frames])


class EvalError(Exception):
    """
    The script failed: a type error, a missing key, `fail()`, a call that failed.

    `stack` is outermost first; the thread fills it in when the error leaves the script.
    `cause` is whatever the host attached, such as the failure of a worker's function.
    """

    def __init__(self, message: str, *, cause: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.stack: list[Frame] = []
        # Where it was raised first, in another branch: the stack goes on there.
        self.origin: list[Frame] = []

    def backtrace(self) -> str:
        """Return the stack as the Go implementation prints it, at most 20 frames."""
        return backtrace(self.stack)


class Abort(BaseException):
    """
    Ends the interpreter from outside.

    A BaseException, so that no `except Exception` between the script and the engine can
    swallow it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.stack: list[Frame] = []


class LimitError(Abort):
    """The script broke a limit; `limit` is its name in `Limits`."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class InternalError(Abort):
    """
    The interpreter itself failed; `__cause__` is how, and is for the log only.

    Its message never holds Python's words: they would tell a script about us, and no
    script's author could act on them.
    """


class Killed(Abort):
    """The interpreter is being dropped; its log stays as it is."""


class Cancelled(Abort):
    """Somebody asked the run to end; raised in `main`, where it waits."""


class Restarting(Abort):
    """`flow.restart`: the script begins again with *input*, JSON text."""

    def __init__(self, input: str) -> None:
        super().__init__("restart")
        self.input = input
