"""`thinwire chaos peers`: every fault for every system, one after the other; what is done is not done again."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from thinwire.chaos import namespaces
from thinwire.chaos.lines import Lines
from thinwire.chaos.network import Plan
from thinwire.chaos.peers import flower, own
from thinwire.chaos.peers.script import Blow, Row, Script
from thinwire.chaos.peers.setup import CLIENTS, LINE, PAYLOAD_BYTES, PeersOptions
from thinwire.chaos.peers.table import written
from thinwire.chaos.plan import PORT
from thinwire.common.errors import SettingsError

SYSTEMS = ("thinwire", "flower")


def run(options: PeersOptions) -> list[Row]:
    """All rows: those that were there, and those that were played now."""
    if reason := namespaces.why_not():
        raise SettingsError(f"the comparison needs network namespaces: {reason}")
    namespaces.unshare()
    options.keep.mkdir(parents=True, exist_ok=True)
    rows = list(_rows(options))
    if options.out is not None:
        options.out.write_text(written(rows, options), encoding="utf-8")
    return rows


def _rows(options: PeersOptions) -> Iterator[Row]:
    for blow in Blow:
        for system in SYSTEMS:
            for turn in range(options.repeat):
                folder = options.keep / f"{system} {blow} {turn}".replace(" ", "-")
                done = folder / "row.json"
                chosen = system in (options.systems or SYSTEMS) and str(blow) in (options.faults or list(Blow))
                if not done.exists() and chosen:
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir()
                    row = _play(system, blow, folder, options)
                    done.write_bytes(msgspec.json.encode(row))
                if done.exists():
                    yield msgspec.json.decode(done.read_bytes(), type=Row)


def _play(system: str, blow: Blow, folder: Path, options: PeersOptions) -> Row:
    with ExitStack() as stack:
        port = PORT if system == "thinwire" else flower.PORT
        plan = Plan(kind="namespaces", lines=LINE, devices=CLIENTS, seed=options.seed, port=port)
        lines = stack.enter_context(Lines(plan))
        rig: own.ThinwireRig | flower.FlowerRig
        if system == "thinwire":
            rig = own.ThinwireRig(folder, lines)
        else:
            rig = flower.FlowerRig(options.flower, folder, lines)
        stack.callback(rig.fleet.close)

        def say(text: str) -> None:
            print(f"{rig.system}, {blow}: {text}", file=sys.stderr, flush=True)

        return Script(rig, rig.keeper, blow, PAYLOAD_BYTES, say).play()

