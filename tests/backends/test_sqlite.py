"""What is only SQLite: the file, its owner, its groups, its trouble."""

import asyncio
import contextlib
import os
import resource
import sqlite3
import stat

import pytest

from starflow_backends import (
    CorruptError,
    DueTimer,
    LayoutError,
    LockedError,
    Phase,
    SqliteStore,
    UnavailableError,
    sqlite_commit,
    sqlite_group,
    sqlite_index,
    sqlite_schema,
)
from starflow_backends.testing import appended, assert_run, outcomes_of


@contextlib.contextmanager
def raw(path):
    """The database as another program sees it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def traced(store):
    """The statements that the store's writing connection executes from now on."""
    statements = []
    store._committer._connection.set_trace_callback(statements.append)
    return statements


async def reopened(path):
    """Open the database and close it again."""
    store = SqliteStore(path)
    await store.open()
    await store.close()


# The owner.


async def test_a_second_owner_is_refused(store, path):
    with pytest.raises(LockedError) as caught:
        await SqliteStore(path).open()

    assert str(path) in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    await store.append(appended("ns/r", 0, b"one"))


async def test_the_owner_is_named_and_not_those_before(path):
    path.with_name(f"{path.name}.lock").write_text("12345678901234567890\n")
    store = SqliteStore(path)
    await store.open()

    with pytest.raises(LockedError, match=rf"by process {os.getpid()} \("):
        await SqliteStore(path).open()
    await store.close()


async def test_a_file_has_one_owner_under_all_its_names(store, path):
    link = path.with_name("link.db")
    link.symlink_to(path)

    with pytest.raises(LockedError):
        await SqliteStore(link).open()


async def test_the_next_owner_may_come_when_one_has_gone(path):
    await reopened(path)
    await reopened(path)


async def test_a_refused_store_leaves_nothing_locked(path):
    path.write_bytes(b"something else " * 100)
    with pytest.raises(LayoutError):
        await SqliteStore(path).open()

    path.unlink()
    await reopened(path)


# The file.


async def test_the_file_is_for_its_owner_only(store, path):
    """It holds the secrets of the server."""
    await store.append(appended("ns/r", 0, b"one"))

    for each in path.parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
    names = {each.name for each in path.parent.iterdir()}
    assert f"{path.name}-wal" in names


async def test_a_closed_database_is_one_file(store, path):
    await store.append(appended("ns/r", 0, b"one"))
    await store.close()

    assert {each.name for each in path.parent.iterdir()} == {
        path.name,
        f"{path.name}.lock",
    }


async def test_what_is_acknowledged_is_synced(store):
    (mode,) = store._committer._connection.execute("PRAGMA synchronous").fetchone()
    assert mode == 2


async def test_an_empty_file_becomes_a_database(path):
    path.touch()
    await reopened(path)

    with raw(path) as connection:
        ids = [connection.execute(f"PRAGMA {n}").fetchone()[0] for n in
               ("application_id", "user_version")]  # fmt: skip
    assert ids == [sqlite_schema.APPLICATION_ID, sqlite_schema.LAYOUT]


@pytest.mark.parametrize("version", [0, sqlite_schema.LAYOUT + 1, 1 << 30])
async def test_another_layout_is_refused(path, version):
    await reopened(path)
    with raw(path) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()

    with pytest.raises(LayoutError, match=f"layout {version}"):
        await SqliteStore(path).open()

    assert path.read_bytes() == before


