"""One connection to a server's gRPC port, as bytes: one call of Connect, on HTTP/2. No socket and no clock is here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from quickpulse.client.errors import ConnectionLost
from quickpulse.client.link import MOST_REPLY_BYTES, Link
from quickpulse.errors import QuickPulseError
from quickpulse.version import __version__
from quickpulse.wire.grpc.framing import MessageReader, framed
from quickpulse.wire.grpc.status import RpcError, Status
from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.hpacking import literal
from quickpulse.wire.v1.errors import read_error
from quickpulse.wire.v1.frames import NO_REQUEST
from quickpulse.wire.v1.table import CONNECT_PATH

_POST, _HTTP, _HTTPS = b"\x83", b"\x86", b"\x87"
"""`:method: POST`, `:scheme: http` and `:scheme: https` in HPACK's static table."""

_PING = b"quickpls"

_HTTP_OK = b"200"

_HTTP1 = b"H"
"""The first byte of what a server of HTTP/1 says."""


class GrpcLink(Link):
    """Frames out as bytes, bytes in as frames. It is over when `receive` says so.

    :param authority: host and port.
    :param token: bearer token, or "".
    :param is_tls: whether TLS is around it.
    """

    def __init__(self, authority: str, token: str = "", *, is_tls: bool = False) -> None:
        super().__init__()
        self._http2 = Connection(Role.CLIENT)
        block = [
            _POST + (_HTTPS if is_tls else _HTTP),
            literal(b":path", CONNECT_PATH.encode()),
            literal(b":authority", authority.encode()),
            literal(b"content-type", b"application/grpc"),
            literal(b"te", b"trailers"),
            literal(b"user-agent", b"quickpulse-python/" + __version__.encode()),
        ]
        if token:
            block.append(literal(b"authorization", b"Bearer " + token.encode()))
        self._stream = self._http2.open(b"".join(block))
        self._reader = MessageReader(MOST_REPLY_BYTES, False)

    def send(self, request_id: int, request: Any) -> None:
        """Send a request of the vocabulary.

        :raises InvalidArgument: a field has a value that does not fit.
        :raises RequestTooLarge: the server would not read it.
        """
        self._http2.send_data(self._stream, framed(self._written(request_id, request)))

    def data_to_send(self) -> bytes:
        """What is to be written now; it is handed out once."""
        return self._http2.data_to_send()

    @property
    def unsent_bytes(self) -> int:
        """What waits because the server does not read."""
        return self._http2.unsent_bytes

    def ping(self) -> None:
        """Ask for a sign of life; anything that is read is one."""
        self._http2.ping(_PING)

    def end(self) -> None:
        """Say that nothing more is asked."""
        if not self._stream.is_local_closed:
            self._http2.end(self._stream)

    def receive(self, data: bytes, now: float) -> list[tuple[int, Any]]:
        """Take in what was read: (request_id, reply or error) of each frame.

        With request_id 0 comes why the link is over, last of all; of the server's own kind where it said one.
        """
        self._look_at(data)
        chunks: list[bytes] = []
        frames: list[tuple[int, Any]] = []
        fault: QuickPulseError | None = None
        for event in self._http2.receive(data, now):
            if isinstance(event, ev.Data):
                chunks += event.chunks
            elif fault is None:
                fault = self._fault_in(event)
        if chunks:
            try:
                frames, wrong = self._read(self._reader.feed(chunks))
            except RpcError as error:
                wrong = ConnectionLost(f"what the server says cannot be read: {error}")
            fault = wrong or fault
        if fault is not None:
            frames.append((NO_REQUEST, fault))
        return frames

    def _fault_in(self, event: Any) -> QuickPulseError | None:
        """Why the link is over after this event; None: it is not."""
        if isinstance(event, ev.Fields):
            return self._fault_of_fields(dict(event.fields), event.is_trailers)
        if isinstance(event, ev.Reset):
            return ConnectionLost(f"the server reset the call (code {event.code})")
        if isinstance(event, ev.Failed):
            if self._first == _HTTP1:
                return ConnectionLost("this port speaks HTTP/1, and not gRPC; is it one for quickpulse+ws://?")
            return self._no_protocol(f"this is no HTTP/2: {event.reason}")
        if isinstance(event, ev.Ended):
            return ConnectionLost("the server ended the call")
        return None

    def _fault_of_fields(self, fields: dict[bytes, bytes], is_end: bool) -> QuickPulseError | None:
        http = fields.get(b":status", _HTTP_OK)
        if http != _HTTP_OK:
            return ConnectionLost(f"the server answers with HTTP status {http.decode('latin-1')}")
        if not is_end:
            return None
        text = unquote(fields.get(b"grpc-message", b"").decode("latin-1"))
        reason = fields.get(b"quickpulse-reason", b"").decode("latin-1")
        status = fields.get(b"grpc-status", b"")
        if not reason and status == b"%d" % Status.UNIMPLEMENTED:
            reason, text = "UNSUPPORTED", f"the server has no v1: {text}"
        if reason:
            return read_error(SimpleNamespace(reason=reason, message=text, retry_after_ms=0))
        return ConnectionLost(f"the server ended the call (gRPC status {status.decode('latin-1')}): {text}")
