"""
Plays workflows and prints what their logs come to: the same in every process.

Each is played twice, once with restarts in between, and by several orders in which its
calls and sleeps end.
"""

import contextlib
import json
import locale
import sys
from collections.abc import Iterator
from hashlib import sha256
from random import Random

from starflow_service.engine.events import Event
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.starlark import ScriptSyntaxError
from tests.engine import corpus
from tests.fuzz.grammar import make_program
from tests.fuzz.verdict import play
from tests.support.branching import make_branching
from tests.support.driver import Run, WaitForSignal
from tests.support.workflows import make_workflow

ORDERS = range(3)
WORKFLOWS = range(40)
BRANCHING = range(30)
PROGRAMS = range(60)
# A workflow with branches begins again once.
ROUNDS = {"round": 0, "rounds": 1}


def logs() -> Iterator[tuple[str, list[Event]]]:
    """Yield the logs, each with a name."""
    for name in corpus.SCRIPTS:
        for order in ORDERS:
            yield f"{name}, {order}", corpus.play(name, seed=order).log
            restarted = corpus.play(name, seed=order, between=_restart)
            yield f"{name}, {order}, restarted", restarted.log
    for seed in WORKFLOWS:
        yield f"workflow {seed}", _workflow(seed, restarts=False)
        yield f"workflow {seed}, restarted", _workflow(seed, restarts=True)
    for seed in BRANCHING:
        for how in ("", ", restarted"):
            run = play(make_branching(seed), seed, input=ROUNDS, restarts=bool(how))
            run.machine.kill()
            yield f"branching {seed}{how}", run.log
    for seed in PROGRAMS:
        try:
            run = play(make_program(seed), seed)
        except ScriptSyntaxError as error:
            said = [(d.pos, d.message, d.hint) for d in error.diagnostics]
            sys.stdout.write(json.dumps([f"refusal {seed}", said]) + "\n")
            continue
        run.machine.kill()
        yield f"program {seed}", run.log


def _restart(run: Run) -> None:
    if run.result is None:
        run.reload()


def _workflow(seed: int, *, restarts: bool) -> list[Event]:
    functions = {"test.echo": lambda req: req, "test.ask": lambda req: WaitForSignal()}
    run = Run(make_workflow(seed), functions, chance=Random(seed))
    while run.result is None:
        if not run.step():
            run.signal({"seed": seed})
        if restarts:
            _restart(run)
    return run.log


def digest(log: list[Event]) -> str:
    """Return what stands for all bytes that are stored of *log*."""
    codec = ProtoCodec()
    whole = sha256()
    for event in log:
        data = codec.encode(event)
        whole.update(b"%d " % len(data) + data)
    return f"{len(log)} events, {whole.hexdigest()}"


if __name__ == "__main__":
    # As any program does that has words for people.
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "")
    for name, log in logs():
        sys.stdout.write(json.dumps([name, digest(log)]) + "\n")
