"""The TypeScript SDK: its tests, against servers that they start; its worker, checked.

Where there is no Node, nothing of this is tested, and the summary says so.
"""

import filecmp
import os
import shutil
import subprocess
import sys

import pytest

from starflow.workercheck import rows_over
from tests.polyglot.checking import verdicts
from tests.polyglot.toolchains import ROOT, output

pytestmark = pytest.mark.system

PACKAGE = ROOT / "sdk/typescript"
GENERATED = "src/gen"
# The first build of all fetches what it is made of.
SECONDS_MAX = 500
TRANSPORTS = ("stream", "unary")
PRESENT = ("node",) if shutil.which("node") and shutil.which("npm") else ()
with_node = pytest.mark.parametrize("node", PRESENT)


def run(*command):
    """Run a command in the package; return whether it succeeded, and what it said."""
    done = subprocess.run(
        command,
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env={**os.environ, "PYTHON": sys.executable},
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


def install():
    """Fetch what the lock file names, unless that was done before."""
    lock = PACKAGE / "package-lock.json"
    made_from = PACKAGE / "node_modules/.made-from"
    if not made_from.exists() or not filecmp.cmp(lock, made_from, shallow=False):
        installed, said = run("npm", "ci", "--no-audit", "--no-fund")
        assert installed, said
        shutil.copyfile(lock, made_from)


@pytest.fixture(scope="session")
def built():
    """Build the package and its tests; strictly, so that this checks all types."""
    install()
    succeeded, said = run("npm", "run", "pretest")
    assert succeeded, said


@pytest.fixture(scope="session")
def sdk_checks(built, pool):
    # Side by side with all others: a check waits most of its time.
    worker = str(PACKAGE / "build/check-worker.js")
    return {
        transport: pool.submit(
            verdicts,
            ["node", worker, transport],
            *("--patience", "30"),
            *["--streams"] * (transport == "stream"),
        )
        for transport in TRANSPORTS
    }


@with_node
def test_the_tests_of_the_package_pass(node, sdk_checks):
    # A test that hangs is worse than one that fails.
    passed, said = run(node, "--test", "--test-timeout=120000", "build/")

    assert passed, said


@with_node
def test_the_generated_code_is_what_the_protos_generate(node, built, tmp_path):
    output(PACKAGE / "generate.sh", tmp_path)

    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.ts")}
    kept = {
        path.relative_to(PACKAGE / GENERATED)
        for path in (PACKAGE / GENERATED).rglob("*.ts")
    }
    assert made == kept
    stale = [
        str(path)
        for path in made
        if not filecmp.cmp(tmp_path / path, PACKAGE / GENERATED / path, shallow=False)
    ]
    assert stale == [], "run `make proto`"


@with_node
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_worker_passes_the_check(node, transport, sdk_checks):
    found = sdk_checks[transport].result()

    assert [row for row in found.values() if row["result"] == "FAIL"] == []
    streams = transport == "stream"
    assert list(found) == [row.name for row in rows_over(streams=streams)]
