"""Everything is looked at when nobody waits, or when it has to be."""

import gc

from starflow_service.runtime.clock import Clock
from starflow_service.runtime.garbage import Garbage


class SlowClock(Clock):
    """As if each look at everything took a second; time goes when the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 0.0
        self._cpu_s = 0

    def monotonic(self) -> float:
        return self.time_s

    def cpu_ns(self) -> int:
        self._cpu_s += 1
        return self._cpu_s * 10**9


def look_at_the_young(times: int) -> None:
    for _ in range(times):
        gc.collect(0)


def test_everything_is_looked_at_when_it_is_worth_it_and_nobody_waits() -> None:
    garbage = Garbage(Clock())
    assert not garbage.look(is_idle=True)
    look_at_the_young(100)
    assert not garbage.look(is_idle=False)
    assert garbage.look(is_idle=True)
    assert not garbage.look(is_idle=True)


def test_a_service_that_is_never_idle_looks_when_it_is_overdue() -> None:
    garbage = Garbage(Clock())
    look_at_the_young(2_000)
    assert garbage.look(is_idle=False)


def test_looks_that_take_long_are_rare() -> None:
    clock = SlowClock()
    garbage = Garbage(clock)
    look_at_the_young(100)
    assert garbage.look(is_idle=True)
    look_at_the_young(100)
    clock.time_s += 99
    assert not garbage.look(is_idle=True)
    clock.time_s += 2
    assert garbage.look(is_idle=True)


def test_the_last_of_it_is_looked_at_when_nothing_happens_any_more() -> None:
    clock = SlowClock()
    garbage = Garbage(clock)
    look_at_the_young(1)
    looks = [garbage.look(is_idle=True) for _ in range(6)]
    assert looks == [False, False, False, True, False, False]
    look_at_the_young(1)
    clock.time_s += 101
    assert not any(garbage.look(is_idle=False) for _ in range(6))
