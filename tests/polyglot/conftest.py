"""All checks side by side; and at the end, which languages were left out."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.polyglot.checking import verdicts
from tests.polyglot.toolchains import PRESENT, left_out, path_with_grpcurl

# A check waits most of its time.
CHECKS_AT_A_TIME = 8


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(CHECKS_AT_A_TIME) as pool:
        yield pool


def check(example):
    command = example.build()
    path = path_with_grpcurl() if example.name == "shell" else os.environ["PATH"]
    options = ("--patience", "30", "--profile", example.profile)
    return verdicts(command, *options, path=path)


@pytest.fixture(scope="session")
def checks(pool):
    return {example.name: pool.submit(check, example) for example in PRESENT}


def pytest_terminal_summary(terminalreporter):
    for line in left_out():
        terminalreporter.write_line(f"NOT TESTED: {line}", yellow=True, bold=True)
