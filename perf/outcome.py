"""What a run came to: its figures, and what is wrong with it. Nothing is measured or printed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from perf.exchange import QUEUE_IS_FULL
from perf.http_pages import ServerCounters
from perf.latency import LatencySummary
from perf.ledger import Totals
from perf.processor import ProcessorUse
from perf.timeline import Slice

if TYPE_CHECKING:
    from perf.exchange import Exchange
    from perf.timeline import Timeline

CHECKS_PASSED, CHECK_FAILED, WRONG_USAGE, UNAVAILABLE = 0, 1, 2, 5
"""Exit statuses."""

_FAULTS = {
    "lost": "acknowledged and never came out",
    "duplicated": "came out more than once",
    "damaged": "came out altered",
    "blank": "came out empty",
    "foreign": "of another run came out: the queue was not empty before",
    "unsent": "came out that were never sent",
    "refused_delivered": "refused, and came out all the same",
    "unanswered": "sent and never answered",
}


@dataclass(frozen=True)
class Outcome:
    """The figures of a run.

    totals: what became of the messages
    errors: how often each kind of error was answered, refusals included
    empty_answers: how often a consumer was told that the queue is empty
    publish_seconds: from the start to the last acknowledgement
    receive_seconds: from the start (or the first message, where consuming came after) to the last message
    published_per_second, received_per_second: acknowledged messages, and messages that came out, over those
    publish, end_to_end: latency from sending to the acknowledgement, and to the arrival
    processor: what the load, the server and others used of it
    checked_order: whether the transport promises an order with this many requests in flight
    consumed: whether anything was taken out at all
    server_exit_status: of the server that was started for the run
    server_counters: its own metrics, after the run
    """

    totals: Totals
    errors: Mapping[str, int]
    empty_answers: int
    publish_seconds: float
    receive_seconds: float
    published_per_second: float
    received_per_second: float
    publish: LatencySummary
    end_to_end: LatencySummary
    slices: tuple[Slice, ...]
    processor: ProcessorUse
    checked_order: bool
    consumed: bool
    server_exit_status: int | None = None
    server_counters: ServerCounters | None = None

    @classmethod
    def of(
        cls,
        exchange: Exchange,
        timeline: Timeline,
        processor: ProcessorUse,
        *,
        ordered: bool,
        consumed: bool,
    ) -> Outcome:
        """The outcome of a run that is over."""
        totals = exchange.ledger.totals()
        options = exchange.options
        publish_seconds = exchange.publish_ended_at - exchange.started_at
        receive_from = exchange.receive_started_at if options.in_turn else exchange.started_at
        receive_seconds = exchange.receive_ended_at - (receive_from or exchange.started_at)
        return cls(
            totals=totals,
            errors=dict(exchange.errors),
            empty_answers=exchange.empty_count,
            publish_seconds=publish_seconds,
            receive_seconds=receive_seconds,
            published_per_second=totals.acknowledged / publish_seconds if publish_seconds else 0.0,
            received_per_second=totals.received / receive_seconds if receive_seconds else 0.0,
            publish=exchange.publish_latency.summary(),
            end_to_end=exchange.end_to_end_latency.summary(),
            slices=tuple(timeline.slices),
            processor=processor,
            checked_order=ordered or options.in_flight == 1,
            consumed=consumed,
        )

    def with_server(self, exit_status: int, counters: ServerCounters | None) -> Outcome:
        """The same, and what is known of the server that was started for it."""
        return replace(self, server_exit_status=exit_status, server_counters=counters)

    @property
    def faults(self) -> list[str]:
        """Everything that must not be, in plain words. Refusals are counted, but a full queue is no fault."""
        faults = [] if self.totals.sent else ["nothing was sent: nothing was measured"]
        for name, meaning in _FAULTS.items():
            count = getattr(self.totals, name)
            if count and (self.consumed or name != "lost"):
                faults.append(f"{count:,} {meaning}")
        if self.checked_order and self.totals.out_of_order:
            faults.append(f"{self.totals.out_of_order:,} came out of order")
        faults += [f"{count:,} x {kind}" for kind, count in self.errors.items() if kind != QUEUE_IS_FULL]
        faults += self._counter_faults()
        if self.server_exit_status:
            faults.append(f"the server ended with status {self.server_exit_status}")
        return faults

    def _counter_faults(self) -> list[str]:
        """Where the server counted something else than was seen; unanswered messages may be among its own."""
        counters, totals = self.server_counters, self.totals
        if counters is None:
            return []
        faults = []
        if not totals.acknowledged <= counters.enqueued <= totals.acknowledged + totals.unanswered:
            faults.append(f"the server counted {counters.enqueued:,} enqueued, not {totals.acknowledged:,}")
        if counters.dequeued != totals.received and not totals.unanswered:
            faults.append(f"the server counted {counters.dequeued:,} dequeued, not {totals.received:,}")
        return faults

    @property
    def exit_status(self) -> int:
        """Of the tool."""
        return CHECK_FAILED if self.faults else CHECKS_PASSED
