"""Begins runs, once each: a run id names one log for ever."""

from collections.abc import Callable

from starflow_backends.store import ConflictError, CorruptError, StoreError
from starflow_service.engine.errors import LogCorruptError
from starflow_service.engine.events import Start
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.errors import (
    FunctionUnknownError,
    LogCorruptedError,
    RunIdConflictError,
    RunNotFoundError,
    ScriptInvalidError,
    StoreDownError,
)
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.programs import Programs, hash_of, stored_form
from starflow_service.runtime.registry import Registry
from starflow_service.runtime.retention import Namespaces
from starflow_service.runtime.runs import Runs
from starflow_service.runtime.types import (
    ConflictPolicy,
    RunView,
    ScriptReport,
    StartRequest,
)
from starflow_service.runtime.validation import all_errors, validate
from starflow_service.starlark import jsontext
from starflow_service.starlark.bundle import Source
from starflow_service.starlark.program import Program

# How often a run is looked for that is neither there nor not.
_TRIES = 10

View = Callable[[LiveRun], RunView]


class Starts:
    """Checks scripts, and starts runs of them."""

    def __init__(
        self,
        runs: Runs,
        programs: Programs,
        registry: Registry,
        namespaces: Namespaces,
        clock: Clock,
        view: View,
    ) -> None:
        self._runs = runs
        self._programs = programs
        self._registry = registry
        self._namespaces = namespaces
        self._clock = clock
        self._view = view

    async def start(self, request: StartRequest) -> tuple[RunView, bool]:
        """
        Start a run, or find the one that has its id; see `Runtime.start_run`.

        The run is begun without looking whether it exists: the store refuses a second
        START, and then, seldom, the first is looked at.
        """
        script_hash, program = await self._program(request)
        await self._check_functions(request, program)
        run_id = request.run_id or self._clock.nonce() + self._clock.nonce()
        key = f"{request.namespace}/{run_id}"
        tries_left = _TRIES
        while True:
            if not self._runs.is_live(key):
                view = await self._begin(key, request, script_hash, program)
                if view is not None:
                    return view, True
            tries_left -= 1
            try:
                return await self._attach(key, request, script_hash), False
            except RunNotFoundError:
                # What was live was nobody's run: somebody has looked for it in vain.
                if not tries_left:
                    raise

    async def _begin(
        self, key: str, request: StartRequest, script_hash: str, program: Program
    ) -> RunView | None:
        """Begin the run; return None if it exists."""
        try:
            await self._namespaces.enter(request.namespace)
            script = script_hash, stored_form(request.script)
            return await self._runs.start(
                key,
                program,
                script,
                request.input,
                request.labels,
                request.headers,
                self._view,
            )
        except ConflictError:
            return None
        except StoreError as error:
            raise StoreDownError(str(error)) from error

    async def validate(self, namespace: str, script: Source) -> ScriptReport:
        """Check *script* without running it."""
        return await validate(self._programs, self._registry, namespace, script)

    async def _program(self, request: StartRequest) -> tuple[str, Program]:
        if request.script_hash:
            return request.script_hash, await self._programs.load(request.script_hash)
        script_hash = hash_of(request.script)
        try:
            program = await self._programs.admit(script_hash, request.script)
        except ScriptInvalidError as error:
            # Now that it is refused, all that is wrong with it may as well be said.
            raise ScriptInvalidError(
                await all_errors(request.script, error.diagnostics)
            ) from error
        return script_hash, program

    async def _check_functions(self, request: StartRequest, program: Program) -> None:
        if request.allow_unregistered:
            return
        unknown = await self._registry.unknown(request.namespace, program.functions)
        if unknown:
            raise FunctionUnknownError(unknown)

    async def _attach(
        self, key: str, request: StartRequest, script_hash: str
    ) -> RunView:
        view = await self._runs.submit(key, self._view, needs_script=False)
        policy = request.policy
        if policy is ConflictPolicy.ATTACH_ANY:
            return view
        difference = ""
        if view.script_hash != script_hash:
            difference = " with another script"
        elif not jsontext.equal(await self._first_input(key, view), request.input):
            difference = " with another input"
        if difference or policy is ConflictPolicy.FAIL:
            raise RunIdConflictError(view.run_id, view.state.name, difference)
        return view

    async def _first_input(self, key: str, view: RunView) -> str:
        """Return what the run was started with, however often it began again since."""
        if not view.restarts:
            return view.input
        try:
            (start,) = await self._runs.read(key, limit=1)
        except (LogCorruptError, CorruptError) as error:
            raise LogCorruptedError(view.run_id, str(error)) from error
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        return start.input if isinstance(start, Start) else ""
