"""No script reaches a Python object, attribute, frame, type or message of ours."""

import builtins
import inspect
import keyword
from typing import Any

import pytest

from starflow_service.starlark import (
    Aborted,
    Failed,
    LimitError,
    Outcome,
    Returned,
    ScriptSyntaxError,
    Sliced,
    Thread,
    compile_program,
    jsontext,
)
from starflow_service.starlark.access import METHODS
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from starflow_service.starlark.host import CallOptions
from starflow_service.starlark.support import OPERATIONS
from starflow_service.starlark.tokens import KEYWORDS, RESERVED
from tests.starlark.conformance import TESTDATA, Checks, chunks, failure
from tests.starlark.evaluate import evaluate, make_meter
from tests.starlark.python_words import PYTHON
from tests.starlark.scripted_host import ScriptedHost

# What leads from one Python object to another, up to the world.
INTERNALS = sorted(
    {name for kind in (object, type, str, list, dict, int) for name in dir(kind)}
    - {name for methods in METHODS.values() for name in methods}
    | set((TESTDATA / "internals.txt").read_text("utf-8").split())
)  # fmt: skip

VALUES = {
    "None": "None",
    "bool": "True",
    "int": "1",
    "big int": "1 << 70",
    "float": "1.5",
    "string": '"abc"',
    "bytes": 'b"abc"',
    "list": "[1]",
    "dict": '{"a": 1}',
    "tuple": "(1,)",
    "range": "range(3)",
    "function": "main",
    "lambda": "lambda: 1",
    "built-in": "len",
    "method": '"".upper',
    "elems": '"abc".elems()',
    "codepoints": '"abc".codepoint_ords()',
    "byte elems": 'b"abc".elems()',
    "ctx": "ctx",
    "future": "future",
    "module": "math",
    "duration": "second",
    "time": 'parse_time("2026-11-20T13:00:00Z")',
}
LOADS = """\
load("flow", "start")
load("math", "math")
load("time", "parse_time", "second")
"""


def run(source: str) -> Outcome | ScriptSyntaxError:
    try:
        program = compile_program(source)
    except ScriptSyntaxError as error:
        return error
    host = ScriptedHost({"some.function": lambda req: None})
    thread = Thread(program, host)
    outcome = thread.start(lambda m: None)
    while isinstance(outcome, Sliced):
        outcome = thread.resume()
    return outcome


def speaks_python(message: str, source: str) -> list[str]:
    """Return the words of Python in *message* that the script did not say itself."""
    return [m[0] for m in PYTHON.finditer(message) if m[0] not in source]


def text_of(outcome: Outcome | ScriptSyntaxError) -> str:
    """Return all that the author of a script gets to see of how it ended."""
    if isinstance(outcome, ScriptSyntaxError):
        return "\n".join(f"{d.message} {d.hint}" for d in outcome.diagnostics)
    if isinstance(outcome, Failed):
        return "\n".join([outcome.error.message, *map(str, outcome.error.stack)])
    if isinstance(outcome, Aborted):
        assert isinstance(outcome.abort, LimitError), outcome
        return outcome.abort.message
    return ""


ATTRIBUTES = [name for name in INTERNALS if name != "value"]


def check_of(name: str) -> str:
    """Return the body of a function that checks that *x* has no such attribute."""
    missing = f'"has no .{name} field or method"'
    lines = [f'    eq([hasattr(x, "{name}"), "{name}" in dir(x)], [False, False])\n']
    if name.isidentifier() and name not in KEYWORDS | RESERVED:
        lines += [
            f"    fails(lambda: x.{name}(), {missing})\n",
            f"    def set(): x.{name} = 1\n",
            f'    fails(set, "can\'t assign to .{name} field of")\n',
        ]
    else:
        lines.append(f'    fails(lambda: getattr(x, "{name}"), {missing})\n')
    return "".join(lines)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_no_value_has_an_attribute_of_python(value: str) -> None:
    begin = "    future = start(ctx, test.PingPong)\n" if value == "future" else ""
    checks = [
        f"def check_{n}(x):\n{check_of(name)}" for n, name in enumerate(ATTRIBUTES)
    ]
    calls = "".join(f"    check_{n}(x)\n" for n in range(len(ATTRIBUTES)))
    main = f"def main(ctx, input):\n{begin}    x = {value}\n{calls}"
    assert failure(LOADS + "".join(checks) + main, Checks()) is None


