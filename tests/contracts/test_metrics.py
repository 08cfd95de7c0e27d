"""docs/metrics.md names what is measured: every metric with its labels, and no other."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from beiyuan.names import SERVICES
from gateway.metrics import EdgeMetrics
from tests.town import Town

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def measured(registry: CollectorRegistry) -> dict[str, set[str]]:
    """The metrics of a registry and their labels."""
    found = {}
    for collector in registry._collector_to_names:
        assert isinstance(collector, MetricWrapperBase)
        name = collector._name + ("_total" if collector._type == "counter" else "")
        found[name] = set(collector._labelnames)
    return found


async def test_the_page_names_every_metric_with_its_labels_and_no_other(town: Town) -> None:
    there = measured(EdgeMetrics().registry)
    for service in SERVICES:
        there |= measured(town.runtime(service).metrics.registry)
    rows = re.findall(r"^\| `(beiyuan_\w+)`[ †]*\|([^|]*)\|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == there
