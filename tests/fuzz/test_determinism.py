"""The same decisions, to the byte, wherever and however the process is started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(
    str(ROOT / room) for room in ("service", "backends", "sdk/python", ".")
)
# A locale that is not installed is as good as C.
ENVIRONMENTS = {
    "another hash": {"PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8"},
    "hashes by chance": {"PYTHONHASHSEED": "random", "TZ": "America/St_Johns"},
    "another locale": {"LC_ALL": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati"},
    "no assertions": {"PYTHONOPTIMIZE": "1", "PYTHONUTF8": "1", "LC_ALL": "C"},
}


def decisions(environment: dict[str, str]) -> dict[str, object]:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.decisions"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PATHS, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(line) for line in ended.stdout.splitlines())


@pytest.fixture(scope="module")
def expected() -> dict[str, object]:
    return decisions({"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"})


def test_restarts_change_nothing(expected):
    restarted = [name for name in expected if name.endswith(", restarted")]

    assert len(restarted) > 50
    for name in restarted:
        assert expected[name] == expected[name.removesuffix(", restarted")], name


def test_the_order_in_which_calls_end_does_change_something(expected):
    """Or the orders would not be a test."""
    logs = {expected[f"parallel, {order}"] for order in range(3)}

    assert len(logs) == 3


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_another_process_decides_the_same(expected, name):
    found = decisions(ENVIRONMENTS[name])

    different = [key for key, value in expected.items() if found.get(key) != value]
    assert different == []
    assert found.keys() == expected.keys()
