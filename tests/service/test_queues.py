"""Queues with limits, over gRPC."""

import time

import pytest
from google.protobuf.duration_pb2 import Duration

from starflow.v1 import queue_service_pb2 as pb
from starflow.v1 import run_pb2
from starflow.v1 import workflow_service_pb2 as workflow_pb
from starflow_service.rpc.workforce import MERGES
from starflow_service.runtime.options import Options
from tests.service.calls import (
    complete,
    poll,
    refusal,
    register,
    result,
    start,
    take,
)
from tests.service.streaming import talking

NOW = Duration()


async def set_queue(queues, name="test", namespace="", **limits):
    request = pb.SetQueueRequest(
        namespace=namespace, name=name, limits=pb.QueueLimits(**limits)
    )
    return (await queues.SetQueue(request)).queue


async def listed(queues, **fields):
    return await queues.ListQueues(pb.ListQueuesRequest(**fields))


async def test_a_queue_is_set_listed_and_deleted(queues):
    rate = pb.QueueRate(tokens=10, period=Duration(seconds=60), burst=20)
    assert (await listed(queues)).queues == []

    await set_queue(queues, max_in_flight=3)
    queue = await set_queue(queues, max_in_flight=5, rate=rate)

    expected = pb.QueueLimits(max_in_flight=5, rate=rate)
    assert (queue.name, queue.limits, queue.tokens) == ("test", expected, 20)
    [found] = (await listed(queues)).queues
    assert found.limits == expected
    request = pb.DeleteQueueRequest(name="test")
    assert (await queues.DeleteQueue(request)).deleted
    assert not (await queues.DeleteQueue(request)).deleted
    assert (await listed(queues)).queues == []


async def test_what_a_rate_does_not_say_is_as_usual(queues):
    queue = await set_queue(queues, rate=pb.QueueRate(tokens=7))
    usual = pb.QueueRate(tokens=7, period=Duration(seconds=1), burst=7)
    assert queue.limits == pb.QueueLimits(rate=usual)


async def test_it_shows_what_is_in_flight_and_what_waits(queues, workflows, workers):
    await set_queue(queues, max_in_flight=2)
    runs = [await start(workflows, run_id=f"r{n}") for n in range(5)]
    await poll(workers, max_tasks=50)

    [queue] = (await listed(queues)).queues

    assert (queue.in_flight, queue.waiting) == (2, 3)
    # That of the first run which has no permit.
    oldest = queue.oldest_call_time.ToNanoseconds()
    created = [each.run.create_time.ToNanoseconds() for each in runs]
    assert created[2] <= oldest < created[3]


async def test_namespaces_have_queues_of_their_own(queues, workflows, workers):
    await set_queue(queues, max_in_flight=1)
    await set_queue(queues, namespace="other", max_in_flight=7)
    await start(workflows)
    await take(workers)

    [own] = (await listed(queues)).queues
    [other] = (await listed(queues, namespace="other")).queues

    assert (own.limits.max_in_flight, own.in_flight) == (1, 1)
    assert (other.limits.max_in_flight, other.in_flight) == (7, 0)


async def test_queues_are_listed_by_name_in_pages(queues):
    names = ["a", "b", "c", "d", "e"]
    for name in reversed(names):
        await set_queue(queues, name, max_in_flight=1)

    found, token = [], ""
    while len(found) < len(names):
        page = await listed(queues, page_size=2, page_token=token)
        found += [queue.name for queue in page.queues]
        token = page.next_page_token

    assert found == names
    assert token == ""


async def test_a_run_says_that_its_queue_is_at_its_limit(queues, workflows, workers):
    await set_queue(queues, max_in_flight=1)
    for n in range(2):
        await start(workflows, run_id=f"r{n}")
    task = await take(workers)
    await poll(workers, wait=NOW)

    async def wait_of(run_id):
        request = workflow_pb.GetRunRequest(run_id=run_id)
        [wait] = (await workflows.GetRun(request)).run.waits
        return wait.call

    held = await wait_of("r0")
    waiting = await wait_of("r1")
    assert (held.state, held.queue) == (run_pb2.CALL_STATE_LEASED, "test")
    assert (waiting.state, waiting.queue) == (run_pb2.CALL_STATE_QUEUE_LIMIT, "test")
    assert waiting.state_message == "queue test is at its limit: 1 of 1 in flight"
    await complete(workers, result(task))
    assert (await take(workers)).run_id == "r1"


async def test_a_run_says_that_its_queue_has_no_token(queues, workflows, workers):
    rate = pb.QueueRate(tokens=1, period=Duration(seconds=86400))
    await set_queue(queues, rate=rate)
    for n in range(2):
        await start(workflows, run_id=f"r{n}")
    await take(workers)
    await poll(workers, wait=NOW)

    request = workflow_pb.GetRunRequest(run_id="r1")
    [wait] = (await workflows.GetRun(request)).run.waits

    assert wait.call.state == run_pb2.CALL_STATE_QUEUE_LIMIT
    assert wait.call.state_message == "queue test is at its limit: 1 in 86400 s"


