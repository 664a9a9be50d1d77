"""The grpc-timeout field: a number of at most eight digits and a unit."""

from __future__ import annotations

import re

_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

_MOST_DIGITS = 8


_in_future = re.compile(rb"0*[1-9][0-9]*[HMSmun]").fullmatch


def is_in_future(value: bytes) -> bool:
    """Whether it is a timeout with time in it. Asked on the way of every call that has one."""
    return len(value) <= _MOST_DIGITS + 1 and _in_future(value) is not None


def is_timeout(value: bytes) -> bool:
    """Whether `read_timeout` takes it."""
    return value[-1:] in _SECONDS and value[:-1].isdigit() and len(value) <= _MOST_DIGITS + 1


def read_timeout(value: bytes) -> float:
    """Seconds.

    :raises ValueError: it has another form.
    """
    if not is_timeout(value):
        raise ValueError(f"grpc-timeout {value!r} is not up to 8 digits and one of H, M, S, m, u, n")
    return int(value[:-1]) * _SECONDS[value[-1:]]
