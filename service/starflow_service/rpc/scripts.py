"""Scripts as they travel: one text, or a bundle of files."""

from starflow.v1 import run_pb2
from starflow_service.runtime.errors import FieldInvalidError, TooLargeError
from starflow_service.starlark.bundle import (
    DEFAULT_ENTRY,
    PATH_RULE,
    Bundle,
    Source,
    is_path,
)
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.spelling import nearest


def text(script: str, limits: Limits) -> str:
    """
    Return *script*, a script of one file.

    Raises:
        TooLargeError: It is too long.
    """
    _check_size("script", len(script.encode()), limits.max_source_bytes)
    return script


def bundle(message: run_pb2.ScriptBundle, limits: Limits) -> Bundle:
    """
    Return the script of several files that *message* holds.

    Raises:
        TooLargeError: It has too many files, or too long ones.
        FieldInvalidError: A path or the entry is none.
    """
    count, files_max = len(message.sources), limits.max_bundle_files
    if count > files_max:
        raise TooLargeError("bundle.sources", count, files_max, "files")
    total = 0
    for path, source in message.sources.items():
        if not is_path(path):
            problem = f"each must be named by {PATH_RULE}"
            raise FieldInvalidError("bundle.sources", problem)
        size = len(source.encode())
        _check_size(f"bundle.sources[{path}]", size, limits.max_source_bytes)
        total += size
    _check_size("bundle", total, limits.max_bundle_bytes)
    entry = message.entry or DEFAULT_ENTRY
    _check_entry(entry, message)
    return Bundle(dict(message.sources), entry)


def fill_script(message: run_pb2.Run, script: Source) -> None:
    """Make *message* hold *script*."""
    if isinstance(script, Bundle):
        message.bundle.sources.update(script.sources)
        message.bundle.entry = script.entry
    else:
        message.script = script


def _check_size(field: str, size: int, longest: int) -> None:
    if size > longest:
        raise TooLargeError(field, size, longest)


def _check_entry(entry: str, message: run_pb2.ScriptBundle) -> None:
    if not is_path(entry):
        raise FieldInvalidError("bundle.entry", f"must be {PATH_RULE}")
    if entry not in message.sources:
        meant = nearest(entry, message.sources)
        suggestion = f" (did you mean {meant}?)" if meant else ""
        problem = f"the bundle has no file {entry}{suggestion}"
        raise FieldInvalidError("bundle.entry", problem)
