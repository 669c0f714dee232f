"""`thinwire status` and `thinwire devices` ask a real server over gRPC, and say what to do when none answers."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import pytest
from click.testing import CliRunner, Result

from thinwire.cli.main import main
from thinwire.v1 import operator_pb2 as messages
from thinwire.v1 import operator_pb2_grpc as service

STATUS = messages.GetStatusResponse(
    task="watch", phase="training", version=41, checksum=2**64 - 1, parameters=103_000, elapsed_s=185.2,
    connected=2, known=3, accepted=120, rejected=1, evaluated_version=40, metrics={"accuracy": 0.9312},
    target_accuracy=0.95, packed_bytes_up=3_000_000, dense_bytes_up=90_000_000, overlap_ratio=0.87,
    groups=[messages.DensityGroup(density=0.0307, devices=1), messages.DensityGroup(density=0.3, devices=2)],
    density_down=0.33,
)  # fmt: skip
DEVICES = messages.ListDevicesResponse(
    devices=[
        messages.Device(name="pi4-kitchen", connected=True, version=41, accepted=60, density=0.3, group=1,
                        report=messages.DeviceReport(rtt_s=0.2031, goodput_up=250_000, checksum=1)),
        messages.Device(name="pi4-[bold]shed", last_seen_s=4000.0),
    ]
)  # fmt: skip


class Operator(service.OperatorServiceServicer):
    """Answers with what is above, or refuses with `code`."""

    code: grpc.StatusCode | None = None

    def GetStatus(
        self, request: messages.GetStatusRequest, context: grpc.ServicerContext
    ) -> messages.GetStatusResponse:
        if self.code:
            context.abort(self.code, "operators only")
        return STATUS

    def ListDevices(
        self, request: messages.ListDevicesRequest, context: grpc.ServicerContext
    ) -> messages.ListDevicesResponse:
        return DEVICES


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def address(operator: Operator) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    service.add_OperatorServiceServicer_to_server(operator, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def thinwire(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_status_shows_what_a_person_asks_first(address: str) -> None:
    output = thinwire("status", "--coordinator", address).stdout
    assert "version    41, after 3m05s\n" in output
    assert "version 40: accuracy 0.9312 (target accuracy 0.95)" in output
    assert "2 connected of 3 known" in output
    assert "2.9 MiB packed" in output
    assert "30 times less than dense" in output
    assert "3.07% (1 devices), 30.00% (2 devices) up, 33.00% down" in output


def test_status_as_json_has_every_field_and_a_schema(address: str) -> None:
    answer = json.loads(thinwire("status", "--coordinator", address, "--json").stdout)
    assert answer["schema"] == "thinwire.status/v1"
    assert answer["version"] == 41
    assert answer["rejected"] == 1
    assert answer["reason"] == ""
    assert answer["metrics"] == {"accuracy": 0.9312}
    assert answer["checksum"] == "f" * 16


def test_devices_have_a_row_each_and_their_names_are_no_markup(address: str) -> None:
    head, kitchen, shed = thinwire("devices", "--coordinator", address).stdout.splitlines()
    assert head.split()[:2] == ["device", "link"]
    assert kitchen.split()[:2] == ["pi4-kitchen", "up"]
    assert "203 ms" in kitchen
    assert "2.00 Mbit/s" in kitchen
    assert "30.00% (1)" in kitchen
    assert shed.split()[:4] == ["pi4-[bold]shed", "down", "1h06m", "ago"]


def test_devices_as_json_hold_their_reports(address: str) -> None:
    answer = json.loads(thinwire("devices", "--coordinator", address, "--json").stdout)
    assert answer["schema"] == "thinwire.devices/v1"
    assert [device["name"] for device in answer["devices"]] == ["pi4-kitchen", "pi4-[bold]shed"]
    assert answer["devices"][0]["report"]["rtt_s"] == pytest.approx(0.2031)


def test_output_to_a_pipe_has_no_colours_and_no_lines(address: str) -> None:
    output = thinwire("devices", "--coordinator", address).stdout
    assert output.isascii()
    assert "\x1b" not in output


def test_nobody_there_is_exit_code_4_with_what_to_do() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        nobody = f"127.0.0.1:{reserved.getsockname()[1]}"
    result = thinwire("status", "--coordinator", nobody)
    assert result.exit_code == 4
    assert result.stdout == ""
    assert f"no coordinator answers at {nobody}" in result.stderr
    assert "thinwire coordinator" in result.stderr


def test_someone_who_never_answers_is_exit_code_7() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        result = thinwire("status", "--coordinator", f"127.0.0.1:{deaf.getsockname()[1]}", "--timeout", "100ms")
    assert result.exit_code == 7
    assert "within 0.1 s" in result.stderr


def test_being_refused_is_exit_code_5(operator: Operator, address: str) -> None:
    operator.code = grpc.StatusCode.PERMISSION_DENIED
    result = thinwire("status", "--coordinator", address)
    assert result.exit_code == 5
    assert "operators only" in result.stderr


def test_a_certificate_that_is_not_there_is_exit_code_3(address: str) -> None:
    files = ("--ca", "no-ca.pem", "--cert", "no.pem", "--key", "no.key")
    result = thinwire("status", "--coordinator", address, *files)
    assert result.exit_code == 3
    assert "no-ca.pem cannot be read" in result.stderr


def test_watching_goes_on_until_interrupted(address: str) -> None:
    # Whoever runs the tests in the background of a shell hands down a Ctrl-C that is ignored.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heeding}; from thinwire.cli.main import main; main()"
    command = (sys.executable, "-c", code, "status", "--coordinator", address, "--json", "--watch", "10ms")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        answers = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130
    assert [answer["version"] for answer in answers] == [41, 41, 41]
