"""What a store promises besides that several servers share, as tests.

For pytest with pytest-asyncio, beside `StoreContract`::

    class TestMySharing(SharedStoreContract):
        def new_store(self, place: Path) -> SharedStore:
            return MySharedStore(place)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from starflow_backends.shared import SharedStore, claim_all
from starflow_backends.store import NotOwnerError, Phase
from starflow_backends.testing import appended, assert_run, outcomes_of

Pair = tuple[SharedStore, SharedStore]


def run_in(store: SharedStore, partition: int) -> str:
    """Return a run of *partition*."""
    runs = (f"ns/{n}" for n in count())
    return next(run for run in runs if store.partition_of(run) == partition)


@pytest.mark.asyncio
class SharedStoreContract:
    """The rules of `starflow_backends.shared`, each with a test."""

    def new_store(self, place: Path) -> SharedStore:
        """
        Return a store that is not open yet, of two partitions at least.

        Stores of the same *place* share what they hold.  A lease of a second or so will
        do: nothing waits for its end.
        """
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def stores(self, tmp_path: Path) -> AsyncIterator[list[SharedStore]]:
        """Return five open stores of one place, which have no partition."""
        async with AsyncExitStack() as stack:
            stores = [self.new_store(tmp_path) for _ in range(5)]
            for store in stores:
                stack.push_async_callback(store.close)
            # Whoever comes first makes it.
            await asyncio.gather(*(store.open() for store in stores))
            yield stores

    @pytest_asyncio.fixture
    async def pair(self, stores: list[SharedStore]) -> Pair:
        """Return two stores: the first has partition 0, the second the rest."""
        first, second, *_ = stores
        assert await first.claim(0)
        for number in range(1, first.partitions):
            assert await second.claim(number)
        return first, second

    # Who has what.

    async def test_a_store_that_was_opened_has_nothing(
        self, stores: list[SharedStore]
    ) -> None:
        store, *_ = stores

        assert isinstance(store, SharedStore)
        assert store.partitions >= 2
        assert store.owned == frozenset()
        assert await store.runs_in(list(Phase)) == []
        found = await store.timers_due()
        assert (list(found.due), found.next_due_ns) == ([], None)
        with pytest.raises(NotOwnerError):
            await store.append(appended("ns/r", 0, b"one"))

    async def test_everybody_sees_who_has_what(self, pair: Pair) -> None:
        first, second = pair

        states = await second.partition_states()

        assert [state.number for state in states] == list(range(first.partitions))
        others = [second.replica_id] * (first.partitions - 1)
        assert [state.owner for state in states] == [first.replica_id, *others]
        assert all(state.lease_left_s > 0 for state in states)
        assert first.owned == {0}
        assert second.owned == set(range(1, first.partitions))

    async def test_one_of_many_gets_a_partition(
        self, stores: list[SharedStore]
    ) -> None:
        for number in range(stores[0].partitions):
            claims = await asyncio.gather(*(store.claim(number) for store in stores))
            assert sorted(claims) == [False] * 4 + [True]

    async def test_every_claim_has_another_epoch(
        self, stores: list[SharedStore]
    ) -> None:
        epochs = []
        for store in stores:
            assert await store.claim(0)
            epochs.append((await store.partition_states())[0].epoch)
            await store.release(0)

        assert epochs == sorted(set(epochs))

    async def test_all_can_be_claimed(self, stores: list[SharedStore]) -> None:
        store, *_ = stores
        await claim_all(store)

        assert store.owned == set(range(store.partitions))
        runs = [f"ns/{n}" for n in range(50)]
        appends = (appended(run, 0, b"one") for run in runs)
        assert await outcomes_of(store, appends) == [None] * 50
        runs_of = [state.runs for state in await store.partition_states()]
        assert sum(runs_of) == 50

    # What an owner may do.

    async def test_a_run_is_written_by_its_owner_and_read_by_all(
        self, pair: Pair
    ) -> None:
        first, second = pair
        run = run_in(first, 0)
        await first.append(appended(run, 0, b"one"))

        with pytest.raises(NotOwnerError) as caught:
            await second.append(appended(run, 1, b"two"))
        with pytest.raises(NotOwnerError):
            await second.delete(run, expected_version=1, tombstone_ns=0)

        assert caught.value.partition == 0
        for store in pair:
            await assert_run(store, run, [b"one"])

    async def test_who_asks_for_all_gets_what_is_his(self, pair: Pair) -> None:
        runs = [run_in(pair[0], number) for number in (0, 1)]
        for store, run in zip(pair, runs, strict=True):
            await store.append(appended(run, 0, timers={"t": 7}))

        for store, run in zip(pair, runs, strict=True):
            assert await store.runs_in([Phase.RUNNABLE]) == [run]
            assert [timer.run for timer in (await store.timers_due()).due] == [run]
        both = await pair[0].runs_in([Phase.RUNNABLE], partitions={0, 1})
        assert both == sorted(runs)
        await pair[0].clear_index()
        assert list((await pair[0].timers_due()).due) == []
        assert len((await pair[1].timers_due()).due) == 1

    async def test_what_is_given_back_is_free_at_once(self, pair: Pair) -> None:
        first, second = pair
        runs = [run for n in range(400) if first.partition_of(run := f"ns/{n}") == 0]
        begun = [first.append(appended(run, 0, b"one")) for run in runs]

        await first.release(0)

        # What was given before is carried out.
        assert await asyncio.gather(*begun) == [None] * len(runs)
        with pytest.raises(NotOwnerError):
            await first.append(appended(runs[0], 1, b"two"))
        assert await second.claim(0)
        await second.append(appended(runs[0], 1, b"two"))
        await first.release(0)
        assert second.owned == set(range(first.partitions))

    # Who is there.

    async def test_members_are_known_until_they_leave(self, pair: Pair) -> None:
        first, second = pair
        assert await first.replicas() == []
        await first.join("host-a:1", "0.1.0")
        await second.join("host-b:2", "0.1.1")

        members = {each.id: each for each in await first.replicas()}

        assert set(members) == {first.replica_id, second.replica_id}
        member = members[second.replica_id]
        assert (member.address, member.version) == ("host-b:2", "0.1.1")
        assert member.started_ns > 0
        assert member.lease_left_s > 0
        await second.leave()
        assert [each.id for each in await first.replicas()] == [first.replica_id]
        assert second.owned == frozenset()
        assert await first.claim(1)

    async def test_who_closes_leaves(self, stores: list[SharedStore]) -> None:
        first, second, *_ = stores
        await second.join("host-b:2", "0.1.1")
        assert await second.claim(0)

        await second.close()

        assert await first.replicas() == []
        assert await first.claim(0)

    async def test_every_store_is_another_replica(
        self, stores: list[SharedStore]
    ) -> None:
        assert len({store.replica_id for store in stores}) == 5

    # Records are everybody's.

    async def test_of_records_that_are_put_once_all_learn_the_same(
        self, stores: list[SharedStore]
    ) -> None:
        for n in range(20):
            puts = (
                store.put_record("space", f"key-{n}", b"%d" % at, replace=False)
                for at, store in enumerate(stores)
            )
            kept = await asyncio.gather(*puts)
            assert len(set(kept)) == 1
            assert await stores[1].get_record("space", f"key-{n}") == kept[0]
