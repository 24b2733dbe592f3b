"""Upper, lower and title case, character by character as the Go original does it.

Python's own `upper` and `lower` may change the length and look at neighbours: "ß"
becomes "SS" and a sigma depends on its place.  Here every character is mapped to one.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from starflow_service.starlark.caps import CHUNK

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# The characters that Python makes longer in upper case.
_GROWING_RANGES = (
    *((code, code) for code in (0xDF, 0x149, 0x1F0, 0x390, 0x3B0, 0x587)),
    (0x1E96, 0x1E9A),
    (0x1F50, 0x1FFC),
    (0xFB00, 0xFB17),
)
_GROWING = [
    chr(code)
    for first, last in _GROWING_RANGES
    for code in range(first, last + 1)
    if len(chr(code).upper()) > 1
]
_NOT_GROWING = re.compile(f"[^{''.join(_GROWING)}]+")


def upper(m: "Meter", text: str) -> str:
    """Return *text* in upper case."""
    if text.isascii():
        return text.upper()
    return "".join(map(_upper, _chunks(m, text)))


def lower(m: "Meter", text: str) -> str:
    """Return *text* in lower case."""
    if text.isascii():
        return text.lower()
    return "".join(map(_lower, _chunks(m, text)))


def title(m: "Meter", text: str) -> str:
    """Return *text* with the first letter of every word in title case."""
    if text.isascii():
        return text.title()
    changed: list[str] = []
    within = False
    for chunk in _chunks(m, text):
        titles = {c: _title(c) for c in set(chunk) if _is_cased(c)}
        for character, low in zip(chunk, _lower(chunk), strict=True):
            first = titles.get(character)
            changed.append(low if within or first is None else first)
            within = first is not None
    return "".join(changed)


def capitalize(m: "Meter", text: str) -> str:
    """Return *text* with its first character in title case and the rest in lower."""
    return _title(text[:1]) + lower(m, text[1:]) if text else text


def is_lower(m: "Meter", text: str) -> bool:
    """Return whether *text* has letters with case, and all are in lower case."""
    if text.isascii():
        return text.islower()
    return _has_case(m, text) and lower(m, text) == text


def is_upper(m: "Meter", text: str) -> bool:
    """Return whether *text* has letters with case, and all are in upper case."""
    if text.isascii():
        return text.isupper()
    return _has_case(m, text) and upper(m, text) == text


def is_title(m: "Meter", text: str) -> bool:
    """Return whether *text* has words, and each begins with its only capital."""
    if text.isascii():
        return text.istitle()
    # A sharp s begins no title, though no title case of it differs.
    plain = text.replace("ß", "s")
    return _has_case(m, text) and title(m, plain) == plain


def _chunks(m: "Meter", text: str) -> Iterator[str]:
    """Give *text* in pieces, each paid for."""
    for start in range(0, len(text), CHUNK):
        m.work(CHUNK >> 1)
        yield text[start : start + CHUNK]


def _has_case(m: "Meter", text: str) -> bool:
    return any(any(map(_is_cased, set(chunk))) for chunk in _chunks(m, text))


def _is_cased(character: str) -> bool:
    if character == "ß":
        # It has a capital, but no mapping of one character leads there.
        return True
    return not character == _upper(character) == _lower(character) == _title(character)


def _upper(text: str) -> str:
    changed = text.upper()
    if len(changed) == len(text):
        return changed
    changed = _NOT_GROWING.sub(lambda match: match[0].upper(), text)
    return changed.translate(_GROWING_UPPER)


def _lower(text: str) -> str:
    # "İ" would become two characters, and a sigma at the end of a word another one.
    return text.replace("İ", "I").replace("Σ", "\u03c3").lower()


def _title(character: str) -> str:
    changed = character.title()
    return changed if len(changed) == 1 else character


_GROWING_UPPER = {ord(character): _title(character) for character in _GROWING}
