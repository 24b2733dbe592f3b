"""The server as a process: what it prints, writes, and ends with."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from starflow_service.app import main

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
ROOMS = [ROOT / "service", ROOT / "backends", ROOT / "sdk/python"]
# No test waits this long when all is well.
LONG_S = 30
READY = "listening on 127.0.0.1:"


def run_to_end(*arguments, place=ROOT, path=ROOMS):
    return subprocess.run(
        [sys.executable, "-m", "starflow_service", *arguments],
        cwd=place,
        env=environment(path),
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )


def environment(path=ROOMS):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("STARFLOW_")}
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, path))}


@pytest.fixture
def launch(tmp_path):
    """Starts servers in a directory of their own, which do not outlive the test."""
    launched = []

    def launch_server(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "starflow_service", *arguments],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        launched.append(process)
        return process

    yield launch_server
    for process in launched:
        process.kill()
        process.communicate()


ANY_PORT = ("--listen", "127.0.0.1:0")


def test_without_options_it_keeps_runs_in_the_working_directory(launch, tmp_path):
    process = launch(*ANY_PORT, "--port-file", "port")

    announced = process.stdout.readline()
    port = (tmp_path / "port").read_text()
    process.terminate()
    _, said = process.communicate(timeout=LONG_S)

    assert announced == f"{READY}{port}"
    assert process.returncode == 0
    assert "Traceback" not in said
    assert (tmp_path / "starflow.db").exists()
    assert not (tmp_path / "port").exists()


def test_it_logs_json_where_nobody_watches(launch):
    process = launch(*ANY_PORT, "--store", "memory:")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LONG_S)

    assert process.returncode == 0
    assert {line[0] for line in said.splitlines()} == {"{"}
    assert '"app.serving"' in said
    assert '"app.stopped"' in said


def test_a_second_signal_ends_it_at_once(launch):
    process = launch(*ANY_PORT, "--store", "memory:", "--stop-grace", "1h")
    port = int(process.stdout.readline().removeprefix(READY))
    with hung_call(port):
        process.terminate()
        while '"app.stopping"' not in process.stderr.readline():
            pass
        process.terminate()
        process.communicate(timeout=LONG_S)

    assert process.returncode == 130


@contextlib.contextmanager
def hung_call(port):
    """A call that a stopping server waits for: health, watched for ever."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answers = stub.Watch(health_pb2.HealthCheckRequest())
        next(answers)
        yield


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--lisen", "x"], "there is no option --lisen: did you mean --listen?"),
        (["--listen", "0.0.0.0:1"], "--insecure-listen-anywhere"),
        (["--store", "postgres://x"], "--store: 'postgres://x' names no store"),
    ],
)
def test_a_bad_command_line_is_one_line_and_exit_code_2(arguments, complaint):
    ended = run_to_end(*arguments)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert complaint in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line_and_exit_code_1(launch, tmp_path):
    process = launch(*ANY_PORT, "--store", "memory:")
    address = process.stdout.readline().removeprefix("listening on ").strip()

    ended = run_to_end("--listen", address, "--store", "memory:", place=tmp_path)

    assert ended.returncode == 1
    assert ended.stderr == (
        f"starflow_service: cannot listen on {address}: another process listens there;"
        " stop it, or choose another port\n"
    )


def test_a_directory_that_is_not_there_is_one_line_and_exit_code_1(tmp_path):
    store = f"sqlite:{tmp_path}/nothing/x.db"

    ended = run_to_end(*ANY_PORT, "--store", store, place=tmp_path)

    assert ended.returncode == 1
    assert "nothing" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_file_that_cannot_be_written_is_said_to_be_so(tmp_path):
    path = f"{tmp_path}/nothing/port"

    ended = run_to_end(*ANY_PORT, "--store", "memory:", "--port-file", path)

    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last == f"starflow_service: --port-file {path}: No such file or directory"
    assert "Traceback" not in ended.stderr


def test_help_is_printed_and_no_error(capsys):
    assert main(["--help"], {}) == 0

    assert "--listen" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["structlog", "greenlet", "grpc_health"])
def test_a_missing_extra_is_said_with_the_way_to_get_it(tmp_path, missing):
    # A sitecustomize of our own, first on the path, lets the import fail.
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.modules[{missing!r}] = None\n"
    )
    ended = run_to_end(path=[tmp_path, *ROOMS])

    assert ended.returncode == 1
    assert ended.stderr == (
        f"starflow_service needs {missing}, which is not installed:"
        " pip install 'starflow-grpc[service]'\n"
    )
