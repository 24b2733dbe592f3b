"""Values that are made once and never changed, as the type checker sees to it.

A dataclass that is frozen at run time sets each field in a roundabout way, which takes
five times as long, and a step of a run sets forty fields.  All modules are
checked, and whoever writes to one of these is told so.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make *cls* a dataclass with slots, equality and a hash."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
