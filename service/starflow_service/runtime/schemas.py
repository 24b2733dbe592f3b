"""Whether what a script writes as a request contradicts a function's JSON Schema.

Only contradictions that are certain count: what the text does not show may be
anything.  A schema is a worker's, so it is trusted no more than a script: nothing is
fetched for it, its regular expressions are not executed, and its work is bounded.  A
broken schema is no finding about the script.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

from starflow_service.starlark import syntax
from starflow_service.starlark.diagnostics import Diagnostic, warning
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.syntax import Expr, Pos

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterable[Any] | None]

_FINDINGS_MAX: Final = 20
# Keywords that are evaluated for one request: a schema can ask for exponentially many.
_STEPS_MAX: Final = 20_000
_SIZE_PER_STEP: Final = 50
_ITEMS_MAX: Final = 1_000
_LISTED_MAX: Final = 8

# What needs a regular expression, which can take for ever, or is about parts that a
# pattern may cover.
_LEFT_OUT: Final = frozenset(
    ["pattern", "patternProperties", "unevaluatedItems", "unevaluatedProperties"]
)
# What says nothing certain about a value of which a part is unknown.
_NOT_MONOTONE: Final = frozenset(
    [
        *("anyOf", "oneOf", "not", "if", "enum", "const", "contains"),
        *("uniqueItems", "dependentSchemas", "dependencies", "$dynamicRef"),
    ]
)


class _Unknown:
    """Stands for a part of a request that the text does not show."""


UNKNOWN: Final = _Unknown()


class _Exhausted(Exception):
    """A schema asked for too much work."""


@dataclass(slots=True)
class _Budget:
    """
    What the schemas of a script may cost.

    Every keyword may write the value it looks at into a message, so a step costs as
    much more as the value is larger.
    """

    steps: int = _STEPS_MAX
    # By the ids of the parts of one request.
    sizes: dict[int, int] = field(default_factory=dict)
    wholes: dict[int, bool] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget the sizes of the last request, whose parts are gone."""
        self.sizes.clear()
        self.wholes.clear()

    def spend(self, value: Any) -> None:
        self.steps -= 1 + self._size(value) // _SIZE_PER_STEP
        if self.steps < 0:
            raise _Exhausted

    def is_whole(self, value: Any) -> bool:
        """Tell whether no part of *value* is unknown."""
        if not isinstance(value, dict | list):
            return value is not UNKNOWN
        if id(value) not in self.wholes:
            self.wholes[id(value)] = all(map(self.is_whole, _elements(value)))
        return self.wholes[id(value)]

    def _size(self, value: Any) -> int:
        if isinstance(value, str):
            return len(value)
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in self.sizes:
            keys = sum(map(len, value)) if isinstance(value, dict) else 0
            self.sizes[id(value)] = keys + sum(map(self._size, _elements(value)))
        return self.sizes[id(value)]


