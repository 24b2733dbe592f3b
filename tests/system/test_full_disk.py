"""A disk that is full: what cannot be stored is refused, and nothing else is lost."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import starflow
from tests.support.processes import until
from tests.system.scene import open_scene

pytestmark = pytest.mark.system

DISK_BYTES = 8 << 20

STEPS = """
def main(ctx, input):
    value = 0
    for n in range(5):
        value = step.add(ctx, {"value": value, "n": n, "ms": 20})["value"]
    return value
"""

HOLD = """
def main(ctx, input):
    held = step.hold(ctx, input)
    return step.add(ctx, {"value": len(held["gate"]), "n": 1, "ms": 0})["value"]
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """
    A disk of its own, small enough to be filled.

    Needs root, or a sudo that asks for no password; without, the test fails rather
    than pretend that a full disk was tried.
    """
    place = tmp_path / "disk"
    place.mkdir()
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={DISK_BYTES},mode=0777"
    mount = ["mount", "-t", "tmpfs", "-o", options, "starflow-test", str(place)]
    done = subprocess.run([*sudo, *mount], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"a tmpfs cannot be mounted, and so not filled: {done.stderr}")
    try:
        yield place
    finally:
        # Lazy: it goes when the last process lets go of it.
        subprocess.run([*sudo, "umount", "--lazy", str(place)], check=True)


class Filler:
    """The file that takes all the space."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._path = disk / "filler"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._path.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)
        assert shutil.disk_usage(self._disk).free == 0

    def free(self) -> None:
        """Give the space back."""
        self._path.unlink()


async def start_many(client: starflow.Client) -> None:
    """Start runs, more than what SQLite has left in its own files can take."""
    for n in range(1000):
        await client.start(STEPS, run_id=f"refused-{n}")


async def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_space(
    tmp_path, disk
):
    store = f"sqlite:{disk / 'starflow.db'}"
    filler = Filler(disk)
    async with open_scene(tmp_path, store=store) as scene:
        await scene.start_worker()
        held = [f"held-{n}" for n in range(10)]
        for run_id in held:
            await scene.client.start(HOLD, run_id=run_id, input={"gate": "open"})
        done = await scene.client.start(STEPS, run_id="done")
        assert await done.result() == 10
        await until(lambda: len(scene.journal.entries()) >= 15, "all are executed")

        filler.fill()
        # The results come while nothing can be stored.
        scene.open_gate("open")
        async with starflow.Client(scene.server.address, patience=0) as impatient:
            with pytest.raises(starflow.Unavailable) as refused:
                await start_many(impatient)
            assert refused.value.reason == "STORE_UNAVAILABLE"
            # What is stored can be read all the same.
            assert (await impatient.get("done")).output == 10
            log = [event.type async for event in impatient.events("done")]
            assert log[-1] == "FINISH"
        await until(lambda: len(scene.journal.entries("end")) >= 15, "all have ended")
        filler.free()

        results = await asyncio.gather(*(scene.client.result(each) for each in held))
        assert results == [5] * len(held)
        assert await (await scene.client.start(STEPS, run_id="new")).result() == 10
        await scene.check("done", "new", *held)
