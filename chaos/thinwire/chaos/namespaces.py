"""Network namespaces without names: they live as long as the process that made them, so nothing is left to clean up.

A namespace is kept by an open file of the process that made it; whoever is to live in it enters through
`/proc/PID/fd/NUMBER`. Both ends of a TUN device are ordinary files, whichever namespace the device is in.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

from thinwire.common.errors import ThinwireError

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
_TUN = "/dev/net/tun"
_HERE = "/proc/thread-self/ns/net"
_TOOLS = ("ip", "nsenter", "unshare")
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str:
    """Why this machine allows no namespaces with TUN devices; "" when it does."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"{' and '.join(missing)} not found; install iproute2 and util-linux"
    if not Path(_TUN).exists():
        return f"{_TUN} does not exist; the kernel's tun module is missing"
    # In a child, which takes its namespace and its device with it.
    make = f"ip link set lo up && exec 3<>{_TUN} && ip tuntap add mode tun name probe"
    tried = subprocess.run(["unshare", "--net", "sh", "-c", make], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return ""
    reason = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
    root = "" if os.geteuid() == 0 else "; run it as root"
    return f"no network namespace could be made ({reason}){root}"


def unshare() -> int:
    """Move this thread into a namespace of its own, with loopback up; give the file that keeps it."""
    _called("unshare", _libc.unshare(CLONE_NEWNET))
    ip("link", "set", "lo", "up")
    return here()


def here() -> int:
    """A file that keeps the namespace of this thread."""
    return os.open(_HERE, os.O_RDONLY)


def enter(namespace: int) -> None:
    """Move this thread into a namespace."""
    _called("setns", _libc.setns(namespace, CLONE_NEWNET))


def open_tun(name: str, own: str, peer: str) -> int:
    """Make a TUN device in this thread's namespace, with its own address and the one that it leads to."""
    file = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode("ascii"), IFF_TUN | IFF_NO_PI))
    ip("addr", "add", own, "peer", peer, "dev", name)
    ip("link", "set", name, "up")
    return file


def ip(*arguments: str) -> None:
    """Run iproute2 in this thread's namespace."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ThinwireError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _called(what: str, result: int) -> None:
    if result != 0:
        raise ThinwireError(f"{what}: {os.strerror(ctypes.get_errno())}")
