"""Compiled scripts, by hash."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from starflow_backends.store import Store, StoreError
from starflow_service.runtime.errors import (
    ScriptInvalidError,
    ScriptNotFoundError,
    StoreDownError,
)
from starflow_service.starlark import bundle
from starflow_service.starlark.bundle import Bundle, Source
from starflow_service.starlark.diagnostics import ScriptSyntaxError
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.program import Program, compile_bundle, compile_program
from starflow_service.starlark.sizes import too_large

T = TypeVar("T")

# Compiling takes some milliseconds a kilobyte.  Up to this many characters it is done
# on the spot: a thread would cost more than it spares the others.
_ON_THE_SPOT_MAX = 2_000
# One thread for all that takes long: each one more would take its share of the time
# from the loop, and none would make anything faster.
_ASIDE = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compile")


async def aside(script: Source, work: Callable[[], T]) -> T:
    """Return what *work* does: in a thread, unless *script* is a short one."""
    if isinstance(script, str) and len(script) <= _ON_THE_SPOT_MAX:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_ASIDE, work)


def stored_form(script: Source) -> bytes:
    """Return *script* as the store keeps it: a text as it is, a bundle in one form."""
    if isinstance(script, Bundle):
        return bundle.to_bytes(script)
    return script.encode(errors="surrogatepass")


def hash_of(script: Source) -> str:
    """Return the script's name: the SHA-256 of its stored form, in hexadecimal."""
    return hashlib.sha256(stored_form(script)).hexdigest()


def _compiled(script: Source) -> Program:
    if isinstance(script, Bundle):
        return compile_bundle(script)
    return compile_program(script)


class Programs:
    """A bounded cache of compiled scripts in front of the store."""

    def __init__(self, store: Store, limits: Limits, *, programs_max: int) -> None:
        self._store = store
        self._limits = limits
        self._programs_max = programs_max
        self._programs: OrderedDict[str, Program] = OrderedDict()
        # Hashes that the store is known to hold.
        self._stored: set[str] = set()

    async def admit(self, script_hash: str, script: Source) -> Program:
        """
        Return the compiled *script*, which somebody sends.

        Raises:
            ScriptInvalidError: It is no program, or larger than this service takes.
        """
        if over := await aside(script, partial(too_large, script, self._limits)):
            raise ScriptInvalidError(over)
        return await self._compile(script_hash, script)

    async def _compile(self, script_hash: str, script: Source) -> Program:
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
            program = await aside(script, partial(_compiled, script))
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
        return await self._compile(script_hash, source)

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
