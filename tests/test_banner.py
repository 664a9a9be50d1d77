"""The banner is for people."""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.banner import BANNER, TAGLINE, show_banner


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def __init__(self, encoding: str | None = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding
        self.flushed = False

    @property
    def encoding(self) -> str | None:
        """The terminal's."""
        return self._encoding

    def isatty(self) -> bool:
        """Yes."""
        return True

    def flush(self) -> None:
        """Remember it."""
        self.flushed = True


class BannerTests(SynchronousTestCase):
    """show_banner."""

    def test_on_a_terminal(self) -> None:
        """Banner and tagline, at once."""
        terminal = Terminal()
        show_banner(terminal)
        self.assertEqual(terminal.getvalue(), f"{BANNER}\n{TAGLINE}\n")
        self.assertTrue(terminal.flushed)

    def test_anywhere_else(self) -> None:
        """Nothing into a file, a pipe, a closed stream or no stream at all (a daemon has none)."""
        pipe = io.StringIO()
        show_banner(pipe)
        self.assertEqual(pipe.getvalue(), "")
        closed = Terminal()
        closed.close()
        for nothing in (closed, None):
            self.assertIsNone(show_banner(nothing))

    def test_a_terminal_without_the_signs(self) -> None:
        """What its encoding lacks becomes a question mark, and not an error."""
        for encoding in ("ascii", "latin-1", None):
            terminal = Terminal(encoding)
            show_banner(terminal)
            self.assertIn("??? Blazing fast, in-memory message queue ???", terminal.getvalue())

    def test_tagline(self) -> None:
        """The project's own words."""
        self.assertEqual(
            TAGLINE,
            "⚡⚡⚡ Blazing fast, in-memory message queue ⚡⚡⚡ - an opinionated, ephemeral message queue system",
        )
