"""An error that leaves compiled code takes its locks and flags along.

A script that catches an error goes on with its lists, dicts and functions.  So after
the error none of them may be locked, and no function count as running.
"""

from textwrap import indent
from typing import Any

import pytest

from starflow_service.starlark import (
    Meter,
    Returned,
    Sliced,
    Suspended,
    Thread,
    compile_program,
    ops,
)
from starflow_service.starlark import program as programs
from starflow_service.starlark.builtins import UNIVERSE
from starflow_service.starlark.codegen_scope import (
    LEAN_CHARACTERS,
    UNCOUNTED_FUNCTIONS_MAX,
)
from starflow_service.starlark.faults import script_error
from starflow_service.starlark.values import Builtin
from tests.starlark.scripted_host import ScriptedHost


def catch(m: Meter, f: Any, /, *args: Any) -> str:
    """Call *f* as `flow.catch` does, whatever the failure is made of."""
    try:
        ops.call(m, f, args)
    except Exception as error:
        return script_error(m, error).message
    return "nothing failed"


@pytest.fixture(autouse=True)
def with_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    universe = {**UNIVERSE, "catch": Builtin("flow.catch", catch)}
    monkeypatch.setattr(programs, "UNIVERSE", universe)


PRELUDE = """
xs = []
d = {}

def fail_here(x): fail("here")
def identity(x): return x
def wait(ctx): return some.function(ctx)
def stop(ctx): return no.function(ctx)
def use_ctx(ctx): return ctx
"""

# Ways to fail while something is being iterated over: the body of a function of `xs`,
# `d` and `ctx`.
FAILING = {
    "in a loop": "for x in xs: fail('here')",
    "in a loop over a dict": "for k in d: fail('here')",
    "in nested loops over the same": "for x in xs:\n  for y in xs: fail('here')",
    "in nested loops over two": "for x in xs:\n  for k in d:\n   fail('here')",
    "after a loop ended inside one": "for x in xs:\n  for k in d: pass\n  fail('here')",
    "after a break": "for x in xs:\n  for k in d: break\n  fail('here')",
    "after a continue": "for x in xs:\n  for k in d: continue\n  1 // 0",
    "in what a loop returns": "for x in xs: return 1 // 0",
    "in the index of an element": "for x in xs: xs[x + 10]",
    "in the key of a dict": "for k in d: d['none']",
    "by a variable that is not set": "for x in xs: y = z; z = y",
    "by changing the list": "for x in xs: xs.append(x)",
    "by setting an element": "for x in xs: xs[0] = x",
    "by changing the dict": "for k in d: d['new'] = 1",
    "by popping from the dict": "for k in d: d.pop(k)",
    "by extending in place": "for x in xs: xs += [1]",
    "in unpacking an element": "for a, b in xs: pass",
    "in unpacking a part of one": "for a, [b, c] in [(1, xs)]: fail('here')",
    "in unpacking a list": "for x in xs: a, b = xs",
    "in a target that is an element": "for xs[0] in xs: pass",
    "in the iterable of an inner loop": "for x in xs:\n  for y in x: pass",
    "in a list comprehension": "[fail('here') for x in xs]",
    "in its test": "[x for x in xs if x // 0]",
    "in its second clause": "[y for x in xs for y in x]",
    "in a dict comprehension": "{k: fail('here') for k in d}",
    "by a key that cannot be hashed": "{[]: 1 for k in d}",
    "in nested comprehensions": "[[y // 0 for y in xs] for x in xs]",
    "in a comprehension in a loop": "for x in xs: [k + 1 for k in d]",
    "in the key function of sorted": "sorted(xs, key=fail_here)",
    "in the key function of max": "max(xs, key=lambda x: x // 0)",
    "in the key function of min over a dict": "min(d, key=fail_here)",
    "in comparing keys": "sorted(xs, key=lambda x: None if x == 1 else x)",
    "in comparing keys for max": "max(xs, key=lambda x: None if x == 1 else x)",
    "by changing the list in a key function": "sorted(xs, key=lambda x: xs.append(x))",
    "in a function that is called": "for x in xs: fail_here(x)",
    "in a call that does not fit": "for x in xs: identity()",
    "in a call of a value that does not fit": "for f in [identity]: [f() for x in xs]",
    "in a function of the host": "for x in xs: stop(ctx)",
    "after a wait": "for x in xs:\n  wait(ctx)\n  fail('here')",
    "in a lambda": "for x in xs: (lambda: x // 0)()",
    "in *args": "for x in xs: identity(*x)",
    "in **kwargs": "for x in xs: identity(**{'y': x})",
    "in a format": "for x in xs: '{y}'.format(x)",
    "in a method": "for x in xs: d.pop('none')",
    "by an attribute": "for x in xs: x.none",
}  # fmt: skip

