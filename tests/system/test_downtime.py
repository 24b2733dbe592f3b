"""What a run waits for survives the server: timers, retries, signals, open calls."""

import asyncio
import signal
import time

import pytest

import starflow
from starflow_backends.sqlite import SqliteStore
from tests.support.processes import until, until_async
from tests.system.scene import Scene, open_scene

pytestmark = pytest.mark.system

SLEEP = """
load("time", "millisecond", "sleep")

def main(ctx, input):
    sleep(ctx, input["ms"] * millisecond)
    return "rested"
"""

SLEEP_BESIDE_A_CALL = """
load("flow", "start", "wait")
load("time", "millisecond", "sleep")

def main(ctx, input):
    call = start(ctx, step.hold, {"gate": input["gate"]})
    sleep(ctx, input["ms"] * millisecond)
    return wait(ctx, call)
"""

FLAKY = """
def main(ctx, input):
    return step.flaky(ctx, input)
"""

ASK = """
def main(ctx, input):
    return step.ask(ctx, input)
"""

HOLD = """
def main(ctx, input):
    return step.hold(ctx, input)
"""


async def state_of(scene: Scene, run_id: str) -> str:
    return (await scene.client.get(run_id)).state


async def in_state(scene: Scene, run_id: str, state: str) -> None:
    async def is_in_state() -> bool:
        return await state_of(scene, run_id) == state

    await until_async(is_in_state, f"{run_id} is {state}")


async def test_timers_are_armed_again_after_a_restart_and_never_early(tmp_path):
    async with open_scene(tmp_path) as scene:
        runs = {f"run-{ms}": ms for ms in range(50, 2500, 50)}
        for run_id, ms in runs.items():
            await scene.client.start(SLEEP, run_id=run_id, input={"ms": ms})
        # Some timers are over by now, some become due during the outage.
        async with scene.server_killed():
            pass

        results = [await scene.client.result(run_id) for run_id in runs]
        assert results == ["rested"] * len(runs)
        # The checker looks at the time of the event after each SLEEP.
        for history in await scene.check(*runs):
            assert len(history.log) == 3


async def test_a_sleeping_run_is_woken_after_a_downtime_longer_than_its_sleep(tmp_path):
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        await scene.client.start(SLEEP, run_id="alone", input={"ms": 400})
        request = {"ms": 400, "gate": "open"}
        await scene.client.start(SLEEP_BESIDE_A_CALL, run_id="beside", input=request)
        await until(lambda: scene.journal.of("beside"), "the call is executed")
        slept_ns = time.time_ns() + 400_000_000

        async with scene.server_killed():
            await until(lambda: time.time_ns() > slept_ns, "the sleeps are over")

        assert await scene.client.result("alone") == "rested"
        # The wake-up is recorded although the call beside it still goes on.
        wakes = scene.client.events("beside", types=["WAKE"], follow=True)
        assert (await anext(aiter(wakes))).version == 4
        scene.open_gate("open")
        assert await scene.client.result("beside") == {"gate": "open"}
        await scene.check("alone", "beside")


async def test_attempts_are_counted_on_over_a_kill(tmp_path):
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        await scene.client.start(FLAKY, run_id="flaky", input={"failures": 4})
        for failed in (2, 3):
            # Killed while it backs off: the failed attempt is stored already.
            await until_async(
                lambda failed=failed: backs_off(scene, "flaky", failed + 1), "backs off"
            )
            async with scene.server_killed():
                pass

        assert await scene.client.result("flaky") == 5
        attempts = [entry.attempt for entry in scene.journal.of("flaky")]
        assert attempts == [1, 2, 3, 4, 5]
        assert len({entry.task_id for entry in scene.journal.of("flaky")}) == 1
        (history,) = await scene.histories(["flaky"])
        assert [event.type for event in history.log] == [1, 2, 3, 9]
        assert history.log[2].return_event.attempts == 5


async def backs_off(scene: Scene, run_id: str, attempt: int) -> bool:
    """Whether the run's call waits for this attempt."""
    waits = (await scene.client.get(run_id)).waits
    return any(
        wait.detail.get("attempt") == attempt and "next_attempt_time" in wait.detail
        for wait in waits
    )


async def test_a_signal_that_overtook_its_yield_is_kept_over_a_kill(tmp_path):
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        await scene.client.start(ASK, run_id="ask", input={"gate": "yield"})
        (asked,) = await until(lambda: scene.journal.of("ask"), "it is asked")

        outcome = await scene.client.signal("ask", asked.signal_id, {"yes": True})
        assert outcome.disposition == "KEPT"
        async with scene.server_killed():
            pass
        again = await scene.client.signal("ask", asked.signal_id, {"yes": True})
        assert again.disposition == "DUPLICATE"
        with pytest.raises(starflow.SignalConflict):
            await scene.client.signal("ask", asked.signal_id, {"yes": False})

        scene.open_gate("yield")
        assert await scene.client.result("ask") == {"yes": True}
        assert await scene.log_types("ask") == [
            "START", "CALL", "SIGNAL", "YIELD", "RESUME", "FINISH",
        ]  # fmt: skip
        await scene.check("ask")


