"""Who backs machines up, puts old copies back, and takes trainings back: on purpose, by mistake, or because he must.

    a device's disk    set back to an earlier copy, or exchanged for another copy of it, back and forth
    the coordinator's  set back to an earlier copy, of this lineage or of one before it
    rollback           to any version that is kept; also when devices know more than the coordinator does

Copies are taken while the machine runs, without the watermark, as docs/durability.md says.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from thinwire.common.errors import DamagedError, DiskError, SettingsError
from thinwire.server import checkpoint
from thinwire.server.rollback import begin_lineage, look_back_in
from thinwire.sim.agent_host import AgentHost
from thinwire.sim.book import Book
from thinwire.sim.disk import SimFolder
from thinwire.sim.papers import Copy

if TYPE_CHECKING:
    from thinwire.sim.trial import Trial

Backup = tuple[dict[str, bytes], Book]
MOST_COPIES = 3


class Operator:
    """Does harm in some trials, and what is left to do in all of them; `dice` are his own."""

    def __init__(self, trial: Trial, dice: random.Random) -> None:
        self._trial, self._dice = trial, dice
        self._copies: dict[str, list[Copy]] = {}
        self._backups: list[Backup] = []
        self._touched: set[tuple[str, int]] = set()  # device and life
        self._set_back = self._called = False

    def plan(self, until: float, *, mistaken: bool) -> None:
        """What he does before then; `mistaken` puts an old backup back at the coordinator."""
        dice, trial = self._dice, self._trial
        kind = 5 if mistaken else dice.randrange(20)
        if kind < 5:
            host = dice.choice(list(trial.agents.values()))
            for _ in range(dice.choice((1, 2, 3))):
                trial.agenda.at(dice.uniform(0, until), partial(self._copy, host))
                trial.agenda.at(dice.uniform(1, until), partial(self._exchange, host))
        elif kind < 9:
            for _ in range(dice.choice((1, 2))):
                trial.agenda.at(dice.uniform(0, until), self._back_up)
                trial.agenda.at(dice.uniform(1, until), self._restore)
        if kind in (8, 9, 10):
            trial.agenda.at(dice.uniform(0, until), self._roll_back)

    def touched(self, device: str, life: int) -> bool:
        """Whether a device may be made to begin anew after this life, in the lineage that it is in."""
        return self._set_back or (device, life) in self._touched

    def told_of_doubts(self) -> None:
        """Devices are refused because they know more than the coordinator: sooner or later somebody decides."""
        if not self._called:
            self._called = True
            self._trial.faults["devices know more than the coordinator"] += 1
            self._trial.agenda.at(self._trial.agenda.now + self._dice.choice((0.5, 2.0)), self._decide)

    def _decide(self) -> None:
        self._called = False
        self._roll_back()

    # -- devices -----------------------------------------------------------------------------------------------

    def _copy(self, host: AgentHost) -> None:
        copy = host.copied()
        if copy is not None:
            self._copies.setdefault(host.name, []).append(copy)

    def _exchange(self, host: AgentHost) -> None:
        copies = self._copies.get(host.name, [])
        if self._trial.calm or not copies:
            return
        # The one that was in it lives on, and may be back: that is what a clone is.
        older, newest = copies.pop(self._dice.randrange(len(copies))), host.copied()
        if newest is not None and len(copies) < MOST_COPIES:
            copies.append(newest)
        self._touched |= {(host.name, life) for life in older.drawer.lives}
        self._trial.tell("an older disk is put into a device")
        self._trial.stop(host.name)
        host.put_back(older)

    # -- the coordinator ---------------------------------------------------------------------------------------

    def _back_up(self) -> None:
        host = self._trial.coordinator
        if host.up and host.sound:
            files = {name: data for name, data in host.folder.backup().items() if not name.endswith(".synced")}
            self._backups.append((files, self._trial.witness.book.copy()))

    def _restore(self) -> None:
        trial = self._trial
        if trial.calm or not self._backups:
            return
        files, book = self._dice.choice(self._backups)
        self._set_back = True
        trial.tell("an older backup is put back at the coordinator")
        trial.stop("coordinator")
        folder = trial.coordinator.empty_folder()
        folder.restore(files)
        trial.coordinator.put_back(folder)
        trial.witness.put_back(book)

    def _roll_back(self) -> None:
        trial, host = self._trial, self._trial.coordinator
        trial.stop("coordinator")
        if not host.sound:
            # One fault at a time; whoever must decide is called again.
            return
        view, half = SimFolder("view", random.Random(0)), host.empty_folder()
        view.restore(host.folder.backup())
        kept = [state.model.version for _, state in checkpoint.readable(view)]
        if not kept:
            return
        newest = max(trial.witness.book.sums.included, default=0)
        version = newest if self._dice.random() < 0.5 else self._dice.randint(min(kept), max(newest, min(kept)))
        lineage = self._dice.randbytes(16)
        try:
            state, undone = look_back_in(view, Path("simulated"), version)
            begin_lineage(half, lineage, state, undone)
        except (SettingsError, DamagedError, DiskError) as error:
            trial.note(f"no rollback: {error}")
            return
        trial.tell(f"rolled back from version {undone.newest} to {version}", "rolled back")
        host.put_back(half)
        trial.witness.rolled_back(version, lineage)
        # In the new lineage nothing was ever set back.
        self._set_back = False
