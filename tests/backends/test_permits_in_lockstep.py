"""All stores give the same permits, through chance steps, as one simple model."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from starflow_backends import (
    MemoryStore,
    PermitAnswer,
    PermitRequest,
    QueueLimits,
    QueueRate,
    QueueState,
    SqliteStore,
)
from tests.support.redis_stores import LoneRedisStore

# Tokens come so slowly that none does: the stores have clocks of their own.
YEAR_US = 365 * 24 * 3_600 * 1_000_000
LONG_MS = 3_600_000
NAMES = st.sampled_from(["ns/a", "ns/b"])
LIMITS = st.builds(
    QueueLimits,
    st.none() | st.integers(1, 4),
    st.none()
    | st.builds(QueueRate, st.just(1), st.just(YEAR_US), st.sampled_from([1, 3, 9])),
)
HOLDERS = st.lists(st.sampled_from("abcdefgh"), max_size=5)


@dataclass
class Queue:
    """What the model knows of a queue."""

    limits: QueueLimits
    tokens: int
    # Holders, and whether their permits last.
    holders: dict[str, bool] = field(default_factory=dict)

    def set_limits(self, limits: QueueLimits) -> None:
        before, self.limits = self.limits.rate, limits
        burst = limits.rate.burst if limits.rate else 0
        self.tokens = min(self.tokens, burst) if before else burst

    def carry_out(self, request: PermitRequest) -> int:
        """Return how many are granted."""
        self.end()
        rate, bound, lasts = (
            self.limits.rate,
            self.limits.max_in_flight,
            request.lasts_ms > 0,
        )
        for holder in request.ended:
            self.holders.pop(holder, None)
        for holder in request.unused:
            if self.holders.pop(holder, None) is not None and rate:
                self.tokens = min(rate.burst, self.tokens + 1)
        for holder in request.kept:
            self.holders[holder] = lasts
        for granted, holder in enumerate(request.wanted):
            if holder not in self.holders:
                is_full = bound is not None and len(self.holders) >= bound
                if is_full or (rate and not self.tokens):
                    return granted
                self.tokens -= 1 if rate else 0
            self.holders[holder] = lasts
        return len(request.wanted)

    def end(self) -> None:
        self.holders = {holder: True for holder, lasts in self.holders.items() if lasts}

    def state(self) -> QueueState:
        return QueueState(self.limits, len(self.holders), self.tokens)


def rounded(state: QueueState | None) -> QueueState | None:
    """Leave out what a year's rate brings in the time of a test."""
    return state and QueueState(state.limits, state.in_flight, round(state.tokens, 3))


class PermitsInLockstep(RuleBasedStateMachine):
    """Three stores and the model."""

    # Of the server that all examples share, each with a prefix of its own.
    redis_url = ""
    prefixes = count()

    def __init__(self):
        super().__init__()
        self.model: dict[str, Queue] = {}
        self.now_ns = 10**18
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.prefix = next(self.prefixes)
        self.memory = MemoryStore(clock=lambda: self.now_ns)
        self.open()

    def open(self):
        path = self.directory / "starflow.db"
        url = f"{self.redis_url}?prefix=permits{self.prefix}&partitions=2"
        self.durable = [
            SqliteStore(path, clock=lambda: self.now_ns),
            LoneRedisStore(url),
        ]
        for store in self.durable:
            self.runner.run(store.open())

    def close(self):
        for store in self.durable:
            self.runner.run(store.close())

    def teardown(self):
        self.look()
        self.close()
        self.runner.close()
        shutil.rmtree(self.directory)

    def all(self, ask):
        """Ask all stores; return their answers."""
        # No two steps at the same moment, as for Redis.
        self.now_ns += 1_000
        return [self.runner.run(ask(store)) for store in (self.memory, *self.durable)]

    @rule(name=NAMES, limits=st.none() | LIMITS)
    def set_queue(self, name, limits):
        queue = self.model.get(name)
        if limits is None:
            self.model.pop(name, None)
        elif queue is None:
            self.model[name] = made = Queue(QueueLimits(), 0)
            made.set_limits(limits)
        else:
            queue.set_limits(limits)

        found = self.all(lambda store: store.set_queue(name, limits))

        assert found == [queue is not None] * 3

    @rule(
        name=NAMES,
        lasts_ms=st.sampled_from([0, LONG_MS, LONG_MS]),
        ended=HOLDERS,
        unused=HOLDERS,
        kept=HOLDERS,
        wanted=HOLDERS,
        times=st.sampled_from([1, 1, 2]),
    )
    def ask(self, name, times, **lists):
        request = PermitRequest(name, **lists)
        queue = self.model.get(name)
        for _ in range(times):
            granted = queue.carry_out(request) if queue else len(request.wanted)
            expected = PermitAnswer(granted, queue.state() if queue else None)

            answers = self.all(lambda store: store.permits(request))

            found = [PermitAnswer(a.granted, rounded(a.state)) for a in answers]
            assert found == [expected] * 3

    @rule()
    def look(self):
        for queue in self.model.values():
            queue.end()
        expected = {name: queue.state() for name, queue in self.model.items()}

        for states in self.all(lambda store: store.queues()):
            assert {name: rounded(each) for name, each in states.items()} == expected

    @rule()
    def restart(self):
        self.close()
        self.open()


@pytest.mark.usefixtures("_redis_of_permits")
class TestPermitsInLockstep(PermitsInLockstep.TestCase):
    settings = settings(stateful_step_count=40, max_examples=60, deadline=None)


@pytest.fixture
def _redis_of_permits(shared_redis):
    PermitsInLockstep.redis_url = shared_redis.url
