"""Workers over one stream, through a real server."""

import asyncio
from queue import SimpleQueue

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from starflow.v1 import worker_service_pb2 as pb
from starflow.v1 import workflow_service_pb2 as workflow_pb
from starflow.v1.failure_pb2 import Failure
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from starflow_service.runtime.options import Options
from tests.service.calls import (
    ECHO,
    complete,
    finished,
    payload,
    poll,
    refusal,
    register,
    result,
    start,
    take,
)
from tests.service.streaming import Talk, hello, talking

Code = grpc.StatusCode
APPLIED = pb.COMPLETION_STATUS_APPLIED
IGNORED = pb.COMPLETION_STATUS_IGNORED
REJECTED = pb.COMPLETION_STATUS_REJECTED
PARALLEL = """
load("flow", "start", "wait")

def main(ctx, input):
    return wait(ctx, [start(ctx, test.echo, n) for n in range(input)])
"""


def held(*tasks, **progress):
    return [pb.TaskHeartbeat(task_token=task.task_token, **progress) for task in tasks]


# What it is for


async def test_the_server_says_that_it_has_streams(workflows):
    info = await workflows.GetServerInfo(workflow_pb.GetServerInfoRequest())

    assert "worker-stream" in info.capabilities


async def test_a_run_is_worked_off_over_one_stream(workflows, workers):
    async with talking(workers, credit=1) as talk:
        await start(workflows, ECHO, {"n": 1})
        task = await talk.task()
        acknowledged = await talk.ask(results=[result(task, {"n": 2})])

        assert list(acknowledged.exceptions) == []
        assert (await finished(workflows)).output.json == '{"n":2}'
        assert await talk.close() is Code.OK


async def test_hello_registers_and_is_answered_like_a_registration(workers):
    await register(workers, "test.echo", description="old", worker="v")
    talk = Talk(workers.WorkStream())
    await talk.send(hello=hello("test.echo"))

    welcome = (await talk.read()).welcome

    assert welcome.heartbeat_interval == Duration(seconds=5)
    assert welcome.lease == Duration(seconds=15)
    assert list(welcome.replaced_functions) == ["test.echo"]
    assert await talk.close() is Code.OK


async def test_hello_may_bring_everything_else_along(workflows, workers):
    await start(workflows)
    task = await take(workers)
    async with talking(workers) as other:
        await other.close()
    talk = Talk(workers.WorkStream())
    sequence = await talk.send(
        hello=hello("test.echo"), results=[result(task, 1)], credit=3
    )

    assert not (await talk.acknowledged(sequence)).exceptions
    assert (await finished(workflows)).output.json == "1"
    assert await talk.close() is Code.OK


async def test_what_is_ready_together_comes_together(workflows, workers):
    async with talking(workers) as talk:
        await start(workflows, PARALLEL, 50)
        await talk.send(credit=50)
        first = await talk.task()

        assert first.input.json == "0"
        assert talk.came == 49


async def test_no_more_tasks_come_than_there_was_credit_for(workflows, workers):
    async with talking(workers, credit=2) as talk:
        await start(workflows, PARALLEL, 5)
        tasks = [await talk.task(), await talk.task()]
        await talk.ask(tasks=held(*tasks))
        assert talk.came == 0

        await talk.ask(results=[result(task, 0) for task in tasks], credit=3)
        await talk.until(lambda: talk.came == 3)


async def test_what_one_worker_has_no_credit_for_goes_to_another(workflows, workers):
    async with (
        talking(workers, worker="a", credit=1) as a,
        talking(workers, worker="b", credit=1) as b,
    ):
        await start(workflows, PARALLEL, 2)

        assert {(await a.task()).input.json, (await b.task()).input.json} == {"0", "1"}


async def test_who_was_served_is_served_last(workflows, workers):
    async with (
        talking(workers, worker="a", credit=10) as a,
        talking(workers, worker="b", credit=10) as b,
    ):
        await start(workflows, run_id="one")
        await start(workflows, run_id="two")

        assert {(await a.task()).run_id, (await b.task()).run_id} == {"one", "two"}


async def test_a_message_without_a_sequence_is_not_acknowledged(workflows, workers):
    async with talking(workers, credit=1) as talk:
        await start(workflows)
        task = await talk.task()
        await talk.send(sequence=0, results=[result(task, 1)])
        await finished(workflows)
        sequence = await talk.send()
        await talk.until(lambda: talk.answers)

        assert list(talk.answers) == [sequence]