async def test_a_function_names_its_queue(queues, workflows, workers):
    await set_queue(queues, "bank", max_in_flight=1)
    await register(workers, "test.echo", queue="bank")
    for n in range(2):
        await start(workflows, run_id=f"r{n}")

    assert len((await poll(workers, max_tasks=50)).tasks) == 1


async def test_a_stream_gets_no_more_than_the_limit(queues, workflows, workers):
    """However much credit it has; what is given back goes out at once."""
    await set_queue(queues, max_in_flight=2)
    for n in range(6):
        await start(workflows, run_id=f"r{n}")

    async with talking(workers, credit=50) as talk:
        held = [await talk.task(), await talk.task()]
        for _ in range(4):
            [queue] = (await listed(queues)).queues
            assert queue.in_flight == 2
            await talk.send(results=[result(held.pop(0), 1)])
            held.append(await talk.task())
        await talk.ask(results=[result(task, 1) for task in held])

    [queue] = (await listed(queues)).queues
    assert queue.waiting == 0


async def test_a_stream_that_breaks_off_keeps_its_permits_for_a_lease(serve):
    service = await serve(options=Options(lease_s=1.0, suspect_s=0.02))
    await set_queue(service.queues, max_in_flight=1)
    await start(service.workflows)
    async with talking(service.workers, credit=5) as talk:
        await talk.task()
        leased_at = time.monotonic()
        talk.call.cancel()

    again = await take(service.workers, worker="other")

    assert again.attempt == 2
    assert time.monotonic() - leased_at >= 0.9


REFUSED = {
    "no limit": ({}, "limits"),
    "in flight": ({"max_in_flight": -1}, "limits.max_in_flight"),
    "too many": ({"max_in_flight": 1_000_001}, "limits.max_in_flight"),
    "no tokens": ({"rate": pb.QueueRate()}, "limits.rate.tokens"),
    "fewer tokens": ({"rate": pb.QueueRate(tokens=-3)}, "limits.rate.tokens"),
    "burst": ({"rate": pb.QueueRate(tokens=1, burst=-1)}, "limits.rate.burst"),
    "no period": (
        {"rate": pb.QueueRate(tokens=1, period=Duration())},
        "limits.rate.period",
    ),
    "short period": (
        {"rate": pb.QueueRate(tokens=1, period=Duration(nanos=999_999))},
        "limits.rate.period",
    ),
    "long period": (
        {"rate": pb.QueueRate(tokens=1, period=Duration(seconds=32 * 86400))},
        "limits.rate.period",
    ),
}


@pytest.mark.parametrize(("limits", "field"), REFUSED.values(), ids=REFUSED)
async def test_limits_that_mean_nothing_are_refused(queues, limits, field):
    refused = await refusal(set_queue(queues, **limits))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", [field])
    assert (await listed(queues)).queues == []


@pytest.mark.parametrize("name", ["", "a b", "1a", "a/b", "{a}", "ü", "a" * 129])
async def test_a_bad_name_is_refused(queues, name):
    refused = await refusal(set_queue(queues, name, max_in_flight=1))
    assert refused.fields == ["name"]
    refused = await refusal(queues.DeleteQueue(pb.DeleteQueueRequest(name=name)))
    assert refused.fields == ["name"]


async def test_a_bad_page_is_refused(queues):
    refused = await refusal(listed(queues, page_size=-1))
    assert refused.fields == ["page_size"]
    refused = await refusal(listed(queues, page_token="\n"))
    assert refused.fields == ["page_token"]


def test_several_servers_make_one_answer():
    """What waits is added up; what is in flight is the store's, and the same."""

    def queue(name, waiting, oldest=0):
        made = pb.Queue(name=name, in_flight=3, waiting=waiting)
        if oldest:
            made.oldest_call_time.FromSeconds(oldest)
        return made

    merge = MERGES["ListQueues"]
    one = pb.ListQueuesResponse(queues=[queue("a", 1, 9), queue("b", 0)])
    two = pb.ListQueuesResponse(queues=[queue("a", 2, 8), queue("b", 4, 7)])

    whole = merge(pb.ListQueuesRequest(), [one, two])
    first = merge(pb.ListQueuesRequest(page_size=1), [one, two])

    assert list(whole.queues) == [queue("a", 3, 8), queue("b", 4, 7)]
    assert whole.next_page_token == ""
    assert [each.name for each in first.queues] == ["a"]
    assert first.next_page_token == "a"


def test_a_page_of_several_servers_ends_where_the_shortest_does():
    """Beyond it nobody knows what that server has."""

    def answer(names, token=""):
        queues = [pb.Queue(name=name, waiting=1) for name in names]
        return pb.ListQueuesResponse(queues=queues, next_page_token=token)

    merged = MERGES["ListQueues"](
        pb.ListQueuesRequest(), [answer("abf"), answer("ac", "c"), answer("adg", "g")]
    )

    found = [(queue.name, queue.waiting) for queue in merged.queues]
    assert found == [("a", 3), ("b", 1), ("c", 1)]
    assert merged.next_page_token == "c"
