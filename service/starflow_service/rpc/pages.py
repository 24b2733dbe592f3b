"""Lists by name, a page at a time, from one server or from several.

A page token is the last name of the page before: nothing is kept between pages, and
what is new or gone meanwhile does no harm.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from starflow_service.rpc import fields
from starflow_service.runtime.errors import FieldInvalidError

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1_000
# Schemas are long: a page stays well below gRPC's 4 MiB, if it has more than one entry.
_PAGE_BYTES_MAX = 2 * 1024 * 1024
_TOKEN_CHARACTERS_MAX = 255

M = TypeVar("M", bound=Message)
T = TypeVar("T")


def page_size(size: int) -> int:
    """Return how many entries a page may have."""
    return min(fields.count("page_size", size) or PAGE_SIZE, PAGE_SIZE_MAX)


def page_token(token: str) -> str:
    """Return the name that a page begins after."""
    if len(token) > _TOKEN_CHARACTERS_MAX or not token.isprintable():
        raise FieldInvalidError("page_token", "is no token of this method")
    return token


def page(
    entries: Iterable[T],
    name_of: Callable[[T], str],
    make: Callable[[T], M],
    size: int,
    after: str,
) -> tuple[list[M], str]:
    """Return the messages of a page of *entries*, which are by name, and its token."""
    rest = [entry for entry in entries if name_of(entry) > after]
    made: list[M] = []
    room = _PAGE_BYTES_MAX
    for entry in rest[:size]:
        message = make(entry)
        room -= message.ByteSize()
        if made and room < 0:
            break
        made.append(message)
    token = name_of(rest[len(made) - 1]) if len(made) < len(rest) else ""
    return made, token


def merged(
    pages: Sequence[tuple[Sequence[M], str]],
    name_of: Callable[[M], str],
    add: Callable[[M, M], None],
    size: int,
) -> tuple[list[M], str]:
    """
    Return one page of the pages that several servers gave for the same request.

    *add* puts what another server has of an entry to what is there.
    """
    # Beyond the shortest page nobody knows what that server has.
    tokens = [token for _, token in pages if token]
    end = min(tokens, default="")
    found: dict[str, M] = {}
    for messages, _ in pages:
        for message in messages:
            name = name_of(message)
            if name in found:
                add(found[name], message)
            elif not end or name <= end:
                kept = type(message)()
                kept.CopyFrom(message)
                found[name] = kept
    names = sorted(found)
    is_whole = not tokens and len(names) <= size
    names = names[:size]
    return [found[name] for name in names], "" if is_whole else names[-1]
