"""
Runs one program and says what is wrong with how it ended, if anything is.

A program may be refused with findings, may fail with an error of its own, may break a
limit, and may wait for ever.  It may not end in an internal error, raise anything, say
words of Python, or decide otherwise when it is replayed.
"""

import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from starflow_service.engine.errors import ReplayMismatch
from starflow_service.engine.events import Failure, Retryability
from starflow_service.engine.machine import Turn
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.starlark import (
    InternalError,
    LimitError,
    Limits,
    ScriptSyntaxError,
)
from starflow_service.starlark.diagnostics import Diagnostic
from tests.fuzz import looking
from tests.fuzz.bundling import from_text
from tests.support.driver import Function, Run, WaitForSignal, World

# Small, so that a program that runs away does not run far.
LIMITS = Limits(
    max_steps=200_000,
    max_allocated_bytes=16 * 1024 * 1024,
    bytes_per_event=1024,
    max_events=200,
    max_open_calls=50,
    max_print_bytes=8192,
)
# What is in an error must be in the language's words.  Whatever the program says itself
# may be quoted.
PYTHON_WORDS = re.compile(
    r"object has no|object is not|object does not|object cannot|unsupported operand"
    r"|not supported between|<class|<module|<bound|<built-in method|<generator"
    r"|0x[0-9a-f]{8,}|starflow_service|greenlet|\.py\b|internal error"
    r"|\b(?:Type|Value|Key|Index|Attribute|Runtime|Name|Syntax|Overflow|Memory"
    r"|Recursion|Assertion|System|Unicode\w*|ZeroDivision|StopIteration)Error\b"
    r"|codec can't|takes \d+ positional|required positional"
    r"|NoneType' |mappingproxy|dict_keys|FunctionType|maximum recursion"
    r"|\w![\w.]|![a-z]\w*\b(?=\()|\bLockedList|\bFrozenList|\bLockedDict|\bFrozenDict"
)
STEPS_MAX = 400
# Longer ones are not played again with a restart after each step.
RESTARTED_EVENTS_MAX = 20


class Answers(Mapping[str, Function]):
    """Functions of every name, which return what their names say."""

    def __getitem__(self, name: str) -> Function:
        last = name.rpartition(".")[2]
        if last == "fail":
            return _fail
        if last == "ask":
            return lambda req: WaitForSignal(10**9)
        if last == "deep":
            return lambda req: [[[[[[req]]]]], {"a": {"b": [req, None, 1.5, 2**70]}}]
        if last == "big":
            return lambda req: ["x" * 1000] * 50
        return lambda req: req

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _fail(req: Any) -> Failure:
    return Failure(
        "CARD_DECLINED",
        str(req)[:200],
        retryability=Retryability.PERMANENT,
        details='{"a": [1]}',
    )


@dataclass(frozen=True)
class Verdict:
    """
    How a program ended.

    `problem` is empty if it ended as a program may; it is the same for programs that
    show the same fault, as far as that can be told.
    """

    end: str
    problem: str = ""
    details: str = ""


def judge(source: str, *, seed: int = 0, replays: bool = True) -> Verdict:
    """Compile *source*, run it to where nothing more happens, and replay it."""
    try:
        return _looked_at(source, _played(source, seed, replays=replays), None)
    except ScriptSyntaxError as error:
        return _looked_at(source, _refusal(source, error.diagnostics), error)
    except Exception as error:
        return Verdict("raised", _name_of(error), traceback.format_exc())


def _looked_at(
    source: str, verdict: Verdict, refused: ScriptSyntaxError | None
) -> Verdict:
    if verdict.problem:
        return verdict
    try:
        findings = None if refused is None else refused.diagnostics
        problem = looking.problem_of(from_text(source) or source, findings)
    except Exception as error:
        details = traceback.format_exc()
        return Verdict(verdict.end, f"a look raises {_name_of(error)}", details)
    return Verdict(verdict.end, problem, str(refused))