async def test_a_run_that_waits_for_a_person_waits_on_over_a_kill(tmp_path):
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        scene.open_gate("yield")
        await scene.client.start(ASK, run_id="ask", input={"gate": "yield"})
        request = {"gate": "yield", "timeout": 0.5}
        await scene.client.start(ASK, run_id="impatient", input=request)
        await in_state(scene, "ask", "YIELDED")
        async with scene.server_killed():
            pass

        (signal_id,) = (await scene.client.get("ask")).signal_ids
        outcome = await scene.client.signal("ask", signal_id, "at last")
        assert outcome.disposition == "RESUMED"
        assert await scene.client.result("ask") == "at last"
        with pytest.raises(starflow.RunFailed) as failed:
            await scene.client.result("impatient", through_yields=True)
        assert failed.value.failure.kind == "TIMEOUT"
        await scene.check("ask", "impatient")


async def test_a_worker_that_outlives_its_server_is_not_asked_again(tmp_path):
    async with open_scene(tmp_path, "--recovery-grace", "20s") as scene:
        await scene.start_worker()
        scene.launch_worker()
        runs = [f"run-{n}" for n in range(20)]
        for run_id in runs:
            await scene.client.start(HOLD, run_id=run_id, input={"gate": run_id})
        await until(lambda: len(scene.journal.entries()) == 20, "all are executed")
        # Half of them end while nobody is there to be told.
        async with scene.server_killed():
            for run_id in runs[::2]:
                scene.open_gate(run_id)
            await until(lambda: len(scene.journal.entries("end")) == 10, "half end")
        for run_id in runs[1::2]:
            scene.open_gate(run_id)

        results = [await scene.client.result(run_id) for run_id in runs]
        assert results == [{"gate": run_id} for run_id in runs]
        assert len(scene.journal.entries()) == 20
        await scene.check(*runs)


async def test_a_worker_that_was_frozen_is_too_late(tmp_path):
    options = ("--lease", "1s", "--heartbeat", "300ms")
    async with open_scene(tmp_path, *options) as scene:
        frozen = await scene.start_worker()
        await scene.client.start(HOLD, run_id="run", input={"gate": "open"})
        await until(lambda: scene.journal.of("run"), "it is executed")
        frozen.send(signal.SIGSTOP)
        scene.launch_worker()
        await until(lambda: len(scene.journal.of("run")) == 2, "it is executed again")
        frozen.send(signal.SIGCONT)
        # It learns from its first heartbeat that the task is somebody else's now.
        await until(lambda: scene.journal.of("run", "cancel"), "the first stops")
        scene.open_gate("open")

        assert await scene.client.result("run") == {"gate": "open"}
        first, second = scene.journal.of("run")
        assert first.task_id == second.task_id
        assert first.attempt < second.attempt
        assert await scene.log_types("run") == ["START", "CALL", "RETURN", "FINISH"]


async def test_a_wiped_index_is_made_again_from_the_logs(tmp_path):
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        run_ids = await start_one_of_each(scene)
        async with scene.server_killed():
            store = SqliteStore(tmp_path / "starflow.db")
            await store.open()
            await store.clear_index()
            await store.close()

        for name in ("called", "kept", "asked"):
            scene.open_gate(name)
        (signal_id,) = (await scene.client.get("asked")).signal_ids
        await scene.client.signal("asked", signal_id, "yes")
        results = {
            run_id: await scene.client.result(run_id, through_yields=True)
            for run_id in run_ids
        }
        assert results == {
            "finished": "rested",
            "sleeping": "rested",
            "called": {"gate": "called"},
            "kept": "early",
            "asked": "yes",
            "flaky": 3,
        }
        await scene.check(*run_ids)


async def start_one_of_each(scene: Scene) -> list[str]:
    """Start a run for every way of waiting, and come back when they wait."""
    start = scene.client.start
    await start(SLEEP, run_id="finished", input={"ms": 1}, wait=10)
    await start(SLEEP, run_id="sleeping", input={"ms": 1500})
    await start(HOLD, run_id="called", input={"gate": "called"})
    await start(ASK, run_id="kept", input={"gate": "kept"})
    scene.open_gate("asked")
    await start(ASK, run_id="asked", input={"gate": "asked"}, wait=10)
    await start(FLAKY, run_id="flaky", input={"failures": 2})
    await until(lambda: scene.journal.of("called"), "it is called")
    await until_async(lambda: backs_off(scene, "flaky", 2), "it backs off")
    (kept,) = await until(lambda: scene.journal.of("kept"), "it is asked")
    await scene.client.signal("kept", kept.signal_id, "early")
    await asyncio.gather(
        in_state(scene, "asked", "YIELDED"), in_state(scene, "sleeping", "SLEEPING")
    )
    return ["finished", "sleeping", "called", "kept", "asked", "flaky"]


async def test_a_dead_worker_is_missed_although_its_leases_last_and_no_poll_waits(
    tmp_path,
):
    """All its slots are taken: only the heartbeat that it keeps waiting breaks off."""
    async with open_scene(tmp_path, "--lease", "3600s") as scene:
        doomed = await scene.start_worker()
        runs = [f"run-{n}" for n in range(64)]
        for run_id in runs:
            await scene.client.start(HOLD, run_id=run_id, input={"gate": "open"})
        await until(lambda: len(scene.journal.entries()) == 64, "all slots are taken")
        await doomed.kill()
        await scene.start_worker()
        scene.open_gate("open")

        results = [await scene.client.result(run_id) for run_id in runs]
        assert results == [{"gate": "open"}] * 64
