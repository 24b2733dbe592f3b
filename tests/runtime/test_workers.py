import asyncio

import pytest

from starflow_service.engine.events import Failure, Retryability, RetryPolicy
from starflow_service.runtime.errors import WorkerNotRegisteredError
from starflow_service.runtime.types import (
    CompletionStatus,
    PollRequest,
    ReleaseResult,
    TaskBeat,
    TaskReport,
)
from tests.runtime.harness import NS, WAIT_S, shop, until

APPLIED, IGNORED = CompletionStatus.APPLIED, CompletionStatus.IGNORED
REJECTED = CompletionStatus.REJECTED
MILLISECOND = 1_000_000
QUICK = RetryPolicy(initial_ns=MILLISECOND, max_attempts=3)


async def test_a_task_goes_to_one_worker():
    async with shop() as s:
        await s.start()
        await s.take(worker="a")
        assert await s.poll(worker="b", wait_s=0) == []


async def test_a_waiting_poll_gets_what_comes():
    async with shop() as s:
        polling = asyncio.create_task(s.take())
        await asyncio.sleep(0)
        await s.start(payload=7)
        assert (await polling).input == "7"


async def test_one_poll_takes_many_tasks_oldest_first():
    async with shop() as s:
        for n in range(10):
            await s.start(run_id=f"r{n}", payload=n)
        tasks = await s.poll(tasks=7)
        assert [task.input for task in tasks] == [str(n) for n in range(7)]


async def test_tasks_of_one_poll_stay_under_a_size():
    async with shop() as s:
        for n in range(4):
            await s.start(run_id=f"r{n}", payload="x" * 1000)
        request = PollRequest(NS, "w", "", ("test.echo",), 10, 0, max_bytes=2500)
        assert len(await s.runtime.workers.poll(request)) == 2


async def test_a_worker_must_name_functions_or_register_them():
    async with shop() as s:
        request = PollRequest(NS, "new", "", (), 1, 0)
        with pytest.raises(WorkerNotRegisteredError, match="new"):
            await s.runtime.workers.poll(request)
        await s.register("test.echo", worker="new")
        assert await s.runtime.workers.poll(request) == []


async def test_a_repeated_poll_gets_the_same_tasks():
    async with shop() as s:
        await s.start()
        first = await s.poll(poll_id="p1")
        assert await s.poll(poll_id="p1", wait_s=0) == first
        assert await s.poll(poll_id="p2", wait_s=0) == []
        await s.report(first[0], "1")
        assert await s.poll(poll_id="p1", wait_s=0) == []


async def test_the_same_report_again_is_applied_again():
    async with shop() as s:
        await s.start()
        task = await s.take()
        twice = [TaskReport(task.token, "1"), TaskReport(task.token, "1")]
        completions = await s.runtime.workers.complete(NS, "w", twice)
        assert [c.status for c in completions] == [APPLIED, APPLIED]
        assert await s.report(task, "1") is APPLIED
    async with shop(s.store) as s:
        assert await s.report(task, "1") is APPLIED
        assert await s.kinds() == "START CALL RETURN FINISH"


async def test_a_task_whose_lease_ended_goes_to_another_worker():
    async with shop(lease_s=0.1) as s:
        await s.start()
        lost = await s.take(worker="a")
        task = await s.take(worker="b")
        assert (task.task_id, task.attempt) == (lost.task_id, 2)
        assert await s.report(lost, '"late"', worker="a") is IGNORED
        assert await s.report(task, '"good"', worker="b") is APPLIED
        assert await s.report(lost, '"late"', worker="a") is IGNORED
        assert (await s.finished()).result == '"good"'


async def test_a_late_result_counts_while_nobody_else_has_the_task():
    async with shop(lease_s=0.05) as s:
        await s.start()
        task = await s.take()
        await until(lambda: _is_queued(s))
        assert await s.report(task, "1") is APPLIED
        assert await s.poll(wait_s=0) == []


async def _is_queued(s):
    return (await s.view()).waits[0].worker_id == ""


async def test_heartbeats_keep_a_task_and_carry_progress():
    async with shop(lease_s=0.2) as s:
        await s.start()
        task = await s.take()
        for n in range(10):
            assert (
                await s.runtime.workers.heartbeat(
                    NS, "w", [TaskBeat(task.token, str(n))]
                )
                == []
            )
            assert await s.poll(worker="b", wait_s=0.05) == []
        assert (await s.take(worker="b")).last_progress == "9"


