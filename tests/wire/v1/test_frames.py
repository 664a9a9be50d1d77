"""Frames of Connect and /ws/v1, in both forms and for both sides."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument, MalformedRequest, QueueFull, RequestTooLarge, Unsupported
from quickpulse.requests import Action, Batch, Count, Deliveries, GetQueue, Publish, Pull, Settle, SettleReply
from quickpulse.wire.v1.errors import row_of
from quickpulse.wire.v1.frames import (
    BINARY,
    JSON,
    JSON_TEXTS,
    read_reply,
    read_request,
    write_reply,
    write_request,
)
from quickpulse.wire.v1.table import REPLIES as REPLY_ROWS
from quickpulse.wire.v1.table import ROWS
from tests.wire.v1.samples import ANY_REPLY, ANY_REQUEST, REPLIES, REQUESTS, comparable

ENCODINGS = (BINARY, JSON)

MAX_BYTES = 4 * 1024 * 1024


def read(data: bytes, encoding: Any = BINARY, max_bytes: int = MAX_BYTES) -> tuple[int, Any]:
    """A client's frame, as the server reads it."""
    return read_request(data, encoding, max_bytes)


class RoundTripTests(SynchronousTestCase):
    """What one side writes is what the other reads."""

    def test_every_request(self) -> None:
        """Each row of the table, with every field set, in both forms."""
        self.assertEqual([type(each) for each in REQUESTS], [row.kind for row in ROWS])
        for encoding in ENCODINGS:
            for request in REQUESTS:
                self.assertEqual(read(write_request(7, request, encoding), encoding), (7, request))

    def test_every_reply(self) -> None:
        """Each kind of reply, with every field set, in both forms."""
        self.assertTrue(all(isinstance(each, row.kind) for each, row in zip(REPLIES, REPLY_ROWS, strict=True)))
        for encoding in ENCODINGS:
            for reply in REPLIES:
                request_id, got = read_reply(write_reply(7, reply, encoding), encoding)
                self.assertEqual((request_id, comparable(got)), (7, comparable(reply)))

    @given(st.integers(0, 2**32 - 1), ANY_REQUEST, st.sampled_from(ENCODINGS))
    @settings(deadline=None)
    def test_any_request(self, request_id: int, request: Any, encoding: Any) -> None:
        """Whatever is in it."""
        self.assertEqual(read(write_request(request_id, request, encoding), encoding), (request_id, request))

    @given(st.integers(0, 2**32 - 1), ANY_REPLY, st.sampled_from(ENCODINGS))
    @settings(deadline=None)
    def test_any_reply(self, request_id: int, reply: Any, encoding: Any) -> None:
        """Whatever is in it."""
        got_id, got = read_reply(write_reply(request_id, reply, encoding), encoding)
        self.assertEqual((got_id, comparable(got)), (request_id, comparable(reply)))

    def test_what_is_no_reply(self) -> None:
        """It is a mistake of the server, not a frame."""
        for thing in (None, 5, {}, []):
            self.assertRaises(TypeError, write_reply, 1, thing, BINARY)
        self.assertRaises(InvalidArgument, write_reply, 1, Count(-1), BINARY)

    def test_exceptions_of_others(self) -> None:
        """They are an internal error, and their text stays here."""
        _, error = read_reply(write_reply(1, KeyError("secret"), BINARY), BINARY)
        self.assertEqual((error.code, str(error)), ("ERROR", "internal error"))


