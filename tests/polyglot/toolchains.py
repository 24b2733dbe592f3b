"""The workers of examples/workers: what each needs, how it is built, how it is started.

A worker whose toolchain is not installed is left out, and the summary of the tests says
so. With TOOLCHAINS=required in the environment, as in continuous integration, that is
an error. (Not STARFLOW_TOOLCHAINS: servers refuse settings that they do not know.)
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKERS = ROOT / "examples/workers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starflow"
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"
# The first build of all has to fetch and compile what others are made of.
_BUILD_SECONDS = 600


@dataclass(frozen=True)
class Example:
    """One worker."""

    name: str
    # The programs that it needs.
    tools: tuple[str, ...]
    # The file that is the protocol, and how its comments begin.
    protocol: str
    # Its command; BUILT is what the build printed.
    command: tuple[str, ...]
    profile: str = "full"

    @property
    def missing(self) -> list[str]:
        """What of its tools is not installed."""
        return [tool for tool in self.tools if shutil.which(tool) is None]

    def build(self) -> list[str]:
        """Build it, and return its command."""
        built = ""
        if (WORKERS / self.name / "build.sh").exists():
            built = output(WORKERS / self.name / "build.sh")
        return [part.replace("BUILT", built) for part in self.command]


EXAMPLES = (
    Example("go", ("go",), "worker.go", ("BUILT",)),
    Example(
        "java",
        ("java", "mvn"),
        "src/main/java/Worker.java",
        ("java", "-cp", "BUILT", "Worker"),
    ),
    Example("rust", ("cargo",), "src/main.rs", ("BUILT",)),
    Example("typescript", ("node", "npm"), "worker.ts", ("node", "BUILT")),
    Example(
        "shell",
        # grpcurl is built where it is not installed.
        ("jq", "bash", "grpcurl" if shutil.which("grpcurl") else "go"),
        "worker.sh",
        ("bash", str(WORKERS / "shell/worker.sh")),
        "basic",
    ),
)
PRESENT = [example for example in EXAMPLES if not example.missing]


def output(*command: str | Path, **environment: str) -> str:
    """Run a command that has to succeed, and return the last line that it printed."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        env={**os.environ, "PYTHON": sys.executable, **environment},
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip().rpartition("\n")[2]


def path_with_grpcurl() -> str:
    """Return a PATH on which grpcurl is found, building it if it has to be."""
    if shutil.which("grpcurl") is None:
        place = CACHE / "tools"
        if not (place / "grpcurl").exists():
            output("go", "install", GRPCURL, GOBIN=str(place))
        return f"{place}:{os.environ['PATH']}"
    return os.environ["PATH"]


def left_out() -> list[str]:
    """Return what cannot be tested here, and why, a line each."""
    lines = [
        f"the worker in {each.name}: there is no {' and no '.join(each.missing)}"
        for each in EXAMPLES
        if each.missing
    ]
    if not shutil.which("go"):
        lines.append("the SDK for Go: there is no go")
    if not (shutil.which("node") and shutil.which("npm")):
        lines.append("the SDK for TypeScript: there is no node with npm")
    if not (shutil.which("grpcurl") or shutil.which("go")):
        lines.append("grpcurl: there is none, and no go to build it; buf curl stood in")
    return lines
