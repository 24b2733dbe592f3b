"""What holds for all tests."""

import pytest

# These modules assert; unrewritten, a failure in them would say AssertionError and
# nothing else.
pytest.register_assert_rewrite("tests.support", "starflow_backends.testing")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="accept what golden tests produce now; a test that had to be rewritten "
        "fails all the same, so that this cannot turn a build green",
    )


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--rewrite"))
