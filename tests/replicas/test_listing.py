"""Who owns what, as programs and people see it."""

import asyncio
import json

import pytest

import starflow
from starflow.testing import TestServer
from tests.replicas.crew import open_crew
from tests.sdk.terminal import Terminal


@pytest.mark.system
async def test_servers_that_share_a_store_are_listed_with_what_they_own(
    tmp_path, capsys
):
    async with open_crew(tmp_path, 2) as crew:
        async with starflow.Client(crew.servers[1].address) as client:
            replicas = [replica async for replica in client.list_replicas()]
            await client.start("def main(ctx, input):\n    return 1\n")
            info = await client.server_info()
        terminal = Terminal(crew.servers[0].address, capsys)
        # A command line has a loop of its own.
        _, shown, _ = await asyncio.to_thread(terminal, "replicas")
        code, listed, _ = await asyncio.to_thread(terminal, "replicas", "--json")

    assert code == 0
    assert "replicas" in info.capabilities
    assert [r.answers for r in replicas].count(True) == 1
    assert {len(r.partitions) for r in replicas} == {8}
    assert sorted(n for r in replicas for n in r.partitions) == list(range(16))
    assert all(r.start_time and r.lease_left > 0 and ":" in r.address for r in replicas)
    assert [json.loads(line)["id"] for line in listed.splitlines()] == [
        r.id for r in replicas
    ]
    assert sum(json.loads(line)["runs"] for line in listed.splitlines()) == 1
    assert shown.splitlines()[0].split()[:2] == ["REPLICA", "ADDRESS"]
    assert [line.split()[0] for line in shown.splitlines()[1:]] == [
        r.id for r in replicas
    ]
    assert shown.count("(this)") == 1


async def test_a_store_that_is_not_shared_has_one_server():
    async with TestServer() as server:
        (replica,) = [each async for each in server.client.list_replicas()]

    assert replica.answers
    assert replica.partitions == (0,)
    assert replica.address == ""
