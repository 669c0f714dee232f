"""What both roles have: some sections, and the rule that no plain text leaves the machine by accident."""

from typing import Literal

from thinwire.common.address import parse_address
from thinwire.common.errors import SettingsError
from thinwire.common.settings.kinds import Section


class Tls(Section, frozen=True, kw_only=True):
    """Mutual TLS. All three or none; without them the link must stay on this machine."""

    # PEM file with the authority that signed the other side's certificate.
    ca: str = ""
    # PEM file with this side's certificate chain.
    cert: str = ""
    # PEM file with this side's private key.
    key: str = ""

    def __post_init__(self) -> None:
        given = [name for name in ("ca", "cert", "key") if getattr(self, name)]
        missing = [name for name in ("ca", "cert", "key") if not getattr(self, name)]
        if given and missing:
            raise SettingsError(
                *(f'tls.{name} is ""; with tls.{given[0]} it must name a PEM file too' for name in missing)
            )

    @property
    def enabled(self) -> bool:
        """Whether the link is encrypted and both sides show a certificate."""
        return bool(self.ca)


class Logs(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    # The least level that is written.
    level: Literal["debug", "info", "warning", "error"] = "info"
    # One JSON object a line instead of key=value.
    json: bool = False


def refuse_plain_text(section: str, address: str, tls: Tls, insecure: bool) -> None:
    """Raise SettingsError for a link without TLS that leaves this machine, unless it is wanted."""
    if tls.enabled or insecure or parse_address(address).is_loopback:
        return
    raise SettingsError(
        f'{section}.address is "{address}", which is beyond this machine, and there is no TLS;'
        f" set tls.ca, tls.cert and tls.key, or {section}.insecure = true to send everything in plain text"
    )
