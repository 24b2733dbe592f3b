"""The recipes of the cookbook do what they say: each is played by the engine, with
functions, signals and a time of its own."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from starflow_service.engine.events import Call, Failure, Restart
from tests.support.driver import SECOND, Run

TEXT = (Path(__file__).parents[1] / "docs/cookbook.md").read_text()
RECIPES: dict[str, str] = dict(
    re.findall(r"^```starlark (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
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


def test_every_recipe_is_played():
    assert {recipe for recipe, _ in PLAYS} | {"rates.star", "daily.star"} == set(
        RECIPES
    )
