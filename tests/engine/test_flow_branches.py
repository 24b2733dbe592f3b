"""`flow.spawn` and `flow.map`: who runs when, what fails, and what it costs."""

import gc
import json
from random import Random

import pytest
from greenlet import greenlet

from starflow_service.engine.events import Failure
from starflow_service.engine.machine import Turn
from starflow_service.starlark.limits import Limits
from tests.engine.flows import error_of, result_of, run_of


def test_branches_begin_when_main_waits_and_end_as_their_answers_come():
    run = run_of("""
def work(ctx, name):
    print("begin", name)
    test.echo(ctx, name)
    print("end", name)
    return name + name

def main(ctx, input):
    futures = [flow.spawn(ctx, work, ctx, name) for name in ["a", "b"]]
    print("spawned")
    return flow.wait(ctx, futures)
""")
    assert run.prints == ["spawned", "begin a", "begin b"]
    for version in (3, 2):
        run.answer(version)
        run.arrive()
    assert run.prints[3:] == ["end b", "end a"]
    assert run.result == '["aa","bb"]'


def test_spawning_is_no_event():
    run = run_of("return flow.wait(ctx, flow.spawn(ctx, lambda x: x + 1, x=1))")
    assert run.kinds == ["START", "FINISH"]
    assert run.result == "2"


@pytest.mark.parametrize("fn", ["test.echo, ctx, 5", "len, [0] * 5", "max, 5, 1"])
def test_whatever_can_be_called_can_be_a_branch(fn):
    assert result_of(f"return flow.wait(ctx, flow.spawn(ctx, {fn}))") == "5"


def test_a_branch_may_have_branches():
    assert (
        result_of("""
def leaf(ctx, n):
    return test.echo(ctx, n)

def node(ctx, n):
    return flow.wait(ctx, [flow.spawn(ctx, leaf, ctx, n * 10 + k) for k in range(2)])

def main(ctx, input):
    return flow.wait(ctx, [flow.spawn(ctx, node, ctx, n) for n in range(3)])
""")
        == "[[0,1],[10,11],[20,21]]"
    )


def test_the_error_of_a_branch_is_raised_where_it_is_waited_for():
    run = run_of("""
def work(ctx):
    test.fail(ctx)

def main(ctx, input):
    flow.wait(ctx, flow.spawn(ctx, work, ctx))
""").go_on()
    assert (run.result.code, run.result.message) == ("CARD_DECLINED", "no money")
    assert run.result.details == '{"bank": "x"}'
    places = [
        line for line in run.result.stack_trace.splitlines() if "script.star" in line
    ]
    assert [place.split(" in ")[1] for place in places] == ["main", "work"]


def test_each_that_waits_for_a_failed_branch_gets_its_error():
    assert json.loads(
        result_of("""
future = flow.spawn(ctx, test.fail, ctx)
return [flow.catch(flow.wait, ctx, future).error.code for _ in range(2)]
""")
    ) == ["CARD_DECLINED", "CARD_DECLINED"]


def test_an_error_that_nobody_took_fails_the_run():
    assert (
        error_of(
            """
future = flow.spawn(ctx, test.fail, ctx)
time.sleep(ctx, time.hour)
return "all is well"
""",
            chance=Latest(),
        )
        == "no money"
    )


def test_an_error_that_was_taken_does_not():
    assert (
        result_of(
            """
future = flow.spawn(ctx, test.fail, ctx)
time.sleep(ctx, time.hour)
flow.catch(flow.wait, ctx, future)
return 1
""",
            chance=Latest(),
        )
        == "1"
    )


def test_branches_that_are_open_when_main_ends_are_given_up():
    run = run_of("""
def work(ctx):
    test.ask(ctx)
    print("never")

def main(ctx, input):
    flow.spawn(ctx, work, ctx)
    test.echo(ctx)
""")
    run.answer(2)
    run.arrive()
    assert run.result == "null"
    assert run.prints == []


def test_main_that_does_not_wait_ends_before_its_branches_begin():
    run = run_of("flow.spawn(ctx, print, 'never')\nreturn 1")
    assert (run.result, run.prints) == ("1", [])


def test_a_sleep_beside_a_branch_ends_with_wake():
    run = run_of("""
flow.spawn(ctx, test.ask, ctx)
time.sleep(ctx, time.second)
time.sleep(ctx, time.second)
""")
    sleep = next(event for event in run.log if event.NAME == "SLEEP")
    assert sleep.explicit_wake
    for _ in range(2):
        run.ledger.woke(next(iter(run.history.sleeps)))
        run.arrive()
    assert run.kinds.count("WAKE") == 2


def test_a_sleep_after_all_branches_have_ended_needs_no_wake():
    run = run_of("""
flow.wait(ctx, flow.spawn(ctx, test.echo, ctx))
time.sleep(ctx, time.second)
return 1
""").go_on()
    assert run.kinds == ["START", "CALL", "RETURN", "SLEEP", "FINISH"]


