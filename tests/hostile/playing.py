"""Has programs played by child processes, and gives up on no program but the guilty."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.hostile.program import Program

ROOT = Path(__file__).parents[2]
# For one batch; an honest one takes some seconds.
PATIENCE_S = 300
BATCH = 40

Ends = dict[str, dict[str, Any]]


def play_all(
    programs: Sequence[Program], *, max_steps: int = 0, processes: int = 2
) -> Ends:
    """
    Return how each of *programs* ended, by its id.

    They have *max_steps*, or, if that is 0, each as many as it needs to reach what it
    is after.
    """
    # Neighbours in the list are of a kind: dealt out, the batches take equally long.
    count = max(processes, -(-len(programs) // BATCH))
    batches = [list(programs[start::count]) for start in range(count)]
    with ThreadPoolExecutor(processes) as threads:
        ends: Ends = {}
        for some in threads.map(lambda batch: play_batch(batch, max_steps), batches):
            ends |= some
    return ends


def play_batch(programs: Sequence[Program], max_steps: int) -> Ends:
    """Play *programs* in one process; if one takes it down, the rest in another."""
    ends: Ends = {}
    left = list(programs)
    while left:
        said, problem = _child(left, max_steps)
        ends |= {one["id"]: one for one in said}
        left = left[len(said) :]
        if left:
            guilty = left.pop(0)
            ends[guilty.id] = {"id": guilty.id, "end": "crashed", "texts": [problem]}
    return ends


def _child(
    programs: Sequence[Program], max_steps: int
) -> tuple[list[dict[str, Any]], str]:
    """Return what a child said of *programs*, and why it did not say more."""
    text = json.dumps(
        [
            {
                "id": one.id,
                "source": one.source,
                "input": one.input,
                "max_steps": max_steps or one.max_steps,
            }
            for one in programs
        ]
    )
    paths = f"{ROOT / 'service'}:{ROOT / 'backends'}:{ROOT / 'sdk/python'}:{ROOT}"
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": paths, "PATH": os.defpath},
        text=True,
    )
    try:
        output, errors = child.communicate(text, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        output, errors = child.communicate()
        errors = f"it hung\n{errors}"
    said = [json.loads(line) for line in output.splitlines() if line.endswith("}")]
    return said, f"exit {child.returncode}: {errors[-2000:]}"
