"""When a checkpoint is worth what it weighs, and what one of another version says."""

import hashlib
import random

import pytest
from journal_story import Run, bits

from thinwire.common.errors import DamagedError
from thinwire.server import checkpoint, journal
from thinwire.server.checkpoint import OtherFormatError
from thinwire.server.journal import Journal
from thinwire.sim.disk import SimFolder


def a_run(folder: SimFolder) -> Run:
    run = Run(folder)
    run.join("oak", "elm")
    return run


@pytest.mark.parametrize(
    ("share", "most", "checkpoints"), [(0.0, 1000, True), (1000.0, 1000, False), (1000.0, 12, True)]
)
def test_many_entries_are_worth_a_checkpoint_when_they_weigh_a_share_of_it_or_are_too_many(
    monkeypatch: pytest.MonkeyPatch, share: float, most: int, checkpoints: bool
) -> None:
    monkeypatch.setattr(journal, "CHECKPOINT_ENTRIES", 5)
    monkeypatch.setattr(journal, "CHECKPOINT_SHARE", share)
    monkeypatch.setattr(journal, "MOST_ENTRIES", most)
    folder = SimFolder("coordinator", random.Random(0))
    run = a_run(folder)
    run.train(20, "oak", "elm")
    assert (len(checkpoint.numbers_in(folder)) > 1) == checkpoints
    folder.crash(power=True)
    assert bits(Journal(folder).recover().state) == bits(run.state)


def test_while_a_checkpoint_is_written_or_waits_to_be_no_state_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CHECKPOINT_ENTRIES", 5)
    monkeypatch.setattr(journal, "CHECKPOINT_SHARE", 0.0)
    folder = SimFolder("coordinator", random.Random(0))
    run = a_run(folder)
    with run.journal._checkpoints:
        run.train(20, "oak", "elm")
        assert run.recorder.take_checkpoint() is None
    run.train(2, "oak", "elm", seed=20)
    assert len(checkpoint.numbers_in(folder)) == 2, "it comes right after"


def test_a_checkpoint_of_another_version_is_not_called_damaged() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = a_run(folder)
    run.stop()
    [name] = [name for name in folder.names() if name.startswith("checkpoint")]
    data = bytearray(folder.read(name))
    data[len(checkpoint.MAGIC) - 1 : len(checkpoint.MAGIC)] = b"1"
    folder.replace(name, [bytes(data)])
    with pytest.raises(DamagedError, match="digest is wrong"):
        checkpoint.read(folder, 0)
    sealed = hashlib.blake2b(data[:-16], digest_size=16).digest()
    folder.replace(name, [bytes(data[:-16]) + sealed])
    with pytest.raises(OtherFormatError, match=r"another version of thinwire, in checkpoint format '1'.*is damaged"):
        Journal(folder).recover()
