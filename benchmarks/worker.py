"""The worker process: `python -m benchmarks.worker ADDRESS CONCURRENCY JOURNAL`."""

import asyncio
import os
import sys
from typing import Any

import starflow

bench = starflow.Module("bench")


class Journal:
    """Where executions are noted, one line each; kept through a kill -9."""

    fd: int


@bench.function
async def echo(req: Any) -> Any:
    """Return the request."""
    return req


@bench.function
def echo_plain(req: Any) -> Any:
    """Return the request, from a thread."""
    return req


@bench.function
async def slow(ctx: starflow.TaskContext, req: dict[str, Any]) -> dict[str, Any]:
    """Return the request after a while; note that it was executed."""
    os.write(Journal.fd, f"{ctx.task_id}\n".encode())
    await asyncio.sleep(req["ms"] / 1000)
    return req


@bench.function
async def park() -> starflow.WaitForSignal:
    """Wait for a signal."""
    return starflow.wait_for_signal()


async def main(address: str, concurrency: int, journal: str) -> None:
    """Execute functions until told to stop."""
    Journal.fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    async with starflow.Client(address) as client:
        worker = starflow.Worker(client, modules=[bench], concurrency=concurrency)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
