"""The blocking test server, the fixtures for pytest, and pytest-grpc's beside them."""

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

import starflow
from starflow.testing import Stuck, SyncTestServer
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from tests.sdk.terminal import subprocess_environment

NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)
CALL = "def main(ctx, input):\n    return shop.buy(ctx, input)\n"
SLEEPY = """
load("time", "time")

def main(ctx, input):
    time.sleep(ctx, 24 * time.hour)
    return input
"""


def test_all_that_the_async_server_can_is_there_blocking():
    with SyncTestServer(functions={"shop.buy": [4, 5]}, now=NEW_YEAR) as server:
        run = server.client.start(SLEEPY, input=3)
        server.advance(hours=12)
        server.advance_to(NEW_YEAR + timedelta(days=1))
        server.settle()
        assert run.result(timeout=20) == 3
        server.assert_replays(run)
        server.crash_and_recover(run, at_version=1)
        assert server.finish(run, result_type=int) == 3
        assert [event.type for event in server.events(run)] == [
            "START",
            "SLEEP",
            "FINISH",
        ]
        assert server.run(CALL) == 4
        server.mock("shop.buy", 6)
        assert server.run(CALL, input=7, run_id="r", result_type=int) == 6
        assert [call.input for call in server.calls("shop.buy")] == [None, 7]
        assert server.now == NEW_YEAR + timedelta(days=2)
        server.crash_and_recover()
        assert server.client.get("r").state == "SUCCEEDED"
        with pytest.raises(Stuck, match="no call waits"):
            server.signal("r", 1)


def test_a_plain_function_may_use_the_blocking_client():
    """It has a thread of its own, so that the server goes on."""
    module = starflow.Module("shop")

    @module.function
    def buy(req):
        return server.client.get("other").state

    with SyncTestServer([module]) as server:
        server.run("def main(ctx, i):\n    return 1\n", run_id="other")
        assert server.run(CALL) == "SUCCEEDED"


def test_an_async_function_is_kept_from_waiting_for_itself():
    async def buy(req):
        server.client.get("other")

    with (
        SyncTestServer(functions={"shop.buy": buy}) as server,
        pytest.raises(starflow.RunFailed, match="would wait for itself"),
    ):
        server.run(CALL)


def test_threads_share_a_client():
    with (
        SyncTestServer(functions={"shop.buy": lambda req: req}) as server,
        starflow.SyncClient(server.address) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        runs = list(pool.map(lambda n: client.start(CALL, input=n), range(64)))
        results = pool.map(lambda run: run.result(timeout=20), runs)

        assert list(results) == list(range(64))


def test_nothing_is_left_running():
    before = set(threading.enumerate())
    with SyncTestServer(functions={"shop.buy": 1}) as server:
        server.run(CALL)

    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in left if "starflow" in name}


# pytest


@pytest.mark.starflow(functions={"shop.buy": 1}, now=NEW_YEAR)
async def test_the_async_fixture_is_made_as_the_marker_says(starflow_server):
    assert await starflow_server.run(CALL) == 1
    assert starflow_server.now == NEW_YEAR


@pytest.mark.starflow(functions={"shop.buy": 1})
@pytest.mark.starflow(now=NEW_YEAR)
def test_the_sync_fixture_takes_all_markers_together(starflow_sync_server):
    assert starflow_sync_server.run(CALL) == 1
    assert starflow_sync_server.now == NEW_YEAR


FOREIGN_TESTS = """
    import pytest

    CALL = "def main(ctx, input):\\n    return shop.buy(ctx, input)\\n"

    pytestmark = pytest.mark.starflow(functions={"shop.buy": 1})

    def test_of_a_function(starflow_sync_server):
        assert starflow_sync_server.run(CALL) == 1

    class TestMore:
        pytestmark = pytest.mark.starflow(functions={"shop.buy": 2})

        @pytest.mark.asyncio
        async def test_of_a_class(self, starflow_server):
            assert await starflow_server.run(CALL) == 2

    @pytest.fixture
    def starflow_options():
        return {"functions": {"shop.buy": 3}}

    def test_fails(starflow_sync_server):
        assert starflow_sync_server.run(CALL) == 1
"""
LIGHT = """
    import sys

    def test_light():
        assert not {"grpc", "google.protobuf", "starflow.testing"} & set(sys.modules)
"""


def pytest_of_somebody(tmp_path, text, *options):
    place = tmp_path / "test_theirs.py"
    place.write_text(textwrap.dedent(text))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, str(place)],
        cwd=tmp_path,
        env=subprocess_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_project_of_somebody_else_has_the_fixtures(tmp_path):
    ended = pytest_of_somebody(
        tmp_path, FOREIGN_TESTS.partition("    @pytest.fixture\n")[0]
    )

    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout
    assert "warning" not in ended.stdout


def test_a_project_may_have_options_of_its_own(tmp_path):
    ended = pytest_of_somebody(tmp_path, FOREIGN_TESTS)

    assert "assert 3 == 1" in ended.stdout
    assert "assert 3 == 2" in ended.stdout


def test_whoever_does_not_use_the_plugin_does_not_load_it(tmp_path):
    # pytest-grpc, which is another's, does load gRPC.
    ended = pytest_of_somebody(tmp_path, LIGHT, "-p", "no:grpc")

    assert "1 passed" in ended.stdout, ended.stdout


# pytest-grpc: its stubs, to our server


@pytest.fixture(scope="module")
def test_server():
    with SyncTestServer(functions={"shop.buy": lambda req: req}) as server:
        yield server


@pytest.fixture(scope="module")
def grpc_addr(test_server):
    return test_server.address


@pytest.fixture(scope="module")
def grpc_server():
    """It serves already."""


@pytest.fixture(scope="module")
def grpc_stub_cls():
    return WorkflowServiceStub


def test_stubs_of_pytest_grpc_reach_the_server(grpc_stub):
    request = pb.RunRequest(namespace="default", run_id="r", script=CALL)
    request.input.json = "[1]"
    request.wait.FromSeconds(20)

    assert grpc_stub.Run(request).run.output.json == "[1]"
