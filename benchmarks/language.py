"""What a script costs before and beside its steps: compiling, starting, standing by."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping

import psutil

from benchmarks.engine import best_of_five
from benchmarks.figures import Figure, Report
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine, Turn
from starflow_service.starlark import compile_program
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.program import Program
from tests.support.driver import World

# Thirty lines of what workflows are made of.
SCRIPT = """\
load("time", "minute", "sleep")

TRIES = 3
FREE_SHIPPING_CENTS = 5000

def total_of(items):
    cents = 0
    for item in items:
        cents += item["cents"] * item.get("count", 1)
    return cents

def shipping_for(cents):
    if cents >= FREE_SHIPPING_CENTS:
        return 0
    return 490

def main(ctx, input):
    cents = total_of(input["items"])
    cents += shipping_for(cents)
    for number in range(TRIES):
        stock = shop.reserve(ctx, {"items": input["items"], "try": number})
        if stock["reserved"]:
            break
        sleep(ctx, minute)
    nameless = [item["name"] for item in input["items"] if not item["name"]]
    if nameless:
        fail("items without a name: %d" % len(nameless))
    paid = payments.charge(ctx, {"cents": cents, "card": input["card"]})
    mail.send(ctx, {"to": input["to"], "text": "{} cents paid".format(cents)})
    return {"cents": cents, "receipt": paid["receipt"]}
"""
INPUT = '{"items": [{"name": "lamp", "cents": 1200}], "card": "4711", "to": "a@b.c"}'
STARTS = 2_000
LIVE_RUNS = 10_000


def started(program: Program, world: World) -> Machine:
    """Return the interpreter of a new run, blocked in its first call."""
    machine = Machine(program, Ledger(History(), world), Limits())
    machine.begin("hash", INPUT)
    assert machine.turn() is Turn.BLOCKED, machine.abort
    return machine


def measure_compile(repeat: int) -> Report:
    """Compile a script of ordinary size."""
    report = Report(
        "compile",
        "a script of thirty lines, from text to code",
        {"lines": SCRIPT.count("\n")},
        (Figure("compile", "ms"),),
    )
    for _ in range(repeat):
        report.add({"compile": best_of_five(lambda: compile_program(SCRIPT)) * 1e3})
    return report


def measure_start(repeat: int) -> Report:
    """Start runs, up to where each waits for its first call; and end them."""
    program, world = compile_program(SCRIPT), World()

    def play() -> None:
        for _ in range(STARTS):
            started(program, world).kill()

    report = Report(
        "start",
        "a run of a compiled script: made, turned until its first call, dropped",
        {"runs": STARTS},
        (Figure("start", "us"),),
    )
    for _ in range(repeat):
        report.add({"start": best_of_five(play) / STARTS * 1e6})
    return report


def measure_live(repeat: int) -> Report:
    """Hold many suspended runs in memory, in a process of their own."""
    report = Report(
        "live",
        "memory of a suspended run with its interpreter and its log",
        {"runs": LIVE_RUNS},
        (Figure("a live run", "KiB"),),
    )
    for _ in range(repeat):
        command = [sys.executable, "-m", "benchmarks.language", str(LIVE_RUNS)]
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        report.add({"a live run": json.loads(said.stdout)["bytes"] / 1024})
    return report


def bytes_per_live_run(runs: int) -> float:
    """Return how much this process grows by a suspended run."""
    program, world = compile_program(SCRIPT), World()
    process = psutil.Process()
    # What the first of them brings into memory is not theirs.
    held = [started(program, world) for _ in range(100)]
    before = process.memory_info().rss
    held += [started(program, world) for _ in range(runs)]
    grown = process.memory_info().rss - before
    for machine in held:
        machine.kill()
    return float(grown) / runs


PARTS: Mapping[str, Callable[[int], Report]] = {
    "compile": measure_compile,
    "start": measure_start,
    "live": measure_live,
}

if __name__ == "__main__":
    print(json.dumps({"bytes": bytes_per_live_run(int(sys.argv[1]))}))
