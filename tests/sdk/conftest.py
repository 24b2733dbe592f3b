"""A fake service for each test, and what a worker of it needs."""

from collections.abc import Iterator

import pytest

import starflow
from tests.sdk.fake_service import FakeService
from tests.sdk.serving import Gate
from tests.sdk.terminal import Terminal


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[FakeService]:
    service = FakeService()
    service.has_streams = getattr(request, "param", "polls") == "stream"
    service.start()
    yield service
    service.stop()


@pytest.fixture
def module() -> starflow.Module:
    return starflow.Module("m")


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def terminal(service: FakeService, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(service.address, capsys)
