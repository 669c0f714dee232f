"""The hand that strikes: what each kind of fault does to a process or a line, and how its victim is helped up."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from thinwire.chaos.fleet import Fleet
from thinwire.chaos.lines import Lines
from thinwire.chaos.punisher import Fault, Kind


class Hand:
    """Strikes a fleet whose devices have these names, in the order of their lines."""

    def __init__(self, fleet: Fleet, lines: Lines, devices: list[str]) -> None:
        self._fleet, self._lines, self._devices = fleet, lines, devices

    def strike(self, fault: Fault) -> None:
        """Do it."""
        process = self._fleet.processes[fault.victim]
        match fault.kind:
            case Kind.KILL:
                process.end()
            case Kind.POWER:
                process.pull_the_plug()
            case Kind.TRAINER:
                for child in process.children():
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
            case Kind.STOP:
                process.signal(signal.SIGSTOP)
            case Kind.CUT:
                self._lines.cut(self._devices.index(fault.victim), True)

    def help_up(self, fault: Fault) -> None:
        """Undo it; what was killed begins another life with the same command."""
        process = self._fleet.processes[fault.victim]
        match fault.kind:
            case Kind.KILL | Kind.POWER:
                process.start()
            case Kind.TRAINER:
                pass  # its agent starts another
            case Kind.STOP:
                process.signal(signal.SIGCONT)
            case Kind.CUT:
                self._lines.cut(self._devices.index(fault.victim), False)
