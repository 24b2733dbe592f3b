"""The module `rand`: chance that is the same whenever a run is replayed.

`rand.int` is an event of the log.  Everything else is drawn from the run's own stream
of random bytes, which follows from a seed in its log; so how many bytes each function
takes, and what it makes of them, must never change.
"""

from typing import TYPE_CHECKING, Any

from starflow_service.starlark.arguments import INT64_MAX, mismatch, want_iterable
from starflow_service.starlark.calls import check_context
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.iteration import copied
from starflow_service.starlark.text import brief
from starflow_service.starlark.values import Builtin, List, Module

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# What one draw costs, in steps.
_DRAW = 8


def _int(m: "Meter", /, ctx: Any, max: Any) -> int:
    """Return a number from 0 to *max* - 1."""
    check_context("rand.int", ctx)
    if type(max) is not int:
        raise mismatch("rand.int", "max", max, "int")
    if not 1 <= max <= INT64_MAX:
        raise EvalError(
            f"rand.int: for parameter max: {brief(m, max)} out of range "
            "(want at least 1 and less than 2^63)"
        )
    return m.host.rand_int(m, max)


def _float(m: "Meter", /, ctx: Any) -> float:
    """Return one of the multiples of 2^-53 from 0 to below 1."""
    check_context("rand.float", ctx)
    m.work(_DRAW)
    return (int.from_bytes(m.host.random_bytes(m, 8), "big") >> 11) / 2**53


def _choice(m: "Meter", /, ctx: Any, seq: Any) -> Any:
    """Return an element, each as likely as any other."""
    check_context("rand.choice", ctx)
    m.work(_DRAW)
    # From here on nobody else has a turn, and could change the sequence.
    items = want_iterable(m, "rand.choice", "seq", seq)
    if not items:
        raise EvalError("rand.choice: for parameter seq: an empty sequence")
    return items[_below(m, len(items))]


def _shuffle(m: "Meter", /, ctx: Any, seq: Any) -> List:
    """Return the elements in a new list, each order as likely as any other."""
    check_context("rand.shuffle", ctx)
    items = copied(m, want_iterable(m, "rand.shuffle", "seq", seq))
    for last in range(len(items) - 1, 0, -1):
        m.work(_DRAW)
        place = _below(m, last + 1)
        items[last], items[place] = items[place], items[last]
    return List(items)


def _below(m: "Meter", limit: int) -> int:
    """
    Return a number from 0 to *limit* - 1, each as likely as any other.

    A draw that is too high is thrown away: reducing it would favour low numbers.
    """
    bits = (limit - 1).bit_length()
    size = (bits + 7) // 8
    while True:
        drawn = int.from_bytes(m.host.random_bytes(m, size), "big") >> 8 * size - bits
        if drawn < limit:
            return drawn


RAND = Module(
    "rand",
    {
        "choice": Builtin("rand.choice", _choice),
        "float": Builtin("rand.float", _float),
        "int": Builtin("rand.int", _int),
        "shuffle": Builtin("rand.shuffle", _shuffle),
    },
)
