"""The trainer's end of the socket pair: frames in through a thread, frames out at once."""

from __future__ import annotations

import os
import queue
import socket
import threading

from thinwire.common.frames import TO_TRAINER, Frame, FrameReader, ToTrainer, encode

READ_BYTES = 256 * 1024


class Pipe:
    """Frames from and to the agent; when the agent is gone, so is this process."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._inbox: queue.SimpleQueue[tuple[ToTrainer, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="inbox", daemon=True).start()

    def send(self, frame: Frame, body: bytes = b"") -> None:
        """Say something to the agent."""
        try:
            self._socket.sendall(encode(frame, body))
        except ConnectionError:
            # It may be noticed here before the other thread comes to its end of file.
            os._exit(0)

    def take(self, *, wait: bool) -> list[tuple[ToTrainer, bytes]]:
        """Everything that has come in; with `wait`, at least one frame."""
        taken = [self._inbox.get()] if wait else []
        while True:
            try:
                taken.append(self._inbox.get_nowait())
            except queue.Empty:
                return taken

    def _listen(self) -> None:
        reader = FrameReader(TO_TRAINER)
        # A trainer without its agent would train for nobody for ever, hence the hard exit at end of file.
        try:
            while data := self._socket.recv(READ_BYTES):
                for frame, body in reader.feed(data):
                    self._inbox.put((frame, body))  # type: ignore[arg-type]  # by the decoder
        except (OSError, ValueError):
            os._exit(1)
        os._exit(0)
