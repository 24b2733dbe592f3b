import gc
import weakref
from types import FunctionType

import pytest

from starflow_service.starlark import ops
from starflow_service.starlark.builtins import UNIVERSE
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.host import Context, Future
from starflow_service.starlark.values import (
    Builtin,
    Dict,
    FrozenDict,
    FrozenList,
    HostFunction,
    List,
    LockedDict,
    LockedList,
    Module,
    freeze,
    type_name,
)
from tests.starlark.evaluate import end_of, make_meter


def test_a_type_has_one_name_however_its_values_may_change() -> None:
    assert {type_name(List()), type_name(LockedList()), type_name(FrozenList())} == {
        "list"
    }
    assert {type_name(Dict()), type_name(LockedDict()), type_name(FrozenDict())} == {
        "dict"
    }
    assert type_name(Context()) == "context"
    assert type_name(Future(1, "a.b")) == "future"
    assert type_name(HostFunction("a.b")) == type_name(lambda: None) == "function"


def test_freezing_reaches_everything_that_a_value_holds() -> None:
    inner, deep, captured, default = List(), Dict(), List(), List()
    deep["x"] = inner

    def function(a=default):  # type: ignore[no-untyped-def]
        return captured, function

    value = List([(deep, function), Builtin("append", len, List())])
    value.append(value)
    freeze(value)
    assert type(value) is FrozenList
    assert type(inner) is type(captured) is type(default) is FrozenList
    assert type(deep) is FrozenDict
    assert type(value[1].receiver) is FrozenList


def test_freezing_reaches_a_function_that_is_a_key() -> None:
    m = make_meter()
    captured = List()
    value = ops.make_dict(m, [(lambda: captured, 1)])
    freeze(value)
    assert type(captured) is FrozenList


def test_freezing_a_deep_value_needs_no_deep_stack() -> None:
    value = List()
    for _ in range(100_000):
        value = List([value])
    freeze(value)
    assert type(value[0][0][0]) is FrozenList


def test_freezing_passes_over_a_variable_that_was_never_assigned() -> None:
    def outer() -> FunctionType:
        def inner() -> None:
            never  # noqa: B018

        if not inner:
            never = 1
        return inner  # type: ignore[return-value]

    freeze(outer())


def test_a_lock_ends_with_the_last_of_its_loops() -> None:
    m = make_meter()
    for value in (List([1]), Dict({1: 2})):
        ops.begin_iteration(m, value)
        ops.begin_iteration(m, value)
        ops.end_iteration(value)
        assert type(value) in (LockedList, LockedDict)
        ops.end_iteration(value)
        assert type(value) in (List, Dict)


def test_freezing_outlives_a_lock() -> None:
    m = make_meter()
    value = List([1])
    ops.begin_iteration(m, value)
    freeze(value)
    ops.end_iteration(value)
    assert type(value) is FrozenList


def test_iterating_over_what_never_changes_locks_nothing() -> None:
    m = make_meter()
    for value in ((1,), range(3), FrozenList([1])):
        assert list(ops.begin_iteration(m, value))
        ops.end_iteration(value)


@pytest.mark.parametrize(
    ("value", "change", "message"),
    [
        ("[1]", "x.append(1)", "append: cannot append to frozen list"),
        ("[1]", "x.extend([])", "extend: cannot extend frozen list"),
        ("[1]", "x.insert(0, 1)", "insert: cannot insert into frozen list"),
        ("[1]", "x.pop()", "pop: cannot pop from frozen list"),
        ("[1]", "x.remove(1)", "remove: cannot remove from frozen list"),
        ("[1]", "x.clear()", "clear: cannot clear frozen list"),
        ("[1]", "x[0] = 1", "cannot assign to element of frozen list"),
        ("{1: 1}", "x[1] = 1", "cannot insert into frozen hash table"),
        ("{1: 1}", "x.pop(1)", "pop: cannot delete from frozen hash table"),
        ("{1: 1}", "x.popitem()", "popitem: cannot delete from frozen hash table"),
        ("{1: 1}", "x.clear()", "clear: cannot clear frozen hash table"),
        (
            "{1: 1}",
            "x.setdefault(2)",
            "setdefault: cannot insert into frozen hash table",
        ),
        ("{1: 1}", "x.update(a=1)", "update: cannot insert into frozen hash table"),
    ],
)
def test_a_frozen_value_refuses_every_change(
    value: str, change: str, message: str
) -> None:
    m = make_meter()
    x = List([1]) if value == "[1]" else Dict({1: 1})
    freeze(x)
    with pytest.raises(EvalError) as caught:
        _change(m, x, change)
    assert caught.value.message == message


