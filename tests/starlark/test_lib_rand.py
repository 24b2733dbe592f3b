import uuid
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import ops
from starflow_service.starlark.builtins import MODULES
from starflow_service.starlark.host import Context
from starflow_service.starlark.seeded import SeededStream
from starflow_service.starlark.values import List
from tests.starlark.evaluate import end_of, make_meter
from tests.starlark.scripted_host import ScriptedHost


class ListedBytes(ScriptedHost):
    """Draws the given bytes, and counts them."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data

    def random_bytes(self, m: Any, n: int) -> bytes:
        taken, self.data = self.data[:n], self.data[n:]
        assert len(taken) == n, "more was drawn than there is"
        return taken


def draw(name: str, *args: Any, data: bytes | None = None) -> Any:
    m = make_meter()
    if data is not None:
        m.host = ListedBytes(data)
    module, _, member = name.partition(".")
    return ops.call(m, MODULES[module].members[member], (Context(), *args))


# The stream


def test_a_stream_is_the_same_for_ever() -> None:
    # Written down once: a log that was recorded with other bytes could not be replayed.
    assert SeededStream("").take(8).hex() == "48d9f9d56dac9808"
    stream = SeededStream("a seed")
    assert stream.take(8).hex() == "50e47e88115760c5"
    stream.take(100_000)
    assert stream.take(8).hex() == "4a3c2cc4c267cc47"


@given(st.text(), st.lists(st.integers(0, 200), max_size=20))
def test_a_stream_does_not_depend_on_how_it_is_cut(seed: str, sizes: list[int]) -> None:
    stream = SeededStream(seed)
    pieces = [stream.take(n) for n in sizes]
    assert [len(piece) for piece in pieces] == sizes
    assert b"".join(pieces) == SeededStream(seed).take(sum(sizes))


def test_seeds_have_streams_of_their_own() -> None:
    starts = {SeededStream(seed).take(16) for seed in ("", "0", "1", "a", "a" * 200)}
    assert len(starts) == 5


# rand


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("0000000000000000", 0.0),
        ("00000000000007ff", 0.0),
        ("8000000000000000", 0.5),
        ("ffffffffffffffff", 1 - 2**-53),
    ],
)
def test_a_float_is_made_of_the_first_53_bits(data: str, expected: float) -> None:
    assert draw("rand.float", data=bytes.fromhex(data)) == expected


def test_a_draw_that_is_too_high_is_thrown_away() -> None:
    letters = List("abcde")
    # Three bits of each byte count: 7, 6 and 5 are none of the five.
    assert draw("rand.choice", letters, data=bytes([0xE0, 0xC0, 0xBF, 0x80])) == "e"
    assert draw("rand.choice", letters, data=bytes([0x1F])) == "a"
    assert draw("rand.choice", List([7]), data=b"") == 7
    assert draw("rand.choice", range(10**9), data=bytes([0, 0, 4, 0])) == 256


def test_shuffling_is_from_the_last_to_the_first() -> None:
    # Of four, then of three, then of two: 1, 2, 0.
    data = bytes([0b01000000, 0b10000000, 0b00000000])
    assert draw("rand.shuffle", List("abcd"), data=data) == list("dacb")


@given(st.lists(st.integers(), max_size=50))
def test_a_shuffled_list_is_another_one_of_the_same(items: list[int]) -> None:
    given_list = List(items)
    shuffled = draw("rand.shuffle", given_list)
    assert type(shuffled) is List
    assert shuffled is not given_list
    assert given_list == items
    assert sorted(shuffled) == sorted(items)


def test_each_choice_and_order_is_as_likely_as_any_other() -> None:
    m = make_meter(max_steps=10**9)
    members = MODULES["rand"].members
    rounds = 6_000
    for name, given_value in (("choice", range(6)), ("shuffle", (1, 2, 3))):
        drawn = Counter(
            str(ops.call(m, members[name], (Context(), given_value)))
            for _ in range(rounds)
        )
        assert len(drawn) == 6
        # The seed is fixed, so this passes always or never; 5 sigma is about 145.
        assert all(abs(count - rounds / 6) < 145 for count in drawn.values())


@pytest.mark.parametrize(
    ("expression", "end"),
    [
        ("0 <= rand.float(ctx) and rand.float(ctx=ctx) < 1", "True"),
        ("rand.choice(ctx, {'a': 1})", "a"),
        ("rand.choice(seq=('x',), ctx=ctx)", "x"),
        ("repr(rand.shuffle(ctx, [1]))", "[1]"),
        ("repr(rand.shuffle(ctx=ctx, seq=()))", "[]"),
        ("sorted(rand.shuffle(ctx, range(5))) == list(range(5))", "True"),
        ("rand.float(ctx) == rand.float(ctx)", "False"),
    ],
)
def test_chance_without_an_event(expression: str, end: str) -> None:
    host = ScriptedHost()
    assert end_of(f"return {expression}", host) == end
    assert host.asked == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("rand.choice(ctx, [])", "rand.choice: for parameter seq: an empty sequence"),
        (
            "rand.choice(ctx, 'abc')",
            "rand.choice: for parameter seq: got string, want iterable",
        ),
        (
            "rand.shuffle(ctx, 5)",
            "rand.shuffle: for parameter seq: got int, want iterable",
        ),
        ("rand.choice([1])", "rand.choice: missing argument for seq"),
        (
            "rand.shuffle([1], ctx)",
            "rand.shuffle: for parameter ctx: got list, want context",
        ),
        ("rand.float(1)", "rand.float: for parameter ctx: got int, want context"),
        ("rand.float()", "rand.float: missing argument for ctx"),
    ],
)
def test_chance_says_what_it_wants(expression: str, message: str) -> None:
    assert end_of(expression) == f"error: {message}"


def test_the_same_seed_draws_the_same() -> None:
    body = (
        "return repr([rand.float(ctx), rand.choice(ctx, range(100)), "
        "rand.shuffle(ctx, range(9)), uuid.v4(ctx)])"
    )
    assert end_of(body) == end_of(body, ScriptedHost(waits=True))


# uuid


@given(st.binary(min_size=16, max_size=16))
def test_a_random_uuid_is_one_of_version_4(data: bytes) -> None:
    drawn = draw("uuid.v4", data=data)
    assert drawn == str(uuid.UUID(bytes=data, version=4))


NAMESPACES = st.sampled_from(
    [
        ("NAMESPACE_DNS", uuid.NAMESPACE_DNS),
        ("NAMESPACE_OID", uuid.NAMESPACE_OID),
        ("NAMESPACE_URL", uuid.NAMESPACE_URL),
        ("NAMESPACE_X500", uuid.NAMESPACE_X500),
    ]
)


@given(NAMESPACES, st.text())
def test_a_uuid_of_a_name_is_pythons(
    namespace: tuple[str, uuid.UUID], name: str
) -> None:
    members = MODULES["uuid"].members
    known, pythons = members[namespace[0]], namespace[1]
    m = make_meter()
    made = ops.call(m, members["v5"], (known, name))
    assert made == str(uuid.uuid5(pythons, name))
    # What one makes is a namespace too, in any case of its letters.
    within = ops.call(m, members["v5"], (made.upper(), name.encode()))
    assert within == str(uuid.uuid5(uuid.UUID(made), name))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "uuid.v5('orders', 'x')",
            'uuid.v5: for parameter namespace: got "orders", want a UUID '
            "such as uuid.NAMESPACE_URL",
        ),
        (
            "uuid.v5(uuid.NAMESPACE_URL + '\\n', 'x')",
            "uuid.v5: for parameter namespace: got "
            '"6ba7b811-9dad-11d1-80b4-00c04fd430c8\\n", want a UUID '
            "such as uuid.NAMESPACE_URL",
        ),
        (
            "uuid.v5(1, 'x')",
            "uuid.v5: for parameter namespace: got int, want string",
        ),
        (
            "uuid.v5(uuid.NAMESPACE_DNS, 1)",
            "uuid.v5: for parameter name: got int, want string or bytes",
        ),
        ("uuid.v4()", "uuid.v4: missing argument for ctx"),
        ("uuid.v4('x')", "uuid.v4: for parameter ctx: got string, want context"),
    ],
)
def test_uuid_says_what_it_wants(expression: str, message: str) -> None:
    assert end_of(expression) == f"error: {message}"
