"""What the value of a key may be: the annotated types of which the sections are made.

`Form` says how a value is written when TOML has no type for it: a duration is seconds or "30s", a size is
bytes or "64KiB", an address is "HOST:PORT". Bounds are msgspec's own `Meta`, so that a machine can read the
schema too.
"""

import enum
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Form(enum.Enum):
    """How a value is written, beyond what TOML's own types say."""

    DURATION = 'a duration such as "30s" or "500ms", or a number of seconds'
    LINK = 'a link as RTT,RATE[,JITTER], for example "200ms,2mbit", or "none"'
    RATE = 'a rate such as "2mbit" or "64kbit", or a number of bits a second'
    SIZE = 'a size such as "64KiB" or "32MiB", or a number of bytes'
    ADDRESS = 'HOST:PORT, for example "127.0.0.1:8470"'
    OPTIONAL_ADDRESS = 'HOST:PORT, for example "127.0.0.1:9470", or "" for none'
    CLASS_PATH = '"module:Class"'


def _form(form: Form) -> Meta:
    return Meta(extra={"form": form})


Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
ShareAboveZero = Annotated[float, Meta(gt=0, le=1)]
Decay = Annotated[float, Meta(ge=0, lt=1)]
Count = Annotated[int, Meta(ge=1)]
CountOrNone = Annotated[int, Meta(ge=0)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Duration = Annotated[float, Meta(gt=0), _form(Form.DURATION)]
DurationOrNone = Annotated[float, Meta(ge=0), _form(Form.DURATION)]
Link = Annotated[str, _form(Form.LINK)]
RateOrNone = Annotated[float, Meta(ge=0), _form(Form.RATE)]
Size = Annotated[int, Meta(ge=1), _form(Form.SIZE)]
SizeOrNone = Annotated[int, Meta(ge=0), _form(Form.SIZE)]
Address = Annotated[str, _form(Form.ADDRESS)]
OptionalAddress = Annotated[str, _form(Form.OPTIONAL_ADDRESS)]
ClassPath = Annotated[str, _form(Form.CLASS_PATH)]


# The weight of own pending work, by name or as a number.
Omega = Literal["overwrite", "eager", "half", "dga"] | Share


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every section; what is read once does not change afterwards."""

    @classmethod
    def prepared(cls, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """The tables of a file, before they are read: a place for what stands for several keys."""
        return table
