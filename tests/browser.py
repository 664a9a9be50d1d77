"""A headless Chromium for tests of pages, over its own DevTools protocol."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from typing import Any

from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

START_SECONDS = 60.0

WAIT_SECONDS = 30.0


class Browser:
    """One page.

    :param url: of the page.
    :ivar errors: what the page's scripts threw.
    """

    def __init__(self, url: str) -> None:
        assert CHROMIUM is not None
        self._folder = tempfile.mkdtemp()
        self._process = subprocess.Popen(
            [
                CHROMIUM,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
                *("--remote-debugging-port=0", f"--user-data-dir={self._folder}", "about:blank"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "HOME": self._folder},
            text=True,
        )
        self.errors: list[str] = []
        self._last_id = 0
        try:
            self._socket = connect(self._address(), max_size=None)
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._ask("Runtime.enable", self._session)
            self._ask("Page.enable", self._session)
            self._ask("Page.navigate", self._session, url=url)
        except BaseException:
            self.close()
            raise

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        reply = self._ask("Runtime.evaluate", self._session, expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in reply:
            raise AssertionError(json.dumps(reply["exceptionDetails"]))
        return reply["result"].get("value")

    def until(self, script: str) -> Any:
        """The value of an expression when it is something."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.02)
        raise AssertionError(f"{script} did not come to pass; the page: {self.run('document.body?.innerText')!r}")

    def close(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _address(self) -> str:
        end = time.monotonic() + START_SECONDS
        assert self._process.stderr is not None
        for line in self._process.stderr:
            found = re.search(r"DevTools listening on (ws://\S+)", line)
            if found:
                return found[1]
            if time.monotonic() > end:
                break
        raise AssertionError("the browser did not start")

    def _ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        self._last_id += 1
        request = {"id": self._last_id, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        self._socket.send(json.dumps(request))
        while True:
            reply = json.loads(self._socket.recv(timeout=WAIT_SECONDS))
            if reply.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(reply["params"]))
            if reply.get("id") == self._last_id:
                if "error" in reply:
                    raise AssertionError(f"{method}: {reply['error']}")
                result: dict[str, Any] = reply["result"]
                return result
