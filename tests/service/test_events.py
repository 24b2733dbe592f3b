"""A run's log as a stream."""

import asyncio

import pytest

from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.event_pb2 import EventType
from starflow.v1.failure_pb2 import Failure
from starflow.v1.run_pb2 import RunState
from tests.service.calls import (
    LONG,
    complete,
    events,
    finished,
    payload,
    refusal,
    result,
    start,
    take,
)

LOOP = """
def main(ctx, input):
    for n in range(input):
        test.echo(ctx=ctx, req=n)
    return "done"
"""


async def run_loop(workflows, workers, times, value="x"):
    await start(workflows, LOOP, times)
    for _ in range(times):
        await complete(workers, result(await take(workers), value))
    await finished(workflows)


def names(found):
    return [EventType.Name(event.type).removeprefix("EVENT_TYPE_") for event in found]


async def test_the_log_comes_whole_and_as_it_is_stored(service, workflows, workers):
    await run_loop(workflows, workers, 2)

    found, batch = await events(workflows)

    assert names(found) == ["START", "CALL", "RETURN", "CALL", "RETURN", "FINISH"]
    assert [event.version for event in found] == [1, 2, 3, 4, 5, 6]
    stored = await service.store.read("default/r")
    assert [event.SerializeToString() for event in found] == stored
    assert batch.state == RunState.RUN_STATE_SUCCEEDED
    assert batch.next_version == 7


@pytest.mark.parametrize(
    ("fields", "versions", "next_version"),
    [
        ({"from_version": 1}, [1, 2, 3, 4, 5, 6], 7),
        ({"from_version": 4}, [4, 5, 6], 7),
        ({"from_version": 6}, [6], 7),
        ({"from_version": 7}, [], 7),
        ({"limit": 2}, [1, 2], 3),
        ({"from_version": 2, "limit": 1}, [2], 3),
        ({"limit": 6}, [1, 2, 3, 4, 5, 6], 7),
        ({"types": ["EVENT_TYPE_RETURN"]}, [3, 5], 7),
        ({"types": ["EVENT_TYPE_RETURN"], "limit": 1}, [3], 4),
        ({"types": ["EVENT_TYPE_CALL", "EVENT_TYPE_FINISH"]}, [2, 4, 6], 7),
        ({"types": [99]}, [], 7),
    ],
)
@pytest.mark.parametrize("follow", [False, True])
async def test_a_part_of_the_log(
    workflows, workers, follow, fields, versions, next_version
):
    await run_loop(workflows, workers, 2)

    found, batch = await events(workflows, follow=follow, **fields)

    assert [event.version for event in found] == versions
    if versions:
        assert batch.next_version >= versions[-1] + 1
    assert batch.state == RunState.RUN_STATE_SUCCEEDED
    assert batch.next_version <= next_version


async def test_a_run_under_way_is_read_as_far_as_it_got(workflows):
    await start(workflows)

    found, batch = await events(workflows)

    assert names(found) == ["START", "CALL"]
    assert batch.state == RunState.RUN_STATE_RUNNING


async def test_payloads_can_be_left_out(workflows, workers):
    await start(workflows, LOOP, 1)
    failure = Failure(code="F", message="m", details=payload("secret"))
    await complete(workers, result(await take(workers), failure=failure))
    await finished(workflows)

    found, _ = await events(workflows, omit_payloads=True)

    assert names(found) == ["START", "CALL", "RETURN", "FINISH"]
    assert not found[0].start_event.HasField("input")
    assert not found[1].call_event.HasField("input")
    assert found[2].return_event.failure.code == "F"
    assert not found[2].return_event.failure.HasField("details")
    assert found[3].finish_event.WhichOneof("result") == "failure"


async def test_outputs_left_out_leave_no_failure_behind(workflows, workers):
    await run_loop(workflows, workers, 1)

    found, _ = await events(workflows, omit_payloads=True)

    assert found[2].return_event.WhichOneof("result") is None


