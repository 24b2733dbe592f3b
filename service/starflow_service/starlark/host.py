"""What a script may ask of the world: the engine implements `Host`.

The built-ins of `time`, `rand` and `flow`, calls of dotted functions and `print` check
their arguments and then come here.  Every method runs on the greenlet of the branch
that asks; one that has to wait lets other branches, or the hub, run until it need not
wait any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from starflow_service.starlark.errors import EvalError
    from starflow_service.starlark.meter import Meter


class Context:
    """The opaque `ctx` that `main` gets and durable functions take."""

    __slots__ = ()


class Future:
    """
    A call or a branch under way, as `flow.start` and `flow.spawn` return it: opaque.

    *key* is the version of the call, or the number of the branch, which is negative;
    *name* is the function's, for messages.
    """

    __slots__ = ("key", "name")

    def __init__(self, key: int, name: str) -> None:
        self.key = key
        self.name = name


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed attempt of a call is followed by another; None: as usual."""

    max_attempts: int | None = None
    initial_ns: int | None = None
    max_ns: int | None = None
    coefficient: float | None = None
    non_retryable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a script may ask of one call; None: as the function is registered."""

    timeout_ns: int | None = None
    attempt_timeout_ns: int | None = None
    retry: Retry | None = None
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What a script gets to know of an error that it holds."""

    code: str
    message: str
    # JSON text.
    details: str | None
    retryable: bool


class Host(Protocol):
    """The durable operations.  *m* is the meter of the script that asks."""

    def call(
        self, m: "Meter", function: str, req: Any, options: CallOptions | None = None
    ) -> Any:
        """Call a worker's function and return its result; waits."""
        ...

    def start(
        self, m: "Meter", function: str, req: Any, options: CallOptions | None = None
    ) -> Future:
        """Begin a call of a worker's function."""
        ...

    def room(self, m: "Meter") -> int:
        """Return how many more calls may be open."""
        ...

    def wait(
        self, m: "Meter", futures: Sequence[Future], timeout_ns: int | None = None
    ) -> list[Any]:
        """
        Return the results of *futures*, in their order; waits.

        Raises:
            EvalError: the first of those that failed, or too much time has passed.
        """
        ...

    def first(self, m: "Meter", futures: Sequence[Future]) -> int:
        """Return the place of the future that ended first; waits."""
        ...

    def next_ended(self, m: "Meter") -> list[int]:
        """
        Return those of the keys that the branch watches that have ended; waits.

        They are in the order in which they ended, and each is returned once.
        """
        ...

    def value(self, m: "Meter", future: Future) -> Any:
        """
        Return the result of a future that has ended.

        Raises:
            EvalError: it failed.
        """
        ...

    def drop(self, m: "Meter", futures: Sequence[Future]) -> None:
        """Give up those of *futures* that have not ended."""
        ...

    def give_up(self, m: "Meter", versions: Sequence[int]) -> None:
        """Record that nobody waits any more for what *versions* began."""
        ...

    def wait_signal(
        self, m: "Meter", name: str, timeout_ns: int | None
    ) -> tuple[bool, Any]:
        """Return whether a signal *name* came in time, and its value; waits."""
        ...

    def sleep(self, m: "Meter", duration_ns: int) -> None:
        """Sleep durably for at least *duration_ns*; waits."""
        ...

    def sleep_until(self, m: "Meter", wake_ns: int) -> None:
        """
        Sleep durably until *wake_ns*, nanoseconds since the epoch; waits.

        A time that has passed is a sleep of no length, and recorded as one.
        """
        ...

    def now(self, m: "Meter") -> str:
        """Read and record the time: RFC 3339 in UTC with nanoseconds as needed."""
        ...

    def now_ns(self, m: "Meter") -> int:
        """Read and record the time: nanoseconds since the epoch."""
        ...

    def rand_int(self, m: "Meter", limit: int) -> int:
        """Draw and record a number from 0 to *limit* - 1; *limit* is at least 1."""
        ...

    def random_bytes(self, m: "Meter", n: int) -> bytes:
        """
        Return the next *n* bytes of the run's own random stream.

        They follow from the seed in START and from how many were drawn before: no event
        is written, and a replay draws the same.
        """
        ...

    def print(self, m: "Meter", text: str) -> None:
        """Print a line, once, however often the script is replayed."""
        ...

    def set_status(self, m: "Meter", status: str) -> None:
        """Record how the run stands: JSON text."""
        ...

    def timed_out(self, m: "Meter", message: str) -> "EvalError":
        """Return the error of a wait that took too long."""
        ...

    def fault(self, m: "Meter", error: "EvalError") -> Fault:
        """Return what the script may know of *error*."""
        ...

    def finish(self, m: "Meter", value: Any) -> None:
        """Take what `main` returned; the last thing that happens on the greenlet."""
        ...

    def restart(self, m: "Meter", input: str) -> None:
        """Begin a new log with *input*, JSON text; the last thing, as `finish`."""
        ...
