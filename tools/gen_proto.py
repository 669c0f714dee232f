"""Write the protobuf code beside its sources in proto/, or check that it is current.

    python tools/gen_proto.py [--check]

The generator is the oldest that we support, for generated code refuses a runtime older than itself; it lives in an
environment of its own, .venv-proto, because it needs an older protobuf than the rest.
"""

import filecmp
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROTO = ROOT / "proto"
ENVIRONMENT = ROOT / ".venv-proto"
REQUIREMENTS = ("grpcio-tools==1.70.0", "mypy-protobuf==3.6.0", "setuptools<81")
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def main() -> int:
    """Write the code, or with --check list what is stale."""
    python = environment()
    if "--check" not in sys.argv[1:]:
        generate(python, PROTO)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(python, fresh)
        stale = sorted(name for name in code_in(fresh) | code_in(PROTO) if not same(fresh / name, PROTO / name))
    for name in stale:
        print(f"proto/{name} is stale; run: python tools/gen_proto.py", file=sys.stderr)
    return 1 if stale else 0


def environment() -> Path:
    """The interpreter of .venv-proto, which is made when it is missing or wants other versions."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making {ENVIRONMENT.name} with {', '.join(REQUIREMENTS)}", file=sys.stderr)
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        arguments = os.environ.get("PIP_ARGS", "").split()
        subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments, *REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return python


def generate(python: Path, target: Path) -> None:
    """Run protoc over every source into `target`."""
    plugins = [f"--plugin=protoc-gen-{name}={python.parent / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    outputs = [
        f"--python_out={target}", f"--mypy_out=quiet:{target}",
        f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}",
    ]  # fmt: skip
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    command = [str(python), "-m", "grpc_tools.protoc", "-I.", *outputs, *plugins, *sources]
    subprocess.run(command, cwd=PROTO, check=True)


def code_in(folder: Path) -> set[Path]:
    """Every generated file, relative to the folder."""
    return {path.relative_to(folder) for pattern in GENERATED for path in folder.rglob(pattern)}


def same(one: Path, other: Path) -> bool:
    """Whether both files exist and hold the same."""
    return one.exists() and other.exists() and filecmp.cmp(one, other, shallow=False)


if __name__ == "__main__":
    sys.exit(main())
