"""Wrong trainers: what is in the residual, in a delta and in the model that they train."""

from __future__ import annotations

import pytest

from thinwire.common.codec import ValueCode
from thinwire.trainer import course
from thinwire.trainer.replica import Cut, Replica


def subtract_on_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    """What is sealed stays in the residual until the coordinator has it, and is sealed again meanwhile."""
    whole = Replica.cut

    def cut(self: Replica, density: float, code: ValueCode, steps: int, **more: object) -> Cut:
        made = whole(self, density, code, steps, **more)  # type: ignore[arg-type]
        self.residual_P[made.index_K] += made.quantised.value_K
        return made

    patch.setattr(Replica, "cut", cut)


def residual_without_its_mask(patch: pytest.MonkeyPatch) -> None:
    """An old residual is taken as it is, with what was sealed since still in it."""
    patch.setattr(Replica, "mask", lambda self, index_K: None)


def end_minus_start(patch: pytest.MonkeyPatch) -> None:
    """A device uploads the commits that came while it trained as well."""

    class Echoing(Replica):
        def cut(self, *how: object, **more: object) -> Cut:
            began_P = getattr(self, "began_P", self.base_P)
            self._absorb()
            self.unsent_P[:] = self.working_P - began_P
            made = super().cut(*how, **more)  # type: ignore[arg-type]
            self.began_P = self.working_P.copy()
            return made

    patch.setattr(course, "Replica", Echoing)


def included_deltas_stay_pending(patch: pytest.MonkeyPatch) -> None:
    """A device trains on a model that has its own delta twice: in the commit, and as its own pending work."""
    patch.setattr(Replica, "_include", lambda self, through, steps: None)
