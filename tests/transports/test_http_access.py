"""Who may use the HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from quickpulse.errors import PermissionDenied
from quickpulse.transports.http_access import Access, is_local, is_loopback, media_type
from quickpulse.transports.tokens import Tokens
from tests.transports.http_conversation import API, ELSEWHERE, EVENTS, HttpTestCase

HERE = IPv4Address("TCP", "192.0.2.1", 8080)


class FakeRequest:
    """Headers and addresses."""

    def __init__(self, peer: Any = None, **headers: str | list[str]) -> None:
        self.peer = peer or IPv4Address("TCP", "127.0.0.1", 1)
        self.requestHeaders = Headers()
        for name, value in {"Host": "localhost", **headers}.items():
            values = value if isinstance(value, list) else [value]
            self.requestHeaders.setRawHeaders(name.replace("_", "-"), values)

    def getClientAddress(self) -> Any:
        """Who asks."""
        return self.peer

    def getHost(self) -> Any:
        """Where it came in."""
        return HERE

    def getHeader(self, name: str) -> str | None:
        """The last of them."""
        return (self.requestHeaders.getRawHeaders(name) or [None])[-1]


class AddressTests(SynchronousTestCase):
    """is_local, is_loopback."""

    def test_this_machine(self) -> None:
        """All of 127/8, IPv6's, one written as the other, and UNIX sockets."""
        for host in ("127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(is_loopback(host), host)
        self.assertTrue(is_local(IPv6Address("TCP", "::1", 1)))
        self.assertTrue(is_local(UNIXAddress(None)))

    def test_others(self) -> None:
        """Whatever is no address of loopback."""
        for host in ("192.0.2.1", "::2", "::ffff:192.0.2.1", "0.0.0.0", "localhost", "", "127.0.0.1.example"):
            self.assertFalse(is_loopback(host), host)
        self.assertFalse(is_local(ELSEWHERE))
        self.assertFalse(is_local(None))


class AccessTests(SynchronousTestCase):
    """Access."""

    def is_admitted(self, request: FakeRequest, **options: Any) -> bool:
        """Whether nothing is said against it."""
        try:
            Access(**options).check(request)
        except PermissionDenied:
            return False
        return True

    def test_peers(self) -> None:
        """Others only where everybody may."""
        self.assertTrue(self.is_admitted(FakeRequest()))
        self.assertFalse(self.is_admitted(FakeRequest(ELSEWHERE)))
        self.assertFalse(self.is_admitted(FakeRequest(ELSEWHERE), http_api="loopback"))
        self.assertTrue(self.is_admitted(FakeRequest(ELSEWHERE), http_api="on"))

    def test_any_bytes(self) -> None:
        """What is no UTF-8 in a header is as good as anything else that is none of ours."""
        for name in ("Host", "Origin", "Content-Type"):
            request = FakeRequest()
            request.requestHeaders.setRawHeaders(name.encode(), [b"http://\xff\xfe"])
            self.assertEqual(self.is_admitted(request), name == "Content-Type", name)
            self.assertEqual(media_type(request), "http://\xff\xfe" if name == "Content-Type" else "")

    def test_hosts(self) -> None:
        """Loopback's names, the address that the connection came to, and those that are allowed."""
        good = (
            "localhost",
            "LOCALHOST:8080",
            "app.localhost",
            "localhost.",
            "127.0.0.1:1",
            "[::1]:8080",
            "192.0.2.1:8080",
        )
        for host in good:
            self.assertTrue(self.is_admitted(FakeRequest(Host=host)), host)
        bad = (
            "evil.example",
            "localhost.evil.example",
            "192.0.2.2",
            "",
            ":8080",
            "[::1",
            "localhost@evil.example",
            "1",
        )
        for host in bad:
            self.assertFalse(self.is_admitted(FakeRequest(Host=host)), host)
        self.assertTrue(self.is_admitted(FakeRequest(Host="mq.example:80"), allow_host=("mq.example",)))
        self.assertTrue(self.is_admitted(FakeRequest(Host="mq.example"), allow_host=("*",)))

    def test_several_hosts_or_none(self) -> None:
        """One is meant, and nobody can say which."""
        self.assertFalse(self.is_admitted(FakeRequest(Host=["localhost", "localhost"])))
        self.assertFalse(self.is_admitted(FakeRequest(Host=[])))

    def test_origins(self) -> None:
        """Pages of the same host, and those that are allowed."""
        self.assertTrue(self.is_admitted(FakeRequest(Origin="http://localhost:3000")))
        for origin in ("http://evil.example", "null", "http://localhost.evil.example"):
            self.assertFalse(self.is_admitted(FakeRequest(Origin=origin)), origin)
        page = "https://app.example"
        self.assertTrue(self.is_admitted(FakeRequest(Origin=page), allow_origin=(page,)))
        self.assertFalse(self.is_admitted(FakeRequest(Origin=["http://localhost", "http://evil.example"])))

    def test_no_origin(self) -> None:
        """Of an image or a script of another page the browser says only that it is from elsewhere."""
        for site in ("cross-site", "same-site"):
            self.assertFalse(self.is_admitted(FakeRequest(Sec_Fetch_Site=site)), site)
            self.assertTrue(self.is_admitted(FakeRequest(Sec_Fetch_Site=site), allow_origin=("*",)), site)
            self.assertTrue(self.is_admitted(FakeRequest(Sec_Fetch_Site=site, Origin="http://localhost:1")), site)
        for site in ("same-origin", "none"):
            self.assertTrue(self.is_admitted(FakeRequest(Sec_Fetch_Site=site)), site)


class MediaTypeTests(SynchronousTestCase):
    """media_type."""

    def test_types(self) -> None:
        """Small letters, no parameters; another charset than UTF-8 is none."""
        for value, expected in (
            ("application/json", "application/json"),
            ("Application/JSON; charset=UTF-8", "application/json"),
            ('application/json;charset="utf-8"', "application/json"),
            ("application/json; charset=utf-16", ""),
            ("", ""),
            ([], ""),
            (["application/json", "text/plain"], ""),
        ):
            self.assertEqual(media_type(FakeRequest(Content_Type=value)), expected, value)


class PortTests(HttpTestCase):
    """The rules on the port."""

    def test_off(self) -> None:
        """The path is not there."""
        self.make_site(http_api="off")
        answer = self.ask("GET", "/queues")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (404, "text/plain; charset=utf-8"))

    def test_without_a_broker(self) -> None:
        """Likewise, word for word as any other."""
        self.make_site(broker=None)
        answer = self.ask("GET", "/queues")
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.body, b"no such path; there are /, /metrics, /livez, /readyz, /status.json\n")

    def test_two_slashes(self) -> None:
        """They begin another path than the API's, or the status page's."""
        for path in ("//", f"/{API}/server"):
            client = self.client()
            client.ask("GET", path)
            self.assertEqual(client.answer().status, 404)

    def test_other_machines(self) -> None:
        """403 for the API; metrics and health stay open."""
        client = self.client(ELSEWHERE)
        client.ask("GET", f"{API}/queues")
        answer = client.answer()
        self.assertEqual((answer.status, answer.reason), (403, "PERMISSION_DENIED"))
        self.assertIn("--http-api on", answer.json["error"]["message"])
        for path in ("/metrics", "/livez", "/readyz", "/"):
            client.ask("GET", path, headers={"Host": "evil.example", "Origin": "http://evil.example"})
            self.assertEqual(client.answer().status, 200, path)

    def test_everybody(self) -> None:
        """Where that was asked for; a foreign Host is still none of ours."""
        self.make_site(http_api="on")
        client = self.client(ELSEWHERE)
        client.ask("GET", f"{API}/queues")
        self.assertEqual(client.answer().status, 200)
        client.ask("GET", f"{API}/queues", headers={"Host": "evil.example"})
        self.assertEqual(client.answer().status, 403)

    def test_a_strangers_page(self) -> None:
        """403, nothing is done, and the page may not see why."""
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = self.ask("POST", "/queues/q/publish", {"batch": {"texts": ["a"]}}, headers)
            self.assertEqual((answer.status, answer.reason), (403, "PERMISSION_DENIED"), headers)
            self.assertNotIn("Access-Control-Allow-Origin", answer.headers)
            self.assertEqual(self.ask("OPTIONS", "/queues/q/publish", headers=headers).status, 403)
        self.assertEqual(self.ask("GET", "/queues").json, {})

    def test_simple_forms(self) -> None:
        """415, for JSON and for raw bodies, and nothing is put in."""
        kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "text/html", "")
        for path in ("/queues/q/publish", "/queues/q/messages", "/queues/q/purge"):
            for kind in kinds:
                answer = self.ask("POST", path, b'{"batch":{"texts":["a"]}}', {"Content-Type": kind})
                self.assertEqual((answer.status, answer.reason), (415, "INVALID_ARGUMENT"), (path, kind))
            self.assertEqual(self.ask("POST", path).status, 415)
        self.assertEqual(self.ask("GET", "/queues").json, {})

    def test_a_page_that_may(self) -> None:
        """The browser asks first, and is told."""
        page = "https://app.example"
        self.make_site(allow_origin=(page,))
        answer = self.ask("OPTIONS", "/queues/q/publish", headers={"Origin": page})
        self.assertEqual((answer.status, answer.headers["Access-Control-Allow-Origin"]), (204, page))
        self.assertIn("Content-Type", answer.headers["Access-Control-Allow-Headers"])
        answer = self.ask("POST", "/queues/q/publish", {"batch": {"texts": ["a"]}}, {"Origin": page})
        self.assertEqual((answer.status, answer.headers["Access-Control-Allow-Origin"]), (200, page))
        self.assertEqual(answer.headers["Vary"], "Origin")


