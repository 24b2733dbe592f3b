"""The kinds of programs: how each is made of a seed, and how it is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.bundling import make_bundle
from tests.fuzz.calling import make_calls
from tests.fuzz.common import make_common
from tests.fuzz.differential import compare
from tests.fuzz.grammar import make_program
from tests.fuzz.mutation import make_mutant
from tests.fuzz.shrinking import shrink
from tests.fuzz.variants import compare_variants, make_variant
from tests.fuzz.verdict import Verdict, judge

# Programs that showed a fault once: each is judged for ever.  The name of a file begins
# with its kind.
KEPT = Path(__file__).parent / "seeds"


@dataclass(frozen=True)
class Kind:
    """One way to make programs and to judge them."""

    name: str
    make: Callable[[int], str]
    judge: Callable[[str], Verdict]
    # Whether a program may be shrunk inside its lines and still mean what it should.
    tokens: bool
    # How many are judged for one of the others: the quick ones are many.
    weight: int = 1

    def shrunk(self, source: str, problem: str) -> str:
        """Return a small program that shows *problem*, as *source* does."""

        def shows(text: str) -> bool:
            return self.judge(text).problem == problem

        return shrink(source, shows, tokens=self.tokens)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("grammar", make_program, judge, tokens=True),
        Kind("calls", make_calls, judge, tokens=True),
        Kind("mutation", make_mutant, judge, tokens=True, weight=10),
        Kind("bundle", make_bundle, judge, tokens=True),
        Kind("variant", make_variant, compare_variants, tokens=True),
        Kind("common", make_common, compare, tokens=False),
    )
}


def kept() -> list[Path]:
    """Return the programs that showed a fault once."""
    return sorted(KEPT.glob("*.star"))


def kind_of(path: Path) -> Kind:
    """Return the kind of a kept program."""
    return KINDS[path.name.partition("-")[0]]