def test_branches_share_what_they_close_over():
    assert (
        result_of("""
def main(ctx, input):
    seen = []
    def work(n):
        seen.append(test.echo(ctx, n))
    flow.wait(ctx, [flow.spawn(ctx, work, n) for n in range(3)])
    return sorted(seen)
""")
        == "[0,1,2]"
    )


def test_a_list_that_one_branch_goes_through_cannot_be_changed_by_another():
    assert "during iteration" in error_of(
        """
def main(ctx, input):
    shared = [1, 2]
    def walk():
        for x in shared:
            test.ask(ctx, x)
    walker = flow.spawn(ctx, walk)
    test.echo(ctx)
    shared.append(3)
""",
        chance=Latest(),
    )


class Latest(Random):
    """Answers what was asked last."""

    def choice(self, seq):
        return max(seq)


def test_a_function_that_one_branch_is_in_is_not_recursive_for_another():
    """Each branch has recursion flags of its own."""
    assert (
        result_of("""
def outer(ctx, f, n):
    return f(ctx, f, n)

def inner(ctx, f, n):
    return test.echo(ctx, n)

def main(ctx, input):
    futures = [flow.spawn(ctx, outer, ctx, inner, n) for n in range(4)]
    return flow.wait(ctx, futures)
""")
        == "[0,1,2,3]"
    )


def test_recursion_is_still_seen_within_a_branch():
    assert "called recursively" in error_of("""
def loop(ctx, f):
    test.echo(ctx)
    return f(ctx, f)

def main(ctx, input):
    flow.wait(ctx, [flow.spawn(ctx, loop, ctx, loop) for _ in range(2)])
""")


def test_branches_that_wait_for_each_other_are_a_deadlock():
    text = """
def main(ctx, input):
    futures = []
    def work():
        return flow.wait(ctx, futures)
    futures.append(flow.spawn(ctx, work))
    flow.wait(ctx, futures)
"""
    assert error_of(text) == "deadlock: all branches wait for each other"


def test_a_deadlock_is_seen_once_nothing_can_come_any_more():
    run = run_of("""
def main(ctx, input):
    futures = []
    def work():
        return flow.wait(ctx, futures)
    futures.append(flow.spawn(ctx, work))
    flow.start(ctx, test.echo)
    print(flow.catch(flow.wait, ctx, futures).error.message)
    return 1
""")
    assert run.turned is Turn.BLOCKED
    run.go_on()
    assert run.prints == ["deadlock: all branches wait for each other"]
    assert run.result == "1"


def test_the_first_of_branches_gives_up_the_rest_and_what_they_waited_for():
    run = run_of("""
def slow(ctx):
    flow.wait_signal(ctx, "go")
    print("never")

def main(ctx, input):
    futures = [flow.spawn(ctx, slow, ctx), flow.spawn(ctx, test.echo, ctx, 5)]
    won = flow.first(ctx, futures)
    code = flow.catch(flow.wait, ctx, futures[0]).error.code
    return [won, code, flow.wait_signal(ctx, "go")]
""")
    run.answer(3)
    run.arrive()
    assert run.log[-2].dropped_versions == (2,)
    run.send("go", "now")
    assert run.result == '[[1,5],"STARFLOW_DROPPED","now"]'


def test_a_branch_that_gives_itself_up_goes_on():
    assert (
        result_of("""
def main(ctx, input):
    futures = []
    def work():
        flow.first(ctx, [flow.start(ctx, test.echo, 1)] + futures)
        return test.echo(ctx, "alive")
    futures.append(flow.spawn(ctx, work))
    return flow.wait(ctx, futures)
""")
        == '["alive"]'
    )


def test_too_many_branches_park_the_run():
    run = run_of(
        "for n in range(6):\n    flow.spawn(ctx, test.ask, ctx)",
        limits=Limits(max_branches=5),
    )
    assert run.turned is Turn.PARKED
    assert run.machine.abort.limit == "max_branches"


def test_a_limit_that_a_branch_breaks_parks_the_run():
    run = run_of(
        "flow.wait(ctx, flow.spawn(ctx, lambda: [x for x in range(100000)]))",
        limits=Limits(max_steps=1_000),
    )
    assert run.turned is Turn.PARKED
    assert run.machine.abort.limit == "max_steps"


def test_branches_are_sliced_like_main():
    run = run_of(
        """
def work(ctx, n):
    for i in range(1000):
        n += i
    return n

def main(ctx, input):
    return flow.wait(ctx, [flow.spawn(ctx, work, ctx, n) for n in range(3)])
""",
        limits=Limits(slice_steps=100),
    )
    assert run.result == "[499500,499501,499502]"


