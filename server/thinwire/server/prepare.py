"""A coordinator before it serves: a new run, or one that goes on from its journal."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from thinwire.common.disk import OsFolder, Space
from thinwire.common.errors import SettingsError
from thinwire.common.settings import CoordinatorSettings
from thinwire.common.values import Welcome
from thinwire.server import reserve
from thinwire.server.coordinator import Coordinator
from thinwire.server.core import CoordinatorCore
from thinwire.server.evaluator import Evaluator, ModelDescription
from thinwire.server.home import Home, refuse_other_task
from thinwire.server.journal import Journal
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.model import Commit, GlobalModel
from thinwire.server.plans import Plans
from thinwire.server.recorder import Recorder
from thinwire.server.reserve import Reserve
from thinwire.server.service import task_params_json
from thinwire.server.state import Identity, RunState, rules_in_words
from thinwire.server.training import admission_of, link_rules_of, plan_of, rules_of

log = logging.getLogger("thinwire.server")


def begin(
    settings: CoordinatorSettings, model: ModelDescription, evaluator: Evaluator | None, home: Home | None = None
) -> Coordinator:
    """A new run of this model; its first checkpoint is on disk when this returns."""
    identity = Identity(
        lineage=secrets.token_bytes(16),
        task=settings.task.id,
        task_params=task_params_json(settings.task.params),
        task_seed=settings.task.seed,
    )
    state = RunState(identity, GlobalModel(model.layout, model.buffer_layout, model.weights_P, model.buffers_B))
    return _coordinator(settings, state, _first_journal(settings, state, home), evaluator)


def resume(settings: CoordinatorSettings, path: Path, evaluator: Evaluator | None) -> Coordinator:
    """The run in this folder, as its journal left it; raise DamagedError or SettingsError."""
    began = time.perf_counter()
    journal = _journal(settings, OsFolder(path, lock=False))
    found = journal.recover()
    identity = found.state.identity
    wanted = f"{settings.task.id} {task_params_json(settings.task.params)}"
    refuse_other_task(f"{identity.task} {identity.task_params}", wanted, path)
    if found.torn_bytes:
        log.warning("the last record was torn and is cut off; nobody was told of it", extra={"bytes": found.torn_bytes})
    log.info(
        "going on from the journal",
        extra={
            "version": found.state.model.version,
            "phase": found.state.phase,
            "entries": found.replayed,
            "seconds": round(time.perf_counter() - began, 3),
        },
    )
    if changed := _changed(settings, found.state):
        log.warning("the training goes on by other settings than before", extra={"changed": ", ".join(changed)})
    return _coordinator(settings, found.state, journal, evaluator, found.commits)


def _changed(settings: CoordinatorSettings, state: RunState) -> list[str]:
    """What is summed or rated otherwise from now on, as NAME=VALUE; nothing where nobody led the run before."""
    rules = rules_of(settings, evaluate=False)
    now = rules_in_words(rules.denominator, rules.sums(settings.aggregation.max_staleness), rules.density)
    before = state.rules_in_force if state.leader_epoch else now
    names = sorted(before.keys() | now.keys())
    return [f"{name}={now.get(name)}" for name in names if before.get(name) != now.get(name)]


def refuse_other_model(state: RunState, model: ModelDescription) -> None:
    """Raise SettingsError when the installed task builds another model than the journal holds."""
    if model.layout.hash != state.model.layout.hash:
        raise SettingsError(
            f"task {state.identity.task!r} builds a model of {model.layout.size} parameters here, but the journal "
            f"holds one of {state.model.layout.size}: the task was changed; install what it was, or begin a new "
            "training with: thinwire coordinator --fresh"
        )


def _coordinator(
    settings: CoordinatorSettings,
    state: RunState,
    journal: Journal | None,
    evaluator: Evaluator | None,
    commits: Iterable[Commit] = (),
) -> Coordinator:
    admission = admission_of(settings, state.model.layout, state.model.buffer_layout)
    core = CoordinatorCore(rules_of(settings, evaluate=evaluator is not None), state, admission)
    welcome = _welcome(settings, state)
    before = state.density.held_back if state.density else {}
    plans = Plans.of(welcome.plan, link_rules_of(settings), state.model.layout.size, before)
    return Coordinator(
        Recorder(core, journal), welcome, evaluator, CoordinatorMetrics(), commits, plans,
        Reserve(settings.state.reserve, reserve.MOST_BYTES), _space(journal),
    )  # fmt: skip


def _space(journal: Journal | None) -> Callable[[], Space] | None:
    return journal.folder.space if journal and isinstance(journal.folder, OsFolder) else None


def _welcome(settings: CoordinatorSettings, state: RunState) -> Welcome:
    # Epoch, version and outcomes are filled in for each device.
    return Welcome(
        lineage=state.identity.lineage,
        epoch=0,
        task=state.identity.task,
        task_params=state.identity.task_params,
        layout_hash=state.model.layout.hash,
        plan=plan_of(settings),
        version=0,
    )


def _first_journal(settings: CoordinatorSettings, state: RunState, home: Home | None) -> Journal | None:
    if home is None:
        return None
    half = home.begin(state.identity.lineage)
    journal = _journal(settings, half)
    journal.begin(state)
    journal.close()
    return _journal(settings, home.settle(half))


def _journal(settings: CoordinatorSettings, folder: OsFolder) -> Journal:
    return Journal(folder, checkpoint_bytes=settings.state.checkpoint_every, keep_bytes=settings.state.keep)
