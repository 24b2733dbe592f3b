"""The functions of `starflow worker-check`, with the Python SDK.

starflow worker-check -- starflow worker examples/workers/sdk_worker.py
"""

import asyncio
from typing import Any

import starflow
from starflow.errors import FunctionError

check = starflow.Module("check")


@check.function
async def echo(req: Any) -> Any:
    """Return the argument."""
    return req


@check.function
async def fail(code: str, message: str, retryability: str, details: Any) -> None:
    """Fail as the argument says."""
    kinds = {
        "PERMANENT": starflow.PermanentError,
        "RETRYABLE": starflow.RetryableError,
    }
    kind = kinds.get(retryability, FunctionError)
    raise kind(message, code=code, details=details)


@check.function
async def flaky(ctx: starflow.TaskContext, *, succeed_at: int) -> int:
    """Fail until the attempt `succeed_at`, then return its number."""
    if ctx.attempt < succeed_at:
        raise starflow.RetryableError("not yet", code="NOT_YET", delay=0.1)
    return ctx.attempt


@check.function
async def sleep(*, seconds: float) -> str:
    """Take that long."""
    await asyncio.sleep(seconds)
    return "slept"


@check.function
async def wait() -> starflow.WaitForSignal:
    """Return what a signal brings."""
    return starflow.wait_for_signal()


@check.function
async def large(*, bytes: int) -> str:
    """Return a text of that length."""
    return "x" * bytes


@check.function
async def progress(ctx: starflow.TaskContext) -> Any:
    """Report progress and fail; the next attempt returns what it finds."""
    if ctx.attempt > 1:
        return ctx.last_progress
    ctx.heartbeat({"step": 1})
    await asyncio.sleep(1)
    raise starflow.RetryableError("on to the next", code="NOT_YET", delay=0.1)
