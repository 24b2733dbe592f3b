"""One order from beginning to end, with the server killed in the middle: `make demo`.

Server and worker are real processes, and the kill is a real one.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import starflow

HERE = Path(__file__).parent
RUN_ID = "order-1001"
ORDER = {"order": "1001", "items": ["lamp", "bulb", "bulb"]}
# Nothing here takes as long; a demo that hangs is worse than one that fails.
PATIENCE_S = 60
START_S = time.monotonic()


def say(who: str, text: str) -> None:
    """Print one line of the story."""
    print(f"{time.monotonic() - START_S:6.2f} s  {who:<7} {text}", flush=True)


class Server:
    """The server's process; the address survives it, as the store does."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._address = "127.0.0.1:0"
        self._process: asyncio.subprocess.Process | None = None
        self._starts = 0

    @property
    def address(self) -> str:
        """Where the server listens."""
        return self._address

    async def start(self) -> None:
        """Start it, and come back when it listens."""
        self._starts += 1
        port_file = self._place / f"port-{self._starts}"
        store = self._place / "starflow.db"
        with (self._place / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "starflow_service",
                "--store", f"sqlite:{store}",
                "--listen", self._address,
                "--port-file", str(port_file),
                stdout=log, stderr=log,
            )  # fmt: skip
        while not (port_file.exists() and port_file.read_text().strip()):
            if self._process.returncode is not None:
                raise RuntimeError(f"the server ended: {self.log()}")
            await asyncio.sleep(0.02)
        self._address = f"127.0.0.1:{port_file.read_text().strip()}"
        say("server", f"process {self._process.pid} listens on {self._address}")

    async def kill(self) -> None:
        """End it as a power cut would: it gets no chance to tidy up."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        say("server", f"process {self._process.pid} killed with -9")

    async def stop(self) -> None:
        """End it politely, if it is there."""
        if self._process is not None:
            await end(self._process)

    def log(self) -> str:
        """What the server wrote, its last lines."""
        return (self._place / "server.log").read_text()[-2000:]


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask *process* to end, and see to it."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


class Worker:
    """The worker's process, and what it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode().rstrip()
            say("worker", text)
            async with self._news:
                self._lines.append(text)
                self._news.notify_all()

    async def has_said(self, text: str) -> None:
        """Wait until a line of the worker contains *text*."""
        async with self._news:
            await self._news.wait_for(lambda: any(text in x for x in self._lines))

    def times_said(self, text: str) -> int:
        """Return in how many lines *text* stands."""
        return sum(text in line for line in self._lines)

    async def stop(self) -> None:
        """Let it finish what it has in hand, and end it."""
        await end(self._process)
        await self._reader


@contextlib.asynccontextmanager
async def running_server(place: Path) -> AsyncIterator[Server]:
    """Provide a server that is gone afterwards, whatever happens."""
    server = Server(place)
    try:
        await server.start()
        yield server
    except BaseException:
        print(server.log(), file=sys.stderr)
        raise
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def running_worker(address: str) -> AsyncIterator[Worker]:
    """Provide a worker that is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, HERE / "worker.py", address,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    say("worker", f"process {process.pid} connects to {address}")
    worker = Worker(process)
    try:
        yield worker
    finally:
        await worker.stop()


async def story(server: Server, worker: Worker, client: starflow.Client) -> Any:
    """Run the order, in spite of everything, and return its result."""
    script = (HERE / "workflow.star").read_text()
    # The worker is just starting, too: its functions need not be known yet.
    await client.start(script, input=ORDER, run_id=RUN_ID, allow_unregistered=True)
    say("client", f"run {RUN_ID} is accepted")

    await worker.has_said("the bank is slow")
    await server.kill()
    say("", "the worker goes on; nobody is there to report to")
    await server.start()

    waiting = await client.wait(RUN_ID, timeout=PATIENCE_S)
    (signal_id,) = waiting.signal_ids
    say("client", f"the run waits for a person; answering signal {signal_id}")
    await client.signal(RUN_ID, signal_id, {"approved": True, "by": "Ada"})

    result = await client.result(RUN_ID, timeout=PATIENCE_S)
    say("client", f"run {RUN_ID} has finished")
    return result


def described(event: starflow.Event) -> str:
    """Return what is worth reading about *event*, in one line."""
    words = [event.function] if event.function else []
    if event.call_version:
        words.append(f"of {event.call_version}")
    for value in (event.input, event.output):
        if value is not None:
            words.append(json.dumps(value))
    if "value" in event.detail:
        words.append(str(event.detail["value"]))
    if event.type == "RETURN" and event.detail.get("attempts", 1) > 1:
        words.append(f"after {event.detail['attempts']} attempts")
    return "  ".join(words)


def show(result: Any, log: list[starflow.Event]) -> None:
    """Print the result and the log."""
    print("\nThe result:\n")
    print("  " + json.dumps(result, indent=2).replace("\n", "\n  "))
    print("\nThe log, each step recorded once:\n")
    for event in log:
        text = described(event)
        cut = text if len(text) <= 90 else text[:89] + "…"
        print(f"  {event.version:>3}  {event.time:%H:%M:%S}  {event.type:<9} {cut}")


def check(worker: Worker, log: list[starflow.Event]) -> None:
    """Make sure that the story is true."""
    expected = (
        "START CALL RETURN CALL RETURN CALL YIELD RESUME CALL RETURN TIME_NOW FINISH"
    )
    assert " ".join(event.type for event in log) == expected
    for done in ("holding", "charged", "waiting for approval", "shipping"):
        assert worker.times_said(done) == 1, f"{done}: not once"
    print(
        "\nThe server was killed while the card was being charged. The card was charged"
        "\nonce, nothing was reserved twice, and the script had to do nothing for it."
    )


async def main() -> None:
    """Set the stage, run the story, show what is left of it."""
    with tempfile.TemporaryDirectory(prefix="starflow-demo-") as place:
        async with (
            asyncio.timeout(PATIENCE_S),
            running_server(Path(place)) as server,
            running_worker(server.address) as worker,
            starflow.Client(server.address) as client,
        ):
            result = await story(server, worker, client)
            log = [event async for event in client.events(RUN_ID)]
            show(result, log)
            check(worker, log)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except TimeoutError:
        sys.exit(f"demo: no end in {PATIENCE_S} s")
