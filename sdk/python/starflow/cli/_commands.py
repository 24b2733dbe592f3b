"""What the commands do that talk to the service."""

import argparse
import logging
import math
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from starflow import _json
from starflow._client import Client
from starflow._failure import Failure
from starflow._run import Run, outcome
from starflow.cli import _exits, _findings, _render, _scripts
from starflow.errors import ConversionError, FunctionUnknown, ScriptInvalid

Command = Callable[[Client, argparse.Namespace], Awaitable[int]]

# Nobody who typed a command wants to wait for a service that is not there. gRPC by
# itself tries for a second or two.
_PATIENCE_SECONDS = 0.0
# Someone who follows a log wants to see its end, over a restart of the service.
_PATIENCE_SECONDS_FOLLOWING = 60.0


async def with_client(command: Command, options: argparse.Namespace) -> int:
    """Execute *command* with a client for the service."""
    async with Client(
        options.address, namespace=options.namespace, patience=_PATIENCE_SECONDS
    ) as client:
        return await command(client, options)


def _announce_outages() -> None:
    """Say on standard error that the service is away and what is done about it."""
    logging.basicConfig(format="starflow: %(message)s")
    logging.getLogger("starflow.client").setLevel(logging.INFO)


async def run(client: Client, options: argparse.Namespace) -> int:
    """Start a run, and print its result if that is waited for."""
    if options.file == "-" and options.input == "-":
        raise _exits.CommandError("standard input cannot be both FILE and --input")
    started = await _start(client, options)
    if options.wait is None:
        _render.run_started(started.info, started.created, as_json=options.json)
        return _exits.OK
    _announce_outages()
    timeout = None if options.wait == math.inf else options.wait
    info = await started.wait(timeout=timeout)
    if options.json:
        _render.json_line({**info.to_dict(), "created": started.created})
    output = outcome(info, timeout, None)
    if not options.json:
        _render.value(output)
    return _exits.OK


async def _start(client: Client, options: argparse.Namespace) -> Run:
    given = _scripts.given(options)
    try:
        return await client.start(
            given.script,
            input=_read_json("--input", options.input),
            run_id=options.run_id,
            allow_unregistered=options.allow_unregistered,
            labels=dict(options.label),
        )
    except (FunctionUnknown, ScriptInvalid) as error:
        error.message = given.located(error.message)
        if not options.json:
            await _show_errors(client, given, error)
        raise


async def _show_errors(client: Client, given: _scripts.Given, error: Exception) -> None:
    """Show what keeps a script from being run, instead of only naming the first."""
    found = await client.validate(given.script)
    errors = [each for each in found.diagnostics if each.severity == "ERROR"]
    if not errors:
        return
    _findings.show(given, errors, sys.stderr)
    by = " (by --allow-unregistered)" if isinstance(error, FunctionUnknown) else ""
    refusal = f"{given.name} was not run: {_findings.counted(errors)}{by}"
    raise _exits.CommandError(refusal) from error


async def get(client: Client, options: argparse.Namespace) -> int:
    """Show a run."""
    _render.run_info(await client.get(options.run), as_json=options.json)
    return _exits.OK


async def events(client: Client, options: argparse.Namespace) -> int:
    """Print a log."""
    if options.follow:
        # Asked first, so that a wrong address or run is found out at once.
        await client.get(options.run)
        client.patience = _PATIENCE_SECONDS_FOLLOWING
        _announce_outages()
    lines = _render.EventLines(as_json=options.json)
    async for event in client.events(
        options.run, from_version=options.from_version, follow=options.follow
    ):
        lines.add(event)
    return _exits.OK


async def signal(client: Client, options: argparse.Namespace) -> int:
    """Deliver a signal."""
    name, value = _signal_target(options)
    failure = Failure(*options.fail) if options.fail else None
    received = await client.signal(
        options.run,
        options.signal_id,
        value,
        name=name,
        failure=failure,
        only_if_waiting=options.only_if_waiting,
        request_id=options.request_id,
    )
    _render.signal_outcome(options.run, received, as_json=options.json)
    return _exits.OK


def _signal_target(
    options: argparse.Namespace,
) -> tuple[str | None, _json.JsonText | None]:
    """Return the name that is signalled, if it is one, and the value."""
    if options.name is None:
        if options.request_id:
            raise _exits.CommandError("--request-id is for signals by --name")
        return None, _read_json("--output", options.output)
    name, *values = options.name
    if len(values) > 1:
        raise _exits.CommandError("--name takes NAME and one VALUE; quote the JSON")
    if not values:
        return name, _read_json("--output", options.output)
    if options.output is not None or options.fail:
        raise _exits.CommandError("VALUE is not allowed with --output or --fail")
    return name, _read_json("VALUE", values[0])


async def cancel(client: Client, options: argparse.Namespace) -> int:
    """Ask a run to end, and wait until it has if that is asked for."""
    info = await client.cancel(options.run, options.reason)
    if options.wait is not None and not info.finished:
        _announce_outages()
        timeout = None if options.wait == math.inf else options.wait
        info = await client.wait(options.run, timeout=timeout, through_yields=True)
    _render.ending(info, as_json=options.json)
    if options.wait is not None and not info.finished:
        return _exits.UNFINISHED
    return _exits.OK


async def terminate(client: Client, options: argparse.Namespace) -> int:
    """End a run."""
    info = await client.terminate(options.run, options.reason)
    _render.ending(info, as_json=options.json)
    return _exits.OK


async def unpause(client: Client, options: argparse.Namespace) -> int:
    """Let a paused run try again."""
    info = await client.unpause(options.run)
    _render.unpaused(info, as_json=options.json)
    return _exits.UNFINISHED if info.paused else _exits.OK


async def validate(client: Client, options: argparse.Namespace) -> int:
    """Check scripts."""
    if options.files.count("-") > 1:
        raise _exits.CommandError("standard input can be read only once")
    scripts = [_scripts.read(file, options.entry) for file in options.files]
    found = [(given, await client.validate(given.script)) for given in scripts]
    _render.validations(found, as_json=options.json)
    return _exits.OK if all(each.valid for _, each in found) else _exits.FAILED


def _read_text(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _exits.CommandError(f"{file}: is not UTF-8 text: {error}") from None


def _read_json(option: str, given: str | None) -> _json.JsonText | None:
    """Return the JSON that was given: as text, so that nothing of it changes."""
    if given is None:
        return None
    if given == "-":
        text = sys.stdin.read()
    elif given.startswith("@"):
        text = _read_text(given[1:])
    else:
        text = given
    try:
        _json.parse(text)
    except ConversionError as error:
        fix = f"{option} takes JSON, such as '{{\"n\": 1}}', or @FILE"
        raise _exits.CommandError(f"{option}: {error.problem}; {fix}") from None
    return _json.JsonText(text.strip())
