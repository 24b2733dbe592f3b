"""Scripts that begin again, and what of their log is read."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from starflow_backends import MemoryStore
from starflow_service.runtime.errors import RunIdConflictError, SignalConflictError
from starflow_service.runtime.types import (
    CompletionStatus,
    Disposition,
    RunState,
    UnreadSignal,
)
from tests.runtime.harness import NS, Shop, shop, until, working

COUNTS = """
load("flow", "flow")
def main(ctx, input):
    if input["n"] == input["of"]:
        return input["n"]
    test.echo(ctx, input["n"])
    flow.restart(ctx, {"n": input["n"] + 1, "of": input["of"]})
"""
# Restarts at each "again", and returns what "done" brings.
LISTENS = """
load("flow", "flow")
def main(ctx, input):
    print("segment", input)
    flow.start(ctx, test.echo, input)
    flow.set_status(ctx, "segment %d" % input, progress=0.5)
    if flow.wait_signal(ctx, "again"):
        flow.restart(ctx, input + 1)
    return flow.wait_signal(ctx, "done")
"""
SEGMENT = "START CALL STATUS WAIT SIGNAL"


class CountingStore(MemoryStore):
    """Knows what was read of logs."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []

    async def read(self, run, *, from_version=1, limit=None):
        self.reads.append(from_version)
        return await super().read(run, from_version=from_version, limit=limit)


async def send(
    s: Shop, name: str, value: object, request_id: str = ""
) -> tuple[Disposition, int]:
    return await s.runtime.signal_by_name(
        NS, "run", name, request_id, json.dumps(value), False
    )


async def is_so(s, view):
    """Whether the run stands as in *view*."""
    return await s.view() == view


async def test_a_loop_lives_for_ever_in_one_run():
    async with shop() as s, working(s, {"test.echo": lambda req: req}):
        view, _ = await s.start(COUNTS, {"n": 0, "of": 30})
        end = await s.finished()
        assert (end.result, end.restarts) == ("30", 30)
        assert end.segment_version == 30 * 4 + 1
        assert end.create_ns == view.create_ns
        assert end.finish_ns is not None
        assert await s.kinds() == "START CALL RETURN RESTART " * 30 + "START FINISH"


async def test_a_run_that_began_again_is_the_same_after_a_restart_of_the_server():
    async with shop() as s:
        first, _ = await s.start(LISTENS, 1)
        await send(s, "done", "kept", "r")
        await send(s, "again", True)
        before = await s.view()
        assert (before.restarts, before.segment_version) == (1, 8)
        assert before.create_ns == first.create_ns
        assert before.status == '{"text":"segment 2","progress":0.5}'
        assert [each.name for each in before.unread] == ["done"]
    async with shop(s.store) as s:
        await until(lambda: is_so(s, before))
        assert await send(s, "again", False) == (Disposition.RESUMED, 13)
        end = await s.finished()
        assert end.result == '"kept"'
        assert await s.kinds() == (
            "START CALL STATUS WAIT SIGNAL SIGNAL RESTART START SIGNAL CALL STATUS"
            " WAIT SIGNAL WAIT FINISH"
        )


async def test_the_same_start_again_finds_a_run_that_began_again():
    async with shop() as s:
        await s.start(LISTENS, 0)
        await send(s, "again", True)
    async with shop(s.store) as s:
        view, is_created = await s.start(LISTENS, 0)
        assert (is_created, view.input) == (False, "1")
        with pytest.raises(RunIdConflictError, match="another input"):
            await s.start(LISTENS, 1)


async def test_only_the_last_two_segments_are_read():
    store = CountingStore()
    await store.open()
    async with shop(store) as s:
        await s.start(LISTENS, 0)
        for _ in range(3):
            await send(s, "again", True)
        bases = [e.version for e in await s.log() if e.NAME == "START"]
    store.reads.clear()
    async with shop(store) as s:
        await send(s, "again", False)
        assert (await s.view()).restarts == 3
    assert min(store.reads) == bases[-2]


async def test_without_its_note_a_run_is_read_from_the_beginning():
    async with shop() as s:
        first, _ = await s.start(LISTENS, 0)
        for _ in range(3):
            await send(s, "again", True)
        before = await s.view()
    await s.store.clear_index()
    async with shop(s.store) as s:
        await until(lambda: is_so(s, before))
        await send(s, "again", True)
        view = await s.view()
        assert (view.restarts, view.create_ns) == (4, first.create_ns)


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_request_is_known_again_in_the_next_segment(is_restarted):
    async with shop() as s:
        await s.start(LISTENS, 0)
        await send(s, "again", True, "one")
        if not is_restarted:
            assert (await send(s, "again", True, "one"))[0] is Disposition.DUPLICATE
    async with shop(s.store) as s:
        assert (await send(s, "again", True, "one"))[0] is Disposition.DUPLICATE
        with pytest.raises(SignalConflictError):
            await send(s, "again", False, "one")
        assert (await send(s, "again", True, "two"))[0] is Disposition.RESUMED


async def test_unread_signals_go_along_in_their_order():
    async with shop() as s:
        await s.start(LISTENS, 0)
        for n in range(3):
            await send(s, "done", n)
        await send(s, "again", True)
        view = await s.view()
        assert [type(each) for each in view.unread] == [UnreadSignal] * 3
        assert view.unread_count == 3
        await send(s, "again", False)
        assert (await s.finished()).result == "0"


async def test_calls_of_the_segment_before_are_given_up():
    async with shop() as s:
        await s.start(LISTENS, 0)
        before = await s.take()
        await send(s, "again", True)
        assert await s.report(before, "1") is CompletionStatus.IGNORED
        after = await s.take()
        assert after.call_version > before.call_version
        assert after.input == "1"
        assert await s.report(after, "1") is CompletionStatus.APPLIED
        await send(s, "again", False)
        await send(s, "done", None)
        assert (await s.finished()).state is RunState.SUCCEEDED


async def test_each_line_is_printed_once():
    with capture_logs() as lines:
        async with shop(idle_evict_s=0.0, lease_s=0.2) as s:
            await s.start(LISTENS, 0)
            for _ in range(3):
                await until(lambda: s.runtime.live_runs == 0)
                await send(s, "again", True)
        async with shop(s.store) as s:
            await asyncio.gather(send(s, "again", False), send(s, "done", 1))
            await s.finished()
    printed = [
        (each["run"], each["line"], each["place"])
        for each in lines
        if each["event"] == "script.print"
    ]
    assert printed == [
        ("default/run", f"segment {n}", "script.star:4") for n in range(4)
    ]
