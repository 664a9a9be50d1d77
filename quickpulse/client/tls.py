"""TLS as bytes, for a face whose sockets know none: bytes of the connection in, what they say out, and back. No I/O."""

from __future__ import annotations

import ssl

READ_BYTES = 64 * 1024


class Tls:
    """The client's side of one connection.

    :param context: how the server proves who it is.
    :param host: who it should be.
    :ivar ssl_object: the connection as the standard library has it.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.is_ready = False
        """Whether the server has proved who it is; nothing is sent before."""
        self.has_ended = False
        """Whether the server has said that this is all."""

    def start(self) -> None:
        """Begin the handshake: there is something for `data_to_send`."""
        self._shake_hands()

    def receive(self, data: bytes) -> bytes:
        """Take in what was read: what it says; there may be something for `data_to_send`.

        :raises ssl.SSLError: the server is not to be trusted, or does not speak TLS.
        """
        self._incoming.write(data)
        if not self.is_ready:
            self._shake_hands()
        parts = []
        while self.is_ready and not self.has_ended:
            try:
                part = self.ssl_object.read(READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            if not part:
                self.has_ended = True
            parts.append(part)
        return b"".join(parts)

    def send(self, data: bytes) -> None:
        """There is more for `data_to_send`."""
        view = memoryview(data)
        while view:
            view = view[self.ssl_object.write(view) :]

    def end(self) -> None:
        """Say that this is all."""
        try:
            self.ssl_object.unwrap()
        except ssl.SSLError:  # the other side has not said so yet, and need not
            return

    def data_to_send(self) -> bytes:
        """What is to be written now; it is handed out once."""
        return self._outgoing.read()

    def _shake_hands(self) -> None:
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.is_ready = True
