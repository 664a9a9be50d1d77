"""A session of v1 whose frames come in reads, from whatever carries them: one gatherer for Connect and for /ws/v1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quickpulse.errors import QuickPulseError
from quickpulse.transports.held_leases import HeldLeases
from quickpulse.transports.v1_session import Session, taken_in
from quickpulse.wire.v1.errors import row_of
from quickpulse.wire.v1.frames import Encoding, read_request, write_reply

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic

GATHERED_BYTES, FRAMES_AT_ONCE = 65_536, 250
"""Length of the replies, and number of frames, after which the rest of a read waits until others had their turn, and
until the peer reads: a few bytes may ask for megabytes, or for a list of all queues."""


class FrameSession(Session):
    """What can be answered at once is answered together, as far as the peer reads it.

    :param broker: the IBroker.
    :param encoding: of the frames.
    :param max_bytes: of a frame that comes.
    :param send: `(frames, taken)`: write the replies to what was read just now; `taken` messages in them are in no
        queue any more, and are lost if they do not arrive.
    :param push: `(frame, taken)`: write what comes by itself.
    :param traffic: the ITraffic.
    :param held: as in Session.
    """

    def __init__(
        self,
        broker: Any,
        encoding: Encoding,
        max_bytes: int,
        send: Callable[[list[bytes], int], None],
        push: Callable[[bytes, int], None],
        traffic: ITraffic,
        held: HeldLeases | None = None,
    ) -> None:
        super().__init__(broker, self._answered, traffic, held)
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._send_frames = send
        self._push_frame = push
        self._gathered: list[bytes] | None = None  # replies to the frames of a read
        self._gathered_bytes = 0
        self._taken = 0  # messages in them

    def serve(self, messages: list[bytes]) -> list[bytes]:
        """Serve the frames of a read.

        :returns: those that are to be served later.
        :raises QuickPulseError: one is no frame, and the connection is to end; those before it are answered.
        """
        served = 0
        self._gathered = []
        fault: QuickPulseError | None = None
        for served, message in enumerate(messages, 1):
            request_id, request = read_request(message, self._encoding, self._max_bytes)
            if isinstance(request, QuickPulseError) and row_of(request).close_code is not None:
                fault = request
                break
            self.request(request_id, request)
            if self._gathered_bytes >= GATHERED_BYTES or served == FRAMES_AT_ONCE:
                break
        self._send_gathered()
        if fault is not None:
            self._traffic.failed(fault)
            raise fault
        return messages[served:]

    @property
    def is_serving(self) -> bool:
        """Whether frames are served at this moment."""
        return self._gathered is not None

    def _answered(self, request_id: int, reply: Any) -> None:
        frame = write_reply(request_id, reply, self._encoding)
        taken = taken_in(reply)
        if self._gathered is None:
            self._push_frame(frame, taken)
        else:
            self._gathered.append(frame)
            self._gathered_bytes += len(frame)
            self._taken += taken

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, None
        taken, self._taken = self._taken, 0
        self._gathered_bytes = 0
        if gathered:
            self._send_frames(gathered, taken)
