"""The Go SDK: its own tests, against servers that they start; and its worker, checked.

Where there is no Go, nothing of this is tested, and the summary says so.
"""

import filecmp
import os
import shutil
import subprocess
import sys

import pytest

from starflow.workercheck import rows_over
from tests.polyglot.checking import verdicts
from tests.polyglot.toolchains import CACHE, ROOT, output

pytestmark = pytest.mark.system

MODULE = ROOT / "sdk/go"
# The first build of all compiles gRPC.
SECONDS_MAX = 500
TRANSPORTS = ("stream", "unary")
PRESENT = ("go",) if shutil.which("go") else ()
with_go = pytest.mark.parametrize("go", PRESENT)


def run(*command):
    """Run a command in the module; return whether it succeeded, and what it said."""
    done = subprocess.run(
        command,
        cwd=MODULE,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env={**os.environ, "STARFLOW_PYTHON": sys.executable},
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


def has_race_detector():
    return output("go", "env", "CGO_ENABLED") == "1" and shutil.which("gcc")


def check(transport):
    # A program for each: they are built at the same time.
    worker = CACHE / f"workers/go-sdk-{transport}"
    worker.parent.mkdir(parents=True, exist_ok=True)
    built, said = run("go", "build", "-o", str(worker), "./examples/checkworker")
    assert built, said
    options = ["--streams"] * (transport == "stream")
    return verdicts([str(worker), transport], "--patience", "30", *options)


@pytest.fixture(scope="session")
def sdk_checks(pool):
    # Side by side with all others: a check waits most of its time.
    return {transport: pool.submit(check, transport) for transport in TRANSPORTS}


@with_go
def test_the_code_is_formatted_and_vetted(go):
    assert run("gofmt", "-l", ".") == (True, "")
    assert run(go, "vet", "./...") == (True, "")


@with_go
def test_the_tests_of_the_module_pass(go, sdk_checks):
    options = ("-race",) if has_race_detector() else ()
    # `count`, because Go knows nothing of the server that its results depend on;
    # `parallel`, because most tests wait for one.
    passed, said = run(go, "test", *options, "-count=1", "-parallel=8", "./...")

    assert passed, said


@with_go
def test_the_generated_code_is_what_the_protos_generate(go, tmp_path):
    made = output(MODULE / "generate.sh", tmp_path)
    assert made == ""

    names = {path.name for path in (tmp_path / "starflowv1").iterdir()}
    kept = {path.name for path in (MODULE / "starflowv1").iterdir()}
    places = (MODULE / "starflowv1", tmp_path / "starflowv1")
    _, different, missing = filecmp.cmpfiles(*places, names | kept, shallow=False)
    assert (different, missing) == ([], []), "run sdk/go/generate.sh"


@with_go
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_worker_passes_the_check(go, transport, sdk_checks):
    found = sdk_checks[transport].result()

    assert [row for row in found.values() if row["result"] == "FAIL"] == []
    streams = transport == "stream"
    assert list(found) == [row.name for row in rows_over(streams=streams)]


def test_go_is_there_where_all_toolchains_are_required():
    assert PRESENT or os.environ.get("TOOLCHAINS") != "required"
