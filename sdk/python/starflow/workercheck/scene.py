"""The server, the proxy, the worker and the client of one check."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from starflow._client import Client
from starflow._model import RunInfo
from starflow._run import Run
from starflow.errors import RequestError
from starflow.workercheck.proxy import Proxy
from starflow.workercheck.record import Record
from starflow.workercheck.stream_tap import Fault

T = TypeVar("T")

# How long a silent worker keeps its tasks, and how often it is to show life.
LEASE_SECONDS = 2.0
HEARTBEAT_SECONDS = 0.6
_LOOK_SECONDS = 0.01


class Miss(Exception):
    """The worker does not do what the row asks; the message says what it did."""


class NotApplicable(Exception):
    """The row asks nothing of this worker; the message says why."""


class Child:
    """A process with a session of its own, and a file for what it prints."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def start(self, command: Sequence[str], **environment: str) -> None:
        """
        Start *command*.

        Raises:
            OSError: There is no such program.
        """
        # What is set for the shell that this is typed into is not meant for them.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STARFLOW_")}
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=kept | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def terminate(self) -> None:
        """Ask it to end: it alone, as a container's runtime does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and what it started, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    async def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        # A thread that waits would be left behind by whoever stops waiting.
        while (code := self.exit_code) is None:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        return code

    def last_words(self, lines: int = 5) -> str:
        """Return the end of what it printed."""
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        return "\n".join(text.rstrip().splitlines()[-lines:])


class Scene:
    """What a row plays with."""

    def __init__(
        self,
        command: Sequence[str],
        place: Path,
        patience_seconds: float,
        *,
        streams: bool = False,
    ) -> None:
        self.record = Record()
        self.worker = Child(place / "worker.log")
        self.server = Child(place / "server.log")
        # Nothing that is waited for takes longer, in a worker that does what is asked.
        self.patience_seconds = patience_seconds
        self._command = command
        self._place = place
        self._port = 0
        self._proxy = Proxy(self.record, lambda: self.address, streams=streams)
        self._runs: list[Run] = []
        self._client: Client | None = None

    @property
    def address(self) -> str:
        """Where the server listens."""
        return f"127.0.0.1:{self._port}"

    @property
    def streams_opened(self) -> int:
        """How many streams the worker has opened."""
        return self._proxy.streams_opened

    @property
    def client(self) -> Client:
        """A client that reaches the server without the proxy."""
        assert self._client is not None
        return self._client

    async def __aenter__(self) -> Self:
        try:
            await self.start_server()
        except BaseException:
            self.server.kill()
            raise
        self._client = Client(self.address)
        await self._proxy.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.worker.kill()
        self.server.kill()
        await self._proxy.stop()
        await self.client.close()

    # Server and worker

    async def start_server(self) -> None:
        """
        Start the server, on the port and the store that it had before if it had.

        Raises:
            RuntimeError: It ended instead of listening.
        """
        port_file = self._place / "port"
        port_file.unlink(missing_ok=True)
        options = {
            "--listen": self.address,
            "--port-file": str(port_file),
            "--store": f"sqlite:{self._place / 'check.db'}",
            "--lease": f"{LEASE_SECONDS:g}s",
            "--heartbeat": f"{HEARTBEAT_SECONDS:g}s",
            "--log-level": "warning",
        }
        arguments = [part for option in options.items() for part in option]
        self.server.start([sys.executable, "-m", "starflow_service", *arguments])
        while not (port_file.exists() and port_file.read_text().strip()):
            if not self.server.is_running:
                words = self.server.last_words()
                raise RuntimeError(f"the server did not start: {words}")
            await asyncio.sleep(_LOOK_SECONDS)
        self._port = int(port_file.read_text())

    async def kill_server(self) -> None:
        """End the server as a power cut would; connections break, none can be made."""
        self.server.kill()
        self.record.broken()
        await self._proxy.stop()

    async def return_server(self) -> None:
        """Start the server again."""
        await self.start_server()
        await self._proxy.start()

    async def start_worker(self) -> None:
        """
        Start the command, and come back when it has registered and polls.

        Raises:
            Miss: It ended, or does nothing.
        """
        self.record.life += 1
        self.worker.start(self._command, STARFLOW_ADDRESS=self._proxy.address)
        since = self.record.place()
        await self.until(
            lambda: any(e.response for e in self.record.of("RegisterFunction", since)),
            "it has not called RegisterFunction",
        )
        await self.until(
            lambda: self.record.of("Poll", since), "it registered, but does not poll"
        )

    def cut_streams(self) -> None:
        """Break the worker's streams off, if it has any."""
        self._proxy.cut_streams()

    @contextlib.contextmanager
    def losing(self, fault: Fault) -> Iterator[None]:
        """Lose what *fault* says while the block lasts."""
        self._proxy.fault = fault
        try:
            yield
        finally:
            self._proxy.fault = None

    # Runs

    async def start(self, script: str, input: Any = None) -> Run:
        """Start a run of a script, or of one function."""
        body = script if "def main" in script else _calling(script)
        run = await self.client.start(
            body,
            input=input,
            run_id=f"check-{uuid.uuid4().hex[:12]}",
            allow_unregistered=True,
        )
        self._runs.append(run)
        return run

    async def output(self, script: str, input: Any = None) -> Any:
        """
        Return what a run came to.

        Raises:
            Miss: It failed, or did not end.
        """
        return await self.outcome(await self.start(script, input))

    async def outcome(self, run: Run) -> Any:
        """
        Return what *run* came to.

        Raises:
            Miss: It failed, or did not end.
        """
        info = await self.ended(run)
        if info.failure is not None:
            raise Miss(f"the function failed: {info.failure}")
        return info.output

    async def ended(self, run: Run) -> RunInfo:
        """
        Return *run* when it has finished or yielded.

        Raises:
            Miss: It has not in time.
        """
        info: RunInfo = await self._watched(run.wait(timeout=self.patience_seconds))
        if not info.finished and info.state != "YIELDED":
            got = len(self.record.deliveries(run.id))
            done = sum(1 for _, t in self.record.deliveries(run.id) if self.reported(t))
            raise Miss(
                f"the run did not end in {self.patience_seconds:g} s; of it the worker "
                f"got {_counted(got, 'task')} and reported {done}"
            )
        return info

    def reported(self, task: Any) -> bool:
        """Return whether any result of *task* was reported."""
        return any(True for _ in self.record.reports(task.task_token))

    async def held(self, run: Run, count: int = 1) -> list[Any]:
        """
        Return the tasks of *run* when the worker has got *count* of them.

        Raises:
            Miss: It has not in time.
        """
        await self.until(
            lambda: len(self.record.deliveries(run.id)) >= count,
            f"it has not got {_counted(count, 'task')} at a time",
        )
        return [task for _, task in self.record.deliveries(run.id)]

    async def until(self, condition: Callable[[], T], otherwise: str) -> T:
        """
        Wait until *condition* gives something that counts as true; return that.

        Raises:
            Miss: It has not in time, or the worker has ended.
        """
        value: T = await self._watched(self.record.until(condition), otherwise)
        return value

    async def _watched(self, wait: Any, otherwise: str = "nothing happened") -> Any:
        """Await *wait*, but not longer than the worker lives and patience lasts."""
        waiting = asyncio.ensure_future(wait)
        watching = asyncio.ensure_future(self.worker.wait())
        try:
            # Longer than the service waits, which knows better what to say then.
            await asyncio.wait(
                (waiting, watching),
                timeout=self.patience_seconds + 1,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if waiting.done():
                return waiting.result()
            if watching.done():
                words = self.worker.last_words()
                raise Miss(f"it ended with exit code {watching.result()}: {words}")
            raise Miss(f"{otherwise} in {self.patience_seconds:g} s")
        finally:
            for each in (waiting, watching):
                each.cancel()
            await asyncio.gather(waiting, watching, return_exceptions=True)

    async def clear(self) -> None:
        """End the runs of a row that is over, and what it did to the connection."""
        self._proxy.fault = None
        for run in self._runs:
            with contextlib.suppress(RequestError):
                await run.terminate("the row is over")
        self._runs.clear()


def _calling(function: str) -> str:
    return f"def main(ctx, input):\n    return {function}(ctx, input)\n"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
