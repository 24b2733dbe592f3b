"""Rows about being there, and about values."""

import math
from typing import Any

from starflow.workercheck.scene import Miss, Scene

# What the worker has to offer; the long profile asks for more.
FUNCTIONS = ("check.echo", "check.fail", "check.flaky", "check.sleep", "check.wait")
MORE_FUNCTIONS = ("check.large", "check.progress")

_DEEPEST = 99
_CALLS = 20
_SEQUENCE = f"""
def main(ctx, input):
    return [check.echo(ctx, n) for n in range({_CALLS})]
"""


async def registers(scene: Scene) -> None:
    """Look for the functions in what it registered."""
    offered = {
        function.name
        for exchange in scene.record.of("RegisterFunction")
        for function in exchange.request.functions
    }
    missing = [name for name in FUNCTIONS if name not in offered]
    if missing:
        raise Miss(f"it did not register {', '.join(missing)}")


async def registers_more(scene: Scene) -> None:
    """Look for the functions that only the long profile asks for."""
    latest = scene.record.of("RegisterFunction")[-1].request.functions
    offered = {function.name for function in latest}
    missing = [name for name in MORE_FUNCTIONS if name not in offered]
    if missing:
        raise Miss(f"it did not register {', '.join(missing)}")


async def identity(scene: Scene) -> None:
    """Start it again, and compare its worker ids."""
    scene.worker.kill()
    await scene.start_worker()
    ids = {e.life: e.request.worker.worker_id for e in _registrations(scene)}
    if len(set(ids.values())) < len(ids):
        raise Miss(f"two processes had the worker_id {ids[scene.record.life]!r}")


def _registrations(scene: Scene) -> list[Any]:
    return [e for e in scene.record.of("RegisterFunction") if e.response]


async def executes(scene: Scene) -> None:
    """Let it execute one call."""
    await _echoes(scene, {"n": 1})


async def sequence(scene: Scene) -> None:
    """Let it execute one call after another."""
    got = await scene.output(_SEQUENCE)
    _expect(list(range(_CALLS)), got)


async def empty(scene: Scene) -> None:
    """Send it nothing, in all its forms."""
    got = await scene.output("def main(ctx, input):\n    return check.echo(ctx)\n")
    _expect(None, got)
    await _echoes(scene, [None, False, 0, "", [], {}])


async def integers(scene: Scene) -> None:
    """Send it integers that no 64-bit number holds."""
    await _echoes(scene, [2**53 + 1, -(2**63) - 1, 2**64, 10**40 + 7, {"n": 9**99}])


async def floats(scene: Scene) -> None:
    """Send it floats beside the integers that they equal."""
    await _echoes(scene, [1, 1.0, 0.1, -0.5, 1e300, 5e-324, 2.0**60])


async def unicode(scene: Scene) -> None:
    """Send it text that is easily broken."""
    odd = '\u0000\t"\\ \u2028 \u00df e\u0301 \u05d0 \u65e5\u672c \U0001f600 \uffff'
    await _echoes(scene, [odd, {odd: odd, "": "", "__proto__": 1}])


async def deep(scene: Scene) -> None:
    """Send it values in values in values."""
    value: Any = "the bottom"
    for level in range(_DEEPEST - 1):
        value = [value] if level % 2 else {"in": value}
    await _echoes(scene, value)


async def big(scene: Scene) -> None:
    """Send it nearly as much as one payload can hold."""
    await _echoes(scene, ["\u00e4" * 1000] * 500)


async def _echoes(scene: Scene, value: Any) -> None:
    _expect(value, await scene.output("check.echo", value))


def _expect(expected: Any, got: Any) -> None:
    place = _difference(expected, got)
    if place:
        raise Miss(place)


def _difference(expected: Any, got: Any, path: str = "the result") -> str:
    """Return where *got* is something else: 1 and 1.0 are not the same here."""
    if type(expected) is not type(got):
        return f"{path} is {_shown(got)}, not {_shown(expected)}"
    if isinstance(expected, dict) and expected.keys() == got.keys():
        found = (_difference(expected[k], got[k], f"{path}[{k!a}]") for k in expected)
        return next(filter(None, found), "")
    if isinstance(expected, list) and len(expected) == len(got):
        pairs = enumerate(zip(expected, got, strict=True))
        found = (_difference(*pair, f"{path}[{n}]") for n, pair in pairs)
        return next(filter(None, found), "")
    same = expected == got
    if isinstance(expected, float):
        same = same and math.copysign(1, expected) == math.copysign(1, got)
    return "" if same else f"{path} is {_shown(got)}, not {_shown(expected)}"


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
