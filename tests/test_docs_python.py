"""No snippet of the documents for Python programmers is left out by `test_docs.py`."""

import re

import pytest

from tests.test_docs import ROOT, fences

DOCUMENTS = ["docs/python.md", "docs/testing.md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_snippet_is_a_file_that_a_command_executes(document):
    all_fences = list(fences(ROOT / document))
    files = [f for f in all_fences if f.language in ("python", "starlark")]
    commands = "\n".join(f.text for f in all_fences if f.language == "sh")
    texts = "\n".join(f.text for f in files)

    assert all(f.word.endswith((".py", ".star")) for f in files)
    for file in files:
        stem = file.word.partition(".")[0]
        is_test = stem.startswith(("test_", "conftest")) and "pytest" in commands
        is_used = re.search(rf"\bfrom {stem} import|\"{re.escape(file.word)}\"", texts)
        assert is_test or is_used or file.word in commands, file.word


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_is_executed(document):
    shown = [f for f in fences(ROOT / document) if f.language == "sh"]

    assert {fence.word for fence in shown} <= {"run", "background"}
    assert shown
