"""Calls of the native gRPC server that are not over in one read: pieces, deadlines, cancellation, handlers, windows."""

from __future__ import annotations

import gzip

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.transports.grpc_methods import StreamMethod, UnaryMethod
from quickpulse.wire.grpc.framing import framed
from quickpulse.wire.grpc.status import RpcError, Status
from tests.transports.grpc_conversation import (
    CONSUME,
    DATA,
    END_STREAM,
    NOTHING,
    PRODUCE,
    STREAM,
    GrpcConversation,
    exchange,
    frame,
    message,
    produce,
)
from tests.transports.late import LateProvider

OK, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 2, 4, 8, 12, 13, 14

MEBIBYTE = 1024 * 1024


class PiecesTests(SynchronousTestCase):
    """Bodies that come as they like."""

    def test_a_unary_body_cut_at_every_byte(self) -> None:
        """Any two pieces, and each byte by itself, make the same request."""
        body = produce(b"hello")
        it = GrpcConversation().open()
        for at in range(len(body) + 1):
            it.begin(PRODUCE)
            it.send(body[:at])
            it.send(body[at:], end=True)
        it.begin(PRODUCE)
        for at in range(len(body)):
            it.send(body[at : at + 1])
        it.send(b"", end=True)
        self.assertEqual({response.status for response in it.responses.values()}, {OK})
        self.assertEqual(it.queue.dequeue_many(99), [b"hello"] * (len(body) + 2))

    def test_a_stream_cut_at_every_byte(self) -> None:
        """Messages are served as they are complete."""
        body = exchange(b"a") + exchange(b"") + exchange(b"b" * 200)
        for at in range(len(body) + 1):
            it = GrpcConversation("grpc_stream").open()
            response = it.begin()
            it.send(body[:at])
            it.send(body[at:], end=True)
            self.assertEqual(response.payloads, [b"a", b"", b"b" * 200], at)
            self.assertEqual(response.errors, ["", "queue is empty", ""])
            self.assertEqual(response.status, OK)

    def test_frames_within_a_read(self) -> None:
        """Each read may hold any number of frames of any number of streams."""
        it = GrpcConversation("grpc_stream").open()
        first, second = it.begin(), it.begin()
        it.say(
            frame(DATA, 0, 1, exchange(b"a")[:3])
            + frame(DATA, 0, 3, exchange(b"b"))
            + frame(DATA, END_STREAM, 1, exchange(b"a")[3:])
            + frame(DATA, END_STREAM, 3, b"")
        )
        self.assertEqual((first.payloads, second.payloads), ([b"a"], [b"b"]))
        self.assertEqual((first.status, second.status), (OK, OK))

    def test_not_one_message(self) -> None:
        """None, two, or one and a half in a unary request: INTERNAL, in one read or in pieces."""
        for body in (b"", produce(b"a") * 2, produce(b"a") + b"\0", produce(b"a")[:-1]):
            it = GrpcConversation().open()
            self.assertEqual(it.call(PRODUCE, body).status, INTERNAL, body)
            response = it.begin(PRODUCE)
            it.send(body)
            it.send(b"", end=True)
            self.assertEqual(response.status, INTERNAL, body)
            self.assertIn("not one message", response.text)
            self.assertEqual(it.queue.depth, 0)
            self.assertEqual(it.call(PRODUCE, produce(b"a")).status, OK)

    def test_no_body_at_all(self) -> None:
        """HEADERS with END_STREAM: INTERNAL for unary calls; a stream without messages is fine."""
        it = GrpcConversation().open()
        it.say(it.head(CONSUME, flags=END_STREAM))
        self.assertEqual(it.responses[1].status, INTERNAL)
        it = GrpcConversation("grpc_stream").open()
        it.say(it.head(STREAM, flags=END_STREAM))
        self.assertEqual(it.responses[1].status, OK)
        self.assertEqual(it.responses[1].blocks[0][":status"], "200")

    def test_too_large(self) -> None:
        """Told by the prefix, before the message is there; by the payload, when it is; to the byte."""
        it = GrpcConversation(max_message_bytes=10_000).open()
        for size, status in ((10_000, OK), (10_001, RESOURCE_EXHAUSTED), (10_500, RESOURCE_EXHAUSTED)):
            self.assertEqual(it.call(PRODUCE, produce(bytes(size))).status, status, size)
            response = it.begin(PRODUCE)
            it.send(produce(bytes(size)), end=True)
            self.assertEqual(response.status, status, size)
        response = it.begin(PRODUCE)
        it.send((0).to_bytes(1, "big") + (4 * MEBIBYTE).to_bytes(4, "big"))
        self.assertEqual(response.status, RESOURCE_EXHAUSTED)
        self.assertEqual(it.refused["message_too_large"], 5)

    def test_the_limit_of_a_stream(self) -> None:
        """What came before the long message is answered."""
        it = GrpcConversation("grpc_stream", max_message_bytes=1000).open()
        response = it.begin()
        it.send(exchange(b"a") + exchange(bytes(1001)) + exchange(b"b"))
        self.assertEqual((response.payloads, response.status), ([b"a"], RESOURCE_EXHAUSTED))
        self.assertEqual(it.queue.depth, 0)


