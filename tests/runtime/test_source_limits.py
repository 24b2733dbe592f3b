"""Scripts that are larger than a service takes: refused when sent, kept when taken."""

import pytest

from starflow_backends import MemoryStore
from starflow_service.runtime.errors import ScriptInvalidError
from starflow_service.starlark.limits import Limits
from tests.runtime.harness import ECHO, NS, shop

NARROW = Limits(max_source_nodes=5)


async def test_a_script_over_a_limit_is_refused_by_name():
    async with shop(limits=NARROW) as s:
        with pytest.raises(ScriptInvalidError) as refused:
            await s.start(ECHO)
        report = await s.runtime.validate(NS, ECHO)

    (finding,) = refused.value.diagnostics
    assert finding.code == "LIMIT"
    assert finding.message.startswith("max_source_nodes: ")
    assert finding in report.diagnostics
    assert not report.valid


async def test_a_run_goes_on_although_its_script_would_not_be_taken_any_more():
    store = MemoryStore()
    await store.open()
    async with shop(store) as s:
        await s.start(ECHO, 7)

    async with shop(store, limits=NARROW) as s:
        task = await s.take()
        await s.report(task, task.input)
        view = await s.finished()

    assert view.result == "7"
