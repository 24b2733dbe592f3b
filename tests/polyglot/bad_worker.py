"""A worker on plain stubs that does all it should, or all but what it is told to.

    python tests/polyglot/bad_worker.py [BUG ...]

Every bug is the absence of something that a worker has to do; `test_check.py` holds
which rows of `starflow worker-check` it has to fail.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from starflow.v1 import failure_pb2, payload_pb2
from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub

BUGS = (
    "asks-for-others",
    "busy-polls",
    "clips-large",
    "deaf",
    "dies-on-outage",
    "dies-on-restart",
    "drops-details",
    "exits-at-once",
    "exits-with-one",
    "fails-unregistered",
    "floats",
    "forgets-polls",
    "forgets-reports",
    "hangs-on-term",
    "lossy-unicode",
    "never-registers",
    "never-yields",
    "no-heartbeats",
    "no-hold",
    "no-poll-ids",
    "no-progress",
    "one-poll-id",
    "one-task",
    "only-one-poll",
    "reports-twice",
    "same-id",
    "silent-about-rejection",
    "stays",
    "storms",
    "thinks-all-permanent",
    "thinks-all-retryable",
    "unset-null",
)
SLOTS = 8
RETRYABILITIES = {
    "PERMANENT": failure_pb2.RETRYABILITY_PERMANENT,
    "RETRYABLE": failure_pb2.RETRYABILITY_RETRYABLE,
}


class FunctionFailed(Exception):
    """What a function reports instead of a result."""

    def __init__(self, failure: failure_pb2.Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def failed(code, message, retryability="", details=None, delay_seconds=0.0):
    failure = failure_pb2.Failure(code=code, message=message)
    failure.retryability = RETRYABILITIES.get(retryability, 0)
    if delay_seconds:
        failure.retry_delay.FromMilliseconds(int(delay_seconds * 1000))
    if details is not None:
        failure.details.json = json.dumps(details)
    return FunctionFailed(failure)


class Worker:
    def __init__(self, address: str, bugs: set[str]) -> None:
        self.bugs = bugs
        self.id = "the-worker" if "same-id" in bugs else f"bad/{uuid.uuid4()}"
        self.stub = WorkerServiceStub(grpc.insecure_channel(address, OPTIONS))
        self.slots = 1 if "one-task" in bugs else SLOTS
        self.free = threading.Semaphore(self.slots)
        self.stopping = threading.Event()
        self.beat_soon = threading.Event()
        # Tasks held, by token, with what says that one is to stop, and its progress.
        self.held: dict[str, threading.Event] = {}
        self.progress: dict[str, str] = {}
        self.interval = 1.0

    # Talking

    def call(self, method: str, request: Any, *, until_answered: bool = True) -> Any:
        """Call until it is answered; None if it never will be."""
        pause = 0.05
        while True:
            try:
                # A wait longer than this never happens: no server waits for ever.
                return getattr(self.stub, method)(request, timeout=60)
            except grpc.RpcError as error:
                if "dies-on-outage" in self.bugs:
                    os._exit(3)
                if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                    if "dies-on-restart" in self.bugs:
                        os._exit(4)
                    self.register()
                elif not until_answered or self.stopping.is_set():
                    return None
            time.sleep(0.001 if "storms" in self.bugs else pause)
            pause = min(pause * 2, 0.5)

    def register(self) -> None:
        request = pb.RegisterFunctionRequest()
        request.worker.worker_id = self.id
        names = [
            n
            for n in FUNCTIONS
            if "fails-unregistered" not in self.bugs or n != "check.fail"
        ]
        for name in names:
            request.functions.add(name=name)
        answer = self.call("RegisterFunction", request)
        self.interval = answer.heartbeat_interval.ToMilliseconds() / 1000

    def poll(self, slots: int, functions: list[str]) -> Any:
        request = pb.PollRequest(worker_id=self.id, max_tasks=slots)
        request.functions.extend(functions)
        if "no-poll-ids" not in self.bugs:
            request.poll_id = "p" if "one-poll-id" in self.bugs else uuid.uuid4().hex
        if "busy-polls" not in self.bugs:
            # Short, because nothing else delays the end after SIGTERM.
            request.wait.seconds = 2
        again = "forgets-polls" not in self.bugs
        return self.call("Poll", request, until_answered=again)

    def report(self, result: pb.TaskResult) -> None:
        request = pb.CompleteTasksRequest(worker_id=self.id, results=[result])
        again = "forgets-reports" not in self.bugs
        answer = self.call("CompleteTasks", request, until_answered=again)
        if "reports-twice" in self.bugs:
            self.call("CompleteTasks", request)
        if answer is None:
            return
        [completion] = answer.completions
        rejected = completion.status == pb.COMPLETION_STATUS_REJECTED
        if rejected and "silent-about-rejection" not in self.bugs:
            reason = completion.rejection.reason
            failure = failed(reason, completion.rejection.message, "PERMANENT").failure
            self.report(pb.TaskResult(task_token=result.task_token, failure=failure))

    # The two loops

    def run(self) -> None:
        if "never-registers" in self.bugs:
            time.sleep(3600)
        self.register()
        if "no-heartbeats" not in self.bugs:
            threading.Thread(target=self.beat, daemon=True).start()
        functions = (
            ["check.nobody_has_this", *FUNCTIONS]
            if "asks-for-others" in self.bugs
            else []
        )
        with ThreadPoolExecutor(SLOTS) as pool:
            while not self.stopping.is_set():
                self.take(pool, functions)
        if "exits-with-one" in self.bugs:
            sys.exit(1)

    def take(self, pool: ThreadPoolExecutor, functions: list[str]) -> None:
        if not self.free.acquire(timeout=0.1):
            return
        slots = 1
        while self.free.acquire(blocking=False):
            slots += 1
        answer = self.poll(slots, functions)
        tasks = answer.tasks if answer is not None else ()
        if answer is not None and answer.drained:
            self.stopping.set() if "stays" not in self.bugs else time.sleep(3600)
        for task in tasks:
            self.held[task.task_token] = threading.Event()
            pool.submit(self.execute, task)
        self.free.release(slots - len(tasks)) if slots > len(tasks) else None
        if "only-one-poll" in self.bugs and tasks:
            time.sleep(3600)

    def beat(self) -> None:
        while True:
            request = pb.HeartbeatRequest(worker_id=self.id)
            for token in list(self.held):
                beat = request.tasks.add(task_token=token)
                if token in self.progress:
                    beat.progress.json = self.progress[token]
            if "no-hold" not in self.bugs:
                request.wait.FromMilliseconds(int(self.interval * 1000))
            with contextlib.suppress(grpc.RpcError):
                answer = self.stub.Heartbeat(request, timeout=5)
                for directive in answer.directives:
                    self.abandon(directive.task_token)
                if "no-hold" in self.bugs:
                    time.sleep(self.interval)
                continue
            time.sleep(0.1)

    def abandon(self, token: str) -> None:
        stop = self.held.get(token)
        if stop is not None and "deaf" not in self.bugs:
            del self.held[token]
            stop.set()

    # Executing

    def execute(self, task: pb.Task) -> None:
        stop = self.held[task.task_token]
        result = pb.TaskResult(task_token=task.task_token)
        try:
            FUNCTIONS[task.function](self, task, result, stop)
        except FunctionFailed as error:
            result.failure.CopyFrom(error.failure)
            if "thinks-all-permanent" in self.bugs:
                result.failure.retryability = failure_pb2.RETRYABILITY_PERMANENT
            if "thinks-all-retryable" in self.bugs:
                result.failure.retryability = failure_pb2.RETRYABILITY_RETRYABLE
        if not stop.is_set():
            self.report(result)
        self.held.pop(task.task_token, None)
        self.progress.pop(task.task_token, None)
        self.free.release()


OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def echo(worker, task, result, stop):
    text = task.input.json
    if "floats" in worker.bugs:
        text = json.dumps(json.loads(text, parse_int=float))
    if "lossy-unicode" in worker.bugs:
        text = json.dumps(json.loads(text)).replace("\\ud83d\\ude00", "?")
    if "unset-null" not in worker.bugs or json.loads(text) is not None:
        result.output.CopyFrom(payload_pb2.Payload(json=text))


def fail(worker, task, result, stop):
    request = json.loads(task.input.json)
    if "drops-details" in worker.bugs:
        request["details"] = None
    raise failed(**request)


def flaky(worker, task, result, stop):
    if task.attempt < json.loads(task.input.json)["succeed_at"]:
        raise failed("NOT_YET", "not yet", "RETRYABLE", delay_seconds=0.1)
    result.output.json = str(task.attempt)


def sleep(worker, task, result, stop):
    stop.wait(json.loads(task.input.json)["seconds"])
    result.output.json = '"slept"'


def wait(worker, task, result, stop):
    if "never-yields" in worker.bugs:
        result.output.json = '{"answer": 42}'
    else:
        result.wait_for_signal.SetInParent()


def large(worker, task, result, stop):
    size = json.loads(task.input.json)["bytes"]
    if "clips-large" in worker.bugs:
        size = min(size, 1000)
    result.output.json = json.dumps("x" * size)


def progress(worker, task, result, stop):
    if task.attempt > 1:
        result.output.json = task.last_progress.json or "null"
        return
    if "no-progress" not in worker.bugs:
        worker.progress[task.task_token] = '{"step": 1}'
    stop.wait(1)
    raise failed("NOT_YET", "on to the next", "RETRYABLE", delay_seconds=0.1)


FUNCTIONS = {
    "check.echo": echo,
    "check.fail": fail,
    "check.flaky": flaky,
    "check.sleep": sleep,
    "check.wait": wait,
    "check.large": large,
    "check.progress": progress,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bugs", nargs="*", choices=[*BUGS, []])
    worker = Worker(os.environ["STARFLOW_ADDRESS"], set(parser.parse_args().bugs))

    def stop(*_: object) -> None:
        if "exits-at-once" in worker.bugs:
            os._exit(0)
        if "hangs-on-term" not in worker.bugs:
            worker.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    worker.run()
    os._exit(0)


if __name__ == "__main__":
    main()