class CompressionTests(SynchronousTestCase):
    """gzip in; never out."""

    def gzipped(self, body: bytes) -> bytes:
        """A compressed message."""
        return message(gzip.compress(body), flag=1)

    def test_gzip(self) -> None:
        """Unary and streaming, in one read and in pieces, mixed with messages that are not compressed."""
        plain = produce(b"hello" * 100)[5:]
        it = GrpcConversation().open()
        self.assertEqual(it.call(PRODUCE, self.gzipped(plain), ("grpc-encoding", "gzip")).status, OK)
        self.assertEqual(it.call(PRODUCE, message(plain), ("grpc-encoding", "gzip")).status, OK)
        response = it.begin(PRODUCE, ("grpc-encoding", "gzip"))
        for at, byte in enumerate(self.gzipped(plain)):
            it.send(bytes((byte,)), end=at == len(self.gzipped(plain)) - 1)
        self.assertEqual(response.status, OK)
        self.assertEqual(it.queue.dequeue_many(9), [b"hello" * 100] * 3)
        it = GrpcConversation("grpc_stream").open()
        response = it.begin(STREAM, ("grpc-encoding", "gzip"))
        it.send(self.gzipped(plain) + exchange(b"a"))
        self.assertEqual(response.payloads, [b"hello" * 100, b"a"])

    def test_compressed_consume(self) -> None:
        """Nothing, compressed, is nothing."""
        it = GrpcConversation().open()
        it.queue.enqueue(b"a")
        self.assertEqual(it.call(CONSUME, self.gzipped(b""), ("grpc-encoding", "gzip")).payloads, [b"a"])

    def test_a_flag_without_an_encoding(self) -> None:
        """INTERNAL."""
        for fields in ((), (("grpc-encoding", "identity"),)):
            it = GrpcConversation().open()
            self.assertEqual(it.call(PRODUCE, self.gzipped(b""), *fields).status, INTERNAL)
            response = it.begin(PRODUCE, *fields)
            it.send(self.gzipped(b""), end=True)
            self.assertEqual(response.status, INTERNAL)
            self.assertEqual(it.refused["bad_request"], 2)

    def test_another_encoding(self) -> None:
        """UNIMPLEMENTED, and the answer says what there is."""
        it = GrpcConversation().open()
        response = it.call(PRODUCE, produce(b"a"), ("grpc-encoding", "br"))
        it.advance(1)
        self.assertEqual(response.status, UNIMPLEMENTED)
        self.assertEqual(response.blocks[0]["grpc-accept-encoding"], "identity,deflate,gzip")

    def test_a_bomb(self) -> None:
        """A short message that is long when unpacked is refused, and never unpacked."""
        it = GrpcConversation().open()
        bomb = self.gzipped(bytes(100 * MEBIBYTE))
        response = it.begin(PRODUCE, ("grpc-encoding", "gzip"))
        it.send(bomb, end=True)
        self.assertEqual(response.status, RESOURCE_EXHAUSTED)
        self.assertIn("--max-message-bytes", response.text)
        self.assertEqual(it.refused["message_too_large"], 1)

    def test_what_is_no_gzip(self) -> None:
        """INTERNAL: garbage, one that is cut off, two streams."""
        whole = gzip.compress(b"\x0a\x01a")
        for data in (b"garbage", whole[:-3], whole + whole, b""):
            it = GrpcConversation().open()
            response = it.call(PRODUCE, message(data, flag=1), ("grpc-encoding", "gzip"))
            self.assertEqual(response.status, INTERNAL, data)

    def test_flags_that_do_not_exist(self) -> None:
        """INTERNAL."""
        it = GrpcConversation().open()
        self.assertEqual(it.call(PRODUCE, message(b"", flag=2), ("grpc-encoding", "gzip")).status, INTERNAL)


