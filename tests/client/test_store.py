"""The store gives back what was written down, or says that it cannot; whatever befell its files."""

import hashlib
import random
import zlib

import pytest

from thinwire.client.store import Covered, Included, Joined, Led, Restored, Sealed, Settled, Store, residual_name
from thinwire.common import frames
from thinwire.common.errors import DiskError, DiskFullError, SyncError
from thinwire.sim.disk import SimFolder

LINEAGE = b"l" * 16
RESIDUAL = b"residual"


def payload(seq: int) -> bytes:
    return b"delta %d " % seq * (seq % 3 + 1)


def sealed(seq: int) -> Sealed:
    digest = hashlib.sha256(payload(seq)).digest()
    return Sealed(seq=seq, version=seq, sha256=digest, buffer_bytes=2, steps=5, loss=0.5, energy=1.0)


def settled(seq: int, *, accepted: bool = True, refund: int = 0) -> Settled:
    return Settled(seq=seq, accepted=accepted, reason="NONE" if accepted else "TOO_STALE", refund=refund)


def covered(folder: SimFolder, generation: int, seals: int, refunds: int = 0) -> Covered:
    folder.replace(residual_name(generation), [RESIDUAL])
    return Covered(
        generation=generation, seals=seals, refunds=refunds, file_bytes=len(RESIDUAL), crc=zlib.crc32(RESIDUAL)
    )


def fresh(seed: int = 1) -> SimFolder:
    return SimFolder("device", random.Random(seed))


def seal(store: Store, *numbers: int) -> None:
    for seq in numbers:
        store.keep(sealed(seq), payload(seq))


def busy(folder: SimFolder, segment_bytes: int = 4 << 20) -> Store:
    """A store in the middle of its life: 1 is in the base, 2 accepted, 3 refunded, 4 to 6 without an outcome."""
    store = Store(folder, segment_bytes)
    store.keep(Joined(lineage=LINEAGE, epoch=2, leader_epoch=1))
    seal(store, 1, 2)
    store.keep(covered(folder, 1, 2))
    seal(store, 3, 4)
    store.keep(settled(1))
    store.keep(Included(through=1, version=9))
    store.keep(settled(2))
    store.keep(Led(leader_epoch=7))
    store.keep(settled(3, accepted=False, refund=1))
    store.keep(covered(folder, 2, 4, 1))
    seal(store, 5, 6)
    return store


def told(store: Store) -> list[frames.ToTrainer]:
    return [frame for frame, _ in store.recover().told]


def carried(restored: Restored) -> dict[int, tuple[bytes, bool]]:
    return {delta.seq: (delta.payload, delta.accepted) for delta in restored.outbox.pending()}


ALL = {2: (payload(2), True), 4: (payload(4), False), 5: (payload(5), False), 6: (payload(6), False)}


def test_an_empty_folder_is_a_new_device() -> None:
    restored = Store(fresh()).restored
    assert (restored.lineage, restored.epoch, restored.problem) == (b"", 0, "")
    assert restored.outbox.next_seq == 1


@pytest.mark.parametrize("power", [True, False])
def test_everything_is_as_it_was(power: bool) -> None:
    folder = fresh()
    busy(folder)
    folder.crash(power=power)
    restored = Store(folder).restored
    assert (restored.lineage, restored.epoch, restored.leader_epoch, restored.generation) == (LINEAGE, 2, 7, 2)
    assert carried(restored) == ALL
    outbox = restored.outbox
    assert (outbox.next_seq, outbox.kept_through, outbox.settled_through, outbox.refunds) == (7, 6, 3, 1)
    assert restored.version == 9
    header = outbox.pending()[0].header
    assert (header.buffer_bytes, header.steps, header.loss, header.energy) == (2, 5, 0.5, 1.0)


def test_a_trainer_gets_the_newest_residual_and_what_happened_since() -> None:
    folder = fresh()
    store = busy(folder)
    store.keep(settled(4, accepted=False, refund=2))
    recovery = store.recover()
    told = list(recovery.told)
    assert [frame for frame, _ in told] == [
        frames.Restore(file="residual-2", crc=store._account.covered[-1].crc),
        frames.Mask(seq=5, buffer_bytes=2),
        frames.Mask(seq=6, buffer_bytes=2),
        frames.Refund(seq=4, buffer_bytes=2),
    ]
    assert [body for _, body in told] == [b"", payload(5), payload(6), payload(4)]
    assert (recovery.forgotten_cuts, recovery.problem) == (2, "")
    assert store.recover().forgotten_cuts == 0, "each cut is counted once"


