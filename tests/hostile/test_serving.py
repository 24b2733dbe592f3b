"""A real server takes hostile programs, and goes on serving."""

from pathlib import Path

import pytest

from tests.hostile.collection import PROGRAMS
from tests.hostile.serving import play, serving

pytestmark = pytest.mark.system

# Others at each place than those of one kind, because no kind has as many.
EVERY = 23


async def test_a_server_outlives_them_and_serves_others(tmp_path: Path) -> None:
    programs = PROGRAMS[::EVERY]
    async with serving(tmp_path, "--max-steps=400000") as client:
        seen = await play(client, programs, alone=0)
    wrong = {p.id: seen.ends[p.id] for p in programs if seen.ends[p.id] not in p.ends}
    assert wrong == {}
    assert seen.beside_ms
