"""`thinwire agent`: from settings to a living device, and down again."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import sys

import uvloop

from thinwire.client.agent import Agent
from thinwire.client.core import AgentCore
from thinwire.client.effects import Quit
from thinwire.client.events import Leave
from thinwire.client.link import GrpcLink
from thinwire.client.metrics import AgentMetrics
from thinwire.client.sockets import WireMeter
from thinwire.client.state import State
from thinwire.client.trainer import TrainerProcess
from thinwire.common import __version__, http, logs
from thinwire.common.address import parse_address
from thinwire.common.backoff import Backoff
from thinwire.common.errors import LinkError, ThinwireError
from thinwire.common.settings import AgentSettings

log = logging.getLogger("thinwire.client")


def run(settings: AgentSettings) -> int:
    """Live until a signal, or until there is no point; give the exit code."""
    logs.setup(settings.logs.level, sys.stderr, settings.logs.json)
    try:
        end = uvloop.run(_run(settings))
    except ThinwireError as error:
        log.error("%s", error)
        return error.code
    log.log(logging.ERROR if end.exit_code else logging.INFO, "%s", end.message)
    return end.exit_code


async def _run(settings: AgentSettings) -> Quit:
    metrics = AgentMetrics()
    state = State(settings)
    agent = build(settings, state, metrics)
    trainer = TrainerProcess(settings, state.path(), agent.hear)
    living = asyncio.create_task(agent.run(trainer), name="agent")

    def leave() -> None:
        # Who asks twice means now.
        signals.append("leave")
        if len(signals) > 1:
            living.cancel()
        agent.hear(Leave())

    signals: list[str] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    page = _serve_metrics(settings, metrics)
    try:
        return await living
    except asyncio.CancelledError:
        return Quit(0, "told to stop")
    finally:
        if page is not None:
            page.close()


def build(settings: AgentSettings, state: State, metrics: AgentMetrics) -> Agent:
    """An agent for these settings, not yet running."""
    # Jitter must differ between devices that start together; nothing else here is left to chance.
    dice = random.Random()
    backoff = Backoff(settings.link.backoff_base, settings.link.backoff_cap)
    restored = state.store.restored
    if restored.problem:
        log.error("%s", restored.problem)
    decisions = AgentCore(
        settings.device.name,
        __version__,
        dice,
        backoff,
        restored,
        partial=state.spool.resume(),
        leave_when_finished=settings.exit.when_finished,
        residual_every=settings.state.residual_every,
    )
    meter = WireMeter(parse_address(settings.coordinator.address).port)
    return Agent(decisions, GrpcLink(settings), state, meter, metrics)


def _serve_metrics(settings: AgentSettings, metrics: AgentMetrics) -> http.Server | None:
    if not settings.metrics.address:
        return None
    at = parse_address(settings.metrics.address)
    try:
        return http.serve(metrics.registry, at.host, at.port)
    except OSError as error:
        raise LinkError(f"cannot serve metrics on {at}: {error.strerror}; change metrics.address") from None
