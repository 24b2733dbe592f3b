"""What `starflow.testing` promises to the tests of other people."""

import asyncio
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

import starflow
from starflow import testing
from starflow.testing import (
    NEVER,
    InTurn,
    ReplayFailed,
    Returns,
    Stuck,
    TestContext,
    TestServer,
)
from tests.sdk.terminal import subprocess_environment

NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)
CALL = "def main(ctx, input):\n    return shop.buy(ctx, input)\n"
TWO_CALLS = """
def main(ctx, input):
    first = shop.buy(ctx, 1)
    return [first, shop.buy(ctx, 2)]
"""
SLEEPY = """
load("time", "time")

def main(ctx, input):
    days = []
    for _ in range(input):
        time.sleep(ctx, 24 * time.hour)
        days.append(shop.buy(ctx, str(time.now(ctx))))
    return days
"""
ATTEMPTS = starflow.Retry(max_attempts=3, initial=60.0)


def echo(req):
    return req


@pytest.fixture
def shop():
    """A module with a real function, which is to be tried again after a minute."""
    shop = starflow.Module("shop")

    @shop.function(retry=ATTEMPTS, attempt_timeout=30)
    async def buy(ctx, req):
        return f"bought {req}"

    return shop


# Functions


async def test_real_functions_are_executed(shop):
    async with TestServer([shop]) as server:
        assert await server.run(CALL, input="tea") == "bought tea"


@pytest.mark.parametrize(
    ("behaviour", "output"),
    [
        (7, 7),
        (None, None),
        (Returns([1, 2]), [1, 2]),
        (lambda req: req * 2, 10),
        (lambda ctx, req: ctx.attempt, 1),
        ([8, 9], 8),
        (InTurn(lambda req: req + 1), 6),
        ({"a": [1]}, {"a": [1]}),
    ],
)
async def test_a_mock_is_told_by_what_it_is(behaviour, output):
    async with TestServer(functions={"shop.buy": behaviour}) as server:
        assert await server.run(CALL, input=5) == output


async def test_an_async_mock_runs_on_the_loop_of_the_test():
    loop = asyncio.get_running_loop()

    async def buy(req: int) -> bool:
        return asyncio.get_running_loop() is loop

    async with TestServer(functions={"shop.buy": buy}) as server:
        assert await server.run(CALL, input=5) is True


async def test_a_mock_takes_the_request_that_its_types_ask_for():
    def buy(req: datetime) -> int:
        return req.year

    async with TestServer(functions={"shop.buy": buy}) as server:
        assert await server.run(CALL, input=NEW_YEAR) == 2030
        with pytest.raises(starflow.RunFailed, match=r"shop\.buy.*expected"):
            await server.run(CALL, input="today")


@pytest.mark.parametrize("error", [ValueError, ValueError("sold out")])
async def test_a_mock_that_is_an_exception_is_raised(error):
    async with TestServer(functions={"shop.buy": error}) as server:
        with pytest.raises(starflow.RunFailed) as caught:
            await server.run(CALL)

    assert caught.value.code == "VALUE_ERROR"


async def test_a_mock_has_the_policy_of_the_function_it_stands_for(shop):
    sold_out = ValueError("sold out")
    mocks = {"shop.buy": [sold_out, sold_out, "at last"]}
    async with TestServer([shop], mocks, now=NEW_YEAR) as server:
        assert await server.run(CALL) == "at last"
        assert [call.attempt for call in server.calls()] == [1, 2, 3]
        # 60 s, and then twice as long.
        assert server.now == NEW_YEAR + timedelta(seconds=180)


async def test_a_list_that_is_used_up_says_so():
    async with TestServer(functions={"shop.buy": [1]}) as server:
        with pytest.raises(starflow.RunFailed, match="more than 1 times") as caught:
            await server.run(TWO_CALLS)

    assert caught.value.code == "MOCK_EXHAUSTED"


