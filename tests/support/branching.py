"""Workflows with branches by chance: a seed makes a script, always the same one.

Everything that a branch sees goes into one list, which is the result: so a switch at
another place than before shows.
"""

from collections.abc import Callable
from random import Random

HEADER = """load("flow", "flow")
load("time", "hour", "millisecond", "minute", "now", "second", "sleep")
load("rand", "rand")

def main(ctx, input):
    seen = []
    open = []

    def note(what, value=None):
        seen.append((what, str(value)[:60]))
        print(what, len(seen))

    def twice(ctx, x):
        return [test.echo(ctx, x), test.echo(ctx, x)]

    def broken(x):
        test.echo(ctx, x)
        return [][x]

"""
FOOTER = """    note("end", flow.catch(flow.wait, ctx, open))
    if input["round"] < input["rounds"]:
        flow.restart(ctx, {"round": input["round"] + 1, "rounds": input["rounds"]})
    return seen
"""


def make_branching(seed: int) -> str:
    """Return a script of branches, signals, timeouts, deferred functions and calls."""
    maker = _Maker(Random(seed))
    return HEADER + maker.branches() + maker.block("    ") + FOOTER


class _Maker:
    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._defined: list[str] = []

    def branches(self) -> str:
        text = ""
        for number in range(self._chance.randint(1, 3)):
            name = f"work{number}"
            text += f"    def {name}(n):\n"
            text += self.block("        ")
            text += f"        note('{name}')\n        return n\n\n"
            self._defined.append(name)
        return text

    def block(self, indent: str) -> str:
        count = self._chance.randint(1, 6)
        return "".join(f"{indent}{self._statement()}\n" for _ in range(count))

    def _statement(self) -> str:
        choices: list[Callable[[], str]] = [
            lambda: f"note('call', test.echo(ctx, {self._value()}))",
            lambda: f"note('ask', test.ask(ctx, {self._value()}))",
            lambda: f"open.append(flow.start(ctx, test.echo, {self._value()}))",
            lambda: f"open.append(flow.start(ctx, test.ask, {self._value()}))",
            lambda: f"sleep(ctx, {self._chance.randint(0, 5)} * second)",
            lambda: "note('time', flow.now(ctx))",
            lambda: "note('draw', (rand.int(ctx, 100), rand.float(ctx)))",
            lambda: "flow.set_status(ctx, 'at work', 0.5, {'seen': len(seen)})",
            lambda: f"note('broken', flow.catch(broken, {self._value()}))",
            lambda: "note('failed', flow.catch(test.fail, ctx, 1))",
            self._wait,
            self._wait,
            self._first,
            self._map,
            self._signal,
            self._signal,
            self._defer,
        ]
        if self._defined:
            choices += [self._spawn] * 5
        return self._chance.choice(choices)()

    def _spawn(self) -> str:
        work = self._chance.choice(self._defined)
        if self._chance.random() < 0.2:
            work = "broken"
        return f"open.append(flow.spawn(ctx, {work}, {self._chance.randint(0, 9)}))"

    def _wait(self) -> str:
        what = self._chance.choice(["open", "open[-2:]", "open[:1]"])
        bound = self._chance.choice(["", f", timeout={self._seconds()}"])
        return f"note('wait', flow.catch(flow.wait, ctx, {what}{bound}))"

    def _first(self) -> str:
        rest = self._chance.choice(["True", "False"])
        return (
            "note('first', flow.catch(flow.first, ctx, "
            f"open[-3:] or [flow.start(ctx, test.echo, 0)], cancel_rest={rest}))"
        )

    def _map(self) -> str:
        function = self._chance.choice(["test.echo", "test.odd", "twice"])
        errors = self._chance.choice(["raise", "return"])
        return (
            f"note('map', flow.catch(flow.map, ctx, {function}, "
            f"range({self._chance.randint(0, 5)}), errors='{errors}', "
            f"max_concurrency={self._chance.randint(0, 3)}))"
        )

    def _signal(self) -> str:
        name = self._chance.choice(["go", "stop"])
        bound = self._chance.choice(["", f", timeout={self._seconds()}"])
        default = self._chance.choice(["", ", default='none'"]) if bound else ""
        return (
            f"note('signal', flow.catch(flow.wait_signal, ctx, '{name}'"
            f"{bound}{default}))"
        )

    def _defer(self) -> str:
        on = self._chance.choice(["always", "failure", "success"])
        work = self._chance.choice(
            ["note, 'deferred'", "test.echo, ctx, 1", "twice, ctx, 2", "broken, 3"]
        )
        return f"flow.defer(ctx, {work}, on='{on}')"

    def _seconds(self) -> str:
        return f"{self._chance.randint(1, 5)} * second"

    def _value(self) -> str:
        return self._chance.choice(["len(seen)", "1.0", "2 << 80", "'é'", "None"])
