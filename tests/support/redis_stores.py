"""Stores in Redis as the tests use them."""

from starflow_backends import claim_all
from starflow_backends.redis import RedisStore


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
