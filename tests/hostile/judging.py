"""What is wrong about the end of a program, if anything."""

import json
import re
from typing import Any

from tests.hostile.child import NEIGHBOUR_STEPS
from tests.hostile.program import Program

PEAK_MIB_MAX = 512
TEXT_MAX = 8192

# Words of Python's, and of ours, that no script's author must read.
PYTHON = re.compile(
    r"object has no|object is not|0x[0-9a-f]{6}|<class|!\w|internal|"
    r"starflow_service|positional argument:|NoneType' |\.py\b|codec can't"
)

NEIGHBOURS_RESULT = sorted(f"w{n}" for n in range(NEIGHBOUR_STEPS))


def faults(program: Program, end: dict[str, Any]) -> list[str]:
    """Return what is wrong."""
    found = []
    if end["end"] not in program.ends:
        wanted = ", ".join(sorted(program.ends))
        found.append(f"ended {end['end']} ({end['texts'][:1]}) and not {wanted}")
    if end["end"] == "crashed":
        return found
    if end["peak_mib"] >= PEAK_MIB_MAX:
        found.append(f"took {end['peak_mib']:.0f} MiB")
    if json.loads(end["neighbour"] or "null") != NEIGHBOURS_RESULT:
        found.append(f"its neighbour ended with {end['neighbour']}")
    # `main` has returned when its result turns out to be none, or it begins again.
    is_over = program.name.startswith(("result_", "restart_"))
    if end["end"].startswith("max_") and not end["stack"] and not is_over:
        found.append("the limit has no stack")
    text = "\n".join([*end["texts"], *end.get("stack", [])])
    words = {word for word in PYTHON.findall(text) if word not in program.source}
    if words:
        found.append(f"says {words} in {text[:300]!r}")
    if any(len(one) > TEXT_MAX for one in end["texts"]):
        found.append("says too much")
    if not text.isascii() and not _is_storable(text):
        found.append("says what no text can carry")
    return found


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
