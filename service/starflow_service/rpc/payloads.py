"""Payloads at the edge: JSON text that is stored byte for byte, once it was checked."""

import asyncio
from collections.abc import Callable
from json.encoder import encode_basestring as quote
from math import isfinite
from typing import TypeVar

from google.protobuf.struct_pb2 import Value

from starflow.v1.payload_pb2 import Payload
from starflow_service.runtime.errors import PayloadInvalidError, TooLargeError
from starflow_service.starlark import jsontext
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.pacing import Paced, Pacer

# The largest integer below which a double misses none.
_EXACT_MAX = 2**53 - 1

_Write = Callable[[str], None]
T = TypeVar("T")

# What takes a few milliseconds at the worst.
_LONG_BYTES = 32 * 1024
# What it takes to look at one value of a message.
_VALUE_STEPS = 40


class Payloads:
    """Takes payloads within the limits of a service."""

    def __init__(self, limits: Limits, pacer: Pacer | None = None) -> None:
        self._limits = limits
        # What counts the work, if there is much of it.
        self._pacer = pacer

    async def read(self, size: int, read: Callable[["Payloads"], T]) -> T:
        """
        Return what *read* makes of a message of *size* bytes, by the payloads it gets.

        A long message is read in slices, and others have their turn between: some texts
        of a megabyte take a tenth of a second.

        Raises:
            RuntimeRefusal: What *read* raises.
        """
        if size <= _LONG_BYTES:
            return read(self)
        paced = Paced(lambda pacer: read(Payloads(self._limits, pacer)))
        try:
            while not paced.advance():
                await _next_turn()
            return paced.result()
        finally:
            paced.end()

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
            text = _text_of_value(payload.value, f"{field}.value", self._pacer)
        self._check(text, field)
        return text

    def _check(self, text: str, field: str) -> None:
        size = jsontext.utf8_size(text)
        if size > self._limits.max_payload_bytes:
            raise TooLargeError(field, size, self._limits.max_payload_bytes)
        try:
            if self._pacer is not None:
                # Many short ones are as long as a long one.
                self._pacer.work(len(text) >> 2)
            jsontext.check(text, self._limits, self._pacer)
        except jsontext.JsonError as error:
            raise PayloadInvalidError(field, error.message) from None


async def _next_turn() -> None:
    """Let the loop do whatever else there is."""
    await asyncio.sleep(0)


def _text_of_value(value: Value, field: str, pacer: Pacer | None) -> str:
    parts: list[str] = []
    _Writer(field, parts.append, pacer).write(value)
    return "".join(parts)


class _Writer:
    """Writes values as JSON text."""

    def __init__(self, field: str, write: _Write, pacer: Pacer | None) -> None:
        self._field = field
        self._write = write
        self._pacer = pacer

    def write(self, value: Value) -> None:
        """Write *value*, whatever is in it."""
        if self._pacer is not None:
            self._pacer.work(_VALUE_STEPS)
        kind = value.WhichOneof("kind")
        if kind == "string_value":
            self._write(quote(value.string_value))
        elif kind == "number_value":
            self._write(_number(value.number_value, self._field))
        elif kind == "bool_value":
            self._write("true" if value.bool_value else "false")
        elif kind == "null_value":
            self._write("null")
        elif kind == "list_value":
            self._write_list(value)
        elif kind == "struct_value":
            self._write_struct(value)
        else:
            raise PayloadInvalidError(self._field, "a value without a kind")

    def _write_list(self, value: Value) -> None:
        self._write("[")
        for index, item in enumerate(value.list_value.values):
            if index:
                self._write(",")
            self.write(item)
        self._write("]")

    def _write_struct(self, value: Value) -> None:
        # The wire has no order of keys; the same value shall give the same text.
        fields = value.struct_value.fields
        self._write("{")
        for index, key in enumerate(sorted(fields)):
            self._write(f"{',' if index else ''}{quote(key)}:")
            self.write(fields[key])
        self._write("}")


def _number(number: float, field: str) -> str:
    if not isfinite(number):
        raise PayloadInvalidError(field, "NaN and infinities are not JSON")
    if not number.is_integer():
        return repr(number)
    if abs(number) > _EXACT_MAX:
        problem = f"{number!r} may have been rounded on its way: send it as `json`"
        raise PayloadInvalidError(field, problem)
    return str(int(number))
