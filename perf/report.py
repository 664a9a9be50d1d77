"""An outcome as a table for people and as JSON for machines. What is wrong, the outcome says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from perf.hardware import Hardware
from perf.latency import LatencySummary
from perf.options import Options
from perf.outcome import Outcome

JSON_FORM = 1
"""Goes up when a field of the JSON changes its meaning or disappears."""


def as_json(options: Options, target: tuple[str, int], outcome: Outcome, hardware: Hardware) -> dict[str, Any]:
    """The whole result; latencies in milliseconds, rates in messages a second."""
    return {
        "form": JSON_FORM,
        "mode": options.mode,
        "target": f"{target[0]}:{target[1]}",
        "spawned": options.target is None,
        "options": asdict(options),
        "counts": asdict(outcome.totals),
        "errors": dict(outcome.errors),
        "empty_answers": outcome.empty_answers,
        "publish_seconds": outcome.publish_seconds,
        "receive_seconds": outcome.receive_seconds,
        "published_per_second": outcome.published_per_second,
        "received_per_second": outcome.received_per_second,
        "latency_milliseconds": {
            "publish": asdict(outcome.publish),
            "end_to_end": asdict(outcome.end_to_end),
        },
        "order_checked": outcome.checked_order,
        "consumed": outcome.consumed,
        "load_cpu_share": outcome.processor.load,
        "load_is_limit": outcome.processor.load_is_limit,
        "server_cpu_share": outcome.processor.server,
        "others_cpu_share": outcome.processor.others,
        "server_exit_status": outcome.server_exit_status,
        "server_counters": None if outcome.server_counters is None else asdict(outcome.server_counters),
        "hardware": asdict(hardware),
        "slices": [asdict(each) for each in outcome.slices],
        "faults": outcome.faults,
        "exit_status": outcome.exit_status,
    }


def print_report(
    console: Console, options: Options, target: tuple[str, int], outcome: Outcome, hardware: Hardware
) -> None:
    """The tables, the machine, and the verdict."""
    console.print(_headline(options, target), highlight=False, markup=False, soft_wrap=True)
    console.print(_counts(outcome))
    console.print(_latencies(outcome))
    for line in _surroundings(outcome, hardware):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for fault in outcome.faults:
        console.print(f"FAULT: {fault}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    if not outcome.faults:
        console.print(_praise(outcome), style="bold green", highlight=False, soft_wrap=True)


def _headline(options: Options, target: tuple[str, int]) -> str:
    amount = f"{options.seconds:g} s" if options.seconds is not None else f"{options.messages:,} messages"
    turn = ", in turn" if options.in_turn else ""
    return (
        f"{options.mode} on {target[0]}:{target[1]}: {amount} of {options.payload_bytes:,} bytes, "
        f"{options.producers} producers, {options.consumers} consumers, "
        f"{options.in_flight} in flight each{turn}"
    )


def _counts(outcome: Outcome) -> Table:
    totals = outcome.totals
    table = Table(title="Messages", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("a second", justify="right")
    table.add_row("sent", f"{totals.sent:,}", "")
    table.add_row("acknowledged", f"{totals.acknowledged:,}", f"{outcome.published_per_second:,.0f}")
    table.add_row("received", f"{totals.received:,}", f"{outcome.received_per_second:,.0f}")
    table.add_section()
    table.add_row("lost", f"{totals.lost:,}" if outcome.consumed else "not checked", "")
    for name in ("duplicated", "damaged", "blank"):
        table.add_row(name, f"{getattr(totals, name):,}", "")
    table.add_row("out of order", f"{totals.out_of_order:,}", "" if outcome.checked_order else "not promised")
    for name in ("unanswered", "foreign", "unsent", "refused_delivered"):
        if getattr(totals, name):
            table.add_row(name.replace("_", ", "), f"{getattr(totals, name):,}", "")
    table.add_section()
    for kind, count in outcome.errors.items():
        table.add_row(escape(f"error: {kind}"), f"{count:,}", "")
    table.add_row("answered: queue is empty", f"{outcome.empty_answers:,}", "")
    return table


def _latencies(outcome: Outcome) -> Table:
    table = Table(title="Latency, milliseconds (closed loop)", title_justify="left")
    for column in ("from sending to", "p50", "p90", "p99", "p99.9", "max", "mean"):
        table.add_column(column, justify="left" if column == "from sending to" else "right")
    _add_latency(table, "acknowledgement", outcome.publish)
    _add_latency(table, "arrival", outcome.end_to_end)
    return table


def _add_latency(table: Table, name: str, latency: LatencySummary) -> None:
    values = (latency.p50, latency.p90, latency.p99, latency.p999, latency.max, latency.mean)
    table.add_row(name, *(f"{value:,.3f}" if latency.count else "-" for value in values))


def _surroundings(outcome: Outcome, hardware: Hardware) -> list[str]:
    lines = [
        f"{hardware.cpu}, {hardware.cores} cores, {hardware.memory_bytes / 2**30:.1f} GiB, {hardware.system}",
        f"{hardware.python}, uvloop {hardware.uvloop}, grpcio {hardware.grpcio}, Twisted {hardware.twisted}, "
        f"quickpulse {hardware.quickpulse}",
    ]
    return lines + outcome.processor.told()


def _praise(outcome: Outcome) -> str:
    if not outcome.consumed:
        return "OK: every message was answered; nothing was taken out, so delivery was not checked"
    order = ", in order" if outcome.checked_order else ""
    return f"OK: what was acknowledged came out exactly once, unaltered{order}"
