"""The functions ever registered, and the workers that showed themselves."""

import asyncio
import difflib
from collections.abc import Iterable, Mapping, Sequence

from starflow_backends.store import Store, StoreError
from starflow_service.runtime.codec import Codec
from starflow_service.runtime.errors import RateLimitedError, StoreDownError
from starflow_service.runtime.pending import Session
from starflow_service.runtime.types import FunctionSpec

# difflib takes time with the square of a name's length.
_SUGGESTED_LENGTH_MAX = 60
# Each suggestion costs a comparison with every known name.
_SUGGESTIONS_MAX = 20
# Unknown functions of one script that are looked up in the store.
_LOOKED_UP_MAX = 100
_SESSIONS_MAX = 20_000
# A worker that holds nothing is forgotten after this many seconds of silence.
_SESSION_S = 300.0


class Registry:
    """Functions by namespace and name: durable, and small enough for memory."""

    def __init__(self, store: Store, codec: Codec) -> None:
        self._store = store
        self._codec = codec
        self._specs: dict[str, dict[str, FunctionSpec]] = {}
        # Whether other servers register functions as well.
        self.is_shared = False

    async def open(self) -> None:
        """Read what was registered."""
        for key, data in (await self._store.scan_records("function")).items():
            namespace, _, name = key.partition("/")
            spec = self._codec.decode_spec(data)
            self._specs.setdefault(namespace, {})[name] = spec

    async def refresh(self, namespace: str, names: Iterable[str]) -> None:
        """
        Read what another server has registered.

        Raises:
            StoreError: The store failed.
        """

        async def look_up(name: str) -> None:
            data = await self._store.get_record("function", f"{namespace}/{name}")
            if data is not None:
                specs = self._specs.setdefault(namespace, {})
                specs[name] = self._codec.decode_spec(data)

        await asyncio.gather(*map(look_up, names))

    def spec(self, namespace: str, name: str) -> FunctionSpec | None:
        """Return the specification in force, or None."""
        return self._specs.get(namespace, {}).get(name)

    async def register(
        self, namespace: str, specs: Sequence[FunctionSpec]
    ) -> list[str]:
        """Put *specs* in force; return the names whose specification changed."""
        known = self._specs.setdefault(namespace, {})
        changed = []
        for spec in specs:
            before = known.get(spec.name)
            if before == spec:
                continue
            key = f"{namespace}/{spec.name}"
            await self._store.put_record("function", key, self._codec.encode_spec(spec))
            known[spec.name] = spec
            if before is not None:
                changed.append(spec.name)
        return changed

    def by_name(self, namespace: str) -> Mapping[str, FunctionSpec]:
        """Return what is in force, by function; it follows what is registered later."""
        return self._specs.setdefault(namespace, {})

    def names(self, namespace: str) -> list[str]:
        """Return the names of all functions."""
        return list(self._specs.get(namespace, {}))

    def specs(self, namespace: str) -> list[FunctionSpec]:
        """Return the specifications in force, of all functions."""
        return list(self._specs.get(namespace, {}).values())

    def schemas(self, namespace: str) -> dict[str, str]:
        """Return the JSON Schemas of requests, by function, of those that have one."""
        specs = self._specs.get(namespace, {})
        return {n: spec.input_schema for n, spec in specs.items() if spec.input_schema}

    async def unknown(self, namespace: str, names: Iterable[str]) -> dict[str, str]:
        """
        Return the names that nobody registered, each with the nearest or ``""``.

        Raises:
            StoreDownError: The store failed.
        """
        known = self._specs.setdefault(namespace, {})
        unknown = [name for name in names if name not in known]
        if unknown and self.is_shared:
            try:
                await self.refresh(namespace, unknown[:_LOOKED_UP_MAX])
            except StoreError as error:
                raise StoreDownError(str(error)) from error
            unknown = [name for name in unknown if name not in known]
        suggested = set(unknown[:_SUGGESTIONS_MAX])
        return {n: _nearest(n, known) if n in suggested else "" for n in unknown}


class Sessions:
    """The workers, by namespace and id."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str], Session] = {}
        # By namespace and function.
        self._serving: dict[tuple[str, str], dict[Session, None]] = {}

    def of(self, namespace: str) -> list[Session]:
        """Return the workers of *namespace*."""
        return [each for (of, _), each in self._sessions.items() if of == namespace]

    def serving(self, namespace: str, function: str) -> Iterable[Session]:
        """Return the workers that offer *function*, live or not."""
        return self._serving.get((namespace, function), ())

    def offer(
        self, session: Session, functions: Sequence[str], *, by_poll: bool = False
    ) -> None:
        """Note what a worker registered, or polled for without having registered."""
        before = set(session.offers)
        if by_poll:
            session.polled = tuple(functions)
        else:
            session.functions = tuple(functions)
        after = set(session.offers)
        for name in before - after:
            self._withdraw(session, name)
        for name in after - before:
            self._serving.setdefault((session.namespace, name), {})[session] = None

    def _withdraw(self, session: Session, function: str) -> None:
        serving = self._serving[session.namespace, function]
        del serving[session]
        if not serving:
            del self._serving[session.namespace, function]

    def find(self, namespace: str, worker_id: str) -> Session | None:
        """Return the worker's session, or None."""
        return self._sessions.get((namespace, worker_id))

    def enter(self, namespace: str, worker_id: str) -> Session:
        """Return the worker's session, a new one if it has none."""
        key = (namespace, worker_id)
        session = self._sessions.get(key)
        if session is None:
            if len(self._sessions) >= _SESSIONS_MAX:
                raise RateLimitedError(f"{_SESSIONS_MAX} workers are known", 60)
            session = self._sessions[key] = Session(namespace, worker_id)
        return session

    def forget_silent(self, now: float) -> None:
        """Drop workers that hold nothing and were not heard of for long."""
        silent = [
            key
            for key, session in self._sessions.items()
            if not (session.held or session.streams)
            and now - session.seen_at > _SESSION_S
        ]
        for key in silent:
            session = self._sessions.pop(key)
            for function in set(session.offers):
                self._withdraw(session, function)


def _nearest(name: str, known: Iterable[str]) -> str:
    if len(name) > _SUGGESTED_LENGTH_MAX:
        return ""
    candidates = [k for k in known if len(k) <= _SUGGESTED_LENGTH_MAX][:1000]
    matches = difflib.get_close_matches(name, candidates, n=1)
    return matches[0] if matches else ""
