"""Why a blob was refused: one exception, one closed set of reasons."""

import enum


class Reason(str, enum.Enum):
    """What was wrong with a blob, in the order in which it is checked."""

    TOO_LONG = "too_long"  # longer than the receiver reads
    TOO_SHORT = "too_short"  # cut off before its fixed part ends
    NOT_A_BLOB = "not_a_blob"  # another magic
    UNKNOWN_FORMAT = "unknown_format"  # a version, flag or code of a later thinwire
    DAMAGED = "damaged"  # the CRC differs
    WRONG_LAYOUT = "wrong_layout"  # made for another model
    WRONG_COUNT = "wrong_count"  # parameters or kept values outside what the receiver allows
    WRONG_LENGTH = "wrong_length"  # the columns do not add up to the blob
    BAD_CODEBOOK = "bad_codebook"  # not finite, negative or unsorted
    BAD_COLUMN = "bad_column"  # not the one zstd frame that was declared
    BAD_POSITION = "bad_position"  # positions that miss the count or leave the model
    BAD_VALUE = "bad_value"  # a value that is not finite


class CodecError(Exception):
    """A blob that breaks the format: `reason` for machines and metrics, the message for people."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
