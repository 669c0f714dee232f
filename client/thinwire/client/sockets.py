"""What the kernel counted on this process's connections to the coordinator.

gRPC hides its sockets, but they are file descriptors of this process: TCP_INFO tells how many bytes of TCP payload each
has sent and received, HTTP/2 and TLS included. That is what a metered link bills (without IP and TCP headers).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# struct tcp_info of linux/tcp.h: tcpi_bytes_acked and tcpi_bytes_received are two u64 at 120.
TCP_INFO_BYTES = 136
_COUNTERS = struct.Struct("<QQ")
_COUNTERS_AT = 120


class WireMeter:
    """Sums the counters of all connections to one port, past ones included. Counts nothing where there is no Linux."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: dict[str, tuple[int, int]] = {}
        self._closed = (0, 0)

    def sample(self) -> tuple[int, int]:
        """(bytes sent and acknowledged, bytes received) so far; what a connection did after the last look is lost."""
        seen = dict(self._look())
        gone = [counts for name, counts in self._open.items() if name not in seen]
        self._closed = _add(self._closed, *gone)
        self._open = seen
        return _add(self._closed, *seen.values())

    def _look(self) -> Iterator[tuple[str, tuple[int, int]]]:
        with suppress(OSError):
            for entry in Path("/proc/self/fd").iterdir():
                with suppress(OSError):
                    name = str(entry.readlink())
                    if name.startswith("socket:") and (counts := self._counts(int(entry.name))):
                        yield name, counts

    def _counts(self, fd: int) -> tuple[int, int] | None:
        # A twin, so that closing it here leaves gRPC's own descriptor alone.
        with socket.socket(fileno=os.dup(fd)) as twin:
            if twin.family not in (socket.AF_INET, socket.AF_INET6) or twin.getpeername()[1] != self._port:
                return None
            info = twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        sent, received = _COUNTERS.unpack_from(info, _COUNTERS_AT) if len(info) == TCP_INFO_BYTES else (0, 0)
        return sent, received


def _add(*counts: tuple[int, int]) -> tuple[int, int]:
    return sum(up for up, _ in counts), sum(down for _, down in counts)


def resident_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process; 0 where it cannot be told."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0
