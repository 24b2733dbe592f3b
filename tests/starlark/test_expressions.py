from pathlib import Path

import pytest

from tests.starlark.evaluate import evaluate

FOLDER = Path(__file__).parent / "testdata/expressions"


def expressions() -> list[tuple[str, str]]:
    pairs = []
    for path in sorted(FOLDER.glob("*.txt")):
        lines = path.read_text().splitlines()
        lines = [line for line in lines if line and not line.startswith("#")]
        pairs += zip(lines[::2], lines[1::2], strict=True)
    return pairs


@pytest.mark.parametrize(("expression", "expected"), expressions())
def test_an_expression_is_what_its_file_says(expression: str, expected: str) -> None:
    assert evaluate(expression).strip() == expected.strip()


# Words that only CPython's own messages, or the insides of ours, contain.
PYTHON_WORDS = (
    "object is not", "object has no", "Traceback", "<class", "0x7f", "NoneType' ",
    "positional-only", "takes ", "must be str,", "unhashable type: '", "internal",
    "greenlet", "starflow_service", "!",
)  # fmt: skip


@pytest.mark.parametrize("end", [e for _, e in expressions() if "error:" in e])
def test_no_error_speaks_python(end: str) -> None:
    assert not [word for word in PYTHON_WORDS if word in end]
