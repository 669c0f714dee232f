"""What an exit code says; docs/cli.md has the same table for people."""

import enum


class Exit(enum.IntEnum):
    """The exit codes of every thinwire process."""

    OK = 0
    USAGE = 2
    SETTINGS = 3
    LINK = 4
    REFUSED = 5
    TRAINING = 6
    TIMEOUT = 7
    DISK = 8
    INTERRUPT = 130


MEANING = {
    Exit.OK: "done",
    Exit.USAGE: "the command line is wrong",
    Exit.SETTINGS: "a setting is wrong",
    Exit.LINK: "the other side cannot be reached",
    Exit.REFUSED: "the other side refuses, or does not know this one",
    Exit.TRAINING: "the training failed",
    Exit.TIMEOUT: "it took too long",
    Exit.DISK: "the disk failed, or what it holds is damaged",
    Exit.INTERRUPT: "interrupted from the keyboard",
}
