"""The benchmark that tells what checks cost really leaves them out, and only in a process of its own."""

import subprocess
import sys

import numpy as np
import pytest

from thinwire.bench.loopback import model_of
from thinwire.bench.scripted import delta_of
from thinwire.common.codec import CodecError, Limits, unpack

LAYOUT = model_of(8, 16).layout
BELIEVING = """
import sys
from thinwire.bench.trusting import trust
from thinwire.bench.loopback import model_of
from thinwire.common.codec import Limits, unpack
trust()
layout = model_of(8, 16).layout
found = unpack(sys.stdin.buffer.read(), Limits(layout.hash, layout.size, layout.size))
print(*found.index_K)
"""


def test_what_is_refused_here_is_believed_there() -> None:
    sound = delta_of(LAYOUT, 1, density=0.1).payload
    damaged = sound[:-1] + bytes([sound[-1] ^ 1])  # its CRC
    limits = Limits(LAYOUT.hash, LAYOUT.size, LAYOUT.size)
    with pytest.raises(CodecError, match="CRC"):
        unpack(damaged, limits)
    believed = subprocess.run([sys.executable, "-c", BELIEVING], input=damaged, capture_output=True, check=True)
    assert np.array_equal([int(word) for word in believed.stdout.split()], unpack(sound, limits).index_K)
