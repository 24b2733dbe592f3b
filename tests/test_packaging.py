"""What people get when they install the wheel and nothing else."""

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from starflow.testing import SyncTestServer

ROOT = Path(__file__).parents[1]
# Functions of all kinds, and a client: it prints what their run came to.
SHOP = """
import asyncio, sys, starflow

shop = starflow.Module("shop")

@shop.function
async def sell(number: int) -> str:
    return f"sold {number}"

@shop.function(runs_in="process")
def pack(number: int) -> str:
    return f"sold {number}"

SCRIPT = '''
def main(ctx, input):
    return [shop.sell(ctx, 1), shop.pack(ctx, 2)]
'''

async def main():
    async with starflow.Client(sys.argv[1]) as client:
        async with starflow.Worker(client, modules=[shop], processes=1):
            run = await client.start(SCRIPT)
            print(await run.result(timeout=60))

if __name__ == "__main__":
    asyncio.run(main())
"""

pytestmark = pytest.mark.system


def run(*command: str | Path, cwd: Path) -> str:
    ended = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    run(*pip, "--wheel-dir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the bare wheel."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    python = place / "bin/python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=place)
    return python


def test_the_wheel_holds_three_packages_and_nothing_beside_them(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert tops == {
        "starflow",
        "starflow_backends",
        "starflow_service",
        f"starflow_grpc-{version}.dist-info",
    }


def test_the_wheel_carries_its_types_and_its_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}

    assert {"py.typed", "v1/workflow_service_pb2.pyi", "licenses/LICENSE"} <= names


def test_the_sdk_works_without_the_service(python, tmp_path):
    script = (
        "import starflow\n"
        "from starflow.v1 import workflow_service_pb2_grpc as rpc\n"
        "print(starflow.Client.__name__, rpc.WorkflowServiceStub.__name__)\n"
    )

    said = run(python, "-W", "error", "-c", script, cwd=tmp_path)

    assert said == "Client WorkflowServiceStub\n"


def test_nothing_of_the_server_comes_along(python, tmp_path):
    listed = run(python, "-m", "pip", "list", "--format=freeze", cwd=tmp_path)

    installed = {line.partition("==")[0].partition(" ")[0] for line in listed.split()}
    assert installed - {"pip", "setuptools", "@"} == {
        "googleapis-common-protos",
        "grpcio",
        "grpcio-status",
        "protobuf",
        "starflow-grpc",
        "typing_extensions",
    }


def test_the_sdk_alone_plays_a_workflow(python, tmp_path):
    """A worker and a client of the bare wheel, with a server of this environment."""
    (tmp_path / "shop.py").write_text(SHOP)
    with SyncTestServer() as server:
        said = run(python, "-W", "error", "-I", "shop.py", server.address, cwd=tmp_path)

    assert said == "['sold 1', 'sold 2']\n"


def test_the_test_server_says_how_to_install_it(python, tmp_path):
    script = (
        "try:\n"
        "    from starflow.testing import SyncTestServer\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )

    said = run(python, "-W", "error", "-c", script, cwd=tmp_path)

    assert "pip install 'starflow-grpc[service]'" in said


def test_importing_the_sdk_is_light(python, tmp_path):
    """A program that only defines functions does not pay for gRPC."""
    script = "import sys, starflow; print('grpc' in sys.modules)"

    assert run(python, "-c", script, cwd=tmp_path) == "False\n"


@pytest.mark.parametrize("name", ["service", "sdk", "backends", "tests", "scripts"])
def test_our_directories_are_not_packages_of_other_people(python, tmp_path, name):
    script = f"import importlib.util as u; print(u.find_spec({name!r}))"

    assert run(python, "-c", script, cwd=tmp_path) == "None\n"


def test_the_command_line_explains_itself(python, tmp_path):
    said = run(python.with_name("starflow"), "--help", cwd=tmp_path)

    for verb in ("serve", "run", "get", "events", "signal", "validate", "worker"):
        assert verb in said


def test_the_service_says_how_to_install_it(python, tmp_path):
    ended = subprocess.run(
        [python.with_name("starflow"), "serve"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode != 0
    assert "starflow-grpc[service]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_versions_agree():
    import starflow_service

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert starflow_service.__version__ == project["version"]