@pytest.mark.parametrize("harm", ["flip", "remove", "shorten"])
def test_a_residual_that_is_damaged_gives_way_to_the_one_before(harm: str) -> None:
    folder = fresh()
    store = busy(folder)
    hurt(folder, "residual-2", harm)
    recovery = store.recover()
    kinds = [frames.Restore, frames.Mask, frames.Mask, frames.Refund, frames.Mask, frames.Mask]
    told = [frame for frame, _ in recovery.told]
    assert [type(frame) for frame in told] == kinds
    assert getattr(told[0], "file", "") == "residual-1"
    assert "residual-2 is damaged or gone" in recovery.problem
    assert recovery.forgotten_cuts == 4


def test_with_no_residual_left_it_begins_at_nothing_and_says_so() -> None:
    folder = fresh()
    store = busy(folder)
    for name in ("residual-1", "residual-2"):
        hurt(folder, name, "flip")
    recovery = store.recover()
    assert not [frame for frame, _ in recovery.told if isinstance(frame, frames.Restore)]
    assert recovery.forgotten_cuts == 6
    assert "residual-1" in recovery.problem


def hurt(folder: SimFolder, name: str, harm: str) -> None:
    match harm:
        case "flip":
            folder.flip(name, 11)
        case "remove":
            folder.remove(name)
        case _:
            folder.replace(name, [RESIDUAL[:-1]])


def test_another_training_leaves_nothing_of_the_one_before() -> None:
    folder = fresh()
    store = busy(folder)
    store.keep(Joined(lineage=b"m" * 16, epoch=1, leader_epoch=3))
    seal(store, 1)
    folder.crash(power=True)
    store = Store(folder)
    assert (store.restored.lineage, carried(store.restored)) == (b"m" * 16, {1: (payload(1), False)})
    assert told(store) == []
    assert [name for name in folder.names() if name.startswith("residual")] == []


