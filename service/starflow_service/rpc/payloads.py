"""Payloads at the edge: JSON text that is stored byte for byte, once it was checked."""

from collections.abc import Callable
from json.encoder import encode_basestring as quote
from math import isfinite

from google.protobuf.struct_pb2 import Value

from starflow.v1.payload_pb2 import Payload
from starflow_service.runtime.errors import PayloadInvalidError, TooLargeError
from starflow_service.runtime.options import Options
from starflow_service.starlark import jsontext

# The largest integer below which a double misses none.
_EXACT_MAX = 2**53 - 1

_Write = Callable[[str], None]


class Payloads:
    """Takes payloads within the limits of a service."""

    def __init__(self, options: Options) -> None:
        self._limits = options.limits

    def text(self, payload: Payload, field: str) -> str:
        """
        Return the JSON text of *payload*; ``null`` if it has no kind.

        Raises:
            PayloadInvalidError: It is not JSON as the API defines it.
            TooLargeError: It is over the limit of a payload's size.
        """
        text = payload.json
        if not text:
            kind = payload.WhichOneof("kind")
            if kind is None:
                return "null"
            if kind == "json":
                raise PayloadInvalidError(f"{field}.json", "is empty: null is `null`")
            text = _text_of_value(payload.value, f"{field}.value")
        self._check(text, field)
        return text

    def _check(self, text: str, field: str) -> None:
        size = jsontext.utf8_size(text)
        if size > self._limits.max_payload_bytes:
            raise TooLargeError(field, size, self._limits.max_payload_bytes)
        try:
            jsontext.check(text, self._limits)
        except jsontext.JsonError as error:
            raise PayloadInvalidError(field, error.message) from None


def _text_of_value(value: Value, field: str) -> str:
    parts: list[str] = []
    _write(value, field, parts.append)
    return "".join(parts)


def _write(value: Value, field: str, write: _Write) -> None:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        write(quote(value.string_value))
    elif kind == "number_value":
        write(_number(value.number_value, field))
    elif kind == "bool_value":
        write("true" if value.bool_value else "false")
    elif kind == "null_value":
        write("null")
    elif kind == "list_value":
        _write_list(value, field, write)
    elif kind == "struct_value":
        _write_struct(value, field, write)
    else:
        raise PayloadInvalidError(field, "a value without a kind")


def _write_list(value: Value, field: str, write: _Write) -> None:
    write("[")
    for index, item in enumerate(value.list_value.values):
        if index:
            write(",")
        _write(item, field, write)
    write("]")


def _write_struct(value: Value, field: str, write: _Write) -> None:
    # The wire has no order of keys; the same value shall give the same text.
    write("{")
    for index, (key, item) in enumerate(sorted(value.struct_value.fields.items())):
        write(f"{',' if index else ''}{quote(key)}:")
        _write(item, field, write)
    write("}")


def _number(number: float, field: str) -> str:
    if not isfinite(number):
        raise PayloadInvalidError(field, "NaN and infinities are not JSON")
    if not number.is_integer():
        return repr(number)
    if abs(number) > _EXACT_MAX:
        problem = f"{number!r} may have been rounded on its way: send it as `json`"
        raise PayloadInvalidError(field, problem)
    return str(int(number))
