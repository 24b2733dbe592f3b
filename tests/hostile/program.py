"""What a hostile program is: a script, and how it has to end.

An end is one of

* the name of a limit, such as ``max_steps``; ``spent`` is any of those that bound a
  script as a whole: steps, CPU time and memory,
* ``refused``: it does not compile,
* ``failed``: it ends by an error of its own, as an honest script would,
* ``returned``: it was harmless after all,

or several of them, with ``|`` between.
"""

import textwrap
from dataclasses import dataclass
from typing import Any

# For a program whose harm is in the first moment, one that has to prepare it, and one
# that must have time to fill the memory.  The default of ten million makes no
# difference but in time.
ENOUGH_STEPS = 400_000
SOME_STEPS = 1_000_000
MANY_STEPS = 2_000_000

SPENT = frozenset({"max_steps", "max_allocated_bytes", "max_cpu_time"})


@dataclass(frozen=True)
class Program:
    kind: str
    name: str
    ends: frozenset[str]
    source: str
    input: Any = None
    max_steps: int = ENOUGH_STEPS

    @property
    def id(self) -> str:
        return f"{self.kind}.{self.name}"


class Kind:
    """Programs that go for the same thing."""

    def __init__(self, name: str, *, max_steps: int = ENOUGH_STEPS) -> None:
        self.name = name
        self.max_steps = max_steps
        self.programs: list[Program] = []

    def file(self, name: str, ends: str, source: str, value: Any = None) -> None:
        """Add a program by all of its text."""
        wanted = frozenset(ends.split("|"))
        if "spent" in wanted:
            wanted |= SPENT
        self.programs.append(
            Program(self.name, name, wanted, source, value, self.max_steps)
        )

    def body(self, name: str, ends: str, body: str, value: Any = None) -> None:
        """Add a program by the body of its `main`."""
        text = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
        self.file(name, ends, f"{LOADS}def main(ctx, input):\n{text}\n", value)

    def top(self, name: str, ends: str, source: str) -> None:
        """Add a program by all of its text but the loads."""
        self.file(name, ends, LOADS + textwrap.dedent(source).strip("\n") + "\n")


LOADS = "".join(
    f'load("{module}", "{module}")\n'
    for module in ("json", "math", "time", "rand", "flow")
)
