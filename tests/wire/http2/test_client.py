"""The client's role: its rules one by one, and whole calls against grpcio's server."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_STREAM_ID,
    PREFACE,
    PUSH_PROMISE,
    SETTINGS,
    frame,
    goaway_frame,
    read_settings,
    rst_stream_frame,
    settings_frame,
    window_update_frame,
)
from quickpulse.wire.http2.settings import Setting
from quickpulse.wire.http2.streams import Stream
from tests.wire.http2.talk import REQUEST, RESPONSE, Talk, block, frames_of, told_each_way

LAST = END_HEADERS | END_STREAM

TIMEOUT_SECONDS = 20.0
"""After which a test fails that waits for the server."""


def headers(*fields: tuple[str, str], flags: int = END_HEADERS, stream_id: int = 1) -> bytes:
    """Fields from the server."""
    return frame(HEADERS, flags, stream_id, block(fields))


class ClientTests(SynchronousTestCase):
    """What a server may say to us."""

    def talk(self, **options: Any) -> tuple[Talk, Stream]:
        """A conversation with one request out."""
        talk = Talk(Role.CLIENT, **options)
        stream = talk.connection.open(block())
        talk.connection.data_to_send()
        return talk, stream

    def resets(self, code: ErrorCode, *frames: bytes) -> None:
        """The stream ends with this code, the connection lives."""
        talk, _ = self.talk()
        talk.feed(*frames)
        self.assertIsNone(talk.told.failure, talk.told.reason)
        self.assertEqual(talk.told.resets, {1: code})
        self.assertEqual(talk.sent(), frames_of(rst_stream_frame(1, code)))

    def fails(self, code: ErrorCode, *frames: bytes) -> None:
        """The connection ends with this code."""
        talk, _ = self.talk()
        talk.feed(*frames)
        self.assertEqual(talk.told.failure, code)
        self.assertEqual(talk.sent()[-1], frames_of(goaway_frame(0, code, talk.told.reason.encode()))[0])

    def test_what_we_say_first(self) -> None:
        """The preface, and SETTINGS that forbid pushing."""
        introduction = Talk(Role.CLIENT).introduction
        self.assertTrue(introduction.startswith(PREFACE))
        first = frames_of(introduction[len(PREFACE) :])[0]
        self.assertEqual((first[0], dict(read_settings(first[3]))[Setting.ENABLE_PUSH]), (SETTINGS, 0))

    def test_the_servers_settings(self) -> None:
        """They come first, are acknowledged, and tell how many streams it takes."""
        talk, sent = told_each_way(settings_frame([(Setting.MAX_CONCURRENT_STREAMS, 7)]), role=Role.CLIENT)
        self.assertEqual((talk.connection.peer_max_streams, sent), (7, [(SETTINGS, ACK, 0, b"")]))
        first = Talk(Role.CLIENT, begin=False)
        self.assertFalse(first.connection.is_established)
        first.feed(window_update_frame(0, 1))
        self.assertEqual(first.told.failure, ErrorCode.PROTOCOL_ERROR)
        self.fails(ErrorCode.PROTOCOL_ERROR, settings_frame([(Setting.ENABLE_PUSH, 1)]))
        self.assertIsNone(self.talk(settings=[(Setting.ENABLE_PUSH, 0)])[0].told.failure)

    def test_requests(self) -> None:
        """Odd numbers in their order; with a body or without; none beyond the last."""
        talk, _ = self.talk()
        second = talk.connection.open(block(), end=True)
        self.assertEqual((second.id, second.is_local_closed), (3, True))
        self.assertEqual([frame[:3] for frame in talk.sent()], [(HEADERS, LAST, 3)])
        talk.connection._table.last_id = MAX_STREAM_ID - 2
        self.assertEqual(talk.connection.open(block()).id, MAX_STREAM_ID)
        self.assertRaises(ValueError, talk.connection.open, block())

    def test_a_response(self) -> None:
        """Fields, body, trailers, each way that bytes are cut."""
        data = headers(*RESPONSE) + frame(DATA, 0, 1, b"ab") + frame(DATA, 0, 1, b"c") + headers(("x", "1"), flags=LAST)
        for size in (1, 7, len(data)):
            talk, stream = self.talk()
            for at in range(0, len(data), size):
                talk.feed(data[at : at + size])
            self.assertEqual([(n, is_trailers) for n, _, is_trailers in talk.told.fields], [(1, False), (1, True)])
            self.assertEqual((talk.told.bodies, talk.told.ended), ({1: b"abc"}, [1]))
            self.assertFalse(stream.is_gone)
            talk.connection.end(stream)
            self.assertTrue(stream.is_gone)
            self.assertEqual(talk.connection.streams, {})

    def test_only_trailers(self) -> None:
        """A response that is nothing but fields."""
        talk, stream = self.talk()
        talk.feed(headers(*RESPONSE, ("grpc-status", "5"), flags=LAST))
        self.assertEqual([is_trailers for _, _, is_trailers in talk.told.fields], [True])
        self.assertTrue(stream.is_remote_closed)

    def test_informational_responses(self) -> None:
        """Any number before the response; they cannot end it, nor switch protocols."""
        talk, _ = self.talk()
        talk.feed(headers((":status", "100")), headers((":status", "103")), headers(*RESPONSE), frame(DATA, 1, 1, b"x"))
        self.assertEqual((len(talk.told.fields), talk.told.bodies), (3, {1: b"x"}))
        self.resets(ErrorCode.PROTOCOL_ERROR, headers((":status", "100"), flags=LAST))
        self.resets(ErrorCode.PROTOCOL_ERROR, headers((":status", "101")))

    def test_malformed_responses(self) -> None:
        """No status, DATA before it, a request's fields, trailers that do not end, a body of another length."""
        self.resets(ErrorCode.PROTOCOL_ERROR, headers(("x", "1")))
        self.resets(ErrorCode.PROTOCOL_ERROR, headers(*REQUEST))
        self.resets(ErrorCode.PROTOCOL_ERROR, frame(DATA, 0, 1, b"x"))
        self.resets(ErrorCode.PROTOCOL_ERROR, headers((":status", "100")), frame(DATA, 0, 1, b"x"))
        self.resets(ErrorCode.PROTOCOL_ERROR, headers(*RESPONSE), headers(("x", "1")))
        three = headers(*RESPONSE, ("content-length", "3"))
        self.resets(ErrorCode.PROTOCOL_ERROR, three, frame(DATA, 0, 1, b"abcd"))
        self.resets(ErrorCode.PROTOCOL_ERROR, three, frame(DATA, END_STREAM, 1, b"ab"))
        talk, _ = self.talk()
        talk.feed(three, frame(DATA, END_STREAM, 1, b"abc"))
        self.assertEqual(talk.told.resets, {})

    def test_what_a_server_may_not(self) -> None:
        """Push, open streams, or speak on what we have not opened."""
        self.fails(ErrorCode.PROTOCOL_ERROR, frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + block()))
        self.fails(ErrorCode.PROTOCOL_ERROR, headers(*RESPONSE, stream_id=2))
        self.fails(ErrorCode.PROTOCOL_ERROR, headers(*RESPONSE, stream_id=3))
        for data in (frame(DATA, 0, 3, b"x"), rst_stream_frame(3, 0), window_update_frame(3, 1)):
            self.fails(ErrorCode.PROTOCOL_ERROR, data)

    def test_what_comes_after_our_reset(self) -> None:
        """It is discarded, and its block still fills the table."""
        talk, stream = self.talk()
        talk.connection.reset(stream)
        entering = b"\x88\x40\x03x-a\x01b"
        talk.feed(frame(HEADERS, END_HEADERS, 1, entering), frame(DATA, END_STREAM, 1, b"x"))
        talk.connection.open(block(), end=True)
        talk.feed(frame(HEADERS, LAST, 3, b"\x88\xbe"))
        self.assertEqual(talk.told.fields, [(3, [(b":status", b"200"), (b"x-a", b"b")], True)])

    def test_goaway(self) -> None:
        """It says which requests were not served; the others go on."""
        talk, _ = self.talk()
        talk.feed(goaway_frame(1, 0, b"bye"))
        (event,) = talk.told.others
        self.assertEqual((event.last_stream_id, event.code, event.debug), (1, 0, b"bye"))
        talk.feed(headers(*RESPONSE), frame(DATA, END_STREAM, 1, b"x"))
        self.assertEqual(talk.told.bodies, {1: b"x"})
        talk.connection.shut_down()
        self.assertEqual([frame[0] for frame in talk.sent()], [GOAWAY])

    def test_a_response_that_is_whole_before_the_request(self) -> None:
        """The server's reset in peace behind it is told, and the rest is not sent."""
        talk, stream = self.talk()
        talk.connection.send_data(stream, bytes(70_000))
        talk.connection.data_to_send()
        talk.feed(headers(*RESPONSE, flags=LAST), rst_stream_frame(1, ErrorCode.NO_ERROR))
        self.assertEqual((talk.told.ended, talk.told.resets), ([1], {1: 0}))
        self.assertEqual((talk.connection.streams, talk.connection.is_blocked), ({}, False))