async def test_batches_are_a_megabyte_at_most(workflows, workers):
    text = "x" * 200_000
    await run_loop(workflows, workers, 12, text)

    stream = workflows.GetEvents(pb.GetEventsRequest(run_id="r"))
    batches = [batch async for batch in stream]

    sizes = [batch.ByteSize() for batch in batches]
    assert max(sizes) <= 1 << 20
    assert sum(sizes) > 12 * 200_000
    assert len(batches) <= 5
    versions = [event.version for batch in batches for event in batch.events]
    assert versions == list(range(1, 27))
    for batch in batches:
        assert batch.next_version == batch.events[-1].version + 1


async def test_a_long_log_comes_in_order(workflows, workers):
    await run_loop(workflows, workers, 300)

    found, _ = await events(workflows)

    assert [event.version for event in found] == list(range(1, 603))


async def test_a_follower_sees_each_event_until_the_end(workflows, workers):
    await start(workflows, LOOP, 2)
    stream = workflows.GetEvents(pb.GetEventsRequest(run_id="r", follow=True))
    batches = aiter(stream)
    found = list((await anext(batches)).events)
    assert names(found) == ["START", "CALL"]

    for _ in range(2):
        await complete(workers, result(await take(workers)))
    async for batch in batches:
        found += batch.events

    assert names(found) == ["START", "CALL", "RETURN", "CALL", "RETURN", "FINISH"]


async def test_a_broken_stream_is_resumed_without_gap_or_repetition(workflows, workers):
    await start(workflows, LOOP, 3)
    await complete(workers, result(await take(workers)))
    stream = workflows.GetEvents(pb.GetEventsRequest(run_id="r", follow=True))
    first = await anext(aiter(stream))
    stream.cancel()

    for _ in range(2):
        await complete(workers, result(await take(workers)))
    rest, _ = await events(workflows, from_version=first.next_version, follow=True)

    versions = [event.version for event in [*first.events, *rest]]
    assert versions == list(range(1, 9))


@pytest.mark.parametrize("types", [[], ["EVENT_TYPE_FINISH"]])
async def test_a_quiet_stream_gives_signs_of_life(serve, types):
    service = await serve(keepalive_s=0.01)
    await start(service.workflows)
    request = pb.GetEventsRequest(run_id="r", follow=True, types=types)
    batches = aiter(service.workflows.GetEvents(request))
    await anext(batches)

    signs = [await anext(batches) for _ in range(3)]

    assert [len(sign.events) for sign in signs] == [0, 0, 0]
    assert {sign.next_version for sign in signs} == {3}
    assert {sign.state for sign in signs} == {RunState.RUN_STATE_RUNNING}


async def test_a_stream_without_news_for_its_filter_gives_signs_of_life(serve):
    """Events come faster than signs of life are due, and none of them is asked for."""
    service = await serve(keepalive_s=0.2)
    await start(service.workflows, LOOP, 10**6)
    request = pb.GetEventsRequest(run_id="r", follow=True, types=["EVENT_TYPE_FINISH"])
    batches = aiter(service.workflows.GetEvents(request))
    await anext(batches)

    async def work():
        while True:
            await complete(service.workers, result(await take(service.workers)))

    working = asyncio.create_task(work())
    signs = [await anext(batches) for _ in range(2)]
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

    assert [len(sign.events) for sign in signs] == [0, 0]
    assert signs[0].next_version < signs[1].next_version


async def test_a_follower_of_a_finished_run_is_told_so_at_once(workflows, workers):
    await run_loop(workflows, workers, 1)

    found, batch = await events(workflows, from_version=5, follow=True)

    assert found == []
    assert batch.state == RunState.RUN_STATE_SUCCEEDED


async def test_followers_are_sent_elsewhere_when_the_server_stops(serve):
    service = await serve()
    await start(service.workflows)
    request = pb.GetEventsRequest(run_id="r", follow=True)
    stream = service.workflows.GetEvents(request)
    await stream.read()

    stopping = asyncio.create_task(service.server.stop(LONG.seconds))
    refused = await refusal(stream.read())
    await stopping

    assert (refused.code, refused.reason) == ("UNAVAILABLE", "SERVER_DRAINING")


async def test_past_the_end_is_out_of_range(workflows):
    await start(workflows)

    refused = await refusal(events(workflows, from_version=4))

    assert (refused.code, refused.reason) == ("OUT_OF_RANGE", "VERSION_OUT_OF_RANGE")
    assert refused.metadata["last_version"] == "2"
