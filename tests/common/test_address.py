"""HOST:PORT, and whether it is this machine."""

import pytest

from thinwire.common.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        ("127.0.0.1:8470", Address("127.0.0.1", 8470), True),
        ("127.8.9.1:1", Address("127.8.9.1", 1), True),
        ("localhost:0", Address("localhost", 0), True),
        ("[::1]:443", Address("::1", 443), True),
        ("0.0.0.0:8470", Address("0.0.0.0", 8470), False),
        ("[::]:8470", Address("::", 8470), False),
        ("fleet.example.org:443", Address("fleet.example.org", 443), False),
        ("localhost.example.org:1", Address("localhost.example.org", 1), False),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: Address, is_loopback: bool) -> None:
    assert parse_address(text) == address
    assert parse_address(text).is_loopback is is_loopback
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", ":", "host", "host:", ":80", "host:65536", "host:-1", "host:http", "::1:80", "[::1]80", "[x]:1",
     "a b:1", "host:٨", "dns:///h:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write"):
        parse_address(text)