class DeadlineTests(SynchronousTestCase):
    """grpc-timeout."""

    def test_expired_at_arrival(self) -> None:
        """0 of any unit: DEADLINE_EXCEEDED, and nothing is done."""
        for unit in "HMSmun":
            it = GrpcConversation().open()
            it.queue.enqueue(b"a")
            self.assertEqual(it.call(CONSUME, NOTHING, ("grpc-timeout", f"0{unit}")).status, DEADLINE_EXCEEDED)
            response = it.begin(PRODUCE, ("grpc-timeout", f"00{unit}"))
            it.send(produce(b"b"), end=True)
            self.assertEqual(response.status, DEADLINE_EXCEEDED)
            self.assertEqual(it.queue.depth, 1)

    def test_some_expired_in_one_read(self) -> None:
        """The others of the read are served, each on its own stream."""
        it = GrpcConversation().open()
        timeouts = ["1S", "0S", "5m", "0n", "x", "3H"]
        it.say(b"".join(it.request(PRODUCE, produce(b"%d" % n), ("grpc-timeout", t)) for n, t in enumerate(timeouts)))
        statuses = [it.responses[stream].status for stream in sorted(it.responses)]
        self.assertEqual(statuses, [OK, DEADLINE_EXCEEDED, OK, DEADLINE_EXCEEDED, INTERNAL, OK])
        self.assertEqual(it.queue.dequeue_many(9), [b"0", b"2", b"5"])
        self.assertEqual(it.refused["bad_request"], 1)

    def test_malformed(self) -> None:
        """INTERNAL, which names the field; the connection lives."""
        for value in ("", "S", "1", "1s", "-1S", "1.5S", "123456789S", "\u0661S", " 1S"):
            it = GrpcConversation().open()
            response = it.call(PRODUCE, produce(b"a"), ("grpc-timeout", value))
            if value == " 1S":  # no field value of HTTP/2 at all
                self.assertEqual(response.reset, 1)
                continue
            self.assertEqual(response.status, INTERNAL, value)
            self.assertIn("grpc-timeout", response.text)
            self.assertEqual(it.call(PRODUCE, produce(b"a"), ("grpc-timeout", "99999999H")).status, OK)

    def test_while_the_body_is_coming(self) -> None:
        """DEADLINE_EXCEEDED when the time is up; what comes later is not served."""
        it = GrpcConversation().open()
        response = it.begin(PRODUCE, ("grpc-timeout", "500m"))
        it.send(produce(b"a")[:3])
        it.advance(0.4)
        self.assertIsNone(response.status)
        it.advance(0.2)
        self.assertEqual((response.status, response.text), (DEADLINE_EXCEEDED, "deadline exceeded"))
        it.send(produce(b"a")[3:], end=True)
        self.assertEqual(it.queue.depth, 0)

    def test_of_a_stream(self) -> None:
        """It ends an open stream, behind its answers."""
        it = GrpcConversation("grpc_stream").open()
        response = it.begin(STREAM, ("grpc-timeout", "2S"))
        it.send(exchange(b"a"))
        it.advance(2.1)
        self.assertEqual((response.payloads, response.status), ([b"a"], DEADLINE_EXCEEDED))
        self.assertTrue(response.is_ended)
        it.send(exchange(b"b"))
        self.assertEqual(it.queue.depth, 0)

    def test_met(self) -> None:
        """No timer is left."""
        it = GrpcConversation("grpc_stream").open()
        response = it.begin(STREAM, ("grpc-timeout", "2S"))
        before = len(it.clock.getDelayedCalls())
        it.send(exchange(b"a"), end=True)
        self.assertEqual(response.status, OK)
        self.assertEqual(len(it.clock.getDelayedCalls()), before - 1)

    def test_of_a_late_queue(self) -> None:
        """DEADLINE_EXCEEDED for a call with a stream of its own; what the queue gives then is counted."""
        it = GrpcConversation(queue=LateProvider()).open()
        it.queue.inner.enqueue(b"a")
        response = it.begin(CONSUME, ("grpc-timeout", "1S"))
        it.send(NOTHING, end=True)
        it.advance(1.1)
        self.assertEqual(response.status, DEADLINE_EXCEEDED)
        it.queue.answer()
        it.read()
        self.assertEqual(it.undelivered, 1)


