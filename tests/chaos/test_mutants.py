"""A simulation that does not find these mistakes would not find others either."""

import importlib.util
import re
from pathlib import Path

import pytest

from thinwire.sim.trial import Trial

_spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants.py"))
assert _spec is not None
assert _spec.loader is not None
mutants = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mutants)

# Some mistakes need a rare fault at the right moment; the first seed that finds the shyest of them is 453.
MOST_SEEDS = 600


@pytest.mark.slow
@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_mutant_is_caught(mutant: mutants.Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    found = next(filter(None, (Trial(seed).run().violation for seed in range(MOST_SEEDS))), "")
    assert found, "no seed found it"
    assert not re.search(r"(Attribute|Type|Name|Unbound\w+)Error: ", found), "the mutant is not what it was: " + found
