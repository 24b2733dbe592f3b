"""All hostile programs, by kind."""

from tests.hostile.program import Kind, Program
from tests.hostile.programs import (
    branching,
    churn,
    data,
    depth,
    escapes,
    keys,
    loops,
    memory,
    natives,
    numbers,
    sorting,
    source,
    text,
    world,
)

_MODULES = (
    branching, churn, data, depth, escapes, keys, loops, memory, natives, numbers,
    sorting, source, text, world,
)  # fmt: skip

KINDS: dict[str, Kind] = {
    value.name: value
    for module in _MODULES
    for value in vars(module).values()
    if isinstance(value, Kind)
}
PROGRAMS: list[Program] = [
    program for kind in KINDS.values() for program in kind.programs
]
