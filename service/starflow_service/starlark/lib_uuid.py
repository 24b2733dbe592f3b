"""The module `uuid`: identifiers as text, drawn (`v4`) or made of a name (`v5`)."""

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.arguments import want_str
from starflow_service.starlark.calls import check_context
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.lib_hashlib import bytes_of, digest, sha1
from starflow_service.starlark.text import quote
from starflow_service.starlark.values import Builtin, Module

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_UUID = re.compile("(?i:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})")
# What one identifier costs, in bytes.
_BYTES = 512


def _v4(m: "Meter", /, ctx: Any) -> str:
    """Return a random identifier."""
    check_context("uuid.v4", ctx)
    m.charge(_BYTES)
    return _text(m.host.random_bytes(m, 16), 4)


def _v5(m: "Meter", /, namespace: Any, name: Any) -> str:
    """Return the identifier of *name*, the same for ever, within a namespace."""
    text = want_str("uuid.v5", "namespace", namespace)
    if not _UUID.fullmatch(text):
        raise EvalError(
            f"uuid.v5: for parameter namespace: got {quote(m, text[:80])}, want a UUID "
            "such as uuid.NAMESPACE_URL"
        )
    m.charge(_BYTES)
    within = bytes.fromhex(text.replace("-", ""))
    return _text(digest(m, sha1, within, bytes_of(m, "uuid.v5", "name", name)), 5)


def _text(data: bytes, version: int) -> str:
    """Return the first 16 bytes of *data* as an identifier, marked by RFC 9562."""
    marked = bytearray(data[:16])
    marked[6] = marked[6] & 0x0F | version << 4
    marked[8] = marked[8] & 0x3F | 0x80
    digits = marked.hex()
    ends = (0, 8, 12, 16, 20, 32)
    return "-".join(digits[start:end] for start, end in pairwise(ends))


UUID = Module(
    "uuid",
    {
        "NAMESPACE_DNS": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "NAMESPACE_OID": "6ba7b812-9dad-11d1-80b4-00c04fd430c8",
        "NAMESPACE_URL": "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
        "NAMESPACE_X500": "6ba7b814-9dad-11d1-80b4-00c04fd430c8",
        "v4": Builtin("uuid.v4", _v4),
        "v5": Builtin("uuid.v5", _v5),
    },
)
