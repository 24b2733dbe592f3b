"""Short scripts around `flow`, run by the driver."""

from starflow_service.engine.events import Failure, Retryability
from tests.support.driver import Run, WaitForSignal

HEADER = """load("flow", "flow")
load("time", "time")
load("rand", "rand")

"""
FUNCTIONS = {
    "test.echo": lambda req: req,
    "test.ask": lambda req: WaitForSignal(),
    "test.fail": lambda req: Failure(
        "CARD_DECLINED",
        "no money",
        retryability=Retryability.PERMANENT,
        details='{"bank": "x"}',
    ),
    "test.odd": lambda req: req if req % 2 else Failure("EVEN", f"{req} is even"),
}


def run_of(text, payload=None, **kwargs):
    """Begin a script; *text* is `main`'s body, or everything from the first def on."""
    if "def main" not in text:
        lines = "\n".join(f"    {line}" for line in text.strip("\n").splitlines())
        text = f"def main(ctx, input):\n{lines}\n"
    return Run(HEADER + text, FUNCTIONS, payload, **kwargs)


def result_of(text, payload=None, **kwargs):
    """Run a script to its end, and once more as a replay; return its result."""
    run = run_of(text, payload, **kwargs).go_on()
    assert run.result is not None, run.machine.abort or "it still waits"
    length = len(run.log)
    run.reload()
    assert run.machine.abort is None
    assert len(run.log) == length
    return run.result


def error_of(text, **kwargs):
    """Return the message that a script fails with."""
    failure = result_of(text, **kwargs)
    assert isinstance(failure, Failure), failure
    return failure.message
