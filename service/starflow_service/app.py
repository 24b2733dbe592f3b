"""The composition root: the only module that knows every room.

It puts store, codec, runtime and server together, starts them, and stops them when a
signal says so.  The first SIGTERM or SIGINT stops gracefully; a second one, at once.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from starflow_backends import (
    Durability,
    LayoutError,
    LockedError,
    Losable,
    SharedStore,
    Store,
    StoreError,
    UnsafeError,
    failpoints,
    open_store,
    shown_url,
)
from starflow_service import __version__, logs, metrics
from starflow_service.config import Config, ConfigError, HelpRequest, read_config
from starflow_service.replicas.peers import PeerBindError
from starflow_service.replicas.replication import Replication
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.rpc.server import BindError, Server
from starflow_service.rpc.workflow_service import StoreFacts
from starflow_service.runtime import garbage
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.strikes import Mark

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# As a shell counts those who die of a signal.
_EXIT_INTERRUPTED = 130
# How long another thread may keep the interpreter from the event loop.  While a script
# of 120 KB was compiled, small runs took 12 ms with CPython's 5 ms, and 4 with this.
_SWITCH_S = 0.001
_EXIT_USAGE = 2
_SURVIVES = {
    Durability.PROCESS: "what is acknowledged survives processes, and no power cut",
    Durability.MEMORY: "what is acknowledged survives nothing",
}

log = structlog.get_logger()


class PortFileError(Exception):
    """The file for the port cannot be written."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"--port-file {path}: {problem}")


