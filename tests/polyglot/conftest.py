"""Says at the end of the tests which languages were left out."""

from tests.polyglot.toolchains import left_out


def pytest_terminal_summary(terminalreporter):
    for line in left_out():
        terminalreporter.write_line(f"NOT TESTED: {line}", yellow=True, bold=True)
