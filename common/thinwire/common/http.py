"""What a process shows to Prometheus and to whoever supervises it, over HTTP.

    GET /metrics   the registry, in the format that the scraper prefers
    GET /healthz   200 while the process answers at all
    GET /readyz    200 when it can do its work, else 503 with the reason

One daemon thread accepts; each connection has a thread of its own, a deadline, and one answer. It serves
loopback unless told otherwise, knows three paths, reads no body, and writes nothing to the log.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Ready = Callable[[], tuple[bool, str]]
_TEXT = "text/plain; charset=utf-8"
# From the first byte of a request to the last of its answer; a scraper that is slower is not one.
_DEADLINE_S = 10.0
# Scrapers and probes come one at a time; more than this at once is something else.
_MAX_CONNECTIONS = 16


class Server:
    """A listening server; `close` gives the port back."""

    def __init__(self, listener: "_Listener") -> None:
        self._listener = listener
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._closing = True
        # The thread sleeps until someone connects (polling would wake an idle device for nothing).
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.socket.getsockname()[:2], timeout=1).close()
        self._thread.join(timeout=1)
        self._listener.server_close()

    def _accept(self) -> None:
        while not self._closing:
            self._listener.handle_request()


def serve(
    registry: CollectorRegistry,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Ready = lambda: (True, ""),
) -> Server:
    """Serve the registry and the two health checks; port 0 takes a free one, a taken one raises OSError."""
    return Server(_Listener(registry, host, port, ready))


# http.server.HTTPServer would also look up the host's full name, which hangs where there is no DNS.
class _Listener(ThreadingMixIn, TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = _MAX_CONNECTIONS

    def __init__(self, registry: CollectorRegistry, host: str, port: int, ready: Ready) -> None:
        self.registry = registry
        self.ready = ready
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, or hang up when there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer within the deadline."""
        # A socket's own timeout starts again with each byte, so a slow sender could hold its place for ever.
        deadline = threading.Timer(_DEADLINE_S, _hang_up, (request,))
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever hung up knows it."""


class _Handler(BaseHTTPRequestHandler):
    server: _Listener

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encode(self.server.registry))
        elif path == "/healthz":
            self._answer(HTTPStatus.OK, _TEXT, b"ok\n")
        elif path == "/readyz":
            ready, reason = self.server.ready()
            status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, _TEXT, f"{reason or 'ok'}\n".encode())
        else:
            self._answer(HTTPStatus.NOT_FOUND, _TEXT, b"known are /metrics, /healthz and /readyz\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """What the Server header says."""
        return "thinwire"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # It is closed already, which is what was wanted.
