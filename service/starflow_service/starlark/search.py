"""Searching text without CPython's quadratic cases.

Its forward search is linear only when the text is long, and over three times as long as
the needle; its backward search never is.  Every search pays for the work that it may
take.  Where that would be too much at once, the text is padded until the linear
algorithm is chosen, and a backward search runs forward on reversed strings.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from starflow_service.starlark.caps import text_bytes

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# Comparisons that may happen at once without a thought: about 0.1 ms.
_FEW = 100_000
# From here on, if it is long enough for its needle, CPython searches in linear time.
_LONG_TEXT = 30_000
# Shorter needles are always searched in time linear in the text.
_SHORT_NEEDLE = 6
# The adaptive algorithm changes to the linear one after about so many windows.
_WINDOWS = 2_500


def find(m: "Meter", text: str, needle: str, start: int, end: int) -> int:
    """Return where *needle* first is in the window of *text*, or -1."""
    if not _needs_padding(m, end - start, len(needle)):
        return text.find(needle, start, end)
    at = _padded(m, text[start:end], needle).find(needle)
    return start + at if 0 <= at <= end - start - len(needle) else -1


def rfind(m: "Meter", text: str, needle: str, start: int, end: int) -> int:
    """Return where *needle* last is in the window of *text*, or -1."""
    n, k = end - start, len(needle)
    if k * (n - k) <= _FEW:
        m.work((n >> 5) + (max(n - k, 0) * k >> 10))
        return text.rfind(needle, start, end)
    m.charge(2 * text_bytes(text) + text_bytes(needle))
    at = find(m, text[start:end][::-1], needle[::-1], 0, n)
    return end - at - k if at >= 0 else -1


def found(m: "Meter", text: str, needle: str) -> bool:
    """Return whether *needle* is in *text*."""
    return find(m, text, needle, 0, len(text)) >= 0


def count(m: "Meter", text: str, needle: str, start: int, end: int) -> int:
    """Return how often *needle* is in the window of *text*, without overlap."""
    if _needs_padding(m, end - start, len(needle)):
        return sum(1 for _ in _places(m, text[start:end], needle))
    if not needle:
        # CPython says 0 for an empty window past the end; the window is ours.
        return end - start + 1
    return text.count(needle, start, end)


def split(m: "Meter", text: str, separator: str, most: int) -> list[str]:
    """Return *text* in at most *most* + 1 pieces; below 0 there is no bound."""
    if not _needs_padding(m, len(text), len(separator)):
        return text.split(separator, most)
    pieces: list[str] = []
    start = 0
    for place in _places(m, text, separator):
        if 0 <= most <= len(pieces):
            break
        pieces.append(text[start:place])
        start = place + len(separator)
    pieces.append(text[start:])
    return pieces


def replace(m: "Meter", text: str, old: str, new: str, most: int) -> str:
    """Return *text* with up to *most* places of *old* replaced; below 0 all."""
    if not _needs_padding(m, len(text), len(old)):
        return text.replace(old, new, most)
    return new.join(split(m, text, old, most))


def _needs_padding(m: "Meter", n: int, k: int) -> bool:
    """Pay for a search for *k* characters in *n*; whether it could take too long."""
    windows = n - k + 1
    if windows <= 0:
        return False
    m.work(n >> 5)
    if k < _SHORT_NEEDLE:
        return False
    m.work(min(windows, _WINDOWS) * k >> 10)
    if n >= _LONG_TEXT and (k >> 2) * 3 < n >> 2:
        return False
    return windows * k > _FEW


def _padded(m: "Meter", text: str, needle: str) -> str:
    """Return *text* so long that CPython searches *needle* in it in linear time."""
    missing = max(3 * len(needle) + 64, _LONG_TEXT + 64 - len(text))
    m.charge(text_bytes(text) + 4 * missing)
    return text + "\0" * missing


def _places(m: "Meter", text: str, needle: str) -> Iterator[int]:
    """Give the places of *needle* without overlap; few, because it is long."""
    padded = _padded(m, text, needle)
    last = len(text) - len(needle)
    place = padded.find(needle)
    while 0 <= place <= last:
        yield place
        m.work(len(text) >> 8)
        place = padded.find(needle, place + len(needle))
