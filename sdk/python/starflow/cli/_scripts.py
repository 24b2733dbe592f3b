"""The script that a command's FILE names, and where its files lie on this machine."""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from starflow._bundle import DEFAULT_ENTRY, Bundle
from starflow.cli import _exits

# What ends a line for the service; str.splitlines knows more.
_LINE_END = re.compile(r"\r\n|\r|\n")
_PLACE = re.compile(r"^([^\s:]+)(?=:\d)")


@dataclass(frozen=True, slots=True)
class Given:
    """A script as it was given: `name` is a file, a directory, or - ."""

    name: str
    script: str | Bundle

    def place(self, file: str) -> str:
        """Return the name of one of its files; empty means the only one."""
        if not file or not isinstance(self.script, Bundle):
            return self.name
        given = Path(self.name)
        return str((given if given.is_dir() else given.parent) / file)

    def lines(self, file: str) -> list[str]:
        """Return the lines of one of its files; empty means the only one."""
        if not isinstance(self.script, Bundle):
            return _LINE_END.split(self.script)
        return _LINE_END.split(self.script.sources.get(file or self.script.entry, ""))

    def located(self, message: str) -> str:
        """Return the service's *message* with the name of the file as it lies here."""
        return _PLACE.sub(lambda found: self._named(found[1]), message)

    def _named(self, file: str) -> str:
        # The service never heard the name of a single script.
        return self.place("" if file == "script" else file)


def add_arguments(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add what names a script, or *several*."""
    help = (
        "the script, with what it loads from its folder; or a folder of files; or -"
        " for standard input"
    )
    if several:
        parser.add_argument("files", metavar="FILE", nargs="+", help=help)
    else:
        parser.add_argument("file", metavar="FILE", help=help)
    parser.add_argument(
        "--entry",
        metavar="PATH",
        help=f"in a folder, the file that defines main; {DEFAULT_ENTRY} if left out",
    )


def given(options: argparse.Namespace) -> Given:
    """
    Return the script that the options name.

    Raises:
        CommandError: It is no UTF-8 text.
        OSError: It cannot be read.
    """
    return read(options.file, options.entry)


def read(file: str, given_entry: str | None) -> Given:
    """
    Return the script that *file* names; the entry is for folders.

    Raises:
        CommandError: It is no UTF-8 text.
        OSError: It cannot be read.
    """
    if given_entry is not None and not Path(file).is_dir():
        raise _exits.CommandError("--entry is for folders")
    if file == "-":
        return Given(file, sys.stdin.read())
    try:
        if Path(file).is_dir():
            entry = given_entry or DEFAULT_ENTRY
            return Given(file, Bundle.from_directory(file, entry=entry))
        bundle = Bundle.from_file(file)
    except UnicodeDecodeError as error:
        raise _exits.CommandError(f"{file}: is not UTF-8 text: {error}") from None
    several = len(bundle.sources) > 1
    return Given(file, bundle if several else bundle.sources[bundle.entry])
