"""How much delay the drift correction bears; settings are refused by it, and devices forget by it."""

import math

# Above so much delay it has to be weak, and to remember for long.
SHORT_ROUNDS = 2.0
LONG_MEMORY = 0.9


def bearable_rounds(strength: float, memory: float) -> float:
    """Most rounds of delay at `correction.drift` and `correction.drift_memory`: 2, or 2 / drift with a long memory."""
    return SHORT_ROUNDS / strength if memory >= LONG_MEMORY else SHORT_ROUNDS


def strongest(rounds: int) -> float:
    """The largest `correction.drift` for so many rounds of delay, with a long memory; four digits of it."""
    return min(1.0, math.floor(1e4 * SHORT_ROUNDS / rounds) / 1e4)