ATTEMPTS = (TESTDATA / "escapes.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_ends_in_an_error_of_the_language(attempt: str) -> None:
    outcome = run(f"def main(ctx, input):\n    return {attempt}\n")
    assert not isinstance(outcome, Returned), outcome
    assert speaks_python(text_of(outcome), attempt) == []


def test_there_are_many_attempts() -> None:
    assert len(set(ATTEMPTS)) == len(ATTEMPTS) >= 200


# Names


NAMES = sorted(
    {
        *keyword.kwlist,
        *keyword.softkwlist,
        *(name for name in dir(builtins) if name.isidentifier()),
        *(name for name in INTERNALS if name.isidentifier()),
        *UNIVERSE,
        *MODULES,
        *(name.lstrip("!") for name in OPERATIONS if name[1:].isidentifier()),
        "self", "cls", "__debug__", "__annotations__", "__class__", "__classcell__",
        "_", "__", "\ufb01", "\u017f", "\u212a", "\u210c", "x", "main_",
    }
    - KEYWORDS
    - RESERVED
    # The language keeps these for itself.
    - {"None", "True", "False", "__debug__"}
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_python_is_a_name_like_any_other(name: str) -> None:
    source = f"""
def f({name}): return {name}
def g(*{name}): return {name}
def h(**{name}): return {name}
def k(*, {name}=1): return {name}
def local():
    {name} = 1
    {name} += 1
    return (lambda: {name})()
def loop():
    for {name} in [1, 2]: pass
    return {name}
def nested():
    def {name}(): return 7
    return {name}()
def lambdas(): return (lambda {name}: {name} + 1)(1), (lambda {name}=3: {name})()
def comprehensions():
    return [{name} for {name} in [1]], {{{name}: {name} for {name} in [2]}}
def unset():
    if False: {name} = 1
    return {name}
def check():
    return (
        f(1), f({name}=2), g(1), h(a=1), h({name}=5), k({name}=2), local(), loop(),
        nested(), lambdas(), comprehensions(), dict({name}=1),
        "{{{name}}}".format({name}=1),
    )
def main(ctx, input): return check()
"""
    expected = (
        1, 2, (1,), {"a": 1}, {name: 5}, 2, 2, 2,
        7, (2, 3), ([1], {2: 2}), {name: 1}, "1",
    )  # fmt: skip
    outcome = run(source)
    assert isinstance(outcome, Returned), text_of(outcome)
    assert outcome.value == expected
    unset = run(source.replace("return check()", "return unset()"))
    expected_error = f"local variable {name} referenced before assignment"
    assert isinstance(unset, Failed)
    assert unset.error.message == expected_error
    missing = run(source.replace("return check()", "return f()"))
    assert isinstance(missing, Failed)
    assert missing.error.message == f"function f missing 1 argument ({name})"


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"main"}))
def test_a_name_of_python_is_a_global_like_any_other(name: str) -> None:
    source = f"{name} = 5\ndef get_it(): return {name}\n"
    main = f"def main(c, i): return (get_it(), {name})\n"
    outcome = run(source + main)
    assert isinstance(outcome, Returned), text_of(outcome)
    assert outcome.value == (5, 5)
    function = f"def {name}(): return 6\ndef main(c, i): return {name}()\n"
    outcome = run(function)
    assert isinstance(outcome, Returned), text_of(outcome)
    assert outcome.value == 6
    unset = run(f"def main(c, i): pass\ndef f_(): return {name}\nf_()\n{source}")
    assert f"global variable {name} referenced before assignment" in text_of(unset)
    loaded = f'load("math", {name}="pi")\ndef main(c, i): return {name} > 3\n'
    outcome = run(loaded)
    assert isinstance(outcome, Returned), text_of(outcome)
    assert outcome.value is True


@pytest.mark.parametrize("name", sorted(KEYWORDS | RESERVED))
@pytest.mark.parametrize(
    "form",
    [
        "{} = 1",
        "def {}(): pass",
        "def f({}): pass",
        "f({}=1)",
        "x.{}",
        "[{} for {} in []]",
    ],
)
def test_a_keyword_is_no_name(form: str, name: str) -> None:
    outcome = run(f"def main(ctx, input): pass\n{form.replace('{}', name)}\n")
    assert isinstance(outcome, ScriptSyntaxError)
    assert not PYTHON.search(text_of(outcome))


@pytest.mark.parametrize("name", sorted(set(dir(builtins)) - UNIVERSE.keys()))
def test_no_builtin_of_python_is_there(name: str) -> None:
    outcome = run(f"def f(): return {name}\ndef main(ctx, input): pass\n")
    assert isinstance(outcome, ScriptSyntaxError)


def test_names_that_python_would_take_for_the_same_are_different() -> None:
    """Python's parser normalises identifiers; the language compares code points."""
    source = (
        "\ufb01 = 1\nfi = 2\n\u210c = 3\nH = 4\n"
        "def main(ctx, input):\n    \u017f, s = 5, 6\n"
        "    return \ufb01, fi, \u210c, H, \u017f, s\n"
    )
    outcome = run(source)
    assert isinstance(outcome, Returned)
    assert outcome.value == (1, 2, 3, 4, 5, 6)


# Arguments by name


def str_or_nothing(x: Any) -> str:
    return x if isinstance(x, str) else ""


def functions() -> list[tuple[str, str, Any]]:
    """Return all functions and methods: an expression, the module, and what it is."""
    found: list[tuple[str, str, Any]] = [
        (name, "", value.fn) for name, value in UNIVERSE.items() if hasattr(value, "fn")
    ]
    receivers: dict[type, str] = {str: '""', bytes: 'b""'}
    for kind, methods in METHODS.items():
        receiver = receivers.get(kind, "[]" if issubclass(kind, list) else "{}")
        found += [(f"{receiver}.{name}", "", fn) for name, fn in methods.items()]
    for module in MODULES.values():
        for name, value in module.members.items():
            if hasattr(value, "fn"):
                found.append((f"{module.name}.{name}", module.name, value.fn))
    return found


