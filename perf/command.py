"""What every command line runs: a server where none is given, the client, the report; the exit status."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TextIO, TypeAlias

from rich.console import Console

from perf import hardware, plot, report, spawn
from perf.client import Driver, PerfClient, ServerUnavailableError
from perf.options import Options, parse
from perf.outcome import CHECK_FAILED, UNAVAILABLE, Outcome
from perf.processor import listener_pid
from perf.progress import progress_bar

LOG_COLUMNS = 120

Measured: TypeAlias = tuple[tuple[str, int], Outcome]
"""(host, port) of the server, and what came of the run."""

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
"""As shells have it."""


def main(arguments: Sequence[str], driver_class: type[Driver]) -> int:
    """The tool of one mode; the exit status."""
    return run(parse(arguments, driver_class.mode), driver_class)


def run(options: Options, driver_class: type[Driver]) -> int:
    """A whole run, told on the console; the exit status."""
    console = _console(sys.stderr)
    try:
        target, outcome = _new_loop_run(_until_terminated(_measure(options, driver_class, console)))
    except (ServerUnavailableError, spawn.SpawnError) as error:
        console.print(
            f"the server is unavailable: {error}",
            style="bold red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return UNAVAILABLE
    except KeyboardInterrupt:
        console.print("interrupted", style="bold red")
        return INTERRUPTED
    except asyncio.CancelledError:
        console.print("terminated", style="bold red")
        return TERMINATED
    return _tell(console, options, target, outcome)


async def _until_terminated(run: Coroutine[Any, Any, Measured]) -> Measured:
    """The run, cancelled by SIGTERM, so that a server that was started for it is stopped too."""
    task = asyncio.ensure_future(run)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _measure(options: Options, driver_class: type[Driver], console: Console) -> Measured:
    if options.target is not None:
        pid = listener_pid(options.target)
        return options.target, await _drive(options, driver_class, options.target, console, pid)
    server = await spawn.start(options.mode, options.server_arguments)
    try:
        outcome = await _drive(options, driver_class, server.target, console, server.pid)
        counters = await server.counters()
        return server.target, outcome.with_server(await server.stop(), counters)
    finally:
        status = await server.stop()
        if status:
            console.print(server.last_words(), highlight=False, markup=False, soft_wrap=True)
        server.close()


async def _drive(
    options: Options,
    driver_class: type[Driver],
    target: tuple[str, int],
    console: Console,
    server_pid: int | None,
) -> Outcome:
    with progress_bar(console, options) as on_tick:
        return await PerfClient(options, driver_class, target, on_tick, server_pid).run()


def _tell(console: Console, options: Options, target: tuple[str, int], outcome: Outcome) -> int:
    machine = hardware.describe()
    if options.json:
        json.dump(report.as_json(options, target, outcome, machine), sys.stdout)
        sys.stdout.write("\n")
        sys.stdout.flush()
    report.print_report(console if options.json else _console(sys.stdout), options, target, outcome, machine)
    if options.plot is not None:
        try:
            plot.draw(options.plot, options, outcome, machine)
        except OSError as error:
            console.print(f"no graph: {error}", style="bold red", highlight=False, markup=False, soft_wrap=True)
            return CHECK_FAILED
        console.print(f"the graph is in {options.plot}", highlight=False, markup=False, soft_wrap=True)
    return outcome.exit_status


def _console(stream: TextIO) -> Console:
    """Of a fixed width where it is not a terminal, so that tables in a log are whole."""
    return Console(file=stream, width=None if stream.isatty() else LOG_COLUMNS)


def _new_loop_run(coroutine):  # type: ignore[no-untyped-def] # returns what the coroutine does
    """On uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)
