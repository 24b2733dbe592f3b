"""`python -m tests.hostile [KIND ...]`: plays the collection at its full limits.

Prints how the kinds ended, the programs that ended otherwise than they should, those
that held the loop longest, and those that took most memory.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.hostile.collection import KINDS, PROGRAMS
from tests.hostile.judging import faults
from tests.hostile.playing import play_all

_TOP = 20


def main() -> int:
    made = argparse.ArgumentParser("tests.hostile", description=__doc__)
    made.add_argument("names", nargs="*", help="kinds, or ids of programs; all")
    made.add_argument("--max-steps", type=int, default=10_000_000)
    made.add_argument("--json", type=Path, help="write what was seen there, too")
    arguments = made.parse_args()
    names = set(arguments.names)
    chosen = [p for p in PROGRAMS if not names or names & {p.kind, p.id}]
    ends = play_all(chosen, max_steps=arguments.max_steps)
    if arguments.json:
        arguments.json.write_text(json.dumps(ends, indent=1))
    _say(f"{len(chosen)} programs of {len({p.kind for p in chosen})} kinds")
    for kind in KINDS:
        counted = Counter(ends[p.id]["end"] for p in chosen if p.kind == kind)
        if counted:
            _say(f"{kind:12}{sum(counted.values()):5}  {dict(counted.most_common())}")
    _top("ms of CPU without a yield", "hold_ms", ends)
    _top("MiB resident at the most", "peak_mib", ends)
    _top("ms of CPU in all", "cpu_ms", ends)
    wrong = {p.id: found for p in chosen if (found := faults(p, ends[p.id]))}
    for name, found in wrong.items():
        _say(f"WRONG {name}: {'; '.join(found)}")
    _say(f"{len(wrong)} ended otherwise than they should")
    return 1 if wrong else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _top(title: str, key: str, ends: dict[str, dict[str, Any]]) -> None:
    _say(f"\n{title}")
    ranked = sorted(ends.values(), key=lambda end: -end.get(key, 0))
    for end in ranked[:_TOP]:
        _say(f"  {end.get(key, 0):8.1f}  {end['id']} ({end['end']})")
    _say("")


if __name__ == "__main__":
    sys.exit(main())
