"""The real service, in a process of its own."""

import subprocess
import sys

from tests.sdk.terminal import subprocess_environment


class Service:
    """A server process that can be killed and started again in the same place."""

    def __init__(self, store: str) -> None:
        self._store = store
        self.address = "127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        options = ["--store", self._store, "--listen", self.address]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "starflow_service", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=subprocess_environment(),
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.startswith("listening on "), said
        self.address = said.split()[-1]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
