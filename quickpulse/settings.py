"""The server's settings: one table of options, and how flags and environment become a frozen `Settings`.

A setting is looked for in this order: flag, environment, default. What it means is said once, in `OPTIONS`; the
command line's help, the environment's names and the README's table follow from there. Nothing is opened or started.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quickpulse.errors import SettingsError

ENVIRONMENT_PREFIX = "QUICKPULSE_"

MODES = ("ws", "grpc", "grpc_stream", "all")

MODE_VARIABLES = {"WS_MODE": "ws", "RPC_MODE": "grpc", "RPC_STREAM_MODE": "grpc_stream"}
"""The earlier system's variables; 1 means on."""

HOW_TO_CHOOSE = f"give --mode {'|'.join(MODES)}, or set one of WS_MODE, RPC_MODE, RPC_STREAM_MODE to 1"

MEBIBYTE = 1024 * 1024

BATCH_ROOM_BYTES = 65_536
"""What a v1 frame has beside its longest message: names, keys, properties."""


def _whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    limits = f"a whole number from {least} to {most}" if most is not None else f"a whole number, {least} or more"

    def parse(text: str) -> int:
        # isdecimal, as int() takes " 1_0 " too, which nobody means
        number = int(text) if text.isascii() and text.isdecimal() else -1
        if number < least or (most is not None and number > most):
            raise ValueError(f"expected {limits}")
        return number

    return parse


def _unbounded_at_zero(text: str) -> int | None:
    return _whole_number(0)(text) or None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:  # a day; also refuses nan
        raise ValueError("expected seconds, from 0 to 86400")
    return seconds


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {', '.join(words[:-1])} or {words[-1]}")
        return text

    return parse


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a value, got an empty one")
    return text.strip()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _switch(text: str) -> bool:
    try:
        return {"1": True, "0": False, "": False}[text]
    except KeyError:
        raise ValueError("expected 1 or 0") from None


_PORT = _whole_number(0, 65_535)


