"""Whatever a program does, it ends by a value, an error of its own, or a limit."""

import re

import pytest

from starflow_service.starlark import (
    Aborted,
    Failed,
    LimitError,
    Limits,
    Outcome,
    ScriptSyntaxError,
    Sliced,
    Suspended,
    Thread,
    compile_program,
)
from tests.starlark.programs import Programs
from tests.starlark.scripted_host import ScriptedHost

# Small, so that a program that runs away does not run far.
LIMITS = Limits(max_steps=50_000, max_allocated_bytes=8 * 1024 * 1024)
PYTHON = re.compile(
    r"object has no|object is not|0x[0-9a-f]{8}|<class|internal|starflow_service"
    r"|\w![\w.]|![a-z]\w*\b(?=\()"
)


def end_of(source: str) -> Outcome | ScriptSyntaxError:
    try:
        program = compile_program(source)
    except ScriptSyntaxError as error:
        return error
    host = ScriptedHost({}, waits=True)
    thread = Thread(program, host, LIMITS)
    outcome = thread.start(lambda m: 5)
    while isinstance(outcome, Suspended | Sliced):
        outcome = thread.resume()
    return outcome


@pytest.mark.parametrize("block", range(20))
def test_a_random_program_ends_as_a_program_may(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        source = Programs(seed).program()
        outcome = end_of(source)
        message = ""
        if isinstance(outcome, Failed):
            message = outcome.error.message
            assert outcome.error.stack
        if isinstance(outcome, Aborted):
            assert isinstance(outcome.abort, LimitError), (seed, source)
            assert outcome.abort.limit != "memory", (seed, source)
            message = outcome.abort.message
        assert not PYTHON.search(message), (seed, source)