async def test_a_mock_can_be_changed(shop):
    async with TestServer([shop], {"mail.send": 1}) as server:
        server.mock("mail.send", 2)

        assert await server.run("def main(ctx, i):\n    return mail.send(ctx)\n") == 2
        with pytest.raises(KeyError, match=r"shop\.buy"):
            server.mock("shop.buy", 2)


async def test_calls_are_recorded_of_mocks_and_of_real_functions(shop):
    script = "def main(ctx, i):\n    mail.send(ctx, {'to': shop.buy(ctx, 1)})\n"
    async with TestServer([shop], {"mail.send": None}) as server:
        await server.run(script, run_id="r")

        assert [(c.function, c.input) for c in server.calls()] == [
            ("shop.buy", 1),
            ("mail.send", {"to": "bought 1"}),
        ]
        (call,) = server.calls("mail.send")
        assert (call.run_id, call.task_id, call.attempt) == ("r", "default/r/4", 1)


async def test_what_nobody_offers_is_refused_as_in_production():
    async with TestServer() as server:
        with pytest.raises(starflow.FunctionUnknown):
            await server.run(CALL)


def test_a_name_of_a_mock_is_checked():
    with pytest.raises(ValueError, match="no dotted name"):
        TestServer(functions={"buy": 1})


# Time


async def test_the_time_stands_still_until_it_is_moved():
    script = 'load("time", "time")\ndef main(ctx, i):\n    return str(time.now(ctx))\n'
    async with TestServer(now=NEW_YEAR) as server:
        assert await server.run(script) == await server.run(script)
        await server.advance(minutes=30, seconds=0.5)

        assert server.now == NEW_YEAR + timedelta(minutes=30, seconds=0.5)


async def test_sleeps_end_each_at_its_time():
    async with TestServer(functions={"shop.buy": echo}, now=NEW_YEAR) as server:
        run = await server.client.start(SLEEPY, input=5)
        await server.advance(days=2, hours=23)
        assert len(server.calls()) == 2

        await server.advance(hours=1)
        assert [call.input[:10] for call in server.calls()] == [
            "2030-01-02",
            "2030-01-03",
            "2030-01-04",
        ]
        assert (await run.get()).state == "SLEEPING"
        await server.advance(timedelta(weeks=1), days=1)
        assert len(await run.result(timeout=20)) == 5


async def test_finish_moves_the_time_as_far_as_the_run_needs():
    async with TestServer(functions={"shop.buy": echo}, now=NEW_YEAR) as server:
        await server.run(SLEEPY, input=365)

        assert server.now == datetime(2031, 1, 1, tzinfo=UTC)


async def test_a_function_that_hangs_is_ended_by_its_timeout(shop):
    async with TestServer([shop], {"shop.buy": [NEVER, "late"]}, now=NEW_YEAR) as s:
        run = await s.client.start(CALL)
        await s.advance(seconds=29)
        assert len(s.calls()) == 1
        await s.advance(seconds=1)
        assert (await run.get()).waits[0].detail["last_failure"].kind == "TIMEOUT"

        assert await s.finish(run) == "late"
        # The rest of a minute's backoff; real seconds count in an attempt, too.
        assert timedelta(seconds=85) < s.now - NEW_YEAR < timedelta(seconds=91)


async def test_a_real_function_that_is_slow_is_waited_for_only_so_long():
    released = threading.Event()
    slow = starflow.Module("slow")

    @slow.function
    def work():
        assert released.wait(20)
        return "done"

    script = "def main(ctx, input):\n    return slow.work(ctx)\n"
    async with TestServer([slow], patience=0.05) as server:
        run = await server.client.start(script)
        await server.advance(minutes=59)
        assert (await run.get()).state == "RUNNING"
        released.set()

        assert await run.result(timeout=20) == "done"


