"""Growth is told from noise, and from what a process needs to start."""

import os
import random
from pathlib import Path

import pytest

from thinwire.chaos.flat import Series, open_files, resident_bytes


def series(*values: float) -> Series:
    found = Series()
    for at, value in enumerate(values):
        found.add(at * 60.0, value)
    return found


def test_the_slope_is_that_of_the_line_an_hour() -> None:
    assert series(*range(100)).per_hour == pytest.approx(60.0)
    assert series(5, 5, 5, 5).per_hour == 0
    assert series(5).per_hour == 0


def test_noise_has_not_grown_and_a_leak_has() -> None:
    dice = random.Random(1)
    noise = [100 + dice.uniform(-10, 10) for _ in range(60)]
    leak = [value + 2 * at for at, value in enumerate(noise)]
    assert not series(*noise).has_grown(slack=4)
    assert series(*leak).has_grown(slack=4)


def test_too_few_points_prove_nothing() -> None:
    assert not series(1, 10, 100, 1000).has_grown(slack=0)


def test_this_process_has_memory_and_files_and_one_that_is_gone_has_none() -> None:
    assert resident_bytes(os.getpid()) > 2**20
    before = open_files(os.getpid())
    with Path(os.devnull).open():
        assert open_files(os.getpid()) == before + 1
    assert resident_bytes(2**22 + 1) == open_files(2**22 + 1) == 0
