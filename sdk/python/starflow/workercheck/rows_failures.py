"""Rows about failing, and about waiting for a signal."""

from starflow.workercheck.scene import Miss, Scene

_FAIL = """
load("flow", "call", "catch")
load("time", "millisecond")

def main(ctx, input):
    retry = {"max_attempts": 3, "initial": 50 * millisecond}
    result = catch(call, ctx, check.fail, input, retry=retry)
    if result.ok:
        return None
    return {
        "code": result.error.code,
        "message": result.error.message,
        "details": result.error.details,
    }
"""
_DETAILS = {"order": "A-1", "cents": 1999}


async def failures(scene: Scene) -> None:
    """Let it fail, and compare what the script learns."""
    said = {"code": "CARD_DECLINED", "message": "no, \u2013 n\u00e3o"}
    request = {**said, "details": _DETAILS, "retryability": "PERMANENT"}
    got = await scene.output(_FAIL, request)
    if got is None:
        raise Miss("check.fail returned instead of failing")
    for field, expected in {**said, "details": _DETAILS}.items():
        if got[field] != expected:
            raise Miss(f"the {field} is {got[field]!a}, not {expected!a}")


async def permanent(scene: Scene) -> None:
    """Let it fail for good, under a policy that would try again."""
    await _attempts(scene, "PERMANENT", 1)


async def undecided(scene: Scene) -> None:
    """Let it fail without a word about retries: the policy decides."""
    await _attempts(scene, "", 3)


async def _attempts(scene: Scene, retryability: str, expected: int) -> None:
    request = {
        "code": "BROKEN",
        "message": "it broke",
        "details": None,
        "retryability": retryability,
    }
    run = await scene.start(_FAIL, request)
    await scene.outcome(run)
    count = len(scene.record.deliveries(run.id))
    if count != expected:
        raise Miss(f"it was tried {count} times instead of {expected}")


async def retryable(scene: Scene) -> None:
    """Let it fail twice so that it is tried again, though there is no policy."""
    got = await scene.output("check.flaky", {"succeed_at": 3})
    if got != 3:
        raise Miss(f"check.flaky returned {got!a} and not 3, the number of the attempt")


async def yields(scene: Scene) -> None:
    """Let it yield, and signal."""
    run = await scene.start("check.wait")
    info = await scene.ended(run)
    if info.state != "YIELDED":
        raise Miss(f"the run is {info.state} instead of waiting for a signal")
    await run.signal(info.signal_ids[0], {"answer": 42})
    if (got := await scene.outcome(run)) != {"answer": 42}:
        raise Miss(f"the call returned {got!a}, not what the signal brought")


async def progress(scene: Scene) -> None:
    """Let one attempt report its progress, and the next one return it."""
    got = await scene.output("check.progress")
    if got != {"step": 1}:
        raise Miss(f'the next attempt returned {got!a}, not {{"step": 1}}')


async def oversize(scene: Scene) -> None:
    """Let it return more than a payload may hold."""
    run = await scene.start("check.large", {"bytes": (1 << 20) + 1})
    info = await scene.ended(run)
    if info.failure is None:
        raise Miss("the run succeeded, with less than what was asked for")
    tries = len(scene.record.deliveries(run.id))
    if tries > 1:
        raise Miss(f"it was executed {tries} times; nothing will make it smaller")


async def own_functions(scene: Scene) -> None:
    """See that it leaves alone what it never registered."""
    run = await scene.start("check.nobody_has_this")
    # Whoever asks for it has got it by the time that another call was executed.
    await scene.output("check.echo", "in the meantime")
    if scene.record.deliveries(run.id):
        raise Miss("it asked for check.nobody_has_this, which it did not register")
