"""When a device reports: a while after the first of what happened, never on a stream that is gone, and at the end."""

import random

import pytest

from thinwire.client.custody import Custody
from thinwire.client.download import Download
from thinwire.client.effects import Quit, Send, SendReport
from thinwire.client.reports import REPORT_EVERY_S, Reports
from thinwire.client.seat import Seat
from thinwire.client.store import Restored
from thinwire.client.upload import Upload
from thinwire.common import frames
from thinwire.common.values import Echo


class Desk:
    """Reports, and what they are made from."""

    def __init__(self, *, leave_when_finished: bool = False) -> None:
        custody, self.seat = Custody(Restored(), 30), Seat(random.Random(1))
        self.upload, self.download = Upload(self.seat, custody), Download(self.seat, custody, None)
        self.reports = Reports(self.seat, self.upload, self.download, leave_when_finished=leave_when_finished)

    def checks(self, version: int) -> None:
        """The trainer has the full checksum of this version."""
        self.seat.count(
            frames.Figures(
                version=version, steps=1, cuts=1, compute_s=0, wait_s=0, residual_norm=0, delay_steps=0, waiting=True,
                checksum=7,
            )
        )  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_first_of_many_things_sets_the_time_and_one_report_is_of_all(desk: Desk) -> None:
    for now in (10.0, 11.0, 12.0):
        desk.reports.soon(now, live=True)
    assert desk.reports.at == 10.0 + REPORT_EVERY_S
    assert desk.reports.tick(14.9) == []
    assert desk.reports.tick(15.0) == [SendReport(), Send(Echo(b"rtt"))]
    assert desk.reports.at is None


def test_the_echo_of_a_report_measures_the_round_trip(desk: Desk) -> None:
    desk.reports.soon(10.0, live=True)
    desk.reports.tick(15.0)
    desk.upload.echoed(15.25)
    assert desk.upload.rtt_s == 0.25


def test_what_happens_offline_makes_no_report_due_and_a_broken_stream_takes_the_due_one_along(desk: Desk) -> None:
    desk.reports.soon(10.0, live=False)
    assert desk.reports.at is None
    desk.reports.soon(10.0, live=True)
    desk.reports.lose_link()
    assert desk.reports.tick(99.0) == []


@pytest.mark.parametrize(("last", "live"), [(None, True), (4, True), (3, False)], ids=["goes on", "later", "offline"])
def test_there_is_no_farewell_before_the_last_version_is_checked_and_somebody_hears_it(
    desk: Desk, last: int | None, live: bool
) -> None:
    desk.checks(3)
    desk.download.finish_at = last
    assert desk.reports.farewell(live=live) == []


@pytest.mark.parametrize("leaves", [False, True])
def test_the_farewell_is_a_final_report_after_which_only_who_was_told_to_leaves(leaves: bool) -> None:
    desk = Desk(leave_when_finished=leaves)
    desk.checks(3)
    desk.download.finish_at = 3
    final, *rest = desk.reports.farewell(live=True)
    assert final == SendReport(final=True)
    assert rest == ([Quit(0, "training is over")] if leaves else [])
