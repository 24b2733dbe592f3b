"""A trace goes from whoever starts a run to the functions that it calls."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import starflow
from starflow.testing import SyncTestServer, TestServer
from tests.sdk.terminal import subprocess_environment

CALL = "def main(ctx, input):\n    return m.f(ctx, m.f(ctx, input))\n"
SPANS = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def _tracing() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SPANS))
    trace.set_tracer_provider(provider)


@pytest.fixture(autouse=True)
def spans() -> Iterator[InMemorySpanExporter]:
    SPANS.clear()
    yield SPANS
    SPANS.clear()


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_every_attempt_is_a_span_of_the_trace_that_began_the_run(
    module, spans, kind
):
    seen = []
    if kind == "async":

        @module.function
        async def f(req):
            seen.append(trace.get_current_span().get_span_context().span_id)
    else:

        @module.function
        def f(req):
            seen.append(trace.get_current_span().get_span_context().span_id)

    async with TestServer([module]) as server:
        with trace.get_tracer("test").start_as_current_span("order"):
            run = await server.client.start(CALL)
        await run.result(timeout=20)

    finished = sorted(spans.get_finished_spans(), key=lambda span: span.start_time)
    order, first, second = finished
    assert (first.name, first.kind) == ("m.f", trace.SpanKind.CONSUMER)
    for attempt in (first, second):
        assert attempt.context.trace_id == order.context.trace_id
        assert attempt.parent.span_id == order.context.span_id
    assert [first.context.span_id, second.context.span_id] == seen
    assert first.attributes == {
        "starflow.run_id": run.id,
        "starflow.task_id": f"default/{run.id}/2",
        "starflow.function": "m.f",
        "starflow.attempt": 1,
    }


async def test_a_failed_attempt_is_a_failed_span(module, spans):
    @module.function
    async def f(req):
        raise ValueError("no")

    async with TestServer([module]) as server:
        with pytest.raises(starflow.RunFailed):
            await server.run(CALL)

    (span,) = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.events[0].name == "exception"
    # Whoever started the run was in no trace.
    assert span.parent is None


async def test_headers_are_handed_to_every_task_and_survive_a_crash(module):
    @module.function
    async def f(ctx, req):
        return ctx.headers

    async with TestServer([module]) as server:
        run = await server.client.start(CALL, headers={"tenant": "a"})
        assert await server.finish(run) == {"tenant": "a"}
        await server.crash_and_recover(run, at_version=2)
        assert await server.finish(run) == {"tenant": "a"}
        start = (await server.events(run))[0]

    assert start.detail["headers"] == {"tenant": "a"}


def test_headers_of_a_segment_are_those_of_the_first(module):
    @module.function
    def f(ctx, req):
        return ctx.headers

    script = (
        'load("flow", "flow")\n'
        "def main(ctx, input):\n"
        "    if not input:\n"
        "        flow.restart(ctx, 1)\n"
        "    return m.f(ctx, 1)\n"
    )
    with SyncTestServer([module]) as server:
        run = server.client.start(script, headers={"tenant": "b"})
        assert run.result(timeout=20) == {"tenant": "b"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Upper": "a"},
        {"": "a"},
        {"a": "b\n"},
        {"a": "é"},
        {"a": "b" * 1025},
        {f"a{n}": "" for n in range(17)},
    ],
    ids=["name", "empty", "unprintable", "unicode", "long", "many"],
)
async def test_headers_that_are_none_are_refused(headers):
    async with TestServer() as server:
        with pytest.raises(starflow.InvalidRequest, match="headers"):
            await server.client.start(CALL, allow_unregistered=True, headers=headers)


def test_who_does_not_trace_does_not_load_it():
    code = """
import sys, starflow
from starflow.testing import SyncTestServer
with SyncTestServer(functions={"m.f": 1}) as server:
    print(server.run("def main(ctx, i):\\n    return m.f(ctx)\\n"))
print("opentelemetry" in sys.modules)
"""
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=subprocess_environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "1\nFalse\n"
