import pytest

from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.meter import Meter
from tests.starlark.scripted_host import ScriptedHost


def meter(**limits: int) -> Meter:
    return Meter(ScriptedHost(), Limits(**limits))


def test_a_charge_takes_bytes_and_the_steps_of_filling_them() -> None:
    m = meter(max_allocated_bytes=10_000)
    before = m.steps
    m.charge(1280)
    assert m.bytes == 10_000 - 1280
    assert m.steps == before - 10


def test_the_last_byte_may_be_spent_and_no_more() -> None:
    m = meter(max_allocated_bytes=1000)
    m.charge(1000)
    with pytest.raises(LimitError) as caught:
        m.charge(1)
    assert caught.value.limit == "max_allocated_bytes"


def test_work_ends_slices_until_the_activation_is_spent() -> None:
    m = meter(max_steps=10_000, slice_steps=100)
    for _ in range(99):
        m.work(100)
    assert m.steps + m.remaining == 100
    with pytest.raises(LimitError) as caught:
        m.work(101)
    assert caught.value.limit == "max_steps"


def test_one_large_piece_of_work_is_taken_from_the_activation() -> None:
    m = meter(max_steps=10_000, slice_steps=100)
    m.work(9_000)
    assert m.steps + m.remaining == 1_000
    with pytest.raises(LimitError):
        m.work(1_001)


def test_bytes_drawn_without_a_check_show_at_the_next_tick() -> None:
    m = meter(max_allocated_bytes=1000)
    m.bytes -= 1001
    m.steps = -1
    with pytest.raises(LimitError) as caught:
        m.tick()
    assert caught.value.limit == "max_allocated_bytes"


def test_a_grant_renews_the_steps_and_adds_bytes() -> None:
    m = meter(max_steps=1000, max_allocated_bytes=500, bytes_per_event=100)
    m.work(900)
    m.charge(500)
    m.grant(2)
    assert m.steps + m.remaining == 1000
    assert m.bytes == 200


def test_suspending_without_a_thread_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no script is running"):
        meter().suspend()


def test_a_grant_does_not_begin_another_slice() -> None:
    """A replay is one activation after the other, and must be sliced as a whole."""
    m = meter(max_steps=1000, slice_steps=100)
    m.work(70)
    m.grant(1)
    assert (m.steps, m.remaining, m.activations) == (30, 970, 2)


def test_an_activation_that_is_out_of_time_ends_at_the_next_tick() -> None:
    m = meter(max_steps=1000, slice_steps=100, max_cpu_time_ns=1_500_000_000)
    m.is_out_of_time = True
    with pytest.raises(LimitError, match=r"more than 1\.5 s of CPU time") as caught:
        m.work(101)
    assert caught.value.limit == "max_cpu_time"


def test_whoever_drives_the_script_says_how_long_slices_are() -> None:
    m = meter(max_steps=1000, slice_steps=100)
    m.slice_steps = 300
    m.work(101)
    assert (m.steps, m.remaining) == (300, 599)
