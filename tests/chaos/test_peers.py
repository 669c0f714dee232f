"""The fault table says what its rows say, and the blow falls in mid-upload."""

from pathlib import Path

from thinwire.chaos.peers.script import Row, UploadWatch
from thinwire.chaos.peers.setup import PeersOptions
from thinwire.chaos.peers.table import cells, written

PAYLOAD = 2_000_000


def row(lost: int = 0, goes_on_s: float | None = 3.0, actions: tuple[str, ...] = ()) -> Row:
    return Row(
        system="thinwire 1", fault="server kill -9", trained=5, lost=lost, duplicated=0, human_actions=actions,
        restarts=0, goes_on_s=goes_on_s, client_back_s=goes_on_s,
    )  # fmt: skip


def struck_at(uploaded: list[int], every_s: float = 0.5) -> int | None:
    """At which of these figures an upload is seen under way."""
    watch = UploadWatch(PAYLOAD)
    for turn, figure in enumerate(uploaded):
        if watch.is_under_way(turn * every_s, figure):
            return figure
    return None


def test_an_upload_is_under_way_when_a_quarter_has_left() -> None:
    assert struck_at(list(range(0, PAYLOAD, 100_000))) == 600_000


def test_heartbeats_are_no_upload_however_many_there_were() -> None:
    assert struck_at([turn // 6 * 10_000 for turn in range(600)]) is None


def test_what_was_sent_before_a_pause_belongs_to_another_upload() -> None:
    before, pause = list(range(0, 500_001, 100_000)), [500_000] * 10
    after = list(range(510_000, 2_000_000, 100_000))
    assert struck_at([*before, *pause, *after]) == 1_110_000


def test_runs_are_summed_up_and_times_have_their_median() -> None:
    [line] = cells([row(lost=1, goes_on_s=2.0), row(lost=2, goes_on_s=4.0), row(goes_on_s=None)])
    assert line == (
        "server kill -9", "thinwire 1", "3", "15", "3", "0", "0", "0", "3.0, 1 never", "3.0, 1 never",
    )  # fmt: skip


def test_the_page_has_the_table_and_what_people_had_to_do() -> None:
    page = written([row(actions=("flwr run",))], PeersOptions(flower=Path(), keep=Path()))
    assert "| server kill -9 | thinwire 1 | 1 | 5 | 0 | 0 | 1 |" in page
    assert "- thinwire 1, server kill -9: flwr run" in page
