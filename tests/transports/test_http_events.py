"""Subscriptions as Server-Sent Events."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

import quickpulse.transports.http_v1
from quickpulse.requests import Batch, DeleteQueue, Deliveries
from quickpulse.transports.keepalive import PING_SECONDS
from tests.transports.http_conversation import API, EVENTS, Client, HttpTestCase


def data_of(events: bytes) -> list[Any]:
    """The data of each event, with its type where it has one."""
    found: list[Any] = []
    for event in events.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in event.split("\n") if ": " in line)
        if "data" in lines:
            data = json.loads(lines["data"])
            found.append((lines["event"], data) if "event" in lines else data)
    return found


class EventTests(HttpTestCase):
    """One stream, or several."""

    def subscribe(self, query: str = "credit_messages=10&texts=1") -> Client:
        """A client that has subscribed."""
        client = self.client()
        client.ask("GET", f"{API}/queues/q/subscribe?{query}", headers=EVENTS)
        answer = client.answer()
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "text/event-stream"))
        self.assertEqual(answer.body, b":\n\n")
        return client

    def test_messages(self) -> None:
        """Each helping is an event, one line of JSON."""
        client = self.subscribe()
        self.publish(b"a\r\nb\xe2\x80\xa8", b"c")
        (got,) = data_of(client.events())
        self.assertEqual(got["batch"], {"texts": ["a\r\nb\u2028", "c"]})
        self.assertIn("first_receipt", got)
        self.publish(b"d")
        self.assertEqual(data_of(client.events())[0]["batch"], {"texts": ["d"]})

    def test_the_end_of_its_credit(self) -> None:
        """It is told, and the connection serves on."""
        client = self.subscribe("credit_messages=2&delivery=TAKEN")
        self.publish(b"a", b"b", b"c")
        got, end = data_of(client.events())
        self.assertEqual(got["batch"], {"payloads": ["YQ==", "Yg=="]})
        self.assertEqual(end, ("end", {}))
        client.ask("GET", f"{API}/queues/q")
        self.assertEqual(client.answer().json["ready"], "1")
        self.assertEqual(self.site.resource.children[b"api"].open, 0)

    def test_credit_in_bytes(self) -> None:
        """Likewise."""
        client = self.subscribe("credit_messages=9&credit_bytes=3")
        self.publish(b"aa", b"bb", b"cc")
        self.assertEqual(data_of(client.events())[-1], ("end", {}))
        self.assertNotEqual(self.queue()["ready"], "0")

    def test_an_error(self) -> None:
        """The end says why."""
        for end, reason in (
            (lambda: self.broker.delete_queue(DeleteQueue("q")), "NOT_FOUND"),
            (self.broker.drain, "DRAINING"),
        ):
            client = self.subscribe()
            end()
            kind, data = data_of(client.events())[0]
            self.assertEqual((kind, data["error"]["reason"]), ("end", reason))

    def test_before_it_begins(self) -> None:
        """What is wrong is an answer with a status."""
        for query, headers, status in (
            ("credit_messages=1", {}, 406),
            ("credit_messages=1", {"Accept": "*/*"}, 406),
            ("", EVENTS, 400),
            ("credit_messages=0", EVENTS, 400),
            ("credit_messages=5000000000", EVENTS, 400),
            ("credit_messages=4000000000", EVENTS, 400),
            ("credit_messages=1&queue=other", EVENTS, 400),
            ("credit_messages=1&nothing=1", EVENTS, 400),
        ):
            answer = self.ask("GET", f"/queues/q/subscribe?{query}", headers=headers)
            self.assertEqual(answer.status, status, query)
        self.assertEqual(self.site.resource.children[b"api"].open, 0)
        self.broker.drain()
        self.assertEqual(self.ask("GET", "/queues/q/subscribe?credit_messages=1", headers=EVENTS).status, 503)
        self.assertEqual(self.site.resource.children[b"api"].open, 0)

    def test_keepalive(self) -> None:
        """A comment now and then, and no timer afterwards."""
        client = self.subscribe()
        for _ in range(3):
            self.clock.advance(PING_SECONDS)
            self.assertEqual(client.events(), b":\n\n")
        client.vanish()
        self.clock.advance(PING_SECONDS)
        self.assertEqual(client.read(), b"")

    def test_a_slow_reader(self) -> None:
        """Nothing is taken out for it until it reads, and no comment piles up."""
        client = self.subscribe()
        client.wire.producer.pauseProducing()
        self.publish(b"a")
        self.clock.advance(PING_SECONDS * 3)
        self.assertEqual(client.read(), b"")
        self.assertEqual(self.queue()["ready"], "1")
        client.wire.producer.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(data_of(client.events())[0]["batch"], {"texts": ["a"]})

    def test_one_that_did_not_read_before(self) -> None:
        """It is subscribed when it has read the answers to what it asked before."""
        client = self.client()
        client.wire.producer.pauseProducing()
        client.ask("GET", f"{API}/queues/q/subscribe?credit_messages=10", headers=EVENTS)
        self.publish(b"a")
        self.assertEqual((client.read(), self.queue()["ready"]), (b"", "1"))
        client.wire.producer.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(len(data_of(client.answer().body)), 1)

    def test_a_client_that_goes_away(self) -> None:
        """Nothing is leased for it; what it holds goes back if it asked for that."""
        self.subscribe("credit_messages=1000").vanish()
        self.publish(b"a")
        self.assertEqual(self.queue()["ready"], "1")
        gives = self.subscribe("credit_messages=1000&release_on_disconnect=true")
        self.clock.advance(0)
        self.assertEqual(self.queue()["leased"], "1")
        gives.vanish()
        self.assertEqual(self.queue()["ready"], "1")
        self.assertEqual(self.queue().get("waiters", "0"), "0")

    def test_an_old_protocol(self) -> None:
        """HTTP/1.0 knows no chunks: the end is the connection's."""
        client = self.client()
        path = f"{API}/queues/q/subscribe?credit_messages=1"
        client.send(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
        self.publish(b"a")
        self.assertEqual(len(data_of(client.read().partition(b"\r\n\r\n")[2])), 2)
        self.assertTrue(client.wire.disconnecting)

    def test_what_comes_too_late(self) -> None:
        """A provider that goes on after the end has nobody to give to; the stream's producer is one."""
        told: list[Any] = []
        subscribe = self.broker.subscribe

        def listen(asked: Any, deliver: Any, ended: Any) -> Any:
            told.extend((deliver, ended))
            return subscribe(asked, deliver, ended)

        self.patch(self.broker, "subscribe", listen)
        client = self.subscribe()
        self.assertTrue(verifyObject(IPushProducer, told[0].__self__))
        self.broker.drain()
        client.read()
        told[0](Deliveries("q", Batch([b"a"])))
        told[1](None)
        client.vanish()
        self.assertEqual(client.read(), b"")

    def test_too_many(self) -> None:
        """They count with the pulls that wait."""
        self.patch(quickpulse.transports.http_v1, "MOST_OPEN", 1)
        self.subscribe()
        answer = self.ask("GET", "/queues/q/subscribe?credit_messages=1", headers=EVENTS)
        self.assertEqual((answer.status, answer.reason), (429, "TOO_MANY_REQUESTS"))
