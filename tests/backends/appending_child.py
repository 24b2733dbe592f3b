"""A process that appends until it is killed, and says what was acknowledged.

`python appending_child.py DATABASE` goes on where it was.  Each append has two events
and moves a timer, so that half of one would be seen.
"""

import asyncio
import os
import sys

from starflow_backends import Append, SharedStore, Store, claim_all, open_store

RUNS = [f"ns/{n}" for n in range(20)]


def event_at(run: str, version: int) -> bytes:
    """The event that is *version* in the log of *run*."""
    return f"{run} {version} ".encode() * (version % 40)


def timer_at(version: int) -> int:
    """When the timer of a run at *version* is due."""
    return 1_000_000 + version


async def append_on(store: Store, run: str) -> None:
    """Append to *run* for ever."""
    found = await store.load(run)
    version = found.version if found else 0
    while True:
        after = version + 2
        await store.append(
            Append(
                run=run,
                expected_version=version,
                append_id=f"{run} {version}",
                events=[event_at(run, version + 1), event_at(run, after)],
                timers={"t": timer_at(after)},
            )
        )
        version = after
        # One write of one line: it is in the pipe as soon as the call returns.
        os.write(sys.stdout.fileno(), f"{run} {version}\n".encode())


async def main(url: str) -> None:
    """Append to all runs at the same time."""
    store = open_store(url)
    await store.open()
    if isinstance(store, SharedStore):
        await claim_all(store)
    await asyncio.gather(*(append_on(store, run) for run in RUNS))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