def _elements(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


class RequestCheck:
    """Looks at the requests of one script; all of them share a budget."""

    def __init__(self) -> None:
        self._budget = _Budget()
        self._validators: dict[str, Any] = {}

    def contradictions(
        self, function: str, schema: str, request: Expr
    ) -> list[Diagnostic]:
        """Return warnings about parts of *request* that *schema* surely refuses."""
        value = known_value(request)
        if value is UNKNOWN:
            return []
        # The ids that it remembers are of parts of this value from now on.
        self._budget.forget()
        try:
            return [
                _finding(function, request, error)
                for error in self._objections(schema, value)
            ]
        except Exception:
            # A schema can be broken in any way, and is not the script's: whatever
            # jsonschema makes of it is nothing to tell the script's author.
            return []

    def _objections(self, schema: str, value: Any) -> list[Any]:
        if schema not in self._validators:
            self._validators[schema] = _validator(json.loads(schema), self._budget)
        errors = self._validators[schema].iter_errors(value)
        return list(islice(errors, _FINDINGS_MAX))


def _finding(function: str, request: Expr, error: Any) -> Diagnostic:
    message, hint = _words(error)
    path = "".join(f"[{_shown(step)}]" for step in error.absolute_path)
    text = f"{function} does not take this request: req{path} {message}"
    return warning("BAD_REQUEST", text, _place(request, error.absolute_path), hint)


# What the text shows of a value


def known_value(node: Expr) -> Any:
    """Return the value that *node* surely has, with UNKNOWN for parts of it."""
    match node:
        case syntax.Literal_(value=value):
            return UNKNOWN if isinstance(value, bytes) else value
        case syntax.Paren(inner=inner):
            return known_value(inner)
        case syntax.Unary(op="-", operand=syntax.Literal_(value=int() | float() as n)):
            return -n
        case syntax.Name(name=name, scope="universal"):
            return {"None": None, "True": True, "False": False}.get(name, UNKNOWN)
        case syntax.ListExpr(items=items) | syntax.TupleExpr(items=items):
            return [known_value(item) for item in items]
        case syntax.DictExpr():
            return _known_dict(node)
    return UNKNOWN


def _known_dict(node: syntax.DictExpr) -> Any:
    known: dict[str, Any] = {}
    for entry in node.entries:
        key = known_value(entry.key)
        if not isinstance(key, str):
            return UNKNOWN
        known[key] = known_value(entry.value)
    return known


# What the schema says


def _validator(schema: Any, budget: _Budget) -> Any:
    # Not at the top: it takes 100 ms to import, and most services see no schema.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    base = validator_for(schema, default=Draft202012Validator)
    keywords = {
        name: _careful(name, keyword, budget)
        for name, keyword in base.VALIDATORS.items()
    }
    # An empty registry: a schema may refer to its own parts only.
    return extend(base, validators=keywords)(schema, registry=Registry())


def _careful(name: str, keyword: Keyword, budget: _Budget) -> Keyword:
    """Return *keyword*, silent about what is unknown and bounded in its work."""

    def check(validator: Any, argument: Any, value: Any, schema: Any) -> Iterator[Any]:
        budget.spend(value)
        if name in _LEFT_OUT or value is UNKNOWN or _is_too_wide(value):
            return
        if name in _NOT_MONOTONE and not budget.is_whole(value):
            return
        if name == "additionalProperties" and "patternProperties" in schema:
            return
        yield from keyword(validator, argument, value, schema) or ()

    return check


def _is_too_wide(value: Any) -> bool:
    # Some keywords compare each element with each other.
    return isinstance(value, list | dict) and len(value) > _ITEMS_MAX


# How it is said


def _place(node: Expr, path: Iterable[str | int]) -> Pos:
    """Return where the part of the request stands to which *path* leads."""
    for step in path:
        while isinstance(node, syntax.Paren):
            node = node.inner
        if isinstance(node, syntax.DictExpr):
            entries = [entry for entry in node.entries if _key(entry) == step]
            node = entries[-1].value
        elif isinstance(node, syntax.ListExpr | syntax.TupleExpr):
            node = node.items[int(step)]
    return node.start


def _key(entry: syntax.DictEntry) -> Any:
    return known_value(entry.key)


def _words(error: Any) -> tuple[str, str]:
    """Return what is wrong with a part of a request, and what to write."""
    wanted, value = error.validator_value, error.instance
    match error.validator:
        case "type":
            types = [wanted] if isinstance(wanted, str) else list(wanted)
            return f"is {_type(value)}, want {' or '.join(map(str, types))}", ""
        case "required":
            missing = [name for name in wanted if name not in value]
            return f"has no {_listed(missing)}", "add what is missing"
        case "additionalProperties":
            return _additional(error.schema.get("properties", {}), value)
        case "enum":
            return f"is {_shown(value)}, want one of {_listed(wanted)}", ""
        case "const":
            return f"is {_shown(value)}, want {_shown(wanted)}", ""
        case "anyOf" | "oneOf":
            return _alternatives(error)
        case None:
            return "is not allowed", ""
    return f"does not satisfy {error.validator}: {_shown(wanted)}", ""


def _alternatives(error: Any) -> tuple[str, str]:
    """Return the words for a value that fits none, or several, of some schemas."""
    inner = error.context
    if inner and all(each.validator == "type" and not each.path for each in inner):
        types = [str(each.validator_value) for each in inner]
        return f"is {_type(error.instance)}, want {' or '.join(types)}", ""
    return f"does not fit the alternatives of {error.validator}", ""


def _additional(
    properties: Mapping[str, Any], value: Mapping[str, Any]
) -> tuple[str, str]:
    extra = [name for name in value if name not in properties]
    meant = nearest(extra[0], properties)
    suggestion = f" (did you mean {meant}?)" if meant else ""
    hint = f"it may have {_listed(list(properties))}" if properties else ""
    return f"may not have {_listed(extra)}{suggestion}", hint


def _listed(values: Sequence[Any]) -> str:
    more = f" and {len(values) - _LISTED_MAX} more" if len(values) > _LISTED_MAX else ""
    return ", ".join(_shown(value) for value in values[:_LISTED_MAX]) + more


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda _: "...")


def _type(value: Any) -> str:
    names: dict[type, str] = {
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")
