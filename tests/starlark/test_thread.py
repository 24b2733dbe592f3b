import gc
import weakref
from typing import Any

import pytest
from greenlet import getcurrent, greenlet

from starflow_service.starlark import (
    Aborted,
    Context,
    EvalError,
    Failed,
    InternalError,
    LimitError,
    Limits,
    Meter,
    Outcome,
    Returned,
    Sliced,
    Suspended,
    Thread,
    compile_program,
)
from tests.starlark.scripted_host import ScriptedHost

PING = """
def main(ctx, input):
    x = test.Ping(ctx, input)
    return test.Ping(ctx, x + 1)
"""


def thread(source: str, host: ScriptedHost | None = None, **limits: int) -> Thread:
    host = host or ScriptedHost({"test.Ping": lambda req: req * 10}, waits=True)
    return Thread(compile_program(source), host, Limits(**limits))


def finish(running: Thread, outcome: Outcome) -> Outcome:
    while isinstance(outcome, Suspended | Sliced):
        outcome = running.resume()
    return outcome


def value_of(outcome: Outcome) -> Any:
    assert isinstance(outcome, Returned), outcome
    return outcome.value


def test_a_script_waits_in_each_call_and_returns() -> None:
    running = thread(PING)
    assert isinstance(running.start(lambda m: 1), Suspended)
    assert isinstance(running.resume(), Suspended)
    assert value_of(running.resume()) == 110


def test_a_call_that_need_not_wait_does_not_suspend() -> None:
    running = thread(PING, ScriptedHost({"test.Ping": lambda req: req * 10}))
    assert value_of(running.start(lambda m: 1)) == 110


def test_the_input_is_built_under_the_meter_of_the_run() -> None:
    seen: list[Meter] = []

    def build(m: Meter) -> int:
        seen.append(m)
        m.charge(100)
        return 0

    running = thread(PING)
    running.start(build)
    assert seen == [running.meter]
    assert running.meter.bytes <= Limits().max_allocated_bytes - 100
    running.kill()


def test_an_input_that_cannot_be_built_fails_the_run() -> None:
    def refuse(m: Meter) -> None:
        raise EvalError("no such input")

    outcome = thread(PING).start(refuse)
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "no such input"


def test_main_gets_an_opaque_context() -> None:
    outcome = thread("def main(ctx, input): return ctx").start(lambda m: None)
    assert type(value_of(outcome)) is Context


def test_a_waiting_script_tells_where_it_waits() -> None:
    running = thread(
        "def ask(ctx, x):\n"
        "    return test.Ping(ctx, x)\n"
        "def main(ctx, input):\n"
        "    return sorted([1, 2], key=lambda x: ask(ctx, x))\n"
    )
    running.start(lambda m: None)
    assert [str(frame) for frame in running.stack()] == [
        "script.star:4:18: in main",
        "script.star:4:44: in lambda",
        "script.star:2:21: in ask",
    ]
    assert value_of(finish(running, running.resume())) == [1, 2]
    assert running.stack() == []


def test_the_host_can_ask_for_the_stack() -> None:
    stacks: list[list[str]] = []

    class Asking(ScriptedHost):
        def call(self, m: Meter, function: str, req: Any) -> Any:
            stacks.append([str(frame) for frame in m.stack()])

    running = thread("x = 1\ndef main(ctx, input): a.b(ctx)", Asking())
    value_of(running.start(lambda m: None))
    assert stacks == [["script.star:2:26: in main"]]


def test_an_error_carries_the_stack_of_the_script() -> None:
    outcome = thread(
        "def inner(x):\n    return x['k']\n"
        "def main(ctx, input):\n    return [inner(x) for x in [{}]]\n"
    ).start(lambda m: None)
    assert isinstance(outcome, Failed)
    assert outcome.error.message == 'key "k" not in dict'
    assert outcome.error.backtrace() == (
        "Traceback (most recent call last):\n"
        "  script.star:4:18: in main\n"
        "  script.star:2:13: in inner"
    )
    assert outcome.error.__traceback__ is None


def test_an_error_of_the_host_is_the_scripts() -> None:
    def refuse(req: Any) -> Any:
        raise EvalError("payment refused", cause="the failure")

    running = thread(PING, ScriptedHost({"test.Ping": refuse}))
    outcome = running.start(lambda m: 1)
    assert isinstance(outcome, Failed)
    assert outcome.error.cause == "the failure"
    assert [frame.function for frame in outcome.error.stack] == ["main"]


def test_an_error_at_the_top_level_is_found_there() -> None:
    outcome = thread("x = 1\ny = x + ''\ndef main(ctx, input): pass").start(
        lambda m: None
    )
    assert isinstance(outcome, Failed)
    assert [str(f) for f in outcome.error.stack] == ["script.star:2:7: in <toplevel>"]


def test_a_busy_script_gives_way_and_goes_on() -> None:
    running = thread(
        "def main(ctx, input):\n"
        "    n = 0\n"
        "    for i in range(10000):\n"
        "        n += i\n"
        "    return n\n",
        slice_steps=100,
    )
    outcome = running.start(lambda m: None)
    slices = 0
    while isinstance(outcome, Sliced):
        slices += 1
        outcome = running.resume()
    assert slices == 99
    assert value_of(outcome) == 49995000


def test_an_endless_script_breaks_its_limit_where_it_stands() -> None:
    running = thread(
        "def main(ctx, input):\n    for i in range(1 << 40):\n        pass\n",
        max_steps=10_000,
    )
    outcome = finish(running, running.start(lambda m: None))
    assert isinstance(outcome, Aborted)
    assert isinstance(outcome.abort, LimitError)
    assert outcome.abort.limit == "max_steps"
    assert [str(f) for f in outcome.abort.stack] == ["script.star:2:5: in main"]


