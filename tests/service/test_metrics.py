"""What Prometheus is shown, by a real server over HTTP."""

import re
from pathlib import Path
from urllib.request import urlopen

import pytest

import starflow
from starflow_service.config import ConfigError, read_config
from tests.support.processes import Server, Stage

SCRIPT = "def main(ctx, input):\n    return input\n"


def page_of(server: Server) -> str:
    said = re.search(r'"address": "([0-9.:]+)", "event": "app.metrics"', server.output)
    assert said is not None, server.output
    with urlopen(f"http://{said[1]}/metrics") as response:
        text: str = response.read().decode()
    return text


async def test_a_server_shows_what_it_is_and_what_was_asked(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        server = stage.add(Server(tmp_path, "--metrics-listen", "127.0.0.1:0"))
        await server.start()
        async with starflow.Client(server.address) as client:
            run = await client.start(SCRIPT, run_id="r", input=1)
            await run.result()
            with pytest.raises(starflow.RunNotFound):
                await client.get("nobody")

        lines = page_of(server).splitlines()

    assert 'starflow_store_durability{level="disk"} 2.0' in lines
    assert "starflow_owned_partitions 1.0" in lines
    assert "starflow_live_runs 1.0" in lines
    refused = 'starflow_calls_total{method="WorkflowService/GetRun",status="NOT_FOUND"}'
    assert f"{refused} 1.0" in lines
    served = 'starflow_calls_total{method="WorkflowService/Run",status="OK"}'
    assert f"{served} 1.0" in lines
    assert any(line.startswith("starflow_info{") for line in lines)
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)


async def test_nothing_is_shown_unless_somebody_wants_it(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        server = stage.add(Server(tmp_path))
        await server.start()

        assert "app.metrics" not in server.output


async def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with Stage(tmp_path) as stage:
        server = stage.add(Server(first))
        await server.start()
        late = stage.add(Server(second, "--metrics-listen", server.address))

        assert f"cannot listen on {server.address}" in await late.refuse_to_start()


def test_other_machines_see_nothing_by_mistake() -> None:
    with pytest.raises(ConfigError, match="can be reached by other machines"):
        read_config(["--metrics-listen", "0.0.0.0:9464"], {})