async def test_a_worker_learns_that_it_lost_a_task():
    async with shop(lease_s=0.1) as s:
        await s.start()
        task = await s.take(worker="a")
        await s.take(worker="b")
        (abandon,) = await s.runtime.workers.heartbeat(
            NS, "a", [TaskBeat(task.token, None)]
        )
        assert abandon.token == task.token


async def test_a_worker_whose_waiting_poll_broke_off_loses_its_tasks_soon():
    async with shop(suspect_s=0.05) as s:
        await s.start()
        await s.take(worker="dead")
        polling = asyncio.create_task(s.poll(worker="dead"))
        await asyncio.sleep(0)
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        assert (await s.take(worker="b")).attempt == 2


async def test_a_worker_whose_poll_broke_off_keeps_what_it_renews():
    async with shop(suspect_s=0.05) as s:
        await s.start()
        task = await s.take()
        polling = asyncio.create_task(s.poll())
        await asyncio.sleep(0)
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await s.runtime.workers.heartbeat(NS, "w", [TaskBeat(task.token, None)])
        assert await s.poll(worker="b", wait_s=0.15) == []


async def test_a_worker_whose_held_heartbeat_broke_off_loses_its_tasks_soon():
    async with shop(suspect_s=0.05) as s:
        await s.start()
        await s.take(worker="dead")
        staying = asyncio.create_task(
            s.runtime.workers.heartbeat(NS, "dead", [], WAIT_S)
        )
        await asyncio.sleep(0)
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
        assert (await s.take(worker="b")).attempt == 2


async def test_a_worker_that_is_doubted_takes_nothing_with_a_poll_that_still_waits():
    async with shop() as s:
        polling = asyncio.create_task(s.poll(worker="dead"))
        staying = asyncio.create_task(
            s.runtime.workers.heartbeat(NS, "dead", [], WAIT_S)
        )
        await asyncio.sleep(0)
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
        await s.start()
        assert await polling == []
        assert (await s.take(worker="b")).attempt == 1


async def test_a_held_heartbeat_is_answered_when_the_runtime_drains():
    async with shop() as s:
        await s.register("test.echo")
        staying = asyncio.create_task(s.runtime.workers.heartbeat(NS, "w", [], WAIT_S))
        await asyncio.sleep(0)
        await s.runtime.drain()
        assert await staying == []


async def test_a_heartbeat_of_a_lost_task_is_not_held():
    async with shop() as s:
        await s.start()
        task = await s.take()
        await s.report(task, "1")
        beats = [TaskBeat(task.token, None)]
        assert len(await s.runtime.workers.heartbeat(NS, "w", beats, WAIT_S)) == 1


async def test_an_attempt_that_takes_too_long_fails_although_it_is_renewed():
    async with shop() as s:
        await s.register("test.echo", attempt_timeout_ns=50 * MILLISECOND, retry=QUICK)
        await s.start()
        await s.take()
        task = await s.take()
        assert task.attempt == 2
        assert task.last_failure.code == "STARFLOW_ATTEMPT_TIMEOUT"


async def test_a_report_after_the_attempts_time_is_ignored():
    async with shop() as s:
        await s.register("test.echo", attempt_timeout_ns=50 * MILLISECOND, retry=QUICK)
        await s.start()
        late = await s.take()
        task = await s.take(worker="b")
        assert await s.report(late, '"late"') is IGNORED
        assert await s.report(task, '"good"', worker="b") is APPLIED
        assert (await s.finished()).result == '"good"'


async def test_a_call_that_the_service_ended_names_no_delivery():
    async with shop() as s:
        await s.register("test.echo", attempt_timeout_ns=50 * MILLISECOND)
        await s.start()
        late = await s.take()
        assert (await s.finished()).result.code == "STARFLOW_ATTEMPT_TIMEOUT"
        assert (await s.log())[2].delivery == ""
        assert await s.report(late, '"late"') is IGNORED


async def test_a_released_task_is_offered_again_and_is_no_attempt():
    async with shop() as s:
        await s.start()
        task = await s.take()
        assert await s.report(task, ReleaseResult("busy")) is APPLIED
        again = await s.take()
        assert again.attempt == 1
        assert again.token != task.token
        assert await s.report(task, "1") is IGNORED


async def test_a_call_whose_workers_are_always_lost_fails_in_the_end():
    async with shop(lease_s=0.05, attempts_max=2) as s:
        await s.start()
        await s.take()
        await s.take(worker="another")
        view = await s.finished()
        assert view.result.code == "STARFLOW_WORKER_LOST"


