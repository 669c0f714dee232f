"""thinwire as `thinwire coordinator` and `thinwire agent` run it, with the same model, bytes and lines as the others.

Results travel whole and in full precision here, which is what Flower does and what thinwire is not for: a fault in
mid-upload is to meet the same upload.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from thinwire.chaos.books import Books
from thinwire.chaos.checker import Checker, Committed, JournalFact
from thinwire.chaos.fleet import Fleet
from thinwire.chaos.lines import Lines
from thinwire.chaos.peers.keeper import Keeper
from thinwire.chaos.peers.script import STRUCK, Blow
from thinwire.chaos.peers.setup import CLIENTS, COLUMNS, ROWS, STEPS, TRAIN_S
from thinwire.chaos.plan import PORT, state_of
from thinwire.common import __version__
from thinwire.common.settings import AgentSettings, CoordinatorSettings, loads, to_toml
from thinwire.demo.watcher import Watcher

ANSWER_WITHIN_S = 1.0
READ_EVERY_S = 2.0
_SERVER = "coordinator"
_TASK = 'tasks.line="thinwire.bench.line:Line"'


class ThinwireRig:
    """See Rig."""

    def __init__(self, folder: Path, lines: Lines) -> None:
        self.system = f"thinwire {__version__}"
        self.human_actions: list[str] = []
        self.fleet = Fleet(folder)
        self.keeper = Keeper(self.fleet)
        self._folder, self._lines = folder, lines
        self._names = [f"client-{client}" for client in range(CLIENTS)]
        self._watcher = Watcher(f"127.0.0.1:{PORT}", ANSWER_WITHIN_S)
        self._books = Books(state_of(folder, _SERVER), {name: state_of(folder, name) for name in self._names})
        self._checker = Checker()
        self._journal: list[JournalFact] = []
        self._read_at = 0.0

    def start(self) -> None:
        """See Rig."""
        self.fleet.start(_SERVER, "coordinator", "-c", self._write(_SERVER, to_toml(self._coordinator())))
        for place, name in zip(self._lines.places, self._names, strict=False):
            settings = self._agent(name, place.device, place.address)
            self.fleet.start(name, "agent", "-c", self._write(name, to_toml(settings)), namespace=place.namespace)

    def tend(self) -> None:
        """See Rig."""
        # Nobody needs to.

    def kill(self, blow: Blow) -> None:
        """See Rig."""
        self.keeper.kill(_SERVER if blow is Blow.SERVER else self._names[STRUCK])

    def cut(self, cut: bool) -> None:
        """See Rig."""
        self._lines.cut(STRUCK, cut)

    def uploaded(self) -> int:
        """See Rig."""
        return self._lines.carried(STRUCK).up

    def versions(self) -> int:
        """See Rig."""
        self._read()
        return max(self._checker.folded.values(), default=0)

    def used_of_struck(self) -> int:
        """See Rig."""
        self._read()
        return sum(id.device == self._names[STRUCK] for id in self._checker.folded)

    def trained(self) -> set[str]:
        """See Rig."""
        self._read(now=True)
        return set(map(str, self._checker.sealed))

    def used(self) -> Counter[str]:
        """See Rig."""
        self._read(now=True)
        commits = (fact.folded for fact in self._journal if isinstance(fact, Committed))
        return Counter(str(id) for folded in commits for id in folded)

    # -- how -----------------------------------------------------------------------------------------------------

    def _read(self, *, now: bool = False) -> None:
        if now or time.monotonic() > self._read_at + READ_EVERY_S:
            stores, self._journal = self._books.read()
            self._checker.store(stores)
            self._checker.journal(self._journal)
            self._read_at = time.monotonic()

    def _write(self, name: str, text: str) -> str:
        path = self._folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def _coordinator(self) -> CoordinatorSettings:
        chosen = (
            f'listen.address="0.0.0.0:{PORT}"',
            "listen.insecure=true",
            'listen.metrics=""',
            'task.id="line"',
            _TASK,
            f"task.params={{inputs={COLUMNS}, outputs={ROWS}, pause_s={TRAIN_S / STEPS}}}",
            f"training.local_steps={STEPS}",
            # A result takes longer to travel than to train here; more of them would only wait.
            "training.window=2",
            "density.up=1.0",
            "density.down=1.0",
            'density.values="fp32"',
            'density.values_down="fp32"',
            f"aggregation.buffer={CLIENTS}",
            "evaluation.enabled=false",
            f'state.dir="{state_of(self._folder, _SERVER)}"',
        )
        return loads("", CoordinatorSettings, chosen, "the comparison")

    def _agent(self, name: str, client: int, address: str) -> AgentSettings:
        chosen = (
            f'coordinator.address="{address}"',
            "coordinator.insecure=true",
            f'device.name="{name}"',
            f"device.shards={CLIENTS}",
            f"device.shard={client}",
            _TASK,
            f'state.dir="{state_of(self._folder, name)}"',
        )
        return loads("", AgentSettings, chosen, "the comparison")
