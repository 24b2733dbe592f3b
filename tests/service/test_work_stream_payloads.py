"""Long payloads on a stream: read in slices, and all the same in their order."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.failure_pb2 import Failure
from starflow.v1.payload_pb2 import Payload
from starflow_service.rpc import payloads
from tests.service.calls import finished, result, start
from tests.service.streaming import talking

# It takes much longer to read than to send.
LONG = f"[{','.join(['[[]]'] * 90_000)}]"
CALLING = "def main(ctx, input):\n    return len(test.echo(ctx, input))\n"


@pytest.fixture
def turns(monkeypatch):
    """The turns that others were given while a message was read."""
    given = []

    async def counted(next_turn=payloads._next_turn):
        given.append(None)
        await next_turn()

    monkeypatch.setattr(payloads, "_next_turn", counted)
    return given


def beat(task):
    progress = Payload(json=LONG)
    return pb.TaskHeartbeat(task_token=task.task_token, progress=progress)


async def test_others_have_their_turn_while_a_result_is_read(workflows, workers, turns):
    async with talking(workers, credit=1) as talk:
        await start(workflows, CALLING)
        task = await talk.task()
        assert turns == []
        await talk.ask(results=[pb.TaskResult(task_token=task.task_token)])
        assert turns == []
        await talk.ask(results=[result(task, output=Payload(json=LONG))])

        assert len(turns) >= 15
        assert (await finished(workflows)).output.json == "90000"


async def test_others_have_their_turn_while_a_progress_is_read(
    workflows, workers, turns
):
    async with talking(workers, credit=1) as talk:
        await start(workflows, CALLING)
        task = await talk.task()
        await talk.ask(tasks=[pb.TaskHeartbeat(task_token=task.task_token)])
        assert turns == []
        await talk.ask(tasks=[beat(task)])

        assert len(turns) >= 15


async def test_what_was_said_first_counts_however_long_it_takes(workflows, workers):
    async with talking(workers, credit=1) as talk:
        await start(workflows, CALLING)
        task = await talk.task()
        long = await talk.send(results=[result(task, output=Payload(json=LONG))])
        short = await talk.send(results=[result(task, output=Payload(json="[]"))])
        assert not (await talk.acknowledged(long)).exceptions
        await talk.acknowledged(short)

        assert (await finished(workflows)).output.json == "90000"


async def test_a_long_progress_comes_before_a_failure_that_follows(workflows, workers):
    failure = Failure(
        code="NOT_YET",
        retryability="RETRYABILITY_RETRYABLE",
        retry_delay=Duration(),
    )
    async with talking(workers, credit=2) as talk:
        await start(workflows, CALLING)
        task = await talk.task()
        await talk.send(tasks=[beat(task)])
        await talk.send(results=[result(task, failure=failure)])

        assert (await talk.task()).last_progress.json == LONG


async def test_a_side_that_is_closed_behind_a_long_result_is_waited_for(
    workflows, workers
):
    async with talking(workers, credit=1) as talk:
        await start(workflows, CALLING)
        task = await talk.task()
        long = await talk.send(results=[result(task, output=Payload(json=LONG))])

        assert await talk.close() is grpc.StatusCode.OK
        assert not talk.answers[long].HasField("error")


async def test_what_is_wrong_with_a_long_result_is_said(workflows, workers):
    async with talking(workers, credit=1) as talk:
        await start(workflows, CALLING)
        task = await talk.task()
        broken = Payload(json=LONG[:-1] + ",]")
        answer = await talk.ask(results=[result(task, output=broken)])

        [completion] = answer.exceptions
        assert completion.rejection.reason == "PAYLOAD_INVALID"
