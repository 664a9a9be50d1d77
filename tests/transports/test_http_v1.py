"""v1 over the HTTP port, over a real broker."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

import quickpulse.transports.http_v1
from quickpulse.errors import Draining, QueueFull
from quickpulse.requests import Batch, Deliveries, Policy, PublishReply, Pull, SetPolicy
from quickpulse.wire.v1.table import ROWS
from tests.transports.http_conversation import API, JSON, RAW, HttpTestCase

PULL = f"{API}/queues/q/pull"


class RequestTests(HttpTestCase):
    """What is answered at once."""

    def test_publish_pull_settle(self) -> None:
        """The way of a message."""
        answer = self.post("/queues/q/publish", batch={"texts": ["one", "two"]})
        self.assertEqual((answer.status, answer.json), (200, {"sequences": [{"first": "1", "last": "2"}]}))
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        got = self.post("/queues/q/pull", max_messages=2).json
        self.assertEqual(got["batch"]["payloads"], [base64.b64encode(each).decode() for each in (b"one", b"two")])
        receipts = [{"first": got["first_receipt"], "last": str(int(got["first_receipt"]) + 1)}]
        self.assertEqual(self.post("/queues/q/settle", receipts=receipts, action="ACK").json, {"settled": "2"})
        self.assertEqual(self.post("/queues/q/settle", receipts=receipts, action="ACK").json, {"unknown": receipts})
        self.assertEqual(self.post("/queues/q/pull").json, {})

    def test_texts(self) -> None:
        """Where they are asked for."""
        self.publish(b"one")
        self.assertEqual(self.ask("POST", "/queues/q/peek?texts=true", {}).json["batch"], {"texts": ["one"]})
        self.assertEqual(self.ask("POST", "/queues/q/pull?texts=1", {}).json["batch"], {"texts": ["one"]})
        self.assertEqual(self.ask("POST", "/queues/q/pull?texts=yes", {}).status, 400)

    def test_administration(self) -> None:
        """Each request of a queue, and the list."""
        self.publish(b"a", b"b")
        self.assertEqual(self.post("/queues/q/set_policy", policy={"capacity": 2}).json["policy"]["capacity"], "2")
        self.assertEqual(self.post("/queues/q/pause", publishes=True).json["publish_paused"], True)
        self.assertEqual(self.post("/queues/q/publish", batch={"texts": ["c"]}).status, 409)
        self.assertNotIn("paused", self.post("/queues/q/resume").json)
        self.assertEqual(self.post("/queues/q/purge").json, {"messages": "2"})
        self.assertEqual([each["name"] for each in self.ask("GET", "/queues?prefix=q").json["queues"]], ["q"])
        self.assertEqual(self.ask("GET", "/queues?prefix=r").json, {})
        self.assertEqual(self.post("/queues/q/delete_queue").json, {})
        self.assertEqual(self.ask("GET", "/queues/q").status, 404)
        self.assertIn("max_batch_bytes", self.ask("GET", "/server").json["limits"])

    def test_every_route(self) -> None:
        """Each row of the table that has one is served."""
        for row in ROWS:
            if row.http is not None and row.name != "subscribe":
                method, path = row.http
                body = b"{}" if method == "POST" else b""
                answer = self.ask(method, path.removeprefix(API).replace("{queue}", "q"), body, JSON)
                self.assertIn(answer.status, (200, 400, 404), row.name)
                self.assertNotIn(b"UNSUPPORTED", answer.body)

    def test_head(self) -> None:
        """What GET says, without a body."""
        answer = self.ask("HEAD", "/server")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["Content-Length"], str(len(self.ask("GET", "/server").body)))

    def test_nothing_there(self) -> None:
        """404 and 405, in JSON, counted."""
        for method, path, status in (
            ("GET", "/nothing", 404),
            ("POST", "/queues/q/eat", 404),
            ("POST", "/queues/q/credit", 404),
            ("POST", "/queues/a/b/messages", 404),
            ("POST", "/queues//messages", 404),
            ("GET", "/queues/q/publish", 405),
            ("GET", "/queues/q/messages", 405),
            ("HEAD", "/queues/q/subscribe", 405),
            ("DELETE", "/queues/q", 405),
            ("POST", "/openapi.json", 405),
        ):
            answer = self.ask(method, path)
            self.assertEqual(answer.status, status, path)
            if method != "HEAD":
                self.assertEqual(answer.reason, "UNSUPPORTED")
        self.assertEqual(answer.headers["Allow"], "GET")
        self.assertEqual(self.traffic.refused_total["not_found"], 10)

    def test_errors(self) -> None:
        """The status of the table, and when a retry may help."""
        self.broker.set_policy(SetPolicy("q", Policy(capacity=1)))
        self.publish(b"a")
        answer = self.ask("POST", "/queues/q/messages", b"b", RAW)
        self.assertEqual((answer.status, answer.reason), (429, "QUEUE_FULL"))
        self.assertEqual(answer.headers["Retry-After"], "1")
        answer = self.post("/queues/q/publish", batch={"texts": ["b"]})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json["rejections"][0]["error"]["reason"], "QUEUE_FULL")
        answer = self.ask("GET", "/queues/none")
        self.assertEqual((answer.status, answer.reason), (404, "NOT_FOUND"))
        self.assertNotIn("Retry-After", answer.headers)
        self.broker.drain()
        answer = self.post("/queues/q/pull")
        self.assertEqual((answer.status, answer.reason, answer.headers["Retry-After"]), (503, "DRAINING", "1"))

    def test_what_is_no_request(self) -> None:
        """400, each with the reason."""
        for body in (b"{", b"[]", b'{"a":1}', b"\xff", b'{"batch":' + b"[" * 50_000, b'{"queue":"other"}', b"1"):
            self.assertEqual(self.ask("POST", "/queues/q/publish", body, JSON).status, 400, body[:20])
        self.assertEqual(self.ask("POST", "/queues/q/pull?wait_ms=5", b"{}", JSON).status, 400)
        for query in ("prefix=a&prefix=b", "x=1", "prefix", "%", "prefix=%FF"):
            self.assertEqual(self.ask("GET", f"/queues?{query}").status, 400, query)
        self.assertEqual(self.ask("GET", "/queues", b'{"prefix":"a"}', JSON).status, 400)
        self.assertEqual(self.ask("GET", "/queues?" + "&".join(f"a{each}=1" for each in range(1000))).status, 400)
        for name in ("%24", "a%2Fb", "%FF", "%00", "x" * 256):
            self.assertEqual(self.post(f"/queues/{name}/publish", batch={"texts": ["a"]}).status, 400, name)
        self.assertEqual(self.ask("GET", "/queues").json, {})

    def test_one_connection(self) -> None:
        """Serves one request after the other, also those that were sent at once."""
        client = self.client()
        for text in (b"a", b"b"):
            client.ask("POST", f"{API}/queues/q/messages", text, RAW)
        self.assertEqual(client.read().count(b"200 OK"), 2)
        self.assertEqual(self.queue()["ready"], "2")

    def test_one_that_does_not_read(self) -> None:
        """What it sends on is served when it has read, and one after the other."""
        client = self.client()
        client.wire.producer.pauseProducing()
        for text in (b"a", b"b"):
            client.ask("POST", f"{API}/queues/q/messages", text, RAW)
        self.assertEqual(client.read(), b"")
        self.assertEqual(self.ask("GET", "/queues").json, {})
        client.wire.producer.resumeProducing()
        self.assertEqual(client.read().count(b"200 OK"), 2)
        self.assertEqual(self.site.bodies.held_bytes, 0)

    def test_one_that_never_reads(self) -> None:
        """Nothing was done for it, and nothing is left of it."""
        client = self.client()
        client.wire.producer.pauseProducing()
        client.ask("POST", f"{API}/queues/q/messages", b"a", RAW)
        self.assertEqual(self.site.bodies.held_bytes, 1)
        client.vanish()
        self.assertEqual(self.ask("GET", "/queues").json, {})
        self.assertEqual(self.site.bodies.held_bytes, 0)

    def test_what_fails_here(self) -> None:
        """503, without a word of what it was; that is in the log."""
        self.patch(self.broker, "publish", lambda _: 1 / 0)
        answer = self.ask("POST", "/queues/q/messages", b"a", RAW)
        self.assertEqual((answer.status, answer.reason), (503, "QUEUE_UNAVAILABLE"))
        self.assertNotIn(b"zero", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RawTests(HttpTestCase):
    """A body as one message."""

    def test_any_bytes(self) -> None:
        """As they are, none included."""
        for body in (b"\x00\xff\r\n", b""):
            answer = self.ask("POST", "/queues/a:b@c/messages", body, RAW)
            self.assertEqual(answer.status, 200)
            self.assertEqual(self.broker.pull(Pull(("a:b@c",))).batch, Batch([body]))

    def test_too_large(self) -> None:
        """413 of the message."""
        answer = self.ask("POST", "/queues/q/messages", b"x" * (1 << 20) + b"x", RAW)
        self.assertEqual((answer.status, answer.reason), (413, "MESSAGE_TOO_LARGE"))

    def test_no_fields(self) -> None:
        """There are none, so none is ignored."""
        self.assertEqual(self.ask("POST", "/queues/q/messages?priority=5", b"a", RAW).status, 400)

    def test_a_late_broker(self) -> None:
        """Accepted or refused later."""
        for result, status in ((PublishReply(((1, 1),)), 200), (Failure(QueueFull()), 429)):
            reply: Deferred[Any] = Deferred()
            self.patch(self.broker, "publish", lambda _, reply=reply: reply)
            client = self.client()
            client.ask("POST", f"{API}/queues/q/messages", b"a", RAW)
            self.assertEqual(client.read(), b"")
            reply.callback(result)
            self.assertEqual(client.answer().status, status)

    def test_in_haste(self) -> None:
        """Behind an answer that is late much may be sent: nothing is taken out for this client meanwhile."""
        reply: Deferred[Any] = Deferred()
        self.patch(self.broker, "publish", lambda _: reply)
        client = self.client()
        client.ask("POST", f"{API}/queues/q/messages", b"a", RAW)
        client.ask("POST", f"{API}/queues/q/pull", b"{%b}" % (b" " * 50_000), JSON)
        self.assertFalse(client.wire.is_aborted)
        reply.callback(PublishReply(((1, 1),)))
        self.assertEqual(client.read().count(b"200 OK"), 2)


class LongPollTests(HttpTestCase):
    """Pulls that wait."""

    def wait(self, wait_ms: int = 5000) -> Any:
        """A client whose pull waits."""
        client = self.client()
        client.ask("POST", PULL, b'{"wait_ms":%d}' % wait_ms, JSON)
        self.assertEqual(client.read(), b"")
        return client

    def test_a_message_comes(self) -> None:
        """It is answered, and the connection lives."""
        client = self.wait()
        self.publish(b"a")
        self.assertEqual(client.answer().json["batch"], {"payloads": ["YQ=="]})
        client.ask("GET", f"{API}/queues/q")
        self.assertEqual(client.answer().json["leased"], "1")

    def test_none_comes(self) -> None:
        """An empty answer, when its time is up; longer than a connection may be idle."""
        client = self.wait(100_000)
        self.clock.pump([1.0] * 99)
        self.assertEqual(client.read(), b"")
        self.clock.pump([1.0] * 2)
        self.assertEqual((answer := client.answer()).status, 200)
        self.assertEqual(answer.json, {})

    def test_a_client_that_goes_away(self) -> None:
        """Nothing is leased for it: the next one has it."""
        gone, stays = self.wait(), self.wait()
        gone.vanish()
        self.publish(b"a")
        self.assertIn("batch", stays.answer().json)
        self.assertEqual(self.queue()["leased"], "1")

    def test_thousands_that_go_away(self) -> None:
        """Nothing is left of them."""
        for _ in range(10):
            clients = [self.wait() for _ in range(200)]
            for client in clients:
                client.vanish()
        self.publish(b"a")
        self.assertEqual((self.queue()["ready"], self.queue().get("waiters", "0")), ("1", "0"))
        self.assertEqual(self.site.resource.children[b"api"].open, 0)

    def test_one_that_is_in_haste(self) -> None:
        """Behind a pull that waits it sends so much that its end would not be seen: it is cut off."""
        client = self.wait()
        client.send(b"x" * 10_000)
        self.assertFalse(client.wire.is_aborted)
        client.send(b"x" * 10_000)
        self.assertTrue(client.wire.is_aborted)
        client.vanish()
        self.publish(b"a")
        self.assertEqual(self.queue()["ready"], "1")

    def test_too_many(self) -> None:
        """429 for one more; what does not wait is served."""
        self.patch(quickpulse.transports.http_v1, "MOST_OPEN", 2)
        clients = [self.wait(), self.wait()]
        answer = self.post("/queues/q/pull", wait_ms=1000)
        self.assertEqual((answer.status, answer.reason), (429, "TOO_MANY_REQUESTS"))
        self.assertEqual(self.post("/queues/q/pull").status, 200)
        clients[0].vanish()
        self.wait()

    def test_a_drain(self) -> None:
        """Who waits is answered empty."""
        client = self.wait()
        self.broker.drain()
        self.assertEqual(client.answer().json, {})

    def test_an_error_later(self) -> None:
        """With its status, as an early one."""
        reply: Deferred[Any] = Deferred()
        self.patch(self.broker, "pull", lambda _: reply)
        client = self.wait()
        reply.errback(Draining())
        self.assertEqual(client.answer().reason, "DRAINING")

    def test_a_broker_that_cannot_be_told(self) -> None:
        """What it took for a client that is gone is counted."""
        reply: Deferred[Any] = Deferred(lambda _: None)
        reply.cancel = lambda: None  # type: ignore[method-assign]
        self.patch(self.broker, "pull", lambda _: reply)
        self.wait().vanish()
        reply.callback(Deliveries("q", Batch([b"a", b"b"])))
        self.assertEqual(self.traffic.undelivered_total, 2)

    def test_cancelling(self) -> None:
        """A broker is told once."""
        told: list[Any] = []
        reply: Deferred[Any] = Deferred(told.append)
        self.patch(self.broker, "pull", lambda _: reply)
        client = self.wait()
        client.vanish()
        self.assertEqual(told, [reply])
        self.assertEqual(self.flushLoggedErrors(CancelledError), [])