def test_flash_holds_what_is_needed_and_little_more() -> None:
    folder = fresh()
    store = Store(folder, segment_bytes=2000)
    store.keep(Joined(lineage=LINEAGE, epoch=1, leader_epoch=1))
    most = 0
    for seq in range(1, 400):
        seal(store, seq)
        store.keep(settled(seq))
        store.keep(Included(through=seq - 2, version=seq))
        if seq % 10 == 0:
            store.keep(covered(folder, seq // 10, seq))
        most = max(most, folder.used_bytes)
    assert most < 12_000
    assert len([name for name in folder.names() if name.startswith("residual")]) == 2
    folder.crash(power=True)
    restored = Store(folder, segment_bytes=2000).restored
    assert set(carried(restored)) - {397} == {398, 399}, "the last word on 397 need not have been synced"
    assert restored.outbox.next_seq == 400


def test_segments_that_come_back_after_a_power_cut_do_no_harm() -> None:
    """A file that was deleted and not synced may be there again, and the one after it not."""
    for seed in range(30):
        folder = fresh(seed)
        store = Store(folder, segment_bytes=600)
        store.keep(Joined(lineage=LINEAGE, epoch=1, leader_epoch=1))
        for seq in range(1, 30):
            seal(store, seq)
            store.keep(settled(seq))
            store.keep(Included(through=seq - 1, version=seq))
        folder.crash(power=True)
        restored = Store(folder, segment_bytes=600).restored
        assert restored.problem == ""
        assert set(carried(restored)) - {28} == {29}, "the last word on 28 need not have been synced"
        assert restored.outbox.next_seq == 30


# -- damage ----------------------------------------------------------------------------------------------------------


def test_a_log_cut_at_any_byte_is_a_shorter_one_or_set_aside() -> None:
    """Where the watermark is there too, what was synced is never missed in silence."""
    whole = fresh()
    busy(whole)
    files = whole.backup()
    [name] = [name for name in files if name.endswith(".log")]
    for marked in (True, False):
        for size in range(len(files[name])):
            folder = fresh()
            cut = {**files, name: files[name][:size]}
            folder.restore(cut if marked else {n: data for n, data in cut.items() if n != "outbox.synced"})
            restored = Store(folder).restored
            if marked:
                assert "set aside as damaged-1" in restored.problem
                assert (restored.epoch, restored.abandoned) == (0, 1)
            assert all(body == payload(seq) for seq, (body, _) in carried(restored).items())
            assert restored.outbox.next_seq <= 7


def test_a_bit_flipped_anywhere_is_noticed_or_of_no_account() -> None:
    whole = fresh()
    busy(whole, segment_bytes=700)
    files = whole.backup()
    assert len([name for name in files if name.endswith(".log")]) > 2
    dice = random.Random(1)
    for name, data in files.items():
        for byte in range(len(data)):
            folder = fresh()
            folder.restore(files)
            folder.flip(name, 8 * byte + dice.randrange(8))
            store = Store(folder, segment_bytes=700)
            if store.restored.problem:
                assert store.restored.epoch == 0
                assert any(left.startswith("damaged-1-outbox") for left in folder.names())
                assert carried(store.restored) == {}
            else:
                assert carried(store.restored) == ALL
                assert store.recover().problem == ("" if name != "residual-2" else "residual-2 is damaged or gone")


def test_what_was_set_aside_is_kept_and_the_next_start_is_clean() -> None:
    folder = fresh()
    busy(folder)
    folder.flip("outbox-0000000000000001.log", 8 * 100)
    before = folder.backup()
    store = Store(folder)
    assert store.restored.problem
    aside = {name.removeprefix("damaged-1-"): data for name, data in folder.backup().items() if "damaged" in name}
    assert aside == before
    store.keep(Joined(lineage=LINEAGE, epoch=3, leader_epoch=1))
    folder.crash(power=True)
    assert Store(folder).restored.epoch == 3
    folder.flip("outbox-0000000000000001.log", 8 * 70)
    assert "damaged-2" in Store(folder).restored.problem


# -- a disk that refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["full", "read_only"])
def test_what_cannot_be_written_waits_in_order(how: str) -> None:
    folder = fresh()
    store = busy(folder)
    setattr(folder, how, True)
    for seq in (7, 8):
        with pytest.raises(DiskError):
            store.keep(sealed(seq), payload(seq))
    with pytest.raises(DiskError):
        store.keep(settled(7, accepted=False, refund=2))
    assert frames.Refund(seq=7, buffer_bytes=2) in told(store), "a trainer that comes now is told of what waits, too"
    with pytest.raises(DiskError):
        store.flush()
    setattr(folder, how, False)
    store.flush()
    folder.crash(power=True)
    restored = Store(folder).restored
    assert carried(restored) == {**ALL, 8: (payload(8), False)}
    assert restored.outbox.refunds == 2


def test_nothing_that_was_refused_is_half_there() -> None:
    folder = fresh()
    store = busy(folder)
    folder.room = folder.used_bytes + 100
    with pytest.raises(DiskFullError):
        store.keep(sealed(7), bytes(5000))
    folder.crash(power=False)
    assert carried(Store(folder).restored) == ALL


def test_a_sync_that_fails_is_the_end_of_the_process() -> None:
    folder = fresh()
    store = busy(folder)
    folder.fail(after=1)
    with pytest.raises(SyncError):
        store.keep(sealed(7), payload(7))


def test_a_residual_that_cannot_be_renewed_is_given_up_before_its_log_fills_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("thinwire.client.store.account.MOST_CHANGES", 50)
    folder = fresh()
    store = Store(folder, segment_bytes=2000)
    store.keep(Joined(lineage=LINEAGE, epoch=1, leader_epoch=1))
    seal(store, 1)
    store.keep(covered(folder, 1, 1))
    most = 0
    for seq in range(2, 200):
        seal(store, seq)
        store.keep(settled(seq))
        store.keep(Included(through=seq, version=seq))
        most = max(most, folder.used_bytes)
    assert most < 30_000
    assert told(store) == []
    assert store.restored.problem == Store(folder, segment_bytes=2000).restored.problem == ""


def test_a_residual_that_only_a_summary_speaks_of_is_still_there() -> None:
    folder = fresh()
    store = Store(folder, segment_bytes=1000)
    store.keep(Joined(lineage=LINEAGE, epoch=1, leader_epoch=1))
    for seq in range(1, 60):
        seal(store, seq)
        store.keep(settled(seq))
        store.keep(Included(through=seq, version=seq))
        if seq in (20, 21):
            store.keep(covered(folder, seq - 19, seq))
        if seq == 40:
            store.keep(covered(folder, 3, seq))
    first = store._log.first
    assert first > 40, "the records of the first files are gone"
    folder.crash(power=False)
    recovered = [frame for frame, _ in Store(folder, segment_bytes=1000).recover().told]
    assert getattr(recovered[0], "file", "") == "residual-3"
    assert [getattr(frame, "seq", 0) for frame in recovered[1:]] == list(range(41, 60))
