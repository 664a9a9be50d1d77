"""The twistd sub-command: its options, the choice of the reactor, and makeService. The assembly is in `service`."""

from __future__ import annotations

import gc
import os
import sys
import textwrap
from typing import NoReturn

from twisted.application.service import IService
from twisted.python import usage

from quickpulse.errors import SettingsError
from quickpulse.settings import MODES, OPTIONS, Settings, read_settings, suggest

MODE_HELP = (
    f"What to serve: {', '.join(MODES)} "
    "[environment: QUICKPULSE_MODE, or one of WS_MODE, RPC_MODE, RPC_STREAM_MODE set to 1]"
)

GC_THRESHOLD = 10_000
"""Allocations between two collections of the youngest generation."""

_REACTOR_MODULE = "twisted.internet.reactor"


class Options(usage.Options):  # type: ignore[misc]
    """`twistd quickpulse`: every setting as a flag.

    Errors end the process with status 1 and one line on stderr; twistd would print its whole help around them.
    """

    synopsis = f"[--mode {'|'.join(MODES)}] [options]"
    longdesc = "An in-memory message queue over WebSocket or gRPC, with Prometheus metrics."

    optParameters = [
        ["mode", None, None, MODE_HELP],
        *([option.name, None, None, option.full_help] for option in OPTIONS if not option.is_switch),
    ]
    optFlags = [[option.name, None, option.full_help] for option in OPTIONS if option.is_switch]

    settings: Settings

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Read the flags; what is no flag of ours ends the process."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            _give_up(f"{error}{self._near(options or [])}")

    def postOptions(self) -> None:
        """Make the settings, and install the reactor if nobody has."""
        flags = {key: value for key, value in self.items() if isinstance(value, str)}
        flags |= {option.name: "1" for option in OPTIONS if option.is_switch and self[option.name]}
        try:
            self.settings = read_settings(flags, os.environ)
        except SettingsError as error:
            _give_up(str(error))
        install_reactor()

    def getUsage(self, width: int | None = None) -> str:
        """The options in the order of their table, which belong together; twistd's own words sort them by name."""
        width = width or int(os.environ.get("COLUMNS", "80"))
        rows = [("--mode=", MODE_HELP)]
        rows += [(f"--{each.name}{'' if each.is_switch else '='}", each.full_help) for each in OPTIONS]
        rows += [("--version", "Print the version and exit."), ("--help", "Display this help and exit.")]
        indent = max(len(flag) for flag, _ in rows) + 4
        lines = [
            textwrap.fill(
                text, max(width, indent + 20), initial_indent=f"  {flag}".ljust(indent), subsequent_indent=" " * indent
            )
            for flag, text in rows
        ]
        return "\n".join(["Options:", *lines, "", *textwrap.wrap(self.longdesc, width)])

    def opt_help(self) -> None:
        """Display this help and exit; whoever reads it may have seen enough before its end."""
        try:
            print(self)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)

    def opt_version(self) -> None:
        """Print the version of QuickPulse and exit."""
        from quickpulse.version import __version__

        print(f"quickpulse {__version__}")
        raise SystemExit(0)

    def _near(self, words: list[str]) -> str:
        known = ["--mode", *(f"--{option.name}" for option in OPTIONS)]
        for word in words:
            flag = word.partition("=")[0]
            if flag.startswith("--") and flag not in known:
                return suggest(flag, known)
        return ""


def makeService(options: Options) -> IService:
    """The service that twistd runs.

    Under `--nodaemon` an address that cannot be listened on ends the process with SystemExit, without a traceback. A
    daemon's parent waits for a word from its child, which an exception sends and SystemExit does not.
    """
    from twisted.internet import reactor

    from quickpulse.service import QuickPulseService

    _calm_garbage_collector()
    try:
        return QuickPulseService(
            options.settings, reactor, is_process=True, give_up=None if _is_daemon(options) else _give_up_while_logging
        )
    except SettingsError as error:
        return _give_up(str(error))


def _calm_garbage_collector() -> None:
    """Collect less often, and leave what start-up made out of it.

    Queued messages are not the collector's business, and a call's short-lived objects have no cycles: the default of
    700 allocations between two collections costs 4 % of a gRPC message.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _is_daemon(options: Options) -> bool:
    twistd_options = options.parent
    return twistd_options is not None and not twistd_options["nodaemon"]


def install_reactor() -> None:
    """Install the asyncio reactor over uvloop, unless one is installed: the user's choice is respected."""
    if _REACTOR_MODULE in sys.modules:
        return
    from twisted.internet import asyncioreactor

    try:
        import uvloop
    except ImportError:
        from twisted.logger import Logger

        Logger().warn("uvloop is not installed; the event loop is asyncio's own, which is slower")
        asyncioreactor.install()
    else:
        asyncioreactor.install(uvloop.new_event_loop())


def _give_up_while_logging(text: str) -> NoReturn:
    """Likewise once twistd has put its log, which goes to stdout, in the place of sys.stderr."""
    sys.stderr = sys.__stderr__
    _give_up(text)


def _give_up(text: str) -> NoReturn:
    raise SystemExit(f"quickpulse: {text}")


__all__ = ["Options", "makeService"]
