"""The events of a log, as the engine sees them: plain values, no wire format.

Payloads are JSON text, kept byte for byte.  Times are nanoseconds since the epoch.  A
step's result is either payload text or a `Failure`.

The first nine events are those of the Go original, and a sequential script produces
exactly its sequences.  A script makes START, CALL, SLEEP, TIME_NOW, RAND_INT,
WAIT, DROP, STATUS, RESTART and FINISH; the world answers with RETURN, YIELD, RESUME,
SIGNAL, WAKE and CANCEL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import IntEnum
from typing import ClassVar, TypeAlias

from starflow_service.engine.frozen import frozen


class FailureKind(IntEnum):
    """Which part failed; the numbers are those of ``starflow.v1.FailureKind``."""

    APPLICATION = 1
    TIMEOUT = 2
    CANCELLED = 3
    WORKER_LOST = 4
    SCRIPT = 5
    INTERNAL = 7


class Retryability(IntEnum):
    """What a worker says about trying again; numbers as in ``starflow.v1``."""

    UNSPECIFIED = 0
    RETRYABLE = 1
    PERMANENT = 2


@frozen
class Failure:
    """Why a call or a run did not succeed: data, not an exception."""

    code: str
    message: str
    kind: FailureKind = FailureKind.APPLICATION
    retryability: Retryability = Retryability.UNSPECIFIED
    # The delay before the next attempt, in place of the policy's; None: the policy's.
    retry_delay_ns: int | None = None
    # JSON text for the script, or None.
    details: str | None = None
    stack_trace: str = ""


Result: TypeAlias = str | Failure


@frozen
class RetryPolicy:
    """When a failed attempt is followed by another."""

    initial_ns: int = 1_000_000_000
    coefficient: float = 2.0
    # None: 100 times the initial interval.
    max_ns: int | None = None
    max_attempts: int = 3
    non_retryable_codes: Sequence[str] = ()


@frozen
class Start:
    """The run started."""

    NAME: ClassVar[str] = "START"
    version: int
    time_ns: int
    script_hash: str
    input: str
    language_version: int
    # What the run's random values without events are derived from.
    seed: str = ""
    # What the run is found by.
    labels: Mapping[str, str] = field(default_factory=dict)
    # The context that each of its tasks carries.
    headers: Mapping[str, str] = field(default_factory=dict)


@frozen
class Call:
    """The script called a function; the CALL's version names the call."""

    NAME: ClassVar[str] = "CALL"
    version: int
    time_ns: int
    function: str
    input: str
    signal_id: str
    # When the whole call ends with a failure, its retries and its yield included.
    expire_ns: int | None = None
    # How long one attempt may take; None: as the function is registered.
    attempt_timeout_ns: int | None = None
    # None: as the function is registered.
    retry: RetryPolicy | None = None
    # The queue that it belongs to; empty: as the function is registered.
    queue: str = ""


@frozen
class Return:
    """A call ended."""

    NAME: ClassVar[str] = "RETURN"
    version: int
    time_ns: int
    call_version: int
    result: Result
    attempts: int
    worker_id: str
    delivery: str


@frozen
class Yield:
    """A call waits for a signal."""

    NAME: ClassVar[str] = "YIELD"
    version: int
    time_ns: int
    call_version: int
    signal_id: str
    # When the wait ends with a failure; None: never.
    expire_ns: int | None
    worker_id: str
    delivery: str


@frozen
class Resume:
    """A yielded call got its signal, or waited too long for it."""

    NAME: ClassVar[str] = "RESUME"
    version: int
    time_ns: int
    call_version: int
    signal_id: str
    result: Result


@frozen
class Sleep:
    """The script sleeps."""

    NAME: ClassVar[str] = "SLEEP"
    version: int
    time_ns: int
    wake_ns: int
    # Whether only a WAKE can end it, because the script has branches.
    explicit_wake: bool = False


@frozen
class TimeNow:
    """The script read the time."""

    NAME: ClassVar[str] = "TIME_NOW"
    version: int
    time_ns: int
    value_ns: int


@frozen
class RandInt:
    """The script drew a number."""

    NAME: ClassVar[str] = "RAND_INT"
    version: int
    time_ns: int
    value: int


@frozen
class Finish:
    """The run ended."""

    NAME: ClassVar[str] = "FINISH"
    version: int
    time_ns: int
    result: Result


@frozen
class Signal:
    """A signal came before its YIELD and is kept, or came by name."""

    NAME: ClassVar[str] = "SIGNAL"
    version: int
    time_ns: int
    # Empty for a signal by name.
    signal_id: str
    result: Result
    # Empty for a signal by id.
    name: str = ""
    # The sender's id of a signal by name, or empty.
    request_id: str = ""


@frozen
class Wake:
    """A sleep ended while other waits were open, or a WAIT took too long."""

    NAME: ClassVar[str] = "WAKE"
    version: int
    time_ns: int
    # The version of the SLEEP or the WAIT.
    sleep_version: int


@frozen
class Wait:
    """The script waits for a signal by name."""

    NAME: ClassVar[str] = "WAIT"
    version: int
    time_ns: int
    name: str
    # When the wait ends without a signal; None: never.
    expire_ns: int | None


@frozen
class Cancel:
    """Somebody asked the run to end: nothing that it waited for counts any more."""

    NAME: ClassVar[str] = "CANCEL"
    version: int
    time_ns: int
    reason: str


@frozen
class Drop:
    """The script gave up some of what it waited for."""

    NAME: ClassVar[str] = "DROP"
    version: int
    time_ns: int
    # Of their CALLs, SLEEPs and WAITs, ascending.
    dropped_versions: tuple[int, ...]


@frozen
class Status:
    """The script told people how it stands."""

    NAME: ClassVar[str] = "STATUS"
    version: int
    time_ns: int
    # JSON text.
    status: str


@frozen
class Restart:
    """The script began again: START with the same input follows."""

    NAME: ClassVar[str] = "RESTART"
    version: int
    time_ns: int
    # JSON text.
    input: str


@frozen
class Unknown:
    """An event of a later release: it has its place, and no meaning here."""

    NAME: ClassVar[str] = "UNKNOWN"
    version: int
    time_ns: int
    type_number: int


Event: TypeAlias = (
    Start
    | Call
    | Return
    | Yield
    | Resume
    | Sleep
    | TimeNow
    | RandInt
    | Finish
    | Signal
    | Wake
    | Wait
    | Cancel
    | Drop
    | Status
    | Restart
    | Unknown
)
