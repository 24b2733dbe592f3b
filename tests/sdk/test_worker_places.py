"""Functions in processes of their own, and functions of which only so many run."""

import asyncio
import logging
import os
import threading
from contextlib import asynccontextmanager

import psutil
import pytest

import starflow
from starflow.testing import TestServer
from tests.sdk.fake_service import PATIENCE_SECONDS
from tests.sdk.placed import placed

CALL = "def main(ctx, input):\n    return placed.{}(ctx, input)\n"


@asynccontextmanager
async def working(module=placed, **options):
    async with (
        TestServer() as server,
        starflow.Worker(server.client, modules=[module], **options) as worker,
    ):
        yield server.client, worker


async def run(client, function, input=None):
    started = await client.start(CALL.format(function), input=input)
    # A process has to start first.
    return await started.result(timeout=60)


async def until(condition):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if found := condition():
                return found
            await asyncio.sleep(0.01)


async def test_a_function_has_a_process_which_is_kept():
    async with working(processes=1) as (client, _):
        first = await run(client, "where", {"x": 1})
        again = await run(client, "where", {"x": 2})

    assert first["pid"] != os.getpid() == first["parent"]
    assert (first["x"], again["x"]) == (1, 2)
    assert again["pid"] == first["pid"]
    assert first["run_id"] != again["run_id"]


async def test_no_process_outlives_its_worker():
    async with working(processes=1) as (client, _):
        where = await run(client, "where", {"x": 1})

    await until(lambda: not psutil.pid_exists(where["pid"]))


async def test_failures_and_bad_requests_come_back_as_from_a_thread():
    async with working(processes=1) as (client, _):
        with pytest.raises(starflow.RunFailed) as failed:
            await run(client, "fails", "NOPE")
        with pytest.raises(starflow.RunFailed) as refused:
            await run(client, "where", {"x": "one"})
        with pytest.raises(starflow.RunFailed) as large:
            await run(client, "sized", 2_000_000)

    assert (failed.value.code, failed.value.details) == ("NOPE", {"a": 1})
    assert refused.value.code == "BAD_INPUT"
    assert large.value.code == "OUTPUT_TOO_LARGE"


async def test_a_process_that_dies_is_a_failed_attempt():
    async with working(processes=1) as (client, _):
        started = await client.start(CALL.format("dies"))
        # Its second attempt has to wait for 10 ms that do not pass by themselves.
        failure = await until_failed(client, started.id)

    assert failure.code == "PROCESS_DIED"
    assert failure.message.endswith("the signal 9")


async def until_failed(client, run_id):
    async with asyncio.timeout(60):
        while True:
            (wait,) = (await client.get(run_id)).waits
            if "last_failure" in wait.detail:
                return wait.detail["last_failure"]
            await asyncio.sleep(0.01)


async def test_logs_are_written_by_the_worker(caplog):
    with caplog.at_level(logging.WARNING):
        async with working(processes=1) as (client, _):
            await run(client, "speaks", "hello")

    spoken = next(r for r in caplog.records if r.name == "starflow.task")
    assert spoken.getMessage() == "says hello"
    assert spoken.function == "placed.speaks"
    assert [r.message for r in caplog.records if r.name == "other"] == ["too"]


async def test_progress_reaches_the_next_attempt():
    async with (
        TestServer() as server,
        starflow.Worker(server.client, modules=[placed], processes=1),
    ):
        started = await server.client.start(CALL.format("progresses"))
        await until_failed(server.client, started.id)
        assert await server.finish(started) == {"page": 7}


async def test_a_function_that_listens_ends_by_itself(tmp_path):
    note = tmp_path / "note"
    async with working(processes=1, grace=0.0) as (client, worker):
        await client.start(CALL.format("listens"), input=str(note))
        await until(note.exists)
        worker.stop()

    await until(lambda: note.read_text() == "ended")


async def test_a_function_that_does_not_listen_is_killed(tmp_path):
    note = tmp_path / "note"
    async with working(processes=1, grace=0.0) as (client, worker):
        await client.start(CALL.format("is_deaf"), input=str(note))
        pid = int(await until(lambda: note.exists() and note.read_text()))
        worker.stop()

    await until(lambda: not psutil.pid_exists(pid))