def _change(m, x, change: str) -> None:
    if change.endswith("] = 1"):
        ops.set_index(m, x, int(change[2]), 1)
        return
    name, _, rest = change.removeprefix("x.").partition("(")
    if "=" in rest:
        ops.call_method(m, x, name, (), {"a": 1})
        return
    values = {"": (), "[]": (List(),), "0, 1": (0, 1), "1": (1,), "2": (2,)}
    ops.call_method(m, x, name, values[rest.rstrip(")")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("x.append(1)", "append: cannot append to list during iteration"),
        ("x.pop()", "pop: cannot pop from list during iteration"),
        ("x[0] = 1", "cannot assign to element of list during iteration"),
        ("x.clear()", "clear: cannot clear list during iteration"),
        ("x += [1]", "cannot apply += to list during iteration"),
    ],
)
def test_a_list_cannot_change_while_it_is_iterated_over(
    change: str, message: str
) -> None:
    body = f"x = [1, 2]\nfor y in x:\n    {change}"
    assert end_of(body) == f"error: {message}"


def test_a_dict_cannot_change_while_it_is_iterated_over() -> None:
    for change in ("x[1] = 1", "x[2] = 1"):
        body = f"x = {{1: 2}}\nfor y in x:\n    {change}"
        message = "cannot insert into hash table during iteration"
        assert end_of(body) == f"error: {message}"
    assert end_of("x = {1: 2}\nfor y in x:\n    x.setdefault(1)\nreturn 'ok'") == "ok"
    message = "cannot apply |= to hash table during iteration"
    assert end_of("x = {1: 2}\nfor y in x:\n    x |= {}") == f"error: {message}"


def test_a_key_function_cannot_change_what_is_sorted() -> None:
    body = "x = [3, 1]\ndef key(y):\n    x.append(y)\n    return y\nsorted(x, key=key)"
    message = "append: cannot append to list during iteration"
    assert end_of(body) == f"error: {message}"
    body = body.replace("sorted(", "max(")
    assert end_of(body) == f"error: {message}"


def test_a_failed_key_function_leaves_no_lock() -> None:
    m = make_meter()
    x = List([1, 2])
    for name in ("sorted", "min", "max"):
        with pytest.raises(EvalError):
            ops.call(m, UNIVERSE[name], (x,), {"key": UNIVERSE["len"]})
        assert type(x) is List


def test_a_module_shows_its_members() -> None:
    m = make_meter()
    module = Module("things", {"one": 1})
    assert ops.attr(m, module, "one") == 1
    assert ops.repr_(m, module) == '<module "things">'
    with pytest.raises(EvalError, match=r"module has no \.on field or method"):
        ops.attr(m, module, "on")


def test_every_attribute_of_a_host_function_is_a_longer_name() -> None:
    m = make_meter()
    function = ops.attr(m, ops.attr(m, HostFunction("a"), "b"), "c")
    assert function.path == "a.b.c"
    assert ops.eq(m, function, HostFunction("a.b.c"))
    assert ops.repr_(m, function) == "<function a.b.c>"


def test_a_list_that_holds_itself_is_garbage_like_any_other() -> None:
    class Probe:
        pass

    probe = Probe()
    gone = weakref.ref(probe)
    value = List([probe])
    value.append(value)
    del probe, value
    gc.collect()
    assert gone() is None
