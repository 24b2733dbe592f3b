"""The workflows in the documents do what they say: each is played by the engine, with
functions, signals and a time of its own."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from starflow_service.engine.events import Call, Failure, Restart, Status
from starflow_service.starlark.bundle import Bundle
from tests.support.driver import SECOND, Run

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "language.md").read_text() + (DOCS / "cookbook.md").read_text()
FENCE = re.compile(r"^```starlark (\S+\.star)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES: dict[str, str] = dict(FENCE.findall(TEXT))
# One in a folder is a part of a bundle.
RECIPES: dict[str, Any] = {n: text for n, text in FILES.items() if "/" not in n}
RECIPES["taxes"] = Bundle(
    {n.removeprefix("taxes/"): text for n, text in FILES.items() if "/" in n}
)
HOUR = 3600


@dataclass(frozen=True)
class Play:
    functions: Mapping[str, Callable[[Any], Any]]
    input: Any
    output: Any = None
    # The code of the failure that the run ends with.
    failure: str = ""
    # Names and values of signals that come before anything is answered.
    signals: tuple[tuple[str, Any], ...] = ()
    # The functions called, in order.
    calls: tuple[str, ...] | None = None
    # At least so long does it last, and less than twice as long.
    seconds: int = 0
    restarts: int = 0


def in_turn(*values: Any) -> Callable[[Any], Any]:
    turns = cycle(values)
    return lambda req: next(turns)


def done(req: Any) -> Any:
    return None


def booked(req: Any) -> Any:
    return {"id": f"{req}-7", "cents": 100}


def charged(req: Any) -> Any:
    declined = Failure("CARD_DECLINED", "no money left")
    return "receipt" if req["card"] == "good" else declined


def page(req: Any) -> Any:
    first = req["after"] + 1
    return {"ids": list(range(first, first + 3)), "last": first > 6}


TRIP = {"flight": "LH", "hotel": "Ritz", "card": "bad"}
TRIPS = {
    "flights.book": booked,
    "hotels.book": booked,
    "payments.charge": charged,
    "flights.cancel": done,
    "hotels.cancel": done,
}
CHARGED = ("flights.book", "hotels.book", "payments.charge")
SHOP = {"mail.send": done, "shop.buy": done}
PLAYS = [
    (
        "purchase.star",
        Play(
            {
                "prices.ask": in_turn({"cents": 9}, {"cents": 7}),
                "shop.buy": lambda quote: quote["cents"],
            },
            {"sku": "lamp", "limit": 8},
            7,
            calls=("prices.ask", "prices.ask", "shop.buy"),
            seconds=600,
        ),
    ),
    (
        "letters.star",
        Play(
            {"mail.send": lambda req: req["to"], "mail.flush": lambda req: req},
            None,
            ["ada@example.org", "bob@example.org", None],
        ),
    ),
    (
        "several.star",
        Play(
            {
                "thumbnails.make": lambda req: req["page"],
                "prices.ask": lambda shop: shop,
                "mail.send": done,
            },
            {"pages": 3, "shops": ["only"], "receivers": ["a", "b"]},
            [[0, 1, 2], 0, "only", 2],
        ),
    ),
    ("limits.star", Play({"payments.charge": charged}, {"card": "good"}, "receipt")),
    (
        "branches.star",
        Play(
            {"parcels.label": lambda x: x, "parcels.send": lambda x: -x},
            {"orders": [1, 2]},
            [-1, -2],
        ),
    ),
    ("answer.star", Play({}, None, True, signals=(("approval", {"approved": True}),))),
    ("answer.star", Play({}, None, False, seconds=24 * HOUR)),
    ("payment.star", Play({"payments.charge": charged}, {"card": "good"}, "receipt")),
    (
        "payment.star",
        Play(
            {"payments.charge": charged, "mail.send": lambda req: req["text"]},
            {"card": "bad"},
            "no money left",
        ),
    ),
    (
        "undo.star",
        Play(
            {
                "flights.book": lambda req: {"card": "bad"},
                "flights.cancel": done,
                "payments.charge": charged,
            },
            None,
            failure="CARD_DECLINED",
            calls=("flights.book", "payments.charge", "flights.cancel"),
        ),
    ),
    ("modules.star", Play({}, {"items": 13}, {"boxes": 2})),
    (
        "times.star",
        Play(
            {},
            {"from": "2023-11-14T22:00:00Z"},
            "Wed, 15 Nov 2023 01:30 CET",
            seconds=30 * 24 * HOUR,
        ),
    ),
    (
        "taxes",
        Play(
            {},
            [{"cents": 1000, "country": "de"}, {"cents": 100, "country": "fr"}],
            {"total": 1310, "rates": {"de": 19, "fr": 20}},
        ),
    ),
    (
        "resize.star",
        Play(
            {"images.resize": lambda req: f"{req['image']}@{req['width']}"},
            {"images": ["a", "b", "c"]},
            ["a@300", "b@300", "c@300"],
        ),
    ),
    (
        "newsletter.star",
        Play(
            {"mail.send": lambda to: Failure("BOUNCED", to) if "x" in to else "sent"},
            {"receivers": ["ann", "max", "bob", "alex", "eve"]},
            {"sent": 3, "failed": ["max", "alex"]},
        ),
    ),
    (
        "saga.star",
        Play(
            TRIPS,
            TRIP,
            failure="CARD_DECLINED",
            calls=(*CHARGED, "hotels.cancel", "flights.cancel"),
        ),
    ),
    (
        "saga.star",
        Play(
            TRIPS,
            TRIP | {"card": "good"},
            {"flight": "LH-7", "hotel": "Ritz-7"},
            calls=CHARGED,
        ),
    ),
    (
        "approval.star",
        Play(
            SHOP,
            {"cents": 5},
            {"bought": True},
            signals=(("approval", {"by": "ada"}),),
            calls=("mail.send", "shop.buy"),
        ),
    ),
    (
        "approval.star",
        Play(
            SHOP,
            {"cents": 5},
            {"bought": False, "why": "nobody answered"},
            calls=("mail.send",),
            seconds=48 * HOUR,
        ),
    ),
    (
        "poll.star",
        Play(
            {
                "exports.begin": lambda req: "e-1",
                "exports.status": in_turn(
                    *[{"done": False}] * 3, {"done": True, "url": "here"}
                ),
            },
            None,
            "here",
            seconds=180,
        ),
    ),
    (
        "poll.star",
        Play(
            {
                "exports.begin": lambda req: "e-1",
                "exports.status": lambda req: {"done": False},
            },
            None,
            failure="STARFLOW_SCRIPT_ERROR",
            seconds=HOUR,
        ),
    ),
    (
        "deliveries.star",
        Play(
            {"parcels.label": lambda order: {"number": order}, "parcels.pick_up": done},
            {"orders": [3, 1, 2]},
            {"delivered": [3, 1, 2]},
        ),
    ),
    (
        "children.star",
        Play(
            {
                "parcels.send": lambda order: (
                    Failure("LOST", "nowhere") if order == 2 else {"number": order}
                )
            },
            {"orders": [1, 2, 3]},
            {"delivered": [1, 3], "problems": ["nowhere"]},
        ),
    ),
    ("policy.star", Play({"payments.charge": charged}, {"card": "good"}, "receipt")),
    (
        "cards.star",
        Play(
            {"payments.charge": charged},
            {"cents": 1, "cards": ["bad", "worse", "good"]},
            {"card": "good", "receipt": "receipt"},
            seconds=3,
        ),
    ),
    (
        "cards.star",
        Play(
            {"payments.charge": lambda req: Failure("DOWN", "try tomorrow")},
            {"cents": 1, "cards": ["good"]},
            failure="STARFLOW_SCRIPT_ERROR",
        ),
    ),
    (
        "account.star",
        Play(
            {"books.write": done},
            {"balance": 1},
            {"balance": 16},
            signals=(
                ("order", {"do": "add", "cents": 5}),
                ("order", {"do": "add", "cents": 10}),
                ("order", {"do": "close"}),
            ),
        ),
    ),
    (
        "migration.star",
        Play(
            {"users.page": page, "users.migrate": done},
            {"after": 0, "done": 0},
            {"migrated": 9},
            restarts=2,
        ),
    ),
]


@pytest.mark.parametrize(("recipe", "play"), PLAYS)
@pytest.mark.parametrize("with_restarts", [False, True])
def test_a_recipe_does_what_it_says(recipe, play, with_restarts):
    run = begun(recipe, play)
    began_ns = run.world.time_ns

    while run.step():
        if with_restarts:
            run.reload()

    if play.failure:
        assert isinstance(run.result, Failure)
        assert run.result.code == play.failure
    else:
        assert isinstance(run.result, str), run.result
        assert json.loads(run.result) == play.output
    assert play.calls in (None, called(run))
    assert run.kinds.count(Restart.NAME) == play.restarts
    lasted_s = (run.world.time_ns - began_ns) // SECOND
    assert play.seconds <= lasted_s <= 2 * play.seconds


def begun(recipe: str, play: Play) -> Run:
    run = Run(RECIPES[recipe], play.functions, play.input)
    for name, value in play.signals:
        run.send(name, value)
    return run


def called(run: Run) -> tuple[str, ...]:
    return tuple(event.function for event in run.log if isinstance(event, Call))


def test_the_first_answer_wins():
    play = Play({"rates.ask": lambda req: req["source"]}, "EUR/USD")
    run = begun("rates.star", play)
    (quick,) = run.history.calls
    (late,) = run.history.sleeps

    run.ledger.woke(late)
    run.arrive()
    asked_later = max(run.history.calls)
    run.answer(asked_later)
    run.arrive()

    assert isinstance(run.result, str)
    assert json.loads(run.result) == {"source": "b", "rate": "b"}
    assert quick not in run.history.calls


def test_every_day_at_nine_is_every_day():
    days: list[str] = []
    play = Play({"reports.send": lambda req: days.append(req["day"])}, None)
    run = begun("daily.star", play)

    while len(days) < 3:
        assert run.step()

    assert days == ["2023-11-15", "2023-11-16", "2023-11-17"]


def test_a_thousand_orders_are_a_log():
    run = begun("orders.star", Play({"shop.ship": done}, {"shipped": 0}))

    for number in range(1001):
        run.send("order", number)
        run.go_on()

    assert run.kinds.count(Restart.NAME) == 1
    statuses = [event.status for event in run.log if isinstance(event, Status)]
    assert '"1001 orders shipped"' in statuses[-1]


def test_every_recipe_is_played():
    assert {recipe for recipe, _ in PLAYS} | {
        "rates.star",
        "daily.star",
        "orders.star",
    } == set(RECIPES)
