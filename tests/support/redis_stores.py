"""Stores in Redis as the tests use them."""

import asyncio
from collections.abc import Iterable

from starflow_backends import (
    Append,
    SharedStore,
    Store,
    StoreError,
    UnavailableError,
    claim_all,
)
from starflow_backends.redis import RedisStore
from tests.support.processes import PATIENCE_S, until_async


class LoneRedisStore(RedisStore):
    """A store that has all partitions when it is open."""

    async def open(self) -> None:
        """Open it, and take what whoever had it before does not renew."""
        await super().open()
        try:
            await claim_all(self)
        except BaseException:
            await self.close()
            raise


async def surely(store: Store, append: Append) -> None:
    """Append as the runtime does: again, while the outcome is unknown."""

    async def try_once() -> bool:
        try:
            await store.append(append)
        except UnavailableError:
            return False
        return True

    await until_async(try_once, "the append is acknowledged")


async def loss_of(store: RedisStore) -> StoreError:
    """Return why *store* is lost as a whole."""
    async with asyncio.timeout(PATIENCE_S):
        return await store.wait_lost()


async def lost_partitions(store: SharedStore, count: int) -> set[int]:
    """Wait until *count* partitions are lost; return them."""
    lost: set[int] = set()
    async with asyncio.timeout(PATIENCE_S):
        while len(lost) < count:
            lost |= await store.wait_lost_partitions()
    return lost


async def claim(store: SharedStore, numbers: Iterable[int]) -> None:
    """Claim partitions that nobody has."""
    for number in numbers:
        assert await store.claim(number), number
