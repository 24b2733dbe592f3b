"""The parts of the service by themselves, in this process: no network and no disk."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType
from typing import Any, cast

from benchmarks.figures import Figure, Report, geometric_mean
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine, Turn
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.starlark import compile_program
from starflow_service.starlark.host import Host
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.outcomes import SLICED, SUSPENDED, Returned
from starflow_service.starlark.thread import Thread
from tests.support.driver import Run, World

_PROGRAMS = Path(__file__).parent / "programs"
# What is measured is the language, and not where its bounds are.
_NO_LIMITS = Limits(max_steps=10**12, max_allocated_bytes=10**15)
# So that each program takes some ten milliseconds in CPython.
_SIZE = 3

RECORDED_CALLS = 10_000
SUSPENSIONS = 20_000

REPLAYED = """
def main(ctx, input):
    total = 0
    for n in range(input):
        total += bench.echo(ctx, {"n": n, "note": "leave it at the door"})["n"]
    return total
"""

SUSPENDED_OFTEN = """
def main(ctx, input):
    for n in range(input):
        bench.echo(ctx, n)
"""


class Waiting:
    """A host whose calls suspend the script once, and return nothing; no more."""

    def call(self, m: Meter, function: str, req: Any, options: object = None) -> Any:
        """Suspend."""
        m.suspend()

    def finish(self, m: Meter, value: Any) -> None:
        """Take the result."""


# The programs measured here ask for nothing else.
WAITING = cast(Host, Waiting())


def measure_replay(repeat: int) -> Report:
    """Replay a run that made many calls."""
    run = Run(REPLAYED, {"bench.echo": lambda req: req}, RECORDED_CALLS).go_on()
    codec = ProtoCodec()
    stored = [codec.encode(event) for event in run.log]

    def replay() -> None:
        log = [codec.decode(data) for data in stored]
        machine = Machine(run.program, Ledger(History(), World()), Limits())
        machine.load(log, printed=None)
        while (turned := machine.turn()) is Turn.SLICED:
            pass
        assert turned is Turn.FINISHED, machine.abort

    report = Report(
        "replay",
        f"a log of {RECORDED_CALLS:,} calls, from stored bytes to the script's end",
        {"events": len(stored), "bytes": sum(map(len, stored))},
        (Figure("replay", "s", 0.5), Figure("decoding alone", "s")),
    )
    for _ in range(repeat):
        report.add(
            {
                "replay": seconds(replay),
                "decoding alone": seconds(lambda: [codec.decode(d) for d in stored]),
            }
        )
    return report


def measure_suspend(repeat: int) -> Report:
    """Leave a script in the middle of a call and come back, again and again."""
    program = compile_program(SUSPENDED_OFTEN)

    def play() -> None:
        thread = Thread(program, WAITING, _NO_LIMITS)
        outcome = thread.start(lambda m: SUSPENSIONS)
        while outcome is SUSPENDED or outcome is SLICED:
            outcome = thread.resume()
        assert isinstance(outcome, Returned), outcome

    report = Report(
        "suspend",
        "suspend and resume of a script, with the loop and the call around it",
        {"suspensions": SUSPENSIONS},
        (Figure("suspend and resume", "us", 5),),
    )
    for _ in range(repeat):
        report.add({"suspend and resume": seconds(play) / SUSPENSIONS * 1e6})
    return report


def measure_compute(repeat: int) -> Report:
    """Run small programs as scripts and as Python; the text is the same."""
    paths = sorted(_PROGRAMS.glob("*.star"))
    report = Report(
        "compute",
        "time of a script, over that of the same text in CPython",
        {"programs": len(paths), "best of": 5},
        (
            Figure("geometric mean", "x", 6),
            *(Figure(path.stem, "x") for path in paths),
        ),
    )
    for _ in range(repeat):
        ratios = {path.stem: _ratio(path.read_text()) for path in paths}
        report.add({**ratios, "geometric mean": geometric_mean([*ratios.values()])})
    return report


def _ratio(text: str) -> float:
    program = compile_program(text)
    python = compile(text, "program", "exec")
    results: dict[str, Any] = {}

    def as_script() -> None:
        thread = Thread(program, WAITING, _NO_LIMITS)
        outcome = thread.start(lambda m: _SIZE)
        while outcome is SLICED:
            outcome = thread.resume()
        assert isinstance(outcome, Returned), outcome
        results["script"] = outcome.value

    def as_python() -> None:
        results["python"] = _main_of(python)(None, _SIZE)

    ratio = best_of_five(as_script) / best_of_five(as_python)
    if results["script"] != results["python"]:
        raise AssertionError(f"a program means two things: {results}")
    return ratio


def _main_of(python: CodeType) -> Callable[[None, int], Any]:
    names: dict[str, Any] = {}
    exec(python, names)
    main: Callable[[None, int], Any] = names["main"]
    return main


def seconds(play: Callable[[], Any]) -> float:
    """Return how long *play* takes."""
    began = time.perf_counter()
    play()
    return time.perf_counter() - began


def best_of_five(play: Callable[[], Any]) -> float:
    """Return the shortest time of *play*: what else the machine does only adds."""
    return min(seconds(play) for _ in range(5))


PARTS: Mapping[str, Callable[[int], Report]] = {
    "replay": measure_replay,
    "suspend": measure_suspend,
    "compute": measure_compute,
}
