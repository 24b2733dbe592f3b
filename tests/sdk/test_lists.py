"""Runs are listed and deleted, by programs and by people, with the real service."""

import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import starflow
from starflow.testing import SyncTestServer
from tests.sdk.terminal import Terminal

CONSTANT = "def main(ctx, input):\n    return input\n"
FAILING = "def main(ctx, input):\n    fail('no')\n"
WAITING = (
    "load('flow', 'flow')\ndef main(ctx, input):\n    flow.wait_signal(ctx, 'x')\n"
)


@pytest.fixture
def server() -> Iterator[SyncTestServer]:
    with SyncTestServer() as server:
        yield server


@pytest.fixture
def client(server: SyncTestServer) -> starflow.SyncClient:
    return server.client


@pytest.fixture
def terminal(client, capsys) -> Terminal:
    return Terminal(client.connection.address, capsys)


@pytest.fixture
def shop(server, client):
    """Three runs, the oldest first."""
    client.start(CONSTANT, run_id="a-1", labels={"team": "shop", "n": "1"}, wait=9)
    server.advance(seconds=1)
    client.start(FAILING, run_id="a-2", labels={"team": "shop"}, wait=9)
    server.advance(seconds=1)
    client.start(WAITING, run_id="b-1")
    return client


def ids(runs):
    return [run.id for run in runs]


def test_runs_are_listed(shop):
    assert ids(shop.list()) == ["b-1", "a-2", "a-1"]
    assert ids(shop.list(states=["FAILED", "yielded"])) == ["b-1", "a-2"]
    assert ids(shop.list(labels={"team": "shop", "n": "1"})) == ["a-1"]
    assert ids(shop.list(prefix="a-")) == ["a-2", "a-1"]
    assert ids(shop.list(paused=True)) == []
    assert len(ids(shop.list(paused=False))) == 3
    (newest, *_) = shop.list()
    assert ids(shop.list(script_hash=newest.script_hash)) == ["b-1"]
    assert ids(shop.list(before=newest.create_time)) == ["a-2", "a-1"]
    assert ids(shop.list(since=newest.create_time)) == ["b-1"]


def test_listed_runs_tell_what_they_are(shop):
    *_, oldest = shop.list()

    assert oldest.labels == {"team": "shop", "n": "1"}
    assert (oldest.state, oldest.finished) == ("SUCCEEDED", True)
    assert oldest.finish_time >= oldest.create_time
    assert shop.get("a-1").labels == oldest.labels
    assert json.loads(json.dumps(oldest.to_dict()))["labels"] == dict(oldest.labels)


def test_more_runs_than_a_page_holds_are_listed(client):
    script_hash = client.start(CONSTANT, wait=9).get().script_hash
    for n in range(600):
        client.start(script_hash=script_hash, run_id=f"r{n:03}")

    assert ids(client.list(prefix="r")) == [f"r{n:03}" for n in reversed(range(600))]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"states": ["ASLEEP"]}, "ASLEEP is no state: choose from PENDING"),
        ({"since": datetime(2026, 1, 1)}, "a time needs its zone"),  # noqa: DTZ001
    ],
)
def test_what_cannot_be_asked_is_said(client, wanted, problem):
    with pytest.raises(ValueError, match=problem):
        list(client.list(**wanted))


def test_runs_are_deleted(shop):
    assert shop.delete("a-1")
    with pytest.raises(starflow.RunNotFound):
        shop.delete("a-1")
    assert not shop.delete("a-1", missing_ok=True)
    with pytest.raises(starflow.RunNotFinished, match="cancel or terminate"):
        shop.delete("b-1")
    with pytest.raises(starflow.RunDeleted):
        shop.start(CONSTANT, run_id="a-1")
    assert shop.run("a-2").delete()
    assert ids(shop.list()) == ["b-1"]


# The command line


def test_list_is_a_table(shop, terminal):
    code, out, err = terminal("list")

    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["STATE", "CREATED", "(UTC)", "EVENTS", "RUN"]
    cells = [row.split() for row in rows]
    assert [cell[0] for cell in cells] == ["YIELDED", "FAILED", "SUCCEEDED"]
    assert cells[2][3:] == ["2", "a-1", "n=1", "team=shop"]


def test_list_is_a_line_of_json_each(shop, terminal):
    code, out, _ = terminal(
        "list", "--json", "--state", "failed", "--label", "team=shop"
    )

    assert code == 0
    (run,) = map(json.loads, out.splitlines())
    assert (run["id"], run["labels"]) == ("a-2", {"team": "shop"})


def test_list_says_when_there_is_more(shop, terminal):
    code, out, err = terminal("list", "--limit", "2")

    assert (code, len(out.splitlines())) == (0, 3)
    assert err == "the newest 2; --limit 0 lists all\n"
    assert len(terminal("list", "--limit", "0")[1].splitlines()) == 4
    assert terminal("list", "--limit", "3")[2] == ""


def test_list_takes_times(shop, terminal):
    # The time of the test server stands where it was when it started.
    (newest, *_) = shop.list()
    since = newest.create_time - timedelta(seconds=9)

    def listed(*arguments):
        code, out, err = terminal("list", "--json", *arguments)
        assert (code, err) == (0, "")
        return [json.loads(line)["id"] for line in out.splitlines()]

    assert len(listed("--since", since.isoformat())) == 3
    assert listed("--before", since.astimezone(UTC).isoformat()[:19]) == []
    assert len(listed("--since", "30d")) == 3
    assert listed("--not-paused", "--prefix", "b") == ["b-1"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["list", "--state", "asleep"], "invalid choice: 'asleep'"),
        (["list", "--label", "team"], "'team' is not NAME=VALUE"),
        (["list", "--since", "soon"], "is no time, such as"),
        (["list", "--limit", "-1"], "'-1' is no number of runs"),
        (["list", "--paused", "--not-paused"], "not allowed with"),
        (["delete"], "required: RUN"),
    ],
)
def test_what_is_typed_wrong_is_one_line(terminal, arguments, problem):
    code, out, err = terminal(*arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert problem in err


def test_runs_are_started_with_labels_and_deleted(client, terminal, tmp_path):
    script = tmp_path / "c.star"
    script.write_text(CONSTANT)
    for n in ("1", "2"):
        arguments = ["--run-id", f"r{n}", "--label", "team=shop", "--label", f"n={n}"]
        assert terminal("run", str(script), *arguments, "--wait")[0] == 0
    assert client.get("r1").labels == {"team": "shop", "n": "1"}

    assert terminal("delete", "r1") == (0, "r1 is deleted\n", "")
    code, _, err = terminal("delete", "r1")
    assert (code, "there is no run r1" in err) == (3, True)
    assert terminal("delete", "--missing-ok", "r1") == (0, "r1 was not there\n", "")
    code, out, _ = terminal("delete", "--json", "--missing-ok", "r1", "r2")
    assert [json.loads(line)["deleted"] for line in out.splitlines()] == [False, True]
    assert terminal("list", "--json")[1] == ""


def test_runs_to_delete_come_from_standard_input(shop, terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a-1\n\na-2\n"))

    assert terminal("delete", "-")[0] == 0
    assert ids(shop.list()) == ["b-1"]


def test_a_run_that_goes_on_is_not_deleted(shop, terminal):
    code, out, err = terminal("delete", "b-1")

    assert (code, out) == (5, "")
    assert "cancel or terminate it first" in err
