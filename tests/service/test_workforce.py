"""Who serves what, what waits, and for what: what a person sees of it."""

import asyncio

from google.protobuf.duration_pb2 import Duration

from starflow.v1 import queue_service_pb2, run_pb2
from starflow.v1 import worker_service_pb2 as pb
from starflow.v1 import workflow_service_pb2 as workflow_pb
from starflow.v1.failure_pb2 import Failure
from starflow.v1.retry_pb2 import RetryPolicy
from starflow_service.rpc.workforce import MERGES
from starflow_service.runtime.options import Options
from tests.runtime.harness import until
from tests.service.calls import (
    complete,
    poll,
    refusal,
    register,
    result,
    start,
    take,
)

NOW = Duration()


async def functions(workers, **fields):
    """Return the page of functions, by name."""
    answer = await workers.ListFunctions(pb.ListFunctionsRequest(**fields))
    return {each.spec.name: each for each in answer.functions}


async def listed_workers(workers, **fields):
    answer = await workers.ListWorkers(pb.ListWorkersRequest(**fields))
    return {each.worker.worker_id: each for each in answer.workers}


async def wait_of(workflows, run_id="r"):
    request = workflow_pb.GetRunRequest(run_id=run_id)
    [wait] = (await workflows.GetRun(request)).run.waits
    return wait.call


# Functions


async def test_functions_show_who_serves_them_and_what_waits(workflows, workers):
    policy = RetryPolicy(max_attempts=4)
    await register(workers, "test.echo", "test.other", worker="a")
    await register(workers, "test.echo", worker="b", retry_policy=policy)
    runs = [await start(workflows, run_id=f"r{n}") for n in range(3)]
    await take(workers, worker="a")

    found = await functions(workers)

    assert list(found) == ["test.echo", "test.other"]
    echo, other = found.values()
    assert (list(echo.worker_ids), echo.worker_count) == (["a", "b"], 2)
    assert (echo.queued_calls, echo.leased_calls) == (2, 1)
    assert echo.spec.retry_policy.max_attempts == 4
    oldest = echo.oldest_call_time.ToNanoseconds()
    created = [each.run.create_time.ToNanoseconds() for each in runs]
    assert created[1] <= oldest < created[2]
    assert (list(other.worker_ids), other.queued_calls) == (["a"], 0)
    assert not other.HasField("oldest_call_time")
    assert echo.registered


async def test_a_function_that_nobody_registered_is_seen_while_calls_wait(
    workflows, workers
):
    await start(workflows)
    [echo] = (await functions(workers)).values()
    assert (echo.registered, echo.queued_calls, echo.worker_count) == (False, 1, 0)

    await complete(workers, result(await take(workers)))

    assert await functions(workers) == {}


async def test_what_a_limit_holds_back_waits_as_well(service, workflows, workers):
    await service.queues.SetQueue(
        queue_service_pb2.SetQueueRequest(
            name="test", limits=queue_service_pb2.QueueLimits(max_in_flight=1)
        )
    )
    for n in range(4):
        await start(workflows, run_id=f"r{n}")
    await take(workers)

    [echo] = (await functions(workers)).values()

    assert (echo.queued_calls, echo.leased_calls) == (3, 1)


async def test_a_page_of_functions_is_no_larger_than_an_answer_may_be(workers):
    """A hundred with schemas of 60 KB would be six megabytes."""
    names = [f"test.f{n:02}" for n in range(100)]
    for start_at in range(0, 100, 25):
        some = names[start_at : start_at + 25]
        await register(workers, *some, input_schema=f'"{"x" * 60_000}"')

    found, token = [], ""
    while len(found) < 100:
        answer = await workers.ListFunctions(pb.ListFunctionsRequest(page_token=token))
        found += [each.spec.name for each in answer.functions]
        token = answer.next_page_token

    assert found == names
    assert token == ""


# Workers


