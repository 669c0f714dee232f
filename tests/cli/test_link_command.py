"""`thinwire link` as a process: ports as JSON lines, bytes at the end."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

THINWIRE = (sys.executable, "-m", "thinwire.cli")


@pytest.fixture
def coordinator() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


def test_links_say_their_ports_and_at_the_end_what_went_through(coordinator: socket.socket) -> None:
    to = f"127.0.0.1:{coordinator.getsockname()[1]}"
    command = (*THINWIRE, "link", "--to", to, "--profile", "10ms,80mbit", "--count", "2")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as links:
        assert links.stdout
        opened = [json.loads(links.stdout.readline()) for _ in range(2)]
        assert [link["link"] for link in opened] == [0, 1]
        with socket.create_connection(("127.0.0.1", opened[1]["port"])) as device:
            device.sendall(b"hello")
            device.shutdown(socket.SHUT_WR)
            carried, _ = coordinator.accept()
            with carried:
                assert carried.recv(100, socket.MSG_WAITALL) == b"hello"
        links.send_signal(signal.SIGTERM)
        closed = [json.loads(line) for line in links.stdout]
        assert links.wait(10) == 0
    assert [(link["port"], link["bytes_up"]) for link in closed] == [(opened[0]["port"], 0), (opened[1]["port"], 5)]


def test_a_port_that_is_taken_is_exit_code_3(coordinator: socket.socket) -> None:
    taken = f"127.0.0.1:{coordinator.getsockname()[1]}"
    command = (*THINWIRE, "link", "--to", taken, "--listen", taken, "--profile", "none")
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 3
    assert "cannot be used" in run.stderr
