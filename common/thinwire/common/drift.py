"""How much delay the drift correction bears; settings are refused by it, and devices forget by it."""

# Above so much delay it has to be weak, and to remember for long.
SHORT_ROUNDS = 2.0
LONG_MEMORY = 0.9


def bearable_rounds(strength: float, memory: float) -> float:
    """Most rounds of delay at `correction.drift` and `correction.drift_memory`: 2, or 2 / drift with a long memory."""
    return SHORT_ROUNDS / strength if strength and memory >= LONG_MEMORY else SHORT_ROUNDS