class TokenTests(HttpTestCase):
    """Where tokens are wanted."""

    right = {"Authorization": "Bearer secret"}

    def setUp(self) -> None:
        """One is valid."""
        super().setUp()
        self.path = Path(self.mktemp())
        self.path.write_text("secret")
        self.tokens = Tokens(str(self.path))
        self.make_site(tokens=self.tokens)

    def test_from_elsewhere(self) -> None:
        """Who has one may come from other machines, and call the server as they like; unless it is loopback only."""
        headers = {"Host": "queue.example", **self.right}
        for http_api, status in (("auto", 200), ("on", 200), ("loopback", 403)):
            self.make_site(tokens=self.tokens, http_api=http_api)
            client = self.client(ELSEWHERE)
            client.ask("GET", f"{API}/queues", headers=headers)
            self.assertEqual(client.answer().status, status, http_api)

    def test_refused(self) -> None:
        """401, with what HTTP wants of it, counted; nothing is done."""
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic c2VjcmV0"}):
            answer = self.ask("POST", "/queues/q/publish", {"batch": {"texts": ["a"]}}, headers)
            self.assertEqual((answer.status, answer.reason), (401, "UNAUTHENTICATED"))
            self.assertEqual(answer.headers["WWW-Authenticate"], 'Bearer realm="quickpulse"')
        self.assertEqual(self.traffic.refused_total["unauthenticated"], 3)
        self.assertEqual(self.ask("GET", "/queues", headers=self.right).json, {})

    def test_pages(self) -> None:
        """A token does not make a stranger's page ours; one that may asks first without, and sees why it is refused."""
        stranger = {"Origin": "http://evil.example", **self.right}
        self.assertEqual(self.ask("GET", "/queues", headers=stranger).status, 403)
        self.make_site(tokens=self.tokens, allow_origin=("http://app.example",))
        page = {"Origin": "http://app.example"}
        preflight = self.ask("OPTIONS", "/queues", headers={**page, "Access-Control-Request-Headers": "authorization"})
        self.assertEqual(preflight.status, 204)
        self.assertIn("Authorization", preflight.headers["Access-Control-Allow-Headers"])
        for headers, status in ((page, 401), ({**page, **self.right}, 200)):
            answer = self.ask("GET", "/queues", headers=headers)
            self.assertEqual(answer.status, status)
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "http://app.example")

    def test_a_long_body(self) -> None:
        """It is not kept; and who goes on sending is told so, and cut off."""
        client = self.client()
        client.send(f"POST {API}/queues/q/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(17):
            client.send(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
            self.assertEqual(self.site.bodies.held_bytes, 0)
        answer = client.answer()
        self.assertEqual((answer.status, answer.reason), (401, "UNAUTHENTICATED"))
        self.assertEqual(answer.headers["WWW-Authenticate"], 'Bearer realm="quickpulse"')

    def test_events_end(self) -> None:
        """A subscription ends with its token, and what it had goes back if that was asked for."""
        client = self.client()
        path = f"{API}/queues/q/subscribe?credit_messages=9&release_on_disconnect=true"
        client.ask("GET", path, headers={**EVENTS, **self.right})
        self.publish(b"a")
        client.read()
        self.path.write_text("another")
        self.tokens.reload()
        self.assertIn(b"event: end", client.events())
        self.right = {"Authorization": "Bearer another"}
        info = self.ask("GET", "/queues/q", headers=self.right).json
        self.assertEqual((info.get("ready"), info.get("leased"), info.get("waiters")), ("1", None, None))
