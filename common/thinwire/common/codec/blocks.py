"""Long columns are worked through in blocks, so that scratch arrays stay small.

A scratch array of a whole column would be fetched from the operating system and given back each time, at a page
fault for each 4 KiB; that costs more than the arithmetic. Below 128 KiB the allocator keeps the memory, and the cache
keeps the values.
"""

from collections.abc import Iterator

BLOCK = 1 << 14


def blocks(size: int) -> Iterator[slice]:
    """Cut `size` elements into slices of at most BLOCK."""
    for start in range(0, size, BLOCK):
        yield slice(start, min(start + BLOCK, size))
