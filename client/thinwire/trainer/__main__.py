"""`python -m thinwire.trainer FD`: started by the agent, with its end of a socket pair as FD."""

from __future__ import annotations

import os
import signal
import sys

from thinwire.common import frames
from thinwire.common.errors import ThinwireError
from thinwire.trainer.pipe import Pipe


def main() -> None:
    """Wait for a Start, then train until the agent says Stop or is gone."""
    # Ctrl-C in a terminal reaches the whole group; the agent decides when its trainer ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)
    pipe = Pipe(int(sys.argv[1]))
    # Import while the agent greets the coordinator: torch takes a second, on a Pi ten.
    from thinwire.trainer.worker import Worker

    frame, _ = pipe.take(wait=True)[0]
    if not isinstance(frame, frames.Start):
        return
    try:
        Worker(pipe, frame).run()
    except ThinwireError as error:
        pipe.send(frames.Failed(message=str(error)))


if __name__ == "__main__":
    main()
