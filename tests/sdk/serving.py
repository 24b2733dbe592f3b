"""A worker beside a fake service, and functions that wait for their test."""

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import Any

import pytest

import starflow
from starflow.v1 import worker_service_pb2 as pb
from tests.sdk.fake_service import (
    PATIENCE_SECONDS,
    FakeService,
)


class Gate:
    """Lets functions wait until the test has seen enough, on the loop or beside it."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        # Not the loop's executor: waiting functions would soon have all its threads.
        self._opened_on_loop = asyncio.Event()
        self.entered = threading.Semaphore(0)

    def open(self) -> None:
        """Let all pass; called on the loop, if there is one."""
        self._opened.set()
        self._opened_on_loop.set()

    def pass_blocking(self) -> None:
        self.entered.release()
        assert self._opened.wait(PATIENCE_SECONDS)

    async def pass_async(self) -> None:
        self.entered.release()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._opened_on_loop.wait()

    async def wait_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=PATIENCE_SECONDS)


@asynccontextmanager
async def serving(service: FakeService, module: starflow.Module, **options: Any):
    """A worker that runs in the background, registered."""
    async with (
        starflow.Client(service.address) as client,
        starflow.Worker(client, modules=[module], **options) as worker,
    ):
        yield worker


async def executed(
    service: FakeService, module: starflow.Module, input: str = "null", **fields: Any
) -> pb.TaskResult:
    """The result of one call of `m.f`."""
    async with serving(service, module):
        token = service.deliver("m.f", input, **fields)
        return await asyncio.to_thread(service.result, token)


def on_every_kind(test):
    return pytest.mark.parametrize("kind", ["async", "plain"])(test)


def both_ways(test):
    """Play *test* with a service that has streams, and with one that has none."""
    ways = ["polls", "stream"]
    return pytest.mark.parametrize("service", ways, indirect=True)(test)


def add(module: starflow.Module, kind: str, body: Any, **options: Any) -> None:
    """Offer *body*, a plain function of (ctx, req), as `m.f` of either kind."""
    if kind == "plain":
        module.function(name="f", **options)(body)
        return

    async def f(ctx, req):
        return body(ctx, req)

    f.__annotations__ = body.__annotations__
    module.function(name="f", **options)(f)
