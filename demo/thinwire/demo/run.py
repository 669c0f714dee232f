"""`thinwire demo`: a coordinator and a fleet of agents on this machine, real processes over real gRPC.

Each agent reaches the coordinator through an emulated link of its own, so that what the demo shows is what a fleet
would see. The run ends at the target accuracy, checks that every device holds the coordinator's model bit for bit, and
prints the numbers of that very run.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from thinwire.common.exits import Exit
from thinwire.common.settings import to_toml
from thinwire.demo.chronicle import Chronicle
from thinwire.demo.fleet import Fleet, free_port
from thinwire.demo.options import DemoOptions
from thinwire.demo.plan import CENTRALISED_ACCURACY, agent_settings, coordinator_settings
from thinwire.demo.summary import Summary, stands_at, summarise, table
from thinwire.demo.view import View
from thinwire.demo.watcher import ANSWER_WITHIN_S, Watcher
from thinwire.v1 import operator_pb2

LOOK_EVERY_S = 0.5
METRICS_PORT = 9470
# Devices a round trip or two behind need a moment to catch up with the last version and check it.
LAST_WORDS_S = 30.0


def run(options: DemoOptions) -> int:
    """Run the demo; give the exit code."""
    console = Console(stderr=True)
    # A demo that is told to stop must take its fleet along; only an exception runs the stack's end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thinwire-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        fleet = Fleet(folder)
        stack.callback(fleet.stop)
        view = stack.enter_context(View(console))
        summary = _Demo(options, fleet, view).run()
    _tell(summary, options, console)
    if summary.reached and summary.devices_equal == summary.devices:
        return Exit.OK
    return Exit.TIMEOUT if not summary.reached else Exit.TRAINING


def _tell(summary: Summary, options: DemoOptions, console: Console) -> None:
    console.print(table(summary))
    if options.keep is not None:
        text = json.dumps(summary.as_dict(), indent=2) + "\n"
        (options.keep / "summary.json").write_text(text, encoding="utf-8")
        kept = "settings, logs, metrics.prom, summary.json and history.jsonl"
        console.print(f"{kept} are in {options.keep}", highlight=False)
    if options.json:
        sys.stdout.write(json.dumps(summary.as_dict()) + "\n")


class _Demo:
    """One run, from the first process to the last figure."""

    def __init__(self, options: DemoOptions, fleet: Fleet, view: View) -> None:
        self._options, self._fleet, self._view = options, fleet, view
        self._link = str(options.link) if options.link else "none"
        self._began = time.monotonic()
        port, metrics_port = free_port(), free_port(METRICS_PORT)
        self._address = f"127.0.0.1:{port}"
        self._port = port
        self._settings = coordinator_settings(options, port, metrics_port)
        self._chronicle = self._chronicle_of()

    def run(self) -> Summary:
        """Start everything, watch it, and sum up."""
        self._introduce()
        self._start()
        with Watcher(self._address) as watcher:
            self._watch(watcher)
            return self._conclude(watcher)

    def _introduce(self) -> None:
        o, s = self._options, self._settings
        link = f"links of {self._link} (emulated by a proxy on loopback)" if o.link else "no emulated links"
        self._view.say(
            f"{o.devices} devices with one person's watch data each, {link}\n"
            f"density {s.density.up:.1%}, target accuracy {s.stop.target_accuracy:g}; "
            f"dense training in one place reaches {CENTRALISED_ACCURACY:g}\n"
            f"metrics at http://{s.listen.metrics}/metrics, status with: thinwire status --coordinator {self._address}"
        )

    def _start(self) -> None:
        self._fleet.coordinator(self._settings)
        ports = [self._port] * self._options.devices
        if self._options.link:
            ports = self._fleet.links(self._address, self._options.link, self._options.devices)
        for device, port in enumerate(ports):
            self._fleet.agent(agent_settings(self._options, self._fleet.folder, device, port))

    def _chronicle_of(self) -> Chronicle | None:
        o = self._options
        if o.keep is None:
            return None
        return Chronicle(
            o.keep, method="demo", seed=o.seed, devices=o.devices, link=self._link, settings=to_toml(self._settings)
        )

    def _watch(self, watcher: Watcher) -> None:
        """Show figures until the training is over or the time is."""
        while time.monotonic() - self._began < self._options.timeout_s:
            self._fleet.check()
            status = watcher.status()
            if status is None:
                self._view.stage("starting the coordinator")
            elif status.phase == "starting":
                self._view.stage(f"starting trainers: {status.reason}")
            else:
                self._view.figures(status)
                self._note(status)
                if status.phase == "finished":
                    return
            time.sleep(LOOK_EVERY_S)

    def _conclude(self, watcher: Watcher) -> Summary:
        """Wait until every device has checked its model against the last version, then sum up."""
        patience_ends = time.monotonic() + LAST_WORDS_S
        while True:
            status, devices = self._look(watcher)
            settled = status.evaluated_version == status.version and all(stands_at(d, status) for d in devices)
            if status.phase != "finished" or settled or time.monotonic() > patience_ends:
                break
            self._view.stage("devices compare their models with the coordinator's")
            time.sleep(LOOK_EVERY_S)
        self._note(status)
        if self._chronicle is not None:
            self._chronicle.end(status.reason, sum(stands_at(device, status) for device in devices))
        self._keep_metrics()
        return summarise(
            status,
            devices,
            centralised_accuracy=CENTRALISED_ACCURACY,
            density_up=self._settings.density.up,
            link=self._link,
            wall_seconds=time.monotonic() - self._began,
        )

    def _note(self, status: operator_pb2.GetStatusResponse) -> None:
        if self._chronicle is not None:
            self._chronicle.note(status)

    def _keep_metrics(self) -> None:
        if self._options.keep is not None:
            page = f"http://{self._settings.listen.metrics}/metrics"
            with urllib.request.urlopen(page, timeout=ANSWER_WITHIN_S) as answer:
                (self._options.keep / "metrics.prom").write_bytes(answer.read())

    def _look(self, watcher: Watcher) -> tuple[operator_pb2.GetStatusResponse, list[operator_pb2.Device]]:
        self._fleet.check()
        status = watcher.status()
        if status is None:
            return operator_pb2.GetStatusResponse(phase="starting", reason="the coordinator did not answer"), []
        return status, watcher.devices()
