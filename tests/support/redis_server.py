"""A real redis-server, which never outlives the tests."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from tests.support.processes import PATIENCE_S, prelude

_LOOK_EVERY_S = 0.005
# In a configuration file.
EMPTY = '""'
# What a store demands of its Redis.
SAFE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}


def executable() -> str:
    """Return where redis-server is; without one no test of Redis says anything."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    assert found, "redis-server is missing: `make setup` installs it, or says how"
    return found


class RedisServer:
    """
    `redis-server` in a directory of its own, on a socket that is only in there.

    *settings* are those of its configuration file; it can be killed and started again.
    """

    def __init__(self, place: Path, *, on_tcp: bool = False, **settings: str) -> None:
        self.place = place
        self.socket = place / "redis.sock"
        self.port = free_port() if on_tcp else 0
        named = {name.replace("_", "-"): value for name, value in settings.items()}
        self._settings = {**SAFE, **named}
        # What commands authenticate with.
        self.password = named.get("requirepass", "")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        if self.port:
            return f"redis://127.0.0.1:{self.port}"
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """The process id of its present life."""
        assert self._process is not None
        return self._process.pid

    @property
    def data(self) -> Path:
        """Its append-only file: a directory of several from Redis 7 on."""
        files = self.place / "appendonlydir"
        return files if files.exists() else self.place / "appendonly.aof"

    @property
    def output(self) -> str:
        """All that it wrote."""
        return (self.place / "redis.out").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and come back when it answers."""
        self.launch()
        ends_at = time.monotonic() + PATIENCE_S
        while not self.answers():
            assert self._process is not None
            assert self._process.poll() is None, self.output
            assert time.monotonic() < ends_at, self.output
            time.sleep(_LOOK_EVERY_S)

    def launch(self) -> None:
        """Start it, without waiting for anything."""
        # A path of a socket has at most some 100 characters: it is named relatively.
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": self.socket.name,
            "dir": ".",
            "save": "",
            **self._settings,
        }
        lines = [f"{name} {value or EMPTY}" for name, value in options.items()]
        (self.place / "redis.conf").write_text("\n".join(lines))
        with (self.place / "redis.out").open("ab") as output:
            self._process = subprocess.Popen(
                [*prelude(), executable(), "redis.conf"],
                cwd=self.place,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """End it as the death of its process would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def end(self) -> None:
        """See to it that it is gone."""
        if self._process is not None:
            self.kill()

    def command(self, *words: str | bytes | int) -> str:
        """Carry out a command as redis-cli would; return its first line."""
        with self._asked(words) as answer:
            line = answer.readline().decode().strip()
            if line.startswith("$") and line != "$-1":
                return answer.read(int(line[1:])).decode(errors="replace")
        assert not line.startswith("-"), line
        return line

    def array(self, *words: str | bytes | int) -> list[str]:
        """Carry out a command whose answer is a list of words."""
        with self._asked(words) as answer:
            line = answer.readline().decode().strip()
            assert line.startswith("*"), line
            found = []
            for _ in range(int(line[1:])):
                length = int(answer.readline()[1:])
                found.append(answer.read(length + 2)[:length].decode())
        return found

    @contextmanager
    def _asked(self, words: Sequence[str | bytes | int]) -> Iterator[BufferedReader]:
        packed = [str(w).encode() if not isinstance(w, bytes) else w for w in words]
        parts = [b"*%d\r\n" % len(packed)]
        parts += [b"$%d\r\n%b\r\n" % (len(part), part) for part in packed]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(self.socket))
            with connection.makefile("rb") as answer:
                if self.password:
                    connection.sendall(f"AUTH {self.password}\r\n".encode())
                    assert answer.readline() == b"+OK\r\n"
                connection.sendall(b"".join(parts))
                yield answer

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def answers(self, words: str = "+PONG") -> bool:
        """Whether it answers a PING with *words*, or with an error that has them."""
        try:
            return words in self.command("PING")
        except AssertionError as error:
            return words in str(error)
        except OSError:
            return False


def free_port() -> int:
    """Return a port that nobody listens on, low enough for a node of a cluster."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        # The port of its bus is 10,000 higher.
        if port <= 55_535:
            return port
