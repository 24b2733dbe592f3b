"""Everything whose work grows with the script's data is paid for in proportion.

The table names every operator, built-in, method and library function: a new one without
an entry fails.  What it holds is the operation for data of a size, or `FREE`.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from starflow_service.starlark import ops
from starflow_service.starlark.access import METHODS
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from starflow_service.starlark.errors import EvalError, Restarting
from starflow_service.starlark.host import CallOptions, Context, Future
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.values import Builtin, Dict, HostFunction, List
from tests.starlark.evaluate import make_meter
from tests.starlark.scripted_host import ScriptedHost

Operation = Callable[[Meter], Any]
FREE = None
NAMESPACE = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"


def ints(n: int) -> List:
    return List(range(10**6, 10**6 + n))


def strs(n: int) -> List:
    return List(f"{i:06}" for i in range(n))


def a_dict(n: int) -> Dict:
    return Dict((f"{i:06}", i) for i in range(n))


def text(n: int) -> str:
    return "ab" * (n // 2)


def operator(name: str, *operands: Any) -> Operation:
    return lambda m: getattr(ops, name)(m, *operands)


def builtin(name: str, *args: Any, **kwargs: Any) -> Operation:
    return lambda m: ops.call(m, UNIVERSE[name], args, kwargs)


def member(path: str, *args: Any, **kwargs: Any) -> Operation:
    module, name = path.split(".")
    return lambda m: ops.call(m, MODULES[module].members[name], args, kwargs)


class Host(ScriptedHost):
    """Calls return nothing, at once."""

    def start(
        self, m: Meter, function: str, req: Any, options: CallOptions | None = None
    ) -> Future:
        self.started.append(None)
        return Future(len(self.started), function)

    def value(self, m: Meter, future: Future) -> Any:
        return None


def method(receiver: Any, name: str, *args: Any) -> Operation:
    return lambda m: ops.call_method(m, receiver, name, args)


OPERATORS: dict[str, Callable[[int], Operation] | None] = {
    "add": lambda n: operator("add", ints(n), List([1])),
    "sub": lambda n: operator("sub", 1 << n // 2, 1),
    "mul": lambda n: operator("mul", List([1]), n),
    "truediv": FREE,
    "floordiv": lambda n: operator("floordiv", 1 << n // 2, 3),
    "mod": lambda n: operator("mod", "%s" * n, tuple(ints(n))),
    "and_": lambda n: operator("and_", 1 << n // 2, -1),
    "or_": lambda n: operator("or_", a_dict(n), Dict()),
    "xor": lambda n: operator("xor", 1 << n // 2, 1),
    "lshift": lambda n: operator("lshift", 1 << n // 2, 1),
    "rshift": lambda n: operator("rshift", 1 << n // 2, 1),
    "eq": lambda n: operator("eq", ints(n), ints(n)),
    "ne": lambda n: operator("ne", a_dict(n), a_dict(n)),
    "lt": lambda n: operator("lt", ints(n), ints(n)),
    "le": lambda n: operator("le", ints(n), ints(n)),
    "gt": lambda n: operator("gt", text(n), text(n)),
    "ge": lambda n: operator("ge", tuple(ints(n)), tuple(ints(n))),
    "contains": lambda n: operator("contains", -1, ints(n)),
    "not_contains": lambda n: operator("not_contains", "c", text(n)),
    "neg": lambda n: operator("neg", 1 << n // 2),
    "pos": FREE,
    "invert": lambda n: operator("invert", 1 << n // 2),
    "iadd": lambda n: operator("iadd", List(), range(n)),
    "ior": lambda n: operator("ior", Dict(), a_dict(n)),
    "index": lambda n: operator("index", Dict({text(n): 1}), text(n)),
    "set_index": lambda n: operator("set_index", Dict(), (text(n),), 1),
    "slice_": lambda n: operator("slice_", ints(n), None, None, -1),
    "attr": FREE,
    "set_attr": FREE,
    "make_list": lambda n: operator("make_list", ints(n)),
    "make_dict": lambda n: operator("make_dict", list(enumerate(ints(n)))),
    "unpack": FREE,
    "begin_iteration": lambda n: operator("begin_iteration", a_dict(n)),
    "end_iteration": FREE,
    "call": lambda n: operator("call", UNIVERSE["print"], ints(n)),
    "call_method": lambda n: operator("call_method", "x", "format", ints(n)),
    "repr_": lambda n: operator("repr_", text(n)),
    "spread_args": lambda n: operator("spread_args", ints(n)),
    "spread_kwargs": lambda n: operator("spread_kwargs", a_dict(n)),
    "str_": lambda n: operator("str_", ints(n)),
    "compare": lambda n: operator("compare", ints(n), ints(n)),
    # These take no meter: what they cost is bounded by what was paid to make it.
    "truth": FREE,
    "type_name": FREE,
    "freeze": FREE,
}

BUILTINS: dict[str, Callable[[int], Operation] | None] = {
    "abs": lambda n: builtin("abs", -1 << n // 2),
    "all": lambda n: builtin("all", ints(n)),
    "any": lambda n: builtin("any", List([0] * n)),
    "bool": FREE,
    "bytes": lambda n: builtin("bytes", text(n)),
    "chr": FREE,
    "dict": lambda n: builtin("dict", a_dict(n)),
    "dir": FREE,
    "enumerate": lambda n: builtin("enumerate", ints(n)),
    "fail": lambda n: builtin("fail", ints(n)),
    "float": lambda n: builtin("float", "1." + "0" * n),
    "getattr": FREE,
    "hasattr": FREE,
    "hash": lambda n: builtin("hash", text(n)),
    "int": lambda n: builtin("int", "9" * (n // 4)),
    "len": FREE,
    "list": lambda n: builtin("list", range(n)),
    "max": lambda n: builtin("max", ints(n)),
    "min": lambda n: builtin("min", *ints(n)),
    "ord": FREE,
    "print": lambda n: builtin("print", text(n)),
    "range": FREE,
    "repr": lambda n: builtin("repr", strs(n)),
    "reversed": lambda n: builtin("reversed", ints(n)),
    "sorted": lambda n: builtin("sorted", ints(n)),
    "str": lambda n: builtin("str", b"\xff" * n),
    "tuple": lambda n: builtin("tuple", ints(n)),
    "type": FREE,
    "zip": lambda n: builtin("zip", ints(n), ints(n)),
}

STRINGS: dict[str, Callable[[int], Operation] | None] = {
    "capitalize": lambda n: method(text(n), "capitalize"),
    "codepoint_ords": FREE,
    "codepoints": FREE,
    "count": lambda n: method(text(n), "count", "ba"),
    "elem_ords": FREE,
    "elems": FREE,
    "endswith": lambda n: method(text(n), "endswith", tuple(strs(n))),
    "find": lambda n: method(text(n), "find", "bb"),
    "format": lambda n: method("{}" * n, "format", *ints(n)),
    "index": lambda n: method(text(n) + "bb", "index", "bb"),
    "isalnum": lambda n: method(text(n), "isalnum"),
    "isalpha": lambda n: method(text(n), "isalpha"),
    "isdigit": lambda n: method("1" * n, "isdigit"),
    "islower": lambda n: method(text(n), "islower"),
    "isspace": lambda n: method(" " * n, "isspace"),
    "istitle": lambda n: method("Ab " * (n // 3), "istitle"),
    "isupper": lambda n: method("É" * n, "isupper"),
    "join": lambda n: method(",", "join", strs(n)),
    "lower": lambda n: method("É" * n, "lower"),
    "lstrip": lambda n: method(" " * n, "lstrip"),
    "partition": lambda n: method(text(n), "partition", "bb"),
    "removeprefix": lambda n: method(text(n), "removeprefix", "a"),
    "removesuffix": lambda n: method(text(n), "removesuffix", "b"),
    "replace": lambda n: method(text(n), "replace", "a", "bb"),
    "rfind": lambda n: method(text(n), "rfind", "bb"),
    "rindex": lambda n: method("bb" + text(n), "rindex", "bb"),
    "rpartition": lambda n: method(text(n), "rpartition", "bb"),
    "rsplit": lambda n: method(text(n), "rsplit", "a", 3),
    "rstrip": lambda n: method("é" * n, "rstrip", "aé"),
    "split": lambda n: method("a " * (n // 2), "split"),
    "splitlines": lambda n: method("a\n" * (n // 2), "splitlines"),
    "startswith": lambda n: method(text(n), "startswith", text(n)),
    "strip": lambda n: method(" " * n, "strip", "ab "),
    "title": lambda n: method(text(n), "title"),
    "upper": lambda n: method(text(n), "upper"),
}

LISTS: dict[str, Callable[[int], Operation] | None] = {
    "append": FREE,
    "clear": lambda n: method(ints(n), "clear"),
    "extend": lambda n: method(List(), "extend", ints(n)),
    "index": lambda n: method(ints(n), "index", 10**6 + n - 1),
    "insert": lambda n: method(ints(n), "insert", 0, 0),
    "pop": lambda n: method(ints(n), "pop", 0),
    "remove": lambda n: method(ints(n), "remove", 10**6 + n - 1),
}


def emptied(n: int) -> Operation:
    d = a_dict(n)
    for key in list(d)[: n // 3]:
        ops.call_method(make_meter(), d, "pop", (key,))
    return method(d, "popitem")


DICTS: dict[str, Callable[[int], Operation] | None] = {
    "clear": lambda n: method(a_dict(n), "clear"),
    "get": lambda n: method(Dict(), "get", (text(n),)),
    "items": lambda n: method(a_dict(n), "items"),
    "keys": lambda n: method(a_dict(n), "keys"),
    "pop": lambda n: method(Dict({text(n): 1}), "pop", text(n)),
    "popitem": emptied,
    "setdefault": lambda n: method(Dict(), "setdefault", tuple(ints(n))),
    "update": lambda n: method(Dict(), "update", a_dict(n)),
    "values": lambda n: method(a_dict(n), "values"),
}


def futures(n: int) -> List:
    return List([Future(0, "a.b")] * n)


MEMBERS: dict[str, Callable[[int], Operation] | None] = {
    "flow.call": FREE,
    "flow.catch": lambda n: member(
        "flow.catch", MODULES["json"].members["encode"], ints(n)
    ),
    "flow.defer": FREE,
    "flow.first": lambda n: member("flow.first", Context(), futures(n)),
    "flow.map": lambda n: member("flow.map", Context(), HostFunction("a.b"), ints(n)),
    "flow.now": FREE,
    "flow.restart": lambda n: member("flow.restart", Context(), ints(n)),
    "flow.set_status": lambda n: member("flow.set_status", Context(), "", 0, ints(n)),
    "flow.spawn": FREE,
    "flow.start": FREE,
    "flow.wait_signal": FREE,
    "flow.wait": lambda n: member("flow.wait", Context(), futures(n)),
    "hashlib.hmac_sha256": lambda n: member("hashlib.hmac_sha256", "", text(n)),
    "hashlib.md5": lambda n: member("hashlib.md5", text(n)),
    "hashlib.sha1": lambda n: member("hashlib.sha1", b"a" * n),
    "hashlib.sha256": lambda n: member("hashlib.sha256", text(n)),
    "hashlib.sha512": lambda n: member("hashlib.sha512", text(n)),
    "json.decode": lambda n: member("json.decode", "[" + "1," * n + "1]"),
    "json.encode": lambda n: member("json.encode", ints(n)),
    "json.encode_indent": lambda n: member("json.encode_indent", ints(n)),
    "json.indent": lambda n: member("json.indent", "[" + "1," * n + "1]"),
    "rand.choice": lambda n: member("rand.choice", Context(), a_dict(n)),
    "rand.float": FREE,
    "rand.int": FREE,
    "rand.shuffle": lambda n: member("rand.shuffle", Context(), ints(n)),
    "time.from_timestamp": FREE,
    "time.is_valid_timezone": FREE,
    "time.now": FREE,
    "time.parse_duration": lambda n: member("time.parse_duration", "1s" * n),
    "time.parse_time": lambda n: member("time.parse_time", "x" * n, "x" * n + "2006"),
    "time.sleep": FREE,
    "time.sleep_until": FREE,
    "time.time": FREE,
    "uuid.v4": FREE,
    "uuid.v5": lambda n: member("uuid.v5", NAMESPACE, text(n)),
    **{
        f"math.{name}": FREE
        for name, value in MODULES["math"].members.items()
        if type(value) is Builtin
    },
}

TABLES = {
    "operator": OPERATORS,
    "built-in": BUILTINS,
    "string": STRINGS,
    "list": LISTS,
    "dict": DICTS,
    "module": MEMBERS,
}


def test_the_tables_name_everything() -> None:
    assert sorted(OPERATORS) == sorted(ops.__all__)
    functions = [name for name, value in UNIVERSE.items() if type(value) is Builtin]
    assert sorted(BUILTINS) == sorted(functions)
    assert sorted(STRINGS) == sorted(METHODS[str])
    assert sorted(METHODS[bytes]) == ["elems"]
    assert sorted(LISTS) == sorted(METHODS[List])
    assert sorted(DICTS) == sorted(METHODS[Dict])
    members = [
        f"{name}.{member}"
        for name, module in MODULES.items()
        for member, value in module.members.items()
        if type(value) is Builtin
    ]
    assert sorted(MEMBERS) == sorted(members)


def cost(operation: Operation) -> float:
    """Return what an operation takes, in steps; a step's worth is 128 bytes."""
    m = make_meter(max_steps=10**12, max_allocated_bytes=10**15, max_print_bytes=10**9)
    m.host = Host()
    steps, room = m.remaining + m.steps, m.bytes
    # Failing is work as well.
    with suppress(EvalError, Restarting):
        operation(m)
    return steps - m.remaining - m.steps + (room - m.bytes) / 128


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind, table in TABLES.items()
        for name, make in table.items()
        if make is not FREE
    ],
)
def test_work_that_grows_is_paid_for_in_proportion(kind: str, name: str) -> None:
    make = TABLES[kind][name]
    assert make is not None
    small, large = cost(make(4_000)), cost(make(64_000))
    # Sixteen times as much, but for what is the same for all sizes.
    assert large > 10 * small
    # The cheapest work is a pass over memory: no more than some 2,000 bytes a step.
    assert large >= 64_000 / 2_048