async def test_the_database_of_another_program_is_refused(path):
    with raw(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()

    with pytest.raises(LayoutError, match="another program"):
        await SqliteStore(path).open()

    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(path):
    path.write_text("Dear diary, " * 500)

    with pytest.raises(LayoutError, match="not a SQLite database"):
        await SqliteStore(path).open()

    assert path.read_text() == "Dear diary, " * 500


async def test_a_database_without_a_schema_that_can_be_read_is_damaged(path):
    await reopened(path)
    contents = bytearray(path.read_bytes())
    contents[100:4096] = b"\xff" * 3996
    path.write_bytes(contents)

    with pytest.raises(CorruptError):
        await SqliteStore(path).open()


@pytest.mark.parametrize("name", ["missing/starflow.db", "."])
async def test_a_place_without_a_file_is_unavailable(tmp_path, name):
    with pytest.raises(UnavailableError):
        await SqliteStore(tmp_path / name).open()


async def test_a_closed_store_says_so(store):
    await store.close()

    with pytest.raises(UnavailableError, match="not open"):
        await store.append(appended("ns/r", 0, b"one"))
    with pytest.raises(UnavailableError, match="not open"):
        await store.load("ns/r")
    await store.close()


async def test_closing_goes_on_when_nobody_waits_for_it(store, path):
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = store.append(appended("ns/r", 0, b"one"))
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        other.execute("ROLLBACK")
    await asyncio.gather(store.close(), store.close())

    await begun
    await reopened(path)


# Groups.


async def test_what_comes_together_is_one_transaction(store):
    statements = traced(store)

    appends = [appended(f"ns/{n}", 0, b"one", timers={"t": n}) for n in range(512)]
    assert await outcomes_of(store, appends) == [None] * 512

    assert statements.count("COMMIT") == 1
    # New runs, logs, heads and timers by 64, and a look for each run: not by one.
    assert len(statements) == 2 + 5 * 512 // 64


async def test_a_known_run_is_not_looked_up(store):
    await store.append(appended("ns/r", 0, b"one"))
    statements = traced(store)

    await store.append(appended("ns/r", 1, b"two"))

    assert [statement.split()[0] for statement in statements] == [
        "BEGIN",
        "INSERT",
        "REPLACE",
        "COMMIT",
    ]


async def test_forgotten_runs_are_looked_up(store, monkeypatch):
    monkeypatch.setattr(sqlite_commit, "_HEADS_MAX", 3)
    for version in range(3):
        for n in range(10):
            await store.append(appended(f"ns/{n}", version, b"%d" % version))
            assert len(store._committer._heads) <= 3

    for n in range(10):
        await assert_run(store, f"ns/{n}", [b"0", b"1", b"2"])


async def test_the_runs_that_go_on_are_remembered(store, monkeypatch):
    monkeypatch.setattr(sqlite_commit, "_HEADS_MAX", 3)
    for n in range(10):
        await store.append(appended("ns/often", n, b"event"))
        await store.append(appended(f"ns/{n}", 0, b"one"))
        assert "ns/often" in store._committer._heads
    await store.append(appended("ns/9", 1, b"last", phase=Phase.FINISHED))

    assert set(store._committer._heads) == {"ns/often", "ns/8"}


async def test_an_append_that_was_committed_after_all_is_repeated(store, monkeypatch):
    """The error came after the commit: memory and database do not agree any more."""
    await store.append(appended("ns/r", 0, b"one"))
    append = appended("ns/r", 1, b"two")

    def fail(group):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(store._committer, "_remember", fail)
        with pytest.raises(MemoryError):
            await store.append(append)

    await store.append(append)
    await assert_run(store, "ns/r", [b"one", b"two"])


async def test_forgotten_scripts_are_kept(store, monkeypatch):
    monkeypatch.setattr(sqlite_commit, "_SCRIPTS_MAX", 3)
    for n in range(30):
        scripts = {f"h{n % 6}": b"%d" % n}
        await store.append(appended(f"ns/{n}", 0, b"one", scripts=scripts))

    assert await store.scan_records("script") == {f"h{n}": b"%d" % n for n in range(6)}


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (appended("ns/bad", 0, b"one", timers={"t": 1 << 70}), OverflowError),
        (appended("ns/\ud800", 0, b"one"), UnicodeEncodeError),
        (appended("ns/bad", 0, "no bytes"), TypeError),
        (appended("ns/bad", 0, b"one", note=object()), TypeError),
        (appended("ns/bad", 0, b"one", timers={("t",): 1}), sqlite3.ProgrammingError),
    ],
    ids=["big", "surrogate", "text", "object", "name"],
)
async def test_an_append_of_nonsense_fails_alone(store, bad, error):
    good = [appended(f"ns/{n}", 0, b"one") for n in range(20)]
    outcomes = await outcomes_of(store, [*good[:10], bad, *good[10:]])

    assert isinstance(outcomes.pop(10), error)
    assert outcomes == [None] * 20
    assert await store.runs_in(list(Phase)) == sorted(append.run for append in good)


async def test_no_more_than_the_queue_holds_is_under_way(path):
    store = SqliteStore(path, work_max=4)
    await store.open()
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        given = [store.append(appended(f"ns/{n}", 0, b"one")) for n in range(50)]
        for _ in range(10):
            await asyncio.sleep(0)
            assert store._writer._under_way == 4
        other.execute("ROLLBACK")

    assert await asyncio.gather(*given) == [None] * 50
    assert len(await store.runs_in([Phase.RUNNABLE])) == 50
    await store.close()


async def test_what_comes_while_the_writer_is_busy_is_one_group(store, path):
    statements = traced(store)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        given = []
        for n in range(20):
            given.append(store.append(appended(f"ns/{n}", 0, b"one")))
            # Reading takes a while, enough for the writer to begin.
            await store.load("ns/r")
        other.execute("ROLLBACK")
    await asyncio.gather(*given)

    assert statements.count("COMMIT") <= 2


async def test_a_writer_that_waits_stops_nobody_else(store, path):
    await store.append(appended("ns/r", 0, b"one"))
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(store.append(appended("ns/r", 1, b"two")))
        for _ in range(3):
            assert await store.read("ns/r") == [b"one"]
        assert not waiting.done()
        other.execute("ROLLBACK")

    await waiting
    assert await store.read("ns/r") == [b"one", b"two"]


