"""What a script may ask of the world: the engine implements `Host`.

The built-ins of `time`, `rand` and `flow`, calls of dotted functions and `print` check
their arguments and then come here.  Every method runs on the script's own greenlet; one
that has to wait calls `Meter.suspend` until it need not wait any more.
"""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter


class Context:
    """The opaque `ctx` that `main` gets and durable functions take."""

    __slots__ = ()


class Future:
    """
    A call under way, as `flow.start` returns it: opaque to the script.

    `call_version` names the call; everything else is known to the host.
    """

    __slots__ = ("call_version", "function")

    def __init__(self, call_version: int, function: str) -> None:
        self.call_version = call_version
        self.function = function


class Host(Protocol):
    """The durable operations.  *m* is the meter of the script that asks."""

    def call(self, m: "Meter", function: str, req: Any) -> Any:
        """Call a worker's function and return its result; suspends."""
        ...

    def start(self, m: "Meter", function: str, req: Any) -> Future:
        """Begin a call of a worker's function."""
        ...

    def wait(self, m: "Meter", futures: list[Future]) -> list[Any]:
        """Return the results of *futures*, in their order; suspends."""
        ...

    def sleep(self, m: "Meter", duration_ns: int) -> None:
        """Sleep durably for at least *duration_ns*; suspends."""
        ...

    def sleep_until(self, m: "Meter", wake_ns: int) -> None:
        """
        Sleep durably until *wake_ns*, nanoseconds since the epoch; suspends.

        A time that has passed is a sleep of no length, and recorded as one.
        """
        ...

    def now(self, m: "Meter") -> str:
        """Read and record the time: RFC 3339 in UTC with nanoseconds as needed."""
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

    def finish(self, m: "Meter", value: Any) -> None:
        """Take what `main` returned; the last thing that happens on the greenlet."""
        ...
