"""A store in a real cluster: slots that move, primaries that die."""

import asyncio
import signal
from itertools import count
from uuid import uuid4

import pytest

from starflow_backends import LayoutError, Phase, StoreError, UnavailableError
from starflow_backends.redis import RedisStore
from starflow_backends.redis_wire import slot_of
from starflow_backends.testing import appended, assert_run, outcomes_of
from tests.support.processes import until, until_async
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_stores import LoneRedisStore, surely


@pytest.fixture
async def store(redis_cluster):
    store = LoneRedisStore(f"{redis_cluster.url}?prefix={uuid4().hex}&lease_ms=1000")
    await store.open()
    yield store
    await store.close()


def slot_of_run(store, run):
    return slot_of(store._link.keys.of_run(run.encode()).partition)


def run_of(store, number):
    """Return a run of the partition *number*."""
    runs = (f"ns/{n}" for n in count())
    return next(run for run in runs if store.partition_of(run) == number)


async def test_a_store_is_all_over_the_cluster(store, redis_cluster):
    runs = [f"ns/{n}" for n in range(200)]

    outcomes = await outcomes_of(store, (appended(run, 0, b"one") for run in runs))

    assert outcomes == [None] * 200
    assert await store.runs_in([Phase.RUNNABLE]) == sorted(runs)
    nodes = {redis_cluster.primary_of(slot_of_run(store, run)).port for run in runs}
    assert len(nodes) == 3
    assert sum(state.runs for state in await store.partition_states()) == 200


async def test_timers_of_all_nodes_are_found(store):
    for n in range(30):
        await store.append(appended(f"ns/{n}", 0, timers={"t": n + 1}))
    far_ns = (await store.timers_due()).now_ns + 3_600_000_000_000
    await store.append(appended("ns/late", 0, timers={"t": far_ns}))

    found = await store.timers_due()

    assert [timer.due_ns for timer in found.due] == list(range(1, 31))
    assert found.next_due_ns is not None
    left_ns = found.next_due_ns - found.now_ns
    assert 0 < left_ns <= 3_600_000_000_000
    assert len((await store.timers_due(limit=7)).due) == 7


async def test_scripts_are_there_before_what_names_them(store):
    scripts = {f"hash-{n}": b"%d" % n for n in range(3)}

    await store.append(appended("ns/r", 0, b"one", scripts=scripts))

    assert await store.scan_records("script") == scripts


async def test_a_moved_slot_is_followed(store, redis_cluster):
    """Appends that meet the move are carried out once, where the slot is then."""
    await store.append(appended("ns/r", 0, b"one"))
    slot = slot_of_run(store, "ns/r")
    source = redis_cluster.primary_of(slot)
    target = next(node for node in redis_cluster.primaries if node is not source)

    redis_cluster.move_slot(slot, target)
    redis_cluster.end_move(slot, source, target)

    await surely(store, appended("ns/r", 1, b"two"))
    await assert_run(store, "ns/r", [b"one", b"two"])
    assert redis_cluster.primary_of(slot) is target
    assert store.owned == frozenset(range(16))


async def test_what_meets_a_slot_on_its_way_waits_for_it(store, redis_cluster):
    """And its owner keeps it, however long that takes."""
    run = run_of(store, 0)
    await store.append(appended(run, 0, b"one"))
    slot = slot_of_run(store, run)
    source = redis_cluster.primary_of(slot)
    target = next(node for node in redis_cluster.primaries if node is not source)
    before = (await store.partition_states())[0]

    redis_cluster.move_slot(slot, target, count=2)
    # Others do not wait.
    elsewhere = run_of(store, 1)
    waiting = asyncio.ensure_future(store.append(appended(run, 1, b"two")))
    await store.append(appended(elsewhere, 0, b"one"))
    assert not waiting.done()
    # All its keys have gone, and the node that has the slot says where to ask.
    redis_cluster.move_slot(slot, target)
    left_s = [1.0]
    await until_async(lambda: is_renewed(store, left_s), "the lease is renewed")
    redis_cluster.end_move(slot, source, target)
    await waiting

    await store.append(appended(run, 2, b"three"))
    await assert_run(store, run, [b"one", b"two", b"three"])
    assert (await store.partition_states())[0].epoch == before.epoch


