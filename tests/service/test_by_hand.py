"""A whole run, typed step by step as with grpcurl: a plain, threaded client.

pytest-grpc gives the channel; see conftest.py for how it comes to an asyncio server.
"""

import grpc
import pytest
from grpc_status import rpc_status

from starflow.v1 import worker_service_pb2 as worker_pb
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.run_pb2 import RunState
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from starflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from tests.service.calls import LONG, payload

SCRIPT = "def main(ctx, input):\n    return demo.hello(ctx=ctx, req=input)\n"


@pytest.fixture(scope="module")
def grpc_stub_cls():
    return WorkflowServiceStub


@pytest.fixture
def workers(grpc_channel):
    return WorkerServiceStub(grpc_channel)


def test_a_worker_is_register_poll_and_complete(grpc_stub, workers):
    workers.RegisterFunction(
        worker_pb.RegisterFunctionRequest(
            worker={"worker_id": "me"}, functions=[{"name": "demo.hello"}]
        )
    )
    started = grpc_stub.Run(
        pb.RunRequest(run_id="by-hand", script=SCRIPT, input=payload({"name": "Ada"}))
    )
    [task] = workers.Poll(worker_pb.PollRequest(worker_id="me", wait=LONG)).tasks
    [completion] = workers.CompleteTasks(
        worker_pb.CompleteTasksRequest(
            results=[{"task_token": task.task_token, "output": payload("hello, Ada")}]
        )
    ).completions
    run = grpc_stub.GetRun(pb.GetRunRequest(run_id="by-hand", wait=LONG)).run
    stream = grpc_stub.GetEvents(pb.GetEventsRequest(run_id="by-hand", follow=True))
    versions = [event.version for batch in stream for event in batch.events]

    assert started.created
    assert task.input.json == '{"name":"Ada"}'
    assert completion.status == worker_pb.COMPLETION_STATUS_APPLIED
    assert run.state == RunState.RUN_STATE_SUCCEEDED
    assert run.output.json == '"hello, Ada"'
    assert versions == [1, 2, 3, 4]


def test_an_error_has_status_reason_and_message(grpc_stub):
    with pytest.raises(grpc.RpcError) as caught:
        grpc_stub.GetRun(pb.GetRunRequest(run_id="nothing"))

    status = rpc_status.from_call(caught.value)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert status.message == "there is no run nothing in namespace default"
    assert b"RUN_NOT_FOUND" in status.details[0].value
