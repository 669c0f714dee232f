"""People write "200ms"; the program counts seconds, bytes and bits a second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.common import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("1.5s", 1.5), (" 5 min ", 300.0), ("2h", 7200.0), ("0s", 0.0), ("250us", 0.00025)],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("64KiB", 65536), ("250kB", 250_000), ("1.5MiB", 1_572_864), ("7B", 7), ("1GB", 10**9)]
)
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "rate"), [("2mbit", 2e6), ("64kbit", 64e3), ("1.2gbit", 1.2e9), ("9bit", 9.0)]
)
def test_a_rate_is_bits_a_second(text: str, rate: float) -> None:
    assert units.parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-1s", "1e3s", "nan s", "infs", "5 parsecs", "1,5s", "٣s", "1s1s"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='"30s"'):
        units.parse_duration(text)


def test_half_a_byte_is_no_size() -> None:
    with pytest.raises(ValueError, match="whole number of bytes"):
        units.parse_size("0.5B")


def test_a_megabit_is_no_size() -> None:
    with pytest.raises(ValueError, match="KiB"):
        units.parse_size("2Mb")


@given(st.integers(0, 2**50))
def test_a_written_size_reads_back_exactly(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == size


@given(st.floats(1e-6, 1e7))
def test_a_written_duration_reads_back(seconds: float) -> None:
    assert units.parse_duration(units.format_duration(seconds)) == pytest.approx(seconds, rel=1e-9, abs=1e-15)


@given(st.floats(1, 1e12))
def test_a_written_rate_reads_back(rate: float) -> None:
    assert units.parse_rate(units.format_rate(rate)) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**40, "5.0 TiB")]
)
def test_a_size_for_the_eye_has_one_decimal(size: int, text: str) -> None:
    assert units.about(size) == text
