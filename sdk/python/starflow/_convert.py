"""Between Python values and JSON text, by type.

`decoder(annotation)` compiles a type into a function once, so that a call only runs
what its types need: an annotation that says nothing costs nothing.

Exactness is the rule: an int is never taken for a bool, 1.5 never for an int, and a
float annotation takes an integer only if no digit is lost.
"""

import dataclasses
import enum
import functools
import json
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Union, is_typeddict

from starflow import _json
from starflow.errors import ConversionError

# Takes a decoded JSON value and returns what the annotation asks for.
Decoder = Callable[[Any], Any]

_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    type(None): "null",
}
# Types that travel as strings: how to read them, and `str` or better writes them.
_FROM_TEXT: dict[type, Callable[[str], Any]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    Decimal: Decimal,
    uuid.UUID: uuid.UUID,
}
_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=lambda value: _plain_checked(value),
)


class Mismatch(Exception):
    """A value is not what the type asks for; collects its path on the way out."""

    def __init__(self, expected: str, value: Any) -> None:
        super().__init__(expected)
        self.expected = expected
        self.value = value
        self.path = ""

    @property
    def problem(self) -> str:
        """What is wrong, for people."""
        return f"expected {self.expected}, got {_describe(self.value)}"

    def inside(self, step: str) -> "Mismatch":
        """Say that it happened inside *step* of the value around it."""
        self.path = step + self.path
        return self


def encode(value: Any) -> str:
    """
    Return *value* as JSON text: plain values, dataclasses, enums, models, dates.

    Raises:
        ConversionError: Something in *value* has no JSON form; the path leads to it.
    """
    if type(value) is _json.JsonText:
        return value.text
    try:
        _json.check_keys(value)
        text = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError):
        # Either this says what is wrong and where, or `json` could not and this can:
        # an integer of more digits than the process allows.
        return _json.write(value, _plain)
    if not text.isascii():
        _refuse_surrogates(text, value)
    return text


def _refuse_surrogates(text: str, value: Any) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        _json.write(value, _plain)


def size_bytes(text: str) -> int:
    """Return how many bytes *text* takes on the wire."""
    return len(text) if text.isascii() else len(text.encode())


@functools.cache
def _field_names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _plain_checked(value: Any) -> Any:
    plain = _plain(value)
    _json.check_keys(plain)
    return plain


