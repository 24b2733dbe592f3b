"""`python -m tests.starlark.areas`: the chunks of each area, and how many pass."""

import sys
from collections import Counter

from tests.starlark.conformance import chunks, fault


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    total: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    checks: Counter[str] = Counter()
    for chunk in chunks():
        wrong = fault(chunk, chunk.source, waits=False)
        total[chunk.area] += 1
        passed[chunk.area] += wrong is None
        checks[chunk.area] += len(chunk.check_lines()) or 1
        if wrong is not None:
            say(f"{chunk.name}: {wrong}")
    say(f"{'area':<16}{'chunks':>8}{'pass':>8}{'checks':>8}")
    for area in sorted(total):
        say(f"{area:<16}{total[area]:>8}{passed[area]:>8}{checks[area]:>8}")
    say(f"{'all':<16}{total.total():>8}{passed.total():>8}{checks.total():>8}")


if __name__ == "__main__":
    main()
