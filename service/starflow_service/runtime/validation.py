"""Says all that can be said about a script before it runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from starflow_service.runtime.errors import ScriptInvalidError
from starflow_service.runtime.programs import Programs, aside, hash_of
from starflow_service.runtime.registry import Registry
from starflow_service.runtime.schemas import RequestCheck
from starflow_service.runtime.types import ScriptReport
from starflow_service.starlark.bundle import Bundle, Source
from starflow_service.starlark.check import Checked, check
from starflow_service.starlark.diagnostics import Diagnostic, bounded
from starflow_service.starlark.foreign import module_hint


async def validate(
    programs: Programs, registry: Registry, namespace: str, script: Source
) -> ScriptReport:
    """Return what there is to say about *script* to those who run it in *namespace*."""
    script_hash = hash_of(script)
    refused: Sequence[Diagnostic] = ()
    try:
        await programs.admit(script_hash, script)
    except ScriptInvalidError as error:
        refused = error.diagnostics
    known = registry.names(namespace)
    checked = await _looked_at(script, registry.schemas(namespace), known)
    _add_refusal(checked, refused)
    unknown = await registry.unknown(namespace, checked.functions)
    checked.findings = [
        each
        for each in checked.findings
        if each.code != "SUSPICIOUS_NAME" or _place(each) in _places(checked, unknown)
    ]
    checked.findings += [_unknown(checked, *each) for each in unknown.items()]
    checked.sort(_entry(script))
    findings = bounded(checked.findings)
    valid = all(each.severity != "error" for each in findings)
    return ScriptReport(valid, findings, script_hash, list(checked.functions))


async def all_errors(
    script: Source, refused: Sequence[Diagnostic]
) -> Sequence[Diagnostic]:
    """Return all errors of *script*, of which *refused* are some."""
    checked = await _looked_at(script, {})
    _add_refusal(checked, refused)
    checked.sort(_entry(script))
    return bounded([each for each in checked.findings if each.severity == "error"])


async def _looked_at(
    script: Source, schemas: Mapping[str, str], known: Collection[str] = ()
) -> Checked:
    return await aside(script, partial(_look_at, script, schemas, known))


def _look_at(
    script: Source, schemas: Mapping[str, str], known: Collection[str]
) -> Checked:
    checked = check(script, known=known)
    requests = RequestCheck()
    for request in checked.requests:
        schema = schemas.get(request.function)
        if schema is not None:
            checked.findings += [
                replace(found, file=request.file)
                for found in requests.contradictions(
                    request.function, schema, request.value
                )
            ]
    return checked


def _add_refusal(checked: Checked, refused: Sequence[Diagnostic]) -> None:
    """Add why a script was refused if a look at its text does not show it."""
    if not any(each.severity == "error" for each in checked.findings):
        checked.findings += refused


def _unknown(checked: Checked, name: str, nearest: str) -> Diagnostic:
    hint = module_hint(name) or "start its worker first"
    if nearest:
        hint = f"did you mean {nearest}?"
    place = checked.functions[name]
    message = f"no worker ever registered {name}"
    return Diagnostic("error", "UNKNOWN_FUNCTION", message, place.pos, hint, place.file)


def _place(finding: Diagnostic) -> tuple[str, object]:
    return finding.file, finding.pos


def _places(checked: Checked, names: Mapping[str, str]) -> set[tuple[str, object]]:
    return {
        (checked.functions[name].file, checked.functions[name].pos) for name in names
    }


def _entry(script: Source) -> str:
    return script.entry if isinstance(script, Bundle) else ""
