"""Lines that nothing can break, fake or make too long, and that tell no payloads."""

import io
import json
import logging

import pytest
import structlog

from starflow_service import logs


@pytest.fixture
def stream():
    before = structlog.get_config()
    handlers = logging.getLogger().handlers[:]
    made = io.StringIO()
    yield made
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_how_bad_and_what(stream):
    logs.set_up("info", "json", stream=stream)

    structlog.get_logger().warning("run.parked", run="default/r", version=7)

    [line] = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "run.parked",
        "run": "default/r",
        "version": 7,
    }


def test_what_is_below_the_level_is_not_written(stream):
    logs.set_up("warning", "json", stream=stream)

    structlog.get_logger().info("x")

    assert stream.getvalue() == ""


def test_the_context_of_a_call_is_on_its_lines(stream):
    logs.set_up("info", "json", stream=stream)

    with structlog.contextvars.bound_contextvars(request_id="id-1"):
        structlog.get_logger().info("x")

    assert lines(stream)[0]["request_id"] == "id-1"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_cannot_break_or_fake_a_line(stream, form):
    logs.set_up("info", form, stream=stream)

    hostile = "a\nINFO fake\r\n\x1b[31m\u2028\u202e"
    structlog.get_logger().info("x", run=hostile)

    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().strip().isprintable()


def test_a_long_value_is_cut(stream):
    logs.set_up("info", "json", stream=stream)

    structlog.get_logger().info("x", run="y" * 10_000)

    assert lines(stream)[0]["run"] == "y" * 256 + "..."


@pytest.mark.parametrize("key", ["input", "output", "task_token", "script", "details"])
def test_payloads_and_tokens_are_never_logged(stream, key):
    logs.set_up("info", "json", stream=stream)

    structlog.get_logger().info("x", **{key: "canary"})

    assert lines(stream)[0][key] == "(not logged)"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_is_kept_and_made_harmless(stream, form):
    logs.set_up("info", form, stream=stream)

    try:
        raise ValueError("why\x1b[31m")
    except ValueError:
        structlog.get_logger().exception("rpc.failed")

    written = stream.getvalue()
    assert "Traceback" in written
    assert "why" in written
    assert "\x1b" not in written
    assert form == "console" or len(lines(stream)) == 1


def test_what_libraries_log_comes_in_the_same_form(stream):
    logs.set_up("info", "json", stream=stream)

    logging.getLogger("asyncio").error("task %s was lost", 7)
    logging.getLogger("asyncio").info("not this")

    [line] = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == (
        "task 7 was lost",
        "asyncio",
        "error",
    )


def test_fields_that_records_have_themselves_are_renamed():
    fields = {"message": "m", "name": "n", "run": "r", "exc_info": True}

    renamed = logs._out_of_the_way(None, "", fields)

    assert renamed == {"message_": "m", "name_": "n", "run": "r", "exc_info": True}
