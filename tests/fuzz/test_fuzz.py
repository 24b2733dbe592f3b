"""
Programs by chance, a few seconds of them; `make fuzz` goes on for as long as you like.

A failing seed is in the assertion: `STARFLOW_SEEDS=77-77` judges it alone.
"""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from starflow_service.engine.events import Failure
from starflow_service.starlark import (
    Meter,
    Program,
    ScriptSyntaxError,
    compile_program,
)
from tests.fuzz import kinds
from tests.fuzz.bundling import split, to_text
from tests.fuzz.grammar import make_program
from tests.fuzz.kinds import KINDS
from tests.fuzz.looking import problem_of
from tests.fuzz.shrinking import shrink
from tests.fuzz.verdict import judge, play

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(
    str(ROOT / room) for room in ("service", "backends", "sdk/python", ".")
)
BLOCKS = 5
# A few seconds of each.
PROGRAMS = {
    "grammar": 200,
    "calls": 60,
    "mutation": 1_500,
    "bundle": 60,
    "variant": 60,
    "common": 400,
}


def seeds(kind: str, block: int) -> range:
    given = os.environ.get("STARFLOW_SEEDS")
    if given is None:
        return range(block, PROGRAMS[kind], BLOCKS)
    first, dash, last = given.partition("-")
    until = int(last) + 1 if dash else int(first)
    return range((int(first) if dash else 0) + block, until, BLOCKS)


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("kind", KINDS)
def test_no_program_ends_as_none_may(kind, block):
    for seed in seeds(kind, block):
        verdict = KINDS[kind].judge(KINDS[kind].make(seed))
        assert not verdict.problem, f"{kind} {seed}: {verdict}"


def test_what_was_found_once_is_mended():
    assert kinds.kept()
    for path in kinds.kept():
        source = path.read_bytes().decode(errors="surrogatepass")
        assert not kinds.kind_of(path).judge(source).problem, path


def test_a_seed_is_a_program_everywhere():
    """In other processes too, whatever their hashes are."""
    made = "[kind.make(7) for kind in KINDS.values()]"
    text = f"from tests.fuzz.kinds import KINDS; print({made})"
    said = {
        subprocess.run(
            [sys.executable, "-c", text],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": PATHS},
            capture_output=True,
            check=True,
        ).stdout
        for hashes in ("0", "1")
    }
    assert len(said) == 1


def test_nothing_is_left_of_a_program():
    """Neither its meter nor its code, however it ended."""
    # Held, so that nothing new can have the id of one of them.
    held = meters_and_programs()
    before = {id(each) for each in held}
    for seed in range(40):
        judge(KINDS["grammar"].make(seed))
        judge(KINDS["mutation"].make(seed))
    for n in range(10):  # the driver keeps a few
        judge(f"def main(ctx, input): return {n}", replays=False)
    left = [each for each in meters_and_programs() if id(each) not in before]
    assert len(left) <= 4


def meters_and_programs() -> list[Meter | Program]:
    gc.collect()
    return [x for x in gc.get_objects() if isinstance(x, Meter | Program)]


def test_a_program_in_several_files_does_what_it_does_in_one():
    ends = 0
    for seed in range(30):
        program = make_program(seed)
        try:
            one = play(program, seed)
            several = play(to_text(split(program)), seed)
        except ScriptSyntaxError:
            continue
        ends += 1
        assert several.kinds == one.kinds, seed
        if isinstance(one.result, Failure):
            assert several.result.message == one.result.message, seed
        else:
            assert several.result == one.result, seed
    assert ends > 20


# The tools themselves: a fuzzer that cannot find anything finds nothing.


def test_a_word_of_python_is_found_unless_the_program_says_it():
    assert not judge("def main(ctx, input): fail('ValueError')").problem
    verdict = judge("def main(ctx, input): fail('Value' + 'Error')")
    assert verdict.problem == "a failure says ValueError"


def test_a_difference_is_found_and_made_small():
    program = "def main(seen):\n    x = 1\n    seen.append(x)\n    {}\n    y = 2\n"
    kind = KINDS["common"]

    assert not kind.judge(program.format("seen.append({1: 2})")).problem
    # Python counts booleans as numbers.
    different = program.format("seen.append({1: 2, True: 3})")
    assert kind.judge(different).problem == "another value"
    small = "def main(seen):\n    seen.append({1: 2, True: 3})\n"
    assert kind.shrunk(different, "another value") == small
    # And what fails in one of them only.
    verdict = kind.judge("def main(seen):\n    seen.append(True + 1)\n")
    assert verdict.problem == "failed here, returned in Python"


def test_what_is_said_about_a_program_is_held_against_what_it_is():
    good, bad = "def main(ctx, input): return 1\n", "def main(ctx, input): return x\n"
    with pytest.raises(ScriptSyntaxError) as caught:
        compile_program(bad)
    refused = caught.value.diagnostics

    assert problem_of(good, None) == problem_of(bad, refused) == ""
    found = problem_of(bad, None)
    assert found == "a program that runs is said to be wrong: UNDEFINED_NAME"
    found = problem_of(good, refused)
    assert found == "nothing is said about what is refused: UNDEFINED_NAME"


def test_tokens_are_left_out_too():
    shows = "def main(ctx, input):\n    x = [1, (2, 3), fail('a')]\n"

    assert shrink(shows, lambda text: "fail(" in text) == "fail("


def test_the_long_run_counts_what_it_judges():
    command = [sys.executable, "-m", "tests.fuzz", "--minutes", "0.05"]
    environment = {**os.environ, "PYTHONPATH": PATHS}

    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts = {line.split()[1] for line in ended.stdout.splitlines() if "  " in line}
    assert {"grammar:", "mutation:", "common:"} <= counts
