"""Plays hostile programs in this process, each beside a neighbour; a line of JSON each.

What comes on standard input is a list of programs.  One that gets past its limits takes
this process down, by the limit of its address space or the patience of whoever started
it, and not the tests.
"""

import gc
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from starflow_service.engine.events import Failure
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine, Turn
from starflow_service.runtime import garbage
from starflow_service.runtime.slices import fitted
from starflow_service.starlark.diagnostics import ScriptSyntaxError
from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.program import compile_program
from starflow_service.starlark.remains import Remains
from tests.support.driver import World

ADDRESS_SPACE = 1 << 30
SLICE_NS = 1_000_000
# Answers that a neighbour has to wait for.
NEIGHBOUR_STEPS = 20
NEIGHBOUR = compile_program("""
def main(ctx, input):
    words = {}
    for n in range(input):
        word = f.echo(ctx, "w%d" % n)
        words[word] = [n * n for n in range(n)]
    return sorted(words)
""")


class Played:
    """A run whose world answers at once, and a watch on how long each turn takes."""

    def __init__(self, program: Any, value: Any, limits: Limits) -> None:
        self.ledger = Ledger(History(), World())
        self.machine = Machine(program, self.ledger, limits)
        self.machine.begin("hash", json.dumps(value))
        self.turned = Turn.SLICED
        self.hold_ns = 0
        self.slices = 0

    def step(self) -> bool:
        """Take one slice, or one answer of the world; False if the run stands."""
        if self.turned is Turn.BLOCKED and not self._answer():
            return False
        if self.turned in (Turn.FINISHED, Turn.PARKED):
            return False
        before = time.thread_time_ns()
        self.turned = self.machine.turn()
        took = time.thread_time_ns() - before
        meter = self.machine.meter
        meter.slice_steps = fitted(meter.slice_steps, took, SLICE_NS)
        self.hold_ns = max(self.hold_ns, took)
        self.slices += 1
        self.ledger.take()
        self.machine.take_prints()
        return True

    def _answer(self) -> bool:
        """Let the world answer one open call, or end one sleep."""
        history = self.ledger.history
        for version, call in history.calls.items():
            result: Any = call.call.input
            if call.call.function == "f.fails":
                result = Failure("BROKEN", "x" * 5_000)
            self.ledger.returned(
                version, result, attempts=1, worker_id="w", delivery="d"
            )
            break
        else:
            for version in history.sleeps:
                self.ledger.woke(version)
                break
            else:
                return False
        for arrival in self.ledger.take_arrivals():
            self.machine.arrive(arrival)
        return True

    def end(self) -> None:
        """Drop the interpreter, which takes time as well."""
        before = time.thread_time_ns()
        remains = Remains(self.machine.meter.remains)
        self.machine.kill()
        del self.machine
        has_more = True
        while has_more:
            self.hold_ns = max(self.hold_ns, time.thread_time_ns() - before)
            before = time.thread_time_ns()
            has_more = remains.give_back(1_000)


def play(told: dict[str, Any]) -> dict[str, Any]:
    """Play one program, and a neighbour between its slices."""
    said: dict[str, Any] = {"id": told["id"]}
    begun = time.thread_time_ns()
    neighbour = Played(NEIGHBOUR, NEIGHBOUR_STEPS, Limits())
    try:
        program = compile_program(told["source"])
    except ScriptSyntaxError as error:
        said |= {"end": "refused", "texts": [d.message for d in error.diagnostics]}
        said["texts"] += [d.hint for d in error.diagnostics]
    else:
        limits = Limits(max_steps=told["max_steps"])
        run = Played(program, told["input"], limits)
        while run.step():
            neighbour.step()
        said |= ended(run)
        run.end()
        said |= {"hold_ms": run.hold_ns / 1e6, "slices": run.slices}
    between = neighbour.slices
    while neighbour.step():
        pass
    finish = neighbour.ledger.history.finish
    said["neighbour"] = None if finish is None else finish.result
    said["neighbour_hold_ms"] = neighbour.hold_ns / 1e6
    said["between"] = between
    neighbour.end()
    said["cpu_ms"] = (time.thread_time_ns() - begun) / 1e6
    return said


def ended(run: Played) -> dict[str, Any]:
    """Say how *run* ended, in words and with all that its author would be told."""
    finish, abort = run.ledger.history.finish, run.machine.abort
    if abort is not None:
        is_limit = isinstance(abort, LimitError)
        cause = "" if abort.__cause__ is None else repr(abort.__cause__)
        return {
            "end": abort.limit if is_limit else type(abort).__name__,
            "texts": [abort.message],
            "stack": list(map(str, abort.stack)),
            "cause": cause,
        }
    if finish is None:
        return {"end": "waits", "texts": []}
    if isinstance(finish.result, Failure):
        stack = [finish.result.stack_trace]
        return {"end": "failed", "texts": [finish.result.message], "stack": stack}
    return {"end": "returned", "texts": [], "result": finish.result[:1_000]}


def forget_peak() -> None:
    """Begin to measure the largest resident size anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """Return the largest resident size since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("there is no VmHWM")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    programs = json.loads(sys.stdin.read())
    garbage.tend()
    for program in programs:
        gc.collect()
        forget_peak()
        said = play(program)
        said["peak_mib"] = peak_mib()
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
