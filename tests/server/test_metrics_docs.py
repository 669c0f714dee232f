"""docs/metrics.md names every metric, with its type and its words."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from thinwire.client.metrics import AgentMetrics
from thinwire.server.metrics import CoordinatorMetrics

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.mark.parametrize(
    "registry",
    [
        pytest.param(CoordinatorMetrics().registry, id="coordinator"),
        pytest.param(AgentMetrics().registry, id="agent"),
    ],
)
def test_the_page_names_every_metric(registry: CollectorRegistry) -> None:
    page = DOCS.read_text(encoding="utf-8")
    for family in registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"| `{name}` | {family.type} |" in page
        assert family.documentation in page
