"""A history in which all is well passes; each of the bad ones, made by hand, is found."""

from collections.abc import Callable

import pytest

from thinwire.chaos.checker import (
    ABANDONED,
    ACCEPTED,
    REJECTED,
    Begun,
    Checker,
    Committed,
    Id,
    JournalFact,
    Led,
    Sealed,
    Settled,
)

STALE = REJECTED
OAK, ELM = "oak", "elm"


def id(seq: int, device: str = OAK, epoch: int = 1) -> Id:
    return Id(device, epoch, seq)


def sha(seq: int) -> bytes:
    return bytes([seq]) * 32


def sealed(seq: int, device: str = OAK) -> Sealed:
    return Sealed(id(seq, device), sha(seq))


def settled(seq: int, outcome: str = ACCEPTED, device: str = OAK) -> Settled:
    return Settled(id(seq, device), sha(seq), outcome)


def committed(version: int, *seqs: int) -> Committed:
    return Committed(version, 1000 + version, tuple(id(seq) for seq in seqs), len(seqs))


JOURNAL = [settled(1), settled(2), committed(1, 1, 2), settled(3, STALE), settled(4), committed(2, 4), settled(5)]
STORE = [fact for seq, outcome in enumerate([ACCEPTED, ACCEPTED, STALE, ACCEPTED, ACCEPTED], 1)
         for fact in (sealed(seq), settled(seq, outcome))]  # fmt: skip


def checked(*steps: Callable[[Checker], None]) -> list[str]:
    checker = Checker()
    for step in steps:
        step(checker)
    return [violation.rule for violation in checker.violations]


def reads(*facts: JournalFact) -> Callable[[Checker], None]:
    return lambda checker: checker.journal(facts)


def holds(*facts: Sealed | Settled) -> Callable[[Checker], None]:
    return lambda checker: checker.store(facts)


def says(version: int, checksum: int, lineage: str = "a") -> Callable[[Checker], None]:
    return lambda checker: checker.status(lineage, version, checksum)


def ends(buffered_max: int = 1) -> Callable[[Checker], None]:
    return lambda checker: checker.quiet(checker.open(), buffered_max)


def test_a_history_in_which_all_is_well_passes() -> None:
    while_it_runs = [
        reads(*JOURNAL[:3]), holds(*STORE[:3]), says(1, 1001), lambda checker: checker.agree(),
        reads(*JOURNAL), says(2, 1002), holds(*STORE), says(2, 1002), ends(),
    ]  # fmt: skip
    assert checked(*while_it_runs) == []


def test_a_store_that_forgets_what_is_settled_and_a_journal_that_drops_its_oldest_are_no_fault() -> None:
    assert checked(reads(*JOURNAL), holds(*STORE), holds(), reads(*JOURNAL[3:]), ends()) == []


def test_an_agent_that_knows_less_than_the_journal_will_ask_and_that_is_no_fault_yet() -> None:
    assert checked(reads(*JOURNAL), holds(*(sealed(seq) for seq in range(1, 6))), ends()) == []


BAD = {
    "M4 one outcome: settled twice": [reads(settled(1), settled(1))],
    "M4 one outcome: it changes in the journal": [reads(settled(1)), reads(settled(1, STALE))],
    "M4 one outcome: the agent heard another": [reads(settled(1)), holds(sealed(1), settled(1, STALE)), ends()],
    "M4 one outcome: the agent heard two": [holds(settled(1)), holds(settled(1, STALE))],
    "M4 no gaps: a number is left out": [reads(settled(1), settled(3))],
    "M7 monotone: an older epoch comes back": [
        reads(Settled(id(1, epoch=2), sha(1), ACCEPTED), Settled(id(2, epoch=1), sha(2), ACCEPTED))
    ],
    "M7 monotone: a version is left out": [reads(settled(1), committed(1, 1), committed(3))],
    "M7 monotone: a version is made again": [reads(settled(1), committed(1, 1), committed(1))],
    "M7 monotone: the version falls": [says(5, 1005), says(4, 1004)],
    "M7 monotone: the training begins anew": [says(5, 1005, "a"), says(0, 1000, "b")],
    "M6 bit for bit: one version, two models": [says(5, 1005), says(5, 7)],
    "M6 bit for bit: the journal has another model": [says(1, 7), reads(settled(1), committed(1, 1))],
    "M6 bit for bit: a device has another model": [says(1, 7), lambda checker: checker.checksum(1, 8, "oak")],
    "M2 folded once: folded twice": [reads(settled(1), committed(1, 1), committed(2, 1))],
    "M2 folded once: folded and rejected": [reads(settled(1, STALE), committed(1, 1))],
    "M2 folded once: folded and unknown": [reads(committed(1, 1))],
    "M2 folded once: folded elsewhere after a restart": [
        reads(settled(1), committed(1, 1)), reads(settled(1), committed(1), committed(2, 1)),
    ],
    "M2 folded once: accepted and in no commit": [
        reads(settled(1), settled(2), settled(3), committed(1, 3)), holds(*map(sealed, (1, 2, 3))), ends(),
    ],
    "M2 folded once: a commit of fewer than were accepted": [
        reads(settled(1), settled(2), Committed(1, 1001, (id(1), id(2)), 1)),
    ],
    "M7 monotone: a coordinator of the past": [reads(Led(2), Led(2))],
    "M7 monotone: an epoch begins anew": [reads(Begun(OAK, 2), Begun(OAK, 1))],
    "M5 nothing lost: gone from the journal": [reads(*JOURNAL), reads(*JOURNAL[:-1], settled(6))],
    "M5 nothing lost: the agent was told so": [reads(settled(1)), holds(sealed(1), settled(1), settled(2)), ends()],
    "M5 same bytes: sealed twice": [holds(sealed(1)), holds(Sealed(id(1), sha(9)))],
    "M5 same bytes: others were settled": [reads(settled(1)), holds(Sealed(id(1), sha(9))), ends()],
    "M5 nothing made up: no agent knows it": [reads(settled(1)), ends()],
    "M9 all settle: no outcome": [reads(settled(1)), holds(sealed(1), sealed(2)), ends()],
}  # fmt: skip


@pytest.mark.parametrize(("named", "story"), BAD.items(), ids=BAD)
def test_a_bad_history_is_found(named: str, story: list[Callable[[Checker], None]]) -> None:
    assert named.split(":")[0] in checked(*story)


def test_a_delta_that_was_sealed_a_moment_ago_may_be_without_an_outcome() -> None:
    assert checked(reads(settled(1)), holds(sealed(1), sealed(2)), lambda checker: checker.quiet((), 1)) == []


def test_what_was_sealed_before_a_new_epoch_is_abandoned_and_said_to_be() -> None:
    checker = Checker()
    checker.store([sealed(1), sealed(2)])
    checker.journal([settled(1), Begun(OAK, 2)])
    checker.quiet(checker.sealed, 1)
    assert checker.outcomes() == {ACCEPTED: 1, ABANDONED: 1}
    assert checker.violations == []


def test_a_fault_is_told_once_however_often_it_is_seen() -> None:
    assert checked(*[reads(settled(1), settled(3))] * 3) == ["M4 no gaps"]


def test_devices_and_epochs_have_numbers_of_their_own() -> None:
    journal = [settled(1), settled(1, device=ELM), Settled(id(1, epoch=2), sha(1), ACCEPTED)]
    assert checked(reads(*journal)) == []
