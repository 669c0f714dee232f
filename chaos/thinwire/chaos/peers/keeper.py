"""The service manager of a system under comparison: what ends is started again by the same command."""

from __future__ import annotations

import time

from thinwire.chaos.fleet import Fleet

RESTART_S = 5.0


class Keeper:
    """Keeps a fleet's processes running, but for the one that the script has killed."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._killed = ""
        self._ended_at: dict[str, float] = {}
        # Processes that ended by themselves and were started again.
        self.restarts = 0

    def kill(self, name: str) -> None:
        """SIGKILL of a process and all that it has started; the script says when it begins again."""
        self._killed = name
        self._fleet.processes[name].pull_the_plug()

    def restart(self) -> None:
        """The killed one begins again."""
        self._fleet.processes[self._killed].start()
        self._killed = ""

    def tend(self) -> None:
        """Start again whatever ended by itself `RESTART_S` ago."""
        for name, process in self._fleet.processes.items():
            if name == self._killed or process.pid is not None:
                continue
            ended_at = self._ended_at.setdefault(name, time.monotonic())
            if time.monotonic() > ended_at + RESTART_S:
                del self._ended_at[name]
                self.restarts += 1
                process.start()
