"""gRPC's options, in one place, each with the trap it avoids; all were measured with grpcio 1.85.

Keep-alive needs three numbers: without `ping_timeout_ms` a dead peer is found a minute late. The bandwidth probe stays
on: without it 4 MiB take 39 s on a 600 ms link. Messages are small, so that half-sent ones cost little memory.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import grpc

from thinwire.common.settings.shared import Tls

MAX_MESSAGE_BYTES = 256 * 1024
PING_TIMEOUT_MS = 20_000
Options = list[tuple[str, int | str]]


def client_options(keepalive_s: float) -> Options:
    """For an agent's one channel."""
    return [
        ("grpc.keepalive_time_ms", int(keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        # The agent's own back-off rules; gRPC's must not sleep on top of it.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 20_000),  # this one is also the time a connection attempt may take
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.enable_http_proxy", 0),
        # A later channel must not share a subchannel that is still backing off.
        ("grpc.use_local_subchannel_pool", 1),
        ("thinwire.instance", secrets.token_hex(4)),
    ]


def server_options() -> Options:
    """For the coordinator."""
    return [
        # Otherwise a second coordinator starts on the same port without a word, and they share the devices.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.max_concurrent_streams", 16),
        # Above about 1,000 pending calls the defaults answer CANCELLED at random.
        ("grpc.server.max_pending_requests", 100_000),
        ("grpc.server.max_pending_requests_hard_limit", 200_000),
    ]


def client_credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Mutual TLS from the device's files; raise OSError when one cannot be read."""
    ca, cert, key = (Path(path).read_bytes() for path in (tls.ca, tls.cert, tls.key))
    return grpc.ssl_channel_credentials(ca, key, cert)


def server_credentials(tls: Tls) -> grpc.ServerCredentials:
    """Mutual TLS from the coordinator's files; raise OSError when one cannot be read."""
    ca, cert, key = (Path(path).read_bytes() for path in (tls.ca, tls.cert, tls.key))
    return grpc.ssl_server_credentials([(key, cert)], root_certificates=ca, require_client_auth=True)
