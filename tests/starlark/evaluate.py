"""Evaluates expressions for tests, and says how they ended in one line."""

import re

from starflow_service.starlark.limits import Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.outcomes import Aborted, Failed, Returned, Sliced
from starflow_service.starlark.program import compile_program
from starflow_service.starlark.thread import Thread
from tests.starlark.scripted_host import ScriptedHost

MODULES = ("time", "rand", "math", "json", "flow", "uuid", "hashlib")


def make_meter(**limits: int) -> Meter:
    """Return a meter outside of any thread, with a host that answers."""
    return Meter(ScriptedHost(), Limits(**limits))


def end_of(body: str, host: ScriptedHost | None = None, **limits: int) -> str:
    """Run *body* as that of `main`, and return its repr, its error or its limit."""
    loads = [f'load("{n}", "{n}")\n' for n in MODULES if re.search(rf"\b{n}\b", body)]
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = "".join(loads) + f"def main(ctx, input):\n{lines}"
    thread = Thread(compile_program(source), host or ScriptedHost(), Limits(**limits))
    outcome = thread.start(lambda m: None)
    while isinstance(outcome, Sliced):
        outcome = thread.resume()
    if isinstance(outcome, Returned):
        return str(outcome.value)
    if isinstance(outcome, Failed):
        return f"error: {outcome.error.message}"
    assert isinstance(outcome, Aborted), outcome
    return f"limit: {outcome.abort.message}"


def evaluate(expression: str, **limits: int) -> str:
    """Return the repr of *expression*, or its error or limit."""
    return end_of(f"return repr({expression})", **limits)