class CancelTests(SynchronousTestCase):
    """RST_STREAM."""

    def test_in_the_same_read(self) -> None:
        """A request that was cancelled before it was served takes nothing; its neighbours are served."""
        it = GrpcConversation().open()
        for payload in (b"a", b"b", b"c"):
            it.queue.enqueue(payload)
        requests = [it.request(CONSUME, NOTHING) for _ in range(3)]
        it.say(b"".join(requests) + it.reset_frame(3))
        self.assertEqual([it.responses[stream].payloads for stream in (1, 5)], [[b"a"], [b"b"]])
        self.assertNotIn(3, it.responses)
        self.assertEqual((it.queue.depth, it.undelivered), (1, 0))

    def test_in_the_same_read_with_timeouts(self) -> None:
        """Each of the others keeps its own."""
        it = GrpcConversation().open()
        for _ in range(3):
            it.queue.enqueue(b"a")
        timeouts = ("1S", "0S", "2S")
        requests = [it.request(CONSUME, NOTHING, ("grpc-timeout", timeout)) for timeout in timeouts]
        it.say(b"".join(requests) + it.reset_frame(1))
        self.assertEqual([it.responses[stream].status for stream in (3, 5)], [DEADLINE_EXCEEDED, OK])
        self.assertEqual(it.queue.depth, 2)

    def test_a_request_in_pieces_cancelled_in_the_same_read(self) -> None:
        """Likewise; the connection lives."""
        it = GrpcConversation().open()
        it.queue.enqueue(b"a")
        it.say(
            it.head(CONSUME)
            + frame(DATA, 0, 1, NOTHING)
            + frame(DATA, END_STREAM, 1)
            + it.reset_frame(1)
            + it.request(PRODUCE, produce(b"b"))
        )
        self.assertEqual((it.queue.depth, it.undelivered), (2, 0))
        self.assertEqual(it.responses[3].status, OK)

    def test_the_last_piece_and_the_cancellation_in_one_read(self) -> None:
        """Likewise, when the call had begun before."""
        it = GrpcConversation().open()
        it.queue.enqueue(b"a")
        it.begin(CONSUME)
        it.say(frame(DATA, 0, 1, NOTHING) + frame(DATA, END_STREAM, 1) + it.reset_frame(1))
        self.assertEqual((it.queue.depth, it.undelivered), (1, 0))
        self.assertEqual(it.call(CONSUME, NOTHING).payloads, [b"a"])

    def test_a_streams_messages_and_its_cancellation_in_one_read(self) -> None:
        """Likewise."""
        it = GrpcConversation("grpc_stream").open()
        it.queue.enqueue(b"a")
        it.begin()
        it.say(frame(DATA, 0, 1, exchange(b"")) + it.reset_frame(1))
        self.assertEqual((it.queue.depth, it.undelivered), (1, 0))

    def test_before_the_body_is_there(self) -> None:
        """Nothing was done, and nothing is."""
        it = GrpcConversation().open()
        it.begin(PRODUCE, ("grpc-timeout", "1S"))
        it.send(produce(b"a")[:4])
        it.cancel()
        self.assertEqual(it.queue.depth, 0)
        self.assertEqual(len(it.clock.getDelayedCalls()), 1)  # the keepalive's
        self.assertEqual(it.call(PRODUCE, produce(b"b")).status, OK)

    def test_behind_the_answer(self) -> None:
        """The message may not have been read: it counts as undelivered. Produce has nothing to lose."""
        it = GrpcConversation().open()
        it.queue.enqueue(b"a")
        it.call(CONSUME, NOTHING)
        it.cancel()
        self.assertEqual(it.undelivered, 1)
        it.call(PRODUCE, produce(b"b"))
        it.cancel()
        it.queue.dequeue()
        it.call(CONSUME, NOTHING)  # "queue is empty"
        self.assertEqual(it.undelivered, 1)

    def test_of_a_stream(self) -> None:
        """It is forgotten, and its place is free; what is not known to have arrived is counted."""
        it = GrpcConversation("grpc_stream", max_streams=1).open()
        it.begin()
        it.send(exchange(b"a"))
        it.transport.unconfirmed = 10_000
        it.send(exchange(b"b") + exchange(b"c"))
        it.cancel()
        self.assertEqual(it.undelivered, 3)
        it.transport.unconfirmed = 0
        response = it.begin()
        it.send(exchange(b"d"))
        self.assertEqual(response.payloads, [b"d"])
        it.cancel()
        self.assertEqual(it.undelivered, 3)

    def test_with_answers_that_wait(self) -> None:
        """What never went out is counted as well."""
        it = GrpcConversation("grpc_stream").open()
        it.begin()
        for _ in range(3):
            it.send(exchange(bytes(60_000)))
        it.cancel()
        self.assertEqual((it.undelivered, it.queue.depth), (2, 0))


