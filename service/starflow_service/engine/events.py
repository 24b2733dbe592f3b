"""The events of a log, as the engine sees them: plain values, no wire format.

Payloads are JSON text, kept byte for byte.  Times are nanoseconds since the epoch.  A
step's result is either payload text or a `Failure`.

The first nine events are those of the Go original, and a sequential script produces
exactly its sequences.  A script makes START, CALL, SLEEP, TIME_NOW, RAND_INT and
FINISH; the world answers with RETURN, YIELD, RESUME, SIGNAL and WAKE.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, TypeAlias


class FailureKind(IntEnum):
    """Which part failed; the numbers are those of ``starflow.v1.FailureKind``."""

    APPLICATION = 1
    TIMEOUT = 2
    WORKER_LOST = 4
    SCRIPT = 5
    INTERNAL = 7


class Retryability(IntEnum):
    """What a worker says about trying again; numbers as in ``starflow.v1``."""

    UNSPECIFIED = 0
    RETRYABLE = 1
    PERMANENT = 2


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Start:
    """The run started."""

    NAME: ClassVar[str] = "START"
    version: int
    time_ns: int
    script_hash: str
    input: str
    language_version: int


@dataclass(frozen=True, slots=True)
class Call:
    """The script called a function; the CALL's version names the call."""

    NAME: ClassVar[str] = "CALL"
    version: int
    time_ns: int
    function: str
    input: str
    signal_id: str


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Resume:
    """A yielded call got its signal, or waited too long for it."""

    NAME: ClassVar[str] = "RESUME"
    version: int
    time_ns: int
    call_version: int
    signal_id: str
    result: Result


@dataclass(frozen=True, slots=True)
class Sleep:
    """The script sleeps."""

    NAME: ClassVar[str] = "SLEEP"
    version: int
    time_ns: int
    wake_ns: int


@dataclass(frozen=True, slots=True)
class TimeNow:
    """The script read the time."""

    NAME: ClassVar[str] = "TIME_NOW"
    version: int
    time_ns: int
    value_ns: int


@dataclass(frozen=True, slots=True)
class RandInt:
    """The script drew a number."""

    NAME: ClassVar[str] = "RAND_INT"
    version: int
    time_ns: int
    value: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The run ended."""

    NAME: ClassVar[str] = "FINISH"
    version: int
    time_ns: int
    result: Result


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal came before its YIELD, and is kept."""

    NAME: ClassVar[str] = "SIGNAL"
    version: int
    time_ns: int
    signal_id: str
    result: Result


@dataclass(frozen=True, slots=True)
class Wake:
    """A sleep ended while other waits were open."""

    NAME: ClassVar[str] = "WAKE"
    version: int
    time_ns: int
    sleep_version: int


@dataclass(frozen=True, slots=True)
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
    | Unknown
)
