"""What every store promises of queues and permits; see `starflow_backends.testing`."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from starflow_backends.store import (
    PermitAnswer,
    PermitRequest,
    QueueLimits,
    QueueRate,
    QueueState,
    Store,
)

_LONG_MS = 3_600_000
_YEAR_US = 365 * 24 * 3_600 * 1_000_000
_TWO = QueueLimits(max_in_flight=2)
# So slow that no test sees a token come.
_THREE_A_YEAR = QueueLimits(rate=QueueRate(1, _YEAR_US, 3))


async def ask(
    store: Store,
    wanted: str = "",
    *,
    queue: str = "ns/q",
    lasts_ms: int = _LONG_MS,
    ended: str = "",
    unused: str = "",
    kept: str = "",
) -> PermitAnswer:
    """Ask for permits; each letter is a holder."""
    return await store.permits(
        PermitRequest(
            queue,
            lasts_ms,
            ended=tuple(ended),
            unused=tuple(unused),
            kept=tuple(kept),
            wanted=tuple(wanted),
        )
    )


async def granted(
    store: Store,
    wanted: str,
    *,
    queue: str = "ns/q",
    lasts_ms: int = _LONG_MS,
    ended: str = "",
    unused: str = "",
) -> int:
    """Do as `ask`, and return how many of *wanted* have a permit."""
    answer = await ask(
        store, wanted, queue=queue, lasts_ms=lasts_ms, ended=ended, unused=unused
    )
    return answer.granted


async def state(store: Store, queue: str = "ns/q") -> QueueState:
    """Return *queue* as it stands, tokens rounded down."""
    found = (await store.queues())[queue]
    assert isinstance(found, QueueState), found
    return QueueState(found.limits, found.in_flight, int(found.tokens + 1e-6))


class PermitContract:
    """The rules of `starflow_backends.permits`, each with a test."""

    async def test_a_queue_that_nobody_set_has_no_limits(self, store: Store) -> None:
        assert await ask(store, "abc") == PermitAnswer(3, None)
        assert await store.queues() == {}

    async def test_a_queue_is_set_changed_and_forgotten(self, store: Store) -> None:
        both = QueueLimits(7, QueueRate(1, _YEAR_US, 3))
        assert not await store.set_queue("ns/q", _TWO)
        assert await store.set_queue("ns/q", both)
        assert not await store.set_queue("other/q", _TWO)

        assert await state(store) == QueueState(both, 0, 3.0)
        assert await state(store, "other/q") == QueueState(_TWO, 0, 0.0)
        assert await store.set_queue("ns/q", None)
        assert not await store.set_queue("ns/q", None)
        assert list(await store.queues()) == ["other/q"]

    async def test_no_more_permits_than_the_limit(self, store: Store) -> None:
        """Those in front get them."""
        await store.set_queue("ns/q", _TWO)

        assert await ask(store, "abc") == PermitAnswer(2, QueueState(_TWO, 2, 0.0))
        assert await granted(store, "c") == 0
        assert await granted(store, "c", ended="a") == 1
        assert await granted(store, "a") == 0
        assert await granted(store, "", ended="bc") == 0
        assert (await state(store)).in_flight == 0

    async def test_a_permit_is_one_however_often_it_is_asked(
        self, store: Store
    ) -> None:
        await store.set_queue("ns/q", _TWO)
        await store.set_queue("ns/slow", _THREE_A_YEAR)

        for _ in range(3):
            assert await granted(store, "ab") == 2
            assert await granted(store, "ab", queue="ns/slow") == 2
        assert (await state(store)).in_flight == 2
        assert await state(store, "ns/slow") == QueueState(_THREE_A_YEAR, 2, 1.0)

    async def test_queues_do_not_touch_each_other(self, store: Store) -> None:
        for queue in ("ns/q", "ns/p", "other/q"):
            await store.set_queue(queue, _TWO)
            assert await granted(store, "abc", queue=queue) == 2

        await ask(store, ended="ab", queue="ns/p")

        for queue, in_flight in {"ns/q": 2, "ns/p": 0, "other/q": 2}.items():
            assert (await state(store, queue)).in_flight == in_flight

    async def test_permits_end_by_themselves(self, store: Store) -> None:
        """By the store's clock; until then nobody else has them."""
        await store.set_queue("ns/q", _TWO)
        assert await granted(store, "a") == 1
        assert await granted(store, "b", lasts_ms=1) == 1

        while not await granted(store, "c"):
            pass

        assert await granted(store, "d") == 0
        assert (await state(store)).in_flight == 2

    async def test_a_permit_that_is_kept_does_not_end(self, store: Store) -> None:
        await store.set_queue("ns/q", _TWO)
        assert await granted(store, "ab", lasts_ms=50) == 2

        await ask(store, kept="a")
        while not await granted(store, "c"):
            pass

        assert await granted(store, "b") == 0
        assert await granted(store, "ac") == 2

    async def test_what_somebody_goes_on_with_is_counted(self, store: Store) -> None:
        """Even beyond the limit, and whether or not it ever had a permit."""
        await store.set_queue("ns/q", _TWO)

        await ask(store, kept="abc")

        assert (await state(store)).in_flight == 3
        assert await granted(store, "d", ended="a") == 0
        assert await granted(store, "d", ended="b") == 1

    async def test_each_permit_costs_a_token(self, store: Store) -> None:
        await store.set_queue("ns/q", _THREE_A_YEAR)

        assert await granted(store, "ab") == 2
        assert await granted(store, "cd", ended="ab") == 1
        assert await state(store) == QueueState(_THREE_A_YEAR, 1, 0.0)

    async def test_a_permit_that_was_not_used_gives_its_token_back(
        self, store: Store
    ) -> None:
        await store.set_queue("ns/q", _THREE_A_YEAR)
        await ask(store, "abc")

        assert await granted(store, "de", unused="ab") == 2
        await ask(store, unused="dex")
        # It is gone: a repetition gives nothing back.
        await ask(store, unused="de")

        assert await state(store) == QueueState(_THREE_A_YEAR, 1, 2.0)
        # What is kept costs nothing, and a full bucket takes no more.
        await ask(store, kept="fghi")
        await ask(store, unused="fghi")
        assert await state(store) == QueueState(_THREE_A_YEAR, 1, 3.0)

    async def test_tokens_come_by_the_clock_of_the_store(self, store: Store) -> None:
        """A thousand in a second; the burst bounds what a pause brings."""
        limits = QueueLimits(rate=QueueRate(1_000, 1_000_000, 2))
        await store.set_queue("ns/q", limits)
        assert await granted(store, "ab") == 2

        for holder in "cdef":
            while not await granted(store, holder):
                pass

        while (await state(store)).tokens < 2:
            pass
        assert (await state(store)).tokens == 2.0

    async def test_no_more_tokens_come_than_the_rate_says(self, store: Store) -> None:
        """However often somebody asks: 200 in a second, and two that were saved."""
        limits = QueueLimits(rate=QueueRate(200, 1_000_000, 2))
        began = time.monotonic()
        await store.set_queue("ns/q", limits)
        taken = 0
        while taken < 20:
            holder = chr(0x4E00 + taken)
            taken += await granted(store, holder, ended=chr(0x4DFF + taken))

        assert taken <= 2 + 200 * (time.monotonic() - began)

    async def test_other_limits_keep_permits_and_tokens(self, store: Store) -> None:
        await store.set_queue("ns/q", _THREE_A_YEAR)
        await ask(store, "ab")

        five = QueueLimits(3, QueueRate(1, _YEAR_US, 5))
        await store.set_queue("ns/q", five)
        assert await state(store) == QueueState(five, 2, 1.0)
        assert await granted(store, "cd") == 1

        await store.set_queue("ns/q", QueueLimits(1))
        assert (await state(store)).in_flight == 3
        assert await granted(store, "e", ended="ab") == 0
        assert await granted(store, "e", ended="c") == 1

        await store.set_queue("ns/q", five)
        assert await state(store) == QueueState(five, 1, 5.0)

    async def test_a_forgotten_queue_forgets_its_permits(self, store: Store) -> None:
        await store.set_queue("ns/q", _TWO)
        await ask(store, "ab")

        await store.set_queue("ns/q", None)
        await store.set_queue("ns/q", _TWO)

        assert await granted(store, "cd") == 2

    async def test_who_asks_at_the_same_time_gets_no_more(self, store: Store) -> None:
        limits = QueueLimits(5, QueueRate(1, _YEAR_US, 8))
        await store.set_queue("ns/q", limits)

        answers = await asyncio.gather(
            *(granted(store, chr(n)) for n in range(97, 117))
        )
        assert sum(answers) == 5

        held = "".join(chr(97 + n) for n, each in enumerate(answers) if each)
        others = [granted(store, chr(n), ended=held) for n in range(65, 85)]
        assert sum(await asyncio.gather(*others)) == 3
        assert await state(store) == QueueState(limits, 3, 0.0)

    async def test_a_cleared_index_keeps_the_queues(self, store: Store) -> None:
        await store.set_queue("ns/q", _TWO)
        await ask(store, "ab")

        await store.clear_index()

        assert (await state(store)).in_flight == 2


class DurablePermitContract:
    """What a store promises of permits when it keeps what it acknowledged."""

    def opened(self, place: Path) -> AbstractAsyncContextManager[Store]:
        """Open a store, and close it in the end."""
        raise NotImplementedError

    async def test_permits_and_tokens_survive_a_restart(self, tmp_path: Path) -> None:
        limits = QueueLimits(2, QueueRate(1, _YEAR_US, 3))
        async with self.opened(tmp_path) as store:
            await store.set_queue("ns/q", limits)
            assert await granted(store, "abc") == 2

        async with self.opened(tmp_path) as store:
            assert await state(store) == QueueState(limits, 2, 1.0)
            assert await granted(store, "cd", ended="a") == 1
            assert await granted(store, "d", ended="b") == 0
