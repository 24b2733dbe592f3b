"""Stores that a server must not touch, and what it says instead."""

import hashlib
import sqlite3
from pathlib import Path

import pytest

from starflow_backends.sqlite_schema import LAYOUT
from tests.support.processes import Server
from tests.system.scene import open_scene

pytestmark = pytest.mark.system

SLEEP = """
load("time", "millisecond", "sleep")

def main(ctx, input):
    sleep(ctx, 300 * millisecond)
    return "rested"
"""


def contents(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def one_line(output: str) -> str:
    """Return the last line; nobody wants to read a traceback."""
    assert "Traceback" not in output
    return output.strip().splitlines()[-1]


async def test_a_second_server_on_the_same_store_is_refused(tmp_path):
    async with open_scene(tmp_path) as scene:
        run = await scene.client.start(SLEEP)
        place = tmp_path / "second"
        place.mkdir()
        second = scene.stage.add(Server(place, store=scene.server.store))

        refusal = one_line(await second.refuse_to_start())
        assert f"in use by process {scene.server.pid}" in refusal
        # The first has not noticed, and its claim ends with it, however it ends.
        assert await run.result() == "rested"
        await scene.server.kill()
        await second.start()


async def test_a_store_of_a_newer_layout_is_refused_and_left_alone(tmp_path):
    async with open_scene(tmp_path) as scene:
        await (await scene.client.start(SLEEP, run_id="run")).result()
        assert await scene.server.terminate() == 0
        file = tmp_path / "starflow.db"
        set_layout(file, 999)
        before = contents(file)

        refusal = one_line(await scene.server.refuse_to_start())
        assert "layout 999" in refusal
        assert contents(file) == before
        set_layout(file, LAYOUT)
        await scene.server.start()
        assert await scene.client.result("run") == "rested"


def set_layout(file: Path, layout: int) -> None:
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {layout}")
    connection.commit()
    # The change must be in the file, where a release of another layout finds it.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def test_what_is_no_store_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "starflow.db"
    file.write_text("Dear diary, today I have written no database.\n" * 100)
    before = contents(file)

    refusal = one_line(await Server(tmp_path).refuse_to_start())
    assert f"{file} is not a SQLite database" in refusal
    assert contents(file) == before
