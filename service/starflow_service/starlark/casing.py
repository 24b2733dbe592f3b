"""Upper, lower and title case, character by character as the Go original does it.

Python's own `upper` and `lower` may change the length and look at neighbours: "ß"
becomes "SS" and a sigma depends on its place.  Here every character is mapped to one.
"""

from collections.abc import Callable


def upper(text: str) -> str:
    """Return *text* in upper case."""
    return text.upper() if text.isascii() else _mapped(text, _upper)


def lower(text: str) -> str:
    """Return *text* in lower case."""
    return text.lower() if text.isascii() else _mapped(text, _lower)


def title(text: str) -> str:
    """Return *text* with the first letter of every word in title case."""
    if text.isascii():
        return text.title()
    firsts = _mapped(text, _title)
    rest = _mapped(text, _lower)
    inside = [False, *map(_is_cased, text)]
    pairs = zip(firsts, rest, inside, strict=False)
    return "".join([low if within else first for first, low, within in pairs])


def capitalize(text: str) -> str:
    """Return *text* with its first character in title case and the rest in lower."""
    return _title(text[:1]) + lower(text[1:]) if text else text


def is_lower(text: str) -> bool:
    """Return whether *text* has letters with case, and all are in lower case."""
    if text.isascii():
        return text.islower()
    # The one letter that has case, and is mapped to itself in both directions.
    cased = "ß" in text or any(map(_is_cased, set(text)))
    return cased and lower(text) == text


def is_upper(text: str) -> bool:
    """Return whether *text* has letters with case, and all are in upper case."""
    if text.isascii():
        return text.isupper()
    return any(map(_is_cased, set(text))) and upper(text) == text


def is_title(text: str) -> bool:
    """Return whether *text* has words, and each begins with its only capital."""
    if text.isascii():
        return text.istitle()
    within = found = False
    for character in text:
        cased = _is_cased(character)
        if cased and within is not (_lower(character) == character):
            return False
        within = cased
        found = found or cased
    return found


def _mapped(text: str, change: Callable[[str], str]) -> str:
    return text.translate({ord(c): change(c) for c in set(text)})


def _upper(character: str) -> str:
    changed = character.upper()
    return changed if len(changed) == 1 else _title(character)


def _title(character: str) -> str:
    changed = character.title()
    return changed if len(changed) == 1 else character


def _lower(character: str) -> str:
    return character.lower()[:1]


def _is_cased(character: str) -> bool:
    return not character == _upper(character) == _lower(character) == _title(character)
