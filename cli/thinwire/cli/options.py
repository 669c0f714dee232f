"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from thinwire.common.address import Address
    from thinwire.common.link import LinkProfile
    from thinwire.common.settings.kinds import Section

_F = TypeVar("_F", bound=Callable[..., Any])
_S = TypeVar("_S", bound="Section")
_T = TypeVar("_T")

FILE = click.Path(dir_okay=False, path_type=Path)


def duration(text: str) -> float:
    """Seconds, written as "30s" or "5min"."""
    from thinwire.common.units import parse_duration

    return _parsed(parse_duration, text)


def link_profile(text: str) -> "LinkProfile | None":
    """A link, written as "200ms,2mbit" or "none"."""
    from thinwire.common.link import parse_link

    return _parsed(parse_link, text)


def address(text: str) -> "Address":
    """An address, written as HOST:PORT."""
    from thinwire.common.address import parse_address

    return _parsed(parse_address, text)


def _parsed(parse: Callable[[str], _T], text: str) -> _T:
    try:
        return parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def config(command: _F) -> _F:
    """--config and --set: where settings come from."""
    command = click.option(
        "sets", "--set", metavar="KEY=VALUE", multiple=True, help="Set one key, for example density.up=0.1."
    )(command)
    return click.option("path", "-c", "--config", type=FILE, help="Settings file (TOML).")(command)


def settings(kind: type[_S], path: Path | None, sets: tuple[str, ...]) -> _S:
    """The settings of a file, or the defaults, with `sets` set."""
    from thinwire.common.settings import load, loads

    return load(path, kind, sets) if path else loads("", kind, sets, origin="settings")


def chosen(**keys: object) -> tuple[str, ...]:
    """Options that are short for a --set, as such; those that were not given are left out."""
    from thinwire.common.settings.write import toml_value

    return tuple(f"{key.replace('__', '.')}={toml_value(value)}" for key, value in keys.items() if value is not None)