async def is_renewed(store, left_s):
    """Whether more is left of the first lease than when it was last asked about."""
    state, *_ = await store.partition_states()
    left_s.append(state.lease_left_s)
    return left_s[-1] > left_s[-2]


@pytest.fixture
def frozen():
    """A cluster of which one server stands still."""
    cluster = RedisCluster()
    cluster.start()
    for node in cluster.nodes:
        # The others go on.
        node.command("CONFIG", "SET", "cluster-node-timeout", 600_000)
    yield cluster
    cluster.nodes[0].send(signal.SIGCONT)
    cluster.close()


@pytest.mark.system
async def test_a_server_that_stands_still_costs_the_others_no_lease(frozen):
    store = LoneRedisStore(f"{frozen.url}?lease_ms=300")
    await store.open()
    stuck = frozen.nodes[0]
    numbers = set(range(store.partitions))
    slots = store._link.ways.slots
    others = {n for n in numbers if frozen.primary_of(slots[n]) is not stuck}
    assert others < numbers
    stuck.send(signal.SIGSTOP)
    began = asyncio.get_running_loop().time()
    claims = store._leases._claims

    def are_renewed():
        assert store.owned >= others
        return all(claims[n].until > began + 1.5 for n in others)

    await until(are_renewed, "the others were renewed for five leases")
    assert store.owned == others
    for n in others:
        await store.append(appended(run_of(store, n), 0, b"one"))
    stuck.send(signal.SIGCONT)

    # Nobody else has taken the rest meanwhile.
    await until(lambda: store.owned == numbers, "the rest is back")
    await store.close()


@pytest.fixture
def replicated():
    cluster = RedisCluster(with_replicas=True)
    cluster.start()
    yield cluster
    cluster.close()


@pytest.mark.system
async def test_a_primary_that_dies_is_replaced_and_the_others_go_on(replicated):
    store = LoneRedisStore(f"{replicated.url}?lease_ms=60000")
    await store.open()
    runs = [f"ns/{n}" for n in range(60)]
    await asyncio.gather(*(store.append(appended(run, 0, b"one")) for run in runs))
    for primary in replicated.primaries:
        # Every write is with its replica.
        primary.command("WAIT", 1, 5000)
    dead = replicated.primary_of(slot_of_run(store, runs[0]))
    touched = [
        run for run in runs if replicated.primary_of(slot_of_run(store, run)) is dead
    ]
    others = [run for run in runs if run not in touched]

    dead.kill()
    assert await outcomes_of(store, (appended(run, 1, b"two") for run in others)) == [
        None
    ] * len(others)
    appends = [appended(run, 1, b"two") for run in touched]
    for append in appends:
        await surely(store, append)

    for run in runs:
        assert await store.read(run) == [b"one", b"two"]
    await store.close()


async def test_any_node_tells_where_the_others_are(redis_cluster):
    last = redis_cluster.nodes[-1].port
    url = f"redis+cluster://127.0.0.1:{last}?prefix={uuid4().hex}"
    store = LoneRedisStore(url)
    await store.open()
    await store.append(appended("ns/r", 0, b"one"))
    await store.close()


async def refusal(url):
    with pytest.raises(StoreError) as caught:
        await RedisStore(url).open()
    return caught.value


async def test_a_cluster_needs_a_url_of_its_own(redis_cluster, shared_redis_on_tcp):
    port = redis_cluster.nodes[0].port
    error = await refusal(f"redis://127.0.0.1:{port}")
    assert isinstance(error, LayoutError)
    assert "redis+cluster://" in str(error)

    error = await refusal(f"redis+cluster://127.0.0.1:{shared_redis_on_tcp.port}")
    assert isinstance(error, LayoutError)
    assert "no part of a cluster" in str(error)


async def test_a_cluster_with_slots_that_nobody_has_is_not_used():
    cluster = RedisCluster(1)
    (node,) = cluster.nodes
    node.start()
    node.command("CLUSTER", "ADDSLOTSRANGE", 0, 100)

    error = await refusal(f"redis+cluster://127.0.0.1:{node.port}")

    assert isinstance(error, UnavailableError)
    assert "slots that no node has" in str(error)
    cluster.close()
