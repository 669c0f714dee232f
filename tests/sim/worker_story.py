"""Work that another process can be asked to do: it imports this module by its name."""

import os
import signal

from thinwire.common.errors import TaskError


def own(number: int) -> tuple[int, int]:
    return number, os.getpid()


def odd_ones_fail(number: int) -> int:
    if number % 2:
        raise TaskError(f"{number} is odd")
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def seven_kills(number: int) -> int:
    return die(number) if number == 7 else number
