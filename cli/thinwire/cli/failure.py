"""A command that cannot go on, and the exit code that says why."""

from thinwire.common.errors import ThinwireError
from thinwire.common.exits import Exit


class CommandError(ThinwireError):
    """What is told to the operator, a line for each sentence, and the exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code
