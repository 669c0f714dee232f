"""What Prometheus and a supervisor see of a live coordinator, over HTTP, as they ask for it."""

import asyncio
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from thinwire.common.settings.density import MAX_GROUPS
from thinwire.common.values import RefusalReason, RejectReason, Report
from thinwire.demo.fleet import free_port

# Of promtool's lint: abbreviated and non-base units, and types in names.
UNWANTED = re.compile(
    r"_(ms|us|ns|s|sec|secs|milliseconds|minutes|hours|kb|mb|kib|mib|kilobytes|megabytes|bits|percent|pct"
    r"|counter|gauge|histogram|summary)(_|$)"
)
LABELS = {
    "version": None,  # of the software: one value a process
    "le": None,  # bounds of buckets, fixed in the code
    "direction": {"up", "down"},
    "kind": {"raw", "packed"},
    "outcome": {"accepted", "rejected", "repeated"},
    "group": {str(number) for number in range(MAX_GROUPS)},
    "reason": {reason.name.lower() for reason in (*RejectReason, *RefusalReason)},
}
MOST_SERIES = 500


class Page:
    """The coordinator's HTTP port."""

    def __init__(self) -> None:
        self.port = free_port()

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        return await asyncio.to_thread(self._get, path)

    async def metrics(self) -> dict[str, Metric]:
        """Everything that is shown, by the name of its family."""
        _, text = await self.get("/metrics")
        return {family.name: family for family in text_string_to_metric_families(text)}

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def scraped(open_fleet, page):
    """A coordinator with that page."""
    return open_fleet(f'listen.metrics="127.0.0.1:{page.port}"')


def series(families: dict[str, Metric]) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples(families)}


def samples(families: dict[str, Metric]) -> Iterator:
    return (sample for family in families.values() for sample in family.samples)


async def live_with_devices(fleet, count: int) -> None:
    """Devices that report, have one delta accepted and one rejected, and leave."""
    report = Report(rtt_s=0.2, goodput_up=1e4, delay_steps=5, cuts=1, residual_norm=0.5)
    async with fleet.device() as device:
        for number in range(count):
            device.name = f"device-{number}"
            async with device.dial() as stream:
                await stream.join()
                await stream.deliver(fleet.delta(1, base=fleet.version))
                await stream.deliver(fleet.delta(2, base=10**6))
                await stream.say(report, b"")
                await stream.ending()


async def test_health_and_readiness_are_told_in_words(scraped, page) -> None:
    async with scraped as fleet:
        assert await page.get("/healthz") == (200, "ok\n")
        status, words = await page.get("/readyz")
        assert status == 200
        assert words.startswith("training: ")
        assert fleet.serving.coordinator.core.status() in words
        assert (await page.get("/else"))[0] == 404


async def test_names_types_and_help_are_as_prometheus_wants_them(scraped, page) -> None:
    async with scraped as fleet:
        await live_with_devices(fleet, 2)
        for name, family in (await page.metrics()).items():
            assert re.fullmatch(r"thinwire_[a-z][a-z0-9_]*", name), name
            assert not UNWANTED.search(name), name
            assert not name.endswith(("_total", "_count", "_sum", "_bucket")), "the parser takes these off"
            assert family.documentation.endswith("."), name
            assert family.type in ("counter", "gauge", "histogram"), name
            if family.type == "counter":
                assert {sample.name for sample in family.samples} <= {f"{name}_total", f"{name}_created"}


async def test_labels_come_from_closed_sets(scraped, page) -> None:
    async with scraped as fleet:
        await live_with_devices(fleet, 3)
        for sample in samples(await page.metrics()):
            for label, value in sample.labels.items():
                allowed = LABELS[label]
                assert allowed is None or value in allowed, (sample.name, label, value)


async def test_fifty_devices_make_no_more_series_than_one(scraped, page) -> None:
    async with scraped as fleet:
        await live_with_devices(fleet, 1)
        before = series(await page.metrics())
        await live_with_devices(fleet, 50)
        assert series(await page.metrics()) == before
        assert len(before) < MOST_SERIES


async def test_figures_are_those_of_what_happened(scraped, page) -> None:
    async with scraped as fleet:
        await live_with_devices(fleet, 3)
        shown = {(sample.name, *sample.labels.values()): sample.value for sample in samples(await page.metrics())}
        assert shown["thinwire_devices_connected",] == 1
        assert shown["thinwire_devices_known",] == 4
        assert shown["thinwire_model_version",] == fleet.version == 4
        assert shown["thinwire_deltas_total", "accepted"] == 4
        assert shown["thinwire_deltas_rejected_total", "unknown_version"] == 3
        assert shown["thinwire_streams_refused_total", "bad_request"] == 3
        assert shown["thinwire_payload_bytes_total", "up", "raw"] == 4 * 4 * fleet.model.layout.size
        assert shown["thinwire_delta_admit_seconds_count",] + shown["thinwire_commit_seconds_count",] == 7


async def test_a_taken_port_for_metrics_is_a_link_s_fault(scraped, page, open_fleet) -> None:
    async with scraped:
        with pytest.raises(Exception, match=r"cannot serve metrics on 127.0.0.1:\d+: .*; change listen.metrics"):
            async with open_fleet(f'listen.metrics="127.0.0.1:{page.port}"'):
                pass