def test_a_grant_lets_a_long_run_go_on() -> None:
    source = (
        "def main(ctx, input):\n    for i in range(100):\n"
        "        for j in range(100): pass\n        test.Ping(ctx, 1)\n"
    )
    running = thread(source, max_steps=1_000)
    outcome = running.start(lambda m: None)
    while isinstance(outcome, Suspended | Sliced):
        if isinstance(outcome, Suspended):
            running.grant(1)
        outcome = running.resume()
    assert isinstance(outcome, Returned)


def test_a_list_is_unlocked_when_a_loop_over_it_fails() -> None:
    failing: list[Any] = []

    class Keeping(ScriptedHost):
        def call(self, m: Meter, function: str, req: Any) -> Any:
            failing.append(req)
            raise EvalError("no")

    outcome = thread(
        "def main(ctx, input):\n"
        "    x = [1]\n"
        "    for i in x:\n"
        "        for j in x: a.b(ctx, x)\n",
        Keeping(),
    ).start(lambda m: None)
    assert isinstance(outcome, Failed)
    assert type(failing[0]).__name__ == "List"


def test_killing_a_waiting_script_ends_it_and_frees_what_it_held() -> None:
    class Held:
        pass

    class Waiting(ScriptedHost):
        def call(self, m: Meter, function: str, req: Any) -> Any:
            m.suspend()

    running = thread(PING, Waiting())
    held = Held()
    gone = weakref.ref(held)
    running.start(lambda m, held=held: held)
    del held
    running.kill()
    running.kill()
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError, match="not waiting"):
        running.resume()


def test_killing_runs_no_code_of_the_script() -> None:
    host = ScriptedHost({"test.Ping": lambda req: req}, waits=True)
    running = thread(
        "def main(ctx, input):\n"
        "    for x in [1, 2]:\n"
        "        test.Ping(ctx, x)\n"
        "        print('after')\n",
        host,
    )
    running.start(lambda m: None)
    running.kill()
    assert host.printed == []
    assert host.asked == [("test.Ping", 1)]


def test_killing_a_thread_that_never_started_is_allowed() -> None:
    thread(PING).kill()


def test_a_thread_starts_once() -> None:
    running = thread(PING)
    running.start(lambda m: 1)
    with pytest.raises(RuntimeError, match="started before"):
        running.start(lambda m: 1)
    running.kill()


def test_a_script_cannot_resume_itself() -> None:
    class Wrong(ScriptedHost):
        def call(self, m: Meter, function: str, req: Any) -> Any:
            running.resume()

    running = thread(PING, Wrong())
    outcome = running.start(lambda m: 1)
    assert isinstance(outcome, Aborted)
    assert isinstance(outcome.abort, InternalError)


def test_our_own_bug_is_an_internal_error_without_pythons_words() -> None:
    class Broken(ScriptedHost):
        def call(self, m: Meter, function: str, req: Any) -> Any:
            return undefined_name  # noqa: F821

    outcome = thread(PING, Broken()).start(lambda m: 1)
    assert isinstance(outcome, Aborted)
    assert isinstance(outcome.abort, InternalError)
    assert outcome.abort.message == "internal error of the interpreter"
    assert isinstance(outcome.abort.__cause__, NameError)
    assert [frame.function for frame in outcome.abort.stack] == ["main"]


def test_running_out_of_memory_is_a_limit() -> None:
    class Greedy(ScriptedHost):
        def call(self, m: Meter, function: str, req: Any) -> Any:
            raise MemoryError

    outcome = thread(PING, Greedy()).start(lambda m: 1)
    assert isinstance(outcome, Aborted)
    assert isinstance(outcome.abort, LimitError)
    assert outcome.abort.limit == "memory"


def test_an_interrupt_passes_to_the_hub() -> None:
    class Interrupted(ScriptedHost):
        def call(self, m: Meter, function: str, req: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        thread(PING, Interrupted()).start(lambda m: 1)


def test_a_thread_may_be_entered_from_another_greenlet_each_time() -> None:
    running = thread(PING)
    outcomes: list[Outcome] = []
    greenlet(lambda: outcomes.append(running.start(lambda m: 1))).switch()
    greenlet(lambda: outcomes.append(running.resume())).switch()
    outcomes.append(running.resume())
    assert [type(outcome) for outcome in outcomes] == [Suspended, Suspended, Returned]
    assert getcurrent().parent is None


def test_many_threads_take_turns() -> None:
    program = compile_program(PING)
    host = ScriptedHost({"test.Ping": lambda req: req + 1}, waits=True)
    threads = [Thread(program, host) for _ in range(100)]
    for number, running in enumerate(threads):
        assert isinstance(running.start(lambda m, n=number: n), Suspended)
    for running in reversed(threads):
        assert isinstance(running.resume(), Suspended)
    results = [value_of(running.resume()) for running in threads]
    assert results == [number + 3 for number in range(100)]


def test_runs_of_a_program_share_no_globals() -> None:
    program = compile_program(
        "x = []\nx.append(len(x))\ndef main(ctx, input): return x\n"
    )
    first, second = (
        value_of(Thread(program, ScriptedHost()).start(lambda m: None))
        for _ in range(2)
    )
    assert first == second == [0]
    assert first is not second


def test_the_result_is_handed_to_the_host_before_the_end() -> None:
    host = ScriptedHost()
    value_of(thread("def main(ctx, input): return 5", host).start(lambda m: None))
    assert host.finished == [5]
