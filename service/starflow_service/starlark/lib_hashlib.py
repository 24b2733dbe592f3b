"""The module `hashlib`: digests of text or bytes, as hexadecimal text."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from starflow_service.starlark.arguments import mismatch
from starflow_service.starlark.values import Builtin, Module

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# Bytes that are hashed between two looks at the budget.
_CHUNK = 1 << 16
# The block of SHA-256, and what its key is mixed with inside and outside.
_BLOCK = 64
_INNER = bytes(b ^ 0x36 for b in range(256))
_OUTER = bytes(b ^ 0x5C for b in range(256))


class _Hash(Protocol):
    """What `hashlib` makes, as far as it is used here."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


def _md5() -> _Hash:
    return hashlib.md5(usedforsecurity=False)


def sha1() -> _Hash:
    """Begin a digest by SHA-1."""
    return hashlib.sha1(usedforsecurity=False)


def bytes_of(m: "Meter", name: str, place: int | str, x: Any) -> bytes:
    """
    Return a string in UTF-8, or bytes as they are.

    Raises:
        EvalError: *x*, the argument at *place* of the function *name*, is neither.
    """
    if type(x) is bytes:
        return x
    if type(x) is not str:
        raise mismatch(name, place, x, "string or bytes")
    m.charge(4 * len(x))
    return x.encode()


def digest(m: "Meter", new: Callable[[], _Hash], *parts: bytes) -> bytes:
    """Return the digest of *parts*, one after the other."""
    state = new()
    for part in parts:
        for start in range(0, len(part), _CHUNK):
            chunk = part[start : start + _CHUNK]
            # A block takes about as long as a few rounds of a loop.
            m.work(len(chunk) >> 5)
            state.update(chunk)
    m.charge(256)
    return state.digest()


def _digest_of(name: str, new: Callable[[], _Hash]) -> Builtin:
    def apply(m: "Meter", data: Any, /) -> str:
        return digest(m, new, bytes_of(m, name, 1, data)).hex()

    return Builtin(name, apply)


def _hmac_sha256(m: "Meter", /, key: Any, data: Any) -> str:
    """Return the code by which the owner of *key* shows that *data* is from him."""
    name = "hashlib.hmac_sha256"
    secret = bytes_of(m, name, "key", key)
    text = bytes_of(m, name, "data", data)
    if len(secret) > _BLOCK:
        secret = digest(m, hashlib.sha256, secret)
    block = secret.ljust(_BLOCK, b"\0")
    inner = digest(m, hashlib.sha256, block.translate(_INNER), text)
    return digest(m, hashlib.sha256, block.translate(_OUTER), inner).hex()


HASHLIB = Module(
    "hashlib",
    {
        "hmac_sha256": Builtin("hashlib.hmac_sha256", _hmac_sha256),
        "md5": _digest_of("hashlib.md5", _md5),
        "sha1": _digest_of("hashlib.sha1", sha1),
        "sha256": _digest_of("hashlib.sha256", hashlib.sha256),
        "sha512": _digest_of("hashlib.sha512", hashlib.sha512),
    },
)