class StatusTests(SynchronousTestCase):
    """How calls end."""

    def test_unary(self) -> None:
        """Fields, one message, trailers; a refusal is one block."""
        it = GrpcConversation().open()
        response = it.call(PRODUCE, produce(b"a"))
        self.assertEqual(
            response.blocks,
            [
                {":status": "200", "content-type": "application/grpc", "grpc-accept-encoding": "identity,deflate,gzip"},
                {"grpc-status": "0"},
            ],
        )
        [refused] = it.call(PRODUCE, b"").blocks
        self.assertEqual((refused[":status"], refused["grpc-status"]), ("200", "13"))

    def test_messages_are_percent_encoded(self) -> None:
        """Printable ASCII as it is; all else, and the percent sign, as bytes of UTF-8."""
        it = GrpcConversation().open()

        def handle(body, _context):
            raise RpcError(Status.NOT_FOUND, "50% of \u00fc\u2603\n\x7f ~")

        it.factory.table[b"/test.T/M"] = UnaryMethod(handle)
        self.assertEqual(it.call("/test.T/M", NOTHING).text, "50%25 of %C3%BC%E2%98%83%0A%7F ~")

    def test_no_such_method(self) -> None:
        """UNIMPLEMENTED, counted; after the body, or a moment after the fields."""
        it = GrpcConversation().open()
        response = it.call("/messagequeue.MessageQueue/Peek", NOTHING)
        self.assertEqual(response.status, UNIMPLEMENTED)
        self.assertNotEqual(response.text, "")
        response = it.begin("/\u00fc/x")
        self.assertIsNone(response.status)
        it.advance(0.2)
        self.assertEqual(response.status, UNIMPLEMENTED)
        it.send(b"whatever")
        it.send(b"", end=True)
        self.assertEqual(it.refused["not_found"], 2)

    def test_a_refused_call_that_is_cancelled(self) -> None:
        """It gets no answer any more."""
        it = GrpcConversation().open()
        response = it.begin("/no/Such")
        it.cancel()
        it.advance(1)
        self.assertEqual(response.blocks, [])

    def test_the_other_modes_method(self) -> None:
        """UNIMPLEMENTED with the exact text."""
        it = GrpcConversation().open()
        response = it.call(STREAM, exchange(b"a"))
        it.advance(1)
        self.assertEqual(
            (response.status, response.text), (UNIMPLEMENTED, "StreamMessages is not implemented in unary mode")
        )
        it = GrpcConversation("grpc_stream").open()
        response = it.call(PRODUCE, produce(b"a"))
        it.advance(1)
        self.assertEqual(
            (response.status, response.text), (UNIMPLEMENTED, "Produce is not implemented in streaming mode")
        )
        self.assertEqual(it.refused["unimplemented"], 1)

    def test_trailers_of_a_request(self) -> None:
        """GRPC has none; they end the body, and are not looked at."""
        it = GrpcConversation().open()
        it.begin(PRODUCE)
        it.send(produce(b"a"))
        block = it.encoder.encode([("x-checksum", "1")])
        it.say(frame(1, 5, 1, block))
        self.assertEqual(it.responses[1].status, OK)

    def test_padding(self) -> None:
        """Padded DATA is a body like any other."""
        it = GrpcConversation().open()
        it.begin(PRODUCE)
        it.say(frame(DATA, 8 | END_STREAM, 1, b"\x07" + produce(b"a") + bytes(7)))
        self.assertEqual(it.responses[1].status, OK)
        self.assertEqual(it.queue.dequeue(), b"a")