def test_spawning_in_a_loop_is_sliced_and_ends_at_the_limit_of_steps():
    run = run_of(
        """
for n in range(100000):
    flow.wait(ctx, flow.spawn(ctx, len, []))
""",
        limits=Limits(max_steps=20_000, max_allocated_bytes=10**12),
    )
    assert run.machine.abort.limit == "max_steps"


def test_a_thousand_branches_with_a_thousand_answers():
    run = run_of("""
def work(ctx, n):
    return test.echo(ctx, n) + test.echo(ctx, n)

def main(ctx, input):
    futures = [flow.spawn(ctx, work, ctx, n) for n in range(1000)]
    total = 0
    for n in flow.wait(ctx, futures):
        total += n
    return total
""").go_on()
    assert run.result == "999000"
    run.reload()
    assert run.machine.abort is None


def test_killed_branches_leave_nothing_behind():
    def live():
        gc.collect()
        return sum(isinstance(thing, greenlet) for thing in gc.get_objects())

    before = live()
    run = run_of("""
def work(ctx):
    held = [0] * 100
    test.ask(ctx)

def main(ctx, input):
    flow.wait(ctx, [flow.spawn(ctx, work, ctx) for n in range(100)])
""")
    assert live() - before > 100
    run.machine.kill()
    del run
    assert live() == before


# flow.map


def test_a_function_of_workers_over_items():
    assert result_of("return flow.map(ctx, test.echo, [3, 1, 2])") == "[3,1,2]"


def test_a_function_of_the_script_over_items():
    body = "return flow.map(ctx, lambda ctx, x: test.echo(ctx, x) * 2, range(4))"
    assert result_of(body) == "[0,2,4,6]"


def test_nothing_is_asked_about_no_items():
    run = run_of("return flow.map(ctx, test.echo, [])")
    assert (run.result, run.kinds) == ("[]", ["START", "FINISH"])


@pytest.mark.parametrize("fn", ["test.echo", "lambda ctx, x: test.echo(ctx, x)"])
def test_no_more_than_allowed_are_under_way(fn):
    run = run_of(f"return flow.map(ctx, {fn}, range(7), max_concurrency=3)")
    most = 0
    while run.result is None:
        most = max(most, len(run.history.calls))
        run.step()
    assert most == 3
    assert run.result == "[0,1,2,3,4,5,6]"


def test_more_than_the_cap_of_open_calls_wait_their_turn():
    for fn, limits in (
        ("test.echo", Limits(max_open_calls=4)),
        ("lambda ctx, x: test.echo(ctx, x)", Limits(max_branches=3)),
    ):
        body = f"flow.start(ctx, test.ask)\nreturn flow.map(ctx, {fn}, range(9))"
        run = run_of(body, limits=limits)
        while run.result is None:
            run.answer(max(v for v in run.history.calls if v != 2))
            run.arrive()
        assert run.result == "[0,1,2,3,4,5,6,7,8]"


def test_the_first_failure_to_come_ends_a_map_and_gives_up_the_rest():
    run = run_of("""
r = flow.catch(flow.map, ctx, test.odd, [1, 2, 4, 3])
return r.error.message
""")
    for version in (5, 4):
        run.answer(version)
        run.arrive()
    assert run.kinds[-2:] == ["DROP", "FINISH"]
    assert run.log[-2].dropped_versions == (2, 3)
    assert run.result == '"4 is even"'


def test_a_map_may_return_its_errors():
    found = json.loads(
        result_of("""
results = flow.map(ctx, test.odd, [1, 2, len], errors="return")
return [(r.ok, r.value, r.error.message if r.error else None) for r in results]
""")
    )
    assert found == [
        [True, 1, None],
        [False, None, "2 is even"],
        [False, None, "req: builtin_function_or_method has no JSON form"],
    ]


WRONG = {
    "flow.map(ctx, 1, [])": ("map: for parameter fn: got int, want a function"),
    "flow.map(ctx, test.echo, 1)": ("map: for parameter items: got int, want iterable"),
    "flow.map(ctx, test.echo, [], max_concurrency=-1)": (
        "map: for parameter max_concurrency: got int, want 0 or more"
    ),
    "flow.map(ctx, test.echo, [], errors='ignore')": (
        'map: for parameter errors: got "ignore", want "raise" or "return"'
    ),
    "flow.spawn(ctx, 1)": ("spawn: for parameter fn: got int, want a function"),
    "flow.spawn(1, len)": ("spawn: for parameter ctx: got int, want context"),
}


@pytest.mark.parametrize("expression", WRONG)
def test_what_makes_no_sense_is_refused(expression):
    assert error_of(expression) == f"flow.{WRONG[expression]}"


def test_a_future_of_a_branch_is_opaque():
    failure = run_of("return flow.spawn(ctx, len, [])").result
    assert isinstance(failure, Failure)
    assert "future has no JSON form" in failure.message
