"""The workers of examples/workers are short, and survive everything."""

import os
import re

import pytest

from starflow.workercheck import rows_over
from tests.polyglot.toolchains import EXAMPLES, PRESENT, WORKERS, left_out

LINES_MAX = 80

COMMENT = re.compile(r"\s*(//|#|\*|/\*)")
IMPORT = re.compile(r"\s*(import|use|mod|package)\b")
GO_IMPORTS = re.compile(r"^import \(.*?^\)$", re.MULTILINE | re.DOTALL)


def name_of(example):
    return example.name


@pytest.mark.system
@pytest.mark.parametrize("example", PRESENT, ids=name_of)
def test_an_example_passes(example, checks):
    found = checks[example.name].result()

    assert [row for row in found.values() if row["result"] == "FAIL"] == []
    applied = [name for name, row in found.items() if row["result"] == "PASS"]
    assert applied == [
        row.name
        for row in rows_over(streams=False)
        if example.profile in (row.profile, "full")
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_the_protocol_takes_few_lines(example):
    text = GO_IMPORTS.sub("", (WORKERS / example.name / example.protocol).read_text())
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not COMMENT.match(line) and not IMPORT.match(line)
    ]

    assert 40 < len(lines) <= LINES_MAX


def test_no_language_is_left_out_where_all_are_required():
    if os.environ.get("TOOLCHAINS") == "required":
        assert left_out() == []
    else:
        absent = [example.name for example in EXAMPLES if example.missing]
        named = " ".join(left_out())
        assert [name for name in absent if f"in {name}:" not in named] == []