def test_what_no_process_can_import_is_refused(module):
    with pytest.raises(TypeError, match="which another process can import"):

        @module.function(runs_in="process")
        def local(req): ...

    with pytest.raises(TypeError, match="is async, and cannot run in a process"):

        @module.function(runs_in="process")
        async def f(req): ...

    with pytest.raises(TypeError, match="is plain, and cannot run in a loop"):
        module.function(runs_in="loop")(len)
    with pytest.raises(ValueError, match="loop, thread or process"):
        module.function(runs_in="moon", name="g")(lambda: 1)


@pytest.mark.parametrize("kind", ["async", "plain", "process"])
async def test_a_function_of_a_cancelled_run_is_told_to_stop(kind, tmp_path):
    module, note = starflow.Module("placed"), tmp_path / "note"

    if kind == "async":

        @module.function
        async def listens(path: str):
            note.write_text("began")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                note.write_text("ended")
    elif kind == "plain":

        @module.function
        def listens(ctx, path: str):
            note.write_text("began")
            try:
                while True:
                    ctx.raise_if_cancelled()
            finally:
                note.write_text("ended")
    else:
        module = placed

    async with working(module, processes=1) as (client, _):
        run = await client.start(CALL.format("listens"), input=str(note))
        await until(note.exists)
        await run.cancel("enough")
        await until(lambda: note.read_text() == "ended")
        with pytest.raises(starflow.RunCancelled):
            await run.result(timeout=60)


# Limits


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_only_so_many_tasks_of_a_function_run_at_a_time(kind):
    module = starflow.Module("placed")
    lock, inside, most = threading.Lock(), 0, 0

    def enter(step):
        nonlocal inside, most
        with lock:
            inside += step
            most = max(most, inside)

    if kind == "async":

        @module.function(concurrency=2)
        async def f(req):
            enter(1)
            await asyncio.sleep(0.005)
            enter(-1)
    else:
        barrier = threading.Barrier(2)

        @module.function(concurrency=2)
        def f(req):
            enter(1)
            # Two at a time are needed to go on, and a third would be seen.
            barrier.wait(PATIENCE_SECONDS)
            enter(-1)

    async with working(module) as (client, _):
        runs = [await client.start(CALL.format("f")) for _ in range(12)]
        await asyncio.gather(*(each.result(timeout=60) for each in runs))

    assert (most, inside) == (2, 0)


async def test_others_go_past_the_tasks_that_wait():
    module = starflow.Module("placed")
    released = asyncio.Event()

    @module.function(concurrency=1)
    async def f(req):
        await released.wait()

    @module.function
    async def g(req):
        return "past"

    async with working(module) as (client, _):
        runs = [await client.start(CALL.format("f")) for _ in range(3)]
        assert await run(client, "g") == "past"
        released.set()
        await asyncio.gather(*(each.result(timeout=60) for each in runs))


async def test_tasks_that_wait_are_given_back_when_the_worker_ends():
    module = starflow.Module("placed")
    entered, released = asyncio.Event(), asyncio.Event()
    done = []

    @module.function(concurrency=1)
    async def f(ctx, req):
        entered.set()
        await released.wait()
        done.append(req)
        return req

    async with working(module, grace=PATIENCE_SECONDS) as (client, worker):
        runs = [await client.start(CALL.format("f"), input=n) for n in range(3)]
        await entered.wait()
        await until(lambda: len(worker._session._ledger.held()) == 3)
        worker.stop()
        await until(lambda: len(worker._session._ledger.held()) == 1)
        released.set()
        async with starflow.Worker(client, modules=[module]):
            results = [await each.result(timeout=60) for each in runs]

    assert results == [0, 1, 2]
    assert sorted(done) == [0, 1, 2]


def test_a_limit_is_at_least_one(module):
    with pytest.raises(ValueError, match="one is the least"):
        module.function(name="f", concurrency=0)(lambda: 1)
    module.function(name="f")(lambda: 1)
    with pytest.raises(ValueError, match="one is the least"):
        starflow.Worker(starflow.Client(), modules=[module], processes=0)
