"""
Scripts in the forms that the Go original's users write, run unchanged.

Their loads, keyword and positional calls, durations and yields; and the event sequence
that the original leaves for three phases, two of which wait for a person.
"""

import json
from collections import Counter

import pytest

from starflow_service.engine.events import Failure, RetryPolicy
from starflow_service.runtime.types import RunState, YieldResult
from tests.engine import corpus
from tests.runtime.harness import NS, shop, working

QUICK = RetryPolicy(initial_ns=1_000_000, max_attempts=3)

SCRIPTS = {
    "a call by keywords": (
        """
def main(ctx, input):
    # Call our registered function with JSON data
    result = module.echoFn(ctx=ctx, req={"value": input["value"]})
    # Return the result
    return result
""",
        {"value": "hello"},
        {"value": "hello"},
    ),
    "a call by position, tabs, a docstring": (
        '''
"""assistant"""

load("json", json_decode="decode")

tools = [
        {
            "type": "function",
        }
    ]

def main(ctx, input):
\t"""Answer."""
\targs = json_decode('{"memory": "' + input["value"] + '"}')
\tstored = module.echoFn(ctx, {"value": args["memory"], "tools": tools})
\tfor iteration in range(5):
\t\tis_final = (iteration == 5 - 1)
\t\tif is_final:
\t\t\tbreak
\tlines = ["- " + stored["value"]]
\ttext = \'\'\'Recent: {memories}\'\'\'.format(memories="\\n".join(lines))
\treturn {"response": [{"content": text}][-1].get("content", "")}
''',
        {"value": "tea"},
        {"response": "Recent: - tea"},
    ),
    "members of the libraries": (
        """
load("time", "sleep", "now", "parse_duration", "millisecond")
load("rand", "int")
load("math", "sqrt")

def main(ctx, input):
    before = now(ctx=ctx)
    sleep(ctx=ctx, duration=parse_duration("1ms"))
    sleep(ctx, 2 * millisecond)
    number = int(ctx=ctx, max=100)
    return {
        "root": sqrt(16),
        "in range": 0 <= number and number < 100,
        "later": before < now(ctx),
        "text": type(before),
    }
""",
        None,
        {"root": 4.0, "in range": True, "later": True, "text": "string"},
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_of_the_original_runs_unchanged(name):
    script, payload, expected = SCRIPTS[name]
    async with shop() as s, working(s, {"module.echoFn": lambda req: req}):
        await s.start(script, payload)
        view = await s.finished()
        assert view.state is RunState.SUCCEEDED, view.result
        assert json.loads(view.result) == expected


async def test_three_phases_leave_the_originals_sequence_with_retries_inside():
    attempts: Counter[int] = Counter()
    async with shop() as s:
        await s.register("phase.Approve", "phase.Work", retry=QUICK)
        await s.start(corpus.THREE_PHASES, {"name": "Ada"})
        while (await s.view()).result is None:
            task = await s.take("phase.Approve", "phase.Work")
            attempts[task.call_version] += 1
            if task.attempt < 3:
                await s.report(task, Failure("FLAKY", "not yet"))
            elif task.function == "phase.Work":
                await s.report(task, '"worked"')
                await s.finished()
            else:
                await s.report(task, YieldResult(None))
                approval = '{"approved": true}'
                await s.runtime.signal(NS, "run", task.signal_id, approval, False)
        assert await s.kinds() == (
            "START TIME_NOW RAND_INT CALL YIELD RESUME SLEEP CALL YIELD RESUME SLEEP"
            " RAND_INT CALL RETURN TIME_NOW FINISH"
        )
        assert list(attempts.values()) == [3, 3, 3]
