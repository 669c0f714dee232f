"""One outcome for each delta, and it never changes."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from thinwire.common.values import Outcome, RejectReason, Sealed, Verdict
from thinwire.server.ledger import KEPT_OUTCOMES, Ledger, LedgerError

HASH, OTHER = b"h" * 32, b"o" * 32


def accepted(seq: int) -> Outcome:
    return Outcome(seq, Verdict.ACCEPTED)


def with_settled(count: int) -> Ledger:
    ledger = Ledger()
    ledger.begin("a", 1)
    for seq in range(1, count + 1):
        ledger.settle("a", HASH, accepted(seq))
    return ledger


def test_a_duplicate_gets_the_first_outcome() -> None:
    ledger = with_settled(0)
    first = Outcome(1, Verdict.REJECTED, RejectReason.TOO_STALE, refund=True)
    assert ledger.known("a", 1, 1, HASH) is None
    ledger.settle("a", HASH, first)
    assert ledger.known("a", 1, 1, HASH) == first


def test_the_same_number_with_other_bytes_is_a_conflict() -> None:
    with pytest.raises(LedgerError, match="other bytes"):
        with_settled(2).known("a", 1, 2, OTHER)


def test_a_gap_is_not_settled() -> None:
    ledger = with_settled(2)
    assert ledger.next_seq("a") == 3
    with pytest.raises(LedgerError, match="4 came, but 3 is next"):
        ledger.settle("a", HASH, accepted(4))


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_delta_of_another_epoch_belongs_nowhere(epoch: int) -> None:
    with pytest.raises(LedgerError, match=f"epoch {epoch}"):
        with_settled(2).known("a", epoch, 2, HASH)


def test_a_new_epoch_begins_with_an_empty_account() -> None:
    ledger = with_settled(2)
    ledger.begin("a", 2)
    assert ledger.next_seq("a") == 1
    with pytest.raises(LedgerError, match="epoch 1"):
        ledger.known("a", 1, 2, HASH)


def test_another_ledger_goes_on_from_what_one_has_dumped() -> None:
    first, second = with_settled(3), Ledger()
    first.news()
    second.load(first.dump())
    assert second.known("a", 1, 2, HASH) == accepted(2)
    assert (second.next_seq("a"), second.published()) == (4, {"a": (1, 3)})
    assert second.dump() == first.dump()


def test_recall_answers_what_is_settled_and_is_silent_on_what_is_due() -> None:
    ledger = with_settled(2)
    asked = tuple(Sealed(seq, HASH) for seq in (1, 2, 3))
    assert ledger.recall("a", 1, asked) == (accepted(1), accepted(2))
    with pytest.raises(LedgerError):
        ledger.recall("a", 1, (Sealed(2, OTHER),))


def test_very_old_outcomes_are_let_go_but_never_settled_again() -> None:
    ledger = with_settled(KEPT_OUTCOMES + 10)
    assert ledger.known("a", 1, 11, HASH) == accepted(11)
    with pytest.raises(LedgerError, match="settled long ago"):
        ledger.known("a", 1, 10, HASH)


def test_news_is_told_once() -> None:
    ledger = with_settled(3)
    assert ledger.published() == {"a": (1, 0)}
    assert ledger.news() == {"a": (1, 3)}
    assert ledger.news() == {}
    ledger.settle("a", HASH, accepted(4))
    assert ledger.published() == {"a": (1, 3)}, "4 is not in a version yet"
    assert ledger.news() == {"a": (1, 4)}


class Fleet(RuleBasedStateMachine):
    """Two devices that send, repeat and start anew; a plain dict of outcomes is the truth."""

    devices = Bundle("devices")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.epoch: dict[str, int] = {}
        self.truth: dict[tuple[str, int], list[Outcome]] = {}

    @rule(target=devices, device=st.sampled_from(["a", "b"]))
    def start_anew(self, device: str) -> str:
        self.epoch[device] = self.epoch.get(device, 0) + 1
        self.ledger.begin(device, self.epoch[device])
        assert (device, self.epoch[device]) not in self.truth
        self.truth[device, self.epoch[device]] = []
        return device

    @rule(device=devices, verdict=st.sampled_from(Verdict))
    def send(self, device: str, verdict: Verdict) -> None:
        settled = self.truth[device, self.epoch[device]]
        outcome = Outcome(len(settled) + 1, verdict)
        assert self.ledger.known(device, self.epoch[device], outcome.seq, HASH) is None
        self.ledger.settle(device, HASH, outcome)
        settled.append(outcome)

    @rule(device=devices, back=st.integers(0, 5))
    def repeat(self, device: str, back: int) -> None:
        settled = self.truth[device, self.epoch[device]]
        if back < len(settled):
            outcome = settled[-1 - back]
            assert self.ledger.known(device, self.epoch[device], outcome.seq, HASH) == outcome

    @rule()
    def publish(self) -> None:
        for device, (epoch, through) in self.ledger.news().items():
            assert through == len(self.truth[device, epoch])

    @invariant()
    def numbers_follow_each_other(self) -> None:
        for device, epoch in self.epoch.items():
            assert self.ledger.next_seq(device) == len(self.truth[device, epoch]) + 1


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