@dataclass(frozen=True, slots=True)
class Option:
    """One setting, as users see it.

    :param name: the flag without its dashes; `name.upper()` with underscores is the environment's name.
    :param default: the value where neither flag nor environment gives one.
    :param parse: text to value; raises ValueError with what was expected.
    :param help: what it does, one sentence; the help adds the default.
    :param is_switch: the flag takes no value.
    """

    name: str
    default: Any
    parse: Callable[[str], Any]
    help: str
    is_switch: bool = False

    @property
    def field(self) -> str:
        """The attribute of `Settings`."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENVIRONMENT_PREFIX + self.field.upper()

    @property
    def default_text(self) -> str:
        """The default, for people."""
        if self.default is None or self.default == ():
            return "none"
        return "off" if self.default is False else str(self.default)

    @property
    def full_help(self) -> str:
        """The sentence with default and environment variable."""
        return f"{self.help} [default: {self.default_text}; environment: {self.variable}]"


OPTIONS = (
    Option(
        "host",
        "127.0.0.1",
        _text,
        "Address to listen on; 0.0.0.0 is every IPv4 interface, :: every IPv6 one.",
    ),
    Option("ws-port", 8081, _PORT, "Port of the WebSocket endpoints; 0 picks a free one and logs it."),
    Option("grpc-port", 50051, _PORT, "Port of the gRPC service; 0 picks a free one and logs it."),
    Option(
        "http-port",
        8080,
        _PORT,
        "Port of metrics, health and the status page; 0 picks a free one and logs it.",
    ),
    Option(
        "ws-endpoint",
        None,
        _text,
        "Twisted endpoint string, such as tcp:8081:interface=127.0.0.1 or unix:/run/q.sock, in place of host and port.",
    ),
    Option(
        "grpc-endpoint",
        None,
        _text,
        "Likewise for gRPC; with --grpc-server grpcio only tcp:, tcp6:, unix: and ssl:.",
    ),
    Option("http-endpoint", None, _text, "Likewise for metrics, health and the status page."),
    Option(
        "capacity",
        1_000_000,
        _whole_number(1),
        "Most messages that a queue holds; what is over is refused.",
    ),
    Option(
        "capacity-bytes",
        None,
        _unbounded_at_zero,
        "Most payload bytes that a queue holds; 0 is no such bound.",
    ),
    Option(
        "max-message-bytes",
        MEBIBYTE,
        _whole_number(1, 1024 * MEBIBYTE),
        "Longest payload in bytes; one byte more is refused.",
    ),
    Option("max-queues", 10_000, _whole_number(1), "Most queues that clients may make."),
    Option(
        "total-bytes",
        0,
        _whole_number(0),
        "Most bytes that all queues together take; 0 is half of the memory that there is.",
    ),
    Option(
        "max-batch-bytes",
        4_128_768,
        _whole_number(65_536, 1024 * MEBIBYTE),
        "Longest v1 request or reply in bytes, at least one message; stock gRPC clients take the default.",
    ),
    Option(
        "allow-origin",
        (),
        _words,
        "Browser pages of other hosts that may connect: origins separated by commas, or * for any.",
    ),
    Option(
        "auth-token-file",
        None,
        _text,
        "File of bearer tokens, one a line: v1 is for those who show one of them. SIGHUP reads it again.",
    ),
    Option(
        "v0",
        "on",
        _one_of("on", "off"),
        "Whether v0 is served, which knows no tokens: on, or off.",
    ),
    Option(
        "http-api",
        "auto",
        _one_of("auto", "loopback", "on", "off"),
        "Who may use v1 over HTTP: auto, who has a token, or without --auth-token-file as loopback; loopback, this "
        "machine; on, everybody; off, nobody.",
    ),
    Option(
        "allow-host",
        (),
        _words,
        "Names of this server that v1 over HTTP answers to, beside loopback's; separated by commas, or * for any.",
    ),
    Option(
        "legacy-metric-names",
        False,
        _switch,
        "Serve the six queue metrics under the prefix unnamedmq_ too.",
        is_switch=True,
    ),
    Option(
        "ws-frames",
        "fast",
        _one_of("fast", "plain"),
        "How WebSocket frames are read: fast, whole reads at once; plain, by autobahn alone.",
    ),
    Option(
        "grpc-server",
        "native",
        _one_of("native", "grpcio"),
        "Which gRPC server: native, our own; grpcio, the library's.",
    ),
    Option("max-connections", 20_000, _unbounded_at_zero, "Most open connections of clients; 0 is no such bound."),
    Option(
        "max-connections-per-address",
        None,
        _unbounded_at_zero,
        "Most open connections from one address; 0 is no such bound.",
    ),
    Option("max-streams", 1_000, _whole_number(1, 2**31 - 1), "Most open gRPC calls of one connection."),
    Option(
        "max-header-bytes",
        16_384,
        _whole_number(1024, MEBIBYTE),
        "Longest header of a request: of a WebSocket handshake, or a gRPC call's metadata.",
    ),
    Option(
        "max-inflight-bytes",
        16_777_216,
        _whole_number(65_536),
        "Bytes of one gRPC connection that may be under way, at least one message: received, or answered and not read.",
    ),
    Option("handshake-seconds", 5.0, _seconds, "Time for a connection to begin its protocol; 0 is no such bound."),
    Option(
        "idle-seconds",
        0.0,
        _seconds,
        "A connection without a request for this long is closed; 0 is never: dead peers are found by pings.",
    ),
    Option(
        "stall-seconds",
        30.0,
        _seconds,
        "A peer that reads nothing of what waits for it is cut off after this long to twice as long; 0 is never.",
    ),
    Option("drain-seconds", 8.0, _seconds, "Longest time that an orderly end takes after SIGTERM or SIGINT."),
    Option("queue", "memory", _text, "Queue provider: memory, or package.module:factory."),
    Option("metrics", "prometheus", _text, "Metrics provider: prometheus, memory, or package.module:factory."),
)

_BY_VARIABLE = {option.variable: option for option in OPTIONS}
_MODE_VARIABLE = ENVIRONMENT_PREFIX + "MODE"

CLIENT_VARIABLES = tuple(ENVIRONMENT_PREFIX + name for name in ("URL", "TOKEN", "TOKEN_FILE", "CA_FILE", "TIMEOUT"))
"""Of the command `quickpulse`, which may stand beside the server's."""