class UnaryHandlerTests(SynchronousTestCase):
    """Methods with a handler for each request."""

    def served(self, handle) -> GrpcConversation:
        """A server whose table has the method /test.T/M."""
        it = GrpcConversation().open()
        it.factory.table[b"/test.T/M"] = UnaryMethod(handle)
        return it

    def ask(self, it: GrpcConversation, *fields: tuple[str, str], body: bytes = b"hello"):
        """Call it."""
        return it.call("/test.T/M", message(body), *fields)

    def test_at_once(self) -> None:
        """The answer is the message that it returns."""
        it = self.served(lambda body, _context: body.upper())
        response = self.ask(it)
        self.assertEqual((response.messages, response.status), ([b"HELLO"], OK))

    def test_metadata(self) -> None:
        """The caller's own fields, repeated ones too, and none of gRPC's."""
        seen = []
        it = self.served(lambda body, context: seen.append(context.call.metadata) or b"")
        self.ask(it, ("x-one", "1"), ("x-two-bin", "AAE="), ("grpc-timeout", "1S"))
        self.assertEqual(dict(seen[0]), {b"x-one": b"1", b"x-two-bin": b"AAE="})

    def test_the_time_that_is_left(self) -> None:
        """Seconds until the caller's deadline."""
        seen = []
        it = self.served(lambda body, context: seen.append(context.seconds_left()) or b"")
        self.ask(it)
        self.ask(it, ("grpc-timeout", "1500m"))
        self.assertIsNone(seen[0])
        self.assertAlmostEqual(seen[1], 1.5)

    def test_a_deferred(self) -> None:
        """The answer is what it fires with; other calls go on meanwhile."""
        waiting: list[Deferred] = []
        it = self.served(lambda body, _context: waiting.append(Deferred()) or waiting[-1])
        first, second = self.ask(it), self.ask(it)
        self.assertEqual(it.call(PRODUCE, produce(b"a")).status, OK)
        waiting[1].callback(b"two")
        it.read()
        self.assertEqual((first.messages, second.messages), ([], [b"two"]))
        waiting[0].callback(b"one")
        it.read()
        self.assertEqual((first.messages, first.status), ([b"one"], OK))

    def test_a_deferred_that_has_fired(self) -> None:
        """As if at once."""
        it = self.served(lambda body, _context: succeed(body))
        self.assertEqual(self.ask(it).messages, [b"hello"])

    def test_its_errors(self) -> None:
        """An RpcError is the call's status, raised or in the Deferred."""

        def handle(body, _context):
            error = RpcError(Status.NOT_FOUND, "no such thing")
            if body == b"raise":
                raise error
            return fail(error)

        it = self.served(handle)
        for body in (b"raise", b"fail"):
            response = self.ask(it, body=body)
            self.assertEqual((response.status, response.text), (Status.NOT_FOUND, "no such thing"))

    def test_its_faults(self) -> None:
        """Anything else is UNKNOWN without its text, and in the log."""

        def handle(body, _context):
            if body == b"raise":
                raise ZeroDivisionError("secret")
            return fail(ZeroDivisionError("secret")) if body == b"fail" else 42

        it = self.served(handle)
        for body in (b"raise", b"fail", b"no bytes"):
            response = self.ask(it, body=body)
            self.assertEqual(response.status, UNKNOWN, body)
            self.assertNotIn("secret", response.text)
            self.assertTrue(self.flushLoggedErrors(ZeroDivisionError, TypeError), body)
        self.assertEqual(it.call(PRODUCE, produce(b"a")).status, OK)

    def cancelled(self) -> tuple[GrpcConversation, list]:
        """A server whose handler waits; the list gets an entry when it is cancelled."""
        told: list[Deferred] = []
        return self.served(lambda body, _context: Deferred(told.append)), told

    def test_its_deferred_is_cancelled_by_the_deadline(self) -> None:
        """DEADLINE_EXCEEDED."""
        it, told = self.cancelled()
        response = self.ask(it, ("grpc-timeout", "1S"))
        it.advance(1.1)
        self.assertEqual((response.status, len(told)), (DEADLINE_EXCEEDED, 1))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_its_deferred_is_cancelled_with_the_call(self) -> None:
        """Nothing is answered, nothing logged."""
        it, told = self.cancelled()
        response = self.ask(it)
        it.cancel()
        self.assertEqual((response.blocks, len(told)), ([], 1))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_its_deferred_is_cancelled_with_the_connection(self) -> None:
        """Likewise."""
        it, told = self.cancelled()
        self.ask(it)
        it.reset()
        self.assertEqual(len(told), 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_drain_awaits_it(self) -> None:
        """The connection closes behind its answer."""
        waiting: Deferred = Deferred()
        it = self.served(lambda body, _context: waiting)
        response = self.ask(it)
        it.factory.drain(8.0)
        it.read()
        it.answer_pings()
        self.assertNotIn("half-close", it.transport.events)
        waiting.callback(b"done")
        it.read()
        self.assertEqual((response.messages, response.status), ([b"done"], OK))
        self.assertIn("half-close", it.transport.events)


class Echo:
    """A handler that a test leads: it records what it is told."""

    def __init__(self, call) -> None:
        self.call = call
        self.told: list = []
        self.waiting: list[Deferred] = []
        self.answer = None

    def messages(self, messages):
        self.told += messages
        return self.answer(self, messages) if self.answer else None

    def ended(self) -> None:
        self.told.append("ended")
        self.call.close()

    def cancelled(self) -> None:
        self.told.append("cancelled")


class StreamHandlerTests(SynchronousTestCase):
    """Methods with a handler for each stream."""

    def served(self, answer=None) -> tuple[GrpcConversation, list[Echo]]:
        """A server with the method /test.T/S, and the handlers that were made."""
        made: list[Echo] = []

        def make(call):
            made.append(Echo(call))
            made[-1].answer = answer
            return made[-1]

        it = GrpcConversation().open()
        it.factory.table[b"/test.T/S"] = StreamMethod(make)
        return it, made

    def test_in_order(self) -> None:
        """Messages, what it sends, the end."""
        it, made = self.served(lambda self, messages: self.call.send(b"".join(map(framed, messages))))
        response = it.begin("/test.T/S", ("x-one", "1"))
        self.assertEqual(dict(made[0].call.call.metadata), {b"x-one": b"1"})
        self.assertEqual(response.blocks, [])
        it.send(message(b"a") + message(b"b"))
        self.assertEqual((response.messages, response.status), ([b"a", b"b"], None))
        it.send(message(b"c"), end=True)
        self.assertEqual((response.messages, response.status), ([b"a", b"b", b"c"], OK))
        self.assertEqual(made[0].told, [b"a", b"b", b"c", "ended"])

    def test_it_may_send_at_any_time(self) -> None:
        """Not only when it is spoken to."""
        it, made = self.served()
        response = it.begin("/test.T/S")
        made[0].call.send(framed(b"news"))
        it.protocol.flush()
        it.read()
        self.assertEqual(response.messages, [b"news"])
        made[0].call.close(RpcError(Status.ABORTED, "enough"))
        it.protocol.flush()
        it.read()
        self.assertEqual((response.status, response.text), (Status.ABORTED, "enough"))
        it.send(message(b"more"))
        self.assertEqual(made[0].told, [])

    def test_a_deferred_holds_the_messages(self) -> None:
        """The next ones come when it has fired, and the end behind them."""
        waiting: list[Deferred] = []

        def answer(echo, messages):
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: echo.call.send(b"".join(map(framed, messages))))

        it, made = self.served(answer)
        response = it.begin("/test.T/S")
        it.send(message(b"a"))
        it.send(message(b"b"), end=True)
        self.assertEqual((made[0].told, response.messages), ([b"a"], []))
        waiting[0].callback(None)
        it.read()
        self.assertEqual((made[0].told, response.messages), ([b"a", b"b"], [b"a"]))
        self.assertIsNone(response.status)
        waiting[1].callback(None)
        it.read()
        self.assertEqual((response.messages, response.status), ([b"a", b"b"], OK))

    def test_cancelled(self) -> None:
        """It is told once, when the call ends without it: reset, deadline, the connection's end."""
        for end in (
            lambda it: it.cancel(),
            lambda it: it.advance(5),
            lambda it: it.reset(),
            lambda it: it.send(message(b"", flag=7)),
        ):
            it, made = self.served()
            it.begin("/test.T/S", ("grpc-timeout", "4S"))
            end(it)
            self.assertEqual(made[0].told, ["cancelled"])
            if "reset" not in end.__code__.co_names:
                it.reset()
            self.assertEqual(made[0].told, ["cancelled"])

    def test_its_faults(self) -> None:
        """UNKNOWN, and in the log; the connection lives."""

        def raises(echo, messages):
            raise ZeroDivisionError("secret")

        for answer in (raises, lambda echo, messages: fail(ZeroDivisionError("secret"))):
            it, _ = self.served(answer)
            response = it.begin("/test.T/S")
            it.send(message(b"a"))
            self.assertEqual(response.status, UNKNOWN)
            self.assertNotIn("secret", response.text)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual(it.call(PRODUCE, produce(b"a")).status, OK)

    def test_it_cannot_be_made(self) -> None:
        """Likewise, from the start."""
        it = GrpcConversation().open()
        it.factory.table[b"/test.T/S"] = StreamMethod(lambda call: 1 / 0)
        response = it.begin("/test.T/S")
        it.send(message(b"a"), end=True)
        it.advance(1)
        self.assertEqual(response.status, UNKNOWN)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(it.call(PRODUCE, produce(b"a")).status, OK)

    def test_a_drain_awaits_its_deferred(self) -> None:
        """It ends with UNAVAILABLE behind what it answers."""
        waiting: list[Deferred] = []

        def answer(echo, messages):
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: echo.call.send(framed(b"done")))

        it, _ = self.served(answer)
        response = it.begin("/test.T/S")
        it.send(message(b"a"))
        it.factory.drain(8.0)
        it.read()
        it.answer_pings()
        self.assertIsNone(response.status)
        waiting[0].callback(None)
        it.read()
        self.assertEqual((response.messages, response.status), ([b"done"], UNAVAILABLE))
        self.assertIn("half-close", it.transport.events)
