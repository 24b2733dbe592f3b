"""Partitions are shared out evenly, with few moves, and then stay where they are."""

import random

import pytest

from starflow_service.replicas.plan import make_plan

SEEDS = range(200)


def played(members, owners):
    """Let all follow their plans until nobody has one; return the owners and moves."""
    owners, moves = dict(owners), 0
    for _ in range(20):
        plans = {me: make_plan(me, members, owners) for me in members}
        if not any(plan.claims or plan.give_backs for plan in plans.values()):
            return owners, moves
        for me, plan in plans.items():
            for partition in plan.give_backs:
                assert owners[partition] == me
                owners[partition] = None
            moves += len(plan.give_backs)
        for me, plan in plans.items():
            for partition in plan.claims:
                assert owners[partition] not in members
                owners[partition] = me
    raise AssertionError("the plans have no end")


def share_sizes(members, owners):
    return sorted(list(owners.values()).count(member) for member in members)


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_is_owned_and_shares_differ_by_at_most_one(seed):
    chance = random.Random(seed)
    members = [f"m{n}" for n in range(chance.randint(1, 7))]
    somebody = [*members, None, "dead"]
    owners = {n: chance.choice(somebody) for n in range(chance.randint(1, 40))}

    after, _ = played(members, owners)

    assert set(after.values()) <= set(members)
    sizes = share_sizes(members, after)
    assert sizes[-1] - sizes[0] <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_no_more_is_given_back_than_what_somebody_has_too_much_of(seed):
    chance = random.Random(seed)
    members = [f"m{n}" for n in range(chance.randint(1, 7))]
    count = chance.randint(1, 40)
    owners = {n: chance.choice(members) for n in range(count)}
    sizes = sorted(share_sizes(members, owners), reverse=True)
    each, more = divmod(count, len(members))
    fair = [each + (place < more) for place in range(len(members))]
    surplus = sum(max(0, s - f) for s, f in zip(sizes, fair, strict=True))

    _, moves = played(members, owners)

    assert moves == surplus


def test_nobody_claims_what_another_claims_at_the_same_moment():
    owners = dict.fromkeys(range(10))
    plans = [make_plan(me, ["a", "b", "c"], owners) for me in "abc"]

    claims = [partition for plan in plans for partition in plan.claims]

    assert sorted(claims) == list(range(10))


def test_one_who_comes_gets_a_share_and_only_that_moves():
    owners = {n: "ab"[n % 2] for n in range(9)}

    after, moves = played(["a", "b", "c"], owners)

    assert share_sizes("abc", after) == [3, 3, 3]
    assert moves == 3
    assert [n for n in owners if after[n] != owners[n]] == [
        n for n, owner in after.items() if owner == "c"
    ]


def test_what_a_dead_one_had_goes_to_those_who_live_and_nothing_else_moves():
    owners = {n: "abc"[n % 3] for n in range(9)}

    after, moves = played(["a", "c"], owners)

    assert moves == 0
    assert share_sizes("ac", after) == [4, 5]


def test_with_more_servers_than_partitions_some_have_none():
    after, _ = played(["a", "b", "c"], {0: "a"})

    assert after == {0: "a"}
