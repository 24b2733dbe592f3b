"""A worker of the system tests: `python -m tests.system.worker ADDRESS JOURNAL GATES`.

It writes down what it executes before and after doing it.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import starflow
from tests.support.processes import until
from tests.system.journal import Journal

step = starflow.Module("step")


class Place:
    """Where this worker writes its journal, and where gates are opened for it."""

    journal: Journal
    gates: Path


@contextlib.contextmanager
def told(ctx: starflow.TaskContext) -> Iterator[None]:
    """Tell the journal of an execution, and how it ends if it does."""
    facts = {
        "run_id": ctx.run_id,
        "call_version": ctx.call_version,
        "attempt": ctx.attempt,
        "task_id": ctx.task_id,
        "signal_id": ctx.signal_id,
    }
    Place.journal.write("begin", **facts)
    try:
        yield
    except asyncio.CancelledError:
        Place.journal.write("cancel", **facts)
        raise
    except Exception:
        Place.journal.write("fail", **facts)
        raise
    Place.journal.write("end", **facts)


async def open_gate(name: str) -> None:
    """Wait until the test opens the gate *name*."""
    await until((Place.gates / name).exists, f"gate {name} is opened")


@step.function
async def add(ctx: starflow.TaskContext, req: dict[str, Any]) -> dict[str, Any]:
    """Add two numbers, slowly."""
    with told(ctx):
        await asyncio.sleep(req["ms"] / 1000)
        return {"value": req["value"] + req["n"]}


@step.function
def multiply(ctx: starflow.TaskContext, req: dict[str, Any]) -> dict[str, Any]:
    """Multiply two numbers, slowly, and in a thread."""
    with told(ctx):
        time.sleep(req["ms"] / 1000)
        return {"value": req["value"] * req["n"]}


@step.function(retry=starflow.Retry(max_attempts=6, initial=0.4, coefficient=1.5))
async def flaky(ctx: starflow.TaskContext, req: dict[str, Any]) -> int:
    """Fail as often as the request says."""
    with told(ctx):
        if ctx.attempt <= req["failures"]:
            raise ConnectionError(f"attempt {ctx.attempt} fails")
        return ctx.attempt


@step.function
async def hold(ctx: starflow.TaskContext, req: dict[str, Any]) -> Any:
    """Return once the gate is open."""
    with told(ctx):
        await open_gate(req["gate"])
        return req


@step.function
async def ask(ctx: starflow.TaskContext, req: dict[str, Any]) -> starflow.WaitForSignal:
    """Wait for a signal; say so only once the gate is open."""
    with told(ctx):
        await open_gate(req["gate"])
        return starflow.wait_for_signal(req.get("timeout"))


async def main(address: str, journal: Path, gates: Path) -> None:
    """Execute functions until told to stop."""
    Place.journal = Journal(journal)
    Place.gates = gates
    async with starflow.Client(address) as client:
        await starflow.Worker(client, modules=[step], concurrency=64).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