async def test_workers_show_what_they_are_and_what_they_hold(workflows, workers):
    info = pb.WorkerInfo(
        worker_id="w/1",
        sdk="test/1",
        build_id="abc",
        labels={"zone": "b"},
        max_concurrency=7,
    )
    specs = [pb.FunctionSpec(name=name) for name in ("test.other", "test.echo")]
    await workers.RegisterFunction(
        pb.RegisterFunctionRequest(worker=info, functions=specs)
    )
    await start(workflows)
    task = await take(workers, worker="w/1")

    [worker] = (await listed_workers(workers)).values()

    assert worker.worker == info
    assert list(worker.functions) == ["test.echo", "test.other"]
    assert (worker.held_tasks, worker.live, worker.draining) == (1, True, False)
    assert worker.connection == pb.WORKER_CONNECTION_NONE
    assert worker.last_seen_time.seconds >= task.call_time.seconds


async def test_a_worker_that_never_registered_shows_what_it_polls_for(workers):
    polling = asyncio.ensure_future(
        poll(workers, "test.b", "test.a", worker="grpcurl", wait=Duration(seconds=1))
    )

    async def is_polling():
        worker = (await listed_workers(workers)).get("grpcurl")
        return worker and worker.connection == pb.WORKER_CONNECTION_POLL

    await until(is_polling)
    [worker] = (await listed_workers(workers)).values()
    assert list(worker.functions) == ["test.a", "test.b"]
    assert worker.worker == pb.WorkerInfo(worker_id="grpcurl")
    await polling


async def test_a_drained_worker_is_said_to_drain(workflows, workers):
    await register(workers, "test.echo")
    await start(workflows)
    await workers.DrainWorker(pb.DrainWorkerRequest(worker_id="w"))

    [worker] = (await listed_workers(workers)).values()

    assert worker.draining
    # It takes no more, so that calls are said to have no worker.
    assert (await wait_of(workflows)).state == run_pb2.CALL_STATE_NO_WORKER


async def test_workers_are_listed_by_id_in_pages(workers):
    ids = [f"w{n}" for n in range(5)]
    for worker in reversed(ids):
        await register(workers, "test.echo", worker=worker)

    found, token = [], ""
    while len(found) < 5:
        request = pb.ListWorkersRequest(page_size=2, page_token=token)
        answer = await workers.ListWorkers(request)
        found += [each.worker.worker_id for each in answer.workers]
        token = answer.next_page_token

    assert found == ids
    assert token == ""


async def test_bad_pages_are_refused(workers):
    for ask, request in (
        (workers.ListWorkers, pb.ListWorkersRequest),
        (workers.ListFunctions, pb.ListFunctionsRequest),
    ):
        refused = await refusal(ask(request(page_size=-1)))
        assert refused.fields == ["page_size"]
        refused = await refusal(ask(request(page_token="x" * 256)))
        assert refused.fields == ["page_token"]
        refused = await refusal(ask(request(namespace="No")))
        assert refused.fields == ["namespace"]


async def test_namespaces_do_not_see_each_other(workflows, workers):
    await register(workers, "test.echo")
    await start(workflows)
    assert await functions(workers, namespace="other") == {}
    assert await listed_workers(workers, namespace="other") == {}


# What a call waits for


async def test_a_call_without_a_worker_says_so(workflows, workers):
    await start(workflows)
    call = await wait_of(workflows)
    assert call.state == run_pb2.CALL_STATE_NO_WORKER
    assert call.state_message == "no worker offers test.echo now"


async def test_a_call_whose_worker_does_not_ask_says_so(workflows, workers):
    await register(workers, "test.echo", worker="a")
    await start(workflows)
    call = await wait_of(workflows)
    assert call.state == run_pb2.CALL_STATE_WORKERS_BUSY
    assert call.state_message == "waits for its worker to ask for it"

    await register(workers, "test.echo", worker="b")
    call = await wait_of(workflows)
    assert call.state_message == "waits for one of 2 workers to ask for it"


