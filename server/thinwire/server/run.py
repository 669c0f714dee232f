"""`thinwire coordinator`: from settings to a serving process, and down again."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import Callable

import grpc.aio
import uvloop

from thinwire.common import http, logs
from thinwire.common.address import parse_address
from thinwire.common.channel import server_credentials, server_options
from thinwire.common.errors import LinkError, SettingsError, ThinwireError
from thinwire.common.exits import Exit
from thinwire.common.settings import CoordinatorSettings
from thinwire.common.values import Welcome
from thinwire.server.coordinator import Coordinator
from thinwire.server.core import CoordinatorCore
from thinwire.server.evaluator import Evaluator, ModelDescription
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.model import GlobalModel
from thinwire.server.operator import OperatorService
from thinwire.server.service import FleetService, task_params_json
from thinwire.server.staging import Staging
from thinwire.server.training import admission_of, plan_of, rules_of
from thinwire.tasks import task_path
from thinwire.v1 import operator_pb2_grpc, session_pb2_grpc

log = logging.getLogger("thinwire.server")

# Devices are told to come back later; this is for those that read slowly, and for answers that are being written.
STOP_GRACE_S = 2.0


def run(settings: CoordinatorSettings) -> int:
    """Serve until a signal; give the exit code."""
    logs.setup(settings.logs.level, sys.stderr, settings.logs.json)
    try:
        return uvloop.run(_run(settings))
    except SettingsError as error:
        log.error("%s", error)
        return Exit.SETTINGS
    except LinkError as error:
        log.error("%s", error)
        return Exit.LINK
    except ThinwireError as error:
        log.error("%s", error)
        return Exit.TRAINING


async def _run(settings: CoordinatorSettings) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # The evaluator's process comes before anything of gRPC.
    evaluator = await Evaluator.start(settings.evaluation.python)
    try:
        model = await _before(stopped, evaluator, settings)
        if model is None:
            return Exit.OK
        coordinator = build(settings, model, evaluator if settings.evaluation.enabled else None)
        await serve(coordinator, settings, stopped)
    finally:
        await evaluator.close()
    return Exit.OK


async def _before(
    stopped: asyncio.Event, evaluator: Evaluator, settings: CoordinatorSettings
) -> ModelDescription | None:
    """The task's model, or None when a signal came while it was being built."""
    path = task_path(settings.task.id, settings.tasks)
    describing = asyncio.create_task(evaluator.describe(path, settings.task.params, settings.task.seed))
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait((describing, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if describing not in done:
        describing.cancel()
        return None
    return describing.result()


def build(settings: CoordinatorSettings, model: ModelDescription, evaluator: Evaluator | None) -> Coordinator:
    """A coordinator for these settings and this model, not yet serving."""
    held = GlobalModel(model.layout, model.buffer_layout, model.weights_P, model.buffers_B)
    admission = admission_of(settings, model.layout, model.buffer_layout)
    core = CoordinatorCore(rules_of(settings, evaluate=evaluator is not None), held, admission)
    return Coordinator(core, welcome_of(settings, model), evaluator, CoordinatorMetrics())


def welcome_of(settings: CoordinatorSettings, model: ModelDescription) -> Welcome:
    """What every device is welcomed with; its epoch, version and outcomes are filled in for each."""
    return Welcome(
        lineage=secrets.token_bytes(16),
        epoch=0,
        task=settings.task.id,
        task_params=task_params_json(settings.task.params),
        layout_hash=model.layout.hash,
        plan=plan_of(settings),
        version=0,
    )


async def serve(
    coordinator: Coordinator,
    settings: CoordinatorSettings,
    stopped: asyncio.Event,
    listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve devices, operators and Prometheus until `stopped`; tell `listening` the port."""
    server = grpc.aio.server(options=server_options())
    staging = Staging(settings.limits.max_delta_bytes, settings.limits.staged_bytes)
    fleet = FleetService(
        coordinator, staging, max_devices=settings.limits.max_devices, tls=settings.tls.enabled
    )
    session_pb2_grpc.add_FleetServiceServicer_to_server(fleet, server)
    operator_pb2_grpc.add_OperatorServiceServicer_to_server(
        OperatorService(coordinator, settings.stop.target_accuracy), server
    )
    port = _bind(server, settings)
    metrics = _serve_metrics(coordinator, settings)
    running = asyncio.create_task(coordinator.run(), name="coordinator")
    await server.start()
    log.info(
        "listening",
        extra={
            "address": f"{parse_address(settings.listen.address).host}:{port}",
            "tls": settings.tls.enabled,
        },
    )
    listening(port)
    try:
        await asyncio.wait(
            (running, stopping := asyncio.create_task(stopped.wait())), return_when="FIRST_COMPLETED"
        )
        stopping.cancel()
        if running.done():
            running.result()
    finally:
        fleet.send_away()
        await server.stop(STOP_GRACE_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if metrics is not None:
            metrics.close()


def _bind(server: grpc.aio.Server, settings: CoordinatorSettings) -> int:
    address = settings.listen.address
    try:
        if settings.tls.enabled:
            return server.add_secure_port(address, server_credentials(settings.tls))
        log.warning("plain text: anyone who reaches %s can join and read; set [tls] beyond a test", address)
        return server.add_insecure_port(address)
    except OSError as error:
        raise SettingsError(f"tls: {error}") from None
    except RuntimeError:
        raise LinkError(
            f"cannot listen on {address}: another process does (perhaps a coordinator), or it is not this machine's; "
            "stop the other one or change listen.address"
        ) from None


def _serve_metrics(coordinator: Coordinator, settings: CoordinatorSettings) -> http.Server | None:
    if not settings.listen.metrics:
        return None
    at = parse_address(settings.listen.metrics)

    def ready() -> tuple[bool, str]:
        return True, f"{coordinator.core.phase}: {coordinator.core.status()}"

    try:
        return http.serve(coordinator.metrics.registry, at.host, at.port, ready)
    except OSError as error:
        raise LinkError(f"cannot serve metrics on {at}: {error.strerror}; change listen.metrics") from None
