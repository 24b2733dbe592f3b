"""What a page of a list costs does not grow with the number of runs."""

import asyncio
import re

import pytest

from starflow_backends import Append, Entry, Query, SqliteStore
from starflow_backends import sqlite_find as sqlite_find
from starflow_backends.sqlite_schema import open_reader
from tests.support.redis_stores import LoneRedisStore

RUNS = 4_000
# Terms: every run has ALL; every second EVEN, the others ODD; RARE is of twenty.
ALL, EVEN, ODD, RARE, NEVER = 1, 2, 3, 4, 5
PAGE = 50

QUERIES = {
    "all": Query([[ALL]], limit=PAGE),
    "a late page": Query([[ALL]], after=(100, "~"), limit=PAGE),
    "either": Query([[EVEN, ODD]], limit=PAGE),
    "both are large": Query([[ALL], [EVEN]], limit=PAGE),
    "one is small": Query([[ALL], [EVEN, ODD], [RARE]], limit=PAGE),
    "nothing has it": Query([[ALL], [NEVER]], limit=PAGE),
    "apart": Query([[EVEN], [ODD]], limit=PAGE),
    "an exact prefix": Query([[ALL]], prefix="ns/run-00017", limit=PAGE),
    "a wide prefix": Query([[ALL]], prefix="ns/run-0", limit=PAGE),
    "a narrow time": Query([[ALL]], since_ns=1_000, before_ns=1_010, limit=PAGE),
}


async def fill(store):
    given = []
    for n in range(RUNS):
        terms = {ALL: n, (ODD if n % 2 else EVEN): n}
        if n % (RUNS // 20) == 0:
            terms[RARE] = n
        run = f"ns/run-{n:05}"
        append = Append(run, 0, "id", [b"e"], entry=Entry(terms, b"s"))
        given.append(store.append(append))
    await asyncio.gather(*given)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("costs") / "starflow.db"
    asyncio.run(fill_sqlite(path))
    return path


async def fill_sqlite(path):
    store = SqliteStore(path)
    await store.open()
    await fill(store)
    await store.close()


@pytest.mark.parametrize("name", QUERIES)
def test_sqlite_looks_at_a_bounded_number_of_rows(filled, name):
    """SQLite's machine takes 20 steps a row, and more than 80,000 for all of them."""
    connection = open_reader(filled)
    steps = 0

    def count():
        nonlocal steps
        steps += 10

    connection.set_progress_handler(count, 10)
    page = sqlite_find.find(connection, QUERIES[name])
    connection.close()

    assert len(page.found) <= PAGE
    # To know that nothing is in both of two large sets takes a look at each run of one.
    assert 0 < steps < (30 * sqlite_find.LOOKED_MAX if name == "apart" else 20_000)


def test_sqlite_never_scans_a_table(filled):
    """Each statement searches by an index, and sorts nothing."""
    connection = open_reader(filled)
    said = []
    connection.set_trace_callback(said.append)
    for query in QUERIES.values():
        sqlite_find.find(connection, query)
    connection.set_trace_callback(None)

    statements = {re.sub(r"\d+|'[^']*'", "?", each): each for each in said}
    plans = [
        row[3]
        for statement in statements.values()
        if statement.startswith("SELECT")
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    connection.close()
    assert len(plans) >= 6
    for step in plans:
        # The one row of a subquery that counts.
        assert step.startswith(("SEARCH ", "CO-ROUTINE", "SCAN (subquery")), plans
        assert "TEMP B-TREE" not in step


async def test_redis_looks_at_a_bounded_number_of_members(shared_redis):
    """By what Redis says of its own commands: how many, and how many it looked at."""
    store = LoneRedisStore(f"{shared_redis.url}?prefix=costs&partitions=4")
    await store.open()
    await fill(store)

    for name, query in QUERIES.items():
        shared_redis.command("CONFIG", "RESETSTAT")
        page = await store.find(query)
        calls = command_calls(shared_redis)

        assert len(page.found) <= PAGE
        # Six looks at a hundred places of two terms in four partitions.
        most = 6 * 100 * 2 * 4 if name == "apart" else 1_700
        assert calls.get("zscore", 0) <= most, name
        assert calls["evalsha"] <= 4 * 7, name
        assert sum(calls.values()) <= most + 200, name
        assert not calls.keys() & {"scan", "keys", "zrange", "smembers"}, name
    await store.close()


def command_calls(server):
    """How often each command was carried out since the numbers were reset."""
    said = server.command("INFO", "commandstats")
    found = re.findall(r"cmdstat_([^:]+):calls=(\d+)", said)
    return {name: int(count) for name, count in found}
