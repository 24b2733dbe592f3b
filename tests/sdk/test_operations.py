"""Queues, functions and workers, as programs and people see them."""

import json
from datetime import UTC, datetime, timedelta

import grpc
import pytest

import starflow
from starflow.testing import SyncTestServer
from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.sdk.terminal import Terminal

CALL = "def main(ctx, input):\n    return shop.buy(ctx, input)\n"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def server():
    with SyncTestServer() as server:
        yield server


@pytest.fixture
def client(server):
    return server.client


@pytest.fixture
def terminal(client, capsys):
    return Terminal(client.connection.address, capsys)


@pytest.fixture
def worker(server):
    """A worker that does only what a test lets it do."""
    with grpc.insecure_channel(server.address) as channel:
        stub = WorkerServiceStub(channel)
        info = pb.WorkerInfo(
            worker_id="w-1", sdk="test/1", labels={"zone": "b"}, max_concurrency=8
        )
        spec = pb.FunctionSpec(name="shop.buy", description="buys", queue="till")
        spec.attempt_timeout.FromSeconds(90)
        spec.call_timeout.FromSeconds(3600)
        retry = starflow.Retry(3, initial=0.5, maximum=60.0, non_retryable=("NO",))
        spec.retry_policy.CopyFrom(retry.to_pb())
        stub.RegisterFunction(pb.RegisterFunctionRequest(worker=info, functions=[spec]))
        yield stub


def poll(worker, **fields):
    request = pb.PollRequest(worker_id="w-1", max_tasks=50, **fields)
    return list(worker.Poll(request).tasks)


@pytest.fixture
def busy(client, worker):
    """One call of three is with a worker, because the queue lets no more through."""
    client.set_queue("till", max_in_flight=1)
    for n in range(3):
        client.start(CALL, run_id=f"r-{n}", input=n)
    assert len(poll(worker)) == 1
    return client


def test_a_queue_is_set_listed_and_deleted(client):
    rate = starflow.Rate(100, per=5 * MINUTE, burst=7)
    made = client.set_queue("mails", max_in_flight=3, rate=rate)
    client.set_queue("bank", rate=starflow.Rate(9))

    bank, mails = client.list_queues()

    assert mails == made
    assert (mails.name, mails.max_in_flight) == ("mails", 3)
    assert mails.rate == starflow.Rate(100, per=300.0, burst=7)
    assert (mails.in_flight, mails.waiting, mails.tokens) == (0, 0, 7)
    assert mails.oldest_call_time is None
    assert (bank.max_in_flight, bank.rate) == (None, starflow.Rate(9, 1.0, burst=9))
    assert client.delete_queue("bank")
    assert not client.delete_queue("bank")
    assert [queue.name for queue in client.list_queues()] == ["mails"]


def test_limits_that_mean_nothing_are_refused(client):
    with pytest.raises(starflow.InvalidRequest, match="sets no limit"):
        client.set_queue("bank")
    with pytest.raises(starflow.InvalidRequest, match="must be from 1 to"):
        client.set_queue("bank", rate=starflow.Rate(0))
    with pytest.raises(starflow.InvalidRequest, match="name"):
        client.set_queue("b a n k", max_in_flight=1)


def test_a_queue_shows_what_waits(busy):
    (queue,) = busy.list_queues()
    assert (queue.in_flight, queue.waiting) == (1, 2)
    assert isinstance(queue.oldest_call_time, datetime)


def test_a_function_shows_who_serves_it(busy):
    (function,) = busy.list_functions()

    assert (function.name, function.description) == ("shop.buy", "buys")
    assert function.registered
    assert (function.worker_ids, function.worker_count) == (("w-1",), 1)
    assert (function.queued, function.leased, function.queue) == (2, 1, "till")
    assert (function.attempt_timeout, function.call_timeout) == (90, 3600)
    assert function.retry == starflow.Retry(3, 0.5, 2.0, 60.0, ("NO",))
    shown = json.loads(json.dumps(function.to_dict()))
    assert (shown["worker_ids"], shown["retry"]["max_attempts"]) == (["w-1"], 3)


def test_a_worker_shows_what_it_is(busy):
    (worker,) = busy.list_workers()

    assert (worker.id, worker.sdk, worker.labels) == ("w-1", "test/1", {"zone": "b"})
    assert (worker.functions, worker.held_tasks) == (("shop.buy",), 1)
    assert (worker.max_concurrency, worker.connection) == (8, "NONE")
    assert (worker.live, worker.draining) == (True, False)
    assert worker.last_seen_time.tzinfo is UTC
    assert json.loads(json.dumps(worker.to_dict()))["functions"] == ["shop.buy"]


def test_more_than_a_page_holds_are_listed(client, worker):
    names = [f"shop.f{n:03}" for n in range(230)]
    request = pb.RegisterFunctionRequest(
        worker=pb.WorkerInfo(worker_id="w-2"),
        functions=[pb.FunctionSpec(name=name) for name in names],
    )
    worker.RegisterFunction(request)
    for name in names:
        client.set_queue(name.partition(".")[2], max_in_flight=1)

    assert [f.name for f in client.list_functions()] == ["shop.buy", *names]
    assert len(list(client.list_queues())) == 230


def test_a_decorated_function_names_its_queue():
    module = starflow.Module("shop")

    @module.function(queue="till")
    def buy(): ...

    @module.function
    def sell(): ...

    assert [each.spec().queue for each in module] == ["till", ""]


