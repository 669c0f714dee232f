"""Rates are part of the run's state: wherever a coordinator stops, the next one decides as it would have."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from journal_story import LAYOUT, SIZE, Run, again, blob, real_run

from thinwire.common.codec import Limits, unpack
from thinwire.server.density import DensityRules
from thinwire.server.effects import Effect, Recognised, Rerated
from thinwire.server.events import DeltaSealed, Greeted, Left

NAMES = ["ash", "elm", "fir", "oak"]
DELTAS = 48


def rules(policy: str, **changes: object) -> DensityRules:
    usual: dict[str, object] = {"policy": policy, "up": 0.2, "down": 0.4, "window": 2, "ladder": (0.3, 0.1)}
    return DensityRules(**{**usual, **changes})  # type: ignore[arg-type]  # its own fields


def tells(run: Run, number: int) -> list[Effect]:
    """The next delta of one of four devices: losses fall fast, then not at all; two learn one thing, two another."""
    place = number % len(NAMES)
    row = run.core.ledger.row(NAMES[place])
    assert row is not None
    body, buffer_bytes = blob(place % 2, run.core.model.version)
    sha256, seq = hashlib.sha256(body).digest(), row.contiguous + 1
    loss = 0.98 ** min(number, 24) + 0.001 * place
    return run.happens(
        DeltaSealed(NAMES[place], row.epoch, seq, sha256, body, buffer_bytes, loss=loss, energy=50.0 * (1 + place))
    )


def rates(run: Run) -> str:
    assert run.state.density is not None
    fields, arrays = run.state.density.dump()
    return json.dumps([fields, {name: array.tobytes().hex() for name, array in arrays.items()}])


@pytest.mark.parametrize("checkpoint_bytes", [600, 1 << 30], ids=["checkpoints", "the log alone"])
@pytest.mark.parametrize("policy", ["temporal", "spatial", "spatio-temporal"])
def test_rates_go_on_bit_for_bit_over_any_number_of_restarts(
    tmp_path: Path, policy: str, checkpoint_bytes: int
) -> None:
    how = {"density": rules(policy), "checkpoint_bytes": checkpoint_bytes}
    through, _ = real_run(tmp_path / "through", **how)
    stopped, path = real_run(tmp_path / "stopped", **how)
    for run in (through, stopped):
        run.join(*NAMES)
    seen = set()
    for number in range(DELTAS):
        tells(through, number)
        tells(stopped, number)
        seen.add(tuple(through.state.density.density_of(name) for name in NAMES))
        assert rates(stopped) == rates(through)
        if number % 7 == 6:
            stopped.stop()
            stopped = again(path, **how)
            assert rates(stopped) == rates(through)
            assert stopped.core.model.checksum == through.core.model.checksum
            stopped.join()
    assert len(seen) > 2, "rates that never change would show nothing"


def test_a_commit_tells_those_who_are_here_and_a_greeting_those_who_come(tmp_path: Path) -> None:
    run, _ = real_run(tmp_path / "run", density=rules("temporal", ladder=()))
    run.join(*NAMES)
    run.happens(Left("oak"))
    # No gain is known before the second window of two deltas each has closed.
    told = [tells(run, number) for number in range(16)]
    changed = {number: [e for e in effects if isinstance(e, Rerated)] for number, effects in enumerate(told)}
    density = 0.2 / 1.25
    assert {number: effects for number, effects in changed.items() if effects} == {
        15: [Rerated(name, density) for name in NAMES if name != "oak"]
    }
    (recognised,) = [e for e in run.happens(Greeted("oak", 1)) if isinstance(e, Recognised)]
    assert recognised.density == density


def test_other_rules_begin_anew_and_the_same_rules_do_not(tmp_path: Path) -> None:
    run, path = real_run(tmp_path / "run", density=rules("temporal", ladder=()))
    run.join(*NAMES)
    for number in range(16):
        tells(run, number)
    before = rates(run)
    run.stop()
    same = again(path, density=rules("temporal", ladder=()))
    assert rates(same) == before
    same.stop()
    other = again(path, density=rules("temporal", ladder=(), window=3))
    assert other.state.density is not None
    assert other.state.density.density_of("oak") == 0.2
    other.stop()
    fixed = again(path)
    assert fixed.state.density is None
    fixed.stop()
    # The journal knows which rules were in force when; replaying it all ends the same.
    assert again(path).state.density is None


def test_what_clipping_takes_away_was_sent_all_the_same(tmp_path: Path) -> None:
    """A device that sends all it has leaves nothing unsent, however little of it counts."""
    run, _ = real_run(tmp_path / "run", density=rules("spatial"), clip_norm=0.5)
    run.join("oak")
    body, buffer_bytes = blob(5, 0)
    value_K = unpack(body[:-buffer_bytes], Limits(LAYOUT.hash, SIZE, SIZE)).value_K
    energy = float(np.square(value_K, dtype=np.float64).sum())
    assert energy > 1, "it is clipped"
    run.happens(DeltaSealed("oak", 1, 1, hashlib.sha256(body).digest(), body, buffer_bytes, energy=energy))
    assert run.state.density is not None
    account = run.state.density.dump()[0]["state"]["accounts"]["oak"]
    assert (account["energy"], account["unsent"]) == (energy, 0.0)
