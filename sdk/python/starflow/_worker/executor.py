"""Executes the functions of tasks, each where its kind belongs."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starflow import _convert, _model, _tracing
from starflow._function import Function
from starflow._worker import outcome
from starflow._worker.ledger import HeldTask, Ledger
from starflow._worker.pool import Pool
from starflow._worker.turnstile import Turnstile
from starflow.errors import ConversionError
from starflow.v1 import worker_service_pb2 as pb

if TYPE_CHECKING:
    from starflow._worker.processes import Processes

_logger = logging.getLogger("starflow.worker")
Report = Callable[[HeldTask, pb.TaskResult], None]


class Executor:
    """Turns tasks into results: async functions on *loop*, plain ones in threads."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        loop: asyncio.AbstractEventLoop,
        ledger: Ledger,
        report: Report,
        beat_soon: Callable[[], None],
        *,
        slots: int,
        processes: int,
    ) -> None:
        self.output_bytes_max = 1024 * 1024
        self._report = report
        self._beat_soon = beat_soon
        self._functions = functions
        self._loop = loop
        self._ledger = ledger
        self._pool: Pool[HeldTask] = Pool(self._execute, slots)
        self._processes = _processes(functions.values(), processes)
        self._turnstile = Turnstile()

    def start(self, tasks: Sequence[pb.Task]) -> None:
        """Execute *tasks*, just delivered."""
        held = [self._hold(task) for task in tasks]
        self._ledger.admit(held)
        self._dispatch(self._turnstile.enter(held))

    def _dispatch(self, held: Sequence[HeldTask]) -> None:
        on_loop = [each for each in held if each.function.is_async]
        in_pool = [each for each in held if not each.function.is_async]
        if on_loop:
            self._on_loop(self._start_on_loop, on_loop)
        if in_pool:
            self._pool.put(in_pool)

    def release(self, tasks: Sequence[pb.Task], reason: str) -> None:
        """Give *tasks*, just delivered, back unexecuted."""
        held = [self._hold(task) for task in tasks]
        self._ledger.admit(held)
        for each in held:
            self.give_back(each, reason)
            self._ledger.leave(each)

    def give_back(self, held: HeldTask, reason: str) -> None:
        """Decide that a task goes back, unless its outcome is decided already."""
        if self._ledger.settle(held):
            self._report(held, outcome.released(held.token, reason))

    def give_back_waiting(self, reason: str) -> None:
        """Give back the tasks that wait until others of their function have ended."""
        for held in self._turnstile.clear():
            self.give_back(held, reason)
            self._ledger.leave(held)

    def interrupt(self, held: HeldTask, reason: str) -> None:
        """Let a function stop: an async one is cancelled, a plain one may ask."""
        held.context.cancel(reason)
        if held.function.is_async:
            self._on_loop(_cancel, held)
        elif held.function.in_process and self._processes is not None:
            self._processes.interrupt(held.token, reason)

    def close(self) -> None:
        """Let the threads and processes of plain functions end."""
        self._pool.close()
        if self._processes is not None:
            self._processes.close()

    def _hold(self, task: pb.Task) -> HeldTask:
        function = self._functions.get(task.function) or _unknown(task.function)
        return HeldTask(task, function, self._beat_soon)

    def _on_loop(self, callback: Callable[..., None], argument: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:
            # The loop is closed, which ends the worker; the leases end by themselves.
            _logger.exception("the event loop of the worker is gone")

    def _start_on_loop(self, batch: Sequence[HeldTask]) -> None:
        for held in batch:
            held.asyncio_task = _begin(self._execute_async(held), self._loop)

    async def _execute_async(self, held: HeldTask) -> None:
        try:
            if not held.settled:
                self._finish(held, await self._result_async(held))
        finally:
            self._leave(held)

    def _execute(self, held: HeldTask) -> None:
        try:
            if not held.settled:
                self._finish(held, self._result(held))
        finally:
            self._leave(held)

    def _leave(self, held: HeldTask) -> None:
        if (freed := self._turnstile.leave(held)) is not None:
            self._dispatch([freed])
        # Last, because the worker may end as soon as no function runs.
        self._ledger.leave(held)

    async def _result_async(self, held: HeldTask) -> pb.TaskResult:
        token = held.token
        try:
            request = self._request(held)
            if _tracing.is_used():
                with _tracing.attempt(held.task):
                    value = await held.function.call(held.context, request)
            else:
                value = await held.function.call(held.context, request)
            return outcome.returned(token, value, self.output_bytes_max)
        except _BadInput as error:
            return outcome.permanent(token, "BAD_INPUT", str(error))
        except BaseException as error:
            # Nothing may escape, SystemExit neither: one function would end all others.
            return outcome.failed(token, error)

    def _result(self, held: HeldTask) -> pb.TaskResult:
        token = held.token
        try:
            if self._processes is not None and held.function.in_process:
                return self._processes.execute(
                    held.function, held.context, held.task, self.output_bytes_max
                )
            request = self._request(held)
            if _tracing.is_used():
                with _tracing.attempt(held.task):
                    value = held.function.call(held.context, request)
            else:
                value = held.function.call(held.context, request)
            return outcome.returned(token, value, self.output_bytes_max)
        except _BadInput as error:
            return outcome.permanent(token, "BAD_INPUT", str(error))
        except BaseException as error:
            return outcome.failed(token, error)

    def _request(self, held: HeldTask) -> Any:
        try:
            value = _model.payload_value(held.task.input)
            return _convert.convert(held.function.decode, value, "req")
        except ConversionError as error:
            raise _BadInput(str(error)) from None

    def _finish(self, held: HeldTask, result: pb.TaskResult) -> None:
        if self._ledger.settle(held, has_ended=True):
            self._report(held, result)


if sys.version_info >= (3, 12):

    def _begin(
        coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop
    ) -> asyncio.Task[None]:
        # A function that waits for nothing ends here, without a turn of the loop.
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
else:

    def _begin(
        coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop
    ) -> asyncio.Task[None]:
        return loop.create_task(coroutine)


def _processes(functions: Iterable[Function], processes_max: int) -> "Processes | None":
    if not any(function.in_process for function in functions):
        return None
    # Not at the top: most workers have no use for it, and it takes its time to load.
    from starflow._worker.processes import Processes

    return Processes(processes_max)


class _BadInput(Exception):
    """The request is not what the function takes."""


def _cancel(held: HeldTask) -> None:
    if held.asyncio_task is not None:
        held.asyncio_task.cancel()


def _unknown(name: str) -> Function:
    def call(_: Any, __: Any) -> None:
        raise LookupError(f"this worker does not offer {name}")

    return Function(name, call, is_async=False, decode=None, call=call)
