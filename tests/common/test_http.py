"""What Prometheus and a supervisor see of a process."""

import http.client
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from thinwire.common import http as web


class Readiness:
    """Not ready until told."""

    ready = False

    def __call__(self) -> tuple[bool, str]:
        return self.ready, "" if self.ready else "no device yet"


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
def server(readiness: Readiness) -> Iterator[web.Server]:
    registry = CollectorRegistry()
    Counter("thinwire_deltas", "Deltas.", registry=registry).inc(3)
    server = web.serve(registry, "127.0.0.1", 0, readiness)
    yield server
    server.close()


def ask(port: int, method: str, path: str, accept: str = "*/*") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, headers={"Accept": accept})
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type") or "", response.read().decode()
    finally:
        connection.close()


def test_the_registry_is_served_as_text(server: web.Server) -> None:
    status, content_type, body = ask(server.port, "GET", "/metrics?name=x")
    assert status == 200
    assert content_type.startswith("text/plain")
    assert "thinwire_deltas_total 3.0" in body


def test_a_scraper_that_prefers_openmetrics_gets_it(server: web.Server) -> None:
    _, content_type, body = ask(server.port, "GET", "/metrics", "application/openmetrics-text;version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_healthy_but_not_ready_until_told(server: web.Server, readiness: Readiness) -> None:
    assert ask(server.port, "GET", "/healthz")[0] == 200
    assert ask(server.port, "GET", "/readyz")[::2] == (503, "no device yet\n")
    readiness.ready = True
    assert ask(server.port, "GET", "/readyz")[::2] == (200, "ok\n")


def test_other_paths_and_methods_are_refused(server: web.Server) -> None:
    assert ask(server.port, "GET", "/")[0] == 404
    assert ask(server.port, "POST", "/metrics")[0] == 501


def test_nonsense_is_refused_and_nothing_is_logged(
    server: web.Server, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        peer.recv(4096)
    with socket.create_connection(("127.0.0.1", server.port)):
        pass
    assert ask(server.port, "GET", "/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_whoever_takes_too_many_connections_is_hung_up_on(server: web.Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(16)]
    with socket.create_connection(("127.0.0.1", server.port)) as one_too_many:
        one_too_many.settimeout(5)
        assert one_too_many.recv(1) == b""
    for connection in idle:
        connection.close()


def test_a_port_that_is_taken_is_an_error(server: web.Server) -> None:
    with pytest.raises(OSError, match="in use"):
        web.serve(CollectorRegistry(), "127.0.0.1", server.port)


def test_a_closed_server_gives_its_port_back() -> None:
    first = web.serve(CollectorRegistry())
    first.close()
    web.serve(CollectorRegistry(), port=first.port).close()