def main(
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a server as the command line says; return the exit code."""
    try:
        config = read_config(
            sys.argv[1:] if arguments is None else arguments,
            os.environ if environment is None else environment,
        )
    except HelpRequest as request:
        sys.stdout.write(f"{request}\n")
        return 0
    except ConfigError as error:
        return _complain(error, _EXIT_USAGE)
    logs.set_up(config.log_level, config.log_format or _default_format())
    sys.setswitchinterval(_SWITCH_S)
    if config.failpoint:
        failpoints.arm(config.failpoint)
        log.warning("app.failpoints", armed=config.failpoint)
    try:
        store = open_store(
            config.store,
            durability=_durability(config),
            tell=lambda words: log.warning("store.connection", problem=words),
        )
    except ValueError as error:
        return _complain(f"--store: {error}", _EXIT_USAGE)
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(serve(config, store))
    except ConfigError as error:
        return _complain(error, _EXIT_USAGE)
    except (LockedError, LayoutError, UnsafeError) as error:
        return _complain(f"--store {shown_url(config.store)}: {error}", 1)
    except (StoreError, BindError, PeerBindError, PortFileError) as error:
        return _complain(error, 1)
    return 0


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop, which takes a tenth less CPU a step, where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def serve(config: Config, store: Store) -> None:
    """
    Serve until a signal comes, or the store is lost.

    Raises:
        ConfigError: Other servers could not find this one.
        StoreError: The store cannot be used, or not any more.
        BindError: The address cannot be had.
        PeerBindError: The address for other servers cannot be had.
        PortFileError: The file for the port cannot be written.
    """
    stopping = _stop_on_signals()
    clock = Clock()
    await store.open()
    if config.durability:
        _warn_if_weak(store)
    try:
        shared = store if isinstance(store, SharedStore) else None
        if shared is not None:
            config.check_advertised()
        runtime = Runtime(
            store,
            ProtoCodec(),
            config.options,
            clock,
            mark=_mark_beside(config.store),
            partition_of=None if shared is None else shared.partition_of,
        )
        replication = None if shared is None else Replication(shared, runtime)
        facts = StoreFacts(store.kind, store.durability.value)
        server = Server(
            runtime, facts, route=None if replication is None else replication.router
        )
        # Before the recovery, which can take a while and would be in vain.
        port = server.bind(config.host, config.port)
        await runtime.open()
        try:
            if replication is not None:
                await _join(config, replication, server)
            await server.start()
            with _metrics(config, store, runtime, server):
                _announce(config, port)
                loss = await _loss_before(stopping, store)
            if failpoints.armed:
                failpoints.reach("shutdown_drain")
            log.info("app.stopping", grace_s=config.stop_grace_s)
            if replication is not None:
                await replication.step_down()
            await server.stop(config.stop_grace_s)
        finally:
            if replication is not None:
                await replication.close()
            await runtime.close()
    finally:
        await store.close()
        _remove_port_file(config)
    log.info("app.stopped")
    if loss is not None:
        raise loss


async def _join(config: Config, replication: Replication, server: Server) -> None:
    """Share the store with other servers from now on."""
    await replication.open(
        server.methods, config.peer_host, config.peer_port, config.advertise
    )


async def _loss_before(stopping: asyncio.Event, store: Store) -> StoreError | None:
    """Wait for a signal; return why the store is lost if that comes first."""
    signalled = asyncio.create_task(stopping.wait())
    if not isinstance(store, Losable):
        await signalled
        return None
    losing = asyncio.create_task(store.wait_lost())
    await asyncio.wait({signalled, losing}, return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not losing.done():
        losing.cancel()
        return None
    loss = losing.result()
    # Whatever is still asked for could not be stored.
    log.error("store.lost", error=str(loss))
    return loss


@contextlib.contextmanager
def _metrics(
    config: Config, store: Store, runtime: Runtime, server: Server
) -> Iterator[None]:
    """Show Prometheus what there is to see, if somebody wants that."""
    if config.metrics is None:
        yield
        return
    sources = metrics.Sources(
        store.kind,
        store.durability,
        live_runs=lambda: runtime.live_runs,
        partitions=lambda: len(store.owned) if isinstance(store, SharedStore) else 1,
        calls=lambda: server.ended_calls,
    )
    page = metrics.serve(sources, *config.metrics)
    log.info("app.metrics", address=f"{config.metrics[0]}:{page.port}")
    try:
        yield
    finally:
        page.close()


def _durability(config: Config) -> Durability | None:
    return Durability(config.durability) if config.durability else None


def _warn_if_weak(store: Store) -> None:
    if store.durability is not Durability.DISK:
        log.warning(
            "store.weak_durability",
            store=store.kind,
            durability=store.durability.value,
            survives=_SURVIVES[store.durability],
        )


def _mark_beside(store: str) -> Mark | None:
    """Return the mark of a store that is a file here; others have none."""
    scheme, _, path = store.partition(":")
    if scheme != "sqlite":
        return None
    try:
        return Mark(Path(f"{path}.running"))
    except OSError as error:
        log.warning("app.no_mark", problem=error.strerror)
        return None


def _announce(config: Config, port: int) -> None:
    garbage.tend()
    host = f"[{config.host}]" if ":" in config.host else config.host
    log.info("app.serving", address=f"{host}:{port}", version=__version__)
    if config.port_file:
        _write_port_file(Path(config.port_file), port)
    sys.stdout.write(f"listening on {host}:{port}\n")
    sys.stdout.flush()


def _write_port_file(path: Path, port: int) -> None:
    # Whoever waits for the file finds all of it, or none.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        partial.write_text(f"{port}\n")
        partial.replace(path)
    except OSError as error:
        raise PortFileError(path, error.strerror or str(error)) from None


def _remove_port_file(config: Config) -> None:
    if config.port_file:
        with contextlib.suppress(OSError):
            Path(config.port_file).unlink(missing_ok=True)


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            # Nothing is lost by it: what was acknowledged is stored.
            os._exit(_EXIT_INTERRUPTED)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    return stopping


def _default_format() -> str:
    return "console" if sys.stderr.isatty() else "json"


def _complain(problem: object, code: int) -> int:
    sys.stderr.write(f"starflow_service: {problem}\n")
    return code
