"""The documents are true: their links lead somewhere, their scripts compile, and their
commands run, against a real server and in the order in which they stand.

A fence says what it is by the word after its language: ``sh run`` is executed, ``sh
background`` goes on beside the rest, and ``python shop.py`` and ``starlark order.star``
are files that the commands find.  ``starlark taxes/main.star`` is a file of a bundle.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from starflow.v1.failure_pb2 import ErrorReason
from starflow_service.config import TABLE
from starflow_service.rpc import status
from starflow_service.starlark import Bundle, compile_bundle, compile_program
from starflow_service.starlark.codes import CODES
from tests.polyglot.toolchains import path_with_grpcurl
from tests.starlark.evaluate import evaluate

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

# Exit codes of `starflow`.
OK = 0
WAITS_FOR_SIGNAL = 6
# What a server and a worker say when they are there.
READY = re.compile(r"^listening on |INFO +registered$")
# What a reader copies from the output of the commands before.
PLACEHOLDERS = {
    "SIGNAL_ID": re.compile(r"starflow signal \S+ (\S+)"),
    "TASK_TOKEN": re.compile(r'"task_?[tT]oken": *"([^"]+)"'),
}

FENCE = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")

# grpcurl comes with no package, and is built where there is Go.  Elsewhere `buf curl`,
# which does the same, checks the requests in the documents.
GRPCURL = """#!/usr/bin/env bash
shift  # -plaintext
data='{}'
if [ "$1" = -d ]; then data=$2; shift 2; fi
if [ "$data" = @ ]; then data=@-; fi
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
            if is_script(fence) and "/" not in fence.word:
                yield name_of(document), fence.text


def is_script(fence: Fence) -> bool:
    return fence.language == "starlark" and fence.word != "values"


def bundles() -> Iterator[tuple[str, Bundle]]:
    """Yield the bundles: fences whose names begin with the same folder."""
    for document in DOCUMENTS:
        found: dict[str, dict[str, str]] = {}
        for fence in fences(document):
            folder, slash, path = fence.word.partition("/")
            if is_script(fence) and slash:
                found.setdefault(folder, {})[path] = fence.text
        for folder, files in found.items():
            yield f"{name_of(document)}: {folder}", Bundle(files)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document):
    links = [x for x in LINK.findall(document.read_text()) if "://" not in x]

    assert [x for x in links if not (document.parent / x).exists()] == []


@pytest.mark.parametrize(("document", "script"), list(scripts()))
def test_scripts_compile(document, script):
    assert compile_program(script).functions is not None


@pytest.mark.parametrize(("name", "bundle"), list(bundles()))
def test_bundles_compile_without_a_warning(name, bundle):
    program = compile_bundle(bundle)

    assert len(program.files) == len(bundle.sources) > 1
    assert not program.warnings


def stated_values() -> Iterator[tuple[str, str]]:
    for fence in fences(ROOT / "docs/language.md"):
        if fence.word == "values":
            for line in fence.text.splitlines():
                expression, _, value = line.partition("  # ")
                yield expression.strip(), value.strip()


@pytest.mark.parametrize(("expression", "value"), list(stated_values()))
def test_expressions_have_the_values_that_are_stated(expression, value):
    assert evaluate(expression) == value


@pytest.mark.system
def test_the_demo_tells_a_true_story():
    """It checks its own log and its worker's words, and fails if they differ."""
    demo = [sys.executable, ROOT / "examples/order/demo.py"]

    played = subprocess.run(
        demo, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )

    assert played.returncode == 0, played.stdout + played.stderr
    assert "killed with -9" in played.stdout


def test_the_settings_are_all_written_down():
    text = (ROOT / "docs/operating.md").read_text()
    rows = re.findall(r"^\| `(--\S+)` \| (?:`(\S+)`)? *\|", text, re.MULTILINE)

    assert rows == [(setting.flag, setting.default) for setting in TABLE]


def test_the_codes_of_findings_are_all_written_down():
    text = (ROOT / "docs/language.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\w+) \| (.*) \|$", text, re.MULTILINE)

    assert rows == [(name, code.severity, code.meaning) for name, code in CODES.items()]


