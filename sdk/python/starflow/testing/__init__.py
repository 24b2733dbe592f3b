"""A real server in the process of a test, with a time that the test moves.

    async with TestServer(modules=[payments], functions={"mail.Send": None}) as server:
        assert await server.run(SCRIPT, input={"order_id": "A-1"}) == {"ok": True}

`TestServer` is for async tests, `SyncTestServer` the same for others. They need what
`pip install 'starflow-grpc[service]'` installs. `TestContext` is for tests that call a
function themselves, and needs nothing. For pytest there are the fixtures
`starflow_server` and `starflow_sync_server`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starflow.testing._context import TestContext as TestContext
    from starflow.testing._mocks import NEVER as NEVER
    from starflow.testing._mocks import InTurn as InTurn
    from starflow.testing._mocks import RecordedCall as RecordedCall
    from starflow.testing._mocks import Returns as Returns
    from starflow.testing._server import ReplayFailed as ReplayFailed
    from starflow.testing._server import Stuck as Stuck
    from starflow.testing._server import TestServer as TestServer
    from starflow.testing._sync import SyncTestServer as SyncTestServer

_MODULES = {
    "_context": ("TestContext",),
    "_mocks": ("NEVER", "InTurn", "RecordedCall", "Returns"),
    "_server": ("ReplayFailed", "Stuck", "TestServer"),
    "_sync": ("SyncTestServer",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'starflow.testing' has no attribute {name!r}")
    value = getattr(import_module(f"starflow.testing.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