# Trouble.


async def test_a_database_that_is_held_is_unavailable(path, monkeypatch):
    monkeypatch.setattr(sqlite_schema, "_BUSY_SECONDS", 0.01)
    store = SqliteStore(path)
    await store.open()
    appends = [appended(f"ns/{n}", 0, b"one") for n in range(5)]
    statements = traced(store)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = await outcomes_of(store, appends)
        other.execute("ROLLBACK")

    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 5
    # Nobody is to blame, so nobody is tried apart.
    assert len(statements) == 1
    assert await outcomes_of(store, appends) == [None] * 5
    await store.close()


async def test_a_write_that_fails_is_unavailable(store):
    await store.append(appended("ns/r", 0, b"one"))
    append = appended("ns/r", 1, b"x" * 1_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256_000, hard))
    try:
        outcomes = await outcomes_of(store, [append])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert isinstance(outcomes[0], UnavailableError)
    await assert_run(store, "ns/r", [b"one"])
    await store.append(append)
    assert len(await store.read("ns/r")) == 2


async def test_a_row_that_should_not_be_there_is_damage(store):
    await store.append(appended("ns/r", 0, b"one"))
    store._committer._connection.execute(
        "INSERT INTO log (rid, first, count, crc, events) VALUES (1, 2, 1, 0, x'')"
    )

    with pytest.raises(CorruptError):
        await store.append(appended("ns/r", 1, b"two"))
    await store.append(appended("ns/other", 0, b"one"))


# Timers.


async def test_a_timer_is_due_at_its_time_and_not_before(path):
    now = 1_000
    store = SqliteStore(path, clock=lambda: now)
    await store.open()
    await store.append(appended("ns/r", 0, timers={"t": 1_001}))

    assert (await store.timers_due()).due == []
    assert (await store.timers_due()).next_due_ns == 1_001
    now = 1_001
    assert (await store.timers_due()).due == [DueTimer("ns/r", "t", 1_001)]
    await store.close()


def steps_of(path, query, *arguments):
    """What *query* finds, and the steps that SQLite's machine takes for it."""
    steps = 0

    def count():
        nonlocal steps
        steps += 1
        return 0

    with contextlib.closing(sqlite_schema.open_reader(path)) as connection:
        connection.set_progress_handler(count, 1)
        found = query(connection, *arguments)
    return found, steps


async def test_timers_that_are_not_due_cost_nothing(store, path):
    later = 1 << 60
    await store.append(appended("ns/r", 0, timers={f"t{n}": n for n in range(10)}))
    await store.append(appended("ns/later", 0, timers={"t": later}))
    few, steps_of_few = steps_of(path, sqlite_index.timers_due, 1_000, 100)
    await outcomes_of(
        store,
        (
            appended(f"ns/{n}", 0, timers={f"t{m}": later + 1 + m for m in range(100)})
            for n in range(1_000)
        ),
    )

    many, steps_of_many = steps_of(path, sqlite_index.timers_due, 1_000, 100)

    assert many == few
    assert steps_of_many == steps_of_few


async def test_finished_runs_cost_nothing(store, path):
    looked_for = (sqlite_index.runs_in, [Phase.CALLING], "", 10)
    await store.append(appended("ns/open", 0, phase=Phase.CALLING))
    before = steps_of(path, *looked_for)
    await outcomes_of(
        store, (appended(f"ns/{n}", 0, phase=Phase.FINISHED) for n in range(500))
    )

    assert steps_of(path, *looked_for) == before
    assert before[0] == ["ns/open"]


async def test_a_long_index_is_cleared_in_parts(store, monkeypatch):
    monkeypatch.setattr(sqlite_index, "_HEADS_MAX", 2)
    for n in range(7):
        await store.append(appended(f"ns/{n}", 0, phase=Phase.PAUSED, note=b"why"))

    await store.clear_index()

    for n in range(7):
        await assert_run(store, f"ns/{n}", [])


# Statements.

STATEMENTS = [
    *(
        many._text(count)
        for many in vars(sqlite_group).values()
        if isinstance(many, sqlite_group.Many)
        for count in (1, 64)
    ),
    *(
        text.replace(":rid", "?").replace(":from", "?").replace(":to", "?")
        for name, text in vars(sqlite_index).items()
        if name.startswith("_SELECT")
    ),
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: text[:40])
async def test_no_statement_looks_at_all_rows(store, path, statement):
    with raw(path) as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {statement}", [1] * statement.count("?")
        ).fetchall()

    scans = [step for *_, step in plan if step.startswith("SCAN")]
    assert [step for step in scans if "CONSTANT ROW" not in step] == []
    assert not [step for *_, step in plan if "TEMP B-TREE" in step]
