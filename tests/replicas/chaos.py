"""Kill one of several servers at a random moment, again and again, and keep the score.

    python -m tests.replicas.chaos --rounds 20 --replicas 3

Each round starts runs of ten steps, kills one server with -9 while they are under way,
brings it back, and checks every history: see `tests.system.histories`.  With
``--victim redis`` Redis is killed and restarted, and with ``--victim frozen`` a server
is stopped by SIGSTOP until all is done without it: nobody can see that it is not alive,
so its leases have to end.
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.replicas.crew import Crew, open_crew
from tests.support.processes import PATIENCE_S, until
from tests.system import histories
from tests.system.test_kills import ONE_AFTER_THE_OTHER, STEPS

# About as long as the runs take, so that most of them are in the middle.
STEP_MS = 200


@dataclass(frozen=True)
class Score:
    """What one round showed."""

    runs: int
    under_way: int
    lost: int
    doubled: int
    violations: Sequence[str]
    # Seconds from the kill until the last of those under way did a step again.
    moving_s: float
    all_s: float


@contextlib.asynccontextmanager
async def harm(crew: Crew, victim: str, chance: Random) -> AsyncIterator[None]:
    """Do harm, and go on while the victim is away; it is back after the block."""
    number = chance.randrange(len(crew.servers))
    if victim == "redis":
        async with crew.redis_killed():
            await asyncio.sleep(chance.uniform(0, 2))
        yield
    elif victim == "frozen":
        async with crew.frozen(number):
            yield
    else:
        async with crew.killed(number):
            yield


async def play_round(
    crew: Crew, name: str, runs: int, victim: str, chance: Random
) -> Score:
    """Start *runs*, do harm while they are under way, and check what came."""
    scene = crew.scene
    before = scene.journal.count()
    began_s = time.monotonic()

    async def play(n: int) -> object:
        run = await scene.client.start(
            ONE_AFTER_THE_OTHER,
            run_id=f"{name}-{n}",
            input={"start": n, "ms": STEP_MS},
        )
        return await run.result()

    tasks = [asyncio.create_task(play(n)) for n in range(runs)]
    steps = int(runs * STEPS * 2 * chance.uniform(0.1, 0.8))
    await until(lambda: scene.journal.count() >= before + steps, "steps are done")
    killed_ns = time.time_ns()
    under_way = [n for n, task in enumerate(tasks) if not task.done()]
    async with harm(crew, victim, chance):
        await asyncio.gather(*tasks)
    found = await scene.histories([f"{name}-{n}" for n in range(runs)])
    wrong = [n for n, task in enumerate(tasks) if task.result() != {"value": n + 45}]
    returns = (Counter(_returned(history)) for history in found)
    doubled = sum(count - 1 for each in returns for count in each.values())
    moved = [
        min(
            (e.begin_ns for e in found[n].executions if e.begin_ns > killed_ns),
            default=0,
        )
        for n in under_way
    ]
    return Score(
        runs=runs,
        under_way=len(under_way),
        lost=len(wrong),
        doubled=doubled,
        violations=[v for each in found for v in histories.violations(each)],
        moving_s=max(0.0, (max(moved, default=killed_ns) - killed_ns) / 1e9),
        all_s=time.monotonic() - began_s,
    )


def _returned(history: histories.History) -> list[int]:
    """Return the calls that have a result, each as often as it has one."""
    return [
        event.return_event.call_version
        for event in history.log
        if event.HasField("return_event")
    ]


async def main(
    rounds: int, replicas: int, runs: int, lease_s: float, victim: str, seed: int
) -> int:
    """Play all rounds and print the table; return how much went wrong."""
    chance = Random(seed)
    bad = 0
    print(
        f"{replicas} replicas, lease {lease_s:g} s, {runs} runs of {STEPS} steps,"
        f" victim: {victim}"
    )
    print("round  under way  lost  double  violations  moving again  all done")
    with tempfile.TemporaryDirectory() as place:
        async with open_crew(
            Path(place), replicas, lease_s=lease_s, patience_s=rounds * PATIENCE_S
        ) as crew:
            await crew.scene.start_worker()
            worst_s = 0.0
            for number in range(1, rounds + 1):
                score = await play_round(crew, f"round-{number}", runs, victim, chance)
                bad += score.lost + score.doubled + len(score.violations)
                worst_s = max(worst_s, score.moving_s)
                print(
                    f"{number:5}{score.under_way:11}{score.lost:6}{score.doubled:8}"
                    f"{len(score.violations):12}{score.moving_s:12.2f} s"
                    f"{score.all_s:8.2f} s",
                    flush=True,
                )
                for words in score.violations[:10]:
                    print(f"       {words}")
                await crew.until_balanced()
    print(f"all moving again after at most {worst_s:.2f} s; {bad} faults")
    return bad


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--lease", type=float, default=3.0)
    parser.add_argument(
        "--victim", choices=("server", "redis", "frozen"), default="server"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    raise SystemExit(
        min(
            1,
            asyncio.run(
                main(
                    given.rounds,
                    given.replicas,
                    given.runs,
                    given.lease,
                    given.victim,
                    given.seed,
                )
            ),
        )
    )
