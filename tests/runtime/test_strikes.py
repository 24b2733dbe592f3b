"""Runs that a process died of, and the thread that names who holds the loop."""

from pathlib import Path

import structlog
from structlog.testing import capture_logs

from starflow_backends import MemoryStore
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.programs import hash_of
from starflow_service.runtime.strikes import STRIKES_MAX, Mark, Place, Strikes
from starflow_service.runtime.types import PauseReason
from starflow_service.runtime.watchdog import Watchdog
from starflow_service.starlark.errors import LimitError
from tests.runtime.harness import ECHO, NS, shop, until, working

KEY = f"{NS}/run"


async def store_with(strikes: int, run: str = KEY, version: int = 2) -> MemoryStore:
    store = MemoryStore()
    await store.open()
    await strike(store, strikes, run, version)
    return store


async def strike(store: MemoryStore, times: int, run: str, version: int) -> Strikes:
    counts = Strikes(store)
    for _ in range(times):
        counts = Strikes(store)
        await counts.open(Left(Place(run, version)))
    return counts


class Left(Mark):
    """A mark as a process left it that died."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def left_behind(self) -> Place:
        return self._place

    def leave(self) -> None:
        pass


def test_a_mark_outlives_whoever_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "running"
    mark = Mark(path)
    assert mark.left_behind() is None
    mark.enter("default/r\u00fcn", 17)
    assert Mark(path).left_behind() == ("default/r\u00fcn", 17)
    mark.leave()
    assert Mark(path).left_behind() is None
    assert path.stat().st_mode & 0o077 == 0


def test_a_mark_that_is_no_mark_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "running"
    path.write_bytes(b"\xff" * 4096)
    assert Mark(path).left_behind() is None


async def test_strikes_count_while_the_run_stands_where_it_stood() -> None:
    store = await store_with(2, version=5)
    counts = Strikes(store)
    await counts.open(None)
    assert (counts.count(KEY, 5), counts.count(KEY, 6)) == (2, 0)
    counts = await strike(store, 1, KEY, 6)
    assert (counts.count(KEY, 5), counts.count(KEY, 6)) == (0, 1)


async def test_a_server_that_stops_in_peace_forgives() -> None:
    store = await store_with(2)
    async with shop(store):
        pass
    counts = Strikes(store)
    await counts.open(None)
    assert counts.count(KEY, 2) == 0


async def test_a_run_that_is_struck_out_is_parked_until_a_person_decides() -> None:
    store = await store_with(0)
    async with shop(store) as here:
        await here.register("test.echo")
        await here.start(ECHO, 1)
    await strike(store, STRIKES_MAX, KEY, 2)
    async with shop(store) as here:
        view = await here.view()
        assert view.pause_reason is PauseReason.CRASH_LOOP
        assert "died 3 times" in view.pause_message
    # That server stopped in peace, which changes nothing for this run.
    async with shop(store) as here, working(here, {"test.echo": lambda x: x}):
        assert (await here.view()).pause_reason is PauseReason.CRASH_LOOP
        await here.runtime.unpause_run(NS, "run")
        assert (await here.finished()).result == "1"


async def test_a_script_that_no_store_ever_saw_run_is_not_begun() -> None:
    store = await store_with(STRIKES_MAX, f"script {hash_of(ECHO)}", 0)
    async with shop(store) as here:
        view, _ = await here.start(ECHO, 1)
        assert view.pause_reason is PauseReason.CRASH_LOOP
        assert await here.kinds() == "START"
        await here.runtime.unpause_run(NS, "run")

        async def has_called() -> bool:
            return await here.kinds() == "START CALL"

        await until(has_called)


async def test_a_slice_that_held_the_loop_is_named_when_it_is_over() -> None:
    with capture_logs() as logs:
        async with shop(held_s=0.0) as here:
            await here.start("def main(ctx, input):\n    return 1\n")
            await here.finished()
    named = [line for line in logs if line["event"] == "watchdog.loop_held"]
    assert named[-1]["run"] == KEY


async def test_a_slice_that_does_not_end_is_named_with_its_stack() -> None:
    dog = Watchdog(Clock(), None, held_s=0.0)
    with capture_logs() as logs:
        dog.open()
        dog.enter(KEY, KEY, 2)
        await until(lambda: logs)
        dog.leave()
        dog.close()
    assert {line["run"] for line in logs} == {KEY}
    assert dog.held_count == 1
    # In the words of a terminal, too.
    show = structlog.dev.ConsoleRenderer(colors=False)
    assert "frames" in show(None, "error", {**logs[0], "level": "error"})


def test_a_script_that_found_no_memory_left_is_counted() -> None:
    dog = Watchdog(Clock(), None, held_s=1.0)
    with capture_logs() as logs:
        dog.look_at(KEY, LimitError("memory", "script needs more memory"))
        dog.look_at(KEY, LimitError("max_steps", "script took more than 1 steps"))
        dog.look_at(KEY, None)
    assert [line["event"] for line in logs] == ["watchdog.out_of_memory"]
    assert dog.out_of_memory_count == 1
