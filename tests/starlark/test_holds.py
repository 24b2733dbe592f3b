"""Native work on much data is cut into pieces, with a chance to end the slice between.

An operation that only pays at its beginning ends one slice, however much it does.
"""

import pytest

from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.outcomes import SLICED, Aborted
from starflow_service.starlark.program import compile_program
from starflow_service.starlark.thread import Thread
from tests.starlark.scripted_host import ScriptedHost

SLICE_STEPS = 1_000


def slices(*lines: str) -> int:
    """Return after how many slices a script of these lines ends."""
    body = "".join(f"    {line}\n" for line in lines)
    source = f'load("json", "json")\ndef main(ctx, input):\n{body}'
    limits = Limits(slice_steps=SLICE_STEPS)
    thread = Thread(compile_program(source), ScriptedHost(), limits)
    outcome = thread.start(lambda m: None)
    count = 1
    while outcome is SLICED:
        outcome = thread.resume()
        count += 1
    return count


@pytest.mark.parametrize(
    ("setup", "operation", "least"),
    [
        ("x = {i: i for i in range(20000)}", "x.items()", 10),
        ("x = list(range(20000))", "enumerate(x)", 10),
        ("x = list(range(20000))", "zip(x, x)", 10),
        ("x = '[' * 50000 + ']' * 50000", "json.decode(x)", 400),
        ("x = '[' + '[],' * 20000 + '[]]'", "json.decode(x)", 160),
        ("x = '[' + '1,' * 20000 + '1]'", "json.indent(x)", 240),
        ("x = range(500)", "[print() for i in x]", 10),
    ],
)
def test_it_is_done_in_pieces(setup: str, operation: str, least: int) -> None:
    assert slices(setup, operation) - slices(setup) >= least


def test_a_comprehension_does_not_grow_past_the_limit_by_more_than_a_slice() -> None:
    source = "def main(ctx, input):\n    return [i for i in range(1 << 40)]\n"
    limits = Limits(slice_steps=SLICE_STEPS, max_elements=5_000)
    thread = Thread(compile_program(source), ScriptedHost(), limits)
    outcome = thread.start(lambda m: None)
    while outcome is SLICED:
        outcome = thread.resume()
    assert isinstance(outcome, Aborted)
    assert isinstance(outcome.abort, LimitError)
    assert outcome.abort.limit == "max_elements"
    assert limits.max_steps - thread.meter.remaining < 5_000 + 3 * SLICE_STEPS


def frozen(top: str) -> tuple[int, int]:
    """Return how many slices a script takes, and how many steps it has left."""
    source = f"{top}def main(ctx, input):\n    return 1\n"
    limits = Limits(slice_steps=SLICE_STEPS)
    thread = Thread(compile_program(source), ScriptedHost(), limits)
    outcome = thread.start(lambda m: None)
    count = 1
    while outcome is SLICED:
        outcome = thread.resume()
        count += 1
    return count, thread.meter.remaining + thread.meter.steps


def test_what_is_frozen_is_frozen_in_pieces_and_takes_no_steps() -> None:
    make = "[[i] for i in range(20000)]\n"
    slices_of_global, left_of_global = frozen(f"x = {make}")
    slices_of_local, left_of_local = frozen(f"def f():\n    x = {make}\nf()\n")
    assert slices_of_global - slices_of_local >= 20
    assert abs(left_of_global - left_of_local) < 10
