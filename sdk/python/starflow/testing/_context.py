"""A context for tests that call a function themselves, without a server."""

from collections.abc import Mapping
from typing import Any

from starflow import _convert, _failure, _json
from starflow._context import TaskContext
from starflow._failure import Failure
from starflow.v1 import worker_service_pb2 as pb


class TestContext(TaskContext):
    """
    A context as a worker gives it to a function, of a task that nobody delivered.

        assert charge(TestContext(attempt=2), Charge("A-1", 5)) == {"id": "1"}

    `cancel(reason)` lets the function know that it should stop.
    """

    # pytest takes classes of this name for tests.
    __test__ = False
    __slots__ = ()

    def __init__(
        self,
        *,
        function: str = "test.function",
        input: Any = None,
        run_id: str = "run",
        call_version: int = 2,
        attempt: int = 1,
        last_progress: Any = None,
        last_failure: Failure | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        task = pb.Task(
            function=function,
            run_id=run_id,
            task_id=f"default/{run_id}/{call_version}",
            call_version=call_version,
            attempt=attempt,
            signal_id=f"{call_version}-test",
            headers=headers,
        )
        task.input.json = _convert.encode(input)
        if last_progress is not None:
            task.last_progress.json = _convert.encode(last_progress)
        if last_failure is not None:
            task.last_failure.CopyFrom(_failure.to_pb(last_failure))
        super().__init__(task, lambda: None)

    @property
    def reported_progress(self) -> Any:
        """The last progress that the function reported; None if none."""
        text = self.unsent_progress()
        return None if text is None else _json.decode(text)
