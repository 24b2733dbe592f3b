"""A Redis that goes back in time, as one does that is restored from a copy."""

import shutil

from tests.support.redis_server import RedisServer


class Past:
    """What Redis has now, to be put back later."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis
        self._copy = redis.place / "past"
        copy = shutil.copytree if redis.data.is_dir() else shutil.copy
        copy(redis.data, self._copy)

    def come_back(self) -> None:
        """Kill Redis, and start it with what it had."""
        data = self._redis.data
        self._redis.kill()
        data.rename(self._redis.place / "lost")
        self._copy.rename(data)
        self._redis.start()
