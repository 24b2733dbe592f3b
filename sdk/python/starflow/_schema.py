"""JSON Schemas of annotations: what `_convert` takes and writes, told to others.

A schema never refuses what the function would take: the service warns about requests in
scripts that contradict it. What a type does not tell is left open.
"""

import dataclasses
import enum
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Union, is_typeddict

from starflow import _convert
from starflow._context import WaitForSignal
from starflow._json import JsonText
from starflow.errors import ConversionError

Schema = dict[str, Any]
Mode = Literal["input", "output"]

# More than this the service does not take.
_BYTES_MAX = 64 * 1024
_REF = "#/$defs/{model}"
# What stands for a value that somebody else gives.
_ANYTHING = (JsonText, WaitForSignal)
_PLAIN: dict[type, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    Decimal: {"type": "string"},
    uuid.UUID: {"type": "string", "format": "uuid"},
}


def schema_of(annotation: Any, mode: Mode) -> Schema:
    """Return the schema of the values that *annotation* is made from, or makes."""
    return _Schemas(mode).whole(annotation)


def record_of(fields: Mapping[str, tuple[Any, bool]]) -> Schema:
    """Return the schema of an object with *fields*: annotations, and if required."""
    return _Schemas("input").whole_record(fields)


def text_of(schema: Schema) -> str:
    """Return *schema* as text; empty if it says nothing or cannot be sent."""
    if not schema:
        return ""
    try:
        text = _convert.encode(schema)
    except ConversionError:
        # An enum may hold anything.
        return ""
    return text if _convert.size_bytes(text) <= _BYTES_MAX else ""


def by_key(name: str, schema: Schema) -> Schema:
    """Return *schema* for values that may also come as an object's key *name*."""
    if not schema:
        return {}
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    keyed = {"type": "object", "properties": {name: inner}, "required": [name]}
    either: Schema = {"anyOf": [inner, keyed]}
    if "$defs" in schema:
        either["$defs"] = schema["$defs"]
    return either


class _Schemas:
    """Makes one schema; types with names are defined once, and referred to."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._names: dict[Any, str] = {}
        self._definitions: dict[str, Schema] = {}

    def whole(self, annotation: Any) -> Schema:
        return self._with_definitions(self._schema(annotation))

    def whole_record(self, fields: Mapping[str, tuple[Any, bool]]) -> Schema:
        return self._with_definitions(self._record(fields))

    def _with_definitions(self, schema: Schema) -> Schema:
        return schema | {"$defs": self._definitions} if self._definitions else schema

    def _schema(self, annotation: Any) -> Schema:
        annotation = _convert.strip(annotation)
        if annotation is None:
            annotation = type(None)
        if isinstance(annotation, type) and annotation in _PLAIN:
            return dict(_PLAIN[annotation])
        origin = typing.get_origin(annotation) or annotation
        arguments = typing.get_args(annotation)
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin is Union or origin is types.UnionType:
            return self._union(arguments)
        return self._by_class(origin, arguments) if isinstance(origin, type) else {}

    def _by_class(self, origin: type, arguments: tuple[Any, ...]) -> Schema:
        if origin in _ANYTHING:
            return {}
        if origin in (list, Sequence):
            return self._array(arguments)
        if origin is tuple:
            return self._tuple(arguments)
        if origin in (dict, Mapping):
            return self._object(arguments)
        if issubclass(origin, enum.Enum):
            return {"enum": [member.value for member in origin]}
        if dataclasses.is_dataclass(origin):
            return self._defined(origin, self._fields_of_dataclass)
        if is_typeddict(origin):
            return self._defined(origin, _fields_of_typeddict)
        if hasattr(origin, "model_json_schema"):  # a pydantic model
            return self._model(origin)
        return {}

    def _array(self, arguments: tuple[Any, ...]) -> Schema:
        items = self._schema(arguments[0]) if arguments else {}
        return {"type": "array", "items": items} if items else {"type": "array"}

    def _tuple(self, arguments: tuple[Any, ...]) -> Schema:
        if not arguments or (len(arguments) == 2 and arguments[1] is Ellipsis):
            return self._array(arguments)
        return {
            "type": "array",
            "prefixItems": [self._schema(each) for each in arguments],
            "minItems": len(arguments),
            "maxItems": len(arguments),
        }

    def _object(self, arguments: tuple[Any, ...]) -> Schema:
        values = self._schema(arguments[1]) if arguments else {}
        schema: Schema = {"type": "object"}
        return schema | {"additionalProperties": values} if values else schema

    def _union(self, arguments: tuple[Any, ...]) -> Schema:
        choices = [self._schema(each) for each in arguments]
        # One that takes all makes the others say nothing.
        return {"anyOf": choices} if all(choices) else {}

    def _defined(
        self, cls: type, fields: Callable[[Any], Mapping[str, tuple[Any, bool]]]
    ) -> Schema:
        if cls not in self._names:
            self._names[cls] = self._free_name(cls.__name__)
            # The name is taken before the fields are looked at, which may refer to it.
            self._definitions[self._names[cls]] = {}
            self._definitions[self._names[cls]] = self._record(fields(cls))
        return {"$ref": _REF.format(model=self._names[cls])}

    def _record(self, fields: Mapping[str, tuple[Any, bool]]) -> Schema:
        schema: Schema = {"type": "object"}
        if fields:
            schema["properties"] = {
                name: self._schema(hint) for name, (hint, _) in fields.items()
            }
        if required := [name for name, (_, needed) in fields.items() if needed]:
            schema["required"] = required
        return schema

    def _fields_of_dataclass(self, cls: Any) -> dict[str, tuple[Any, bool]]:
        hints = typing.get_type_hints(cls)
        is_output = self._mode == "output"
        return {
            field.name: (hints[field.name], is_output or _convert.is_required(field))
            for field in dataclasses.fields(cls)
            if is_output or field.init
        }

    def _model(self, cls: Any) -> Schema:
        if cls not in self._names:
            mode = "validation" if self._mode == "input" else "serialization"
            try:
                schema = cls.model_json_schema(ref_template=_REF, mode=mode)
            except RuntimeError:
                # pydantic's way to say that a field has no schema.
                return {}
            definitions = schema.pop("$defs", {})
            if any(self._definitions.get(n, d) != d for n, d in definitions.items()):
                # Two types of one name, of which this one cannot be renamed.
                return {}
            self._definitions.update(definitions)
            if schema.keys() == {"$ref"}:
                # It refers to itself, and is among the definitions.
                return dict(schema)
            self._names[cls] = self._free_name(cls.__name__)
            self._definitions[self._names[cls]] = schema
        return {"$ref": _REF.format(model=self._names[cls])}

    def _free_name(self, name: str) -> str:
        free, number = name, 1
        while free in self._definitions:
            number += 1
            free = f"{name}{number}"
        return free


def _fields_of_typeddict(cls: Any) -> dict[str, tuple[Any, bool]]:
    required = cls.__required_keys__
    hints = typing.get_type_hints(cls)
    return {name: (hint, name in required) for name, hint in hints.items()}
