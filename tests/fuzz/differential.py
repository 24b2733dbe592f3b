"""Runs a program of both languages in both, and says where they differ."""

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from starflow_service.starlark import (
    Aborted,
    Failed,
    LimitError,
    Limits,
    Meter,
    Returned,
    ScriptSyntaxError,
    Sliced,
    Thread,
    compile_program,
)
from starflow_service.starlark.values import Dict, Key, List
from tests.fuzz.verdict import Verdict
from tests.starlark.scripted_host import ScriptedHost

_CATCH = """\
load("flow", "catch")

def caught(f):
    result = catch(f)
    return result.value if result.ok else None

"""
_CATCH_IN_PYTHON = """\
def caught(f):
    try:
        return f()
    except Exception:
        return None

"""
_MAIN = "\ndef main(ctx, input):\n    _program(input[0])\n"
_LIMITS = Limits(max_steps=400_000, max_allocated_bytes=64 * 1024 * 1024)
# Python's side has no meter, and a program may double a list in every round.
_PYTHON_SECONDS = 2.0


def compare(source: str) -> Verdict:
    """Run *source*, which defines `main(seen)`, in Starlark and in Python."""
    ours: Any = List()
    end = _in_starlark(
        _CATCH + source.replace("def main(", "def _program(") + _MAIN, ours
    )
    if end.problem or end.end.startswith("limit"):
        return end
    theirs: list[Any] = []
    their_end = _in_python(source, theirs)
    if their_end == "too long":
        return Verdict(their_end)
    if end.end != their_end.partition(":")[0]:
        problem = f"{end.end} here, {their_end.partition(':')[0]} in Python"
        return Verdict(end.end, problem, f"{end.details}\n{their_end}")
    if _shape(ours) != _shape(theirs):
        return Verdict(end.end, "another value", f"{ours!r}\n{theirs!r}")
    return Verdict(end.end)


def _in_starlark(source: str, seen: Any) -> Verdict:
    try:
        program = compile_program(source)
    except ScriptSyntaxError as error:
        return Verdict("refused", "a program of both is refused", str(error))
    thread = Thread(program, ScriptedHost(), _LIMITS)

    def given(m: Meter) -> Any:
        return List([seen])

    outcome = thread.start(given)
    while isinstance(outcome, Sliced):
        outcome = thread.resume()
    if isinstance(outcome, Returned):
        return Verdict("returned")
    if isinstance(outcome, Failed):
        return Verdict("failed", "", outcome.error.message)
    assert isinstance(outcome, Aborted)
    if isinstance(outcome.abort, LimitError):
        return Verdict(f"limit {outcome.abort.limit}")
    return Verdict("parked", repr(outcome.abort.__cause__))


class _TooLong(BaseException):
    pass


@contextmanager
def _bounded() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _PYTHON_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _compiled(source: str) -> CodeType:
    with warnings.catch_warnings():
        # Python sees that some programs will fail, and they may.
        warnings.simplefilter("ignore")
        return compile(_CATCH_IN_PYTHON + source, "common.py", "exec")


def _in_python(source: str, seen: list[Any]) -> str:
    space: dict[str, Any] = {}
    try:
        with _bounded():
            exec(_compiled(source), space)
            space["main"](seen)
    except (_TooLong, MemoryError):
        return "too long"
    except Exception as error:
        return f"failed: {error!r}"
    return "returned"


def _shape(value: Any) -> Any:
    """Return *value* with its types, in what both languages have in common."""
    if isinstance(value, list | Dict | dict | tuple):
        kind = "dict" if isinstance(value, dict) else "tuple"
        kind = "list" if isinstance(value, list) else kind
        items = value.items() if isinstance(value, dict) else value
        return (kind, [_shape(item) for item in items])
    if isinstance(value, Key):
        return _shape(value.value)
    if isinstance(value, float):
        # The sign of a zero that `%` leaves is not the same.
        value += 0.0
    return (type(value).__name__, repr(value))
