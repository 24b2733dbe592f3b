"""Compiled scripts, by hash."""

import asyncio
import hashlib
from collections import OrderedDict

from starflow_backends.store import Store, StoreError
from starflow_service.runtime.errors import (
    ScriptInvalidError,
    ScriptNotFoundError,
    StoreDownError,
)
from starflow_service.starlark import bundle
from starflow_service.starlark.bundle import Bundle, Source
from starflow_service.starlark.diagnostics import ScriptSyntaxError
from starflow_service.starlark.program import Program, compile_bundle, compile_program

# Compiling takes some milliseconds a kilobyte.  Up to this many characters it is done
# on the spot: a thread would cost more than it spares the others.
_ON_THE_SPOT_MAX = 2_000


def stored_form(script: Source) -> bytes:
    """Return *script* as the store keeps it: a text as it is, a bundle in one form."""
    if isinstance(script, Bundle):
        return bundle.to_bytes(script)
    return script.encode(errors="surrogatepass")


def hash_of(script: Source) -> str:
    """Return the script's name: the SHA-256 of its stored form, in hexadecimal."""
    return hashlib.sha256(stored_form(script)).hexdigest()


class Programs:
    """A bounded cache of compiled scripts in front of the store."""

    def __init__(self, store: Store, *, programs_max: int) -> None:
        self._store = store
        self._programs_max = programs_max
        self._programs: OrderedDict[str, Program] = OrderedDict()
        # Hashes that the store is known to hold.
        self._stored: set[str] = set()

    async def compile(self, script_hash: str, script: Source) -> Program:
        """
        Return the compiled *script*.

        Raises:
            ScriptInvalidError: It is not a program with main(ctx, input).
        """
        program = self._programs.get(script_hash)
        if program is not None:
            self._programs.move_to_end(script_hash)
            return program
        try:
            if isinstance(script, Bundle):
                program = await asyncio.to_thread(compile_bundle, script)
            elif len(script) <= _ON_THE_SPOT_MAX:
                program = compile_program(script)
            else:
                program = await asyncio.to_thread(compile_program, script)
        except ScriptSyntaxError as error:
            raise ScriptInvalidError(error.diagnostics) from error
        self._programs[script_hash] = program
        if len(self._programs) > self._programs_max:
            self._programs.popitem(last=False)
        return program

    async def load(self, script_hash: str) -> Program:
        """
        Return the compiled script that the store keeps under *script_hash*.

        Raises:
            ScriptNotFoundError: It keeps none.
        """
        program = self._programs.get(script_hash)
        # One that was only validated is compiled, too, but no run could be replayed.
        if program is not None and self.is_stored(script_hash):
            self._programs.move_to_end(script_hash)
            return program
        source = await self.source(script_hash)
        self.mark_stored(script_hash)
        return await self.compile(script_hash, source)

    async def source(self, script_hash: str) -> Source:
        """
        Return the script's text or its files.

        Raises:
            ScriptNotFoundError: The store does not have it.
            StoreDownError: The store does not answer.
        """
        try:
            data = await self._store.get_record("script", script_hash)
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        if data is None:
            raise ScriptNotFoundError(script_hash)
        found = bundle.from_bytes(data)
        return data.decode(errors="surrogatepass") if found is None else found

    def is_stored(self, script_hash: str) -> bool:
        """Whether the store is known to hold the script."""
        return script_hash in self._stored

    def mark_stored(self, script_hash: str) -> None:
        """The store holds the script from now on."""
        if len(self._stored) > 100 * self._programs_max:
            self._stored.clear()
        self._stored.add(script_hash)
