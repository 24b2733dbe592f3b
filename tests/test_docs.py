"""The documents are true: their links lead somewhere, their scripts compile, and their
commands run, against a real server and in the order in which they stand.

A fence says what it is by the word after its language: ``sh run`` is executed, and
``python shop.py`` and ``starlark order.star`` are files that the commands find.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from starflow_service.starlark import compile_program

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
DEFAULT_PORT = "7233"
# What no command of a document needs; one that hangs is an error.
PATIENCE_S = 120

FENCE = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")

# grpcurl comes with no package.  `buf curl` does the same, and so the requests in the
# documents are checked by it where there is no grpcurl.
GRPCURL = """#!/usr/bin/env bash
[ "$1" = -plaintext ] && shift
data='{}'
if [ "$1" = -d ]; then data=$2; shift 2; fi
if [ "$2" = list ]; then
    exec buf curl --http2-prior-knowledge --protocol grpc --list-services "http://$1"
fi
exec buf curl --http2-prior-knowledge --protocol grpc -d "$data" "http://$1/$2"
"""


@dataclass(frozen=True)
class Fence:
    language: str
    word: str
    text: str


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def fences(document: Path) -> Iterator[Fence]:
    for language, word, text in FENCE.findall(document.read_text()):
        yield Fence(language, word, text)


def scripts() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for fence in fences(document):
            if fence.language == "starlark":
                yield name_of(document), fence.text


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document):
    links = [x for x in LINK.findall(document.read_text()) if "://" not in x]

    assert [x for x in links if not (document.parent / x).exists()] == []


@pytest.mark.parametrize(("document", "script"), scripts())
def test_scripts_compile(document, script):
    assert compile_program(script).functions is not None


@dataclass(frozen=True)
class Stage:
    """Where commands run: a directory, and what a shell finds after `make setup`."""

    place: Path
    environment: dict[str, str]
    port: str

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start *command* as the head of a session that holds all that it starts."""
        with (self.place / f"{name}.out").open("wb") as out:
            return subprocess.Popen(
                command,
                cwd=self.place,
                env=self.environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def said(self, name: str) -> str:
        return (self.place / f"{name}.out").read_text()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    tools = tmp_path / "tools"
    tools.mkdir()
    if not shutil.which("grpcurl"):
        (tools / "grpcurl").write_text(GRPCURL)
        (tools / "grpcurl").chmod(0o755)
    place = tmp_path / "place"
    place.mkdir()
    port = free_port()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{tools}:{os.environ['PATH']}",
        "STARFLOW_ADDRESS": f"127.0.0.1:{port}",
        "STARFLOW_LISTEN": f"127.0.0.1:{port}",
    }
    return Stage(place, environment, port)


def end_session(process: subprocess.Popen[bytes]) -> None:
    # What the commands started in the background may have outlived the shell.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def server(stage: Stage) -> Iterator[None]:
    """A server for the documents that take one for granted."""
    port_file = stage.place / "port"
    command = ["starflow", "serve", "--port-file", str(port_file)]
    process = stage.start("server", *command)
    try:
        while not port_file.exists():
            assert process.poll() is None, stage.said("server")
        yield
    finally:
        end_session(process)


def executed(document: Path) -> str:
    blocks = [f.text for f in fences(document) if (f.language, f.word) == ("sh", "run")]
    return "\n".join(blocks)


def play(document: Path, stage: Stage) -> None:
    """Run all commands of *document* in one shell."""
    for fence in fences(document):
        if "." in fence.word:
            (stage.place / fence.word).write_text(fence.text)
    commands = executed(document).replace(DEFAULT_PORT, stage.port)
    shell = stage.start("shell", "bash", "-euo", "pipefail", "-c", commands)
    try:
        assert shell.wait(timeout=PATIENCE_S) == 0, stage.said("shell")
    finally:
        end_session(shell)


SELF_CONTAINED = [d for d in DOCUMENTS if "starflow serve" in executed(d)]
NEED_A_SERVER = [d for d in DOCUMENTS if executed(d) and d not in SELF_CONTAINED]


@pytest.mark.system
@pytest.mark.parametrize("document", SELF_CONTAINED, ids=name_of)
def test_commands_run(document, stage):
    play(document, stage)


@pytest.mark.system
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("document", NEED_A_SERVER, ids=name_of)
def test_commands_run_against_a_server(document, stage):
    play(document, stage)


def test_the_front_door_is_tested():
    assert [name_of(d) for d in SELF_CONTAINED] == ["README.md"]
    assert ROOT / "docs/protocol.md" in NEED_A_SERVER