async def test_a_worker_that_fell_silent_swallows_no_task_by_a_poll_still_waiting():
    async with shop(lease_s=0.05) as s:
        await s.start()
        await s.take()
        swallowed = asyncio.ensure_future(s.poll())
        await until(lambda: s.runtime._calls.queues.waiting_polls == 1)
        task = await s.take(worker="another")
        assert task.attempt == 2
        assert await swallowed == []


@pytest.mark.parametrize(
    "token", ["", "x", "default/run/2/1/a.1/00", "/" * 9, "é/\ud800"]
)
async def test_a_token_that_was_never_made_is_rejected(token):
    async with shop() as s:
        await s.start()
        await s.take()
        assert await s.report(token, "1") is REJECTED
        assert await s.kinds() == "START CALL"


async def test_a_token_of_another_namespace_is_rejected():
    async with shop() as s:
        await s.start()
        task = await s.take()
        (completion,) = await s.runtime.workers.complete(
            "other", "w", [TaskReport(task.token, "1")]
        )
        assert completion.status is REJECTED


# Retries


async def test_a_failure_is_tried_again_by_the_functions_policy():
    async with shop() as s:
        await s.register("test.echo", retry=QUICK)
        await s.start()
        for attempt in (1, 2):
            task = await s.take()
            assert task.attempt == attempt
            assert await s.report(task, Failure("FLAKY", f"try {attempt}")) is APPLIED
            assert await s.report(task, Failure("FLAKY", f"try {attempt}")) is APPLIED
        task = await s.take()
        assert task.last_failure.message == "try 2"
        await s.report(task, '"at last"')
        view = await s.finished()
        assert view.result == '"at last"'
        assert await s.kinds() == "START CALL RETURN FINISH"
        assert (await s.log())[2].attempts == 3


async def test_a_call_that_came_before_its_function_takes_its_policy():
    async with shop() as s:
        await s.start()
        await s.register("test.echo", retry=QUICK)
        await s.report(await s.take(), Failure("FLAKY", "first"))
        assert (await s.take()).attempt == 2


NO_RETRY = {
    "no policy": (None, Failure("F", "m")),
    "attempts used up": (RetryPolicy(max_attempts=1), Failure("F", "m")),
    "code not retryable": (
        RetryPolicy(initial_ns=1, non_retryable_codes=("F",)),
        Failure("F", "m"),
    ),
    "permanent": (QUICK, Failure("F", "m", retryability=Retryability.PERMANENT)),
}


@pytest.mark.parametrize("case", NO_RETRY)
async def test_a_failure_is_final(case):
    policy, failure = NO_RETRY[case]
    async with shop() as s:
        await s.register("test.echo", retry=policy)
        await s.start()
        await s.report(await s.take(), failure)
        assert (await s.finished()).result.code == "F"


async def test_a_failure_that_says_so_is_tried_again_without_a_policy():
    failure = Failure(
        "F", "m", retryability=Retryability.RETRYABLE, retry_delay_ns=MILLISECOND
    )
    async with shop() as s:
        await s.start()
        for _ in range(3):
            await s.report(await s.take(), failure)
        assert (await s.finished()).result.code == "F"


async def test_retries_go_on_where_they_were_after_a_restart():
    policy = RetryPolicy(initial_ns=300 * MILLISECOND, max_attempts=3)
    async with shop() as s:
        await s.register("test.echo", retry=policy)
        await s.start()
        await s.report(await s.take(), Failure("FLAKY", "first"))
        wait = (await s.view()).waits[0]
        assert wait.attempt == 2
        assert wait.next_attempt_ns is not None
    async with shop(s.store) as s:
        wait = (await s.view()).waits[0]
        assert wait.attempt == 2
        assert wait.last_failure.message == "first"
        assert await s.poll(wait_s=0.05) == []
        task = await s.take()
        assert (task.attempt, task.last_failure.message) == (2, "first")
        await s.report(task, Failure("FLAKY", "second"))
        await s.report(await s.take(), Failure("FLAKY", "third"))
        view = await s.finished()
        assert view.result.message == "third"
        assert (await s.log())[2].attempts == 3


async def test_a_drained_runtime_answers_waiting_polls():
    async with shop() as s:
        polling = asyncio.create_task(s.poll())
        await asyncio.sleep(0)
        await s.runtime.drain()
        assert await polling == []
