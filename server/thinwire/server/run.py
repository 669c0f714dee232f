"""`thinwire coordinator`: from settings to a serving process, and down again."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

import grpc.aio
import uvloop

from thinwire.common import http, logs
from thinwire.common.address import parse_address
from thinwire.common.channel import server_credentials, server_options
from thinwire.common.disk import OsFolder
from thinwire.common.errors import LinkError, SettingsError, ThinwireError
from thinwire.common.exits import Exit
from thinwire.common.places import state_folder
from thinwire.common.settings import CoordinatorSettings
from thinwire.server.coordinator import Coordinator
from thinwire.server.evaluator import Evaluator, ModelDescription
from thinwire.server.home import Home
from thinwire.server.operator import OperatorService
from thinwire.server.prepare import begin, refuse_other_model, resume
from thinwire.server.service import FleetService
from thinwire.server.shelf import Shelf
from thinwire.server.staging import Staging
from thinwire.tasks import task_path
from thinwire.v1 import operator_pb2_grpc, session_pb2_grpc

log = logging.getLogger("thinwire.server")

# Devices are told to come back later; this is for those that read slowly, and for answers that are being written.
STOP_GRACE_S = 2.0


def run(settings: CoordinatorSettings, *, fresh: bool = False) -> int:
    """Serve until a signal, on from the journal unless the training is to be `fresh`; give the exit code."""
    logs.setup(settings.logs.level, sys.stderr, settings.logs.json)
    try:
        return uvloop.run(_run(settings, fresh=fresh))
    except ThinwireError as error:
        log.error("%s", error)
        return error.code


async def _run(settings: CoordinatorSettings, *, fresh: bool) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    place = state_folder(settings.state.dir, "coordinator")
    home = Home(place) if place is not None else None
    # The evaluator's process comes before anything of gRPC.
    evaluator = await Evaluator.start(settings.evaluation.python)
    try:
        return await _train(settings, home, evaluator, stopped, fresh=fresh)
    finally:
        await evaluator.close()
        if home is not None:
            home.close()


async def _train(
    settings: CoordinatorSettings, home: Home | None, evaluator: Evaluator, stopped: asyncio.Event, *, fresh: bool
) -> int:
    path = task_path(settings.task.id, settings.tasks)
    describing = asyncio.create_task(evaluator.describe(path, settings.task.params, settings.task.seed))
    measured = evaluator if settings.evaluation.enabled else None
    kept = None if home is None or fresh else home.newest()
    if kept is None:
        if not await _done_before(stopped, describing):
            return Exit.OK
        await serve(begin(settings, describing.result(), measured, home), settings, stopped)
        return Exit.OK
    # Devices need not wait for torch: the model is in the journal, and the task is held against it when it is built.
    coordinator = await asyncio.to_thread(resume, settings, kept, measured)
    comparing = asyncio.create_task(_compare(coordinator, describing, stopped))
    try:
        await serve(coordinator, settings, stopped)
        await _done_before(stopped, comparing)
    finally:
        # When the disk has failed, nobody asks any more what the task would build.
        for task in (comparing, describing):
            task.cancel()
        await asyncio.gather(comparing, describing, return_exceptions=True)
    return Exit.OK


async def _compare(
    coordinator: Coordinator, describing: asyncio.Task[ModelDescription], stopped: asyncio.Event
) -> None:
    try:
        refuse_other_model(coordinator.core.state, await describing)
    except ThinwireError:
        stopped.set()
        raise


async def _done_before(stopped: asyncio.Event, task: asyncio.Task[Any]) -> bool:
    """Whether the task is done, and well, before a signal comes."""
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task not in done:
        task.cancel()
        return False
    task.result()
    return True


async def serve(
    coordinator: Coordinator,
    settings: CoordinatorSettings,
    stopped: asyncio.Event,
    listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve devices, operators and Prometheus until `stopped`; tell `listening` the port."""
    server = grpc.aio.server(options=server_options())
    staging = Staging(settings.limits.max_delta_bytes, settings.limits.staged_bytes, _shelf_of(coordinator))
    fleet = FleetService(
        coordinator, staging, max_devices=settings.limits.max_devices, tls=settings.tls.enabled
    )
    session_pb2_grpc.add_FleetServiceServicer_to_server(fleet, server)
    operator_pb2_grpc.add_OperatorServiceServicer_to_server(
        OperatorService(coordinator, settings.stop.target_accuracy), server
    )
    # On a full disk it waits for room.
    if not await _done_before(stopped, asyncio.create_task(coordinator.start(), name="start")):
        await coordinator.close()
        return
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
        await coordinator.close()
        if metrics is not None:
            metrics.close()


def _shelf_of(coordinator: Coordinator) -> Shelf | None:
    journal = coordinator.recorder.journal
    return Shelf(journal.folder.path / "arriving") if journal and isinstance(journal.folder, OsFolder) else None


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
        # With little room left it still serves whom it knows, so nobody should be led elsewhere.
        serving = not (coordinator.safety.full or coordinator.core.set_back)
        return serving, f"{coordinator.core.phase}: {coordinator.status}"

    try:
        return http.serve(coordinator.metrics.registry, at.host, at.port, ready)
    except OSError as error:
        raise LinkError(f"cannot serve metrics on {at}: {error.strerror}; change listen.metrics") from None
