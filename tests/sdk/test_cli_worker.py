"""`starflow worker` and `starflow serve`."""

import json
import os
import subprocess
import sys

import pytest

from starflow import cli
from starflow.cli import _exits, _serve, _worker
from tests.sdk.terminal import subprocess_environment

FUNCTIONS = """
import starflow

a = starflow.Module("a")
b = alias = starflow.Module("b")
empty = starflow.Module("empty")
pair = [a, b]
number = 5

@a.function
def f(): ...

@b.function
async def g(): ...
"""


@pytest.fixture
def functions(tmp_path, monkeypatch) -> str:
    path = tmp_path / "shop_functions.py"
    path.write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "shop_functions", raising=False)
    yield str(path)
    sys.modules.pop("shop_functions", None)


@pytest.mark.parametrize("place", ["FILE", "shop_functions.py", "shop_functions"])
@pytest.mark.parametrize(
    ("attribute", "names"),
    [("", ["a", "b"]), (":a", ["a"]), (":alias", ["b"]), (":pair", ["a", "b"])],
)
def test_a_worker_finds_its_modules(functions, place, attribute, names):
    target = place.replace("FILE", functions) + attribute

    assert [module.name for module in _worker.load(target)] == names


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("none.py", "there is no file none.py"),
        ("none", "there is no module none: give a file, or run this where"),
        ("none.deep", "there is no module none.deep"),
        ("shop_functions:c", "shop_functions has no attribute 'c'"),
        ("shop_functions:empty", "shop_functions:empty holds no functions"),
        ("shop_functions:number", "shop_functions:number holds no functions"),
        ("broken.py", "broken.py line 2: ZeroDivisionError: division by zero"),
        ("lost.py", "lost.py line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("syntax.py", "syntax.py line 1: SyntaxError: "),
    ],
)
def test_a_worker_without_functions_is_one_line_and_code_2(
    functions, terminal, tmp_path, target, said
):
    (tmp_path / "broken.py").write_text("a = 1\na / 0\n")
    (tmp_path / "lost.py").write_text("import nowhere\n")
    (tmp_path / "syntax.py").write_text("def (:\n")

    code, out, err = terminal("worker", target)

    assert (code, out) == (_exits.USAGE, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_a_worker_serves_until_it_is_told_to_stop(service, functions, as_json):
    command = [sys.executable, "-m", "starflow.cli", "worker", functions]
    options = ["--address", service.address, *(["--json"] if as_json else [])]
    with subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        text=True,
        env=subprocess_environment(),
    ) as process:
        result = service.result(service.deliver("a.f"))
        process.terminate()
        _, err = process.communicate()

    assert result.output.json == "null"
    assert process.returncode == 0
    assert "offers a.f, b.g" in err
    if as_json:
        levels = {json.loads(line)["level"] for line in err.splitlines()}
        assert levels == {"INFO"}


PLACED = """
import starflow

placed = starflow.Module("placed")

@placed.function(runs_in="process")
def f(ctx):
    ctx.log.warning("here", cents=5, what={1, 2})
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_functions_in_processes_log_through_the_worker(service, tmp_path, as_json):
    path = tmp_path / "placed_functions.py"
    path.write_text(PLACED)
    options = ["--address", service.address, *(["--json"] if as_json else [])]
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "starflow.cli", "worker", str(path)),
            *("--processes", "1", *options),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=subprocess_environment(),
    ) as process:
        result = service.result(service.deliver("placed.f"))
        process.terminate()
        _, err = process.communicate()

    assert result.output.json == "null", result
    (line,) = [line for line in err.splitlines() if "here" in line]
    if as_json:
        said = json.loads(line)
        assert (said["cents"], said["what"], said["run_id"]) == (5, "{1, 2}", "run")
    else:
        assert line.endswith("attempt=1 cents=5 what={1, 2}")


def test_serve_becomes_the_service(monkeypatch):
    executed = []
    monkeypatch.setattr(_serve, "_NEEDED", ("json",))
    monkeypatch.setattr(os, "execv", lambda path, command: executed.append(command))

    cli.main(["serve", "--store", "memory:", "--json"])

    assert executed == [
        [sys.executable, "-m", "starflow_service", "--store", "memory:", "--json"]
    ]


def test_serve_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(_serve, "_NEEDED", ("json", "no_such_package"))

    code = cli.main(["serve"])

    assert code == _exits.USAGE
    assert capsys.readouterr().err == (
        "starflow: the service is not installed (no_such_package missing): "
        "pip install 'starflow-grpc[service]'\n"
    )
