"""Scripts of several files: read from disk, sent, and shown by the command line."""

import json
from pathlib import Path

import grpc
import pytest

import starflow
from starflow import Bundle
from starflow.cli import _exits
from starflow.v1 import run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from tests.sdk.fake_service import abort, finished

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
FILES = {
    "order.star": 'load("lib/tax.star", "tax")\ndef main(ctx, input): return tax(1)\n',
    "lib/tax.star": 'load("../rates.star", "rate")\ndef tax(x): return x * rate\n',
    "rates.star": "rate = 2\r\n",
    "unused.star": "# nobody needs it\n",
}
NEEDED = {path: text for path, text in FILES.items() if path != "unused.star"}


def write(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.encode())
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "flows", FILES)


# From disk


def test_a_folder_is_taken_whole(root):
    write(root, {".hidden/x.star": "", "readme.md": "", "lib/.y.star": ""})

    assert Bundle.from_directory(root, entry="order.star") == Bundle(
        FILES, "order.star"
    )


def test_a_folder_needs_its_entry(root):
    with pytest.raises(FileNotFoundError, match=r"main\.star"):
        Bundle.from_directory(root)


def test_a_file_brings_what_it_loads(root):
    bundle = Bundle.from_file(root / "order.star")

    assert dict(bundle.sources) == NEEDED
    assert bundle.entry == "order.star"


@pytest.mark.parametrize(
    "load",
    [
        'load("a.star", "x")',
        "load('a.star', 'x')",
        'load("./a.star", x="y")',
        'load("//a.star", "x")',
        'load("sub/../a.star", "x")',
        'load(\n    # why\n    "a.star",\n    "x",\n)',
        'load("time", "now"); load("a.star", "x")',
        'load(r"a.star", "x")',
        'load("a\\x2estar", "x")',
        'x = 1\nload("a.star", "x")\n)]} not a program',
    ],
)
def test_loads_are_found(tmp_path, load):
    write(tmp_path, {"main.star": load, "a.star": ""})

    assert set(Bundle.from_file(tmp_path / "main.star").sources) == {
        "main.star",
        "a.star",
    }


@pytest.mark.parametrize(
    "text",
    [
        '# load("a.star", "x")',
        '"""\nload("a.star", "x")\n"""',
        'x = load("a.star", "x")',
        'unload("a.star", "x")',
        'load(a, "a.star")',
        'load("gone.star", "x")',
        'load("../main/a.star", "x")',
        'load("/a.star", "x")',
        'load("//.//a.star", "x")',
        'load(f"a.star", "x")',
        "'''",
        "load(",
    ],
)
def test_what_looks_like_a_load_and_is_none(tmp_path, text):
    root = write(tmp_path / "main", {"main.star": text, "a.star": ""})

    assert set(Bundle.from_file(root / "main.star").sources) == {"main.star"}


def test_files_that_load_each_other_are_read_once(tmp_path):
    write(
        tmp_path,
        {"a.star": 'load("b.star", "x")', "b.star": 'load("a.star", "x")'},
    )

    assert set(Bundle.from_file(tmp_path / "a.star").sources) == {"a.star", "b.star"}


# Sent


async def test_the_client_sends_and_returns_bundles(service):
    bundle = Bundle(NEEDED, "order.star")
    sent = run_pb2.ScriptBundle(sources=NEEDED, entry="order.star")
    run = finished("r-1")
    run.bundle.CopyFrom(sent)
    service.put_run(run)
    async with starflow.Client(service.address) as client:
        await client.start(bundle, run_id="r-2")
        await client.validate(bundle)
        info = await client.get("r-1", with_script=True)

    assert service.requests["Run"][0].bundle == sent
    assert service.requests["ValidateScript"][0].bundle == sent
    assert info.bundle == bundle
    assert info.to_dict()["bundle"] == {"sources": NEEDED, "entry": "order.star"}


# The command line


def test_run_takes_a_file_with_what_it_loads(service, terminal, root):
    code, _, err = terminal("run", str(root / "order.star"))

    assert (code, err) == (0, "")
    (request,) = service.requests["Run"]
    assert dict(request.bundle.sources) == NEEDED
    assert request.bundle.entry == "order.star"


def test_run_takes_a_folder(service, terminal, root):
    assert terminal("run", str(root), "--entry", "order.star")[0] == 0

    (request,) = service.requests["Run"]
    assert dict(request.bundle.sources) == FILES


def test_a_file_by_itself_is_sent_by_itself(service, terminal, root):
    assert terminal("run", str(root / "rates.star"))[0] == 0

    (request,) = service.requests["Run"]
    assert request.script == FILES["rates.star"]
    assert not request.HasField("bundle")


def test_an_entry_is_for_folders(terminal, root):
    code, _, err = terminal("run", str(root / "order.star"), "--entry", "x.star")

    assert code == _exits.USAGE
    assert "--entry is for folders" in err


def test_a_folder_without_its_entry_is_one_line(terminal, root):
    code, _, err = terminal("run", str(root))

    assert code == _exits.USAGE
    assert "main.star" in err
    assert err.count("\n") == 1


def test_a_file_that_is_no_text_is_named(terminal, root):
    (root / "lib/tax.star").write_bytes(b"\xff\xfe")

    code, _, err = terminal("run", str(root / "order.star"))

    assert code == _exits.USAGE
    assert "is not UTF-8 text" in err


def test_a_refusal_names_the_file_as_it_lies_here(service, terminal, root):
    message = "lib/tax.star:2:1: undefined: x"
    service.fail("Run", lambda c: abort(c, INVALID_ARGUMENT, "SCRIPT_INVALID", message))

    code, _, err = terminal("run", str(root / "order.star"))

    assert code == _exits.USAGE
    assert f"{root}/lib/tax.star:2:1: undefined: x" in err


def test_validate_shows_lines_of_all_files(service, terminal, root):
    service.diagnostics = [
        pb.Diagnostic(
            severity=pb.SEVERITY_ERROR, code="A", message="a", line=2, column=5, file=f
        )
        for f in ("order.star", "lib/tax.star")
    ]

    code, out, _ = terminal("validate", str(root), "--entry", "order.star")

    assert code == _exits.FAILED
    assert out == (
        f"{root}/order.star:2:5: error: a [A]\n"
        "    def main(ctx, input): return tax(1)\n"
        "        ^\n"
        f"{root}/lib/tax.star:2:5: error: a [A]\n"
        "    def tax(x): return x * rate\n"
        "        ^\n"
        f"{root}: 2 errors\n"
    )


def test_validate_prints_files_in_json(service, terminal, root):
    service.diagnostics = [pb.Diagnostic(message="a", file="lib/tax.star")]

    _, out, _ = terminal("validate", str(root / "order.star"), "--json")

    assert json.loads(out)["diagnostics"][0]["file"] == "lib/tax.star"
