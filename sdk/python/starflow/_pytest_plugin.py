"""Fixtures for pytest, which finds this module by its entry point.

Every pytest in an environment with Starflow loads it, so it must not import anything
that the test at hand has not asked for.
"""

import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from starflow.testing import SyncTestServer, TestServer

Decorator = Callable[[Callable[..., Any]], Any]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "starflow(modules=..., functions=..., now=..., ...): what `TestServer` is to "
        "be made with for the fixtures starflow_server and starflow_sync_server",
    )


@pytest.fixture
def starflow_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """
    What the servers of the fixtures are made with: keyword arguments of `TestServer`.

    They come from the markers `starflow` of the test, its class and its module, the
    nearest first. A project may have a fixture of this name in its place.
    """
    options: dict[str, Any] = {}
    for marker in request.node.iter_markers("starflow"):
        options = {**marker.kwargs, **options}
    return options


@pytest.fixture
def starflow_sync_server(
    starflow_options: dict[str, Any],
) -> "Iterator[SyncTestServer]":
    """A `SyncTestServer` that runs for the time of the test."""
    from starflow.testing import SyncTestServer

    with SyncTestServer(**starflow_options) as server:
        yield server


def _async_fixture() -> Decorator:
    """Return what makes async fixtures: pytest-asyncio if it is there, or anyio."""
    if importlib.util.find_spec("pytest_asyncio") is None:
        return cast(Decorator, pytest.fixture)
    import pytest_asyncio

    return cast(Decorator, pytest_asyncio.fixture)


@_async_fixture()
async def starflow_server(
    starflow_options: dict[str, Any],
) -> "AsyncIterator[TestServer]":
    """A `TestServer` on the event loop of the test, for the time of the test."""
    from starflow.testing import TestServer

    async with TestServer(**starflow_options) as server:
        yield server
