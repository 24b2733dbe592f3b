"""Task tokens: who may report on which delivery of which call.

A token is ``namespace/run/call/attempt/delivery/mac``.  The MAC is keyed BLAKE2b (RFC
7693) with a secret that the store keeps.  So a token cannot be guessed, it costs no
write to hand one out, and a server that was killed knows the tokens that it gave
before: the result of a task is not lost because the server restarted while the worker
worked.

A delivery is the server's start, a random text, and a number; no two deliveries of any
server are called the same.
"""

import hashlib
import hmac

from starflow_service.engine.frozen import frozen

_SEPARATOR = "/"
_MAC_BYTES = 16


@frozen
class Token:
    """A genuine token, taken apart."""

    run: str
    call_version: int
    attempt: int
    delivery: str


class Tokens:
    """Makes tokens, and takes apart those that are genuine."""

    def __init__(self, secret: bytes, boot: str) -> None:
        # The secret is hashed once, and not for every token.
        self._keyed = hashlib.blake2b(digest_size=_MAC_BYTES, key=secret)
        self._boot = boot
        self._deliveries = 0

    def make(self, run: str, call_version: int, attempt: int) -> tuple[str, str]:
        """Return a new token and the name of its delivery."""
        self._deliveries += 1
        delivery = f"{self._boot}.{self._deliveries}"
        text = f"{run}/{call_version}/{attempt}/{delivery}"
        return f"{text}/{self._mac(text)}", delivery

    def parse(self, token: str) -> Token | None:
        """Return the parts of *token*, or None if this service never made it."""
        text, _, mac = token.rpartition(_SEPARATOR)
        if not mac.isascii() or not hmac.compare_digest(mac, self._mac(text)):
            return None
        run, call_version, attempt, delivery = text.rsplit(_SEPARATOR, 3)
        return Token(run, int(call_version), int(attempt), delivery)

    def _mac(self, text: str) -> str:
        mac = self._keyed.copy()
        mac.update(text.encode(errors="surrogatepass"))
        return mac.hexdigest()
