"""
The same program compiled and run in all ways there are, which must not show.

Long files are compiled without inline operations, files of many functions count the
depth of their calls, slices may end anywhere, and CPython specializes code as it runs.
"""

from dataclasses import replace

from starflow_service.engine.events import Failure
from starflow_service.engine.machine import Turn
from starflow_service.starlark import ScriptSyntaxError
from starflow_service.starlark.codegen_scope import (
    LEAN_CHARACTERS,
    UNCOUNTED_FUNCTIONS_MAX,
)
from tests.fuzz.common import make_common
from tests.fuzz.grammar import make_program
from tests.fuzz.verdict import LIMITS, Verdict, play
from tests.support.driver import Run

# Comments at the end, so that all places stay where they are.
_LEAN = "\n#" + "x" * LEAN_CHARACTERS
_DEEP = "\n# " + "def " * (UNCOUNTED_FUNCTIONS_MAX + 1)
_COLD_RUNS = 10
_SLICED = replace(LIMITS, slice_steps=3)
_CATCH = """\
load("flow", "catch")

def caught(f):
    result = catch(f)
    return result.value if result.ok else result.error.message

"""
_MAIN = """
def main(ctx, input):
    seen = []
    _program(seen)
    return repr(seen)
"""


def make_variant(seed: int) -> str:
    """Return a program that mostly fails late."""
    if seed % 2:
        return make_program(seed)
    return _CATCH + make_common(seed).replace("def main(", "def _program(") + _MAIN


def compare_variants(source: str) -> Verdict:
    """Run *source* in all ways, and say where they differ."""
    try:
        plain = play(source)
    except ScriptSyntaxError:
        return Verdict("refused")
    expected = _shown(plain)
    others = {
        "without inline operations": lambda: play(source + _LEAN),
        "counting calls": lambda: play(source + _DEEP),
        "in small slices": lambda: play(source, limits=_SLICED),
        "when its code is warm": lambda: _warm(source),
    }
    for name, other in others.items():
        found = _shown(other())
        # Limits are met at another place when the work is counted otherwise.
        if "limit" not in (expected[0], found[0]) and found != expected:
            return Verdict(expected[0], f"differs {name}", f"{expected}\n{found}")
    return Verdict(expected[0])


def _warm(source: str) -> Run:
    """Run code that CPython has specialized, as it does after a few times."""
    for _ in range(_COLD_RUNS):
        play(source).machine.kill()
    return play(source)


def _shown(run: Run) -> tuple[str, object, list[str], list[str]]:
    run.machine.kill()
    if run.turned is Turn.PARKED:
        return ("limit", str(run.machine.abort), [], [])
    result: object = run.result
    if isinstance(result, Failure):
        result = (result.message, result.stack_trace)
    return ("ended", result, run.kinds, run.prints)