# Called twice: a function that still counted as running would fail differently.
MAIN = """
def failing(xs, d, ctx):
{body}

def recursive(xs, d, ctx, depth=0):
  for x in xs:
    catch(recursive, xs, d, ctx)
    failing(xs, d, ctx)

def main(ctx, input):
  xs = [1, 2, 3]
  d = {{"a": 1, "b": 2}}
  seen = []
  for f in [failing, recursive, lambda *a: failing(*a)]:
    seen.append(catch(f, xs, d, ctx))
    seen.append(catch(f, xs, d, ctx))
    xs.append(4)
    xs[0] = 1
    d["c"] = 3
    d.pop("c")
    xs.pop()
  return seen
"""


def run(source: str) -> Any:
    host = ScriptedHost({"some.function": lambda req: None}, waits=True)
    thread = Thread(compile_program(source), host)
    outcome = thread.start(lambda m: None)
    while isinstance(outcome, Suspended | Sliced):
        outcome = thread.resume()
    assert isinstance(outcome, Returned), outcome
    assert thread.meter.depth == 0
    return outcome.value


MANY_FUNCTIONS = "".join(f"def f{n}(): pass\n" for n in range(UNCOUNTED_FUNCTIONS_MAX))
LONG = "\n#" + " " * LEAN_CHARACTERS


@pytest.mark.parametrize("more", ["", MANY_FUNCTIONS, LONG], ids=["", "deep", "long"])
@pytest.mark.parametrize("body", FAILING.values(), ids=FAILING.keys())
def test_what_failed_can_be_changed_and_called_again(body: str, more: str) -> None:
    seen = run(PRELUDE + MAIN.format(body=indent(body, "  ")) + more)
    assert len(set(seen)) == 1, seen
    assert seen[0] != "nothing failed"
    assert "recursively" not in seen[0]


def test_a_loop_around_the_caught_error_still_locks() -> None:
    source = """
def fails(xs):
  for x in xs: fail("here")
def main(ctx, input):
  xs = [1]
  for x in xs:
    catch(fails, xs)
    inside = catch(xs.append, 1)
  xs.append(2)
  return (inside, xs)
"""
    assert run(source) == ("append: cannot append to list during iteration", [1, 2])


@pytest.mark.parametrize("more", ["", MANY_FUNCTIONS], ids=["", "deep"])
@pytest.mark.parametrize(
    "again", ["catch(f)", "catch(lambda: f())", "[catch(g) for g in [f]][0]"]
)
def test_a_caught_recursion_ends_only_the_inner_call(again: str, more: str) -> None:
    source = f"""
def f():
  for x in [1]:
    return {again}
def main(ctx, input):
  return [f(), f()]
"""
    refused = "function f called recursively"
    assert run(source + more) == [refused, refused]


def test_what_was_caught_through_an_attribute_is_watched_too() -> None:
    """A value may hold a function under any name that is no method's."""
    source = """
def f(x):
  return x.value(x)
def main(ctx, input):
  return catch(f, 1)
"""
    compiled = compile_program(source)
    assert len(compiled.files[0].flags) == 1
