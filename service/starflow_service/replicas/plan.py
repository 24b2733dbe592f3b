"""Which partitions a replica should take, and which it should give back.

Everybody makes the plan from what the store says, and nobody asks anybody.  Two who
look at the same moment divide the free partitions without a conflict; two who look at
different moments may both want one, and the store gives it to one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """What one replica should do now."""

    # To be taken: nobody alive has them.
    claims: Sequence[int]
    # To be given back, because somebody else has too few.
    give_backs: Sequence[int]


def make_plan(
    me: str, members: Sequence[str], owners: Mapping[int, str | None]
) -> Plan:
    """
    Return what *me*, one of *members*, should do.

    *owners* has every partition, with the member that owns it; None, or the name of
    somebody who is no member, if nobody does.  When all have followed their plans the
    shares differ by at most one, and a plan made then is empty.
    """
    held: dict[str, list[int]] = {member: [] for member in members}
    free: list[int] = []
    for partition in sorted(owners):
        held.get(owners[partition] or "", free).append(partition)
    shares = _shares(held, len(owners))
    surplus = max(0, len(held[me]) - shares[me])
    # Those that were taken last are the least known here.
    give_backs = held[me][len(held[me]) - surplus :]
    return Plan(_claims(me, held, shares, free), give_backs)


def _shares(held: Mapping[str, Sequence[int]], count: int) -> dict[str, int]:
    """Return how many partitions each member should have."""
    each, more = divmod(count, len(held))
    # Whoever has more keeps the one that is left over: nothing moves without need.
    by_size = sorted(held, key=lambda member: (-len(held[member]), member))
    return {member: each + (place < more) for place, member in enumerate(by_size)}


def _claims(
    me: str,
    held: Mapping[str, Sequence[int]],
    shares: Mapping[str, int],
    free: Sequence[int],
) -> Sequence[int]:
    """Deal the free partitions to those who have too few; return what *me* gets."""
    first = 0
    for member in sorted(held):
        missing = max(0, shares[member] - len(held[member]))
        if member == me:
            return free[first : first + missing]
        first += missing
    raise AssertionError(f"{me} is not a member")
