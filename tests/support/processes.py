"""Servers and workers as real processes, which never outlive whoever started them.

A process is ended when the block of its `Stage` is left, however it is left.  Where the
kernel can do it, it also dies with the process that started it: not even a test run
that was itself killed with -9 leaves anything behind.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self, TypeVar

ROOT = Path(__file__).parents[2]
# The rooms of the tree and not an installed package: what is tested is what is here.
_PATH = [ROOT, ROOT / "service", ROOT / "backends", ROOT / "sdk/python"]

# Nothing here takes as long; a test that hangs is worse than one that fails.
PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.005
_LAST_WORDS = 4_000

# `prctl` and not a `preexec_fn`: between fork and exec of a process with threads
# nothing but exec is safe.  The parent may have died before the call, so look again.
_DIE_WITH_PARENT = """
import ctypes, os, sys
PR_SET_PDEATHSIG, SIGKILL = 1, 9
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

T = TypeVar("T")
P = TypeVar("P", bound="Process")


class EndedError(AssertionError):
    """A process ended that should go on; its last words are in the message."""


async def until(
    condition: Callable[[], T], what: str, *, timeout_s: float = PATIENCE_S
) -> T:
    """
    Look until *condition* gives something that counts as true, and return that.

    Raises:
        AssertionError: It has not for *timeout_s*.
    """

    async def look() -> T:
        return condition()

    return await until_async(look, what, timeout_s=timeout_s)


async def until_async(
    condition: Callable[[], Awaitable[T]], what: str, *, timeout_s: float = PATIENCE_S
) -> T:
    """Do as `until`, for a condition that has to be awaited."""
    ends_at = time.monotonic() + timeout_s
    while not (value := await condition()):
        if time.monotonic() > ends_at:
            raise AssertionError(f"not in {timeout_s:g} s: {what}")
        await asyncio.sleep(_LOOK_EVERY_S)
    return value


class Process:
    """
    One Python module as a process, which may be started again after it ended.

    Its output, that of all its lives, goes to a file in *place*.
    """

    def __init__(self, name: str, place: Path, module: str, *arguments: str) -> None:
        self.name = name
        self.place = place
        self._command = (sys.executable, "-m", module, *arguments)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of its present life."""
        return self._present.pid

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """All that it wrote."""
        path = self._output_path
        return path.read_text(errors="replace") if path.exists() else ""

    def launch(self, *more_arguments: str) -> None:
        """Start it, without waiting for anything."""
        assert not self.is_running, f"{self.name} runs already"
        # A setting of the person who runs the tests is not meant for them.
        environment = {k: v for k, v in os.environ.items() if "STARFLOW_" not in k}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, _PATH))
        environment["PYTHONUNBUFFERED"] = "1"
        with self._output_path.open("ab") as output:
            self._process = subprocess.Popen(
                [*prelude(), *self._command, *more_arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        self._present.send_signal(number)

    async def kill(self) -> None:
        """End it as a power cut would, and come back when it is gone."""
        self._present.kill()
        await self.wait()

    async def terminate(self) -> int:
        """Ask it to end, and return its exit status."""
        self.send(signal.SIGTERM)
        return await self.wait()

    async def wait(self, *, timeout_s: float = PATIENCE_S) -> int:
        """Wait until it has ended by itself; return its exit status."""
        process = self._present
        await until(
            lambda: process.poll() is not None,
            f"{self.name} ends",
            timeout_s=timeout_s,
        )
        return process.wait()

    def end(self) -> None:
        """See to it that it is gone; when a test is over, nothing else counts."""
        if self._process is not None:
            # SIGKILL reaches a stopped process, too.
            self._process.kill()
            self._process.wait()

    async def until(self, condition: Callable[[], T], what: str) -> T:
        """
        Do as `until`, but give up as soon as the process has ended.

        Raises:
            EndedError: It has.
        """

        def look() -> T:
            value = condition()
            if not value and not self.is_running:
                raise EndedError(f"{self.name} ended: {self.output[-_LAST_WORDS:]}")
            return value

        return await until(look, f"{self.name}: {what}")

    @property
    def _present(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    @property
    def _output_path(self) -> Path:
        return self.place / f"{self.name}.out"


class Server(Process):
    """`python -m starflow_service`; the address stays the same over its lives."""

    def __init__(self, place: Path, *options: str, store: str = "") -> None:
        self.store = store or f"sqlite:{place / 'starflow.db'}"
        arguments = ("--store", self.store, *options)
        super().__init__("server", place, "starflow_service", *arguments)
        # For the lives to come.
        self.more_options: tuple[str, ...] = ()
        self._port = 0
        self._starts = 0

    @property
    def address(self) -> str:
        """Where it listens, or will listen again."""
        assert self._port, "the server was never started"
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it, and come back when it listens."""
        port_file = self._launch_listening()
        self._port = await self.until(lambda: _number_in(port_file), "listens")

    async def refuse_to_start(self) -> str:
        """Start it in vain; return what it wrote about that."""
        said_before = len(self.output)
        port_file = self._launch_listening()
        status = await self.wait()
        assert status > 0, f"the server ended with status {status}"
        assert not port_file.exists(), "it refused to start, but listened"
        return self.output[said_before:]

    def _launch_listening(self) -> Path:
        # A file for each life: the port of the life before must not be taken for news.
        self._starts += 1
        port_file = self.place / f"port-{self._starts}"
        listen = f"127.0.0.1:{self._port}"
        self.launch(
            "--listen", listen, "--port-file", str(port_file), *self.more_options
        )
        return port_file


class Stage:
    """
    The processes of one test or measurement, and a directory for their files.

    Used as a context manager; what still runs when the block is left is killed.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.end()

    def add(self, process: P) -> P:
        """Take care of *process*."""
        self._processes.append(process)
        return process

    def last_words(self) -> str:
        """Return the end of what each process wrote."""
        return "\n".join(
            f"--- {process.name}:\n{process.output[-_LAST_WORDS:]}"
            for process in self._processes
        )


def prelude() -> list[str]:
    """Return the beginning of a command whose process dies with this one."""
    if sys.platform != "linux":
        return []
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]


def _number_in(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        # Not there yet, or not written to its end.
        return 0