def _name_of(error: BaseException) -> str:
    """Name a fault by its kind and by the function of ours that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{f.filename.rpartition('/')[2]}:{f.name}" for f in frames]
    return f"{type(error).__name__} in {ours[-1] if ours else '?'}"


def _refusal(source: str, findings: list[Diagnostic]) -> Verdict:
    lines = source.count("\n") + source.count("\r") + 2
    if not findings or all(each.severity != "error" for each in findings):
        return Verdict("refused", "refused without an error")
    for each in findings:
        line, column = each.pos
        if not (1 <= line <= lines and column >= 1):
            return Verdict("refused", "a finding is nowhere", str(each))
        if word := foreign_word(f"{each.message} {each.hint}", source):
            return Verdict("refused", f"a finding says {word}", str(each))
    return Verdict("refused")


def foreign_word(text: str, source: str) -> str:
    """Return a word of Python in *text* that is not in the program, or nothing."""
    # A hint may write a number of the program without its underscores.
    said = source.lower() + source.lower().replace("_", "")
    for found in PYTHON_WORDS.finditer(text):
        if found[0].lower() not in said:
            return found[0]
    return ""


def play(
    source: str,
    seed: int = 0,
    *,
    input: Any = None,
    limits: Limits = LIMITS,
    restarts: bool = False,
) -> Run:
    """
    Run *source* to where nothing more happens by itself.

    With *restarts* its interpreter is thrown away after every step.
    """
    run = Run(
        from_text(source) or source,
        Answers(),
        input or [seed, {"a": [1.5, None, "é"]}],
        world=World(seed),
        limits=limits,
        chance=Random(seed),
    )
    chance = Random(seed + 1)
    for _ in range(STEPS_MAX):
        if chance.random() < 0.1:
            _disturb(run, chance)
        elif not run.step() and not _signalled(run):
            break
        if restarts and run.result is None and run.turned is not Turn.PARKED:
            run.reload()
    return run


def _disturb(run: Run, chance: Random) -> None:
    """Let somebody signal the run, or cancel it."""
    if run.result is not None:
        return
    if chance.random() < 0.9:
        run.send(chance.choice(["go", "stop"]), {"n": chance.randrange(9)})
    else:
        run.cancel("by chance")


def _played(source: str, seed: int, *, replays: bool) -> Verdict:
    run = play(source, seed)
    verdict = _end_of(source, run)
    if not verdict.problem and not _survives_storage(run):
        verdict = Verdict(verdict.end, "an event does not come back from its bytes")
    run.machine.kill()
    if verdict.problem or not replays or run.turned is Turn.PARKED:
        return verdict
    if len(run.log) < RESTARTED_EVENTS_MAX:
        restarted = play(source, seed, restarts=True)
        restarted.machine.kill()
        if restarted.log != run.log:
            details = f"{run.log}\n{restarted.log}"
            return Verdict(verdict.end, "restarts change the log", details)
    return _replayed(run, verdict)


def _signalled(run: Run) -> bool:
    """Answer a call that yielded; False if there is none."""
    if run.result is not None or run.turned is Turn.PARKED:
        return False
    if not run.history.signal_ids:
        return False
    run.signal({"by": "chance"})
    return True


def _end_of(source: str, run: Run) -> Verdict:
    if run.turned is Turn.PARKED:
        return _parked(source, run)
    if run.result is None:
        return Verdict("waiting")
    if not isinstance(run.result, Failure):
        return Verdict("returned")
    failure = run.result
    said = f"{failure.message}\n{failure.stack_trace}"
    if word := foreign_word(said, source):
        return Verdict("failed", f"a failure says {word}", said)
    if len(failure.message) > LIMITS.max_message + 100:
        return Verdict("failed", "a message has no bound", said[:1000])
    return Verdict("failed")


def _parked(source: str, run: Run) -> Verdict:
    abort = run.machine.abort
    if not isinstance(abort, LimitError) or abort.limit == "memory":
        cause = abort.__cause__ if isinstance(abort, InternalError) else abort
        assert cause is not None
        details = "".join(traceback.format_exception(cause))
        return Verdict("parked", _name_of(cause), f"{abort!r}\n{details}")
    if word := foreign_word(abort.message, source):
        return Verdict("parked", f"a limit says {word}", abort.message)
    return Verdict(f"limit {abort.limit}")


def _survives_storage(run: Run) -> bool:
    codec = ProtoCodec()
    return all(codec.decode(codec.encode(event)) == event for event in run.log)


def _replayed(run: Run, verdict: Verdict) -> Verdict:
    """Replay the whole log at once: nothing may be added, and nothing may differ."""
    run.reload()
    abort, new = run.machine.abort, run.ledger.take()
    prints = run.machine.take_prints()
    run.machine.kill()
    if abort is not None:
        kind = "mismatch" if isinstance(abort, ReplayMismatch) else "fault"
        return Verdict(verdict.end, f"{kind} in replay", repr(abort))
    if new:
        return Verdict(verdict.end, "a replay adds events", repr(new))
    if prints:
        return Verdict(verdict.end, "a replay prints again", repr(prints))
    return verdict
