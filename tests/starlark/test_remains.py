"""What is left of a script goes bit by bit, and all of it goes."""

import gc
import weakref
from typing import Any

from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.outcomes import SLICED, Aborted, Outcome
from starflow_service.starlark.program import compile_program
from starflow_service.starlark.remains import Remains
from starflow_service.starlark.thread import Thread
from tests.starlark.scripted_host import ScriptedHost

HOLDS = """
def main(ctx, input):
    x = []
    for i in range(1 << 20):
        x.append([i, {i: (i,)}, lambda: i])
"""


class Leaf:
    """Something that says when it goes."""


def ended(source: str) -> tuple[Thread, Outcome]:
    thread = Thread(compile_program(source), ScriptedHost(), Limits())
    outcome = thread.start(lambda m: None)
    while outcome is SLICED:
        outcome = thread.resume()
    return thread, outcome


def test_a_broken_off_script_leaves_what_it_held() -> None:
    thread, outcome = ended(HOLDS)
    assert isinstance(outcome, Aborted)
    assert isinstance(outcome.abort, LimitError)
    before = len(gc.get_objects())
    remains = Remains(thread.meter.remains)
    thread.kill()
    assert remains.give_back(10)
    while remains.give_back(1_000):
        pass
    assert len(gc.get_objects()) < before - 100_000


def test_a_small_script_goes_at_once() -> None:
    thread, _ = ended("def main(ctx, input):\n    x = [1]\n    fail(x)\n")
    assert thread.meter.remains == []


def test_each_value_goes_by_itself_and_the_shared_ones_last() -> None:
    leaf: Any = Leaf()
    gone = weakref.ref(leaf)
    shared = [leaf]
    remains = Remains([[[shared]], (shared, {1: shared})])
    del leaf, shared
    steps = 0
    while remains.give_back(1):
        steps += 1
    assert gone() is None
    assert steps > 5


def test_what_somebody_else_holds_stays_whole() -> None:
    kept = [[1], [2]]
    remains = Remains([[kept]])
    while remains.give_back(1):
        pass
    assert kept == [[1], [2]]


def test_a_long_list_is_not_picked_up_at_once() -> None:
    remains = Remains([[[[] for _ in range(50_000)]]])
    steps = 0
    while remains.give_back(1_000):
        steps += 1
    assert steps >= 40
