"""Names of protobuf enum values, without their prefix."""

from collections.abc import Callable
from typing import Any


def enum_name(wrapper: Any, prefix: str) -> Callable[[int], str]:
    """Return what names the values of an enum without *prefix*, unknown ones, too."""
    names = {number: name.removeprefix(prefix) for name, number in wrapper.items()}
    return lambda number: names.get(number, f"UNKNOWN_{number}")
