"""Stores are checked; runs move between stores, with everything that they wait for."""

import asyncio
import contextlib
import gzip
import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from starflow_backends import (
    Append,
    MemoryStore,
    Phase,
    open_store,
)
from starflow_service.engine.events import Failure, Finish, Retryability, Start
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.runtime.listing import RunFilter
from starflow_service.store_tools import cli
from starflow_service.store_tools.audit import Audit
from tests.runtime.harness import NS, shop, until, working
from tests.sdk.terminal import subprocess_environment
from tests.support.redis_server import RedisServer
from tests.support.redis_stores import LoneRedisStore

CONSTANT = "def main(ctx, input):\n    return input\n"
SLEEPING = (
    "load('time', 'time')\n"
    "def main(ctx, input):\n"
    "    time.sleep(ctx, 2 * time.second)\n"
    "    return 'slept'\n"
)
CALLING = "def main(ctx, input):\n    return [test.echo(ctx, 1), test.echo(ctx, 2)]\n"
YIELDING = (
    "load('flow', 'flow')\n"
    "load('time', 'time')\n"
    "def main(ctx, input):\n"
    "    return flow.wait_signal(ctx, 'go', timeout=time.hour)\n"
)
LONG = (
    "load('rand', 'rand')\n"
    "def main(ctx, input):\n"
    "    for i in range(2500): rand.int(ctx, 10)\n"
    "    return 'long'\n"
)


@pytest.fixture
def redis():
    with tempfile.TemporaryDirectory(prefix="sf-redis-") as place:
        server = RedisServer(Path(place))
        server.start()
        yield server
        server.end()


def path_of(url: str) -> Path:
    return Path(url.partition(":")[2])


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("filled") / "filled.db"
    asyncio.run(fill(f"sqlite:{path}"))
    return path


@pytest.fixture
def filled(original, tmp_path):
    """A store with a run in every state, as a server left it."""
    path = tmp_path / "filled.db"
    shutil.copy(original, path)
    return f"sqlite:{path}"


async def fill(url):
    store = open_store(url)
    await store.open()
    async with shop(store, recovery_grace_s=0.0) as here:
        await here.start(CONSTANT, {"n": 1}, run_id="done")
        await here.start(SLEEPING, run_id="sleeping")
        await here.start(CALLING, run_id="calling")
        task = await here.take()
        await here.report(task, "1")
        await here.start(CALLING, run_id="retried")
        await here.register("test.echo", retry=None)
        retried = [
            each for each in await here.poll(tasks=9) if each.run_id == "retried"
        ]
        failure = Failure("BUSY", "no", retryability=Retryability.RETRYABLE)
        await here.report(retried[0], failure)
        await here.start(YIELDING, run_id="yielded")
        await here.start(LONG, run_id="long")
        await here.finished("long")
        await until(lambda: _waits(here, "yielded"))
    await store.close()


async def _waits(here, run_id):
    return bool((await here.view(run_id)).waits)


