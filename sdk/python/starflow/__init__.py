"""Starflow for Python: start workflows, and execute the functions they call.

`Client` starts runs, waits for them, signals them and reads their logs. `Worker`
executes the functions of `Module`s for runs. `errors` holds what a caller can catch.

Importing this package loads nothing else (PEP 562): every name below is fetched when
it is first used. The generated API `starflow.v1` lives in this package, and whoever
needs only that, such as the service, must not pay for the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starflow._bundle import Bundle as Bundle
    from starflow._client import Client as Client
    from starflow._context import TaskContext as TaskContext
    from starflow._context import WaitForSignal as WaitForSignal
    from starflow._context import wait_for_signal as wait_for_signal
    from starflow._failure import Failure as Failure
    from starflow._function import Function as Function
    from starflow._function import Module as Module
    from starflow._function import Retry as Retry
    from starflow._json import JsonText as JsonText
    from starflow._model import Diagnostic as Diagnostic
    from starflow._model import Event as Event
    from starflow._model import Limits as Limits
    from starflow._model import RunInfo as RunInfo
    from starflow._model import ServerInfo as ServerInfo
    from starflow._model import SignalOutcome as SignalOutcome
    from starflow._model import UnreadSignal as UnreadSignal
    from starflow._model import Validation as Validation
    from starflow._model import Wait as Wait
    from starflow._operations import FunctionInfo as FunctionInfo
    from starflow._operations import QueueInfo as QueueInfo
    from starflow._operations import Rate as Rate
    from starflow._operations import ReplicaInfo as ReplicaInfo
    from starflow._operations import WorkerInfo as WorkerInfo
    from starflow._run import Run as Run
    from starflow._sync import SyncClient as SyncClient
    from starflow._sync import SyncRun as SyncRun
    from starflow._worker import Worker as Worker
    from starflow.errors import Conflict as Conflict
    from starflow.errors import ConversionError as ConversionError
    from starflow.errors import ForkedError as ForkedError
    from starflow.errors import FunctionError as FunctionError
    from starflow.errors import FunctionUnknown as FunctionUnknown
    from starflow.errors import InvalidRequest as InvalidRequest
    from starflow.errors import NotFound as NotFound
    from starflow.errors import NotPossible as NotPossible
    from starflow.errors import PayloadInvalid as PayloadInvalid
    from starflow.errors import PermanentError as PermanentError
    from starflow.errors import RateLimited as RateLimited
    from starflow.errors import RequestError as RequestError
    from starflow.errors import ResultTimeout as ResultTimeout
    from starflow.errors import RetryableError as RetryableError
    from starflow.errors import RunCancelled as RunCancelled
    from starflow.errors import RunDeleted as RunDeleted
    from starflow.errors import RunFailed as RunFailed
    from starflow.errors import RunFinished as RunFinished
    from starflow.errors import RunIdConflict as RunIdConflict
    from starflow.errors import RunNotFinished as RunNotFinished
    from starflow.errors import RunNotFound as RunNotFound
    from starflow.errors import RunPaused as RunPaused
    from starflow.errors import RunYielded as RunYielded
    from starflow.errors import ScriptInvalid as ScriptInvalid
    from starflow.errors import ScriptNotFound as ScriptNotFound
    from starflow.errors import ServiceFault as ServiceFault
    from starflow.errors import SignalConflict as SignalConflict
    from starflow.errors import SignalNotExpected as SignalNotExpected
    from starflow.errors import SignalsFull as SignalsFull
    from starflow.errors import StarflowError as StarflowError
    from starflow.errors import TaskAbandoned as TaskAbandoned
    from starflow.errors import TooLarge as TooLarge
    from starflow.errors import Unavailable as Unavailable
    from starflow.errors import VersionOutOfRange as VersionOutOfRange
    from starflow.errors import WorkerNotRegistered as WorkerNotRegistered

_MODULES = {
    "_bundle": ("Bundle",),
    "_client": ("Client",),
    "_context": ("TaskContext", "WaitForSignal", "wait_for_signal"),
    "_failure": ("Failure",),
    "_function": ("Function", "Module", "Retry"),
    "_json": ("JsonText",),
    "_model": (
        "Diagnostic",
        "Event",
        "Limits",
        "RunInfo",
        "ServerInfo",
        "SignalOutcome",
        "UnreadSignal",
        "Validation",
        "Wait",
    ),
    "_operations": ("FunctionInfo", "QueueInfo", "Rate", "ReplicaInfo", "WorkerInfo"),
    "_run": ("Run",),
    "_sync": ("SyncClient", "SyncRun"),
    "_worker": ("Worker",),
    "errors": (
        "Conflict",
        "ConversionError",
        "ForkedError",
        "FunctionError",
        "FunctionUnknown",
        "InvalidRequest",
        "NotFound",
        "NotPossible",
        "PayloadInvalid",
        "PermanentError",
        "RateLimited",
        "RequestError",
        "ResultTimeout",
        "RetryableError",
        "RunCancelled",
        "RunFailed",
        "RunDeleted",
        "RunFinished",
        "RunIdConflict",
        "RunNotFinished",
        "RunNotFound",
        "RunPaused",
        "RunYielded",
        "ScriptInvalid",
        "ScriptNotFound",
        "ServiceFault",
        "SignalConflict",
        "SignalNotExpected",
        "SignalsFull",
        "StarflowError",
        "TaskAbandoned",
        "TooLarge",
        "Unavailable",
        "VersionOutOfRange",
        "WorkerNotRegistered",
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

# `__version__` is left out: it asks the package's metadata, which `import *` need not.
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = import_module("starflow._version").version()
    elif name in _HOME:
        value = getattr(import_module(f"starflow.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'starflow' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
