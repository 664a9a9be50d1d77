"""What is started, and what is missing."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from perf.brokers import servers
from perf.brokers.options import SERVERS
from perf.brokers.rows import BEANSTALKD, NATS, QUICKPULSE, REDIS
from perf.spawn import HOST


class ServersTests(SynchronousTestCase):
    """Commands, and why there is none."""

    def test_loopback(self) -> None:
        """Each listens on loopback, on a port of its own."""
        made = [servers.make_server(name) for name in SERVERS]
        for server in made:
            self.assertIn(HOST, server.command)
            self.assertIn(str(server.port), server.command)
        self.assertEqual([server.is_ours for server in made], [True, False, False, False])

    def test_nothing_is_kept(self) -> None:
        """Persistence is off."""
        self.assertEqual(servers.make_server(REDIS).command[-4:], ("--save", "", "--appendonly", "no"))
        self.assertNotIn("-b", servers.make_server(BEANSTALKD).command)
        store = servers.make_server(NATS).command[-1]
        self.assertFalse(os.path.isabs(store))

    def test_missing(self) -> None:
        """A program or a client that is not there is named; ours is always there."""
        self.patch(servers, "program", lambda name: None if name == REDIS else "/bin/true")
        self.assertEqual(servers.missing(REDIS, lambda _: True), "redis-server is not on the path")
        self.assertIsNone(servers.missing(BEANSTALKD, lambda _: True))
        self.assertEqual(servers.missing(NATS, lambda _: False), "its client's nats cannot be imported")
        self.assertIsNone(servers.missing(QUICKPULSE, lambda _: False))

    def test_version(self) -> None:
        """As the program says it; nothing where there is no program."""
        self.patch(servers, "program", lambda _: "/nowhere/at/all")
        self.assertEqual(servers.version(REDIS), "")
        self.patch(servers, "program", lambda _: "/bin/echo")
        self.patch(servers, "_VERSIONS", {NATS: ("nats-server: v2.15.1", r"v([\d.]+)")})
        self.assertEqual(servers.version(NATS), "2.15.1")
