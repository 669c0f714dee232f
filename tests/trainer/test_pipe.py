"""The trainer's end of the socket pair, in a process of its own, for what it does there is to end."""

from __future__ import annotations

import socket
import subprocess
import sys

TALKS_WITHOUT_LISTENING = """
import sys
from thinwire.common import frames
from thinwire.trainer.pipe import Pipe

class Deaf(Pipe):
    def _listen(self) -> None:
        pass

pipe = Deaf(int(sys.argv[1]))
sys.stdin.readline()
pipe.send(frames.Failed(message="hello"))
print("still here")
"""


def test_a_trainer_whose_agent_was_killed_under_its_words_ends_without_a_traceback() -> None:
    agent, trainer = socket.socketpair()
    with trainer:
        process = subprocess.Popen(
            [sys.executable, "-c", TALKS_WITHOUT_LISTENING, str(trainer.fileno())], pass_fds=[trainer.fileno()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    agent.close()
    said, complained = process.communicate("go\n", timeout=60)
    assert (said, complained, process.returncode) == ("", "", 0)
