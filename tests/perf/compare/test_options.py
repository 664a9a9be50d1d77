"""The command line of `perf compare`."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from perf.compare.options import parse
from perf.compare.servers import Other

WRONG = (
    [],
    ["ws-publish"],
    ["ws-publish:1x1", "--rounds", "0"],
    ["ws-publish:1x1", "--rounds", "many"],
    ["ws-publish:1x1", "--servers", "ours,theirs"],
    ["ws-publish:1x1", "--servers", ""],
    ["ws-publish:1x1", "--other", "theirs"],
    ["ws-publish:1x1", "--other", "theirs=run --port 5"],
    ["ws-publish:1x1", "--other", "=run {port}"],
    ["ws-publish:1x1", "--other", "stock=run {port}"],
    ["ws-publish:1x1", "--silence", "0"],
    ["ws-publish:1x1", "--nonsense"],
)


class OptionsTests(SynchronousTestCase):
    """What is given, and what is wrong."""

    def test_all(self) -> None:
        """Each option."""
        options = parse(
            [
                *("ws-publish:1x1", "stream:10x20", "ws-publish:1x1"),
                *("--rounds", "5", "--servers", "ours,stock", "--pin", "--json", "a.json", "--png", "a.png"),
                *("--ours", "--ws-frames plain --host '::1'", "--silence", "2.5"),
                *("--other", "go=./server --port={port}", "--http2", "nghttpd=nghttpd {port}"),
            ]
        )
        self.assertEqual([row.text for row in options.rows], ["ws-publish:1x1", "stream:10x20"])
        self.assertEqual((options.rounds, options.servers, options.is_pinned), (5, ("ours", "stock"), True))
        self.assertEqual(options.ours, ("--ws-frames", "plain", "--host", "::1"))
        others = (Other("go", "./server --port={port}"), Other("nghttpd", "nghttpd {port}", is_plain=True))
        self.assertEqual(options.others, others)
        self.assertEqual((options.silence_seconds, options.json, options.png), (2.5, "a.json", "a.png"))

    def test_wrong(self) -> None:
        """Status 2, before anything is done."""
        for arguments in WRONG:
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(self.assertRaises(SystemExit, parse, arguments).code, 2, arguments)
