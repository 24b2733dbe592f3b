"""The documents are true: their links lead somewhere, their scripts compile, and their
commands run, against a real server and in the order in which they stand.

A fence says what it is by the words after its language: ``sh run`` is executed, ``python
shop.py`` and ``starlark order.star`` are files that the commands find.
"""

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

# grpcurl comes with no package; `buf curl` does the same, and so the documents' requests
# are checked by it where there is no grpcurl.
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


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a shell finds after `make setup`, and a port of its own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    if not shutil.which("grpcurl"):
        (tools / "grpcurl").write_text(GRPCURL)
        (tools / "grpcurl").chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    scripts = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{scripts}:{tools}:{os.environ['PATH']}",
        "STARFLOW_ADDRESS": address,
        "STARFLOW_LISTEN": address,
    }


def executable(document: Path, port: str) -> str:
    """All commands of *document* as one script, which its background processes join."""
    blocks = [f.text for f in fences(document) if (f.language, f.word) == ("sh", "run")]
    return "set -euo pipefail\n" + "\n".join(blocks).replace(DEFAULT_PORT, port)


@pytest.mark.system
@pytest.mark.parametrize(
    "document",
    [d for d in DOCUMENTS if "```sh run" in d.read_text()],
    ids=name_of,
)
def test_commands_run(document, environment, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    for fence in fences(document):
        if "." in fence.word:
            (place / fence.word).write_text(fence.text)
    port = environment["STARFLOW_ADDRESS"].rpartition(":")[2]

    shell = subprocess.Popen(
        ["bash", "-c", executable(document, port)],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=PATIENCE_S)
    finally:
        # The session holds what the commands started in the background, too.
        os.killpg(shell.pid, signal.SIGKILL)

    assert shell.returncode == 0, said
