"""Warnings: what of a script surely fails, or does nothing, when it is reached."""

from starflow_service.starlark.diagnostics import Diagnostic
from starflow_service.starlark.facts import Facts
from starflow_service.starlark.lint_calls import lint_calls
from starflow_service.starlark.lint_changes import lint_changes
from starflow_service.starlark.lint_flow import lint_flow
from starflow_service.starlark.lint_names import lint_names
from starflow_service.starlark.lint_values import lint_values

# Of two warnings about a place the first is kept.
_OF_SOUND_FILES = (lint_flow, lint_names, lint_changes)
_OF_ANY_FILE = (lint_values, lint_calls)


def lint(facts: Facts, *, is_sound: bool) -> list[Diagnostic]:
    """
    Return the warnings about a file.

    Of one that is not *is_sound*, with errors in it, only those that do not depend on
    what the rest of it looks like.
    """
    lints = (*_OF_SOUND_FILES, *_OF_ANY_FILE) if is_sound else _OF_ANY_FILE
    return [finding for each in lints for finding in each(facts)]