def starflow_store(*arguments):
    """Run the command; on a thread, because it has an event loop of its own."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        ThreadPoolExecutor(1) as thread,
    ):
        code = thread.submit(cli.main, list(map(str, arguments))).result()
    out.flush()
    return code, out.buffer.getvalue().decode(), err.getvalue()


async def contents(store):
    """All that a store holds of its runs."""
    found = {}
    for key in await store.runs_in(list(Phase)):
        found[key] = (await store.load(key), await store.read(key))
    return found


def test_a_sound_store_is_well(filled):
    """As a person types it."""
    ended = subprocess.run(
        [sys.executable, "-m", "starflow.cli", "store", "check", "--store", filled],
        capture_output=True,
        text=True,
        env=subprocess_environment(),
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("6 runs, ")
    assert ended.stdout.endswith("scripts: all well\n")


async def test_live_runs_move_from_sqlite_to_redis_and_finish_there(
    filled, redis, tmp_path
):
    # One partition, because this runtime is a server that has the store to itself.
    url = f"{redis.url}?partitions=1"
    file = tmp_path / "runs.gz"
    assert starflow_store("export", file, "--store", filled)[0] == 0

    code, out, err = starflow_store("import", file, "--store", url)
    assert (code, out.startswith("6 runs imported")) == (0, True), (out, err)

    async with opened(open_store(filled)) as old, opened(LoneRedisStore(url)) as new:
        assert await contents(new) == await contents(old)
    assert starflow_store("check", "--store", url)[0] == 0
    async with opened(LoneRedisStore(url)) as store, shop(store) as here:
        assert (await here.view("done")).result == '{"n":1}'
        await here.runtime.signal_by_name(NS, "yielded", "go", "", '"yes"', False)
        assert (await here.finished("yielded")).result == '"yes"'
        async with working(here, {"test.echo": lambda value: value}):
            for run_id in ("calling", "retried"):
                assert (await here.finished(run_id)).result == "[1,2]"
        assert (await here.finished("sleeping")).result == '"slept"'
        listed, _ = await here.runtime.listing.page(NS, RunFilter(), 100, "")
        assert {run.run_id for run in listed} == {
            "done", "sleeping", "calling", "retried", "yielded", "long",
        }  # fmt: skip


class opened:
    """An open store."""

    def __init__(self, store):
        self._store = store

    async def __aenter__(self):
        await self._store.open()
        return self._store

    async def __aexit__(self, *_):
        await self._store.close()


async def test_an_import_may_be_repeated(filled, tmp_path):
    file, target = tmp_path / "runs", f"sqlite:{tmp_path / 'target.db'}"
    assert starflow_store("export", file, "--store", filled)[0] == 0
    assert starflow_store("import", file, "--store", target)[0] == 0
    async with opened(open_store(target)) as store:
        before = await contents(store)

    code, out, _ = starflow_store("import", file, "--store", target)

    assert (code, out) == (
        0,
        "0 runs imported (0 events), 6 were there, 0 left alone\n",
    )
    async with opened(open_store(target)) as store:
        assert await contents(store) == before


async def test_a_run_that_went_on_since_is_left_as_it_is(filled, tmp_path):
    file, target = tmp_path / "runs", f"sqlite:{tmp_path / 'target.db'}"
    assert starflow_store("export", file, "--store", filled)[0] == 0
    assert starflow_store("import", file, "--store", target)[0] == 0
    async with opened(open_store(target)) as store, shop(store) as here:
        await here.runtime.terminate_run(NS, "yielded", "")

    code, out, _ = starflow_store("import", file, "--store", target)

    assert (code, "6 were there" in out) == (0, True)
    async with opened(open_store(target)) as store:
        assert (await store.load(f"{NS}/yielded")).phase is Phase.FINISHED


async def test_another_run_of_the_same_name_is_a_conflict(filled, tmp_path):
    file, target = tmp_path / "runs", f"sqlite:{tmp_path / 'target.db'}"
    assert starflow_store("export", file, "--store", filled)[0] == 0
    async with opened(open_store(target)) as store, shop(store) as here:
        await here.start(CONSTANT, {"n": 2}, run_id="done")
        await here.finished("done")
        await here.start(CONSTANT, run_id="long")
        await here.finished("long")
        await here.runtime.delete_run(NS, "long")

    code, out, _ = starflow_store("import", file, "--store", target)

    assert code == 1
    assert "default/done was left alone: its log is there with other events" in out
    assert "default/long was left alone: it was deleted here" in out
    assert "4 runs imported" in out
    async with opened(open_store(target)) as store, shop(store) as here:
        assert (await here.view("done")).result == '{"n":2}'


@pytest.mark.parametrize("missing", [1, 501, 1400])
async def test_an_import_that_was_broken_off_goes_on(filled, tmp_path, missing):
    """In the middle of a long run: no server touches the part that is there."""
    file, target = tmp_path / "runs", f"sqlite:{tmp_path / 'target.db'}"
    arguments = ("--run", "long", "--store", filled)
    assert starflow_store("export", file, *arguments)[0] == 0
    lines = file.read_bytes().splitlines(keepends=True)
    part = tmp_path / "part"
    part.write_bytes(b"".join(lines[: -missing - 1]))

    code, _, err = starflow_store("import", part, "--store", target)
    assert (code, "is missing" in err) == (1, True)
    async with opened(open_store(target)) as store, shop(store) as here:
        assert (await here.view("long")).pause_message.endswith("import it again")
        parked = await store.load(f"{NS}/long")
        assert parked.phase is Phase.PAUSED

    assert starflow_store("import", file, "--store", target)[0] == 0
    async with opened(open_store(filled)) as old, opened(open_store(target)) as new:
        key = f"{NS}/long"
        assert await new.read(key) == await old.read(key)
        assert await new.load(key) == await old.load(key)


@pytest.mark.parametrize("where", [0, 5, 40, -2])
async def test_a_damaged_file_is_noticed(filled, tmp_path, where):
    file, target = tmp_path / "runs", f"sqlite:{tmp_path / 'target.db'}"
    assert starflow_store("export", file, "--store", filled)[0] == 0
    lines = file.read_bytes().splitlines(keepends=True)
    lines[where] = lines[where].replace(b":", b";", 1)
    file.write_bytes(b"".join(lines))

    code, _, err = starflow_store("import", file, "--store", target)

    assert code == 1
    assert "its checksum does not match" in err
    assert f"line {where % len(lines) + 1}:" in err


async def test_lines_that_were_taken_out_are_noticed(filled, tmp_path):
    file, target = tmp_path / "runs", f"sqlite:{tmp_path / 'target.db'}"
    assert starflow_store("export", file, "--store", filled)[0] == 0
    lines = file.read_bytes().splitlines(keepends=True)
    for wrong, said in (
        (lines[:-1], "cut off"),
        (lines[1:], "no export"),
        ([*lines[:-5], *lines[-4:]], "missing"),
        ([], "no export"),
    ):
        file.write_bytes(b"".join(wrong))
        code, _, err = starflow_store("import", file, "--store", target)
        assert (code, said in err) == (1, True), err


async def test_a_part_is_exported(filled, tmp_path):
    def runs(*arguments):
        file = tmp_path / "part.gz"
        file.unlink(missing_ok=True)
        assert starflow_store("export", file, "--store", filled, *arguments)[0] == 0
        lines = gzip.decompress(file.read_bytes()).splitlines()
        found = [json.loads(line[9:]) for line in lines]
        return {line["run"].partition("/")[2] for line in found if "run" in line}

    assert runs("--finished") == {"done", "long"}
    assert runs("--open") == {"sleeping", "calling", "retried", "yielded"}
    assert runs("--run", "done", "--run", "calling") == {"done", "calling"}
    assert runs("--namespace", "other") == set()


async def test_an_export_overwrites_nothing_and_holds_no_secret(filled, tmp_path):
    file = tmp_path / "runs"
    file.write_text("mine")
    code, _, err = starflow_store("export", file, "--store", filled)
    assert (code, "exists" in err, file.read_text()) == (1, True, "mine")

    code, out, _ = starflow_store("export", "-", "--store", filled)
    assert code == 0
    assert "token_secret" not in out
    assert '"end":[6,' in out


# What a check finds


def damage(url, *statements):
    connection = sqlite3.connect(path_of(url))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


RID = "(SELECT rid FROM run WHERE key = 'default/{}')"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            f"UPDATE log SET events = x'00' WHERE rid = {RID.format('done')}",
            "run default/done, event 1: its checksum does not match",
        ),
        (
            f"DELETE FROM log WHERE rid = {RID.format('calling')} AND first > 2",
            "run default/calling, event 3: it is missing",
        ),
        (
            f"DELETE FROM timer WHERE rid = {RID.format('sleeping')}",
            "run default/sleeping: its timers are not those that its log asks for",
        ),
        (
            f"UPDATE timer SET due = due + 1 WHERE rid = {RID.format('sleeping')}",
            "run default/sleeping: the checksum of a timer does not match",
        ),
        (
            f"DELETE FROM entry WHERE rid = {RID.format('yielded')}",
            "run default/yielded: lists show it otherwise than its log says",
        ),
        (
            "DELETE FROM found WHERE key = 'default/yielded'",
            "run default/yielded: lists do not find it",
        ),
        (
            "INSERT INTO found SELECT term, 5, 'default/nobody' FROM found LIMIT 1",
            "run default/nobody: lists find it where they must not",
        ),
        (
            "DELETE FROM record WHERE space = 'script'",
            "is gone",
        ),
    ],
)
async def test_damage_is_found(filled, statement, said):
    damage(filled, statement)

    code, out, _ = starflow_store("check", "--store", filled)
    assert (code, said in out) == (1, True), out

    code, out, _ = starflow_store("check", "--json", "--store", filled)
    document = json.loads(out)
    assert code == 1
    assert document["runs"] == 6
    assert document["problem_count"] == len(document["problems"]) >= 1


async def test_logs_that_no_server_writes_are_found():
    store, encode = MemoryStore(), ProtoCodec().encode
    start = encode(Start(1, 5, "hash", "null", 1))
    finish = encode(Finish(2, 6, "null"))
    logs = {
        "ns/no-event": [b"\xff"],
        "ns/another-place": [start, encode(Finish(3, 6, "null"))],
        "ns/no-start": [encode(Finish(1, 5, "null"))],
        "ns/after-the-end": [start, finish, encode(Finish(3, 7, "null"))],
        "ns/wrong-phase": [start, finish],
    }
    for run, events in logs.items():
        phase = Phase.DORMANT
        await store.append(Append(run, 0, "id", events, phase))

    report = await Audit(store).run()

    said = {problem.run: problem.words for problem in report.problems}
    assert said.keys() >= logs.keys()
    assert "event 3" in said["ns/another-place"]
    assert "says otherwise" in {p.words[-14:] for p in report.problems}


async def test_an_index_that_was_thrown_away_is_made_again(filled):
    damage(filled, "UPDATE timer SET due = due + 1")
    assert starflow_store("check", "--store", filled)[0] == 1

    assert starflow_store("reindex", "--store", filled)[0] == 0

    async with opened(open_store(filled)) as store, shop(store) as here:
        assert (await here.view("sleeping")).waits
        assert (await here.finished("sleeping")).result == '"slept"'
    assert starflow_store("check", "--store", filled)[0] == 0


@pytest.mark.parametrize("command", [["check"], ["export", "-"], ["reindex"]])
def test_a_store_that_is_not_there_is_not_made(tmp_path, command):
    path = tmp_path / "missing.db"

    for url in (f"sqlite:{path}", str(path)):
        code, out, err = starflow_store(*command, "--store", url)
        assert (code, out) == (2, "")
        assert "there is no such file" in err
    assert not path.exists()


async def test_a_store_in_use_is_left_alone(filled):
    async with opened(open_store(filled)):
        code, out, err = starflow_store("check", "--store", filled)

    assert (code, out) == (2, "")
    assert "is in use by process" in err


def test_another_export_form_is_refused(tmp_path, capsys):
    file = tmp_path / "runs"
    file.write_bytes(b"a text\n")

    code = cli.main(["import", str(file), "--store", f"sqlite:{tmp_path / 'x.db'}"])

    assert code == 1
    assert "line 1: its checksum does not match" in capsys.readouterr().err