async def test_what_does_not_count_is_named(workflows, workers):
    async with talking(workers, credit=4) as talk:
        await start(workflows, PARALLEL, 3)
        tasks = [await talk.task() for _ in range(3)]
        await talk.ask(results=[result(tasks[0], 0)])
        await poll(workers, worker="b", wait=Duration())
        results = [
            result(tasks[0], 0),
            result(tasks[1], output=pb.TaskResult(output=payload(1)).output),
            result(tasks[2], **{"output": {"json": "NaN"}}),
            result("garbage", 1),
        ]
        acknowledged = await talk.ask(results=results)

        assert [(e.task_token, e.status) for e in acknowledged.exceptions] == [
            (tasks[2].task_token, REJECTED),
            ("garbage", REJECTED),
        ]
        assert acknowledged.exceptions[0].rejection.reason == "PAYLOAD_INVALID"
        assert not acknowledged.HasField("error")


async def test_a_late_result_is_named_as_ignored(workflows, workers):
    async with talking(workers, credit=1) as talk:
        await start(workflows)
        task = await talk.task()
        cancel = workflow_pb.CancelRunRequest(run_id="r")
        await workflows.CancelRun(cancel)
        acknowledged = await talk.ask(results=[result(task, 1)])

        assert [e.status for e in acknowledged.exceptions] == [IGNORED]


async def test_failures_yields_and_releases_travel_too(workflows, workers):
    async with talking(workers, credit=3) as talk:
        await start(workflows)
        await talk.ask(results=[result(await talk.task(), release=pb.Release())])
        again = await talk.task()
        failure = Failure(code="NO_WAY", message="no")
        await talk.ask(results=[result(again, failure=failure)])

        assert again.attempt == 1
        assert (await finished(workflows)).failure.code == "NO_WAY"


# Holding


async def test_heartbeats_keep_tasks_and_carry_progress(serve):
    service = await serve(options=Options(lease_s=0.3, heartbeat_s=0.1))
    async with talking(service.workers, credit=1) as talk:
        await start(service.workflows)
        task = await talk.task()
        for number in range(10):
            progress = {"progress": payload(number)}
            await talk.ask(tasks=held(task, **progress))
            others = await poll(service.workers, worker="b", wait=Duration(nanos=10**8))
            assert not others.tasks
    again = await take(service.workers, worker="b")

    assert (again.attempt, again.last_progress.json) == (2, "9")


async def test_what_is_not_listed_goes_to_somebody_else(serve):
    service = await serve(options=Options(lease_s=0.2, heartbeat_s=0.05))
    async with talking(service.workers, credit=1) as talk:
        await start(service.workflows)
        task = await talk.task()
        while not (found := (await poll(service.workers, worker="b")).tasks):
            await talk.ask(tasks=[])
        await talk.ask(tasks=held(task))
        directive = await talk.directive()

        assert found[0].attempt == 2
        assert directive.task_token == task.task_token
        assert directive.action == pb.TASK_ACTION_ABANDON


async def test_a_bad_progress_costs_no_lease(workflows, workers):
    async with talking(workers, credit=1) as talk:
        await start(workflows)
        task = await talk.task()
        bad = held(task, progress={"json": "{"})
        acknowledged = await talk.ask(tasks=bad, results=[result(task, 1)])

        assert acknowledged.error.code == Code.INVALID_ARGUMENT.value[0]
        assert acknowledged.error.reason == "PAYLOAD_INVALID"
        assert (await finished(workflows)).output.json == "1"


async def test_a_cancelled_run_is_told_of_at_once(workflows, workers):
    async with talking(workers, credit=1) as talk:
        await start(workflows)
        task = await talk.task()
        await workflows.CancelRun(workflow_pb.CancelRunRequest(run_id="r"))
        directive = await talk.directive()

        assert directive.task_token == task.task_token
        assert directive.action == pb.TASK_ACTION_CANCEL
        assert directive.reason == "the run was cancelled"


# Living and dying


async def test_something_is_said_every_heartbeat_interval(serve):
    service = await serve(options=Options(heartbeat_s=0.05))
    async with talking(service.workers) as talk:
        for _ in range(5):
            message = await talk.read()
            assert message == pb.WorkStreamResponse()


async def test_tasks_of_a_stream_that_broke_off_go_to_others_soon(serve):
    service = await serve(options=Options(suspect_s=0.1, lease_s=60.0))
    async with talking(service.workers, credit=1) as talk:
        await start(service.workflows)
        await talk.task()
    again = await take(service.workers, worker="b")

    assert again.attempt == 2


async def test_a_dead_worker_is_not_taken_for_one_that_closed_its_side(serve):
    """gRPC shows the server the same end of requests first, for both."""
    service = await serve(options=Options(suspect_s=0.1, lease_s=60.0))

    def hold_and_vanish():
        with grpc.insecure_channel(service.address) as channel:
            requests = SimpleQueue()
            call = WorkerServiceStub(channel).WorkStream(iter(requests.get, None))
            requests.put(pb.WorkStreamRequest(hello=hello("test.echo"), credit=1))
            while not next(call).tasks:
                pass
            call.cancel()
            requests.put(None)

    await start(service.workflows)
    await asyncio.to_thread(hold_and_vanish)

    assert (await take(service.workers, worker="b")).attempt == 2


