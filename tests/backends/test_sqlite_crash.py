"""A process that writes is killed: what it acknowledged is there, nothing is half."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from starflow_backends import LockedError, SqliteStore
from tests.backends.appending_child import RUNS, event_at, timer_at

CHILD = Path(__file__).with_name("appending_child.py")
BACKENDS = Path(__file__).parents[2] / "backends"
# After how many acknowledgements; what the writer thread does then is chance.
KILLED_AFTER = (1, 7, 100, 1_000, 1_001, 2_500)

pytestmark = pytest.mark.system


def start(path):
    return subprocess.Popen(
        [sys.executable, CHILD, path],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(BACKENDS)},
    )


def killed(path, after):
    """Kill a child after that many acknowledgements; return all that it gave."""
    with start(path) as child:
        lines = [child.stdout.readline() for _ in range(after)]
        child.kill()
        lines += child.stdout
    assert child.returncode == -signal.SIGKILL
    acknowledged = {}
    for line in lines:
        if line.endswith(b"\n"):
            run, version = line.decode().split()
            acknowledged[run] = int(version)
    return acknowledged


async def assert_whole(store, run, acknowledged):
    """Check that *run* has all that was acknowledged, and whole appends only."""
    events = await store.read(run)
    version = len(events)
    assert version >= acknowledged
    assert events == [event_at(run, at) for at in range(1, version + 1)]
    assert version % 2 == 0
    found = await store.load(run)
    assert (found.version if found else 0) == version
    assert (found.timers if found else {}) == (
        {"t": timer_at(version)} if found else {}
    )


async def test_what_was_acknowledged_survives_a_kill(path):
    for after in KILLED_AFTER:
        acknowledged = killed(path, after)
        assert acknowledged

        store = SqliteStore(path)
        await store.open()
        for run in RUNS:
            await assert_whole(store, run, acknowledged.get(run, 0))
        await store.close()


async def test_the_lock_dies_with_its_process(path):
    with start(path) as child:
        child.stdout.readline()
        with pytest.raises(LockedError, match=f"process {child.pid}"):
            await SqliteStore(path).open()
        child.kill()

    store = SqliteStore(path)
    await store.open()
    await store.close()
