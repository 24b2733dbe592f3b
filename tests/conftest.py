"""What holds for all tests."""

import pytest

# These modules assert; unrewritten, a failure in them would say AssertionError and
# nothing else.
pytest.register_assert_rewrite(
    "tests.support",
    "starflow_backends.testing",
    "starflow_backends.testing_finding",
    "starflow_backends.testing_shared",
    "starflow_backends.testing_permits",
    "starflow_backends.testing_records",
)
