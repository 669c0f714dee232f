"""Questions to the demo's coordinator, over the same gRPC that `thinwire status` uses."""

from __future__ import annotations

from types import TracebackType

import grpc

from thinwire.v1 import operator_pb2, operator_pb2_grpc

ANSWER_WITHIN_S = 10.0


class Watcher:
    """One channel to the coordinator; `status` is None while nobody answers there yet."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)])
        self._stub = operator_pb2_grpc.OperatorServiceStub(self._channel)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def status(self) -> operator_pb2.GetStatusResponse | None:
        """How far the training is."""
        try:
            return self._stub.GetStatus(operator_pb2.GetStatusRequest(), timeout=ANSWER_WITHIN_S)
        except grpc.RpcError:
            return None

    def devices(self) -> list[operator_pb2.Device]:
        """Which devices take part."""
        answer = self._stub.ListDevices(operator_pb2.ListDevicesRequest(), timeout=ANSWER_WITHIN_S)
        return list(answer.devices)
