"""Which known name did the author mean?"""

from collections.abc import Iterable
from typing import Final

# Looking for a name costs what these bounds multiply to, some 10 ms at the worst.
_LENGTH_MAX: Final = 30
_DISTANCE_MAX: Final = 3
_CANDIDATES_MAX: Final = 500


def nearest(name: str, candidates: Iterable[str]) -> str:
    """
    Return the candidate that *name* is most likely a slip of, or "".

    Ties go to the candidate that sorts first, so that messages are the same every time.
    """
    if len(name) > _LENGTH_MAX:
        return ""
    bound = max(1, min(_DISTANCE_MAX, len(name) // 3))
    best, best_distance = "", bound + 1
    folded = name.lower()
    near = {c for c in candidates if c != name and abs(len(c) - len(name)) <= bound}
    for candidate in sorted(near)[:_CANDIDATES_MAX]:
        distance = _distance(folded, candidate.lower(), best_distance)
        if distance < best_distance:
            best, best_distance = candidate, distance
    # A name of which nothing is left is another name, not a slip.
    return best if best_distance < len(name) or best.lower() == folded else ""


def _distance(a: str, b: str, enough: int) -> int:
    """
    Return how many letters to insert, drop, replace or swap to get from *a* to *b*.

    Any number from *enough* on stands for "too many".
    """
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i] + [enough] * len(b)
        # What is further from the diagonal costs too much already.
        for j in range(max(1, i - enough), min(len(b), i + enough) + 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != b[j - 1]))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == b[j - 1]:
                cost = min(cost, before[j - 2] + 1)
            row[j] = cost
        if min(row) >= enough:
            return enough
        before, above = above, row
    return above[-1]
