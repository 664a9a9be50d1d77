"""The files under test, read plainly, and the outside tools that some tests ask."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import TestCase

from quickpulse.metrics.counted_broker import CountedBroker
from quickpulse.metrics.prometheus import PrometheusMetrics, TrafficCollector, make_registry
from quickpulse.metrics.queues import QueueCollector, RequestCollector
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.requests import Pull

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
SYSTEMD = DEPLOY / "systemd"

TOOL_SECONDS = 60


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, argument), with comments gone and continued lines joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    words = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(word, " ".join(argument.split())) for word, argument in words]


def unit_settings(name: str) -> list[tuple[str, str]]:
    """A systemd unit's settings, in order; a key may come several times."""
    lines = (SYSTEMD / name).read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return [(key, value) for key, value in pairs]


def dashboard() -> dict[str, Any]:
    """Grafana's dashboard."""
    loaded: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboards/quickpulse.json").read_text())
    return loaded


def exposed_names() -> set[str]:
    """Every sample name that a server shows on /metrics."""
    broker = Broker()
    broker.pull(Pull(("jobs",)), 0)
    queues = QueueCollector(lambda: broker.read_queues({}, 0))
    traffic = Traffic()
    requests = RequestCollector(CountedBroker(broker), traffic)
    registry = make_registry(PrometheusMetrics(), TrafficCollector(traffic, "0", "ws", 1), queues, requests)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {sample.name for family in families for sample in family.samples}


def run_tool(test: TestCase, *command: str, text: str | None = None) -> str:
    """Everything that a tool printed, once it ended well; the test is skipped where there is no such tool.

    :param text: what it reads.
    """
    if shutil.which(command[0]) is None:
        test.skipTest(f"{command[0]} is not installed")
    ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    output = ended.stdout + ended.stderr
    test.assertEqual(ended.returncode, 0, output)
    return output


def load_yaml(test: TestCase, path: Path) -> Any:
    """A YAML file; the test is skipped where PyYAML is not installed."""
    try:
        import yaml
    except ImportError:
        test.skipTest("PyYAML is not installed")
    return yaml.safe_load(path.read_text())
