"""Whether a call fits a signature, as far as the text shows.

Compiled code calls a function natively only when it is known that the arguments fit:
then no TypeError of Python's can come from the call, and none has to be translated.
Every other call goes through `ops.call`, which words the error itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import CO_VARARGS, CO_VARKEYWORDS
from types import FunctionType
from typing import Any

from starflow_service.starlark.syntax import Call, Parameter


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes."""

    names: tuple[str, ...]  # by position or name, after `positional_only`
    positional_only: int
    required: int  # how many of both must be given
    keyword_only: frozenset[str]
    keyword_required: frozenset[str]
    any_positional: bool
    any_keyword: bool

    def accepts(self, positional: int, keywords: Sequence[str]) -> bool:
        """Tell whether so many positions and these names fit."""
        total = self.positional_only + len(self.names)
        if positional > total and not self.any_positional:
            return False
        if len(set(keywords)) < len(keywords):
            return False
        filled = max(0, positional - self.positional_only)
        if any(name in self.names[:filled] for name in keywords):
            return False
        return self._known(keywords) and self._complete(positional, keywords)

    def _known(self, keywords: Sequence[str]) -> bool:
        known = self.keyword_only.union(self.names)
        return self.any_keyword or known.issuperset(keywords)

    def _complete(self, positional: int, keywords: Sequence[str]) -> bool:
        if positional < min(self.positional_only, self.required):
            return False
        missing = self.names[
            max(0, positional - self.positional_only) : max(
                0, self.required - self.positional_only
            )
        ]
        return set(keywords).issuperset(self.keyword_required.union(missing))


def script_signature(parameters: Sequence[Parameter]) -> Signature:
    """Return the signature of a `def` or a lambda."""
    names: list[str] = []
    keyword_only: list[str] = []
    keyword_required: list[str] = []
    required = 0
    kinds = {parameter.kind for parameter in parameters}
    after_star = False
    for parameter in parameters:
        if parameter.kind in ("star", "bare_star"):
            after_star = True
        elif parameter.kind != "starstar" and parameter.name is not None:
            plain = parameter.kind == "plain"
            (keyword_only if after_star else names).append(parameter.name.name)
            if after_star and plain:
                keyword_required.append(parameter.name.name)
            required += plain and not after_star
    return Signature(
        names=tuple(names),
        positional_only=0,
        required=required,
        keyword_only=frozenset(keyword_only),
        keyword_required=frozenset(keyword_required),
        any_positional="star" in kinds,
        any_keyword="starstar" in kinds,
    )


def python_signature(function: Any, given: int) -> Signature | None:
    """
    Return the signature of one of our own functions after its first *given* arguments.

    None if it is not written in Python.
    """
    if type(function) is not FunctionType:
        return None
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    positional_only = max(0, code.co_posonlyargcount - given)
    keyword_names = code.co_varnames[
        code.co_argcount : code.co_argcount + code.co_kwonlyargcount
    ]
    optional = function.__kwdefaults__ or {}
    return Signature(
        names=names[given + positional_only :],
        positional_only=positional_only,
        required=max(0, len(names) - given - len(function.__defaults__ or ())),
        keyword_only=frozenset(keyword_names),
        keyword_required=frozenset(keyword_names) - optional.keys(),
        any_positional=bool(code.co_flags & CO_VARARGS),
        any_keyword=bool(code.co_flags & CO_VARKEYWORDS),
    )


def call_fits(signature: Signature | None, node: Call) -> bool:
    """Tell whether the call surely fits; one with `*` or `**` never surely does."""
    if signature is None:
        return False
    positional = 0
    keywords: list[str] = []
    for argument in node.arguments:
        if argument.kind == "positional":
            positional += 1
        elif argument.kind == "keyword":
            keywords.append(argument.name)
        else:
            return False
    return signature.accepts(positional, keywords)
