"""Network addresses as "HOST:PORT": "127.0.0.1:8470", "fleet.example.org:443", IPv6 "[::1]:8470"."""

import ipaddress
import re
from dataclasses import dataclass

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})", re.ASCII)
_PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port; port 0 asks the system for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can be at the other end."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def parse_address(text: str) -> Address:
    """Read "HOST:PORT"; raise ValueError when it is not one."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (colon and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= _PORT_MAX):
        raise ValueError(f'"{text[:80]}" is not an address; write HOST:PORT, for example "127.0.0.1:8470"')
    name = host[1:-1] if bracketed else host
    if not (_is_ipv6(name) if bracketed else _HOST.fullmatch(name)):
        raise ValueError(f'"{text[:80]}" has no usable host; write a name, IPv4 or [IPv6] before the port')
    return Address(name, int(port))


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