class GoldenTests(SynchronousTestCase):
    """The bytes themselves: clients that this project did not write have them."""

    def test_requests(self) -> None:
        """A few, in protobuf."""
        for request, golden in (
            (Publish("jobs", Batch([b"one", b"two"])), "0801 1212 0a046a6f6273 120a 0a036f6e65 0a0374776f"),
            (Settle("jobs", [(1, 300)], Action.ACK), "0801 220f 0a046a6f6273 1205 0801 10ac02 1801"),
            (Pull(["a"], 500, wait_ms=5_000), "0801 1a0b 0a0161 10f403 208827 3001"),
            (GetQueue("jobs"), "0801 4a06 0a046a6f6273"),
        ):
            self.assertEqual(write_request(1, request, BINARY).hex(), golden.replace(" ", ""))

    def test_replies(self) -> None:
        """A few, in protobuf."""
        for reply, golden in (
            (Deliveries("q", Batch([b"x"]), 5, 30_000), "0801 1a0e 0a0171 1203 0a0178 1805 20b0ea01"),
            (SettleReply(2, [(9, 9)]), "0801 2208 0802 1204 0809 1009"),
            (QueueFull(), "0801 5a1f 0808 120a 51554555455f46554c4c 1a0d 71756575652069732066756c6c 2064"),
        ):
            self.assertEqual(write_reply(1, reply, BINARY).hex(), golden.replace(" ", ""))

    def test_json(self) -> None:
        """A few, in JSON: snake_case, 64-bit numbers as strings, base64, zeros left out."""
        for data, golden in (
            (
                write_request(1, Publish("jobs", Batch([b"one"]), atomic=True), JSON),
                '{"request_id":1,"publish":{"queue":"jobs","batch":{"payloads":["b25l"]},"atomic":true}}',
            ),
            (
                write_reply(1, Deliveries("q", Batch([b"x"]), 5, 30_000), JSON),
                '{"request_id":1,"deliveries":{"queue":"q","batch":{"payloads":["eA=="]},'
                '"first_receipt":"5","lease_ms":"30000"}}',
            ),
            (
                write_reply(1, QueueFull(), JSON),
                '{"request_id":1,"error":{"code":8,"reason":"QUEUE_FULL","message":"queue is full",'
                '"retry_after_ms":"100"}}',
            ),
            (write_reply(1, Count(0), JSON), '{"request_id":1,"count":{}}'),
        ):
            self.assertEqual(data.decode(), golden)

    def test_texts(self) -> None:
        """A client that asks for them gets texts, if each payload is UTF-8; else payloads."""
        for payloads, column in (
            ([b"a", "ä".encode()], '"texts":["a","ä"]'),
            ([b"a", b"\xff"], '"payloads":["YQ==","/w=="]'),
        ):
            data = write_reply(1, Deliveries("q", Batch(payloads)), JSON_TEXTS)
            self.assertEqual(data.decode(), f'{{"request_id":1,"deliveries":{{"queue":"q","batch":{{{column}}}}}}}')


