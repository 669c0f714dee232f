"""A coordinator as a process that can be killed, without the evaluator's torch: ADDRESS KEY=VALUE..."""

import asyncio
import sys

from thinwire.bench.loopback import model_of, serving, settings_of


async def main(address: str, *sets: str) -> None:
    """Serve the model of line_task until killed."""
    async with serving(model_of(8, 64), settings_of(f'listen.address="{address}"', *sets)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
