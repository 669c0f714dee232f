"""The agent's side of its trainer process: start it, tell it, hear it, notice its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from thinwire.client.effects import StartTrainer
from thinwire.client.events import Event, TrainerLost, TrainerSaid
from thinwire.client.telling import plan_fields
from thinwire.common import frames
from thinwire.common.child import Child, how_it_ended
from thinwire.common.errors import TaskError
from thinwire.common.settings import AgentSettings
from thinwire.tasks import task_path


class TrainerProcess:
    """At most one trainer; whatever it says goes to `heard`."""

    def __init__(self, settings: AgentSettings, state_dir: str, heard: Callable[[Event], None]) -> None:
        self._settings, self._state_dir, self._heard = settings, state_dir, heard
        self._child: Child | None = None
        self._life: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The running trainer's process id."""
        return self._child.pid if self._child else None

    async def start(self, effect: StartTrainer) -> None:
        """Start a trainer for the task of a Welcome; raise TaskError when no such task is installed here."""
        start = self._start_frame(effect)
        await self.stop()
        child = await Child.start(
            "thinwire.trainer", python=self._settings.trainer.python, threads=self._settings.trainer.threads
        )
        self._child = child
        child.write(frames.encode(start))
        self._life = asyncio.create_task(self._listen(child), name="trainer")

    def tell(self, frame: frames.Frame, body: bytes = b"") -> None:
        """Pass a frame on; without a trainer it is lost, as its successor will ask anew."""
        if self._child is not None:
            self._child.write(frames.encode(frame, body))

    async def drain(self) -> None:
        """Wait until the trainer has taken most of what it was told."""
        if self._child is not None:
            await self._child.drain()

    async def stop(self) -> None:
        """End the trainer on purpose; nobody is told of its loss."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        child, self._child, self._life = self._child, None, None
        if child is not None:
            await child.close()

    async def _listen(self, child: Child) -> None:
        reader = frames.FrameReader(frames.FROM_TRAINER)
        reason = ""
        try:
            async for data in child.read():
                for frame, body in reader.feed(data):
                    self._heard(TrainerSaid(frame, body))  # type: ignore[arg-type]  # by the decoder
        except frames.FrameError as error:
            reason = f"it spoke no frames: {error}"
            child.kill()
        code = await child.ended()
        self._child = None
        self._heard(TrainerLost(reason or how_it_ended(code)))

    def _start_frame(self, effect: StartTrainer) -> frames.Start:
        welcome, device = effect.welcome, self._settings.device
        try:
            params = msgspec.json.decode(welcome.task_params or "{}", type=dict[str, object])
        except msgspec.MsgspecError as error:
            raise TaskError(f"the coordinator's task parameters are no JSON object: {error}") from None
        return frames.Start(
            task=task_path(welcome.task, self._settings.tasks),
            params=params,
            device=device.name,
            shard=device.shard,
            shards=device.shards,
            seed=device.seed,
            data_dir=device.data_dir,
            threads=self._settings.trainer.threads,
            plan=plan_fields(welcome.plan),
            next_seq=effect.next_seq,
            state_dir=self._state_dir,
        )
