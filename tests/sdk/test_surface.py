"""What `import starflow` offers, and what it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import starflow
from starflow import errors
from tests.sdk.terminal import subprocess_environment

INIT = Path(starflow.__file__)


@pytest.mark.parametrize("name", starflow.__all__)
def test_every_name_is_there(name):
    assert getattr(starflow, name).__name__ == name
    assert name in dir(starflow)


def test_type_checkers_see_the_same_names():
    """Two lists of one thing, because no type checker runs `__getattr__`."""
    (block,) = [n for n in ast.parse(INIT.read_text()).body if isinstance(n, ast.If)]
    seen = {
        alias.asname: (node.module or "").removeprefix("starflow.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert seen == starflow._HOME


def test_every_error_that_users_may_catch_is_offered():
    defined = {
        name
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, BaseException)
    }

    assert defined <= set(starflow.__all__)
    assert all(name in str(errors.__doc__) for name in defined)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = starflow.Nothing


def test_there_is_a_version():
    assert starflow.__version__


@pytest.mark.parametrize(
    ("statement", "unloaded"),
    [
        ("import starflow", ["grpc", "google.protobuf", "asyncio", "starflow._client"]),
        # What the service does: it must not pay for the SDK.
        ("from starflow.v1 import event_pb2", ["grpc", "starflow._client"]),
        ("from starflow import Module", ["grpc", "asyncio"]),
        ("import starflow.cli", ["grpc", "argparse"]),
        (
            "from starflow import Client, SyncClient, Worker",
            # What the server needs, and what few workers do.
            ["greenlet", "jsonschema", "redis", "structlog", "multiprocessing"],
        ),
        (
            "from starflow import Client, SyncClient, Worker",
            ["importlib.metadata", "pydantic", "opentelemetry", "starflow_service"],
        ),
        ("import starflow._pytest_plugin", ["grpc", "google.protobuf"]),
        ("import starflow.testing", ["grpc", "starflow_service"]),
        ("from starflow.testing import TestContext", ["grpc", "starflow_service"]),
    ],
)
def test_an_import_loads_only_what_it_needs(statement, unloaded):
    code = (
        f"import sys; {statement}; print([m for m in {unloaded} if m in sys.modules])"
    )

    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=subprocess_environment(),
    )

    assert said.stdout == "[]\n"


def test_a_client_and_a_worker_load_protobuf_beside_grpc_and_nothing_else():
    code = (
        # What it loads by itself, if it is there, is its own business.
        "import sys, grpc.aio; before = set(sys.modules)\n"
        "from starflow import Client, SyncClient, Worker\n"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(tops - set(sys.stdlib_module_names)))"
    )

    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=subprocess_environment(),
    )

    assert said.stdout == "['google', 'grpc', 'starflow']\n"
