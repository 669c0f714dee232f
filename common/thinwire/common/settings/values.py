"""One value of a file → one value of a struct, or a sentence that says what it must be."""

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Meta

from thinwire.common.address import parse_address
from thinwire.common.link import parse_link
from thinwire.common.settings.kinds import Form
from thinwire.common.settings.names import nearest, shown
from thinwire.common.units import parse_duration, parse_rate, parse_size

_CLASS_PATH = re.compile(r"[A-Za-z_][\w.]{0,200}:[A-Za-z_]\w{0,100}")
_PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def read_value(value: Any, hint: Any, key: str, problems: list[str]) -> Any:
    """The value as the struct wants it; what is wrong with it goes to `problems`."""
    kind, metas = _unwrap(hint)
    if get_origin(kind) is Union:
        return _read_either(value, hint, key, problems)
    if get_origin(kind) is dict:
        return _read_table(value, get_args(kind)[1], key, problems)
    if get_origin(kind) is Literal:
        return _read_choice(value, hint, key, problems)
    try:
        plain = _in_form(value, kind, _form(metas))
    except ValueError:
        plain = None
    if type(plain) is kind and _within(plain, metas):
        return plain
    problems.append(f"{key} is {shown(value)}; it must be {allowed(hint)}")
    return None


def allowed(hint: Any) -> str:
    """What a value may be, in words."""
    kind, metas = _unwrap(hint)
    if get_origin(kind) is Union:
        return " or ".join(map(allowed, get_args(kind)))
    if get_origin(kind) is Literal:
        return " or ".join(shown(choice) for choice in get_args(kind))
    if get_origin(kind) is dict:
        item = get_args(kind)[1]
        return "a table" if item is object else f"a table of {allowed(item)}"
    if get_origin(kind) is tuple:
        return f"a list, of which each is {allowed(get_args(kind)[0])}"
    form = _form(metas)
    words = form.value if form else _PLAIN[kind]
    bounds = " and ".join(_bounds(metas))
    return f"{words}, {bounds}" if bounds else words


def form_of(hint: Any) -> Form | None:
    """The written form of a key's values, if it has one."""
    return _form(_unwrap(hint)[1])


def _unwrap(hint: Any) -> tuple[Any, tuple[Meta, ...]]:
    if get_origin(hint) is not Annotated:
        return hint, ()
    kind, *metas = get_args(hint)
    return kind, tuple(meta for meta in metas if isinstance(meta, Meta))


def _form(metas: tuple[Meta, ...]) -> Form | None:
    return next((meta.extra["form"] for meta in metas if meta.extra and "form" in meta.extra), None)


def _bounds(metas: tuple[Meta, ...]) -> Iterator[str]:
    for meta in metas:
        for name, word in _BOUNDS.items():
            if (limit := getattr(meta, name)) is not None:
                yield f"{word} {limit}"


def _within(value: Any, metas: tuple[Meta, ...]) -> bool:
    """Whether a value obeys its bounds; text and truth have none, and TOML's inf and nan obey none."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return all(
        (meta.ge is None or value >= meta.ge)
        and (meta.gt is None or value > meta.gt)
        and (meta.le is None or value <= meta.le)
        and (meta.lt is None or value < meta.lt)
        for meta in metas
    )


def _in_form(value: Any, kind: Any, form: Form | None) -> Any:
    """The plain value behind a written form; raise ValueError when the form is not kept."""
    if kind is float and type(value) is int:
        return float(value)
    if form is None or not isinstance(value, str):
        return value
    if form is Form.DURATION:
        return parse_duration(value)
    if form is Form.SIZE:
        return parse_size(value)
    if form is Form.RATE:
        return parse_rate(value)
    if form is Form.LINK:
        parse_link(value)
    if form is Form.CLASS_PATH and not _CLASS_PATH.fullmatch(value):
        raise ValueError(value)
    if form is Form.ADDRESS or (form is Form.OPTIONAL_ADDRESS and value):
        parse_address(value)
    return value


def _read_table(value: Any, item_hint: Any, key: str, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        problems.append(f"{key} is {shown(value)}; it must be a table")
        return None
    if item_hint is object:
        return value
    return {name: read_value(item, item_hint, f"{key}.{name}", problems) for name, item in value.items()}


def _read_either(value: Any, hint: Any, key: str, problems: list[str]) -> Any:
    for choice in get_args(hint):
        found: list[str] = []
        read = read_value(value, choice, key, found)
        if not found:
            return read
    problems.append(f"{key} is {shown(value)}; it must be {allowed(hint)}")
    return None


def _read_choice(value: Any, hint: Any, key: str, problems: list[str]) -> Any:
    choices = get_args(hint)
    if isinstance(value, str) and value in choices:
        return value
    meant = nearest(value, choices) if isinstance(value, str) else None
    guess = f"; did you mean {shown(meant)}?" if meant else ""
    problems.append(f"{key} is {shown(value)}; it must be {allowed(hint)}{guess}")
    return None
