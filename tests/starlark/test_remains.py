"""What is left of a script goes bit by bit, and all of it goes."""

import gc
import textwrap
import weakref
from itertools import pairwise
from typing import Any

import pytest

from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.outcomes import SLICED, Aborted, Outcome, Returned
from starflow_service.starlark.program import compile_program
from starflow_service.starlark.remains import Held, Remains
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


MAKES = """
def make(n):
    x = []
    for i in range(n):
        x.append([i, {i: (i,)}])
    return x

def use(n):
    x = make(n)
    return len(x)

def spend(n):
    for i in range(n):
        pass
"""


def played(body: str, host: ScriptedHost) -> tuple[Thread, Outcome, list[int]]:
    """Run *body* in many slices, and count the objects after each."""
    source = f"{MAKES}def main(ctx, input):\n{textwrap.indent(body, '    ')}\n"
    thread = Thread(compile_program(source), host, Limits(slice_steps=10_000))
    outcome = thread.start(lambda m: None)
    counts = []
    while outcome is SLICED:
        counts.append(len(gc.get_objects()))
        outcome = thread.resume()
    return thread, outcome, counts


@pytest.mark.parametrize(
    "body",
    [
        "x = make(30000)\nx = None\nmake(20000)\nspend(4000000)\nreturn 1",
        "use(30000)\nspend(4000000)\nreturn 1",
    ],
    ids=["assigned", "left"],
)
def test_what_a_running_script_drops_goes_between_its_slices(body: str) -> None:
    _, outcome, counts = played(body, ScriptedHost())
    assert isinstance(outcome, Returned)
    falls = [before - after for before, after in pairwise(counts)]
    assert max(counts) - counts[-1] > 50_000
    assert max(falls) < 20_000


@pytest.mark.parametrize("end", ["return 1", "f.echo(ctx, x)"])
def test_what_main_had_is_left_to_the_service(end: str) -> None:
    host = ScriptedHost(waits=True)
    thread, _, _ = played(f"x = make(30000)\n{end}", host)
    before = len(gc.get_objects())
    thread.kill()
    assert len(gc.get_objects()) > before - 10_000
    remains = Remains(thread.meter.remains)
    host.asked.clear()
    while remains.give_back(1_000):
        pass
    assert len(gc.get_objects()) < before - 50_000


def test_where_no_script_runs_there_is_nothing_to_hold() -> None:
    held = Held()
    held.look(None)
    held.give_back()
    assert held.take_all() == []
