"""Which known name did the author mean?"""

from collections.abc import Iterable
from typing import Final

# Comparing two names costs the product of their lengths, so long ones are not compared.
_LENGTH_MAX: Final = 40
_CANDIDATES_MAX: Final = 2_000


def nearest(name: str, candidates: Iterable[str]) -> str:
    """
    Return the candidate that *name* is most likely a slip of, or "".

    Ties go to the candidate that sorts first, so that messages are the same every time.
    """
    if len(name) > _LENGTH_MAX:
        return ""
    bound = max(1, min(3, len(name) // 3))
    best, best_distance = "", bound + 1
    folded = name.lower()
    near = {c for c in candidates if c != name and abs(len(c) - len(name)) <= bound}
    for candidate in sorted(near)[:_CANDIDATES_MAX]:
        distance = _distance(folded, candidate.lower())
        if distance < best_distance:
            best, best_distance = candidate, distance
    # A name of which nothing is left is another name, not a slip.
    return best if best_distance < len(name) or best.lower() == folded else ""


def _distance(a: str, b: str) -> int:
    """Return how many letters to insert, drop, replace or swap to get from a to b."""
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
