"""Everything is looked at when nobody waits, or when it has to be."""

import gc

from starflow_service.runtime.garbage import Garbage


def look_at_the_young(times: int) -> None:
    for _ in range(times):
        gc.collect(0)


def test_everything_is_looked_at_when_it_is_worth_it_and_nobody_waits() -> None:
    garbage = Garbage()
    assert not garbage.look(is_idle=True)
    look_at_the_young(100)
    assert not garbage.look(is_idle=False)
    assert garbage.look(is_idle=True)
    assert not garbage.look(is_idle=True)


def test_a_service_that_is_never_idle_looks_when_it_is_overdue() -> None:
    garbage = Garbage()
    look_at_the_young(2_000)
    assert garbage.look(is_idle=False)