async def test_a_worker_that_comes_back_keeps_what_it_lists(serve):
    service = await serve(options=Options(suspect_s=0.3))
    async with talking(service.workers, credit=1) as talk:
        await start(service.workflows)
        task = await talk.task()
    async with talking(service.workers) as talk:
        await talk.ask(tasks=held(task))
        others = await poll(service.workers, worker="b", wait=Duration(nanos=5 * 10**8))
        acknowledged = await talk.ask(results=[result(task, 1)])

        assert not others.tasks
        assert not acknowledged.exceptions


async def test_an_old_stream_that_breaks_off_says_nothing_about_a_new_one(serve):
    service = await serve(options=Options(suspect_s=0.05))
    async with talking(service.workers) as talk:
        async with talking(service.workers, credit=1) as old:
            await start(service.workflows)
            task = await old.task()
        await talk.send(credit=1)
        others = await poll(service.workers, worker="b", wait=Duration(nanos=3 * 10**8))
        acknowledged = await talk.ask(results=[result(task, 1)])

        assert not others.tasks
        assert not acknowledged.exceptions


async def test_who_closes_its_side_may_report_the_rest_otherwise(serve):
    service = await serve(options=Options(suspect_s=0.05))
    async with talking(service.workers, credit=1) as talk:
        await start(service.workflows)
        task = await talk.task()
        assert await talk.close() is Code.OK
    others = await poll(service.workers, worker="b", wait=Duration(nanos=3 * 10**8))
    [completion] = await complete(service.workers, result(task, 1))

    assert not others.tasks
    assert completion.status == APPLIED


async def test_what_is_under_way_is_acknowledged_before_the_end(workflows, workers):
    async with talking(workers, credit=50) as talk:
        await start(workflows, PARALLEL, 50)
        tasks = [await talk.task() for _ in range(50)]
        sequences = [await talk.send(results=[result(task, 0)]) for task in tasks]

        assert await talk.close() is Code.OK
        assert sorted(talk.answers) == sorted(sequences)


async def test_a_worker_that_let_a_lease_end_gets_nothing_until_it_speaks(serve):
    service = await serve(options=Options(lease_s=0.2, heartbeat_s=0.05))
    async with talking(service.workers, credit=2) as talk:
        await start(service.workflows)
        await talk.task()
        assert (await take(service.workers, worker="b")).attempt == 2
        await start(service.workflows, run_id="other")
        for _ in range(4):
            await talk.read()
        assert talk.came == 0
        await talk.send(tasks=[])

        assert (await talk.task()).run_id == "other"


async def test_a_worker_that_holds_nothing_need_not_speak(serve):
    service = await serve(options=Options(lease_s=0.1, heartbeat_s=0.05))
    async with talking(service.workers, credit=1) as talk:
        for _ in range(5):
            await talk.read()
        await start(service.workflows)

        assert (await talk.task()).attempt == 1


async def test_progress_comes_before_the_failure_of_the_same_message(serve):
    service = await serve(options=Options(lease_s=30.0))
    async with talking(service.workers, credit=2) as talk:
        await start(service.workflows)
        task = await talk.task()
        failure = Failure(
            code="NOT_YET",
            retryability="RETRYABILITY_RETRYABLE",
            retry_delay=Duration(),
        )
        await talk.ask(
            tasks=held(task, progress=payload("half")),
            results=[result(task, failure=failure)],
        )

        assert (await talk.task()).last_progress.json == '"half"'


# Ending


async def test_a_drained_worker_hears_of_it_and_reports_the_rest(workflows, workers):
    async with talking(workers, credit=2) as talk:
        await start(workflows)
        task = await talk.task()
        drain = pb.DrainWorkerRequest(worker_id="w")
        assert (await workers.DrainWorker(drain)).held_tasks == 1
        await talk.until(lambda: talk.is_drained)
        await start(workflows, run_id="other")
        await talk.ask(results=[result(task, 1)])

        assert talk.came == 0
        assert (await take(workers, worker="b")).run_id == "other"
        assert await talk.close() is Code.OK


async def test_a_worker_may_drain_itself(workflows, workers):
    async with talking(workers, credit=2) as talk:
        await talk.ask(drain=True)
        await start(workflows)

        assert (await take(workers, worker="b")).attempt == 1
        assert talk.is_drained
        assert (await poll(workers, wait=Duration())).drained


