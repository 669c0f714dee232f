"""What hatchling does besides collecting files: the codec's loops in C come along, if they can be compiled here."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "common/thinwire/common/codec/loops.so"


class LoopsHook(BuildHookInterface):
    """Compile before the files are collected; a wheel without compiled loops stays one for every platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the library, and say which platform it is for."""
        subprocess.run([sys.executable, "tools/build_loops.py"], cwd=self.root, check=True)
        if not Path(self.root, LIBRARY).exists():
            return
        # git ignores it, and so would hatchling. It is loaded by ctypes, so any Python of the platform will do.
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
