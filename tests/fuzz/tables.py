"""Tables of forms, close together: a kind, a colon, and forms between semicolons."""

import re
from collections.abc import Callable

_KIND = re.compile(r"^(\w+): ", re.MULTILINE)
# A hole names the kind of what fills it; doubled braces are braces.
_HOLE = re.compile(r"\{(\w+)\}|\{\{|\}\}")


def table(text: str) -> dict[str, list[str]]:
    """Return the forms in *text* by their kind."""
    _, *parts = _KIND.split(text)
    return {
        kind: [form.strip() for form in forms.split(" ;")]
        for kind, forms in zip(parts[::2], parts[1::2], strict=True)
    }


def filled(form: str, fill: Callable[[str], str]) -> str:
    """Return *form* with each hole filled by *fill*, which is given its kind."""
    return _HOLE.sub(lambda hole: fill(hole[1]) if hole[1] else hole[0][0], form)
