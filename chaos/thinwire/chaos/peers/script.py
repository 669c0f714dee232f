"""One script for every system: train, strike in mid-upload, start again what was killed, count.

    train    two clients; wait for two versions of the model
    strike   when the struck client's line has carried a quarter of a result without a pause
    restart  what was killed begins again `RESTART_S` later by the same command, as a service manager does it, and so
             does what ends by itself; whatever else it takes is a human action
    count    a result is one finished piece of a client's training. It is lost if no version ever has it, and a
             duplicate if two have. What was not finished when its client was killed is nobody's result.

The script knows nothing of the systems: each is a `Rig`.
"""

from __future__ import annotations

import enum
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from thinwire.chaos.peers.keeper import RESTART_S, Keeper
from thinwire.common.errors import TaskError

CUT_S = 30.0
TICK_S = 0.2
# A line that has carried nothing for so long is between two uploads, or retransmits.
PAUSE_S = 2.0
UPLOADED_SHARE = 0.25
TRAINS_WITHIN_S = 240.0
GOES_ON_WITHIN_S = 300.0
COUNTED_WITHIN_S = 180.0
# The client that is struck.
STRUCK = 0


class Blow(enum.StrEnum):
    """What happens in mid-upload."""

    CLIENT = "client kill -9"
    SERVER = "server kill -9"
    CUT = "30 s cut"


class Rig(Protocol):
    """A system with two clients behind lines of their own."""

    system: str
    # What a person had to do.
    human_actions: list[str]

    def start(self) -> None:
        """Start server and clients, and let them train."""

    def tend(self) -> None:
        """Do what a person would have to, and write it down."""

    def kill(self, blow: Blow) -> None:
        """SIGKILL of the struck client, or of the server, with all that it has started."""

    def cut(self, cut: bool) -> None:
        """Let nothing through the struck client's line, or let it go."""

    def uploaded(self) -> int:
        """Bytes that the struck client's line has carried up."""

    def versions(self) -> int:
        """Versions of the model that were made, whatever they are called; only grows."""

    def used_of_struck(self) -> int:
        """Results of the struck client that are in a version; only grows."""

    def trained(self) -> set[str]:
        """Every result that a client has finished."""

    def used(self) -> Counter[str]:
        """In how many versions each result is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault to one system. Times count from the blow; None is never within the script's patience."""

    system: str
    fault: str
    trained: int
    lost: int
    duplicated: int
    human_actions: tuple[str, ...]
    restarts: int
    goes_on_s: float | None
    client_back_s: float | None
    # The machine's load when the blow fell: other work makes everybody slower. None was not noted.
    load: float | None = None


@dataclass(slots=True)
class UploadWatch:
    """Tells when an upload of about `payload_bytes` is well under way."""

    payload_bytes: int
    _began_bytes: int = -1
    _bytes: int = 0
    _moved_at: float = 0.0

    def is_under_way(self, now: float, uploaded: int) -> bool:
        """Whether a quarter of it has left without a pause, now that so much has been carried in all."""
        if self._began_bytes < 0 or (now > self._moved_at + PAUSE_S and uploaded - self._bytes < 20_000):
            self._began_bytes = uploaded
        if uploaded > self._bytes:
            self._bytes, self._moved_at = uploaded, now
        return uploaded - self._began_bytes > UPLOADED_SHARE * self.payload_bytes


class Script:
    """Plays one fault; `say` hears what it waits for."""

    def __init__(self, rig: Rig, keeper: Keeper, blow: Blow, payload_bytes: int, say: Callable[[str], None]) -> None:
        self._rig, self._keeper, self._blow, self._say = rig, keeper, blow, say
        self._payload_bytes = payload_bytes
        self._relief_at = float("inf")

    def play(self) -> Row:
        """From the first process to the count; raise TaskError when the system never trained."""
        rig = self._rig
        rig.start()
        self._must(lambda: rig.versions() >= 2, "two versions of the model")
        watch = UploadWatch(self._payload_bytes)
        self._must(lambda: watch.is_under_way(time.monotonic(), rig.uploaded()), "an upload")
        versions, used, load = rig.versions(), rig.used_of_struck(), os.getloadavg()[0]
        began = time.monotonic()
        self._strike(began)
        goes_on_s = self._seconds(began, lambda: rig.versions() > versions, "training goes on")
        back_s = self._seconds(began, lambda: rig.used_of_struck() > used, "the struck client's results are used")
        return self._count(goes_on_s, back_s, load)

    def _strike(self, now: float) -> None:
        self._say(f"strikes: {self._blow}")
        if self._blow is Blow.CUT:
            self._rig.cut(True)
            self._relief_at = now + CUT_S
        else:
            self._rig.kill(self._blow)
            self._relief_at = now + RESTART_S

    def _relieve(self) -> None:
        self._relief_at = float("inf")
        if self._blow is Blow.CUT:
            self._rig.cut(False)
        else:
            self._keeper.restart()

    def _count(self, goes_on_s: float | None, back_s: float | None, load: float) -> Row:
        """Whatever has been trained by now must be in a version soon, or it is lost."""
        rig, due = self._rig, self._rig.trained()
        self._wait(lambda: due <= set(rig.used()), COUNTED_WITHIN_S, "the count")
        used = rig.used()
        return Row(
            system=rig.system,
            fault=str(self._blow),
            trained=len(due),
            lost=len(due - set(used)),
            duplicated=sum(times > 1 for times in used.values()),
            human_actions=tuple(rig.human_actions),
            restarts=self._keeper.restarts,
            goes_on_s=goes_on_s,
            client_back_s=back_s,
            load=load,
        )

    def _must(self, done: Callable[[], bool], what: str) -> None:
        if not self._wait(done, TRAINS_WITHIN_S, what):
            raise TaskError(f"{self._rig.system}: no sign of {what} within {TRAINS_WITHIN_S:.0f} s; nothing was struck")

    def _seconds(self, began: float, done: Callable[[], bool], what: str) -> float | None:
        return time.monotonic() - began if self._wait(done, GOES_ON_WITHIN_S, what) else None

    def _wait(self, done: Callable[[], bool], within_s: float, what: str) -> bool:
        self._say(f"waits for {what}")
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            time.sleep(TICK_S)
            if time.monotonic() >= self._relief_at:
                self._relieve()
            self._keeper.tend()
            self._rig.tend()
            if done():
                return True
        return False
