"""A run that its server dies of, again and again, ends up parked."""

from pathlib import Path

import pytest

import starflow
from tests.support.processes import Server, Stage

pytestmark = pytest.mark.system

HOG = """
def main(ctx, input):
    for i in range(1 << 40):
        pass
"""
HARMLESS = "def main(ctx, input):\n    return input\n"
NO_BOUNDS = ("--max-steps=1000000000000", "--max-cpu-time=100000s")


def computing(server: Server) -> bytes:
    """Return who computes, or computed when the server died."""
    text = Path(f"{server.store.removeprefix('sqlite:')}.running").read_bytes()
    return text[2 : 2 + int.from_bytes(text[:2], "big")]


async def die_computing(server: Server) -> None:
    """Kill the server at a moment when the run computes."""
    while True:
        await server.start()
        await server.until(lambda: computing(server), "somebody computes")
        await server.kill()
        # Between two slices nobody is to blame.
        if computing(server):
            return


async def pause_reason(client: starflow.Client) -> str:
    return (await client.get("hog")).pause_reason


async def test_a_run_that_its_server_dies_of_is_parked(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        server = stage.add(Server(tmp_path, "--crash-grace=100ms", *NO_BOUNDS))
        await server.start()
        async with starflow.Client(server.address) as client:
            await client.start(HOG, run_id="hog")
            await server.kill()
            for _ in range(3):
                await die_computing(server)
            assert computing(server) == b"1 default/hog"
            await server.start()
            assert await pause_reason(client) == "CRASH_LOOP"
            run = await client.start(HARMLESS, input=7)
            assert await run.result() == 7
            await client.run("hog").unpause()
            await server.until(lambda: computing(server), "it computes again")


async def test_a_server_that_is_killed_often_strikes_nobody_out(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        server = stage.add(Server(tmp_path, "--crash-grace=1h", *NO_BOUNDS))
        await server.start()
        async with starflow.Client(server.address) as client:
            await client.start(HOG, run_id="hog")
            await server.kill()
            for _ in range(2):
                await die_computing(server)
            # With one strike left it is left alone by servers that do not live long.
            for _ in range(3):
                await server.start()
                run = await client.start(HARMLESS, input=7)
                assert await run.result() == 7
                assert await pause_reason(client) == ""
                await server.kill()
