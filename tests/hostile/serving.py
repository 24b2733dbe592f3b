"""Has programs played by a real server, while honest runs go on beside them.

`python -m tests.hostile.serving` plays all of them and says what the honest runs felt.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starflow
from tests.hostile.collection import PROGRAMS
from tests.hostile.program import Program
from tests.support.processes import Server, Stage, until_async

HONEST = """
def main(ctx, input):
    return f.echo(ctx, input)
"""
# How many programs are under way at a time, and how long one may take.
AT_A_TIME = 4
PATIENCE_S = 120.0
# Honest runs before the first program is sent.
WARM_UP, ALONE = 30, 200

functions = starflow.Module("f")


@functions.function
async def echo(req: Any) -> Any:
    return req


@functions.function
async def fails(req: Any) -> Any:
    raise starflow.PermanentError("x" * 5_000, code="BROKEN")


@dataclass
class Seen:
    """How the programs ended, and what the honest runs felt, in milliseconds."""

    ends: dict[str, str] = field(default_factory=dict)
    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)


async def play(
    client: starflow.Client, programs: Sequence[Program], *, alone: int = ALONE
) -> Seen:
    """Send *programs* to a server, beside honest runs one after the other."""
    seen = Seen()
    for _ in range(WARM_UP):
        await _honest_run(client)
    seen.alone_ms = [await _honest_run(client) for _ in range(alone)]
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(program: Program) -> None:
        async with free:
            seen.ends[program.id] = await _end_of(client, program)

    async def honest() -> None:
        while True:
            seen.beside_ms.append(await _honest_run(client))

    beside = asyncio.create_task(honest())
    try:
        await asyncio.gather(*map(one, programs))
    finally:
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
    return seen


async def _honest_run(client: starflow.Client) -> float:
    begun = time.perf_counter()
    run = await client.start(HONEST, input=7, wait=10)
    assert await run.result(timeout=PATIENCE_S) == 7
    return (time.perf_counter() - begun) * 1e3


async def _end_of(client: starflow.Client, program: Program) -> str:
    """Send one program; return how it ended, in the words of the collection."""
    try:
        run = await client.start(
            program.source,
            input=program.input,
            run_id=program.id,
            allow_unregistered=True,
            wait=10,
        )
        await run.result(timeout=PATIENCE_S)
    except starflow.ScriptInvalid:
        return "refused"
    except starflow.TooLarge:
        return "refused"
    except starflow.RunFailed:
        return "failed"
    except starflow.RunYielded:
        return "waits"
    except starflow.RunPaused as paused:
        return paused.message.partition(":")[0]
    except starflow.ResultTimeout:
        return "waits"
    return "returned"


@contextlib.asynccontextmanager
async def serving(place: Path, *options: str) -> AsyncIterator[starflow.Client]:
    """Provide a client of a server with a worker; the server must outlive all."""
    with Stage(place) as stage:
        server = stage.add(Server(place, *options))
        await server.start()
        async with starflow.Client(server.address) as client:
            worker = starflow.Worker(client, modules=[functions])
            working = asyncio.create_task(worker.run())
            try:

                async def knows_worker() -> bool:
                    return (await client.validate(HONEST)).valid

                await until_async(knows_worker, "the worker is registered")
                yield client
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
        assert server.is_running, stage.last_words()


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


async def main() -> int:
    made = argparse.ArgumentParser("tests.hostile.serving", description=__doc__)
    made.add_argument("--every", type=int, default=1, help="play each so-manieth")
    made.add_argument("--max-steps", type=int, default=10_000_000)
    arguments = made.parse_args()
    programs = list(PROGRAMS)
    random.Random(1).shuffle(programs)
    programs = programs[:: arguments.every]
    with tempfile.TemporaryDirectory(prefix="starflow-hostile-") as place:
        async with serving(
            Path(place), f"--max-steps={arguments.max_steps}", "--log-level=error"
        ) as client:
            seen = await play(client, programs)
    say = sys.stdout.write
    say(f"{len(programs)} programs: {dict(Counter(seen.ends.values()))}\n")
    for name, values in (("alone", seen.alone_ms), ("beside", seen.beside_ms)):
        p50, p99 = percentile(values, 50), percentile(values, 99)
        say(f"honest runs {name}: {len(values)}, p50 {p50:.1f} ms, p99 {p99:.1f} ms,")
        say(f" longest {max(values):.1f} ms\n")
    wrong = {p.id: seen.ends[p.id] for p in programs if seen.ends[p.id] not in p.ends}
    for name, end in wrong.items():
        say(f"WRONG {name}: ended {end}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
