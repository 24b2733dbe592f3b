"""Why a script's thread gave control back: the only things that leave its greenlet."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from starflow_service.starlark.errors import Abort, EvalError


@dataclass(frozen=True, slots=True)
class Suspended:
    """The script waits in a method of its host."""


@dataclass(frozen=True, slots=True)
class GaveWay:
    """A branch waits, and is among the ready ones once it need not any more."""


@dataclass(frozen=True, slots=True)
class Sliced:
    """The script's time slice is over; it goes on as soon as it is resumed."""


@dataclass(frozen=True, slots=True)
class Returned:
    """`main` returned *value*."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The script failed; `error.stack` says where."""

    error: EvalError


@dataclass(frozen=True, slots=True)
class Restarted:
    """The script begins again, with *input*, JSON text."""

    input: str


@dataclass(frozen=True, slots=True)
class Aborted:
    """The script was ended from outside, or broke a limit."""

    abort: Abort


Outcome: TypeAlias = (
    Suspended | GaveWay | Sliced | Returned | Failed | Restarted | Aborted
)

# These carry nothing, so one of each is enough for every thread.
SUSPENDED = Suspended()
GAVE_WAY = GaveWay()
SLICED = Sliced()