def _plain(value: Any) -> Any:
    """Return *value*, which JSON does not know, one step plainer; or TypeError."""
    kind = type(value)
    if kind is _json.JsonText:
        return _json.decode(value.text)
    if dataclasses.is_dataclass(kind):
        return {name: getattr(value, name) for name in _field_names(kind)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if kind in _FROM_TEXT:
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(kind, "model_dump"):  # a pydantic model
        return value.model_dump(mode="json")
    raise TypeError(f"{kind.__name__} has no JSON form")


def convert(decode: Decoder | None, value: Any, root: str) -> Any:
    """
    Return *value* as *decode* makes it; *root* names it in errors.

    Raises:
        ConversionError: *value* is not what the type asks for.
    """
    if decode is None:
        return value
    try:
        return decode(value)
    except Mismatch as mismatch:
        path = f"{root}{mismatch.path}"
        raise ConversionError(mismatch.problem, path) from None


def decoder(annotation: Any) -> Decoder | None:
    """
    Return what turns a decoded JSON value into *annotation*; None if all is welcome.

    Raises:
        TypeError: No JSON value can become this type.
    """
    return _Compiler().compile(annotation)


def takes_objects(annotation: Any) -> bool:
    """Return whether a JSON object may become *annotation*."""
    annotation = strip(annotation)
    origin = typing.get_origin(annotation) or annotation
    if origin is Union or origin is types.UnionType:
        return any(map(takes_objects, typing.get_args(annotation)))
    if annotation in (Any, object) or isinstance(annotation, typing.TypeVar):
        return True
    is_record = dataclasses.is_dataclass(origin) or is_typeddict(origin)
    is_model = hasattr(origin, "model_validate")
    return is_record or is_model or origin in (dict, Mapping)


def by_key(name: str, decode: Decoder) -> Decoder:
    """Return *decode* for values that may also come as an object's key *name*."""

    def decode_by_key(value: Any) -> Any:
        if type(value) is not dict or name not in value:
            return decode(value)
        try:
            return decode(value[name])
        except Mismatch as mismatch:
            raise mismatch.inside(f".{name}") from None

    return decode_by_key


class _Compiler:
    """Compiles one annotation; remembers the records on the way, for recursive ones."""

    def __init__(self) -> None:
        self._records: dict[Any, list[Decoder]] = {}

    def compile(self, annotation: Any) -> Decoder | None:
        annotation = strip(annotation)
        if annotation in (Any, object) or isinstance(annotation, typing.TypeVar):
            return None
        if annotation is None or annotation is type(None):
            return _exactly(type(None))
        origin = typing.get_origin(annotation) or annotation
        arguments = typing.get_args(annotation)
        if origin is Literal:
            return _literal(arguments)
        if origin is Union or origin is types.UnionType:
            return self._union(arguments)
        if isinstance(origin, type):
            decode = self._by_class(origin, arguments)
            if decode is not None:
                return decode
        raise TypeError(f"no JSON value can become {annotation!r}")

    def _by_class(self, origin: type, arguments: tuple[Any, ...]) -> Decoder | None:
        if origin in (bool, int, str):
            return _exactly(origin)
        if origin is float:
            return _float
        if origin in (list, Sequence):
            return self._list(arguments)
        if origin is tuple:
            return self._tuple(arguments)
        if origin in (dict, Mapping):
            return self._dict(arguments)
        if origin in _FROM_TEXT:
            return _from_text(origin)
        if issubclass(origin, enum.Enum):
            return _enum(origin)
        if dataclasses.is_dataclass(origin) or is_typeddict(origin):
            return self._record(origin)
        if hasattr(origin, "model_validate"):  # a pydantic model
            return _model(origin)
        return None

    def _list(self, arguments: tuple[Any, ...]) -> Decoder:
        item = self.compile(arguments[0]) if arguments else None
        return _exactly(list) if item is None else _list_of(item)

    def _tuple(self, arguments: tuple[Any, ...]) -> Decoder:
        if not arguments:
            return _then(_exactly(list), tuple)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _then(self._list(arguments[:1]), tuple)
        return _tuple_of([self.compile(argument) for argument in arguments])

    def _dict(self, arguments: tuple[Any, ...]) -> Decoder:
        if arguments and strip(arguments[0]) not in (str, Any):
            raise TypeError(f"the keys of a JSON object are str, not {arguments[0]!r}")
        item = self.compile(arguments[1]) if arguments else None
        return _exactly(dict) if item is None else _dict_of(item)

    def _union(self, arguments: tuple[Any, ...]) -> Decoder | None:
        choices = [self.compile(argument) for argument in arguments]
        known = [choice for choice in choices if choice is not None]
        if len(known) < len(choices):
            return None
        return _any_of(known)

    def _record(self, cls: type) -> Decoder:
        if cls in self._records:
            holder = self._records[cls]
            return lambda value: holder[0](value)
        holder = self._records[cls] = []
        hints = typing.get_type_hints(cls)
        if is_typeddict(cls):
            required = cls.__required_keys__  # type: ignore[attr-defined]
            fields = {
                name: (self.compile(hint), name in required)
                for name, hint in hints.items()
            }
            decode = record(fields, lambda **known: known, keep_unknown=True)
        else:
            fields = {
                field.name: (self.compile(hints[field.name]), is_required(field))
                for field in dataclasses.fields(cls)
                if field.init
            }
            decode = record(fields, cls)
        holder.append(decode)
        return decode


def strip(annotation: Any) -> Any:
    """Return what stands behind NewType, Annotated, Required and `type` aliases."""
    while True:
        origin = typing.get_origin(annotation)
        if origin in (typing.Annotated, typing.Required, typing.NotRequired):
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__"):  # TypeAliasType, from Python 3.12 on
            annotation = annotation.__value__
        else:
            return annotation


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Return whether a JSON object must have *field* for its dataclass."""
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def record(
    fields: Mapping[str, tuple[Decoder | None, bool]],
    build: Callable[..., Any],
    *,
    keep_unknown: bool = False,
) -> Decoder:
    """
    Return a decoder of objects that gives the fields to *build* by keyword.

    *fields* maps a name to its decoder and whether it must be there. Keys that are no
    field are left out, so that a script may say more than a worker of yesterday knows;
    with *keep_unknown* they are passed on.
    """
    converted = [(name, decode) for name, (decode, _) in fields.items() if decode]
    required = [name for name, (_, is_required) in fields.items() if is_required]
    names = frozenset(fields)

    def decode_record(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch("an object", value)
        if keep_unknown or value.keys() <= names:
            known = value.copy()
        else:
            known = {name: item for name, item in value.items() if name in names}
        for name in required:
            if name not in known:
                raise Mismatch(f"the key {name!r}", value)
        for name, decode in converted:
            if name in known:
                try:
                    known[name] = decode(known[name])
                except Mismatch as mismatch:
                    raise mismatch.inside(f".{name}") from None
        return build(**known)

    return decode_record


def _exactly(kind: type) -> Decoder:
    def decode(value: Any) -> Any:
        # `type is`, because isinstance takes True for an int.
        if type(value) is not kind:
            raise Mismatch(_NAMES[kind], value)
        return value

    return decode


def _float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            number = float(value)
        except OverflowError:
            number = 0.0
        if number == value:
            return number
    raise Mismatch("a number that a 64-bit float can hold", value)


def _list_of(item: Decoder) -> Decoder:
    def decode(value: Any) -> Any:
        if type(value) is not list:
            raise Mismatch("an array", value)
        return [_at(item, v, i) for i, v in enumerate(value)]

    return decode


def _tuple_of(items: list[Decoder | None]) -> Decoder:
    def decode(value: Any) -> Any:
        if type(value) is not list or len(value) != len(items):
            raise Mismatch(f"an array of {len(items)}", value)
        pairs = zip(items, value, strict=True)
        return tuple(_at(item, v, i) for i, (item, v) in enumerate(pairs))

    return decode


def _at(item: Decoder | None, value: Any, index: int) -> Any:
    try:
        return value if item is None else item(value)
    except Mismatch as mismatch:
        raise mismatch.inside(f"[{index}]") from None


def _dict_of(item: Decoder) -> Decoder:
    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch("an object", value)
        decoded = {}
        for key, v in value.items():
            try:
                decoded[key] = item(v)
            except Mismatch as mismatch:
                raise mismatch.inside(f"[{json.dumps(key)}]") from None
        return decoded

    return decode


def _any_of(choices: list[Decoder]) -> Decoder:
    def decode(value: Any) -> Any:
        problems = []
        for choice in choices:
            try:
                return choice(value)
            except Mismatch as mismatch:
                problems.append(mismatch)
        # The choice that came furthest is the one that was meant.
        furthest = max(problems, key=lambda mismatch: len(mismatch.path))
        if furthest.path:
            raise furthest
        raise Mismatch(" or ".join(mismatch.expected for mismatch in problems), value)

    return decode


def _literal(values: tuple[Any, ...]) -> Decoder:
    allowed = {(type(value), value) for value in values}

    def decode(value: Any) -> Any:
        if not isinstance(value, list | dict) and (type(value), value) in allowed:
            return value
        raise Mismatch(f"one of {', '.join(map(repr, values))}", value)

    return decode


def _enum(cls: type[enum.Enum]) -> Decoder:
    members = {(type(m.value), m.value): m for m in cls}

    def decode(value: Any) -> Any:
        if not isinstance(value, list | dict) and (type(value), value) in members:
            return members[type(value), value]
        raise Mismatch(f"one of {', '.join(repr(m.value) for m in cls)}", value)

    return decode


def _from_text(cls: type) -> Decoder:
    read = _FROM_TEXT[cls]

    def decode(value: Any) -> Any:
        try:
            if type(value) is str:
                return read(value)
        except (ValueError, ArithmeticError):
            pass
        raise Mismatch(f"a {cls.__name__} as text", value)

    return decode


def _model(cls: Any) -> Decoder:
    def decode(value: Any) -> Any:
        try:
            return cls.model_validate(value)
        except ValueError as error:
            raise Mismatch(f"{cls.__name__} ({error})", value) from None

    return decode


def _then(first: Decoder, second: Callable[[Any], Any]) -> Decoder:
    return lambda value: second(first(value))


def _describe(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if type(value) in (str, bool) else ""
    if type(value) in (int, float):
        text = repr(value) if type(value) is float else _json.int_text(value)
    if not text:
        return _NAMES.get(type(value), type(value).__name__)
    return text if len(text) <= 60 else f"{text[:57]}..."
