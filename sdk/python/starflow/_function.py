"""Functions that workers execute, and the modules that hold them."""

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Self, TypeVar, overload

from starflow import _convert, _schema
from starflow._context import TaskContext, seconds
from starflow._failure import duration
from starflow.v1 import retry_pb2
from starflow.v1 import worker_service_pb2 as pb

F = TypeVar("F", bound=Callable[..., Any])
# Where a function is executed: on the worker's event loop, or beside it.
RunsIn = Literal["loop", "thread", "process"]
# Takes the context and the converted request; a coroutine if the function is async.
Call = Callable[[TaskContext, Any], Any]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed attempt is followed by another. Durations are in seconds."""

    # Most attempts, the first included; None leaves it to the service (100).
    max_attempts: int | None = None
    # The delay after the first attempt, and the factor per further one.
    initial: float | timedelta = 1.0
    coefficient: float = 2.0
    # The longest delay; None means 100 times the first.
    maximum: float | timedelta | None = None
    # Failure codes that are never retried.
    non_retryable: Sequence[str] = ()

    @classmethod
    def from_pb(cls, policy: retry_pb2.RetryPolicy) -> Self:
        """Return what the service says of a policy."""
        has_maximum = policy.HasField("max_interval")
        return cls(
            max_attempts=policy.max_attempts,
            initial=policy.initial_interval.ToTimedelta().total_seconds(),
            coefficient=policy.backoff_coefficient,
            maximum=policy.max_interval.ToTimedelta().total_seconds()
            if has_maximum
            else None,
            non_retryable=tuple(policy.non_retryable_codes),
        )

    def to_pb(self) -> retry_pb2.RetryPolicy:
        """Return the policy for the wire."""
        policy = retry_pb2.RetryPolicy(
            initial_interval=duration(seconds(self.initial)),
            backoff_coefficient=self.coefficient,
            max_attempts=self.max_attempts or 0,
            non_retryable_codes=self.non_retryable,
        )
        if self.maximum is not None:
            policy.max_interval.CopyFrom(duration(seconds(self.maximum)))
        return policy


@dataclass(frozen=True, slots=True)
class Function:
    """A function as a worker offers it."""

    # module.function, as the script writes it.
    name: str
    target: Callable[..., Any]
    is_async: bool
    # What the request is converted by; None if it is taken as it is.
    decode: _convert.Decoder | None
    call: Call
    retry: Retry | None = None
    attempt_timeout: float | None = None
    call_timeout: float | None = None
    description: str = ""
    # Whether it is executed in a process of its own.
    in_process: bool = False
    # How many tasks of it one worker executes at a time; None: as many as it has slots.
    concurrency: int | None = None
    # The queue that its calls belong to; empty: that of its module.
    queue: str = ""

    def spec(self) -> pb.FunctionSpec:
        """Return what the service is told about it."""
        spec = pb.FunctionSpec(
            name=self.name,
            description=self.description,
            queue=self.queue,
            input_schema=_schema.text_of(_input_schema(self.target)),
            output_schema=_schema.text_of(_output_schema(self.target)),
        )
        if self.retry is not None:
            spec.retry_policy.CopyFrom(self.retry.to_pb())
        if self.attempt_timeout is not None:
            spec.attempt_timeout.CopyFrom(duration(self.attempt_timeout))
        if self.call_timeout is not None:
            spec.call_timeout.CopyFrom(duration(self.call_timeout))
        return spec


class Module:
    """
    Functions that scripts call as `<module>.<function>`.

        payments = starflow.Module("payments")

        @payments.function(name="Charge", retry=starflow.Retry(max_attempts=5))
        async def charge(ctx: starflow.TaskContext, req: ChargeRequest) -> Receipt: ...

    A function takes the context, if its first parameter is `ctx` or annotated so, and
    then the request:

    - several parameters, or keyword-only ones, are keys of the request object;
    - one parameter is the whole request; if its type is no object, it may also come
      as the key of its name.

    Annotations say what the JSON values become: plain types, containers, dataclasses,
    TypedDicts, enums, dates, models.
    """

    def __init__(self, name: str) -> None:
        _check_identifier(name)
        self.name = name
        self._functions: dict[str, Function] = {}

    def __iter__(self) -> Iterator[Function]:
        return iter(self._functions.values())

    def __repr__(self) -> str:
        return f"<starflow.Module {self.name}: {', '.join(self._functions) or 'empty'}>"

    @overload
    def function(self, target: F, /) -> F: ...
    @overload
    def function(
        self,
        target: None = ...,
        /,
        *,
        name: str | None = ...,
        retry: Retry | None = ...,
        attempt_timeout: float | timedelta | None = ...,
        call_timeout: float | timedelta | None = ...,
        description: str | None = ...,
        runs_in: RunsIn | None = ...,
        concurrency: int | None = ...,
        queue: str = ...,
    ) -> Callable[[F], F]: ...
    def function(
        self,
        target: F | None = None,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        attempt_timeout: float | timedelta | None = None,
        call_timeout: float | timedelta | None = None,
        description: str | None = None,
        runs_in: RunsIn | None = None,
        concurrency: int | None = None,
        queue: str = "",
    ) -> F | Callable[[F], F]:
        """
        Offer a function; a decorator with or without arguments, which returns it.

        Without *retry* a failure is tried again only if it is a `RetryableError`.
        *attempt_timeout* bounds one attempt, in seconds; the service's default is an
        hour. *call_timeout* bounds the whole call: its attempts, the time between them,
        and its waiting for a worker or a signal; a script may allow it less.
        *description* defaults to the docstring's first line.

        Async functions run on the worker's event loop, plain ones in a thread, or, with
        *runs_in* "process", in a process of their own, which is for what computes long
        or has to be killed to be stopped. *concurrency* is how many tasks of this
        function one worker executes at a time; more than these wait in the worker.
        *queue* names the queue whose limits its calls wait for at the service; it
        defaults to the module's name.

        Raises:
            TypeError: The signature does not fit a request, or no process can run it.
            ValueError: The name is taken, or no Starlark identifier.
        """
        options = _Options(
            retry,
            attempt_timeout,
            call_timeout,
            description,
            runs_in,
            concurrency,
            queue,
        )
        if target is None:
            return functools.partial(self._offer_and_return, name=name, options=options)
        return self._offer_and_return(target, name, options)

    def _offer_and_return(self, target: F, name: str | None, options: "_Options") -> F:
        name = name or str(getattr(target, "__name__", ""))
        _check_identifier(name)
        if name in self._functions:
            raise ValueError(f"{self.name}.{name} is offered twice")
        self._functions[name] = options.function(f"{self.name}.{name}", target)
        return target


@dataclass(frozen=True, slots=True)
class _Options:
    """What a decorator was told about its function."""

    retry: Retry | None
    attempt_timeout: float | timedelta | None
    call_timeout: float | timedelta | None
    description: str | None
    runs_in: RunsIn | None
    concurrency: int | None
    queue: str

    def function(self, name: str, target: Callable[..., Any]) -> Function:
        """Return *target* as a worker offers it."""
        is_async = _is_async(target)
        _check_place(target, self.runs_in, is_async=is_async)
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency is {self.concurrency}, but one is the least")
        decode, call = compiled(target)
        description = self.description
        if description is None:
            description = (inspect.getdoc(target) or "").partition("\n")[0]
        return Function(
            name=name,
            target=target,
            is_async=is_async,
            decode=decode,
            call=call,
            retry=self.retry,
            attempt_timeout=_seconds_if_set(self.attempt_timeout),
            call_timeout=_seconds_if_set(self.call_timeout),
            description=description,
            in_process=self.runs_in == "process",
            concurrency=self.concurrency,
            queue=self.queue,
        )


def _seconds_if_set(span: float | timedelta | None) -> float | None:
    return None if span is None else seconds(span)


def _check_place(
    target: Callable[..., Any], runs_in: RunsIn | None, *, is_async: bool
) -> None:
    if runs_in not in (None, "loop", "thread", "process"):
        raise ValueError(f"runs_in is {runs_in!r}: loop, thread or process")
    if runs_in is not None and is_async is not (runs_in == "loop"):
        kind = "async" if is_async else "plain"
        raise TypeError(f"{_name(target)} is {kind}, and cannot run in a {runs_in}")
    is_found = inspect.isfunction(target) and "<" not in target.__qualname__
    if runs_in == "process" and not is_found:
        raise TypeError(
            f"{_name(target)} must be a function of a module, which another process "
            "can import"
        )


def _check_identifier(name: str) -> None:
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is no name that a script could write: use letters")


def _is_async(target: Callable[..., Any]) -> bool:
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.iscoroutinefunction(target):
        return True
    return inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004


def compiled(target: Callable[..., Any]) -> tuple[_convert.Decoder | None, Call]:
    """Return how *target* wants its request, and what calls it with that."""
    takes_context, rest, hints = _request_of(target)
    if not rest:
        return None, _calls_without_request(target, takes_context)
    if _is_whole(rest):
        decode = _decoder(target, rest[0], hints)
        if decode and not _convert.takes_objects(hints.get(rest[0].name, Any)):
            # Nothing is lost: as the whole request, an object would be refused.
            decode = _convert.by_key(rest[0].name, decode)
        return decode, target if takes_context else lambda _, req: target(req)
    decode = _record_decoder(target, rest, hints)
    if takes_context:
        return decode, lambda ctx, req: target(ctx, **req)
    return decode, lambda _, req: target(**req)


def _request_of(
    target: Callable[..., Any],
) -> tuple[bool, list[inspect.Parameter], dict[str, Any]]:
    """Return if *target* takes the context, its other parameters, and all its hints."""
    parameters = list(inspect.signature(target).parameters.values())
    hints = _hints(target)
    takes_context = bool(parameters) and _is_context(parameters[0], hints)
    rest = parameters[1:] if takes_context else parameters
    for parameter in rest:
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise TypeError(f"{_name(target)} takes *args, which no request can fill")
    return takes_context, rest, hints


def _is_whole(parameters: Sequence[inspect.Parameter]) -> bool:
    """Return whether the one parameter there is takes the request as it is."""
    return len(parameters) == 1 and parameters[0].kind in _POSITIONAL


def _input_schema(target: Callable[..., Any]) -> _schema.Schema:
    _, parameters, hints = _request_of(target)
    if not parameters:
        return {}
    if not _is_whole(parameters):
        return _schema.record_of(
            {
                p.name: (hints.get(p.name, Any), p.default is p.empty)
                for p in parameters
                if p.kind is not p.VAR_KEYWORD
            }
        )
    hint = hints.get(parameters[0].name, Any)
    schema = _schema.schema_of(hint, "input")
    if _convert.takes_objects(hint):
        return schema
    return _schema.by_key(parameters[0].name, schema)


def _output_schema(target: Callable[..., Any]) -> _schema.Schema:
    return _schema.schema_of(_hints(target).get("return", Any), "output")


def _calls_without_request(target: Callable[..., Any], takes_context: bool) -> Call:
    return (lambda ctx, _: target(ctx)) if takes_context else (lambda _, __: target())


def _record_decoder(
    target: Callable[..., Any],
    parameters: list[inspect.Parameter],
    hints: dict[str, Any],
) -> _convert.Decoder:
    takes_unknown = parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
    named = parameters[:-1] if takes_unknown else parameters
    for parameter in named:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"{_name(target)} takes {parameter.name} without its name")
    fields = {
        p.name: (_decoder(target, p, hints), p.default is inspect.Parameter.empty)
        for p in named
    }
    return _convert.record(fields, dict, keep_unknown=takes_unknown)


def _is_context(parameter: inspect.Parameter, hints: dict[str, Any]) -> bool:
    if parameter.kind not in _POSITIONAL:
        return False
    hint = hints.get(parameter.name)
    return hint is TaskContext or (hint is None and parameter.name == "ctx")


def _decoder(
    target: Callable[..., Any], parameter: inspect.Parameter, hints: dict[str, Any]
) -> _convert.Decoder | None:
    try:
        return _convert.decoder(hints.get(parameter.name, Any))
    except TypeError as error:
        raise TypeError(f"{_name(target)}({parameter.name}): {error}") from None


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    while isinstance(target, functools.partial):
        target = target.func
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        return typing.get_type_hints(target)
    except NameError as error:
        raise TypeError(
            f"{_name(target)}: the annotation {error.name!r} is not known where the "
            "function is defined; define or import it at the top of the module"
        ) from None


def _name(target: Callable[..., Any]) -> str:
    return getattr(target, "__qualname__", repr(target))
