"""What the log of a worker says of its connection, beside a real server that dies."""

import asyncio
import logging
from queue import SimpleQueue

import pytest

import starflow
from starflow._worker.session import Session
from tests.sdk.fake_service import PATIENCE_SECONDS
from tests.sdk.service_process import Service

pytestmark = pytest.mark.system

NEWS = ("the connection is lost", "connected again")


class News(logging.Handler):
    """What is said of the connection, as it is said."""

    def __init__(self):
        super().__init__()
        self._records = SimpleQueue()

    def emit(self, record):
        if record.getMessage().startswith(NEWS):
            self._records.put((record.levelname, record.getMessage()))

    async def next(self):
        return await asyncio.to_thread(self._records.get, timeout=PATIENCE_SECONDS)

    def is_over(self):
        return self._records.empty()


@pytest.fixture
def news():
    logger, handler = logging.getLogger("starflow.worker"), News()
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture(params=["stream", "polls"])
def way(request, monkeypatch):
    """Let workers use streams, or poll although the service has streams."""
    if request.param == "polls":
        monkeypatch.setattr(Session, "_line_to", lambda self, info: self._unary())


@pytest.fixture
def server(tmp_path):
    server = Service(f"sqlite:{tmp_path / 'runs.db'}")
    server.start()
    yield server
    server.kill()


async def worked(client):
    run = await client.start("def main(ctx, input):\n    return m.f(ctx, 1)\n")
    return await run.result(timeout=PATIENCE_SECONDS)


async def test_an_outage_is_told_once_and_its_end_too(server, module, way, news):
    module.function(name="f")(lambda ctx, req: req)
    lost = f"the connection is lost: cannot reach {server.address}: "
    async with (
        starflow.Client(server.address) as client,
        starflow.Worker(client, modules=[module]),
    ):
        for _ in range(2):
            assert await worked(client) == 1
            await asyncio.to_thread(server.kill)
            level, message = await news.next()
            assert (level, message[: len(lost)]) == ("WARNING", lost)
            assert message.endswith("; trying again")
            # That takes a second, in which the worker tries again and again.
            await asyncio.to_thread(server.start)
            assert await news.next() == ("INFO", "connected again")
        assert await worked(client) == 1

    assert news.is_over()


async def test_a_worker_that_ends_has_lost_nothing(server, module, way, news):
    module.function(name="f")(lambda ctx, req: req)
    async with (
        starflow.Client(server.address) as client,
        starflow.Worker(client, modules=[module]),
    ):
        assert await worked(client) == 1

    assert news.is_over()
