"""The command line as tests type it."""

import os
from pathlib import Path

import pytest

from starflow import cli

ROOT = Path(__file__).parents[2]
_PATHS = [str(ROOT / room) for room in ("sdk/python", "service", "backends")]


class Terminal:
    """Runs commands against a service and shows what they print."""

    def __init__(self, address: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._address = address
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.main(["--address", self._address, *arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err


def subprocess_environment() -> dict[str, str]:
    """What a child process needs in order to find the packages of this tree."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(_PATHS)}
