"""
Scripts of several files, by chance, and their form as one text.

In a text each file is announced by a line of dashes and its path; the first is the
entry.
"""

import re
from random import Random

from starflow_service.starlark.bundle import Bundle
from tests.fuzz.grammar import make_program

_HEAD = re.compile(r"(?m)^--- (\S+)\n")
_PATHS = ["a.star", "b.star", "lib/c.star", "lib/d.star", "lib/deep/e.star"]
# How `make_program` lays a program out.
_LAYOUT = re.compile(
    r"(?P<loads>.*?)(?P<globals>G_.*?)(?P<helper>def helper.*?)"
    r"(?P<main>def main.*)",
    re.DOTALL,
)


def to_text(bundle: Bundle) -> str:
    """Return *bundle* as one text."""
    paths = [bundle.entry, *(p for p in bundle.sources if p != bundle.entry)]
    return "".join(f"--- {path}\n{bundle.sources[path]}" for path in paths)


def from_text(text: str) -> Bundle | None:
    """Return the bundle that *text* is, or None if it is a single script."""
    start, *parts = _HEAD.split(text)
    if start or not parts:
        return None
    sources = dict(zip(parts[::2], parts[1::2], strict=True))
    return Bundle(sources, parts[0])


def split(program: str) -> Bundle:
    """Return a program of `make_program` with its parts in files of their own."""
    parts = _LAYOUT.fullmatch(program)
    assert parts is not None
    loads, constants = parts["loads"], parts["globals"]
    names = ", ".join(f'"{name}"' for name in re.findall(r"(?m)^G_\w+", constants))
    helper = f'{loads}load("constants.star", {names})\n{parts["helper"]}'
    load = f'load("lib/constants.star", {names})\nload("//lib/helper.star", "helper")\n'
    return Bundle(
        {
            "main.star": f"{loads}{load}{parts['main']}",
            "lib/constants.star": constants,
            "lib/helper.star": helper,
        }
    )


def make_bundle(seed: int) -> str:
    """Return a bundle, mostly a good one, as one text."""
    chance = Random(seed)
    bundle = split(make_program(seed))
    sources = dict(bundle.sources)
    for path in chance.sample(_PATHS, chance.randint(0, 3)):
        sources[path] = _library(chance)
        loader = chance.choice(list(sources))
        sources[loader] = _load(path, loader, chance) + sources[loader]
    if chance.random() < 0.1:
        del sources[chance.choice([p for p in sources if p != bundle.entry])]
    return to_text(Bundle(sources, bundle.entry))


def _library(chance: Random) -> str:
    """Return a file whose functions call what they are given, and each other."""
    return chance.choice(
        [
            "def call(f, *args):\n    return f(*args)\n",
            "def call(f=None):\n    return [call, f, twice]\ndef twice(f):\n    f(f)\n",
            "seen = []\ndef call(x=1):\n    seen.append(x)\n    return seen\n",
            "def call(n=3):\n    return [n for _ in range(n)]\nx = call(2)[0]\n",
            "def make():\n    box = []\n    def call(x=0):\n        box.append(x)\n"
            "        return box\n    return call\ncall = make()\n",
        ]
    )


def _load(path: str, loader: str, chance: Random) -> str:
    up = "../" * loader.count("/")
    name = chance.choice([f"//{path}", f"{up}{path}", f"./{up}{path}", path])
    local = f"loaded{chance.randrange(1000)}"
    used = chance.choice(["", f"{local}_x = {local}()\n", f"{local}_y = [{local}]\n"])
    exported = chance.choices(["call", "gone", "_call"], [20, 1, 1])[0]
    return f'load("{name}", {local}="{exported}")\n{used}'
