"""What does it cost flash memory that a device forgets nothing: bytes written in a day of one upload a minute?

The agent's own decisions and its own store, on a real disk, in minutes that pass at once: each delta is sealed, settled
and included, and the residual is saved when the agent asks for it. Cards take whole pages, and a file system adds its
own journal: the kernel's count, in pages that were made dirty, is there beside ours.

    python -m thinwire.bench.flash [--quick] [--json]
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from thinwire.bench.rows import Row, at_most, main, told
from thinwire.client.custody import Custody
from thinwire.client.effects import Effect, Persist, Tell
from thinwire.client.store import Store
from thinwire.common import frames
from thinwire.common.codec import Packet, ValueCode, pack
from thinwire.common.disk import OsFolder
from thinwire.common.values import Outcome, Plan, Verdict, Welcome
from thinwire.trainer import residual
from thinwire.trainer.replica import Replica

SIZE, QUICK_SIZE = 11_170_000, 1_000_000
DENSITY = 0.01
EVERY_S = 60.0
DAY_S = 86_400.0
TARGET_GB = 3.0
UPLOADS, QUICK_UPLOADS = 120, 60
HASH = bytes(8)


def run(quick: bool = False) -> list[Row]:
    """Live through two hours, and count."""
    uploads = QUICK_UPLOADS if quick else UPLOADS
    with tempfile.TemporaryDirectory(prefix="thinwire-") as name:
        device = _Device(Path(name), QUICK_SIZE if quick else SIZE)
        before = _kernel_bytes()
        for minute in range(1, uploads + 1):
            device.upload(minute * EVERY_S)
        dirtied = _kernel_bytes() - before
    days = uploads * EVERY_S / DAY_S
    store = device.store
    size = QUICK_SIZE if quick else SIZE
    source = f"{size:,} parameters, {DENSITY:.0%}, an upload of {device.delta_bytes:,} B a minute, {uploads} of them"
    written = store.written_bytes + store.residual_bytes
    return [
        told("flash", "outbox", store.written_bytes / days / 1e9, "GB a day", source),
        told("flash", "residual", store.residual_bytes / days / 1e9, "GB a day", f"{device.saves} saves; {source}"),
        at_most("flash", "written in all", written / days / 1e9, "GB a day", source, TARGET_GB),
        told("flash", "pages made dirty, as the kernel counts", dirtied / days / 1e9, "GB a day", source),
        told("flash", "from a cut to a safe seal", 1e3 * statistics.median(device.seal_s), "ms", "median"),
    ]


class _Device:
    """One device whose trainer learns the same delta again and again."""

    def __init__(self, path: Path, size: int) -> None:
        self._folder = OsFolder(path)
        self.store = Store(self._folder)
        self._custody = Custody(self.store.restored, residual_every=30)
        self._replica = Replica(np.zeros(size, np.float32), 0.5)
        self.saves, self.seal_s = 0, list[float]()
        self._perform(self._custody.begin(Welcome(b"l" * 16, 1, "none", "{}", HASH, Plan(), 0)))
        ready = frames.Ready(layout_hash=HASH.hex(), parameters=size, examples=1)
        self._custody.schedule.begin(ready, 0.0)
        noise_P = np.random.default_rng(0).standard_normal(size, np.float32)
        self._replica.rebase_on(np.zeros(size, np.float32), 0, 0)
        self._replica.working_P += noise_P
        cut = self._replica.cut(DENSITY, ValueCode.LOG3, 0)
        self._blob = pack(Packet(HASH, cut.base, size, cut.index_K, cut.quantised))
        self._seq = 0

    @property
    def delta_bytes(self) -> int:
        return len(self._blob)

    def upload(self, now: float) -> None:
        """A minute of its life."""
        self._seq += 1
        self._replica.next_seq = self._seq + 1
        frame = frames.SealedFrame(seq=self._seq, buffer_bytes=0, steps=10, loss=0.5)
        began = time.perf_counter()
        self._perform(self._custody.seal(frame, self._blob))
        self.seal_s.append(time.perf_counter() - began)
        self._perform(self._custody.save_after_cut(now))
        self._perform(self._custody.settle(Outcome(self._seq, Verdict.ACCEPTED)))
        self._perform(self._custody.include(self._seq, self._seq))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Persist():
                    self.store.keep(effect.record, effect.body)
                case Tell(frame=frames.SaveResidual() as frame):
                    self.saves += 1
                    self._perform(self._custody.adopt(residual.save(self._folder, frame, self._replica)))
                case _:
                    pass


def _kernel_bytes() -> int:
    """Bytes of the pages that this process has made dirty; 0 where the kernel does not tell."""
    os.sync()
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


if __name__ == "__main__":
    main(run)
