"""Runs one script in a process of its own, and says in JSON how it ended.

A script that gets past the meter takes this process down, by its address space or its
patience, and not the tests.
"""

import json
import resource
import sys

from starflow_service.starlark import (
    Aborted,
    Failed,
    LimitError,
    Limits,
    Outcome,
    Returned,
    ScriptSyntaxError,
    Sliced,
    Suspended,
    Thread,
    compile_program,
)
from tests.starlark.scripted_host import ScriptedHost

ADDRESS_SPACE = 1024 * 1024 * 1024
# A fifth of the default, so that the tests take a fifth of the time.
LIMITS = Limits(max_steps=2_000_000)


def run(source: str) -> dict[str, object]:
    try:
        program = compile_program(source)
    except ScriptSyntaxError as error:
        return {"end": "refused", "message": error.diagnostics[0].message}
    thread = Thread(program, ScriptedHost({"f.f": lambda req: req}), LIMITS)
    outcome = thread.start(lambda m: None)
    while isinstance(outcome, Suspended | Sliced):
        outcome = thread.resume()
    return described(outcome)


def described(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, Failed):
        trace = outcome.error.backtrace()
        return {"end": "failed", "message": outcome.error.message, "trace": trace}
    if isinstance(outcome, Aborted):
        abort = outcome.abort
        limit = abort.limit if isinstance(abort, LimitError) else ""
        cause = repr(abort.__cause__) if abort.__cause__ else ""
        end = "limit" if limit else "internal"
        return {"end": end, "limit": limit, "message": abort.message, "cause": cause}
    assert isinstance(outcome, Returned)
    return {"end": "returned", "message": ""}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    result = run(sys.stdin.read())
    used = resource.getrusage(resource.RUSAGE_SELF)
    result["peak_mib"] = used.ru_maxrss // 1024
    result["cpu_seconds"] = used.ru_utime + used.ru_stime
    sys.stdout.write(json.dumps(result))
