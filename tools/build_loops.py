"""Compile the codec's loops in C, for the machine that this runs on; every installation does it.

    python tools/build_loops.py

The compiler is `cc`, or what CC says. Without one, or with THINWIRE_NATIVE=0, nothing is compiled, and numpy does the
work: slower, never different.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "common/thinwire/common/codec/loops.c"
LIBRARY = SOURCE.with_name("loops.so")
# Nothing of this machine's own: the library may travel in a wheel. Sums must round as numpy's do.
FLAGS = ("-std=c11", "-O3", "-fPIC", "-shared", "-ffp-contract=off")


def build(library: Path = LIBRARY, *more_flags: str) -> str | None:
    """Compile, or remove what an earlier build left; return why there is no library, or None."""
    library.unlink(missing_ok=True)
    if os.environ.get("THINWIRE_NATIVE") == "0":
        return "THINWIRE_NATIVE=0"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or not shutil.which(compiler[0]):
        return "there is no C compiler"
    # A process may have the old library open: never write into a file of that name.
    fresh = library.with_suffix(f".{os.getpid()}.tmp")
    command = [*compiler, *FLAGS, *more_flags, str(SOURCE), "-o", str(fresh)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        fresh.unlink(missing_ok=True)
        return f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr}"
    fresh.replace(library)
    return None


if __name__ == "__main__":
    missing = build()
    print(f"codec: numpy loops; {missing}" if missing else f"codec: compiled {LIBRARY}", file=sys.stderr)
