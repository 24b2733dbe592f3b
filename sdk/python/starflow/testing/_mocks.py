"""Functions for tests: what a script's calls get, and which calls there were.

What stands for a function is told by what it is:

    an exception, class or instance   every call raises it
    a function                        every call executes it
    `InTurn(a, b, c)` or a list       the first call gets a, the second b ...
    `NEVER`                           a call never ends by itself
    anything else                     what every call returns
"""

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starflow import _convert
from starflow._context import TaskContext
from starflow._function import Call, Function, Module
from starflow.errors import ConversionError, PermanentError


class _Never:
    """What a call gets that never ends by itself."""

    def __repr__(self) -> str:
        return "starflow.testing.NEVER"


# Stands for a function that hangs: only a timeout or a cancellation ends its call.
NEVER: Final = _Never()


@dataclass(frozen=True)
class Returns:
    """Stands for a function that returns *value*, be it a list or callable."""

    value: Any


class InTurn:
    """Stands for a function whose calls get one after the other of *behaviours*."""

    def __init__(self, *behaviours: Any) -> None:
        self.behaviours = behaviours


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One attempt of a call that a function of the test executed."""

    function: str
    # The request as JSON values.
    input: Any
    run_id: str
    # The same for all attempts of the call: `ctx.task_id`.
    task_id: str
    attempt: int


@dataclass
class Cast:
    """The functions that a test's worker offers: real ones, and mocks."""

    # What is told when a call begins to hang.
    on_hang: Callable[[], None]
    calls: list[RecordedCall] = field(default_factory=list)
    _behaviours: dict[str, Call] = field(default_factory=dict)
    _hanging: set[tuple[str, int]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def modules(
        self, modules: Iterable[Module], mocks: Mapping[str, Any]
    ) -> list[Module]:
        """
        Return what a worker takes: the functions of *modules*, and *mocks* by name.

        A mock takes the place of a real function, and its retry policy and timeout.
        """
        functions = {each.name: each for module in modules for each in module}
        offered = {
            name: self._recorded(function)
            for name, function in functions.items()
            if name not in mocks
        }
        for name, behaviour in mocks.items():
            self.mock(name, behaviour)
            offered[name] = self._mocked(functions.get(name) or _nothing(name))
        return [_Offer(list(offered.values()))] if offered else []

    def mock(self, name: str, behaviour: Any) -> None:
        """Let the function *name* do something else from now on."""
        self._behaviours[name] = _behaviour(name, behaviour)

    def is_mocked(self, name: str) -> bool:
        """Whether something stands for the function *name*."""
        return name in self._behaviours

    def is_hanging(self, task_id: str, attempt: int) -> bool:
        """Whether the attempt waits for nothing but its timeout."""
        with self._lock:
            return (task_id, attempt) in self._hanging

    def _recorded(self, function: Function) -> Function:
        call = function.call

        def record_and_call(ctx: TaskContext, request: Any) -> Any:
            self._record(ctx)
            return call(ctx, request)

        # In the test's process, whatever it wants: the test may want to see it.
        return dataclasses.replace(function, call=record_and_call, in_process=False)

    def _mocked(self, function: Function) -> Function:
        name = function.name

        async def call(ctx: TaskContext, request: Any) -> Any:
            self._record(ctx)
            answer = await self._behaviours[name](ctx, request)
            if answer is not NEVER:
                return answer
            with self._lock:
                self._hanging.add((ctx.task_id, ctx.attempt))
            self.on_hang()
            return await asyncio.get_running_loop().create_future()

        # What the real one would make of the request is not the mock's business.
        return dataclasses.replace(
            function, call=call, is_async=True, in_process=False, decode=None
        )

    def _record(self, ctx: TaskContext) -> None:
        with self._lock:
            self.calls.append(
                RecordedCall(
                    ctx.function, ctx.input, ctx.run_id, ctx.task_id, ctx.attempt
                )
            )


class _Offer(Module):
    """Functions of several modules, as a worker takes them."""

    def __init__(self, functions: Sequence[Function]) -> None:
        super().__init__("test")
        self._functions = {function.name: function for function in functions}


def _nothing(name: str) -> Function:
    """Return a function that only has a name, which is checked like any other."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise ValueError(f"{name!r} is no dotted name such as 'payments.Charge'")
    module = Module(module_name)
    module.function(name=function_name)(lambda: None)
    (function,) = module
    return function


def _behaviour(name: str, behaviour: Any) -> Call:
    """Return an async function that does what *behaviour* says."""
    if isinstance(behaviour, list):
        behaviour = InTurn(*behaviour)
    if isinstance(behaviour, InTurn):
        return _in_turn(name, behaviour)
    if isinstance(behaviour, BaseException) or (
        isinstance(behaviour, type) and issubclass(behaviour, BaseException)
    ):
        return _raising(behaviour)
    if isinstance(behaviour, Returns):
        return _returning(behaviour.value)
    if callable(behaviour):
        return _executing(name, behaviour)
    return _returning(behaviour)


def _returning(value: Any) -> Call:
    async def call(ctx: TaskContext, request: Any) -> Any:
        return value

    return call


def _raising(error: BaseException | type[BaseException]) -> Call:
    async def call(ctx: TaskContext, request: Any) -> Any:
        raise error

    return call


def _executing(name: str, target: Callable[..., Any]) -> Call:
    module = Module("test")
    module.function(name="mock")(target)
    (function,) = module

    async def call(ctx: TaskContext, request: Any) -> Any:
        try:
            converted = _convert.convert(function.decode, request, "req")
        except ConversionError as error:
            raise PermanentError(f"{name}: {error}", code="BAD_INPUT") from None
        if function.is_async:
            return await function.call(ctx, converted)
        # Like any plain function it may block.
        return await asyncio.to_thread(function.call, ctx, converted)

    return call


def _in_turn(name: str, turns: InTurn) -> Call:
    behaviours = [_behaviour(name, each) for each in turns.behaviours]
    # By attempt: one that is delivered again after a crash is no further turn.
    taken: dict[tuple[str, int], int] = {}

    async def call(ctx: TaskContext, request: Any) -> Any:
        turn = taken.setdefault((ctx.task_id, ctx.attempt), len(taken))
        if turn >= len(behaviours):
            raise PermanentError(
                f"{name} was called more than {len(behaviours)} times, which is all "
                "that stands for it",
                code="MOCK_EXHAUSTED",
            )
        return await behaviours[turn](ctx, request)

    return call
