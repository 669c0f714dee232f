"""Flower as its documentation deploys it: SuperLink with a database, SuperNodes, one run.

Settings that a careful user would choose: state in a file (`--database`), one client is enough for a round, the server
app writes a checkpoint after each round and a run that is submitted again goes on from it. Nodes are not registered by
key, which is kinder to Flower here: a registered one is locked out for a minute after a crash.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from thinwire.chaos.fleet import Fleet
from thinwire.chaos.lines import Lines
from thinwire.chaos.peers.keeper import Keeper
from thinwire.chaos.peers.script import STRUCK, Blow
from thinwire.chaos.peers.setup import CLIENTS, COLUMNS, ROWS, TRAIN_S
from thinwire.common.errors import TaskError

PORT = 8000
STARTS_WITHIN_S = 90.0
# Seldom: the command itself takes seconds of a processor, and would slow down what is measured.
ASK_EVERY_S = 15.0
COMMAND_WITHIN_S = 30.0
_SERVER = "superlink"


class FlowerRig:
    """See Rig."""

    def __init__(self, environment: Path, folder: Path, lines: Lines) -> None:
        self._bin, self._folder, self._lines = environment / "bin", folder, lines
        self.system = f"Flower {self._version()}"
        self.human_actions: list[str] = []
        self.fleet = Fleet(folder)
        self.keeper = Keeper(self.fleet)
        self._events, self._checkpoint = folder / "events.jsonl", folder / "model.npy"
        self._environment = dict(
            os.environ,
            PATH=f"{self._bin}:{os.environ['PATH']}",
            FLWR_HOME=str(folder / "home"),
            FLWR_TELEMETRY_ENABLED="0",
            OMP_NUM_THREADS="1",
        )
        self._asked_at = 0.0

    def start(self) -> None:
        """See Rig."""
        self._write_config()
        database = str(self._folder / "state.db")
        self._run(
            _SERVER, "flower-superlink", "--insecure", "--host", "0.0.0.0", "--port", str(PORT),
            "--database", database, "--disable-runtime-dependency-installation",
        )  # fmt: skip
        self._wait_for_words(_SERVER, "Uvicorn running")
        for place in self._lines.places[:CLIENTS]:
            config = f'client={place.device} events="{self._events}"'
            self._run(
                f"supernode-{place.device}", "flower-supernode", "--insecure", "--superlink", place.address,
                "--node-config", config, namespace=place.namespace,
            )  # fmt: skip
        for _ in range(CLIENTS):
            self._wait_for_words(_SERVER, "Activated node_id", CLIENTS)
        self._submit()

    def tend(self) -> None:
        """See Rig."""
        if self._asked_at and time.monotonic() > self._asked_at + ASK_EVERY_S:
            self._asked_at = time.monotonic()
            self._resubmit_if_over()

    def kill(self, blow: Blow) -> None:
        """See Rig."""
        self.keeper.kill(_SERVER if blow is Blow.SERVER else f"supernode-{STRUCK}")
        # From here on somebody looks after it.
        self._asked_at = time.monotonic()

    def cut(self, cut: bool) -> None:
        """See Rig."""
        self._lines.cut(STRUCK, cut)
        self._asked_at = time.monotonic()

    def uploaded(self) -> int:
        """See Rig."""
        return self._lines.carried(STRUCK).up

    def versions(self) -> int:
        """See Rig."""
        return sum(fact["what"] == "averaged" and bool(fact["results"]) for fact in self._facts())

    def used_of_struck(self) -> int:
        """See Rig."""
        own = {str(fact["result"]) for fact in self._facts() if fact["what"] == "trained" and fact["client"] == STRUCK}
        return len(own & set(self.used()))

    def trained(self) -> set[str]:
        """See Rig."""
        return {str(fact["result"]) for fact in self._facts() if fact["what"] == "trained"}

    def used(self) -> Counter[str]:
        """See Rig."""
        averaged = (fact["results"] for fact in self._facts() if fact["what"] == "averaged")
        return Counter(str(result) for results in averaged for result in results)

    # -- how -----------------------------------------------------------------------------------------------------

    def _run(self, name: str, program: str, *arguments: str, namespace: str = "") -> None:
        self.fleet.run(name, [str(self._bin / program), *arguments], namespace, self._environment)

    def _write_config(self) -> None:
        home = self._folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        config = f'[superlink]\ndefault = "lab"\n[superlink.lab]\naddress = "127.0.0.1:{PORT}"\ninsecure = true\n'
        (home / "config.toml").write_text(config, encoding="utf-8")
        shutil.copytree(Path(__file__).parent / "flower_app", self._folder / "app", dirs_exist_ok=True)

    def _submit(self) -> None:
        config = (
            f'events="{self._events}" checkpoint="{self._checkpoint}" parameters={ROWS * COLUMNS}'
            f" train-seconds={TRAIN_S}"
        )
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            done = self._flwr("run", str(self._folder / "app"), "lab", "--run-config", config)
            if done.returncode == 0:
                return
            if time.monotonic() > until:
                raise TaskError(f"flwr run: {done.stdout[-500:]}{done.stderr[-500:]}")
            time.sleep(1.0)

    def _resubmit_if_over(self) -> None:
        """A person who watches sees that the run is over, and submits it again."""
        listed = self._flwr("list", "lab", "--format", "json")
        try:
            runs = json.loads(listed.stdout)["runs"]
        except (ValueError, KeyError):
            return  # nobody answers yet
        if runs and all(str(run["status"]).startswith("finished") for run in runs):
            self.human_actions.append(f"flwr run (the run was {runs[0]['status']})")
            self._submit()

    def _flwr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._bin / "flwr"), *arguments]
        try:
            return subprocess.run(
                command, env=self._environment, capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"no answer within {COMMAND_WITHIN_S:.0f} s")

    def _wait_for_words(self, name: str, words: str, times: int = 1) -> None:
        process = self.fleet.processes[name]
        until = time.monotonic() + STARTS_WITHIN_S
        while process.log.read_text(encoding="utf-8", errors="replace").count(words) < times:
            time.sleep(0.2)
            if time.monotonic() > until:
                raise TaskError(f"{name} did not start; {process.last_words()}")

    def _facts(self) -> list[dict[str, Any]]:
        if not self._events.exists():
            return []
        return [json.loads(line) for line in self._events.read_text(encoding="utf-8").splitlines()]

    def _version(self) -> str:
        program = self._bin / "flower-superlink"
        if not program.exists():
            raise TaskError(
                f"{program} does not exist; make an environment for Flower and name it with --flower:\n"
                "python3 -m venv flower && flower/bin/pip install flwr"
            )
        told = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
        return (told.stdout or told.stderr).split()[-1]
