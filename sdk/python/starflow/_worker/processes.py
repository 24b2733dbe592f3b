"""Executes functions in processes of their own.

A child is started by `spawn` when it is needed, and kept. It imports the module of a
function by name, as pickle would, and executes one task at a time:

    parent --> child    ("task", module, function, Task, most bytes of the result)
                        ("cancel", reason)
    child --> parent    ("progress", JSON text), ("beat",), ("log", record)
                        ("result", TaskResult)

In the child one thread reads and the main thread executes, so that a cancelled function
can ask `ctx.cancelled`. One that does not ask is killed with its process: that is what
processes are for.
"""

import contextlib
import importlib
import logging
import logging.handlers
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from starflow import _convert, _failure, _function, _model, _tracing
from starflow._context import TaskContext
from starflow._function import Function
from starflow._json import JsonText
from starflow._worker import outcome
from starflow.errors import ConversionError
from starflow.v1 import worker_service_pb2 as pb

# How long a cancelled function may take to end by itself.
_KILL_AFTER_SECONDS = 2.0
_spawn = multiprocessing.get_context("spawn")


class Processes:
    """Up to *processes_max* children; more tasks than these wait for one."""

    def __init__(self, processes_max: int) -> None:
        self._free = threading.Semaphore(processes_max)
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        # By task token, what executes it.
        self._busy: dict[str, _Child] = {}
        self._is_closed = False

    def execute(
        self, function: Function, context: TaskContext, task: pb.Task, bytes_max: int
    ) -> pb.TaskResult:
        """Have *task* executed; return its result. This blocks."""
        with self._free:
            if context.cancelled:
                return outcome.failed(task.task_token, InterruptedError("cancelled"))
            child = self._take(task.task_token)
            try:
                result = child.execute(function, context, task, bytes_max)
            finally:
                self._give_back(task.task_token, child)
        if result is None:
            died = f"the process that executed it ended with {child.exit_words}"
            failure = _failure.to_pb(_failure.Failure("PROCESS_DIED", died))
            return pb.TaskResult(task_token=task.task_token, failure=failure)
        return result

    def interrupt(self, token: str, reason: str) -> None:
        """Let the function of a task stop; kill it if it does not."""
        with self._lock:
            child = self._busy.get(token)
        if child is not None:
            child.interrupt(token, reason)

    def close(self) -> None:
        """End the idle children now, and the busy ones when they are done."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()

    def _take(self, token: str) -> "_Child":
        with self._lock:
            child = self._idle.pop() if self._idle else _Child()
            self._busy[token] = child
            return child

    def _give_back(self, token: str, child: "_Child") -> None:
        with self._lock:
            del self._busy[token]
            is_kept = child.is_usable and not self._is_closed
            if is_kept:
                self._idle.append(child)
        if not is_kept:
            child.close()


class _Child:
    """One process, as its parent sees it."""

    def __init__(self) -> None:
        self._here, there = _spawn.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        self._process: BaseProcess = _spawn.Process(
            target=_serve, args=(there, level), name="starflow-function", daemon=True
        )
        self._process.start()
        # Only the child may hold its end, or its death would go unnoticed.
        there.close()
        self._lock = threading.Lock()
        self._token = ""
        self.is_usable = True

    @property
    def exit_words(self) -> str:
        """How the process ended, for people."""
        self._process.join()
        code = self._process.exitcode or 0
        return f"the signal {-code}" if code < 0 else f"the exit code {code}"

    def execute(
        self, function: Function, context: TaskContext, task: pb.Task, bytes_max: int
    ) -> pb.TaskResult | None:
        """Return the result, or None if the process has died."""
        target = function.target
        order = (
            "task",
            target.__module__,
            target.__qualname__,
            task.SerializeToString(),
            bytes_max,
        )
        with self._lock:
            self._token = task.task_token
        try:
            self._send(order)
            return self._listen(context)
        except (EOFError, OSError):
            self.is_usable = False
            return None
        finally:
            with self._lock:
                self._token = ""

    def interrupt(self, token: str, reason: str) -> None:
        """Tell the child to stop executing the task, and see to it that it does."""
        with contextlib.suppress(OSError):
            self._send(("cancel", reason))
        timer = threading.Timer(_KILL_AFTER_SECONDS, self._kill, [token])
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Let the process end."""
        self._here.close()
        self._process.join(_KILL_AFTER_SECONDS)
        self._process.kill()

    def _kill(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._process.kill()

    def _send(self, message: tuple[Any, ...]) -> None:
        with self._lock:
            self._here.send(message)

    def _listen(self, context: TaskContext) -> pb.TaskResult:
        while True:
            kind, *rest = self._here.recv()
            if kind == "result":
                return pb.TaskResult.FromString(rest[0])
            if kind == "progress":
                context.progress(JsonText(rest[0]))
            elif kind == "beat":
                context.heartbeat()
            elif kind == "log":
                logging.getLogger(rest[0].name).handle(rest[0])


# In the child


def _serve(pipe: Connection, log_level: int) -> None:
    """Execute what comes through *pipe* until the parent closes it, or has died."""
    # Ctrl-C reaches all processes of a terminal; it is the parent that decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    voice = _Voice(pipe)
    # Not by basicConfig, whose formatter would write the level into the message.
    logging.root.addHandler(_LogHandler(voice))
    logging.root.setLevel(log_level)
    orders: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    reading = threading.Thread(target=_read, args=(pipe, orders, voice), daemon=True)
    reading.start()
    while True:
        module, qualname, data, bytes_max = orders.get()
        task = pb.Task.FromString(data)
        voice.context = context = _ChildContext(task, voice)
        result = _execute(module, qualname, context, task, bytes_max)
        voice.context = None
        voice.say("result", result.SerializeToString())


def _read(
    pipe: Connection, orders: "queue.SimpleQueue[tuple[Any, ...]]", voice: "_Voice"
) -> None:
    while True:
        try:
            kind, *rest = pipe.recv()
        except (EOFError, OSError):
            # Nobody wants the result any more.
            os._exit(0)
        if kind == "task":
            orders.put(tuple(rest))
        elif voice.context is not None:
            voice.context.cancel(rest[0])


def _execute(
    module: str, qualname: str, context: TaskContext, task: pb.Task, bytes_max: int
) -> pb.TaskResult:
    token = task.task_token
    try:
        decode, call = _function.compiled(_target(module, qualname))
        request = _convert.convert(decode, _model.payload_value(task.input), "req")
    except ConversionError as error:
        return outcome.permanent(token, "BAD_INPUT", str(error))
    except Exception as error:
        return outcome.failed(token, error)
    try:
        with _tracing.attempt(task):
            return outcome.returned(token, call(context, request), bytes_max)
    except BaseException as error:
        return outcome.failed(token, error)


def _target(module: str, qualname: str) -> Callable[..., Any]:
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    target: Callable[..., Any] = found
    return target


class _Voice:
    """The child's end of the pipe, for all of its threads."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        # Of the task under way.
        self.context: TaskContext | None = None

    def say(self, *message: Any) -> None:
        """Send *message* to the parent, if there still is one."""
        with self._lock, contextlib.suppress(OSError):
            self._pipe.send(message)


class _ChildContext(TaskContext):
    """A context whose news go to the parent."""

    __slots__ = ("_voice",)

    def __init__(self, task: pb.Task, voice: _Voice) -> None:
        super().__init__(task, lambda: voice.say("beat"))
        self._voice = voice

    def progress(self, value: Any) -> None:
        self._voice.say("progress", _convert.encode(value))


class _LogHandler(logging.handlers.QueueHandler):
    """Hands log records to the parent, whose handlers write them."""

    def __init__(self, voice: _Voice) -> None:
        super().__init__(queue.SimpleQueue())
        self._voice = voice

    def enqueue(self, record: logging.LogRecord) -> None:
        self._voice.say("log", record)