class HostileTests(SynchronousTestCase):
    """Whatever comes, there is an answer."""

    def assert_error(self, got: tuple[int, Any], request_id: int, kind: type, *words: str) -> None:
        """It is to be answered with this error, which names these words."""
        self.assertEqual((got[0], type(got[1])), (request_id, kind))
        for word in words:
            self.assertIn(word, str(got[1]))

    def test_not_protobuf(self) -> None:
        """Nothing can be said of what comes after: the connection ends."""
        got = read(b"\xff\xff")
        self.assert_error(got, 0, MalformedRequest, "ClientFrame")
        self.assertEqual(row_of(got[1]).close_code, 1007)

    def test_cut_anywhere(self) -> None:
        """A frame that ends too early is malformed, or a shorter one; never an exception."""
        data = write_request(7, REQUESTS[0], BINARY)
        for cut in range(len(data)):
            read(data[:cut])

    @given(st.binary(max_size=60))
    def test_random_bytes(self, data: bytes) -> None:
        """In either form, on either side: a value, or an error of ours."""
        for encoding in ENCODINGS:
            read(data, encoding)
            with contextlib.suppress(InvalidArgument):
                read_reply(data, encoding)

    @given(st.data())
    @settings(deadline=None)
    def test_bytes_that_were_changed(self, data: st.DataObject) -> None:
        """A good frame with one byte that is another."""
        encoding = data.draw(st.sampled_from(ENCODINGS))
        frame = bytearray(write_request(7, data.draw(ANY_REQUEST), encoding))
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        read(bytes(frame), encoding)

    def test_too_large(self) -> None:
        """It is not parsed; the connection ends."""
        got = read(b"x" * 11, BINARY, 10)
        self.assert_error(got, 0, RequestTooLarge, "11", "10")
        self.assertEqual(row_of(got[1]).close_code, 1009)
        self.assertIs(type(read(b"\xff" * 10, BINARY, 10)[1]), MalformedRequest)

    def test_a_request_of_tomorrow(self) -> None:
        """One that this server does not know, and none at all."""
        for data in (b"\x08\x07", b"\x08\x07\xa2\x06\x00", pb.ClientFrame(request_id=7).SerializeToString()):
            self.assert_error(read(data), 7, Unsupported)
        self.assert_error(read(b'{"request_id":7}', JSON), 7, Unsupported)

    def test_a_reply_of_tomorrow(self) -> None:
        """One that this client does not know."""
        request_id, error = read_reply(b"\x08\x07", BINARY)
        self.assertEqual((request_id, type(error)), (7, Unsupported))

    def test_a_bad_request_has_its_id(self) -> None:
        """So that it is answered, and the others go on."""
        frame = pb.ClientFrame(request_id=7, settle=pb.SettleRequest(queue="q"))
        self.assert_error(read(frame.SerializeToString()), 7, InvalidArgument, "action")

    def test_bad_json_has_its_id(self) -> None:
        """Likewise, where it can be told."""
        for value, request_id in (
            ("7", 7),
            ('"7"', 7),
            ("-1", 0),
            ("4294967296", 0),
            ('"x"', 0),
            ("null", 0),
            ("[]", 0),
        ):
            for name in ("request_id", "requestId"):
                data = f'{{"{name}":{value},"publish":{{"nobody":1}}}}'.encode()
                self.assert_error(read(data, JSON), request_id, InvalidArgument)

    def test_two_requests_in_one_frame(self) -> None:
        """JSON says that there are two; protobuf takes the last one."""
        data = b'{"request_id":7,"purge":{"queue":"a"},"resume":{"queue":"b"}}'
        self.assert_error(read(data, JSON), 7, InvalidArgument, "request")

    def test_absurd_sizes(self) -> None:
        """Millions of empty payloads are as many messages, and cost no more than their places."""
        body = b"\x0a\x00" * 1_000_000
        batch = b"\x12" + _varint(len(body)) + body
        frame = b"\x08\x07\x12" + _varint(len(batch)) + batch
        request_id, request = read(frame)
        self.assertEqual((request_id, len(request.batch.payloads)), (7, 1_000_000))

    def test_lengths_that_are_a_lie(self) -> None:
        """A length beyond the end, or beyond every number."""
        for data in (
            b"\x08\x07\x12\xff\xff\xff\xff\x0f",
            b"\x12" + b"\xff" * 12,
            b"\x08" + b"\xff" * 9 + b"\x01\x12\x7f",
        ):
            self.assert_error(read(data), 0, MalformedRequest)

    def test_deep_protobuf(self) -> None:
        """Groups within groups, of fields that nobody knows."""
        self.assert_error(read(b"\xa3\x06" * 100_000 + b"\xa4\x06" * 100_000), 0, MalformedRequest)

    def test_values_that_do_not_fit(self) -> None:
        """A client hears of it before anything is sent."""
        for request in (Pull(["q"], -1), Pull(["q"], 1 << 32), GetQueue("\ud800"), Settle("q", [(-1, 2)])):
            error = self.assertRaises(InvalidArgument, write_request, 1, request, BINARY)
            self.assertIn(type(request).__name__, str(error))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class ShapeTests(SynchronousTestCase):
    """What clients look into."""

    def test_both_cases(self) -> None:
        """JSON is read in both, and answered in snake_case."""
        for data in (
            b'{"request_id":1,"pull":{"queues":["q"],"max_messages":5,"lease_ms":"7"}}',
            b'{"requestId":1,"pull":{"queues":["q"],"maxMessages":5,"leaseMs":7}}',
        ):
            self.assertEqual(read(data, JSON), (1, Pull(["q"], 5, lease_ms=7)))

    def test_enumerations(self) -> None:
        """By their names."""
        data = b'{"request_id":1,"settle":{"queue":"q","action":"ACK","receipts":[{"first":"1","last":"2"}]}}'
        self.assertEqual(read(data, JSON), (1, Settle("q", [(1, 2)])))
        self.assertIn(
            '"action":"ACK"', json.dumps(json.loads(write_request(1, Settle("q", []), JSON)), separators=(",", ":"))
        )
