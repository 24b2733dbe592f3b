"""Makes a program that shows a fault as small as it can be while it shows the fault."""

import re
from collections.abc import Callable

_TOKEN = re.compile(r"\w+|\n[ ]*|[ ]+|.", re.DOTALL)
TRIES_MAX = 3_000


def shrink(
    source: str, shows_fault: Callable[[str], bool], *, tokens: bool = True
) -> str:
    """
    Return a part of *source* that *shows_fault*.

    Ever smaller pieces are left out: of lines, then of *tokens*, as long as any can be.
    """
    tries = 0

    def still(text: str) -> bool:
        nonlocal tries
        tries += 1
        return tries <= TRIES_MAX and shows_fault(text)

    before = ""
    while before != source and tries <= TRIES_MAX:
        before = source
        source = "".join(_reduced(source.splitlines(keepends=True), still))
        if tokens:
            source = "".join(_reduced(_TOKEN.findall(source), still))
    return source


def _reduced(parts: list[str], still: Callable[[str], bool]) -> list[str]:
    size = max(1, len(parts) // 2)
    while True:
        at = 0
        while at < len(parts):
            shorter = parts[:at] + parts[at + size :]
            if still("".join(shorter)):
                parts = shorter
            else:
                at += size
        if size == 1:
            return parts
        size //= 2
