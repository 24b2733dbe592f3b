"""`starflow worker-check` as a process, and what it said."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from tests.polyglot.toolchains import ROOT

_ROOMS = (ROOT, ROOT / "service", ROOT / "backends", ROOT / "sdk/python")
_PATIENCE_S = 400


def verdicts(
    command: Sequence[str], *options: str, path: str = os.environ["PATH"]
) -> dict[str, dict[str, str]]:
    """Return what came out of each row; the exit code has to say the same."""
    check = (sys.executable, "-m", "starflow.cli", "worker-check", "--json")
    done = subprocess.run(
        [*check, *options, "--", *command],
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, _ROOMS)),
            "PATH": path,
        },
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    failed = any(row["result"] == "FAIL" for row in rows)
    assert done.returncode == int(failed), done.stdout + done.stderr
    assert rows, done.stderr
    return {row["row"]: row for row in rows}
