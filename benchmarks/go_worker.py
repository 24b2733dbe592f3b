"""The worker in Go, started as `benchmarks.worker` is; a last word `unary` is its own.

It becomes that worker, so that whoever started it measures and kills the right process.
"""

import os
import subprocess
import sys
from pathlib import Path

MODULE = Path(__file__).parents[1] / "sdk/go"


def main(arguments: list[str]) -> None:
    """Build the worker, and become it."""
    # Beside the journal, whose folder is gone when the benchmark is over.
    program = Path(arguments[2]).with_name("go-worker")
    build = ("go", "build", "-o", str(program), "./examples/benchworker")
    subprocess.run(build, cwd=MODULE, check=True)
    os.execv(program, [str(program), *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
