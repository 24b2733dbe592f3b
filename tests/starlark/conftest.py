"""Every error that any test here provokes is one that a script's author may read."""

from collections.abc import Iterator

import pytest

from starflow_service.starlark import EvalError
from tests.starlark.python_words import PYTHON_PHRASES


@pytest.fixture(autouse=True, scope="session")
def no_error_speaks_python() -> Iterator[None]:
    speaking: set[str] = set()
    original = EvalError.__init__

    def watched(self: EvalError, message: str, *, cause: object = None) -> None:
        if PYTHON_PHRASES.search(message):
            speaking.add(message[:500])
        original(self, message, cause=cause)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(EvalError, "__init__", watched)
        yield
    assert speaking == set()