async def test_a_stream_ends_when_the_server_shuts_down(serve):
    service = await serve()
    async with talking(service.workers, credit=1) as talk:
        await start(service.workflows)
        task = await talk.task()
        await talk.ask(tasks=held(task))
        stopping = asyncio.create_task(service.server.stop(20))

        assert await talk.ended() is Code.OK
        assert talk.is_draining
        await stopping


async def test_no_stream_begins_at_a_server_that_shuts_down(serve):
    service = await serve()
    async with talking(service.workers):
        pass
    await service.runtime.drain()
    talk = Talk(service.workers.WorkStream())
    await talk.send(hello=hello("test.echo"))

    assert (await refusal(talk.read())).reason == "SERVER_DRAINING"


# Bad input


async def refused(workers, *messages):
    """Send *messages*; return why the stream ended."""
    talk = Talk(workers.WorkStream())

    async def talk_on():
        for message in messages:
            await talk.send(**message)
        while await talk.read() is not None:
            pass

    return await refusal(talk_on())


HELLO = {"hello": hello("test.echo")}


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([{"credit": 1}], "hello"),
        ([{"results": [result("token", 1)]}], "hello"),
        ([HELLO, HELLO], "hello"),
        ([HELLO, {"credit": -1}], "credit"),
        ([HELLO, {"credit": 1001}], "credit"),
        ([HELLO, {"credit": 1000}, {"credit": 1}], "credit"),
        ([{"hello": hello("test.echo", worker="")}], "worker.worker_id"),
        ([{"hello": hello("nodots")}], "functions[0].name"),
        ([{"hello": hello("test.echo", namespace="No")}], "namespace"),
    ],
)
async def test_who_breaks_the_protocol_is_told_how(workers, messages, field):
    refusal = await refused(workers, *messages)

    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert refusal.fields == [field]


async def test_too_many_results_at_once_are_refused(workers):
    results = [result("token", 1)] * 1001

    assert (await refused(workers, HELLO, {"results": results})).reason == "TOO_LARGE"


async def test_bytes_that_are_no_message_are_refused(service):
    method = service.channel.stream_stream("/starflow.v1.WorkerService/WorkStream")

    async def talk():
        call = method()
        await call.write(b"\xff\xff\xff")
        await call.read()

    assert (await refusal(talk())).fields == ["request"]


async def test_who_hangs_up_without_a_word_is_refused(workers):
    talk = Talk(workers.WorkStream())
    await talk.call.done_writing()

    assert await talk.ended() is Code.INVALID_ARGUMENT


async def test_streams_are_limited(serve):
    service = await serve(options=Options(waiting_polls_max=1))
    async with talking(service.workers):
        refusal = await refused(
            service.workers, {"hello": hello("test.echo", worker="b")}
        )

    assert refusal.reason == "RATE_LIMITED"


async def test_a_token_that_nobody_made_is_to_be_abandoned(workers):
    async with talking(workers) as talk:
        acknowledged = await talk.ask(tasks=[pb.TaskHeartbeat(task_token="garbage")])
        directive = await talk.directive()

        assert not acknowledged.HasField("error")
        assert directive.task_token == "garbage"
        assert directive.action == pb.TASK_ACTION_ABANDON


async def test_a_thousand_reports_of_one_task_count_once(workflows, workers):
    async with talking(workers, credit=1) as talk:
        await start(workflows)
        task = await talk.task()
        acknowledged = await talk.ask(results=[result(task, 1)] * 1_000)
        run = await finished(workflows)

        assert not acknowledged.exceptions
        assert run.version == 4


async def test_a_flood_of_heartbeats_disturbs_nobody(workflows, workers):
    async with (
        talking(workers, worker="noisy", credit=1) as noisy,
        talking(workers, worker="calm") as calm,
    ):
        await start(workflows)
        task = await noisy.task()
        flood = held(*[task] * 500)
        for _ in range(50):
            await noisy.send(sequence=0, tasks=flood)
        await start(workflows, run_id="other")
        await calm.send(credit=1)

        assert (await calm.task()).run_id == "other"
        assert not (await noisy.ask(results=[result(task, 1)])).exceptions


async def test_a_worker_that_does_not_read_holds_up_nobody_else(serve):
    """What does not fit into the slow reader's connection is not leased to it."""
    service = await serve(options=Options(heartbeat_s=60.0))
    sessions = service.runtime.workers._sessions
    async with talking(service.workers, worker="slow", credit=1000) as slow:
        for number in range(60):
            await start(service.workflows, value="x" * 500_000, run_id=f"r{number}")
        async with talking(service.workers, worker="quick", credit=1000) as quick:
            got = [await quick.task() for _ in range(40)]
            while len(got) < len(sessions.find("default", "quick").held):
                got.append(await quick.task())
            # The slow one has waited longer, but would take nothing.
            await start(service.workflows, run_id="new")

            assert (await quick.task()).run_id == "new"
            assert await slow.task()
