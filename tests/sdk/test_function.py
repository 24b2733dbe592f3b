"""Modules, and how a function gets what it asks for."""

import functools
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import starflow
from starflow._convert import convert
from starflow.errors import ConversionError
from starflow.v1 import worker_service_pb2 as pb

CONTEXT = starflow.TaskContext(pb.Task(task_id="t"), lambda: None)


@dataclass
class Charge:
    order: str
    cents: int = 1


def call(target: Any, request: Any) -> Any:
    module = starflow.Module("m")
    module.function(name="f")(target)
    (function,) = module
    return function.call(CONTEXT, convert(function.decode, request, "req"))


class Methods:
    def method(self, ctx, req):
        return ctx is CONTEXT, req

    def __call__(self, req: int):
        return req


@pytest.mark.parametrize(
    ("target", "request_", "expected"),
    [
        (lambda: 5, {"any": "thing"}, 5),
        (lambda ctx: ctx is CONTEXT, None, True),
        (lambda req: req, [1], [1]),
        (lambda ctx, req: (ctx is CONTEXT, req), {"a": 1}, (True, {"a": 1})),
        (Methods().method, 7, (True, 7)),
        (Methods(), 7, 7),
        (functools.partial(lambda a, b: (a, b), 1), 2, (1, 2)),
    ],
)
def test_a_function_takes_what_its_signature_says(target, request_, expected):
    assert call(target, request_) == expected


def test_one_parameter_is_the_whole_request():
    def typed(context: starflow.TaskContext, charge: Charge):
        return context, charge

    assert call(typed, {"order": "a"}) == (CONTEXT, Charge("a"))


def test_several_parameters_are_keys_of_the_request():
    def spread(ctx, order: str, cents: int = 3, *, note=None):
        return order, cents, note

    assert call(spread, {"order": "a"}) == ("a", 3, None)
    assert call(spread, {"order": "a", "cents": 4, "note": [1]}) == ("a", 4, [1])
    assert call(spread, {"order": "a", "unknown": 1}) == ("a", 3, None)
    with pytest.raises(ConversionError, match=r"req\.cents: expected an integer"):
        call(spread, {"order": "a", "cents": "4"})
    with pytest.raises(ConversionError, match="expected the key 'order'"):
        call(spread, {})


def test_a_keyword_only_parameter_is_a_key():
    def spread(*, order: str):
        return order

    assert call(spread, {"order": "a"}) == "a"
    with pytest.raises(ConversionError, match="expected an object"):
        call(spread, "a")


def test_a_catch_all_gets_the_keys_that_nobody_named():
    def spread(order: str, **rest):
        return order, rest

    assert call(spread, {"order": "a", "b": 1}) == ("a", {"b": 1})


def test_a_parameter_that_is_no_object_may_come_under_its_name():
    """`refund(ctx, receipt: str)` reads like a key, and can be nothing else."""

    def refund(ctx, receipt: str):
        return receipt

    assert call(refund, "r-1") == "r-1"
    assert call(refund, {"receipt": "r-1"}) == "r-1"
    with pytest.raises(ConversionError, match=r"req\.receipt: expected a string"):
        call(refund, {"receipt": 1})
    with pytest.raises(ConversionError, match="req: expected a string, got an object"):
        call(refund, {"other": 1})


@pytest.mark.parametrize("annotation", [Any, dict, dict[str, Any], dict | None])
def test_a_parameter_that_may_be_an_object_is_the_whole_request(annotation):
    def whole(ctx, req):
        return req

    whole.__annotations__["req"] = annotation

    assert call(whole, {"req": 1}) == {"req": 1}


def by_position(a, /, b):
    return a, b


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (lambda *args: 0, "takes \\*args"),
        (by_position, "takes a without its name"),
    ],
)
def test_a_signature_that_no_request_fits_is_refused_at_once(target, problem):
    with pytest.raises(TypeError, match=problem):
        starflow.Module("m").function(name="f")(target)


def test_an_annotation_is_refused_with_the_function_and_the_parameter():
    def wrong(ctx, req: set[int]): ...

    with pytest.raises(TypeError, match=r"wrong\(req\): no JSON value"):
        starflow.Module("m").function(wrong)


def test_an_annotation_that_nobody_knows_is_refused():
    def wrong(ctx, req: "Nowhere"): ...  # noqa: F821

    with pytest.raises(TypeError, match="'Nowhere' is not known"):
        starflow.Module("m").function(wrong)


def test_a_decorated_function_is_still_the_function():
    module = starflow.Module("shop")

    @module.function
    def double(n: int) -> int:
        """Twice as much.

        And no more.
        """
        return 2 * n

    @module.function(name="Triple", description="three times")
    async def triple(n: int) -> int:
        return 3 * n

    one, two = module
    assert double(2) == 4
    assert (one.name, one.is_async, one.description) == (
        *("shop.double", False),
        "Twice as much.",
    )
    assert (two.name, two.is_async, two.description) == (
        *("shop.Triple", True),
        "three times",
    )


@pytest.mark.parametrize("name", ["", "a.b", "a-b", "1a", "ä", "a b"])
def test_a_name_that_no_script_can_write_is_refused(name):
    with pytest.raises(ValueError, match="no name that a script could write"):
        starflow.Module(name)
    with pytest.raises(ValueError, match="no name that a script could write"):
        starflow.Module("m").function(name=name or "-")(print)


def test_a_name_is_offered_once():
    module = starflow.Module("m")
    module.function(name="f")(lambda: 0)

    with pytest.raises(ValueError, match=r"m\.f is offered twice"):
        module.function(name="f")(lambda: 1)


def test_a_specification_says_what_was_asked_for():
    module = starflow.Module("m")
    retry = starflow.Retry(
        max_attempts=5,
        initial=0.25,
        coefficient=3.0,
        maximum=timedelta(minutes=1),
        non_retryable=["GONE"],
    )
    module.function(
        name="f", retry=retry, attempt_timeout=timedelta(hours=2), call_timeout=2.5
    )(call)
    module.function(name="g")(call)
    module.function(name="h", retry=starflow.Retry())(call)

    f, g, h = (function.spec() for function in module)

    assert f.retry_policy.max_attempts == 5
    assert f.retry_policy.initial_interval.ToMilliseconds() == 250
    assert f.retry_policy.backoff_coefficient == 3.0
    assert f.retry_policy.max_interval.seconds == 60
    assert list(f.retry_policy.non_retryable_codes) == ["GONE"]
    assert f.attempt_timeout.seconds == 7200
    assert f.call_timeout.ToMilliseconds() == 2500
    assert not g.HasField("retry_policy")
    assert not g.HasField("attempt_timeout")
    assert not g.HasField("call_timeout")
    assert h.retry_policy.max_attempts == 0
    assert not h.retry_policy.HasField("max_interval")
