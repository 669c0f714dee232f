"""Where a snapshot waits: half of one outlives the agent, and goes on where it stopped."""

import hashlib
import random

import pytest

from thinwire.client.intake import IntakeError, SnapshotIntake, SnapshotSlice
from thinwire.client.spool import Spool
from thinwire.common.values import SnapshotChunk, SnapshotHeader
from thinwire.sim.disk import SimFolder

PACKED = bytes(range(256)) * 40
HEADER = SnapshotHeader(len(PACKED), hashlib.sha256(PACKED).digest(), 3)


@pytest.fixture
def folder() -> SimFolder:
    return SimFolder("device", random.Random(1))


def slice_of(data: bytes, *, begins: bool) -> SnapshotSlice:
    return SnapshotSlice(1, data, begins, False, HEADER)


def receive(folder: SimFolder, start: int, end: int) -> tuple[Spool, SnapshotIntake]:
    spool = Spool(folder)
    intake = spool.resume()
    for offset in range(start, end, 1000):
        header = HEADER if offset == start else None
        data = PACKED[offset : min(offset + 1000, end)]
        spool.write(intake.take(SnapshotChunk(9, offset, data, header)))
    return spool, intake


def test_slices_become_one_file_and_a_new_snapshot_begins_anew(folder: SimFolder) -> None:
    spool = Spool(folder)
    for data, begins in ((b"old", True), (b"ne", True), (b"w", False)):
        spool.write(slice_of(data, begins=begins))
    assert folder.read(spool.finish()) == b"new"
    assert spool.resume().received_bytes == 0


def test_the_next_agent_goes_on_where_this_one_stopped(folder: SimFolder) -> None:
    receive(folder, 0, 7300)
    folder.crash(power=False)
    assert (Spool(folder).resume().version, Spool(folder).resume().received_bytes) == (9, 7300)
    spool, _ = receive(folder, 7300, len(PACKED))
    assert folder.read(spool.finish()) == PACKED


def test_what_a_power_cut_left_of_it_is_never_taken_for_the_whole() -> None:
    went_on = 0
    for seed in range(40):
        folder = SimFolder("device", random.Random(seed))
        receive(folder, 0, 7300)
        folder.crash(power=True)
        received = Spool(folder).resume().received_bytes
        try:
            spool, _ = receive(folder, received, len(PACKED))
        except IntakeError:
            continue
        went_on += received > 0
        assert folder.read(spool.finish()) == PACKED
    assert went_on > 0


def test_a_whole_one_that_no_trainer_has_taken_is_removed(folder: SimFolder) -> None:
    spool, _ = receive(folder, 0, len(PACKED))
    whole = spool.finish()
    Spool(folder)
    assert whole not in folder.names()
