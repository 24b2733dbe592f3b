"""Programs that were good once: the texts of this repository, broken by chance."""

import re
from functools import cache
from pathlib import Path
from random import Random

from starflow_service.starlark.builtins import MODULES
from tests.fuzz.words import (
    BUILTINS,
    LITERALS,
    METHOD_NAMES,
    OPERATORS,
    UPDATES,
)

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```starlark[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOKEN = re.compile(
    r"\"\"\".*?\"\"\"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|#[^\n]*"
    r"|\d[\w.]*|\w+|\n[ \t]*|[ \t]+|\*\*=?|//=?|<<=?|>>=?|[-+*/%&|^=!<>]=|.",
    re.DOTALL,
)
# What tests of the language call without defining it.
_CHECKS = "".join(f"def {name}(*x): pass\n" for name in ("eq", "true", "ne", "fails"))
_MAIN = "\ndef main(ctx, input):\n    pass\n"
_WORDS = [
    *("def", "return", "for", "in", "if", "else", "elif", "lambda", "load", "and"),
    *("or", "not", "not in", "pass", "break", "continue", "main", "ctx", "input", "x"),
    *("(", ")", "[", "]", "{", "}", ",", ":", ".", ";", "=", "*", "**", "->", ":="),
    *("while", "class", "try", "import", "None", "True", "\n", "\n    ", "\\\n", "#"),
    *("\t", "@", "!", "~", "`", "$", "?", '"', "'", '"""', "0x", "1e", "b'", "rb'"),
]
_OPERATOR_SET = frozenset(OPERATORS) - {"in", "not in"}
_NAME_SET = frozenset([*BUILTINS, *METHOD_NAMES])
_LITERAL_STARTS = frozenset("0123456789\"'")
_CHARACTERS = [
    *("\0", "\x01", "\x0c", "\x7f", "\r", "\u00a0", "\u2028", "\ufeff", "\u200b"),
    *("\u0301", "é", "世", "😀", "\U0010ffff", "\ud800", "\u0660", "ª", "²", "İ"),
]


@cache
def texts() -> list[str]:
    """Return the programs of this repository, in an order that is always the same."""
    found: list[str] = []
    for folder in ("tests/starlark", "tests/support", "examples", "benchmarks"):
        for path in sorted(ROOT.glob(f"{folder}/**/*.star")):
            found += re.split(r"(?m)^---\n", path.read_text())
    for path in sorted(ROOT.glob("tests/starlark/testdata/expressions/*.txt")):
        found += _expressions(path.read_text())
    for path in sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]):
        found += _FENCE.findall(path.read_text())
    return [text for text in found if text.strip()]


def _expressions(text: str) -> list[str]:
    """Return the expressions of *text* by tens, each of which may fail by itself."""
    lines = [line for line in text.splitlines() if line[:1].strip()]
    made = [f"caught(lambda: {line})\n" for line in lines if line[0] != "#"]
    loads = "".join(f'load("{name}", "{name}")\n' for name in sorted(MODULES))
    loads += 'load("flow", caught="catch")\n'
    return [loads + "".join(made[at : at + 10]) for at in range(0, len(made), 10)]


def make_mutant(seed: int) -> str:
    """Return the broken program that *seed* stands for."""
    chance = Random(seed)
    text = chance.choice(texts())
    if chance.random() < 0.2:
        text += "\n" + chance.choice(texts())
    for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 5, 10])):
        change = chance.choices([_alike, _tokens, _characters], [6, 3, 1])[0]
        text = change(text, chance)
    if "def main" not in text:
        text += _MAIN
    return text if chance.random() < 0.3 else _CHECKS + text


def _alike(text: str, chance: Random) -> str:
    """Put a literal, name or operator in the place of another, so that it parses."""
    tokens = _TOKEN.findall(text)
    places = [at for at, token in enumerate(tokens) if token in _OPERATOR_SET]
    places += [at for at, token in enumerate(tokens) if token[:1] in _LITERAL_STARTS]
    names = [at for at, token in enumerate(tokens) if token in _NAME_SET]
    places += names
    if not places:
        return text
    at = chance.choice(places)
    if tokens[at] in _OPERATOR_SET:
        tokens[at] = chance.choice(OPERATORS)
    elif at in names and chance.random() < 0.7:
        tokens[at] = chance.choice(METHOD_NAMES if tokens[at - 1] == "." else BUILTINS)
    else:
        tokens[at] = f"({_literal(chance)})"
    return "".join(tokens)


def _literal(chance: Random) -> str:
    return chance.choice(LITERALS[chance.choice(sorted(LITERALS))])


def _tokens(text: str, chance: Random) -> str:
    """Leave out, repeat, exchange or replace a few tokens."""
    tokens = _TOKEN.findall(text)
    if not tokens:
        return text
    at = chance.randrange(len(tokens))
    until = min(len(tokens), at + chance.choice([1, 1, 1, 2, 5, 20]))
    other = chance.randrange(len(tokens))
    match chance.randint(0, 6):
        case 0:
            del tokens[at:until]
        case 1:
            tokens[at:at] = tokens[at:until]
        case 2:
            tokens[at], tokens[other] = tokens[other], tokens[at]
        case 3:
            tokens[at] = _word(chance)
        case 4:
            tokens.insert(at, _word(chance))
        case 5:
            donor = _TOKEN.findall(chance.choice(texts()))
            start = chance.randrange(len(donor))
            tokens[at:until] = donor[start : start + chance.randint(1, 20)]
        case _:
            tokens[at:until] = tokens[at:until] * chance.choice([2, 10, 300])
    return "".join(tokens)


def _word(chance: Random) -> str:
    names = chance.choice([BUILTINS, METHOD_NAMES, OPERATORS, UPDATES, _WORDS, _WORDS])
    return chance.choice([_literal(chance), chance.choice(names)])


def _characters(text: str, chance: Random) -> str:
    """Flip, insert, leave out or cut single characters."""
    at = chance.randrange(len(text) + 1)
    match chance.randint(0, 3):
        case 0:
            return text[:at] + chance.choice(_CHARACTERS) + text[at:]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at]
        case _:
            return text[:at] + chr(chance.randrange(128)) + text[at + 1 :]