def test_the_reasons_of_errors_are_all_written_down():
    text = (ROOT / "docs/operating.md").read_text()
    documented = {
        (status, reason)
        for status, reasons in re.findall(
            r"^\| ([A-Z_]+) \| ([A-Z_, ]+) \|$", text, re.MULTILINE
        )
        for reason in reasons.split(", ")
    }

    assert documented == {
        (code.name, ErrorReason.Name(reason).removeprefix("ERROR_REASON_"))
        for code, reason in status.TABLE.values()
    }


@dataclass(frozen=True)
class Stage:
    """Where a document is played: what a shell finds after `make setup`."""

    place: Path
    environment: dict[str, str]
    port: str
    # All that was printed by the commands, to find the placeholders in.
    said: list[str] = field(default_factory=list)
    background: list[subprocess.Popen[str]] = field(default_factory=list)

    def play(self, fence: Fence) -> None:
        if "." in fence.word:
            (self.place / fence.word).write_text(fence.text)
        elif fence.word == "background":
            self._start(fence.text)
        elif fence.word == "run":
            self._run(self._filled(fence.text))

    def _filled(self, text: str) -> str:
        for placeholder, pattern in PLACEHOLDERS.items():
            if placeholder in text:
                text = text.replace(
                    placeholder, pattern.findall("".join(self.said))[-1]
                )
        return text.replace(DEFAULT_PORT, self.port)

    def _run(self, commands: str) -> None:
        shell = self._shell(commands)
        try:
            said, _ = shell.communicate(timeout=PATIENCE_S)
        finally:
            end_session(shell)
        self.said.append(said)
        assert shell.returncode in (OK, WAITS_FOR_SIGNAL), said

    def _start(self, command: str) -> None:
        shell = self._shell(command)
        self.background.append(shell)
        assert shell.stdout is not None
        # A process that never gets ready is ended, and then its output ends.
        bound = threading.Timer(PATIENCE_S, end_session, [shell])
        bound.start()
        said = []
        for line in shell.stdout:
            said.append(line)
            if READY.search(line):
                break
        bound.cancel()
        assert shell.poll() is None, "".join(said)
        # Somebody has to read on, or the process is blocked by what it prints.
        threading.Thread(target=shell.communicate, daemon=True).start()

    def _shell(self, commands: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def end_session(shell: subprocess.Popen[str]) -> None:
    """End *shell* and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def by() -> str:
    """What the commands of a document are typed into that say grpcurl."""
    return "grpcurl"


@pytest.fixture
def stage(tmp_path: Path, by: str) -> Iterator[Stage]:
    tools = tmp_path / "tools"
    tools.mkdir()
    path = os.environ["PATH"]
    if by == "grpcurl" and (shutil.which("grpcurl") or shutil.which("go")):
        path = path_with_grpcurl()
    else:
        (tools / "grpcurl").write_text(GRPCURL)
        (tools / "grpcurl").chmod(0o755)
    place = tmp_path / "place"
    place.mkdir()
    port = free_port()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{tools}:{path}",
        "STARFLOW_ADDRESS": f"127.0.0.1:{port}",
        "STARFLOW_LISTEN": f"127.0.0.1:{port}",
    }
    stage = Stage(place, environment, port)
    yield stage
    for shell in stage.background:
        end_session(shell)


PLAYED = [d for d in DOCUMENTS if any(f.word == "run" for f in fences(d))]


# A request is the same JSON for both.
BY_HAND = [(d, "buf curl") for d in PLAYED if "grpcurl -plaintext" in d.read_text()]


@pytest.mark.system
@pytest.mark.parametrize(
    ("document", "by"),
    [(d, "grpcurl") for d in PLAYED] + BY_HAND,
    ids=lambda each: each if isinstance(each, str) else name_of(each),
)
def test_commands_run(document, by, stage):
    for fence in fences(document):
        stage.play(fence)


def test_the_front_door_is_played():
    assert {"README.md", "docs/protocol.md"} <= {name_of(d) for d in PLAYED}
    assert {"README.md", "docs/protocol.md"} <= {name_of(d) for d, _ in BY_HAND}
