"""The command line: `starflow serve | run | get | events | signal | worker | ...`.

What a command is about goes to standard output: tables for people, or with `--json`
one document (one per line where there are many). What went wrong goes to standard
error, in one line that says how to mend it, and into the exit code; `_exits` has the
list.
"""

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Execute one command line and return its exit code."""
    # Before gRPC is imported: it would mix lines of its own into ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from starflow.cli import _parser, _serve

    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["serve"]:
        # The service reads its own options, which are not ours to know.
        return _serve.serve(arguments[1:])
    if arguments[:1] == ["store"]:
        return _serve.store(arguments[1:])
    return _parser.execute(arguments)
