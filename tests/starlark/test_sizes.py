"""Limits on the size of a script that are lower than the front end's own."""

import pytest

from starflow_service.starlark.bundle import Bundle
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.sizes import too_large

SCRIPT = """
def main(ctx, input):
    if input:
        for n in [[1], [2]]:
            print((n))
"""


def found(script, **limits):
    return [finding.message for finding in too_large(script, Limits(**limits))]


@pytest.mark.parametrize(
    ("limit", "exact", "what"),
    [
        ("max_source_tokens", 41, "tokens"),
        ("max_source_nesting", 3, "levels of brackets or blocks"),
        ("max_source_nodes", 21, "nodes in its syntax tree"),
    ],
)
def test_a_script_may_be_as_large_as_the_limit_and_no_larger(limit, exact, what):
    assert found(SCRIPT, **{limit: exact}) == []
    assert found(SCRIPT, **{limit: exact - 1}) == [
        f"{limit}: script has {exact} {what}, of at most {exact - 1}"
    ]


def test_brackets_count_as_blocks_do():
    nested = "def main(ctx, input):\n    return [[[[input]]]]\n"

    assert found(nested, max_source_nesting=4) == []
    assert len(found(nested, max_source_nesting=3)) == 1


def test_each_file_of_a_bundle_is_measured():
    bundle = Bundle({"main.star": SCRIPT, "lib/deep.star": "X = [[[[1]]]]\n"})

    (finding,) = too_large(bundle, Limits(max_source_nesting=3))

    assert finding.file == "lib/deep.star"


def test_what_cannot_be_read_has_no_size():
    assert found("def main(:\n", max_source_nodes=1) == []


def test_nobody_measures_without_need():
    assert too_large("\0", Limits()) == []
