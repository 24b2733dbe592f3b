"""
What the Go original got wrong, as far as the engine is concerned.

Each was seen by running it.  The faults that are the runtime's (a deadline, two drivers
of one run, a signal before its YIELD) have their tests with the runtime, too.
"""

import json

import pytest

from starflow_service.engine.events import Failure
from tests.support.driver import Run, WaitForSignal


def run_of(body, functions=None, payload=None):
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return Run(f"def main(ctx, input):\n{lines}\n", functions or {}, payload)


def test_1_a_null_result_is_a_result_and_the_function_is_not_run_again():
    done = []
    run = run_of(
        "a = f.null(ctx, {})\nb = f.null(ctx, {})\nreturn [a, b]",
        {"f.null": done.append},
    )
    run.step()
    run.reload()
    run.go_on()
    assert run.result == "[null,null]"
    assert len(done) == 2


def test_3_integers_stay_integers_over_a_replay():
    run = run_of(
        "x = f.get(ctx)\nf.get(ctx)\nreturn [str(x), x, x * 1.0]",
        {"f.get": lambda req: 42},
    )
    run.step()
    run.reload()
    run.go_on()
    assert run.result == '["42",42,42.0]'


def test_4_integers_of_the_input_are_integers():
    run = run_of('return list(range(input["n"]))', payload={"n": 3})
    assert run.result == "[0,1,2]"


def test_5_a_signal_before_its_yield_is_kept():
    run = run_of("return f.ask(ctx)", {"f.ask": lambda req: WaitForSignal()})
    run.signal("early")
    run.go_on()
    assert run.result == '"early"'


def test_7_no_script_can_crash_the_service():
    run = Run('load("rand", "int")\ndef main(ctx, input):\n    return int(ctx, 0)\n')
    assert isinstance(run.result, Failure)
    assert "script.star:3" in run.result.stack_trace


@pytest.mark.parametrize("n", [2**63, 2**64 + 1, -(2**200), 10**500])
def test_8_integers_of_any_size_are_exact(n):
    seen = []
    run = run_of("return f.echo(ctx, input)", {"f.echo": lambda r: seen.append(r) or r})
    run = run_of("return f.echo(ctx, input)", run.functions, n)
    run.go_on()
    assert seen == [n]
    assert json.loads(run.result) == n


def test_8_a_tuple_is_a_list():
    assert run_of("return (1, (2, 3))").result == "[1,[2,3]]"


def test_8_what_cannot_be_encoded_fails_at_the_call_with_its_path():
    run = run_of('return f.echo(ctx, {"a": [1, 2, 3, main]})')
    assert isinstance(run.result, Failure)
    assert 'req["a"][3]: function' in run.result.message
    assert "CALL" not in run.kinds


def test_8_what_cannot_be_returned_fails_the_run_with_its_path():
    run = run_of('return {"a": main}')
    assert isinstance(run.result, Failure)
    assert 'result["a"]: function' in run.result.message


def test_9_a_line_is_printed_once():
    run = run_of(
        'print("one")\nf.f(ctx)\nprint("two")\nf.f(ctx)\nprint("three")',
        {"f.f": lambda req: None},
    )
    while run.step():
        if run.result is None:
            run.reload()
    assert run.prints == ["one", "two", "three"]


def test_9_a_line_before_a_wait_that_goes_on_is_printed_once():
    script = """
load("flow", "flow")

def main(ctx, input):
    a = flow.start(ctx, f.f, 1)
    b = flow.start(ctx, f.f, 2)
    flow.wait(ctx, a)
    print("a is done")
    flow.wait(ctx, b)
"""
    run = Run(script, {"f.f": lambda req: req})
    run.answer(2)
    run.arrive()
    assert run.prints == ["a is done"]
    run.reload()
    run.answer(3)
    run.arrive()
    assert run.result == "null"
    assert run.prints == ["a is done"]
