"""Learning that can be counted piece by piece: each local step moves the model by tokens that exist only once.

A token is one digit, to base 4, of one coordinate: 4**digit there and nothing elsewhere. No two steps of any device
share one. So whatever deltas, residuals and models add up to, their digits say how often each token is in it: 1 is
right, 0 is lost, 2 is counted twice, and one cannot make up for another. With shares and omega that are powers of two
every sum is exact in float32. P parameters.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.values import Plan

Count = NDArray[np.int64]
Vector = NDArray[np.float32]

DIGITS = 10
# The upper bit of every digit: set where something is there more than once.
TWICE = np.int64(sum(2 * 4**digit for digit in range(DIGITS + 4)))


class Purse:
    """All tokens of one device, in the order in which its steps spend them; it outlives every trainer."""

    def __init__(self, size: int, tokens: list[tuple[int, int]], a_step: int) -> None:
        self.born_P: Count = np.zeros(size, np.int64)
        self._tokens, self._a_step = tokens, a_step
        self.steps = 0

    def spend(self) -> Count:
        """The tokens of the next step (P,); nothing when all are spent."""
        step_P: Count = np.zeros(self.born_P.size, np.int64)
        for _ in range(min(self._a_step, len(self._tokens))):
            coordinate, digit = self._tokens.pop()
            step_P[coordinate] += 4**digit
        self.born_P += step_P
        self.steps += 1
        return step_P

    def empty(self) -> None:
        """No more steps are to be taken."""
        self._tokens.clear()

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return not self._tokens


def purses(size: int, devices: int, a_step: int, dice: random.Random) -> list[Purse]:
    """The tokens of a model of `size` parameters, dealt to the devices."""
    tokens = [(coordinate, digit) for coordinate in range(size) for digit in range(DIGITS)]
    dice.shuffle(tokens)
    return [Purse(size, tokens[number::devices], a_step) for number in range(devices)]


class TokenLearner:
    """A learner that moves its weights by the tokens of its purse."""

    def __init__(self, purse: Purse) -> None:
        size = purse.born_P.size
        self.layout = Layout((TensorSpec("w", (size,)),))
        self.buffer_layout = Layout(())
        self.weights_P: Vector = np.zeros(size, np.float32)
        self.examples = 1
        self.purse = purse

    def prepare(self, plan: Plan) -> None:
        """There is no optimiser here."""

    def step(self) -> float:
        """Spend some tokens."""
        self.weights_P += self.purse.spend().astype(np.float32)
        return 0.0

    def read_buffers(self) -> Vector:
        """There are none."""
        return np.zeros(0, np.float32)

    def write_buffers(self, buffers_B: Vector) -> None:
        """There are none."""


def counted(values_P: NDArray[Any]) -> Count:
    """A vector of whole numbers as such; raise ValueError when it has others."""
    count_P: Count = np.rint(values_P).astype(np.int64)
    if not np.array_equal(count_P, values_P):
        raise ValueError("not whole numbers: some token was cut into pieces")
    return count_P


def doubled(count_P: Count) -> bool:
    """Whether some token is in it more than once, or less than never."""
    return bool((count_P & TWICE).any() or (count_P < 0).any())
