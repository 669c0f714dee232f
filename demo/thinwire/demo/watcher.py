"""Questions to the demo's coordinator, over the same gRPC that `thinwire status` uses."""

from __future__ import annotations

from types import TracebackType

import grpc

from thinwire.v1 import operator_pb2, operator_pb2_grpc

ANSWER_WITHIN_S = 10.0


class Watcher:
    """One channel to the coordinator; `status` is None while nobody answers there yet."""

    def __init__(self, address: str, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        # Whoever asks every half second wants to know of a coordinator that is back, not to spare it.
        options = [("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 500)]
        self._channel = grpc.insecure_channel(address, options)
        self._within_s = answer_within_s
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
            return self._stub.GetStatus(operator_pb2.GetStatusRequest(), timeout=self._within_s)
        except grpc.RpcError:
            return None

    def devices(self) -> list[operator_pb2.Device]:
        """Which devices take part."""
        answer = self._stub.ListDevices(operator_pb2.ListDevicesRequest(), timeout=self._within_s)
        return list(answer.devices)
