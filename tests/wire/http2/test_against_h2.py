"""The h2 library as the peer, in both roles: whatever is said in whatever order and cuts, both hear the same."""

from __future__ import annotations

import unittest
from typing import Any

from h2 import events as theirs_events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.answers import Answer
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.hpacking import literal
from quickpulse.wire.http2.streams import Stream
from tests.wire.http2 import talk
from tests.wire.http2.talk import block

MAX_STREAMS = 10

REQUEST = [*talk.REQUEST[:3], (":authority", "here")]

HEAD, TAIL = literal(b":status", b"200"), literal(b"x-end", b"1")

EXTRAS = st.lists(st.sampled_from([("x-v", "1"), ("x-v", "22"), ("x-a", "b" * 50), ("x-c", "d" * 3000)]), max_size=2)

SIZES = st.sampled_from([0, 1, 10, 1000, 16_384, 20_000, 70_000])


class Peers(RuleBasedStateMachine):
    """A connection of ours and one of h2's, and the bytes between them. What each says of a stream is written down.

    :cvar role: ours.
    """

    role: Role

    def __init__(self) -> None:
        super().__init__()
        self.ours = Connection(self.role, max_streams=MAX_STREAMS, volatile=b"x-v", window=200_000)
        is_client = self.role is Role.SERVER
        self.theirs = H2Connection(H2Configuration(client_side=is_client, header_encoding=None))
        self.theirs.initiate_connection()
        self.to_ours = self.to_theirs = b""
        self.we_said: dict[int, bytearray] = {}
        self.we_heard: dict[int, bytearray] = {}
        self.they_said: dict[int, bytearray] = {}
        self.they_heard: dict[int, bytearray] = {}
        self.we_ended: set[int] = set()
        self.we_heard_end: set[int] = set()
        self.they_ended: set[int] = set()
        self.they_heard_end: set[int] = set()
        self.gone: set[int] = set()
        self.can_speak: dict[int, bool] = {}
        """Streams on which h2 has not said its end: whether its head is out."""
        self.debts: list[tuple[int, int]] = []
        self.count = 0

    @initialize(
        window=st.sampled_from([0, 10, 65_535, 10**6]),
        table=st.sampled_from([0, 100, 4096]),
        size=st.sampled_from([16_384, 30_000]),
    )
    def begin(self, window: int, table: int, size: int) -> None:
        """H2's settings.

        It takes an acknowledgement for that of all that it has changed, so its first is awaited; and the longest frame
        that it takes changes between reads only, so that is said once.
        """
        self.carry_to_us(1)
        self.carry_to_them(1)
        self.theirs.update_settings({SettingCodes.MAX_FRAME_SIZE: size})
        self.carry_to_us(1)
        self.carry_to_them(1)
        self.they_set(window, table)

    # ---- the wire ----

    @rule(part=st.floats(0, 1))
    def carry_to_us(self, part: float) -> None:
        """Some of the bytes on their way."""
        self.to_ours += self.theirs.data_to_send()
        size = int(len(self.to_ours) * part)
        data, self.to_ours = self.to_ours[:size], self.to_ours[size:]
        self.count += 1
        for event in self.ours.receive(data, self.count):
            self.hear(event)
        self.to_theirs += self.ours.data_to_send()

    @rule(part=st.floats(0, 1))
    def carry_to_them(self, part: float) -> None:
        """Likewise."""
        self.to_theirs += self.ours.data_to_send()
        size = int(len(self.to_theirs) * part)
        data, self.to_theirs = self.to_theirs[:size], self.to_theirs[size:]
        for event in self.theirs.receive_data(data):
            self.they_hear(event)

    def hear(self, event: ev.Event) -> None:
        """One event of ours."""
        assert not isinstance(event, ev.Failed), event.reason
        if isinstance(event, ev.Requests):
            for stream_id, body in zip(event.stream_ids, event.bodies, strict=True):
                self.we_heard[stream_id] = bytearray(body)
                self.we_heard_end.add(stream_id)
                if len(body) % 2:
                    self.ours.answer(stream_id, Answer(HEAD, b"whole", TAIL))
                    self.we_said[stream_id] = bytearray(b"whole")
                    self.we_ended.add(stream_id)
                else:
                    self.ours.adopt(stream_id).context = False
        elif isinstance(event, ev.Opened):
            event.stream.context = False
            self.we_heard[event.stream.id] = bytearray()
        elif isinstance(event, ev.Data):
            for chunk in event.chunks:
                self.we_heard.setdefault(event.stream.id, bytearray()).extend(chunk)
        elif isinstance(event, ev.Ended):
            self.we_heard_end.add(event.stream.id)
        elif isinstance(event, ev.Reset):
            assert not event.is_ours, event.reason
            self.gone.add(event.stream.id)
        elif isinstance(event, ev.ResetAfterEnd):
            self.gone.add(event.stream_id)

    def they_hear(self, event: Any) -> None:
        """One event of h2's."""
        stream_id = getattr(event, "stream_id", 0)
        if isinstance(event, theirs_events.RequestReceived):
            self.can_speak[stream_id] = False
            self.they_said[stream_id], self.they_heard[stream_id] = bytearray(), bytearray()
        elif isinstance(event, theirs_events.DataReceived):
            self.they_heard.setdefault(stream_id, bytearray()).extend(event.data)
            self.debts.append((event.flow_controlled_length, stream_id))
        elif isinstance(event, theirs_events.StreamEnded):
            self.they_heard_end.add(stream_id)
        elif isinstance(event, theirs_events.StreamReset):
            self.gone.add(stream_id)
            self.can_speak.pop(stream_id, None)
        assert not isinstance(event, theirs_events.ConnectionTerminated) or event.error_code == 0

    # ---- h2 speaks ----

    @precondition(lambda self: self.role is Role.SERVER)
    @rule(extras=EXTRAS, end=st.booleans(), size=st.sampled_from([None, 0, 1, 2, 500]))
    def they_ask(self, extras: list[tuple[str, str]], end: bool, size: int | None) -> None:
        """A request: fields, perhaps with all of its body."""
        if self.theirs.open_outbound_streams >= MAX_STREAMS - 1:
            return
        stream_id = self.theirs.get_next_available_stream_id()
        is_whole = size is not None and size <= self.theirs.outbound_flow_control_window
        self.theirs.send_headers(stream_id, [*REQUEST, *extras], end_stream=end and not is_whole)
        self.they_said[stream_id], self.they_heard[stream_id] = bytearray(), bytearray()
        if is_whole and size is not None:
            self.theirs.send_data(stream_id, b"w" * size, end_stream=True)
            self.they_said[stream_id] += b"w" * size
        if end or is_whole:
            self.they_ended.add(stream_id)
        else:
            self.can_speak[stream_id] = True

    @precondition(lambda self: self.can_speak)
    @rule(data=st.data(), size=SIZES, pad=st.sampled_from([None, None, 0, 255]), end=st.booleans())
    def they_send(self, data: st.DataObject, size: int, pad: int | None, end: bool) -> None:
        """Some of a body, after the head where there was none."""
        stream_id = data.draw(st.sampled_from(sorted(self.can_speak)))
        if not self.can_speak[stream_id]:
            self.theirs.send_headers(stream_id, [(":status", "200"), ("x-a", "b")])
            self.can_speak[stream_id] = True
        room = min(self.theirs.local_flow_control_window(stream_id), self.theirs.max_outbound_frame_size)
        room -= 0 if pad is None else pad + 1
        if room < 0:
            return
        body = bytes(min(size, room))
        self.theirs.send_data(stream_id, body, end_stream=end, pad_length=pad)
        self.they_said[stream_id] += body
        self.they_end(stream_id) if end else None

    @precondition(lambda self: self.can_speak)
    @rule(data=st.data(), how=st.sampled_from(["trailers", "reset"]))
    def they_finish(self, data: st.DataObject, how: str) -> None:
        """Trailers, or a reset."""
        stream_id = data.draw(st.sampled_from(sorted(self.can_speak)))
        if how == "reset":
            self.theirs.reset_stream(stream_id, 8)
            self.gone.add(stream_id)
            del self.can_speak[stream_id]
        elif self.can_speak[stream_id]:
            self.theirs.send_headers(stream_id, [("x-end", "1")], end_stream=True)
            self.they_end(stream_id)

    def they_end(self, stream_id: int) -> None:
        """H2 has said all."""
        self.they_ended.add(stream_id)
        del self.can_speak[stream_id]

    @rule(count=st.integers(0, 5))
    def they_give_room(self, count: int) -> None:
        """For data that came."""
        while self.debts and count:
            size, stream_id = self.debts.pop(0)
            count -= 1
            if size:
                self.theirs.acknowledge_received_data(size, stream_id)

    @rule(
        window=st.sampled_from([0, 100, 65_535, 100_000]),
        table=st.sampled_from([0, 4096, 10_000]),
    )
    def they_set(self, window: int, table: int) -> None:
        """Other settings."""
        self.theirs.update_settings(
            {
                SettingCodes.INITIAL_WINDOW_SIZE: window,
                SettingCodes.HEADER_TABLE_SIZE: table,
            }
        )

    @rule()
    def ping(self) -> None:
        """Both."""
        self.theirs.ping(b"12345678")
        self.ours.ping(b"87654321")

    # ---- we speak ----

    def speakable(self) -> list[Stream]:
        """Streams on which we have not said our end."""
        return [s for s in self.ours.streams.values() if not s.is_local_closed and s.trailers is None]

    @precondition(lambda self: self.role is Role.CLIENT)
    @rule(end=st.booleans(), extras=EXTRAS)
    def we_ask(self, end: bool, extras: list[tuple[str, str]]) -> None:
        """A request."""
        if len(self.ours.streams) < MAX_STREAMS:
            stream = self.ours.open(block([*REQUEST, *extras]), end=end)
            stream.context = True
            self.we_said[stream.id] = bytearray()
            if end:
                self.we_ended.add(stream.id)

    @precondition(lambda self: self.speakable())
    @rule(data=st.data(), size=SIZES, how=st.sampled_from(["go on", "go on", "end", "trailers", "reset", "whole"]))
    def we_send(self, data: st.DataObject, size: int, how: str) -> None:
        """Some of a body, an end, a reset, or a whole answer."""
        stream = data.draw(st.sampled_from(self.speakable()))
        said = self.we_said.setdefault(stream.id, bytearray())
        if how == "reset":
            self.ours.reset(stream, ErrorCode.CANCEL)
            self.gone.add(stream.id)
            return
        if how == "whole" and not stream.context:
            self.ours.respond(stream, HEAD, bytes(size), TAIL if size % 3 else b"")
            said.extend(bytes(size))
            self.we_ended.add(stream.id)
            return
        if not stream.context:
            self.ours.send_headers(stream, HEAD)
            stream.context = True
        self.ours.send_data(stream, bytes(size))
        said.extend(bytes(size))
        if how == "end" and stream.send_window < 0:
            how = "trailers"  # h2 does not take an empty DATA then, though it may come (RFC 9113, section 6.9.1)
        if how in ("end", "trailers"):
            self.ours.end(stream, TAIL if how == "trailers" else b"")
            self.we_ended.add(stream.id)

    @precondition(lambda self: self.ours.streams)
    @rule(data=st.data(), is_held=st.booleans())
    def we_hold(self, data: st.DataObject, is_held: bool) -> None:
        """Give no room for a while."""
        stream = data.draw(st.sampled_from(list(self.ours.streams.values())))
        (self.ours.hold if is_held else self.ours.release)(stream)

    # ---- what must hold ----

    def teardown(self) -> None:
        """All arrives in the end, but for streams that were reset."""
        self.they_set(10**6, 4096)
        for _ in range(30):
            for stream in list(self.ours.streams.values()):
                self.ours.release(stream)
            self.carry_to_us(1)
            self.carry_to_them(1)
            self.they_give_room(len(self.debts))
        assert not self.to_ours
        assert not self.to_theirs
        for said, ended, heard, heard_end in (
            (self.we_said, self.we_ended, self.they_heard, self.they_heard_end),
            (self.they_said, self.they_ended, self.we_heard, self.we_heard_end),
        ):
            for stream_id, body in said.items():
                if stream_id not in self.gone:
                    assert heard.get(stream_id, b"") == body, stream_id
                    assert (stream_id in heard_end) is (stream_id in ended), stream_id
        assert not self.ours.is_blocked
        assert self.ours.unsent_bytes == 0


class ServerPeers(Peers):
    """We serve."""

    role = Role.SERVER


class ClientPeers(Peers):
    """We ask."""

    role = Role.CLIENT


class AgainstH2Tests(unittest.TestCase):
    """Both roles."""

    def test_server(self) -> None:
        """H2 asks, we answer."""
        run_state_machine_as_test(ServerPeers, settings=BOUNDED)

    def test_client(self) -> None:
        """We ask, h2 answers."""
        run_state_machine_as_test(ClientPeers, settings=BOUNDED)


BOUNDED = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, report_multiple_bugs=False)
