"""All checks side by side; and at the end, which languages were left out."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.polyglot.toolchains import left_out

# A check waits most of its time.
CHECKS_AT_A_TIME = 8


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(CHECKS_AT_A_TIME) as pool:
        yield pool


def pytest_terminal_summary(terminalreporter):
    for line in left_out():
        terminalreporter.write_line(f"NOT TESTED: {line}", yellow=True, bold=True)
