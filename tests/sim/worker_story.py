"""Work that another process can be asked to do: it imports this module by its name."""

import os
import signal
import time

from thinwire.common.errors import DiskError


def own(number: int) -> tuple[int, int]:
    return number, os.getpid()


def odd_ones_fail(number: int) -> int:
    if number % 2:
        raise DiskError(f"{number} is odd")
    return number


class OddError(Exception):
    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def raise_odd(number: int) -> int:
    raise OddError(number, 2)


def leave(number: int) -> int:
    raise SystemExit(number)


def wait_long(number: int) -> int:
    print(os.getpid(), flush=True)
    time.sleep(600)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def seven_kills(number: int) -> int:
    return die(number) if number == 7 else number
