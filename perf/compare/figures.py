"""The arithmetic of a comparison: medians, spreads, ratios, and whether the load was what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from perf.compare.measure import Measurement
from perf.compare.servers import ECHO, STOCK

BUSY_SHARE = 0.95
"""Of a core: above it the load may be the limit."""


@dataclass(frozen=True)
class Figures:
    """One server on one row, over all rounds; medians but for `slowest` and `fastest`.

    rate, slowest, fastest: messages a second
    to_stock, to_echo: ratios of rates, where there is such a server
    load_share, server_share: of a core
    server_microseconds: of processor time for each message
    server_bytes: of memory that the server held at the end
    is_load_limited: the load had no time left while the server had
    """

    rate: float
    slowest: float
    fastest: float
    rates: tuple[float, ...]
    to_stock: float | None
    to_echo: float | None
    load_share: float
    server_share: float | None
    server_microseconds: float | None
    server_bytes: float | None
    is_load_limited: bool


def figures(measured: Mapping[str, Sequence[Measurement]]) -> dict[str, Figures]:
    """By server's name, of one row."""
    rates = {name: median(each.rate for each in runs) for name, runs in measured.items()}
    return {
        name: Figures(
            rate=rates[name],
            slowest=min(each.rate for each in runs),
            fastest=max(each.rate for each in runs),
            rates=tuple(each.rate for each in runs),
            to_stock=_ratio(rates, name, STOCK),
            to_echo=_ratio(rates, name, ECHO),
            load_share=median(each.load_share for each in runs),
            server_share=_median([each.server_share for each in runs]),
            server_microseconds=_median([each.server_microseconds for each in runs]),
            server_bytes=_median([each.server_bytes for each in runs]),
            is_load_limited=_is_load_limited(runs),
        )
        for name, runs in measured.items()
    }


def _is_load_limited(runs: Sequence[Measurement]) -> bool:
    if any(each.is_shared_core for each in runs):
        return False
    load, server = median(each.load_share for each in runs), _median([each.server_share for each in runs])
    return load >= BUSY_SHARE and (server is None or server < load)


def _ratio(rates: Mapping[str, float], name: str, base: str) -> float | None:
    return rates[name] / rates[base] if base in rates and name != base else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