async def test_a_worker_with_a_task_of_the_function_is_one(workflows, workers):
    """Of another server, perhaps, where it registered."""
    for n in range(2):
        await start(workflows, run_id=f"r{n}")
    await take(workers, worker="elsewhere")
    await workers.RegisterFunction(
        pb.RegisterFunctionRequest(worker=pb.WorkerInfo(worker_id="elsewhere"))
    )
    await poll(workers, "test.other", worker="elsewhere", wait=NOW)

    call = await wait_of(workflows, "r1")

    assert call.state == run_pb2.CALL_STATE_WORKERS_BUSY
    assert call.state_message == "waits for its worker to ask for it"


async def test_a_call_that_a_worker_has_says_which(workflows, workers):
    await start(workflows)
    await take(workers, worker="a")
    call = await wait_of(workflows)
    assert (call.state, call.worker_id) == (run_pb2.CALL_STATE_LEASED, "a")
    assert call.state_message == "worker a has it, attempt 1"


async def test_a_call_that_backs_off_says_so(workflows, workers):
    policy = RetryPolicy(initial_interval=Duration(seconds=3600), max_attempts=3)
    await register(workers, "test.echo", retry_policy=policy)
    await start(workflows)
    task = await take(workers)
    await complete(workers, result(task, failure=Failure(code="NO", message="no")))

    call = await wait_of(workflows)

    assert call.state == run_pb2.CALL_STATE_BACKING_OFF
    assert call.state_message == "1 attempt has failed; the next is not due yet"
    assert call.last_failure.code == "NO"


async def test_a_worker_that_was_lost_is_none(serve):
    service = await serve(options=Options(lease_s=0.2))
    await register(service.workers, "test.echo")
    await start(service.workflows)

    async def is_without():
        state = (await wait_of(service.workflows)).state
        return state == run_pb2.CALL_STATE_NO_WORKER

    await until(is_without)
    [worker] = (await listed_workers(service.workers)).values()
    assert not worker.live


async def test_after_a_restart_a_call_waits_for_whoever_had_it(serve):
    service = await serve()
    await start(service.workflows)
    await take(service.workers)

    again = await serve(store=service.store)

    call = await wait_of(again.workflows)
    assert call.state == run_pb2.CALL_STATE_RECOVERING
    assert call.state_message == "the server waits for whoever had it before"


# Several servers


def test_functions_of_several_servers_make_one_answer():
    def status(workers, queued, leased, oldest=0, **fields):
        made = pb.FunctionStatus(
            worker_ids=workers,
            worker_count=len(workers),
            queued_calls=queued,
            leased_calls=leased,
            **fields,
        )
        made.spec.name = "test.echo"
        if oldest:
            made.oldest_call_time.FromSeconds(oldest)
        return made

    one = status(["a", "b"], 1, 2, 9)
    two = status(["b", "c"], 3, 4, 8, registered=True)
    two.spec.description = "echoes"
    merged = MERGES["ListFunctions"](
        pb.ListFunctionsRequest(),
        [pb.ListFunctionsResponse(functions=[each]) for each in (one, two)],
    )

    expected = status(["a", "b", "c"], 4, 6, 8, registered=True)
    expected.spec.description = "echoes"
    assert list(merged.functions) == [expected]


def test_workers_of_several_servers_make_one_answer():
    """A worker polls one of them, and holds tasks of all."""
    registered = pb.WorkerStatus(
        worker=pb.WorkerInfo(worker_id="w", sdk="x"),
        functions=["test.a", "test.b"],
        held_tasks=1,
        connection=pb.WORKER_CONNECTION_STREAM,
        live=True,
    )
    registered.last_seen_time.FromSeconds(9)
    known = pb.WorkerStatus(
        worker=pb.WorkerInfo(worker_id="w"),
        functions=["test.a"],
        held_tasks=2,
        connection=pb.WORKER_CONNECTION_NONE,
    )
    known.last_seen_time.FromSeconds(8)
    expected = pb.WorkerStatus()
    expected.CopyFrom(registered)
    expected.held_tasks = 3

    for order in ([registered, known], [known, registered]):
        answers = [pb.ListWorkersResponse(workers=[each]) for each in order]
        merged = MERGES["ListWorkers"](pb.ListWorkersRequest(), answers)
        assert list(merged.workers) == [expected]