async def test_a_busy_worker_survives_any_leap_of_the_time():
    """A lease is 15 s; a day goes by while the function is under way."""
    entered, released = asyncio.Event(), asyncio.Event()

    async def buy(req):
        entered.set()
        await released.wait()
        return "done"

    shop = starflow.Module("shop")
    shop.function(name="buy", attempt_timeout=timedelta(days=30))(buy)
    async with TestServer([shop], patience=0.05) as server:
        run = await server.client.start(CALL)
        await entered.wait()
        await server.advance(days=1)
        # As it does every second: whoever's lease has ended loses his tasks.
        server._server._runtime._calls.sweep()
        released.set()

        assert await run.result(timeout=20) == "done"
        assert [call.attempt for call in server.calls()] == [1]


async def test_a_moment_without_a_zone_or_in_the_past_is_refused():
    naive = NEW_YEAR.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        TestServer(now=naive)
    async with TestServer(now=NEW_YEAR) as server:
        with pytest.raises(ValueError, match="is past"):
            await server.advance_to(NEW_YEAR - timedelta(seconds=1))
        await server.advance_to(NEW_YEAR + timedelta(days=1))
        assert server.now.day == 2


async def test_a_run_that_nothing_moves_on_is_named():
    async with TestServer(patience=0.05) as server:
        run = await server.client.start(CALL, allow_unregistered=True)
        with pytest.raises(Stuck, match=r"RUNNING and waits for CALL .*shop\.buy"):
            await server.finish(run)


async def test_a_server_that_was_not_entered_says_so():
    with pytest.raises(starflow.StarflowError, match="async with"):
        _ = TestServer().client


async def test_calls_of_a_queue_with_a_rate_get_their_turn_as_the_time_goes():
    module = starflow.Module("shop")
    module.function(name="buy", queue="slow")(echo)
    script = "def main(ctx, i):\n    return [shop.buy(ctx, n) for n in range(4)]\n"
    async with TestServer([module], now=NEW_YEAR) as server:
        await server.client.set_queue("slow", rate=starflow.Rate(1, per=60))
        run = await server.client.start(script)
        await server.advance(seconds=119)
        assert len(server.calls()) == 2

        assert await server.finish(run) == [0, 1, 2, 3]
        assert 180 <= (server.now - NEW_YEAR).total_seconds() < 180.1


# Signals


async def test_a_call_that_yielded_gets_its_signal():
    mocks = {"shop.buy": starflow.wait_for_signal(timeout=3600)}
    async with TestServer(functions=mocks) as server:
        run = await server.client.start(CALL)
        with pytest.raises(starflow.RunYielded):
            await server.finish(run)
        await server.signal(run, {"approved": True})
        assert await server.finish(run) == {"approved": True}

        late = await server.client.start(CALL)
        with pytest.raises(starflow.RunFailed, match="TIMEOUT"):
            await server.finish(late, through_yields=True)


async def test_a_script_gets_its_signals_by_name():
    script = (
        'load("flow", "flow")\n'
        "def main(ctx, i):\n"
        '    return flow.wait_signal(ctx, "go")\n'
    )
    async with TestServer() as server:
        run = await server.client.start(script)
        await server.signal(run, 5, name="go")

        assert await server.finish(run) == 5
        with pytest.raises(Stuck, match="no call waits"):
            await server.signal(run, 5)


# Proofs


async def test_a_run_replays(shop):
    async with TestServer([shop]) as server:
        run = await server.client.start(SLEEPY, input=2)
        await server.assert_replays(run)
        await server.finish(run)
        await server.assert_replays(run)


async def test_a_log_that_the_script_does_not_follow_is_seen(shop):
    async with TestServer([shop]) as server:
        await server.run(CALL, input="tea", run_id="r")
        info = await server.client.get("r")
        other = CALL.replace("buy(ctx, input)", "buy(ctx, 'coffee')")
        await server._server._store.put_record(
            "script", info.script_hash, other.encode()
        )

        with pytest.raises(ReplayFailed, match="event 2 records CALL"):
            await server.assert_replays("r")


