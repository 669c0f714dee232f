"""Conservation of mass, checked at every moment of a world: nothing a device learned is lost or counted twice.

For each device, over all its trainers, with every seq counted once:

    born = accepted + in flight + residual + unsent + dropped + forgotten

and for the model, with the coordinator's own residual and its open buffer, weighted by each device's share p:

    W + residual + buffer = W[0] + sum of p * accepted

Exact, not approximate: the learners take whole-number steps, and shares must be powers of two.
P parameters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thinwire.client.outbox import SealedDelta
from thinwire.common import frames
from thinwire.common.codec import Limits, Unpacked, unpack
from thinwire.common.values import Verdict
from thinwire.server import effects, events
from thinwire.sim.device import Device
from thinwire.sim.learners import WholeSteps
from thinwire.sim.trainer import Trainer
from thinwire.sim.world import Watch, World
from thinwire.trainer import residual
from thinwire.trainer.replica import Replica

Mass = NDArray[np.float64]


class MassError(AssertionError):
    """Mass was lost or counted twice."""


class _Account:
    def __init__(self, size: int) -> None:
        self.accepted_P = np.zeros(size)
        self.dropped_P = np.zeros(size)
        self.forgotten_P = np.zeros(size)
        self.earlier_born_P = np.zeros(size)  # by trainers that are gone
        self.settled: set[int] = set()  # accepted, or rejected without a refund
        self.trainer: Trainer | None = None
        self.begun = False


class MassAudit(Watch):
    """Give it to a World whose learners are WholeSteps of `size`; raises MassError at the moment it happens."""

    def __init__(self, size: int, *, model_too: bool = True) -> None:
        self.size, self.moments = size, 0
        self.repeated = self.refunded = self.dropped = 0
        self._model_too = model_too
        self._accounts: dict[str, _Account] = {}
        self._weighted_P = np.zeros(size)  # accepted, by share; of these, not yet in a version:
        self._buffered_P = np.zeros(size)

    def account(self, device: str) -> _Account:
        """The account of a device."""
        if device not in self._accounts:
            self._accounts[device] = _Account(self.size)
        return self._accounts[device]

    # -- what the coordinator decides --------------------------------------------------------------------------

    def decided(self, world: World, event: events.Event, decided: list[effects.Effect]) -> None:
        """Book a settled delta."""
        for effect in decided:
            if isinstance(effect, effects.Settled) and isinstance(event, events.DeltaSealed):
                self._book(world, event, effect)
            elif isinstance(effect, effects.Published):
                self._buffered_P[:] = 0.0

    def _book(self, world: World, event: events.DeltaSealed, effect: effects.Settled) -> None:
        if effect.repeated:
            self.repeated += 1
            return
        account, delta = self.account(event.device), self._dense(world, event.payload)
        if effect.outcome.verdict is Verdict.ACCEPTED:
            account.accepted_P += delta
            self._weigh(world, event.device, delta)
        elif effect.outcome.refund:
            self.refunded += 1
            return
        else:
            self.dropped += 1
            account.dropped_P += delta
        account.settled.add(event.seq)

    def _weigh(self, world: World, device: str, delta_P: Mass) -> None:
        share = world.coordinator.core.share(device)
        self._weighted_P += share * delta_P
        self._buffered_P += share * delta_P

    # -- what there is at a moment -----------------------------------------------------------------------------

    def moment(self, world: World) -> None:
        """Hold every account against what is there."""
        self.moments += 1
        for device in world.devices:
            self._follow(world, device)
            self._check_device(world, device)
        if self._model_too:
            self._check_model(world)

    def _follow(self, world: World, device: Device) -> None:
        account = self.account(device.name)
        if account.trainer is device.trainer:
            return
        if account.trainer is not None:
            replica, born_P = account.trainer.course.replica, _born(account.trainer)
            account.earlier_born_P += born_P
            account.begun = True
            account.forgotten_P += _unsealed(replica) - self._owed(world, device)
            held = {delta.seq for delta in _held(device)}
            for seq, delta in replica.pending.items():
                if seq not in held | account.settled:
                    account.forgotten_P[delta.index_K] += delta.value_K
        account.trainer = device.trainer

    def _check_device(self, world: World, device: Device) -> None:
        account, trainer = self.account(device.name), device.trainer
        born_P = account.earlier_born_P + (_born(trainer) if trainer else 0.0)
        there_P = account.accepted_P + account.dropped_P + account.forgotten_P + self._in_flight(world, device)
        there_P += _unsealed(trainer.course.replica) if trainer else 0.0
        if device.core.seat.ready is None and account.begun:
            there_P += self._owed(world, device)
        self._demand(world, born_P, there_P, f"of {device.name}")

    def _check_model(self, world: World) -> None:
        model = world.coordinator.core.model
        there_P = model.weights_P.astype(np.float64) + model.residual_P + self._buffered_P
        self._demand(world, self._weighted_P, there_P, "in the model")

    def _demand(self, world: World, wanted_P: Mass, there_P: Mass, whose: str) -> None:
        if not np.array_equal(wanted_P, there_P):
            excess = float((there_P - wanted_P).sum())
            raise MassError(f"{excess:g} too much {whose} at {world.agenda.now:.3f} s")

    def _in_flight(self, world: World, device: Device) -> Mass:
        account = self.account(device.name)
        flying_P = np.zeros(self.size)
        here: set[int] = set()
        if device.trainer is not None:
            for seq, delta in device.trainer.course.replica.pending.items():
                here.add(seq)
                if seq not in account.settled:
                    flying_P[delta.index_K] += delta.value_K
        for sealed in _held(device):
            if sealed.seq not in here | account.settled:
                flying_P += self._dense(world, sealed.payload)
        return flying_P

    def _owed(self, world: World, device: Device) -> Mass:
        """The residual that the device's next trainer will begin with."""
        replica = Replica(np.zeros(self.size, np.float32), 0.0)
        for frame, body in device.store.replay():
            match frame:
                case frames.Restore():
                    residual.load(device.folder, frame, replica)
                case frames.Mask():
                    replica.mask(self._unpacked(world, body).index_K)
                case frames.Refund():
                    found = self._unpacked(world, body)
                    replica.repay(found.index_K, found.value_K)
        return replica.residual_P.astype(np.float64)

    def _unpacked(self, world: World, payload: bytes) -> Unpacked:
        return unpack(payload, Limits(world.coordinator.core.model.layout.hash, self.size, self.size))

    def _dense(self, world: World, payload: bytes) -> Mass:
        found = self._unpacked(world, payload)
        delta_P = np.zeros(self.size)
        delta_P[found.index_K] = found.value_K
        return delta_P


def _born(trainer: Trainer) -> Mass:
    assert isinstance(trainer.learner, WholeSteps)
    return trainer.learner.born_P


def _held(device: Device) -> list[SealedDelta]:
    return device.core.outbox.pending()


def _unsealed(replica: Replica) -> Mass:
    live_P = replica.working_P.astype(np.float64) - replica.origin_P
    return live_P + replica.residual_P + replica.unsent_P
