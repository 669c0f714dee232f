"""A table is drawn on a terminal and aligned everywhere else."""

import os
import pty
import subprocess
import sys

from thinwire.cli.tables import Table, of_records

PROGRAM = """
from thinwire.cli.tables import Table, show
show(Table(("device", "link"), [("pi4-[bold]shed", "up")]))
"""


def on_a_terminal(program: str = PROGRAM, **environment: str) -> str:
    """What a program writes when its output is a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", program], stdout=theirs, check=True, env=os.environ | environment)
    os.close(theirs)
    written = os.read(ours, 65536).decode()
    os.close(ours)
    return written


def test_columns_are_aligned_and_lines_have_no_trailing_blanks() -> None:
    table = Table(("device", "version"), [("a", "10"), ("a-long-name", "9")])
    assert table.plain() == "device       version\na            10\na-long-name  9"


def test_facts_have_no_head() -> None:
    assert Table((), [("task", "watch"), ("version", "3")]).plain() == "task     watch\nversion  3"


def test_a_fleet_without_devices_is_only_the_head() -> None:
    assert Table(("device", "link"), []).plain() == "device  link"


def test_records_become_rows_and_their_keys_columns() -> None:
    table = of_records([{"what": "pack", "seconds": 0.0123456}, {"what": "unpack", "seconds": 2.0}])
    assert table == Table(["what", "seconds"], [["pack", "0.01235"], ["unpack", "2"]])
    assert of_records([]).plain() == ""


def test_on_a_terminal_the_table_is_drawn_and_names_are_no_markup() -> None:
    written = on_a_terminal(TERM="xterm-256color", NO_COLOR="")
    assert "\x1b[1m" in written
    assert "pi4-[bold]shed" in written
    assert not written.isascii()


def test_no_color_is_plain_on_a_terminal_too() -> None:
    assert on_a_terminal(NO_COLOR="1").splitlines() == ["device          link", "pi4-[bold]shed  up"]


SUMMARY = Table(("method", "accuracy", "target", "up"), [("ours", "0.812 ± 0.002", "-", "1.2 MiB")])


def test_a_narrow_window_loses_what_can_be_spared_and_no_figure() -> None:
    assert SUMMARY.within(80, ("up", "target")) == (SUMMARY, [])
    table, gone = SUMMARY.within(30, ("up", "target"))
    assert (table.columns, gone) == (["method", "accuracy", "up"], ["target"])  # it said nothing, so it went first
    table, gone = SUMMARY.within(10, ("up", "target"))
    assert (table.columns, gone) == (["method", "accuracy"], ["target", "up"])
    assert table.rows == [["ours", "0.812 ± 0.002"]]


def test_on_a_narrow_terminal_every_figure_stands_whole() -> None:
    figures = [str(10**12 + place) for place in range(12)]
    program = f"from thinwire.cli.tables import Table, show\nshow(Table({[*map(str, range(12))]}, [{figures}]))"
    written = on_a_terminal(program, TERM="xterm-256color", NO_COLOR="", COLUMNS="40")
    assert all(figure in written for figure in figures)
