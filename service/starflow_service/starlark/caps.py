"""The caps on single values, and the price of making one.

A value over its cap is a limit, not the script's error, so that no script can hold it.
The code generator charges for what it makes itself, and for calls; everything that an
operation makes is charged here.  Small objects are only taken off the budget: the next
tick looks at it, and until then not many can be made.
"""

from typing import TYPE_CHECKING, NoReturn, Protocol

from starflow_service.starlark.errors import LimitError

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# Integers within this need no thought: CPython's arithmetic on them takes no time that
# depends on their size.
SMALL = 2**62
# Below this a copy costs no more than the operation that makes it.
CHEAP = 64
# Elements that native code or a plain loop handles between two looks at the budget.
CHUNK = 1_000
# Bytes of one entry of a dict, its share of the table included.
ENTRY = 120
# Bytes of one element of a list with the number that it may be the only one to hold:
# numbers cost nothing where they are made, for most are gone with the next.
SLOT = 40
# Bytes of a list, dict or string without its elements, and of a dict's table at least.
HEADER = 64
TABLE = 200


def text_bytes(text: str) -> int:
    """Return about how much memory *text* takes."""
    return len(text) if text.isascii() else 4 * len(text)


def new_text(m: "Meter", length: int, *parts: str) -> None:
    """
    Pay for a string of *length* characters made of *parts*.

    Raises:
        LimitError: it is longer than a string may be, or the budget is spent.
    """
    if length > m.limits.max_string:
        refuse_text(m)
    if length > CHEAP:
        wide = any(not part.isascii() for part in parts)
        m.charge(HEADER + (4 * length if wide else length))
    else:
        m.bytes -= HEADER + length


def refuse_text(m: "Meter") -> NoReturn:
    """Raise the `LimitError` of a string that would be too long."""
    limit = m.limits.max_string
    raise LimitError("max_string", f"string of more than {limit} characters")


def new_elements(m: "Meter", count: int, bytes_each: int = 8) -> None:
    """
    Pay for a list, tuple or dict of *count* elements.

    Raises:
        LimitError: it has more elements than one may have, or the budget is spent.
    """
    if count > m.limits.max_elements:
        refuse_elements(m)
    if count > 8:
        m.charge(HEADER + count * bytes_each)
    else:
        m.bytes -= HEADER + count * bytes_each


def refuse_elements(m: "Meter") -> NoReturn:
    """Raise the `LimitError` of a list, tuple or dict that would be too large."""
    limit = m.limits.max_elements
    raise LimitError("max_elements", f"value of more than {limit} elements")


def refuse_nesting(m: "Meter") -> NoReturn:
    """Raise the `LimitError` of a value too deep to be walked."""
    limit = m.limits.max_nesting
    raise LimitError("max_nesting", f"value nested deeper than {limit} levels")


def new_int(m: "Meter", value: int) -> int:
    """
    Pay for *value* if it is long, and return it.

    Raises:
        LimitError: it has more bits than an integer may have.
    """
    if -SMALL < value < SMALL:
        return value
    new_bits(m, value.bit_length())
    return value


def new_bits(m: "Meter", bits: int) -> None:
    """
    Pay for an integer of *bits* bits.

    Raises:
        LimitError: no integer may have so many.
    """
    if bits > m.limits.max_int_bits:
        limit = m.limits.max_int_bits
        raise LimitError("max_int_bits", f"integer of more than {limit} bits")
    m.charge(bits >> 3)


class Payer(Protocol):
    """What long work is counted by: a script's meter, or whatever paces it."""

    def work(self, n: int) -> None:
        """Count *n* steps of native work, each about as long as a loop's round."""
        ...


def digits_work(m: Payer, bits: int) -> None:
    """Pay for turning an integer of *bits* bits into decimal text, or back."""
    if bits > 1_000:
        m.work((bits >> 5) ** 2 // 150)
