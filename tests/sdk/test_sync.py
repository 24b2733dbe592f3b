"""`SyncClient` can what `Client` can."""

import inspect
import subprocess
import sys
import threading

import pytest

import starflow
from starflow.testing import SyncTestServer
from tests.sdk.terminal import subprocess_environment

RETURNS = "def main(ctx, input):\n    return input\n"
WAITS = (
    'load("flow", "flow")\ndef main(ctx, i):\n    return flow.wait_signal(ctx, "go")\n'
)


@pytest.fixture(scope="module")
def server():
    with SyncTestServer() as server:
        yield server


@pytest.fixture
def client(server):
    with starflow.SyncClient(server.address) as client:
        yield client


def methods(cls):
    return {
        name: [
            (p.name, p.kind, p.default)
            for p in inspect.signature(member).parameters.values()
        ]
        for name, member in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("async_class", "sync_class"),
    [(starflow.Client, starflow.SyncClient), (starflow.Run, starflow.SyncRun)],
    ids=["client", "run"],
)
def test_the_methods_are_the_same(async_class, sync_class):
    """Whoever adds one to the async class adds it to the other, in `_sync*.py`."""
    assert methods(sync_class) == methods(async_class)
    assert not any(map(inspect.iscoroutinefunction, vars(sync_class).values()))


def test_a_run_from_its_start_to_its_end(client):
    run = client.start(WAITS, run_id="waits")
    assert run.created
    assert not client.start(WAITS, run_id="waits").created
    with pytest.raises(starflow.RunYielded):
        run.result(timeout=20)
    assert run.signal(name="go", output=[1]).disposition == "RESUMED"
    assert run.result(timeout=20, result_type=list[int]) == [1]
    assert next(event.type for event in run.events()) == "START"
    assert client.get("waits", with_script=True).script == WAITS
    assert repr(run) == "<starflow.SyncRun waits SUCCEEDED>"


def test_runs_are_ended_by_others(client):
    client.start(WAITS, run_id="a")
    client.start(WAITS, run_id="b")
    client.cancel("a", "enough")
    with pytest.raises(starflow.RunCancelled, match="enough"):
        client.result("a", timeout=20)
    assert client.run("b").terminate("now").state == "CANCELLED"
    assert client.unpause("b").paused is False


def test_errors_are_those_of_the_async_client(client):
    with pytest.raises(starflow.ScriptInvalid):
        client.start("def main(:")
    with pytest.raises(starflow.RunNotFound):
        client.run("nobody").get()
    assert client.validate("x =").valid is False
    assert client.server_info().store == "memory"


def test_a_log_is_followed_in_a_loop_and_left_in_its_middle(client):
    client.start(WAITS, run_id="followed")
    following = client.events("followed", follow=True)
    assert next(following).type == "START"
    following.close()

    client.signal("followed", name="go", output=None)
    followed = [event.type for event in client.events("followed", follow=True)]
    assert followed[-1] == "FINISH"


def test_the_environment_says_where_the_service_is(server, monkeypatch):
    monkeypatch.setenv("STARFLOW_ADDRESS", server.address)
    monkeypatch.setenv("STARFLOW_NAMESPACE", "other")
    with starflow.SyncClient() as client:
        assert client.start(RETURNS, run_id="here").info.namespace == "other"
    with (
        starflow.SyncClient(namespace="default") as client,
        pytest.raises(starflow.RunNotFound),
    ):
        client.get("here")
    monkeypatch.delenv("STARFLOW_ADDRESS")
    assert starflow.Client().connection.address == "127.0.0.1:7233"


def test_a_client_that_was_closed_says_so(server):
    client = starflow.SyncClient(server.address)
    client.start(RETURNS)
    client.close()
    client.close()

    with pytest.raises(starflow.StarflowError, match="is closed"):
        client.get("r")


def test_closing_leaves_no_thread(server):
    before = threading.active_count()
    with starflow.SyncClient(server.address) as client:
        client.server_info()
        assert threading.active_count() > before
    names = [thread.name for thread in threading.enumerate()]

    assert names.count("starflow-client") == 0


def test_a_client_is_not_used_in_a_fork(client):
    client.server_info()
    code = f"""
import os, starflow
client = starflow.SyncClient({client.connection.address!r})
client.server_info()
if os.fork() == 0:
    try:
        client.server_info()
    except starflow.StarflowError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
client.close()
"""
    said = play(code)

    assert "fork" in said.stdout


def test_a_program_that_forgets_to_close_ends_all_the_same(client):
    code = f"""
import starflow
client = starflow.SyncClient({client.connection.address!r})
print(client.server_info().store)
"""
    ended = play(code)

    assert (ended.stdout, ended.stderr, ended.returncode) == ("memory\n", "", 0)


def play(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process", "-c", code],
        env=subprocess_environment() | {"GRPC_VERBOSITY": "NONE"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
