"""Words for what tests say to a service."""

import json

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from starflow.v1 import worker_service_pb2 as worker_pb
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.payload_pb2 import Payload

ECHO = "def main(ctx, input):\n    return test.echo(ctx=ctx, req=input)\n"
# No test waits this long when all is well.
LONG = Duration(seconds=20)


def payload(value):
    return Payload(json=json.dumps(value))


async def register(workers, *names, worker="w", **spec):
    specs = [worker_pb.FunctionSpec(name=name, **spec) for name in names]
    return await workers.RegisterFunction(
        worker_pb.RegisterFunctionRequest(
            worker=worker_pb.WorkerInfo(worker_id=worker), functions=specs
        )
    )


async def start(workflows, script=ECHO, value=None, **fields):
    """Start a run, whether anybody knows its functions or not."""
    fields = {"run_id": "r", "input": payload(value), **fields}
    request = pb.RunRequest(script=script, allow_unregistered=True, **fields)
    return await workflows.Run(request)


async def poll(workers, *functions, worker="w", wait=LONG, **fields):
    return await workers.Poll(
        worker_pb.PollRequest(
            worker_id=worker, functions=functions or ["test.echo"], wait=wait, **fields
        )
    )


async def take(workers, *functions, **fields):
    """Return the one task that comes."""
    [task] = (await poll(workers, *functions, **fields)).tasks
    return task


async def complete(workers, *results, worker="w"):
    answer = await workers.CompleteTasks(
        worker_pb.CompleteTasksRequest(worker_id=worker, results=results)
    )
    return list(answer.completions)


def result(task, value=None, **outcome):
    token = task if isinstance(task, str) else task.task_token
    outcome = outcome or {"output": payload(value)}
    return worker_pb.TaskResult(task_token=token, **outcome)


async def finished(workflows, run_id="r"):
    request = pb.GetRunRequest(
        run_id=run_id, wait=LONG, wait_until="WAIT_UNTIL_FINISHED"
    )
    return (await workflows.GetRun(request)).run


async def events(workflows, **fields):
    """Return all events of the run r, and the last batch."""
    found, batch = [], None
    async for batch in workflows.GetEvents(pb.GetEventsRequest(run_id="r", **fields)):
        found += batch.events
    return found, batch


class Refusal:
    """What a refused call was told."""

    def __init__(self, error):
        status = rpc_status.from_call(error)
        info, bad = ErrorInfo(), BadRequest()
        unpacked = [d.Unpack(info) or d.Unpack(bad) for d in status.details]
        assert unpacked
        self.code = error.code().name
        self.reason = info.reason
        self.message = status.message
        self.metadata = dict(info.metadata)
        self.fields = [violation.field for violation in bad.field_violations]


async def refusal(call):
    """Await *call*, which must be refused as the API promises."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    refused = Refusal(caught.value)
    # Nothing of the inside leaks out.
    assert "Traceback" not in refused.message
    assert ".py" not in refused.message
    return refused
