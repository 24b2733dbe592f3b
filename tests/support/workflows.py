"""Workflows by chance: a seed makes a script, always the same one."""

from collections.abc import Callable
from random import Random

HEADER = """load("flow", "flow")
load("time", "hour", "millisecond", "minute", "now", "second", "sleep")
load("rand", rand_int="int")

def main(ctx, input):
    seen = []
    open = []
"""


def make_workflow(seed: int) -> str:
    """Return a script of calls, fan-outs, sleeps, reads, branches and loops."""
    return HEADER + _Maker(Random(seed)).block(1, depth=0) + "    return seen\n"


class _Maker:
    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._names = 0

    def block(self, indent: int, *, depth: int) -> str:
        count = self._chance.randint(1, 4 if depth else 6)
        return "".join(self._statement(indent, depth) for _ in range(count))

    def _statement(self, indent: int, depth: int) -> str:
        simple: list[Callable[[], str]] = [
            self._call,
            self._call,
            self._start,
            self._wait,
            self._sleep,
            self._read,
            self._ask,
        ]
        if depth < 2 and self._chance.random() < 0.3:
            return self._compound(indent, depth)
        return f"{'    ' * indent}{self._chance.choice(simple)()}\n"

    def _compound(self, indent: int, depth: int) -> str:
        self._names += 1
        heads = [
            f"for n{self._names} in range({self._chance.randint(1, 3)}):",
            "if len(seen) % 2:",
            "if seen and rand_int(ctx, 2):",
        ]
        head = self._chance.choice(heads)
        return f"{'    ' * indent}{head}\n" + self.block(indent + 1, depth=depth + 1)

    def _call(self) -> str:
        return f"seen.append(test.echo(ctx, {self._value()}))"

    def _ask(self) -> str:
        return f"seen.append(test.ask(ctx, {self._value()}))"

    def _start(self) -> str:
        return f"open.append(flow.start(ctx, test.echo, {self._value()}))"

    def _wait(self) -> str:
        return self._chance.choice(
            [
                "seen.append(flow.wait(ctx, open))",
                "seen.append(flow.wait(ctx, open[-1]) if open else None)",
                "seen.append([flow.wait(ctx, f) for f in open[:2]])",
            ]
        )

    def _sleep(self) -> str:
        return f"sleep(ctx, {self._chance.randint(0, 5)} * second)"

    def _read(self) -> str:
        return self._chance.choice(
            ["seen.append(now(ctx))", "seen.append(rand_int(ctx, 1000))"]
        )

    def _value(self) -> str:
        return self._chance.choice(
            ["len(seen)", "{'last': seen[-1:]}", "1.0", "2 << 80", "(1, 'é')", "None"]
        )
