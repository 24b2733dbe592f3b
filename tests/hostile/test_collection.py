"""Every hostile program ends as it should, small, and its neighbour never knows.

All are played once, by two processes with a limited address space, and then each is
judged by itself.
"""

import pytest

from tests.hostile.collection import KINDS, PROGRAMS
from tests.hostile.judging import faults
from tests.hostile.playing import Ends, play_all

_BY_ID = {program.id: program for program in PROGRAMS}


@pytest.fixture(scope="module")
def ends(request: pytest.FixtureRequest) -> Ends:
    chosen = {
        item.callspec.params["program_id"]
        for item in request.session.items
        if getattr(item, "callspec", None) and "program_id" in item.callspec.params
    }
    return play_all([program for program in PROGRAMS if program.id in chosen])


@pytest.mark.parametrize("program_id", _BY_ID)
def test_a_hostile_program_harms_nobody(ends: Ends, program_id: str) -> None:
    assert faults(_BY_ID[program_id], ends[program_id]) == []


def test_the_collection_is_large_and_of_many_kinds() -> None:
    assert len(_BY_ID) == len(PROGRAMS) >= 300
    assert len(KINDS) >= 15
    assert all(len(kind.programs) >= 15 for kind in KINDS.values())
