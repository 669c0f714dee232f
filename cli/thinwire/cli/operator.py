"""Questions to a running coordinator, and what it means when no answer comes."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thinwire.cli.failure import CommandError
from thinwire.cli.options import FILE, duration
from thinwire.common.exits import Exit

if TYPE_CHECKING:
    import grpc

    from thinwire.v1.operator_pb2 import GetStatusResponse, ListDevicesResponse
    from thinwire.v1.operator_pb2_grpc import OperatorServiceStub


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinator:
    """Where it is, and how to reach it."""

    address: str
    ca: Path | None
    cert: Path | None
    key: Path | None
    timeout_s: float

    def status(self) -> "GetStatusResponse":
        """How far the training is."""
        from thinwire.v1.operator_pb2 import GetStatusRequest

        with self._reached() as service:
            return service.GetStatus(GetStatusRequest(), timeout=self.timeout_s)

    def devices(self) -> "ListDevicesResponse":
        """Which devices take part."""
        from thinwire.v1.operator_pb2 import ListDevicesRequest

        with self._reached() as service:
            return service.ListDevices(ListDevicesRequest(), timeout=self.timeout_s)

    @contextmanager
    def _reached(self) -> "Iterator[OperatorServiceStub]":
        import grpc

        from thinwire.v1.operator_pb2_grpc import OperatorServiceStub

        with self._channel() as channel:
            try:
                yield OperatorServiceStub(channel)
            except grpc.RpcError as error:
                raise self._failure(error) from error

    def _channel(self) -> "grpc.Channel":
        import grpc

        if not (self.ca and self.cert and self.key):
            return grpc.insecure_channel(self.address)
        credentials = grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.cert))
        return grpc.secure_channel(self.address, credentials)

    def _failure(self, error: "grpc.RpcError") -> CommandError:
        import grpc

        assert isinstance(error, grpc.Call)
        # grpc says "failed to connect to all addresses; last error: UNKNOWN: …"; only the last part is news.
        code, details = error.code(), (error.details() or "no reason given").rpartition("last error: ")[2]
        if code.name == "DEADLINE_EXCEEDED":
            return CommandError(f"{self.address} did not answer within {self.timeout_s:g} s", Exit.TIMEOUT)
        if code.name in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            return CommandError(f"{self.address} refuses: {details}", Exit.REFUSED)
        tls = "does it know this certificate?" if self.ca else "does it want TLS (--ca, --cert and --key)?"
        return CommandError(
            f"no coordinator answers at {self.address}: {details}\n"
            f"is it running (thinwire coordinator)? is --coordinator right? {tls}",
            Exit.LINK,
        )


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the coordinator is; it takes them as one `coordinator`."""

    @click.option(
        "--coordinator",
        "address",
        metavar="HOST:PORT",
        default="127.0.0.1:8470",
        show_default=True,
        envvar="THINWIRE_COORDINATOR",
        show_envvar=True,
        help="Where the coordinator is.",
    )
    @click.option("--ca", type=FILE, envvar="THINWIRE_CA", help="PEM file of the authority; with TLS.")
    @click.option("--cert", type=FILE, envvar="THINWIRE_CERT", help="PEM file of your certificate; with TLS.")
    @click.option("--key", type=FILE, envvar="THINWIRE_KEY", help="PEM file of your private key; with TLS.")
    @click.option("--timeout", type=duration, default="5s", show_default=True, help="How long to wait for an answer.")
    @functools.wraps(command)
    def asking(
        address: str, ca: Path | None, cert: Path | None, key: Path | None, timeout: float, **others: Any
    ) -> None:
        if len({ca is None, cert is None, key is None}) > 1:
            raise click.UsageError("--ca, --cert and --key are given together or not at all")
        where = Coordinator(address=address, ca=ca, cert=cert, key=key, timeout_s=timeout)
        command(where, **others)

    return asking  # fmt: skip


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", Exit.SETTINGS) from error
