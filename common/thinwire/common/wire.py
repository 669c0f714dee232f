"""Protobuf to values and back: the only module of `common` that knows `thinwire.v1`.

Every value has the field names of its message, so one reflective pair of functions serves them all. What a peer may
lie about in size is bounded here, before anything keeps it; the meaning of the fields is judged further in.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from thinwire.common import values
from thinwire.v1 import session_pb2

REQUEST_KINDS: dict[str, type] = {
    "hello": values.Hello,
    "subscribe": values.Subscribe,
    "delta": values.DeltaChunk,
    "report": values.Report,
    "echo": values.Echo,
}
RESPONSE_KINDS: dict[str, type] = {
    "welcome": values.Welcome,
    "snapshot": values.SnapshotChunk,
    "commit": values.CommitChunk,
    "outcome": values.Outcome,
    "plan": values.Plan,
    "finish": values.Finish,
    "refusal": values.Refusal,
    "echo": values.Echo,
}
# Longest text, bytes field or list that a message may carry, by field name; text for people gets 1 KiB.
BOUNDS = {
    "data": values.CHUNK_BYTES, "task_params": 4096, "device": 64, "software": 64, "task": 64, "optimizer": 16,
    "values": 16, "residual": 16, "merge": 16, "selection": 16, "waits_for": 16, "rebase": 16, "lineage": 16,
    "layout_hash": 8, "sha256": 32, "token": 16, "unsettled": 256, "staged": 256, "outcomes": 256,
}  # fmt: skip
DEFAULT_BOUND = 1024

V = TypeVar("V")
_Reader = Callable[[Any], Any]


class WireError(ValueError):
    """A message that no honest peer sends."""


def request(value: values.FromDevice) -> session_pb2.SessionRequest:
    """The message that carries a device's word."""
    message = session_pb2.SessionRequest()
    _fill(getattr(message, _kind_of(value, REQUEST_KINDS)), value)
    return message


def response(value: values.FromCoordinator) -> session_pb2.SessionResponse:
    """The message that carries the coordinator's word."""
    message = session_pb2.SessionResponse()
    _fill(getattr(message, _kind_of(value, RESPONSE_KINDS)), value)
    return message


def from_request(message: session_pb2.SessionRequest) -> values.FromDevice:
    """A device's word; raise WireError when it is none."""
    return _read_kind(message, REQUEST_KINDS)  # type: ignore[no-any-return]  # one of the union, by the table


def from_response(message: session_pb2.SessionResponse) -> values.FromCoordinator:
    """The coordinator's word; raise WireError when it is none."""
    return _read_kind(message, RESPONSE_KINDS)  # type: ignore[no-any-return]  # one of the union, by the table


def _kind_of(value: object, kinds: dict[str, type]) -> str:
    return next(kind for kind, cls in kinds.items() if type(value) is cls)


def _read_kind(message: Any, kinds: dict[str, type]) -> Any:
    # gRPC gives a client None for bytes that are no message at all.
    kind = message.WhichOneof("kind") if message is not None else None
    if kind is None:
        raise WireError("a message of no kind this software knows")
    return _read(getattr(message, kind), kinds[kind])


def _fill(message: Any, value: Any) -> None:
    message.SetInParent()
    for name in _FIELDS[type(value)]:
        content = getattr(value, name)
        if isinstance(content, tuple):
            for item in content:
                _fill(getattr(message, name).add(), item)
        elif type(content) in _FIELDS:
            _fill(getattr(message, name), content)
        elif content is not None:
            setattr(message, name, content)


def _read(message: Any, cls: type[V]) -> V:
    return cls(*[read(message) for read in _READERS[cls]])


def _reader(name: str, kind: Any) -> _Reader:
    """What takes one field out of a message. The type is looked at once, not for every chunk."""
    if get_origin(kind) is tuple:
        return _list_reader(name, get_args(kind)[0])
    optional = next((arg for arg in get_args(kind) if dataclasses.is_dataclass(arg)), None)
    if optional is not None:
        cls: Any = optional
        return lambda message: _read(getattr(message, name), cls) if message.HasField(name) else None
    if dataclasses.is_dataclass(kind):
        whole: Any = kind
        return lambda message: _read(getattr(message, name), whole)
    if kind is str or kind is bytes:
        return _bounded_reader(name)
    if isinstance(kind, type) and issubclass(kind, enum.IntEnum):
        return lambda message: _member(kind, name, getattr(message, name))
    return operator.attrgetter(name)


def _list_reader(name: str, item: Any) -> _Reader:
    def read(message: Any) -> tuple[Any, ...]:
        content = getattr(message, name)
        _bound(name, len(content))
        return tuple(_read(one, item) for one in content)

    return read


def _bounded_reader(name: str) -> _Reader:
    limit = BOUNDS.get(name, DEFAULT_BOUND)

    def read(message: Any) -> Any:
        content = getattr(message, name)
        if len(content) > limit:
            _bound(name, len(content))
        return content

    return read


def _bound(name: str, length: int) -> None:
    limit = BOUNDS.get(name, DEFAULT_BOUND)
    if length > limit:
        raise WireError(f"{name} has length {length}; at most {limit} is taken")


def _member(kind: type[enum.IntEnum], name: str, number: int) -> enum.IntEnum:
    try:
        return kind(number)
    except ValueError:
        raise WireError(f"{name} is {number}, which this software does not know") from None


def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


# Worked out once: a chunk is turned into a message and back for every 64 KiB that travel.
_FIELDS: dict[type, dict[str, Any]] = {
    cls: _hints(cls)
    for cls in vars(values).values()
    if isinstance(cls, type) and dataclasses.is_dataclass(cls)
}
_READERS: dict[type, list[_Reader]] = {
    cls: [_reader(name, kind) for name, kind in fields.items()] for cls, fields in _FIELDS.items()
}
