"""Generate `sdk/python/starflow/v1` from `protos/`; run by `make proto`.

The proto path `starflow/v1` is the Python package `starflow.v1`, so the generated
imports are true as they stand.
"""

import sys
import sysconfig
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parents[1]
PROTOS = ROOT / "protos"
OUT = ROOT / "sdk/python"
DESCRIPTIONS = "descriptions.binpb"
# By path, so that it is found in an environment that is not activated.
TYPED_STUBS = Path(sysconfig.get_path("scripts")) / "protoc-gen-mypy_grpc"


def run_protoc(files: list[str], *plugins: str) -> None:
    """Run protoc over *files* with the given output options; exit if it fails."""
    well_known = resources.files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{PROTOS}", f"-I{well_known}", *plugins, *files]
    if protoc.main(arguments) != 0:
        sys.exit("protoc failed")


def generate(out: Path) -> None:
    """Replace everything that is generated below *out*."""
    package = out / "starflow/v1"
    package.mkdir(parents=True, exist_ok=True)
    for old in generated(out):
        old.unlink()
    files = sorted(str(p.relative_to(PROTOS)) for p in PROTOS.rglob("*.proto"))
    run_protoc(files, f"--python_out={out}", f"--pyi_out={out}")
    # Only these have services; for the others the plugin writes empty modules.
    services = [f for f in files if f.endswith("_service.proto")]
    run_protoc(services, f"--grpc_python_out={out}")
    plugin = f"--plugin=protoc-gen-mypy_grpc={TYPED_STUBS}"
    run_protoc(services, plugin, f"--mypy_grpc_out=quiet:{out}")
    # With the comments, which the modules leave out: reflection shows them.
    described = f"--descriptor_set_out={package / DESCRIPTIONS}"
    run_protoc(files, "--include_source_info", described)


def generated(out: Path) -> list[Path]:
    """Return everything that is generated below *out*."""
    package = out / "starflow/v1"
    return [*package.glob("*_pb2*"), *package.glob(DESCRIPTIONS)]


if __name__ == "__main__":
    generate(OUT)