@pytest.mark.parametrize(("path", "module", "fn"), functions(), ids=str_or_nothing)
def test_no_argument_reaches_a_parameter_of_ours_by_name(
    path: str, module: str, fn: Any
) -> None:
    """The first parameters are the meter and the receiver, and not for scripts."""
    load = f'load("{module}", "{module}")\n' if module else ""
    names = [p.name for p in inspect.signature(fn).parameters.values()]
    hidden = names[: 1 if module or "." not in path else 2]
    for name in [*hidden, "self", "m", "!M"]:
        call = f"{path}(**{{'{name}': 1}})"
        outcome = run(f"{load}def main(ctx, input): return {call}\n")
        if isinstance(outcome, Returned):
            # It takes any names, and these are data.
            assert path in ("dict", "{}.update", '"".format'), path
        assert speaks_python(text_of(outcome), call) == []


# Messages


def test_no_error_of_the_conformance_files_speaks_python() -> None:
    messages: set[str] = set()
    for chunk in chunks():
        checks = Checks()
        failed = failure(chunk.source, checks)
        messages.update(checks.messages)
        if failed is not None:
            messages.add(failed[1])
    assert len(messages) > 400
    assert [message for message in messages if PYTHON.search(message)] == []


# Values that cannot leave


def nested(depth: int) -> str:
    return f"    x = []\n    for _ in range({depth - 1}):\n        x = [x]\n"


CYCLES = {
    "list": "    x = [1]\n    x.append(x)\n",
    "dict": '    x = {"a": 1}\n    x["b"] = x\n',
    "list in a tuple": "    y = []\n    x = (y,)\n    y.append(x)\n",
    "dict in a list": '    x = [{}]\n    x[0]["a"] = x\n',
}
TOO_LARGE = {
    "deep": nested(202),
    "a giant integer": "    x = 7\n    for _ in range(16):\n        x *= x\n",
    "a long text": '    x = "x" * 1000000 + "y" * 100000\n',
    "a long list": "    x = [12345678] * 100000 + [1]\n",
    "many references": "    x = [0]\n    for _ in range(5):\n        x = [x] * 100\n",
}


class EncodingHost(ScriptedHost):
    """Writes what leaves the script as the service does."""

    def call(
        self, m: Any, function: str, req: Any, options: CallOptions | None = None
    ) -> Any:
        return jsontext.encode(m, req, what="req")

    def finish(self, m: Any, value: Any) -> None:
        jsontext.encode(m, value, what="result")


def leave(setup: str, way: str) -> str:
    source = f'load("json", "json")\ndef main(ctx, input):\n{setup}    {way}\n'
    thread = Thread(compile_program(source), EncodingHost())
    outcome = thread.start(lambda m: None)
    while isinstance(outcome, Sliced):
        outcome = thread.resume()
    return "" if isinstance(outcome, Returned) else text_of(outcome)


WAYS = {
    "as a request": "some.function(ctx=ctx, req=x)",
    "as the result": "return x",
    "as JSON": "json.encode(x)",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("setup", CYCLES.values(), ids=CYCLES.keys())
def test_a_value_that_holds_itself_cannot_leave(setup: str, way: str) -> None:
    message = leave(setup, way)
    assert "nested deeper than" in message or "cycle" in message
    assert len(message) < 8192


@pytest.mark.parametrize("setup", CYCLES.values(), ids=CYCLES.keys())
@pytest.mark.parametrize(
    "way", ["print(x)", "str(x)", "repr(x)", '"%s%r" % (x, x)', '"{}".format(x)']
)
def test_a_value_that_holds_itself_has_a_text(setup: str, way: str) -> None:
    assert leave(setup, way) == ""


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("setup", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_a_value_that_is_too_large_cannot_leave(setup: str, way: str) -> None:
    message = leave(setup, way)
    assert message
    assert len(message) < 8192
    assert not PYTHON.search(message)


@pytest.mark.parametrize(
    "way", ["print(x)", "str(x)", "fail(x)", "[][x]", "{}[x]", "{x: 1}[0]"]
)
@pytest.mark.parametrize("setup", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_the_text_of_a_large_value_is_bounded(setup: str, way: str) -> None:
    message = leave(setup, way)
    assert len(message) < 16384
    assert not PYTHON.search(message)


def test_messages_of_errors_show_little_of_a_value() -> None:
    assert len(evaluate("{}['x' * 10000]")) < 400
    assert len(evaluate("{}[(1,) * 10000]")) < 400
    assert len(evaluate("chr(1 << 5000)")) < 400
    assert len(evaluate("[].nothing_" + "x" * 5000)) < 400


def test_a_meter_is_no_value() -> None:
    with pytest.raises(AssertionError):
        jsontext.encode(make_meter(), make_meter())