_SERVICE_LINK = re.compile(r"QUICKPULSE_(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP)\w*)?)")
"""What Kubernetes puts into every container beside a Service that is called quickpulse; no setting, and no mistake."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the service is built from; the fields are documented in `OPTIONS`, field by field."""

    mode: str
    host: str = "127.0.0.1"
    ws_port: int = 8081
    grpc_port: int = 50051
    http_port: int = 8080
    ws_endpoint: str | None = None
    grpc_endpoint: str | None = None
    http_endpoint: str | None = None
    capacity: int = 1_000_000
    capacity_bytes: int | None = None
    max_message_bytes: int = MEBIBYTE
    max_queues: int = 10_000
    total_bytes: int = 0
    max_batch_bytes: int = 4_128_768
    allow_origin: tuple[str, ...] = ()
    auth_token_file: str | None = None
    v0: str = "on"
    http_api: str = "auto"
    allow_host: tuple[str, ...] = ()
    legacy_metric_names: bool = False
    ws_frames: str = "fast"
    grpc_server: str = "native"
    max_connections: int | None = 20_000
    max_connections_per_address: int | None = None
    max_streams: int = 1_000
    max_header_bytes: int = 16_384
    max_inflight_bytes: int = 16_777_216
    handshake_seconds: float = 5.0
    idle_seconds: float = 0.0
    stall_seconds: float = 30.0
    drain_seconds: float = 8.0
    queue: str = "memory"
    metrics: str = "prometheus"


def read_settings(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """The settings that these flags and this environment make.

    :param flags: option name (and "mode") to text; `None` where the flag was not given.
    :param environment: usually os.environ.
    :raises SettingsError: with one line that names the flag or the variable, and what was expected.
    """
    refuse_unknown_variables(environment)
    values = {option.field: _value(option, flags.get(option.name), environment) for option in OPTIONS}
    # What v0 takes, v1 must be able to hand out, and to take.
    values["max_batch_bytes"] = max(values["max_batch_bytes"], values["max_message_bytes"] + BATCH_ROOM_BYTES)
    return Settings(mode=choose_mode(flags.get("mode"), environment), **values)


def choose_mode(flag: str | None, environment: Mapping[str, str]) -> str:
    """The one mode to serve: the flag decides, then QUICKPULSE_MODE, then the three variables.

    :raises SettingsError: none, several, or a value that is no mode.
    """
    if flag is not None:
        return _known_mode(flag, "--mode")
    if _MODE_VARIABLE in environment:
        return _known_mode(environment[_MODE_VARIABLE], _MODE_VARIABLE)
    chosen = [variable for variable in MODE_VARIABLES if _is_on(variable, environment.get(variable, ""))]
    if len(chosen) == 1:
        return MODE_VARIABLES[chosen[0]]
    problem = f"{' and '.join(chosen)} are all on" if chosen else "no mode was chosen"
    raise SettingsError(f"{problem}: {HOW_TO_CHOOSE}")


def suggest(word: str, known: list[str], near: float = 0.6) -> str:
    """The end of an error about an unknown `word`: the nearest known one, if any is as `near` as that, of 1."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=near)
    return f"; did you mean {found[0]}?" if found else ""


def _known_mode(value: str, source: str) -> str:
    if value not in MODES:
        raise SettingsError(f"{source} {value!r} is no mode{suggest(value, list(MODES))}: {HOW_TO_CHOOSE}")
    return value


def _is_on(variable: str, value: str) -> bool:
    try:
        return _switch(value)
    except ValueError as error:
        raise SettingsError(f"{variable}={value!r}: {error}: {HOW_TO_CHOOSE}") from None


def _value(option: Option, flag: str | None, environment: Mapping[str, str]) -> Any:
    if flag is not None:
        source, text = f"--{option.name}", flag
    elif option.variable in environment:
        source, text = option.variable, environment[option.variable]
    else:
        return option.default
    try:
        return option.parse(text)
    except ValueError as error:
        raise SettingsError(f"{source} {text!r}: {error}") from None


def refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Raise SettingsError, with the nearest known one, for a variable that has our prefix and no meaning."""
    known = [*_BY_VARIABLE, _MODE_VARIABLE, *CLIENT_VARIABLES]
    for variable in environment:
        if not variable.startswith(ENVIRONMENT_PREFIX) or _SERVICE_LINK.fullmatch(variable):
            continue
        if variable not in known:
            raise SettingsError(f"unknown environment variable {variable}{suggest(variable, known)}")
