"""Tasks that another server takes for a worker which this one had missed."""

from typing import Any, cast

import pytest

from starflow.v1 import replica_service_pb2 as pb
from starflow_service.replicas.demand import Demand
from starflow_service.replicas.link import Link
from tests.runtime.harness import NS, shop


@pytest.mark.parametrize(("waited", "functions"), [(False, ["test.echo"]), (True, [])])
async def test_a_worker_that_shows_life_elsewhere_is_missed_no_more(waited, functions):
    async with shop() as s:
        await s.start()
        session = s.runtime.workers.session(NS, "w")
        session.is_silent = True
        request = pb.TakeRequest(waited=waited, bytes_max=1_000)
        request.poll.namespace, request.poll.worker_id = NS, "w"
        request.poll.functions.append("test.echo")
        request.poll.max_tasks = 1

        data = await Demand(s.runtime.workers).take(
            cast("Link", cast("Any", "a link")), request.SerializeToString()
        )

        response = pb.TakeResponse.FromString(data)
        assert [task.function for task in response.tasks] == functions
        assert response.silent is session.is_silent is waited
