"""`starflow worker-check` finds what is wrong with a worker, and nothing else."""

import sys
from pathlib import Path

import pytest

from starflow.cli import _serve, main
from starflow.cli._exits import FAILED, USAGE
from starflow.workercheck import ROWS
from tests.polyglot.bad_worker import BUGS
from tests.polyglot.checking import verdicts
from tests.polyglot.toolchains import ROOT

BAD_WORKER = Path(__file__).with_name("bad_worker.py")
SDK_WORKER = ROOT / "examples/workers/sdk_worker.py"
# Rows that pass whatever the bug, unless it is said here that they do not.
WITNESSES = {"executes": "PASS", "yields": "PASS"}


def failing(*rows):
    return dict.fromkeys(rows, "FAIL")


# What `--only` the rows of a bug, and the witnesses, have to come to.
FINDINGS = {
    "asks-for-others": failing("own"),
    "busy-polls": failing("idles"),
    "clips-large": failing("oversize"),
    "deaf": failing("abandons"),
    "dies-on-outage": failing("backoff", "lost-report", "lost-answer", "lost-poll"),
    "dies-on-restart": failing("restart"),
    "drops-details": failing("failures"),
    "exits-at-once": failing("drain"),
    "exits-with-one": failing("drain"),
    "fails-unregistered": failing("registers", "permanent"),
    "floats": failing("executes", "empty", "integers", "floats"),
    "forgets-polls": failing("lost-poll"),
    "forgets-reports": failing("lost-report", "lost-answer"),
    "hangs-on-term": failing("drain"),
    "lossy-unicode": failing("unicode"),
    "never-registers": failing("registers"),
    "never-yields": failing("yields"),
    "no-heartbeats": failing("heartbeats", "progress", "abandons"),
    "no-hold": {"held": "n.a."},
    "no-poll-ids": {"lost-poll": "n.a."},
    "no-progress": failing("progress"),
    "one-poll-id": failing("poll-ids"),
    "one-task": failing("concurrent"),
    "only-one-poll": failing("sequence"),
    "reports-twice": failing("once"),
    "same-id": failing("identity"),
    "silent-about-rejection": failing("oversize"),
    "stays": failing("drained"),
    "storms": failing("backoff"),
    "thinks-all-permanent": failing("undecided", "retryable"),
    "thinks-all-retryable": failing("permanent"),
    "unset-null": failing("empty"),
}


def expected(bug):
    # Nothing else can be said of a worker that does not even start.
    witnesses = {} if bug == "never-registers" else WITNESSES
    return {**witnesses, **FINDINGS[bug]}


def play(bug):
    only = [part for row in expected(bug) for part in ("--only", row)]
    command = [sys.executable, str(BAD_WORKER), bug]
    found = verdicts(command, "--patience", "8", *only)
    return {name: row["result"] for name, row in found.items()}


# Workers that have to pass: the bad one without a bug, and that of the SDK.
SOUND = {
    "plain": [sys.executable, str(BAD_WORKER)],
    "sdk": [sys.executable, "-m", "starflow.cli", "worker", str(SDK_WORKER)],
}


@pytest.fixture(scope="session")
def plays(pool, checks):
    # Behind those of the examples, which take longest.
    sound = {
        name: pool.submit(verdicts, command, "--patience", "30")
        for name, command in SOUND.items()
    }
    sound["streams"] = pool.submit(
        verdicts, SOUND["sdk"], "--streams", "--patience", "30"
    )
    return sound | {bug: pool.submit(play, bug) for bug in FINDINGS}


@pytest.mark.system
@pytest.mark.parametrize("bug", FINDINGS)
def test_a_bug_fails_its_rows_and_no_others(bug, plays):
    assert plays[bug].result() == expected(bug)


def test_every_bug_is_looked_for():
    assert set(FINDINGS) == set(BUGS)


@pytest.mark.system
@pytest.mark.parametrize("name", [*SOUND, "streams"])
def test_a_worker_without_bugs_passes(name, plays):
    found = plays[name].result()

    assert [row for row in found.values() if row["result"] != "PASS"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--", "no-such-program"], "there is no program 'no-such-program'"),
        (["--only", "speed", "--", "true"], "there is no row 'speed'; there are: reg"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments, message, capsys):
    try:
        code = main(["worker-check", *arguments])
    except SystemExit as exited:
        code = exited.code

    assert code == USAGE
    assert message in capsys.readouterr().err


def test_without_the_service_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(_serve, "_NEEDED", ("no_such_package",))

    assert main(["worker-check", "--", "true"]) == USAGE
    assert "pip install 'starflow-grpc[service]'" in capsys.readouterr().err


def test_a_program_that_is_no_worker_fails_at_once(capsys):
    assert main(["worker-check", "--", "true"]) == FAILED

    said = capsys.readouterr().out
    assert "it could not be started: it ended with exit code 0" in said
    assert "1 of 1 rows failed" in said


def test_every_row_is_written_down():
    text = (ROOT / "docs/worker-check.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| `")]

    for row in ROWS:
        assert f"| `{row.name}` | {row.profile} | {row.asks} | {row.fix} |" in lines