async def test_an_async_client_lists_as_well():
    async with starflow.testing.TestServer() as server:
        await server.client.set_queue("till", max_in_flight=1)
        assert [q.name async for q in server.client.list_queues()] == ["till"]


# The command line


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ("--max-in-flight 5", "5 in flight"),
        ("--rate 10/s", "10/s, at most 10 at once"),
        ("--rate 100/5m --burst 7", "100/5m, at most 7 at once"),
        ("--rate 1/1d", "1/d, at most 1 at once"),
        ("--rate 3/36h", "3/36h, at most 3 at once"),
        ("--rate 3/1500ms", "3/1500ms, at most 3 at once"),
        ("--max-in-flight 2 --rate 4/h", "2 in flight and 4/h, at most 4 at once"),
    ],
)
def test_queue_set_says_what_holds(terminal, options, bounds):
    code, out, err = terminal("queue", "set", "bank", *options.split())
    assert (code, out, err) == (0, f"bank is bound to {bounds}\n", "")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("", "give --max-in-flight or --rate, or both"),
        ("--max-in-flight 2 --burst 3", "--burst is for --rate"),
        ("--max-in-flight 0", "'0' is no number from 1 to 1000000"),
        ("--rate 10", "'10' is no rate, such as 10/s, 100/5m or 9/h"),
        ("--rate 0/s", "'0/s' is no rate"),
        ("--rate 1/0s", "'1/0s' is no rate"),
        ("--rate 1/40d", "limits.rate.period: must be from 1 ms to 31 days"),
    ],
)
def test_queue_set_refuses_what_means_nothing(terminal, options, problem):
    code, out, err = terminal("queue", "set", "bank", *options.split())
    assert (code != 0, out) == (True, "")
    assert problem in err
    assert terminal("queue", "list") == (0, "", "")


def test_queue_list_is_a_table(terminal, busy):
    busy.set_queue("mails", rate=starflow.Rate(10, per=60, burst=4))

    code, out, _ = terminal("queue", "list")

    assert code == 0
    head, mails, till = (line.split() for line in out.splitlines())
    assert head == ["QUEUE", "IN", "FLIGHT", "WAITING", "OLDEST", "TOKENS", "RATE"]
    assert mails == ["mails", "0", "0", "4.0/4", "10/m"]
    assert till[:3] == ["till", "1/1", "2"]


def test_queue_list_is_a_line_of_json_each(terminal, busy):
    code, out, _ = terminal("queue", "list", "--json")
    (queue,) = map(json.loads, out.splitlines())
    assert (code, queue["name"], queue["waiting"]) == (0, "till", 2)
    assert "rate" not in queue


def test_queue_delete_says_what_it_did(terminal, busy):
    for words in ("till has no limits any more", "till had no limits"):
        assert terminal("queue", "delete", "till") == (0, f"{words}\n", "")
    code, out, _ = terminal("queue", "delete", "till", "--json")
    assert (code, json.loads(out)) == (0, {"name": "till", "deleted": False})


def test_functions_is_a_table(terminal, busy):
    busy.start(
        "def main(ctx, input):\n    b.c(ctx)\n", run_id="x", allow_unregistered=True
    )

    code, out, _ = terminal("functions")

    assert code == 0
    head, other, buy = (line.split() for line in out.splitlines())
    assert head[:5] == ["FUNCTION", "WORKERS", "QUEUED", "OLDEST", "LEASED"]
    assert head[5:] == ["TIMEOUT", "QUEUE"]
    assert other[:4] == ["b.c", "(unregistered)", "0", "1"]
    assert buy[:3] == ["shop.buy", "1", "2"]
    assert buy[-3:] == ["1", "3600s", "till"]
    _, out, _ = terminal("functions", "--json")
    assert [json.loads(line)["name"] for line in out.splitlines()] == [
        "b.c",
        "shop.buy",
    ]


def test_workers_is_a_table(terminal, busy, worker):
    code, out, _ = terminal("workers")
    assert code == 0
    head, row = (line.split() for line in out.splitlines())
    assert head == ["WORKER", "TASKS", "SEEN", "BY", "SDK", "FUNCTIONS"]
    assert row[:2] == ["w-1", "1/8"]
    assert row[-3:] == ["none", "test/1", "shop.buy"]

    worker.DrainWorker(pb.DrainWorkerRequest(worker_id="w-1"))
    assert " draining " in terminal("workers")[1]
    _, out, _ = terminal("workers", "--json")
    assert json.loads(out)["draining"] is True


def test_get_shows_what_a_call_waits_for(terminal, busy):
    code, out, _ = terminal("get", "r-1")
    assert code == 0
    assert "waits for  shop.buy until 20" in out
    assert ", attempt 1: queue till is at its limit: 1 of 1 in flight" in out
    held = terminal("get", "r-0")[1]
    assert ", attempt 1, on worker w-1 since 20" in held
    wait = json.loads(terminal("get", "r-1", "--json")[1])["waits"][0]
    assert (wait["state"], wait["queue"]) == ("QUEUE_LIMIT", "till")


def test_nothing_is_no_table(terminal):
    for command in (["queue", "list"], ["functions"], ["workers"]):
        assert terminal(*command) == (0, "", "")
