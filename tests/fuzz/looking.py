"""What is said about a program without running it, and whether that can be true."""

from itertools import cycle

from starflow_service.runtime.schemas import RequestCheck
from starflow_service.starlark import Diagnostic
from starflow_service.starlark.bundle import Source
from starflow_service.starlark.check import check

# Reasons of ours that show only when a program is compiled.
_ONLY_COMPILED = frozenset({"TOO_COMPLEX", "LIMIT"})
# Schemas that workers may have registered, some of them broken.
_SCHEMAS = [
    '{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}',
    '{"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, true]}}}',
    '{"type": ["array", "null"], "items": {"maxLength": 3}, "uniqueItems": true}',
    '{"enum": [1, "a", null, [1.5]], "minimum": 1e308, "multipleOf": 0}',
    '{"properties": {"a": false}, "additionalProperties": {"const": {}}, "not": {}}',
    '{"type": 7, "items": "x", "required": {}, "if": [], "$ref": 5}',
    "true",
    "[",
]


def problem_of(script: Source, refused: list[Diagnostic] | None) -> str:
    """
    Return what is wrong with a look at *script*, or nothing.

    *refused* are the findings with which it was refused, None if it was compiled.
    """
    checked = check(script, known=["test.echo", "test.fail"])
    errors = [each for each in checked.findings if each.severity == "error"]
    if refused is None and errors:
        return f"a program that runs is said to be wrong: {errors[0].code}"
    if refused and not errors and not {each.code for each in refused} & _ONLY_COMPILED:
        return f"nothing is said about what is refused: {refused[0].code}"
    schemas = cycle(_SCHEMAS)
    requests = RequestCheck()
    for request, schema in zip(checked.requests, schemas, strict=False):
        requests.contradictions(request.function, schema, request.value)
    return ""