class GrpcioServer:
    """grpcio's own server on a free port: Echo, Each (a stream both ways), Long (an answer of any size)."""

    def __init__(self) -> None:
        self.server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
        self.release = threading.Event()
        self.waiting = threading.Event()
        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "Each": grpc.stream_stream_rpc_method_handler(self.each),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Test", handlers)])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def wait(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer when the test says so."""
        self.waiting.set()
        self.release.wait(TIMEOUT_SECONDS)
        return request

    @staticmethod
    def each(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Each message, backwards."""
        for request in requests:
            yield request[::-1]

    @staticmethod
    def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
        """An error."""
        context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")
        raise AssertionError


class Call:
    """One call and what came of it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.body = b""
        self.fields: dict[bytes, bytes] = {}
        self.is_ended = False
        self.reset: int | None = None

    @property
    def messages(self) -> list[bytes]:
        """The complete ones."""
        messages, at = [], 0
        while at + 5 <= len(self.body):
            (size,) = struct.unpack_from(">L", self.body, at + 1)
            if at + 5 + size > len(self.body):
                break
            messages.append(self.body[at + 5 : at + 5 + size])
            at += 5 + size
        return messages


class Client:
    """A client on a blocking socket: our core and nothing else."""

    def __init__(self, port: int) -> None:
        self.http2 = Connection(Role.CLIENT)
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.goaways: list[ev.GoneAway] = []

    def call(self, method: str, *messages: bytes, end: bool = True) -> Call:
        """Begin a call."""
        fields = [*REQUEST[:2], (":path", f"/test.Test/{method}"), (":authority", "x"), ("te", "trailers")]
        stream = self.http2.open(block([*fields, ("content-type", "application/grpc")]))
        stream.context = call = Call(stream)
        self.send(call, *messages)
        if end:
            self.http2.end(stream)
        return call

    def send(self, call: Call, *messages: bytes) -> None:
        """More messages."""
        for message in messages:
            self.http2.send_data(call.stream, struct.pack(">BL", 0, len(message)) + message)

    def until(self, condition: Callable[[], object]) -> None:
        """Talk until it holds."""
        while True:
            data = self.http2.data_to_send()
            if data:
                self.socket.sendall(data)
            if condition():
                return
            received = self.socket.recv(65_536)
            assert received, "the server has closed the connection"
            for event in self.http2.receive(received, 0.0):
                self.take(event)

    def take(self, event: ev.Event) -> None:
        """One event."""
        assert not isinstance(event, ev.Failed), event.reason
        if isinstance(event, ev.GoneAway):
            self.goaways.append(event)
        elif isinstance(event, ev.Data):
            event.stream.context.body += b"".join(event.chunks)
        elif isinstance(event, ev.Fields):
            event.stream.context.fields.update(event.fields)
        elif isinstance(event, ev.Ended):
            event.stream.context.is_ended = True
        elif isinstance(event, ev.Reset):
            event.stream.context.reset = event.code


class GrpcioTests(SynchronousTestCase):
    """Whole calls."""

    def setUp(self) -> None:
        """Grpcio's server, and our client."""
        self.server = GrpcioServer()
        self.addCleanup(lambda: self.server.server.stop(None).wait(TIMEOUT_SECONDS))
        self.addCleanup(self.server.release.set)
        self.client = Client(self.server.port)
        self.addCleanup(self.client.socket.close)

    def test_unary(self) -> None:
        """A message there and back, many at once, and an error."""
        calls = [self.client.call("Echo", b"%d" % number) for number in range(50)]
        failed = self.client.call("Fail", b"")
        self.client.until(lambda: all(call.is_ended for call in [*calls, failed]))
        self.assertEqual([call.messages for call in calls], [[b"%d" % number] for number in range(50)])
        self.assertEqual({call.fields[b"grpc-status"] for call in calls}, {b"0"})
        self.assertEqual((failed.fields[b"grpc-status"], failed.fields[b"grpc-message"]), (b"5", b"nothing here"))
        self.assertEqual(self.client.http2.streams, {})

    def test_streaming(self) -> None:
        """One message after the answer to the one before."""
        call = self.client.call("Each", end=False)
        for number in range(20):
            self.client.send(call, b"<%d" % number)
            self.client.until(lambda count=number + 1: len(call.messages) == count)
        self.client.http2.end(call.stream)
        self.client.until(lambda: call.is_ended)
        self.assertEqual(call.messages[-1], b"91<")
        self.assertEqual(call.fields[b"grpc-status"], b"0")

    def test_long_messages(self) -> None:
        """3 MiB each way, far above both windows."""
        message = bytes(range(256)) * (3 * 4096)
        call, other = self.client.call("Echo", message), self.client.call("Echo", b"beside it")
        self.assertTrue(self.client.http2.is_blocked)
        self.client.until(lambda: call.is_ended and other.is_ended)
        self.assertTrue(call.messages == [message])
        self.assertEqual(other.messages, [b"beside it"])
        self.assertFalse(self.client.http2.is_blocked)

    def test_cancel(self) -> None:
        """A reset by us; the connection serves on."""
        call = self.client.call("Wait", b"a")
        self.client.until(lambda: True)
        self.assertTrue(self.server.waiting.wait(TIMEOUT_SECONDS))
        self.client.http2.reset(call.stream, ErrorCode.CANCEL)
        after = self.client.call("Echo", b"b")
        self.client.until(lambda: after.is_ended)
        self.assertEqual(after.messages, [b"b"])

    def test_the_servers_goaway(self) -> None:
        """In two steps, while a call is open; that call is answered."""
        call = self.client.call("Wait", b"a")
        self.client.until(lambda: True)
        self.assertTrue(self.server.waiting.wait(TIMEOUT_SECONDS))
        self.server.server.stop(TIMEOUT_SECONDS)
        self.client.until(lambda: len(self.client.goaways) == 2)
        self.assertEqual([event.last_stream_id for event in self.client.goaways], [MAX_STREAM_ID, call.stream.id])
        self.server.release.set()
        self.client.until(lambda: call.is_ended)
        self.assertEqual((call.messages, call.fields[b"grpc-status"]), ([b"a"], b"0"))
