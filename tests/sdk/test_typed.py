"""Type checkers see what a user of the SDK gets wrong, and nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TYPED = Path(__file__).parent / "typed"


def said_by(*command: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    return ended.stdout


def mypy(path: Path) -> set[int]:
    # Only this file: what it imports is checked by `make lint`.
    said = said_by("mypy", "--strict", "--follow-imports=silent", str(path))
    return {int(n) for n in re.findall(rf"{path.name}:(\d+): error:", said)}


def pyright(path: Path) -> set[int]:
    options = ["--outputjson", "--pythonpath", sys.executable]
    found = json.loads(said_by("pyright", *options, str(path)))
    assert found["summary"]["filesAnalyzed"] == 1
    return {each["range"]["start"]["line"] + 1 for each in found["generalDiagnostics"]}


@pytest.mark.parametrize("check", [mypy, pyright])
@pytest.mark.parametrize("name", ["good.py", "bad.py"])
def test_a_checker_finds_the_mistakes(check, name):
    path = TYPED / name
    lines = path.read_text().splitlines()
    wrong = {n for n, line in enumerate(lines, 1) if "  # wrong" in line}

    assert check(path) == wrong
