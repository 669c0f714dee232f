"""The rows of a checkpoint, one or two for each device, in pages: however many devices there are, a page is small.

    page    u32 length | rows (MessagePack)
    end     u32 0
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import msgspec

from thinwire.server.ledger import LedgerRow
from thinwire.server.roster import MemberRow

# A page is closed when it has grown to this; one row more is 300 kB at most.
PAGE_BYTES = 1 << 20
MAX_PAGE_BYTES = 16 << 20
LENGTH = struct.Struct("<I")


class Member(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """A row of the roster."""

    row: MemberRow


class Account(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """A row of the ledger."""

    row: LedgerRow


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Member | Account])


def written(members: Iterable[MemberRow], ledger: Iterable[LedgerRow]) -> Iterator[bytes]:
    """The pages of all rows, and the end."""
    held: list[msgspec.Raw] = []
    size = 0
    for row in _rows(members, ledger):
        held.append(msgspec.Raw(row))
        size += len(row)
        if size >= PAGE_BYTES:
            yield _page(held)
            held, size = [], 0
    if held:
        yield _page(held)
    yield LENGTH.pack(0)


def read(data: memoryview, offset: int) -> tuple[list[MemberRow], list[LedgerRow], int]:
    """The rows of the pages that begin at a byte, and where they end; raise ValueError when they are none."""
    members: list[MemberRow] = []
    ledger: list[LedgerRow] = []
    while True:
        page, offset = block(data, offset, MAX_PAGE_BYTES)
        if not page:
            return members, ledger, offset
        for row in _decoder.decode(page):
            if isinstance(row, Member):
                members.append(row.row)
            else:
                ledger.append(row.row)


def block(data: memoryview, offset: int, most: int) -> tuple[memoryview, int]:
    """What follows its own length at a byte, and where it ends; raise ValueError when it is longer than it may be."""
    start = offset + LENGTH.size
    if start > len(data):
        raise ValueError("it ends where a length should be")
    (length,) = LENGTH.unpack_from(data, offset)
    if length > min(most, len(data) - start):
        raise ValueError(f"{length} bytes are announced; at most {min(most, len(data) - start)} can be")
    return data[start : start + length], start + length


def _rows(members: Iterable[MemberRow], ledger: Iterable[LedgerRow]) -> Iterator[bytes]:
    for member in members:
        yield _encoder.encode(Member(member))
    for account in ledger:
        yield _encoder.encode(Account(account))


def _page(rows: list[msgspec.Raw]) -> bytes:
    page = _encoder.encode(rows)
    return LENGTH.pack(len(page)) + page
