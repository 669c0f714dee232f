"""What can go wrong, by who is to blame.

    ThinwireError
    ├── SettingsError   the operator: a setting that cannot be
    ├── LinkError       the way between device and coordinator
    ├── TaskError       the training code of a task
    └── DiskError       the disk: what was asked of it did not happen
        ├── DiskFullError       there is no room; there may be again
        ├── SyncError           what was written may or may not survive; the process must end
        └── DamagedError        what was written is not what is read

Each has the exit code of a process that ends with it. A peer's misbehaviour is not here: it is a value that is
counted, never a traceback.
"""

from thinwire.common.exits import Exit


class ThinwireError(Exception):
    """Anything that thinwire raises on purpose."""

    code: Exit = Exit.TRAINING


class SettingsError(ThinwireError):
    """Settings that cannot be; `problems` holds one sentence for each of them."""

    code = Exit.SETTINGS

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def located(self, origin: str) -> "SettingsError":
        """The same problems, each with the file it is in."""
        return SettingsError(*(f"{origin}: {problem}" for problem in self.problems))


class LinkError(ThinwireError):
    """The coordinator cannot be reached, or the way to it broke."""

    code = Exit.LINK


class TaskError(ThinwireError):
    """A task that cannot be found, loaded or run."""


class DiskError(ThinwireError):
    """A disk did not do what it was asked; after a failed sync nothing is known of what was written."""

    code = Exit.DISK


class DiskFullError(DiskError):
    """There is no room left; what was being written is not there, all before it is."""


class SyncError(DiskError):
    """A sync failed. Another one may succeed although bytes are lost, so only reading again tells what is there."""


class DamagedError(DiskError):
    """A file does not hold what was written to it; which record, where, and what to do are in the words."""
