"""Several source files that are one script, and the names they know each other by.

A load names a file by a path that ends in `.star`: relative to the folder of the file
that loads, or, after `//`, to the root of the bundle.  Every path has one spelling, so
that equal bundles have equal hashes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

SUFFIX: Final = ".star"
DEFAULT_ENTRY: Final = "main.star"
PATH_MAX: Final = 128
PATH_RULE: Final = (
    f"a path such as lib/tax.star: parts of letters, digits, '_', '-' and '.' joined by"
    f" '/', none of them '.' or '..', ending in {SUFFIX}, at most {PATH_MAX} characters"
)

# No text begins with this byte, so that a stored script tells by itself what it is.
_MAGIC: Final = b"\xffstarflow-bundle-1\n"
_PATH: Final = re.compile(r"(?:[A-Za-z0-9_.-]+/)*[A-Za-z0-9_.-]*\.star", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Sources by path; `entry` is the path of the one that defines `main`."""

    sources: Mapping[str, str]
    entry: str = DEFAULT_ENTRY


# What a client sends as a script: one text, or several files.
Source: TypeAlias = str | Bundle


class PathError(Exception):
    """A load that names no place in the bundle; `args[0]` says why."""


def is_path(text: str) -> bool:
    """Tell whether *text* may be the path of a file in a bundle."""
    if len(text) > PATH_MAX or _PATH.fullmatch(text) is None:
        return False
    return not {".", ".."} & set(text.split("/"))


def is_file(module: str) -> bool:
    """Tell whether a load of *module* means a file, and not a module of ours."""
    return module.endswith(SUFFIX)


def loaded_path(module: str, loader: str) -> str:
    """
    Return the path that `load("<module>")` means in the file *loader*.

    Raises:
        PathError: It means none.
    """
    if module.startswith("//"):
        parts, rest = [], module[2:]
    elif module.startswith("/"):
        raise PathError('a path from the root begins with "//"')
    else:
        parts, rest = loader.split("/")[:-1], module
    for part in rest.split("/"):
        if part == "..":
            if not parts:
                raise PathError("the path leaves the root of the bundle")
            parts.pop()
        elif part != ".":
            parts.append(part)
    path = "/".join(parts)
    if not is_path(path):
        raise PathError(f"it is not {PATH_RULE}")
    return path


def to_bytes(bundle: Bundle) -> bytes:
    """
    Return the one form of *bundle* that is hashed and stored.

    It is described in `protos/starflow/v1/run.proto`, so that any client can hash.
    """
    parts = [_MAGIC, bundle.entry.encode("ascii"), b"\n"]
    for path in sorted(bundle.sources):
        text = bundle.sources[path].encode(errors="surrogatepass")
        parts += [f"{path} {len(text)}\n".encode("ascii"), text, b"\n"]
    return b"".join(parts)


def from_bytes(data: bytes) -> Bundle | None:
    """Return the bundle that *data* is, or None if it is the text of one script."""
    if not data.startswith(_MAGIC):
        return None
    entry, rest = _line(data, len(_MAGIC))
    sources: dict[str, str] = {}
    while rest < len(data):
        head, start = _line(data, rest)
        path, _, size = head.partition(" ")
        end = start + int(size)
        sources[path] = data[start:end].decode(errors="surrogatepass")
        rest = end + 1
    return Bundle(sources, entry)


def _line(data: bytes, start: int) -> tuple[str, int]:
    """Return the line that begins at *start*, and where the next one begins."""
    end = data.index(b"\n", start)
    return data[start:end].decode("ascii"), end + 1
