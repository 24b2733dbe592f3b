"""What ValidateScript and Run say about a script, with what workers registered."""

import json

from starflow.v1 import workflow_service_pb2 as pb
from tests.service.calls import refusal, register, start

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"cents": {"type": "integer"}, "to": {"type": "string"}},
        "required": ["cents"],
        "additionalProperties": False,
    }
)


async def findings(workflows, script, **fields):
    request = pb.ValidateScriptRequest(script=script, **fields)
    answer = await workflows.ValidateScript(request)
    return answer.valid, [(each.code, each.line) for each in answer.diagnostics]


async def test_all_findings_are_told_in_order(workflows):
    script = (
        "def f(x):\n    return x is None\n"
        "def main(ctx, input):\n    y = f(undefined)\n    shop.buy({})\n"
        "    return y +\n"
    )

    assert await findings(workflows, script) == (
        False,
        [
            ("NOT_STARLARK", 2),
            ("UNDEFINED_NAME", 4),
            ("MISSING_CTX", 5),
            ("UNKNOWN_FUNCTION", 5),
            ("SYNTAX", 6),
        ],
    )


async def test_a_run_is_refused_with_all_errors_and_no_warnings(workflows):
    script = "def main(ctx, input):\n    x = 1 is 2\n    y = unknown\n    return None\n"

    refused = await refusal(start(workflows, script))

    assert refused.reason == "SCRIPT_INVALID"
    assert refused.message.startswith("script:2:11: ")
    assert ", and 1 more" in refused.message


async def test_a_valid_script_may_have_warnings(workflows, workers):
    await register(workers, "shop.buy")
    script = "def main(ctx, input):\n    unused = 1\n    return shop.buy()\n"

    assert await findings(workflows, script) == (
        True,
        [("UNUSED_VARIABLE", 2), ("MISSING_CTX", 3)],
    )


async def test_modules_of_python_are_no_functions_of_workers(workflows):
    script = "def main(ctx, input):\n    return random.randint(ctx, 6)\n"

    answer = await workflows.ValidateScript(pb.ValidateScriptRequest(script=script))

    [found] = answer.diagnostics
    assert found.code == "UNKNOWN_FUNCTION"
    assert 'load("rand", "rand")' in found.hint


async def test_a_function_without_its_module_comes_with_its_whole_name(
    workflows, workers
):
    await register(workers, "payments.charge")
    script = "def main(ctx, input):\n    return charge(ctx, input)\n"

    answer = await workflows.ValidateScript(pb.ValidateScriptRequest(script=script))

    [found] = answer.diagnostics
    assert found.code == "UNDEFINED_NAME"
    assert found.hint == "did you mean the function payments.charge of a worker?"


async def test_a_registered_function_is_no_slip_of_a_variable(workflows, workers):
    script = (
        "def main(ctx, input):\n    response = 1\n    respnse.get(ctx)\n"
        "    return response\n"
    )
    assert await findings(workflows, script) == (
        False,
        [("SUSPICIOUS_NAME", 3), ("UNKNOWN_FUNCTION", 3)],
    )

    await register(workers, "respnse.get")

    assert await findings(workflows, script) == (True, [])


async def test_requests_are_held_against_registered_schemas(workflows, workers):
    await register(workers, "shop.pay", input_schema=SCHEMA)
    script = """load("flow", "catch", "start", "wait")
def main(ctx, input):
    shop.pay(ctx, {"cents": input["n"], "to": "ada"})
    shop.pay(ctx, {"cents": "5"})
    shop.pay(ctx=ctx, req={"cent": 5})
    result = catch(shop.pay, ctx, {"cents": 5, "to": 1})
    return [result.ok, wait(ctx, start(ctx, shop.pay, 5))]
"""

    request = pb.ValidateScriptRequest(script=script)
    answer = await workflows.ValidateScript(request)

    assert answer.valid
    assert [(d.code, d.line, d.column) for d in answer.diagnostics] == [
        ("BAD_REQUEST", 4, 29),
        ("BAD_REQUEST", 5, 27),
        ("BAD_REQUEST", 5, 27),
        ("BAD_REQUEST", 6, 54),
        ("BAD_REQUEST", 7, 55),
    ]
    assert "is a string, want integer" in answer.diagnostics[0].message


async def test_schemas_are_those_of_the_namespace(workflows, workers):
    await register(workers, "shop.pay", input_schema=SCHEMA)
    script = "def main(ctx, input):\n    return shop.pay(ctx, {})\n"

    assert await findings(workflows, script) == (True, [("BAD_REQUEST", 2)])
    assert await findings(workflows, script, namespace="other") == (
        False,
        [("UNKNOWN_FUNCTION", 2)],
    )


async def test_a_script_that_is_too_complex_is_told_so(workflows):
    loops = "".join(f"{'    ' * n}for x{n} in [1]:\n" for n in range(1, 60))
    script = f"def main(ctx, input):\n{loops}{'    ' * 60}pass\n"

    valid, found = await findings(workflows, script)

    assert not valid
    assert [code for code, _ in found] == ["TOO_COMPLEX"]


async def test_a_long_script_is_looked_at_like_a_short_one(workflows):
    script = "def main(ctx, input):\n" + "    x = 1 is 1\n" * 400

    valid, found = await findings(workflows, script)

    assert not valid
    assert found[99:] == [("NOT_STARLARK", 101), ("MORE", 102)]
    assert len(found) == 101