async def test_a_run_survives_a_crash_after_each_of_its_events():
    mocks = {"shop.buy": ["tea", "milk"]}
    async with TestServer(functions=mocks) as server:
        run = await server.client.start(TWO_CALLS)
        assert await server.finish(run) == ["tea", "milk"]
        log = [(event.type, event.detail) for event in await server.events(run)]

        for version in range(1, len(log) + 1):
            await server.crash_and_recover(run, at_version=version)
            assert await server.finish(run) == ["tea", "milk"]
            again = [event.type for event in await server.events(run)]
            assert again == [kind for kind, _ in log]
            await server.assert_replays(run)

        # Once per event before which the log was cut off, and once at first.
        assert len(server.calls()) == 2 + 2 + 2 + 1 + 1


async def test_a_worker_that_is_busy_when_the_server_dies_is_not_called_again():
    entered, released = asyncio.Event(), asyncio.Event()

    async def buy(req):
        entered.set()
        await released.wait()
        return "done"

    async with TestServer(functions={"shop.buy": buy}) as server:
        run = await server.client.start(CALL)
        await entered.wait()
        await server.crash_and_recover()
        released.set()

        assert await run.result(timeout=20) == "done"
        assert [call.attempt for call in server.calls()] == [1]


async def test_a_sleep_goes_on_after_a_crash():
    async with TestServer(functions={"shop.buy": echo}, now=NEW_YEAR) as server:
        run = await server.client.start(SLEEPY, input=1)
        await server.advance(hours=23)
        await server.crash_and_recover()
        await server.advance(minutes=59)
        assert (await run.get()).state == "SLEEPING"
        await server.advance(minutes=1)

        assert (await run.result(timeout=20))[0].startswith("2030-01-02T00:00")


async def test_a_crash_is_asked_for_in_full():
    async with TestServer(functions={"shop.buy": 1}) as server:
        await server.run(CALL, run_id="r")
        with pytest.raises(TypeError, match="run and at_version"):
            await server.crash_and_recover("r")
        with pytest.raises(ValueError, match="1 to 4"):
            await server.crash_and_recover("r", at_version=5)


async def test_two_servers_do_not_know_each_other(shop):
    async with TestServer([shop]) as one, TestServer([shop]) as other:
        await one.run(CALL, run_id="r")

        assert one.address != other.address
        with pytest.raises(starflow.RunNotFound):
            await other.client.get("r")


def test_a_function_can_be_called_without_a_server():
    def build(ctx: starflow.TaskContext, pages: int) -> list[int]:
        done = []
        for page in range(ctx.last_progress["page"], pages):
            ctx.raise_if_cancelled()
            ctx.progress({"page": page})
            done.append(page)
        return done

    ctx = TestContext(
        attempt=2,
        last_progress={"page": 3},
        last_failure=starflow.Failure("BUSY"),
        input={"pages": 5},
        headers={"tenant": "a"},
    )
    assert build(ctx, 5) == [3, 4]
    assert ctx.reported_progress == {"page": 4}
    assert (ctx.attempt, ctx.input, ctx.headers["tenant"]) == (2, {"pages": 5}, "a")
    assert (ctx.last_failure.code, ctx.task_id) == ("BUSY", "default/run/2")

    ctx.cancel("enough")
    with pytest.raises(starflow.TaskAbandoned, match="enough"):
        build(ctx, 5)
    assert TestContext().reported_progress is None


def test_all_names_are_offered():
    for name in testing.__all__:
        assert getattr(testing, name) is not None
        assert name in dir(testing)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = testing.Nothing


def test_without_the_service_it_says_what_to_install():
    code = """
import sys
sys.modules["greenlet"] = None
try:
    from starflow.testing import TestServer
except ImportError as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=subprocess_environment(),
    )

    assert "greenlet is not installed: pip install 'starflow-grpc[service]'" in (
        said.stdout
    )
