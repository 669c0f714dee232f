"""What the journal is held against comes out the same on any machine: BLAS, which adds in any order, has no part."""

import random
from typing import Any

import numpy as np
import pytest
from journal_story import SIZE, Run, bits

from thinwire.server import admit, checkpoint, entries
from thinwire.server.density import DensityRules
from thinwire.server.density.grouping import groups_of
from thinwire.server.density.sketch import BUCKETS, Sketches
from thinwire.server.journal import Journal
from thinwire.server.replay import Replay
from thinwire.server.sums import length, products
from thinwire.sim.disk import SimFolder


def test_lengths_and_products_are_what_they_are() -> None:
    assert length(np.array([3.0, 4.0], np.float32)) == 5.0
    assert length(np.array([3e38, 0.0], np.float32)) == float(np.float32(3e38))
    assert length(np.zeros(0, np.float32)) == 0.0
    one_NS, other_GS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[1.0, 1.0], [1.0, -1.0]])
    assert products(one_NS, other_GS).tolist() == [[3.0, -1.0], [7.0, -1.0], [11.0, -1.0]]


def test_a_state_that_was_written_on_one_machine_is_read_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine is one on which norms come out a little otherwise; what was found then is written."""
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder, norm_guard=100.0, checkpoint_bytes=1, density=DensityRules())
    run.join("oak", "elm", "ash")
    run.train(6, "oak", "elm", "ash")
    for name in ("length", "_norm"):
        here = getattr(admit, name, None)
        monkeypatch.setattr(admit, name, lambda value_K, of=here: np.nextafter(of(value_K), 9e9), raising=False)
    replay = Replay(Journal(folder), checkpoint.numbers_in(folder)[0])
    assert [step.version for step in replay.steps()] == [1, 2, 3]
    assert replay.compared
    assert bits(replay.state) == bits(run.state)


def test_a_journal_that_says_no_norms_is_read_all_the_same() -> None:
    run = Run(SimFolder("coordinator", random.Random(0)))
    run.join("oak")
    run.train(1, "oak")
    [(entry, body)] = [found[1:] for found in run.journal.read(1) if isinstance(found[1], entries.Admitted)]
    assert entry.norm is not None
    assert run.state.norms.dump() == [("oak", entry.norm)]
    older = entries.Admitted(**{name: getattr(entry, name) for name in entry.__struct_fields__ if name != "norm"})
    assert entries.decode(entries.encode(older), 1) == older
    layouts = run.state.model.layout, run.state.model.buffer_layout
    assert admit.reopen(body, older.buffer_bytes, *layouts, older.norm).norm == entry.norm


def test_what_a_density_is_made_from_asks_nothing_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    class Vector(np.ndarray):
        """Numbers that cannot be multiplied the fast way."""

        def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **how: Any) -> Any:
            assert ufunc is not np.matmul
            plain = [np.asarray(given) for given in inputs]
            made = getattr(ufunc, method)(*plain, **{key: given for key, given in how.items() if key != "out"})
            return made.view(Vector) if isinstance(made, np.ndarray) else made

    def refuse(*given: Any, **how: Any) -> None:
        raise AssertionError("this goes through BLAS")

    for module, name in ((np.linalg, "norm"), (np, "dot"), (np, "matmul")):
        monkeypatch.setattr(module, name, refuse)
    draw = np.random.default_rng(0)
    direction_GS = draw.normal(size=(2, BUCKETS))
    truth = [0, 1, 0, 1, 0, 1, 0, 1]
    half_2NS = (direction_GS[truth] + 0.1 * draw.normal(size=(2, len(truth), BUCKETS))).astype(np.float32)
    assert groups_of(half_2NS.view(Vector), most=4).tolist() == truth
    Sketches().add(np.arange(SIZE), np.ones(SIZE, np.float32))
