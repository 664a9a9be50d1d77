"""The status page, as a browser shows it."""

from __future__ import annotations

from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.testing import Server
from tests.browser import CHROMIUM, Browser


class StatusPageTests(SynchronousTestCase):
    """What people see there."""

    def test_named_queues(self) -> None:
        """Their messages are told, not only v0's."""
        if CHROMIUM is None:
            raise SkipTest("there is no Chromium here")
        server = Server(mode="ws")
        server.start()
        self.addCleanup(server.stop)
        with server.connect() as client:
            client.queue("jobs").publish_many([b"a", b"b", b"c"])
        browser = Browser(server.http_url)
        self.addCleanup(browser.close)
        said = browser.until("document.getElementById('queues')?.textContent")
        self.assertEqual(browser.errors, [])
        self.assertIn("2 queues: 3 messages ready", said)
        self.assertEqual(browser.run("document.getElementById('messages').textContent"), "3")
