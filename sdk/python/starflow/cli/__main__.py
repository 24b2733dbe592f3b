"""`python -m starflow.cli` is the command `starflow`."""

import sys

from starflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
