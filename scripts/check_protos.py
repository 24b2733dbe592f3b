"""Check what is known about the protos; run by `make lint`.

Style and comments, format, compatibility with the main branch, and whether the
generated code is what these protos generate.
"""

import filecmp
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import gen_protos

ROOT = Path(__file__).parents[1]
BUF = str(Path(sysconfig.get_path("scripts")) / "buf")


def succeeds(*command: str) -> bool:
    """Run *command* at the root, letting it print."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def output(*command: str) -> bytes:
    """Return what *command* prints, and nothing if it fails."""
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
    return ended.stdout if ended.returncode == 0 else b""


def main_branch() -> str | None:
    """Return the newest main branch that holds protos."""
    for branch in ("origin/main", "main"):
        if output("git", "ls-tree", branch, "protos/"):
            return branch
    return None


def is_compatible() -> bool:
    """Whether nothing that main promises is broken."""
    branch = main_branch()
    if branch is None:
        print("no main branch with protos: nothing to be compatible with")
        return True
    # Unpacked, because buf reads a .git directory only, and a worktree has a file.
    with tempfile.TemporaryDirectory() as promised:
        archive = output("git", "archive", branch, "protos", "buf.yaml")
        subprocess.run(["tar", "-x", "-C", promised], input=archive, check=True)
        return succeeds(BUF, "breaking", "--against", promised)


def stale_files() -> list[str]:
    """Return the generated files that are missing, left over, or different."""
    with tempfile.TemporaryDirectory() as fresh:
        gen_protos.generate(Path(fresh))
        made = Path(fresh) / "starflow/v1"
        kept = gen_protos.OUT / "starflow/v1"
        places = (Path(fresh), gen_protos.OUT)
        names = {p.name for place in places for p in gen_protos.generated(place)}
        _, different, missing = filecmp.cmpfiles(made, kept, names, shallow=False)
    return sorted(different + missing)


def main() -> None:
    """Exit with the names of the checks that failed."""
    stale = stale_files()
    if stale:
        print(f"not what the protos generate: {', '.join(stale)}; run `make proto`")
    checks = {
        "buf lint": succeeds(BUF, "lint"),
        "buf format": succeeds(BUF, "format", "--diff", "--exit-code"),
        "buf breaking": is_compatible(),
        "generated code": not stale,
    }
    failed = [name for name, passed in checks.items() if not passed]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    print(f"protos: {', '.join(checks)} passed")


if __name__ == "__main__":
    main()
