"""What the kernel counted on this process's connections to the coordinator.

gRPC hides its sockets, but they are file descriptors of this process: TCP_INFO tells how many bytes of TCP payload each
has sent and received, HTTP/2 and TLS included. That is what a metered link bills (without IP and TCP headers).
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress

# struct tcp_info of linux/tcp.h: tcpi_bytes_acked and tcpi_bytes_received are two u64 at 120.
TCP_INFO_BYTES = 136
_COUNTERS = struct.Struct("<QQ")
_COUNTERS_AT = 120


class WireMeter:
    """Sums the counters of all connections to one port, past ones included. Counts nothing where there is no Linux."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._seen: dict[str, tuple[int, int]] = {}

    def sample(self) -> tuple[int, int]:
        """(bytes sent and acknowledged, bytes received) so far; call it often enough to see short connections."""
        with suppress(OSError):
            for fd in os.listdir("/proc/self/fd"):
                self._look(fd)
        return sum(up for up, _ in self._seen.values()), sum(down for _, down in self._seen.values())

    def _look(self, fd: str) -> None:
        with suppress(OSError, ValueError):
            name = os.readlink(f"/proc/self/fd/{fd}")
            if not name.startswith("socket:"):
                return
            with socket.socket(fileno=os.dup(int(fd))) as twin:
                if twin.family in (socket.AF_INET, socket.AF_INET6) and twin.getpeername()[1] == self._port:
                    info = twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
                    self._seen[name] = _COUNTERS.unpack_from(info, _COUNTERS_AT)


def resident_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process; 0 where it cannot be told."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
