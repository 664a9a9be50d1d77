"""Alerts and dashboard: they ask for what the server really shows, and alerts fire when they should."""

from __future__ import annotations

import re
from typing import Any

from twisted.trial.unittest import TestCase

from quickpulse.settings import Settings
from tests.deploy.files import DEPLOY, PROMETHEUS, ROOT, dashboard, exposed_names, load_yaml, run_tool

OF_THE_SERVER = re.compile(r"\b(?:quickpulse|process|python)_\w+")

GRID_COLUMNS = 24


def without_comments(text: str) -> str:
    """YAML without its lines of comment."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def alert_names() -> list[str]:
    """The alerts, in order."""
    return re.findall(r"- alert: (\w+)", (PROMETHEUS / "alerts.yml").read_text())


class AlertTests(TestCase):
    """deploy/prometheus."""

    def test_metrics_exist(self) -> None:
        """Every metric that an alert looks at is one that the server shows."""
        rules = without_comments((PROMETHEUS / "alerts.yml").read_text())
        names = set(OF_THE_SERVER.findall(rules))
        self.assertGreater(len(names), 5)
        self.assertEqual(names - exposed_names(), set())

    def test_every_alert_is_tested_both_ways(self) -> None:
        """Each alert has a case in which it fires and one in which it does not."""
        cases = (PROMETHEUS / "alerts_test.yml").read_text().split("alertname: ")[1:]
        fires = {case.split()[0] for case in cases if "exp_labels" in case}
        quiet = {case.split()[0] for case in cases if "exp_alerts: []" in case}
        self.assertEqual(fires, set(alert_names()))
        self.assertEqual(quiet, set(alert_names()))

    def test_every_alert_is_documented(self) -> None:
        """docs/operations.md says what to do about each alert."""
        text = (ROOT / "docs/operations.md").read_text()
        self.assertEqual([name for name in alert_names() if f"`{name}`" not in text], [])

    def test_configuration_is_accepted(self) -> None:
        """Promtool takes the configuration."""
        run_tool(self, "promtool", "check", "config", str(PROMETHEUS / "prometheus.yml"))

    def test_rules_are_accepted(self) -> None:
        """Promtool takes the rules."""
        run_tool(self, "promtool", "check", "rules", str(PROMETHEUS / "alerts.yml"))

    def test_alerts_fire_when_they_should(self) -> None:
        """Promtool's own tests of the rules pass."""
        run_tool(self, "promtool", "test", "rules", str(PROMETHEUS / "alerts_test.yml"))


class DashboardTests(TestCase):
    """deploy/grafana/dashboards/quickpulse.json."""

    def setUp(self) -> None:
        """Read it."""
        self.dashboard = dashboard()
        self.panels: list[dict[str, Any]] = self.dashboard["panels"]
        self.expressions = [target["expr"] for panel in self.panels for target in panel.get("targets", [])]

    def test_metrics_exist(self) -> None:
        """Every metric that a panel shows is one that the server shows."""
        names = {name for expression in self.expressions for name in OF_THE_SERVER.findall(expression)}
        self.assertEqual(names - exposed_names(), set())

    def test_shows_everything(self) -> None:
        """Every metric of the queue and of the transports is on some panel."""
        own = {name for name in exposed_names() if name.startswith("quickpulse_")}
        asked = "\n".join(self.expressions)
        self.assertEqual({name for name in own if name not in asked}, set())

    def test_panels_do_not_overlap(self) -> None:
        """Each cell of the grid has one panel at most, and none is outside of it."""
        taken = []
        for panel in self.panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], GRID_COLUMNS)
            columns = range(place["x"], place["x"] + place["w"])
            rows = range(place["y"], place["y"] + place["h"])
            taken += [(column, row) for column in columns for row in rows]
        self.assertEqual(len(taken), len(set(taken)))

    def test_panels_are_told_apart(self) -> None:
        """Identifiers are unique, and every panel says what it shows."""
        numbers = [panel["id"] for panel in self.panels]
        self.assertEqual(len(numbers), len(set(numbers)))
        self.assertTrue(all(panel["type"] == "row" or panel["description"] for panel in self.panels))

    def test_any_data_source(self) -> None:
        """Nothing is bound to one Prometheus: the data source is the dashboard's variable."""
        targets = [target for panel in self.panels for target in panel.get("targets", [])]
        self.assertEqual({target["datasource"]["uid"] for target in targets}, {"${datasource}"})


class ComposeTests(TestCase):
    """deploy/compose.yaml and Grafana's provisioning, where PyYAML is installed."""

    def test_waits_for_the_drain(self) -> None:
        """Compose kills the server only after its drain."""
        server = load_yaml(self, DEPLOY / "compose.yaml")["services"]["quickpulse"]
        self.assertGreater(float(server["stop_grace_period"].rstrip("s")), Settings(mode="ws").drain_seconds)

    def test_nothing_is_published_beyond_loopback(self) -> None:
        """Every port is this machine's own: v0 knows no passwords."""
        services = load_yaml(self, DEPLOY / "compose.yaml")["services"].values()
        ports = [port for service in services for port in service.get("ports", [])]
        self.assertEqual([port for port in ports if not port.startswith("127.0.0.1:")], [])

    def test_mounts_are_there(self) -> None:
        """Every file or directory that is mounted from here exists."""
        services = load_yaml(self, DEPLOY / "compose.yaml")["services"].values()
        sources = [volume.split(":")[0] for service in services for volume in service.get("volumes", [])]
        local = [source for source in sources if source.startswith("./")]
        self.assertEqual([source for source in local if not (DEPLOY / source).exists()], [])

    def test_the_alerts_look_at_the_job_that_is_scraped(self) -> None:
        """The job's name in prometheus.yml is the one in alerts and dashboard, and its target the service."""
        (job,) = load_yaml(self, PROMETHEUS / "prometheus.yml")["scrape_configs"]
        self.assertEqual(job["job_name"], "quickpulse")
        self.assertEqual(job["static_configs"], [{"targets": ["quickpulse:8080"]}])

    def test_dashboards_come_from_the_mounted_directory(self) -> None:
        """Grafana is told to look where compose puts the dashboards."""
        provisioning = DEPLOY / "grafana/provisioning"
        (provider,) = load_yaml(self, provisioning / "dashboards/quickpulse.yaml")["providers"]
        mounted = load_yaml(self, DEPLOY / "compose.yaml")["services"]["grafana"]["volumes"]
        self.assertIn(f"./grafana/dashboards:{provider['options']['path']}:ro", mounted)
