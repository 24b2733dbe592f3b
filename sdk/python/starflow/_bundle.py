"""Scripts of several files, read from where they lie."""

import ast
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import Self

SUFFIX = ".star"
DEFAULT_ENTRY = "main.star"


@dataclass(frozen=True, slots=True)
class Bundle:
    """
    A script of several files: sources by path, and which of them defines `main`.

    Paths are relative to one folder and joined by "/". A file loads another by its path
    from its own folder, `load("lib/tax.star", "rate")`, or after `//` from the root.
    """

    sources: Mapping[str, str]
    entry: str = DEFAULT_ENTRY

    @classmethod
    def from_directory(
        cls, directory: str | PathLike[str], *, entry: str = DEFAULT_ENTRY
    ) -> Self:
        """
        Return all `.star` files below *directory*, hidden folders left out.

        Raises:
            OSError: The entry, or another file, cannot be read.
            UnicodeDecodeError: A file is not UTF-8 text.
        """
        root = Path(directory)
        paths = [path.relative_to(root) for path in root.rglob(f"*{SUFFIX}")]
        shown = [path for path in paths if not any(p[0] == "." for p in path.parts)]
        sources = {entry: _read(root / entry)}
        sources |= {path.as_posix(): _read(root / path) for path in sorted(shown)}
        return cls(sources, entry)

    @classmethod
    def from_file(cls, file: str | PathLike[str]) -> Self:
        """
        Return *file* as the entry, and all that it loads from its folder and below.

        What cannot be found is left out: the service will say where it is loaded.

        Raises:
            OSError: *file* cannot be read.
            UnicodeDecodeError: A file is not UTF-8 text.
        """
        root, entry = Path(file).parent, Path(file).name
        sources = {entry: _read(root / entry)}
        pending = [entry]
        while pending:
            loader = pending.pop()
            for name in _loads(sources[loader]):
                path = _path(name, loader)
                if path and path not in sources and (root / path).is_file():
                    sources[path] = _read(root / path)
                    pending.append(path)
        return cls(sources, entry)


def _read(path: Path) -> str:
    # Bytes, because reading text would translate the ends of lines.
    return path.read_bytes().decode()


def _loads(source: str) -> Iterator[str]:
    """Yield the files that *source* loads, as far as it reads like a script."""
    begins = True
    words: list[str] = []
    for kind, text in _tokens(source):
        if kind in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT) or text == ";":
            begins, words = True, []
        elif begins and kind not in (tokenize.NL, tokenize.COMMENT):
            words.append(text)
            begins = len(words) < 3 and ["load", "("][: len(words)] == words
            if len(words) == 3 and words[:2] == ["load", "("]:
                if kind == tokenize.STRING:
                    yield from _string(text)
                begins = False


def _tokens(source: str) -> Iterator[tuple[int, str]]:
    """Yield the tokens of *source*, which are nearly Python's, until one is not."""
    try:
        for token in tokenize.generate_tokens(StringIO(source).readline):
            yield token.type, token.string
    except (tokenize.TokenError, SyntaxError):
        return


def _string(literal: str) -> Iterator[str]:
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        return
    if isinstance(value, str) and value.endswith(SUFFIX):
        yield value


def _path(name: str, loader: str) -> str:
    """Return the path that *loader* means by *name*; "" if it is outside."""
    rooted = name.startswith("//")
    parts = [] if rooted else loader.split("/")[:-1]
    for part in name.removeprefix("//").split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif not part:
            return ""
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
