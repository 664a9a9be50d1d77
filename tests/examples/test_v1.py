"""The examples of named queues do what they say, each as its reader starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.testing import Server
from tests.browser import CHROMIUM, Browser

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

SECONDS = 60


class ExampleTestCase(SynchronousTestCase):
    """A server that the examples find."""

    def setUp(self) -> None:
        """It serves everything."""
        self.server = Server().start()
        self.addCleanup(self.server.stop)
        self.environment = {**os.environ, "QUICKPULSE_URL": self.server.url, "PYTHONUNBUFFERED": "1"}

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """An example in a process of its own."""
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name), *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        late = threading.Timer(SECONDS, process.kill)
        late.start()

        def end() -> None:
            late.cancel()
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]

        self.addCleanup(end)
        return process

    def until(self, condition: Callable[[], object]) -> None:
        """Ask again until something holds."""
        end = time.monotonic() + SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not come to pass")
            time.sleep(0.01)

    def run_example(self, name: str, *arguments: str) -> list[str]:
        """The lines that it prints until it ends by itself."""
        process = self.start(name, *arguments)
        output = process.communicate()[0]
        self.assertEqual(process.returncode, 0, output)
        return output.splitlines()


class ScriptTests(ExampleTestCase):
    """Those in Python."""

    def test_work_queue(self) -> None:
        """Jobs are done, and the one that nobody can do is put aside."""
        self.assertEqual(self.run_example("work_queue.py", "failed"), ["none failed"])
        self.assertEqual(self.run_example("work_queue.py", "add", "apple", "bad", "plum"), ["3 jobs added"])
        worker = self.start("work_queue.py", "work")
        self.until(lambda: self.server.payloads("jobs.dead") and self.server.stats("jobs").counts["acked"] == 2)
        worker.send_signal(signal.SIGINT)
        said = worker.communicate(timeout=SECONDS)[0]
        self.assertEqual(worker.returncode, 0, said)
        for text in ("done: apple (attempt 1)", "done: plum (attempt 1)", "what was not done is left to others"):
            self.assertIn(text, said)
        self.assertEqual(self.run_example("work_queue.py", "failed"), ["bad: max_deliveries"])
        self.assertEqual(self.server.stats("jobs").leased, 0)

    def test_fan_in(self) -> None:
        """Everything that the sensors said arrives, in the order of each."""
        expected = [f"sensor-{number}: 1000 readings, in order, mean 499.5" for number in range(5)]
        self.assertEqual(self.run_example("fan_in.py"), expected)
        self.assertEqual(self.server.stats("readings").counts["acked"], 5000)

    def test_delayed_jobs(self) -> None:
        """Each reminder comes once, in the order in which they are due; one was put off."""
        lines = [line.partition(" (after ")[0::2] for line in self.run_example("delayed_jobs.py")]
        self.assertEqual([text for text, _ in lines], ["water the plants", "call back", "take the bread out"])
        self.assertEqual([rest.partition("attempt ")[2] for _, rest in lines], ["1)", "2)", "1)"])

    def test_request_reply(self) -> None:
        """Each caller gets its own answer."""
        self.assertEqual(self.run_example("request_reply.py"), ["0 1 4 9 16 25 36 49 64 81"])

    def test_notebook(self) -> None:
        """Every cell runs, and the last value is the message that went through."""
        import nbformat
        from nbclient import NotebookClient

        self.patch(os, "environ", self.environment)
        notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
        outputs: list[str] = []

        def run() -> None:  # in a thread, as it wants a loop of its own
            NotebookClient(notebook, timeout=SECONDS).execute()
            for cell in notebook.cells:
                outputs.extend(output.data["text/plain"] for output in cell.get("outputs", []) if "data" in output)

        thread = threading.Thread(target=run)
        thread.start()
        self.until(lambda: not thread.is_alive())
        self.assertEqual(outputs, ["1000", "499500", "b'42'"])


class WebApplicationTests(ExampleTestCase):
    """Requests to applications that publish."""

    ORDER = {"item": "tea", "count": 2}

    def test_fastapi(self) -> None:
        """Accepted is what is in the queue; a wrong order is not."""
        from fastapi.testclient import TestClient

        self.patch(os, "environ", self.environment)
        from examples import fastapi_producer

        self.patch(fastapi_producer, "URL", self.server.url)
        statuses: list[object] = []

        def use() -> None:  # in a thread, as it wants a loop of its own
            with TestClient(fastapi_producer.app) as web:
                accepted = web.post("/orders", json=self.ORDER)
                statuses.extend([accepted.status_code, accepted.json()])
                statuses.append(web.post("/orders", json={"count": "many"}).status_code)

        thread = threading.Thread(target=use)
        thread.start()
        self.until(lambda: not thread.is_alive())
        self.assertEqual(statuses, [202, {"accepted": 1}, 422])
        self.assertEqual(self.server.payloads("orders"), [b'{"item":"tea","count":2}'])

    def test_flask(self) -> None:
        """Likewise; and a full queue is said."""
        from examples import flask_producer
        from quickpulse.errors import QueueFull

        self.patch(flask_producer, "URL", self.server.url)
        self.addCleanup(flask_producer.client.cache_clear)
        self.addCleanup(lambda: flask_producer.client().close())
        web = flask_producer.app.test_client()
        accepted = web.post("/orders", json=self.ORDER)
        self.assertEqual((accepted.status_code, accepted.get_json()), (202, {"accepted": 1}))
        self.assertEqual(self.server.payloads("orders"), [b'{"count": 2, "item": "tea"}'])
        self.server.faults.fail("publish", QueueFull())
        self.assertEqual(web.post("/orders", json=self.ORDER).status_code, 503)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves the examples and says nothing."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments, directory=str(EXAMPLES))  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """No word."""


class BrowserTests(ExampleTestCase):
    """The page, in a browser."""

    def setUp(self) -> None:
        """The page is served from this host."""
        if CHROMIUM is None:
            raise SkipTest("there is no Chromium here")
        super().setUp()
        pages = ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler)
        self.addCleanup(pages.server_close)
        self.addCleanup(pages.shutdown)
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        where = self.server.ws_url.partition("//")[2]
        self.browser = Browser(f"http://127.0.0.1:{pages.server_port}/browser_queue.html?server={where}")
        self.addCleanup(self.browser.close)

    def test_page(self) -> None:
        """A message that is typed comes back from the queue; nack brings it again, ack is its end."""
        state = "document.getElementById('state').textContent"
        button = "document.querySelector('#messages li:last-child button:nth-of-type({})')?.click() ?? true"
        self.browser.until(f"document.getElementById('state') && {state} === 'subscribed'")
        self.browser.run("document.querySelector('#form button').click()")
        self.browser.until("document.querySelectorAll('#messages li').length === 1")
        self.assertIn("hello", self.browser.run("document.querySelector('#messages li').textContent"))
        self.browser.run(button.format(2))
        self.browser.until("document.querySelectorAll('#messages li').length === 1")
        self.browser.run(button.format(1))
        self.browser.until(f"{state} === 'ACK: done'")
        self.assertEqual(self.browser.errors, [])
        counts = self.server.stats("jobs").counts
        self.assertEqual((counts["acked"], counts["nacked"], counts["redelivered"]), (1, 1, 1))
