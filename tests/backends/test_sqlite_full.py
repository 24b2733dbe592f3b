"""A full disk: nothing is half written, all can be read, and it goes on with space."""

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from starflow_backends import FullError, SqliteStore
from starflow_backends.testing import appended, assert_run, outcomes_of

BALLAST_BYTES = 512_000


class SmallDisk:
    """A disk of a megabyte, half of it taken by something that can be removed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "ballast").write_bytes(b"\0" * BALLAST_BYTES)

    def begin(self, store: SqliteStore) -> None:
        """The disk is as it is."""

    def make_space(self, store: SqliteStore) -> None:
        """Remove what takes the space."""
        (self.root / "ballast").unlink()


class FewPages:
    """A database that SQLite lets grow no further: for those who may not mount."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, store: SqliteStore) -> None:
        """Limit the database to what it is, and a little."""
        store._committer._connection.execute("PRAGMA max_page_count = 60")

    def make_space(self, store: SqliteStore) -> None:
        """Lift the limit."""
        store._committer._connection.execute("PRAGMA max_page_count = 1000000")


@contextlib.contextmanager
def mounted():
    """A file system in memory of one megabyte."""
    with tempfile.TemporaryDirectory() as place:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "starflow-test", place]
        subprocess.run(mount, check=True, capture_output=True)
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", place], check=True)


def may_mount():
    """Whether this process may mount file systems."""
    if os.geteuid() != 0:
        return False
    try:
        with mounted():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@pytest.fixture(params=[FewPages, SmallDisk] if may_mount() else [FewPages])
def disk(request, tmp_path):
    with contextlib.ExitStack() as stack:
        is_mounted = request.param is SmallDisk
        root = stack.enter_context(mounted()) if is_mounted else tmp_path
        yield request.param(root)


async def fill(store):
    """Append until the disk is full; return the events, and the append that failed."""
    events = []
    while True:
        append = appended("ns/r", len(events), b"%d " % len(events) * 4_000)
        try:
            await store.append(append)
        except FullError:
            return events, append
        events += append.events


async def test_a_full_disk_is_survived(disk):
    path = disk.root / "starflow.db"
    store = SqliteStore(path)
    await store.open()
    disk.begin(store)

    events, refused = await fill(store)

    assert events
    await assert_run(store, "ns/r", events)
    disk.make_space(store)
    await store.append(refused)
    events += refused.events
    await store.append(appended("ns/r", len(events), b"and on"))
    await assert_run(store, "ns/r", [*events, b"and on"])
    await store.close()
    store = SqliteStore(path)
    await store.open()
    await assert_run(store, "ns/r", [*events, b"and on"])
    await store.close()


async def test_what_has_room_is_written(disk):
    """A large append that does not fit does not fail the small ones beside it."""
    store = SqliteStore(disk.root / "starflow.db")
    await store.open()
    disk.begin(store)
    small = [appended(f"ns/{n}", 0, b"one") for n in range(3)]
    large = appended("ns/large", 0, b"x" * 1_000_000)

    outcomes = await outcomes_of(store, [small[0], large, *small[1:]])

    assert isinstance(outcomes.pop(1), FullError)
    assert outcomes == [None] * 3
    assert await store.load("ns/large") is None
    for append in small:
        await assert_run(store, append.run, [b"one"])
    await store.close()


async def test_a_store_opens_on_a_full_disk(disk):
    path = disk.root / "starflow.db"
    store = SqliteStore(path)
    await store.open()
    disk.begin(store)
    events, _ = await fill(store)
    await store.close()

    store = SqliteStore(path)
    await store.open()
    await assert_run(store, "ns/r", events)
    await store.close()
