"""How large a script is, for a service that takes smaller ones only.

The front end has bounds of its own, which follow from what CPython can compile.  The
limits of a service can only be lower, and they hold for scripts that are sent: one that
was taken goes on to be compiled, whatever the limits have become.
"""

from collections.abc import Iterator

from starflow_service.starlark.bundle import Bundle, Source
from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.limits import DEFAULT_LIMITS, Limits
from starflow_service.starlark.parser import parse
from starflow_service.starlark.scanner import scan
from starflow_service.starlark.shape import size
from starflow_service.starlark.syntax import Pos
from starflow_service.starlark.tokens import Token

_DEEPER = frozenset(["indent", "(", "[", "{"])
_SHALLOWER = frozenset(["outdent", ")", "]", "}"])


def too_large(script: Source, limits: Limits) -> list[Diagnostic]:
    """
    Return what of *script* is over limits that are lower than the front end's own.

    A file that cannot be read has no size: compiling it says why.
    """
    lowered = [name for name in _MEASURES if _is_lowered(name, limits)]
    if not lowered:
        return []
    return [
        finding
        for path, text in _files(script)
        for finding in _over(path, text, lowered, limits)
    ]


def _files(script: Source) -> Iterator[tuple[str, str]]:
    if isinstance(script, Bundle):
        yield from script.sources.items()
    else:
        yield "", script


def _is_lowered(name: str, limits: Limits) -> bool:
    return bool(getattr(limits, name) < getattr(DEFAULT_LIMITS, name))


def _over(
    path: str, text: str, lowered: list[str], limits: Limits
) -> Iterator[Diagnostic]:
    for name in lowered:
        most = getattr(limits, name)
        what, measure = _MEASURES[name]
        try:
            measured = measure(text)
        except ScriptSyntaxError:
            return
        if measured > most:
            message = f"{name}: script has {measured} {what}, of at most {most}"
            hint = "split it, or have the limit raised"
            yield Diagnostic("error", "LIMIT", message, Pos(1, 1), hint, path)


def _tokens(text: str) -> int:
    return len(scan(text, "").tokens)


def _nesting(text: str) -> int:
    """Return how deep brackets and blocks nest, whichever is deeper."""
    tokens = scan(text, "").tokens
    blocks = _depth(token for token in tokens if token.kind in ("indent", "outdent"))
    brackets = _depth(
        token for token in tokens if token.kind not in ("indent", "outdent")
    )
    return max(blocks, brackets)


def _depth(tokens: Iterator[Token]) -> int:
    depth = deepest = 0
    for token in tokens:
        if token.kind in _DEEPER:
            depth += 1
            deepest = max(deepest, depth)
        elif token.kind in _SHALLOWER:
            depth -= 1
    return deepest


def _nodes(text: str) -> int:
    return size(parse(text, ""))


_MEASURES = {
    "max_source_tokens": ("tokens", _tokens),
    "max_source_nesting": ("levels of brackets or blocks", _nesting),
    "max_source_nodes": ("nodes in its syntax tree", _nodes),
}
