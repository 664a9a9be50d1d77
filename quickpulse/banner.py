"""The project's banner, shown to people only."""

from __future__ import annotations

from typing import TextIO

BANNER = r"""
   ____        _      _    ____        _
  / __ \ _   _(_) ___| | _|  _ \ _   _| |___  ___
 | |  | | | | | |/ __| |/ / |_) | | | | / __|/ _ \
 | |__| | |_| | | (__|   <|  __/| |_| | \__ \  __/
  \___\_\\__,_|_|\___|_|\_\_|    \__,_|_|___/\___|
"""

TAGLINE = "⚡⚡⚡ Blazing fast, in-memory message queue ⚡⚡⚡ - an opinionated, ephemeral message queue system"


def show_banner(stream: TextIO | None) -> None:
    """Print banner and tagline to a terminal; to anything else, nothing."""
    if stream is None or stream.closed or not stream.isatty():
        return
    text = f"{BANNER}\n{TAGLINE}\n"
    stream.write(text.encode(stream.encoding or "ascii", "replace").decode(stream.encoding or "ascii"))
    stream.flush()
