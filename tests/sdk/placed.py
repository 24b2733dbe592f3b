"""Functions that tests have executed in processes of their own."""

import dataclasses
import logging
import multiprocessing
import os
import signal
import time
from pathlib import Path

import starflow

placed = starflow.Module("placed")


@dataclasses.dataclass
class Point:
    x: int


@placed.function(runs_in="process")
def where(ctx: starflow.TaskContext, req: Point) -> dict:
    return {
        "pid": os.getpid(),
        "x": req.x,
        "parent": multiprocessing.parent_process().pid,
        "run_id": ctx.run_id,
    }


@placed.function(runs_in="process")
def fails(code: str) -> None:
    raise starflow.PermanentError("no", code=code, details={"a": 1})


@placed.function(runs_in="process", retry=starflow.Retry(max_attempts=2, initial=0.01))
def dies(ctx: starflow.TaskContext) -> int:
    if ctx.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return ctx.attempt


@placed.function(runs_in="process")
def speaks(ctx: starflow.TaskContext, text: str) -> None:
    ctx.log.warning("says %s", text)
    logging.getLogger("other").warning("too")


@placed.function(runs_in="process", retry=starflow.Retry(max_attempts=2, initial=0.01))
def progresses(ctx: starflow.TaskContext) -> object:
    if ctx.attempt == 1:
        ctx.progress({"page": 7})
        ctx.heartbeat()
        raise starflow.RetryableError("again")
    return ctx.last_progress


@placed.function(runs_in="process")
def listens(ctx: starflow.TaskContext, path: str) -> None:
    """Ends when it is cancelled, and leaves a note."""
    Path(path).write_text("began")
    while not ctx.cancelled:
        time.sleep(0.01)
    Path(path).write_text("ended")


@placed.function(runs_in="process")
def is_deaf(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


@placed.function(runs_in="process")
def sized(size: int) -> str:
    return "x" * size
