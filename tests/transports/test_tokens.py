"""Bearer tokens: the file, what a client shows, and rotation."""

from __future__ import annotations

import gc
import os
from base64 import urlsafe_b64encode
from pathlib import Path

from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import SettingsError, Unauthenticated
from quickpulse.transports.tokens import MOST_FILE_BYTES, MOST_TOKEN_BYTES, MOST_TOKENS, Tokens, header_in

ONE, TWO = b"first.token~0+/==", b"second-token_9"


class Holding:
    """A long conversation."""

    def __init__(self) -> None:
        self.errors: list[Unauthenticated] = []

    def revoked(self, error: Unauthenticated) -> None:
        """It is over."""
        self.errors.append(error)


class TokensTestCase(SynchronousTestCase):
    """With a file of its own."""

    def setUp(self) -> None:
        """Where it will be, and what is logged."""
        self.path = Path(self.mktemp())
        self.lines: list[str] = []

        def observe(event: dict) -> None:
            self.lines.append(str(formatEvent(event)))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def write(self, text: bytes, mode: int = 0o600) -> str:
        """Fill the file."""
        self.path.write_bytes(text)
        os.chmod(self.path, mode)
        return str(self.path)

    def tokens(self, text: bytes = ONE + b"\n" + TWO) -> Tokens:
        """Those in a file with this text."""
        return Tokens(self.write(text))


class FileTests(TokensTestCase):
    """What is in the file."""

    def refusal(self, text: bytes) -> str:
        """Why it is not taken; what is in it is never told."""
        error = str(self.assertRaises(SettingsError, self.tokens, text))
        self.assertTrue(error.startswith(f"--auth-token-file '{self.path}': "), error)
        self.assertNotIn("secret", error)
        return error

    def test_lines(self) -> None:
        """One token a line; comments, empty lines, spaces around, any end of line, a mark of UTF-8, one twice."""
        text = b"\xef\xbb\xbf# tokens\r\n\r\n  " + ONE + b"  # of the producers\n\t\n" + TWO + b"\t#\n" + ONE
        tokens = self.tokens(text)
        self.assertEqual(len(tokens), 2)
        for each in (ONE, TWO):
            tokens.check([b"Bearer " + each])

    def test_none(self) -> None:
        """A file without a token would lock everybody out, or nobody."""
        for text in (b"", b"\n\n", b"# secret\n"):
            self.assertIn("there is no token in it", self.refusal(text))

    def test_no_tokens(self) -> None:
        """What could not come in a header is refused with its line's number."""
        for line in (b"secret secret", b"name:secret", b"=secret", b"se=cret", b"secr\xe9t", b"secret#", b"s\0ecret"):
            self.assertIn("line 2 is no token", self.refusal(ONE + b"\n" + line))
        self.assertIn("line 1 is no token", self.refusal(b"s" * (MOST_TOKEN_BYTES + 1)))
        self.assertEqual(len(self.tokens(b"s" * MOST_TOKEN_BYTES)), 1)

    def test_too_much(self) -> None:
        """Bytes and tokens are bounded."""
        self.assertIn("more than", self.refusal(b"#" * (MOST_FILE_BYTES + 1)))
        many = b"\n".join(b"t%d" % number for number in range(MOST_TOKENS + 1))
        self.assertIn(f"more than {MOST_TOKENS} tokens", self.refusal(many))

    def test_no_file(self) -> None:
        """That it is not there, is a directory, or has a name that none can have, is said."""
        self.assertIn("No such file", str(self.assertRaises(SettingsError, Tokens, "/nowhere/tokens")))
        self.assertIn("Is a directory", str(self.assertRaises(SettingsError, Tokens, "/")))
        self.assertRaises(SettingsError, Tokens, "a\0b")

    def test_readable_by_all(self) -> None:
        """A warning: everybody on the machine may read it."""
        Tokens(self.write(ONE, 0o640))
        self.assertEqual(self.lines, [])
        Tokens(self.write(ONE, 0o644))
        self.assertIn("everybody on this machine may read it", self.lines[0])


class CheckTests(TokensTestCase):
    """What a client shows."""

    def test_valid(self) -> None:
        """Whichever of them, however the scheme is written."""
        tokens = self.tokens()
        for header in (b"Bearer %b", b"bearer %b", b"BEARER  %b", b" Bearer %b\t"):
            self.assertEqual(tokens.check([header % ONE]), tokens.check([b"Bearer " + ONE]))
        self.assertNotEqual(tokens.check([b"Bearer " + ONE]), tokens.check([b"Bearer " + TWO]))

    def test_none(self) -> None:
        """Who shows nothing is told what is wanted."""
        error = self.assertRaises(Unauthenticated, self.tokens().check, [])
        self.assertEqual(str(error), "a bearer token is wanted")

    def test_wrong(self) -> None:
        """Another one, a part of one, more than one, another scheme, and whatever else a header may be."""
        tokens = self.tokens()
        right = b"Bearer " + ONE
        wrong = (b"", b"Bearer", b"Bearer ", ONE, b"Basic " + ONE, right[:-1], right + b"x", right + b", " + right)
        for header in (*wrong, right.replace(b" ", b"\t"), b"Bearer " + ONE.upper(), b"Bearer \xff\xfe", b"Bearer \0"):
            error = self.assertRaises(Unauthenticated, tokens.check, [header])
            self.assertEqual(str(error), "this bearer token is not known")
        self.assertRaises(Unauthenticated, tokens.check, [right, right])

    def test_huge(self) -> None:
        """The cost of a header is that of reading it, whatever it is full of."""
        tokens = self.tokens()
        for part in (b"a", b" ", b"=", b"Bearer ", b"a="):
            for begin in (b"", b"Bearer ", b"Bearer a"):
                self.assertRaises(Unauthenticated, tokens.check, [begin + part * 1_000_000])

    def test_attempts_leave_nothing(self) -> None:
        """Nothing is remembered of who was refused."""
        tokens = self.tokens()
        for number in range(10_000):
            self.assertRaises(Unauthenticated, tokens.check, [b"Bearer %d" % number])
        self.assertEqual(self.lines, [])
        kept = sum(len(each) for each in vars(tokens).values() if hasattr(each, "__len__"))
        self.assertLess(kept, 10)

    def test_not_kept(self) -> None:
        """The token itself is not to be found in what is kept."""
        tokens = self.tokens()
        tokens.check([b"Bearer " + ONE])
        self.assertNotIn(ONE.decode(), repr(vars(tokens)))


class SubprotocolTests(TokensTestCase):
    """A token where a page can set no header."""

    def test_coded(self) -> None:
        """Base64url, without padding or with it, beside other names."""
        tokens = self.tokens()
        coded = urlsafe_b64encode(ONE).decode()
        self.assertIn("=", coded)
        for text in (coded, coded.rstrip("=")):
            tokens.check(header_in(["quickpulse.v1.json", f"quickpulse.token.{text}"]))

    def test_wrong(self) -> None:
        """None, two, and what is no base64url."""
        tokens = self.tokens()
        good = f"quickpulse.token.{urlsafe_b64encode(ONE).decode().rstrip('=')}"
        self.assertEqual(header_in(["quickpulse.v1.json"]), [])
        self.assertRaises(Unauthenticated, tokens.check, header_in([good, good]))
        for name in ("", "!", "é", "A", good[17:] + "!", "!" + good[17:], "====", "A" * 100_000):
            self.assertRaises(Unauthenticated, tokens.check, header_in([f"quickpulse.token.{name}"]))


class ReloadTests(TokensTestCase):
    """Rotation."""

    def test_new_and_old(self) -> None:
        """What was added is valid, what was taken away is not."""
        tokens = self.tokens(ONE)
        self.write(TWO)
        tokens.reload()
        tokens.check([b"Bearer " + TWO])
        self.assertRaises(Unauthenticated, tokens.check, [b"Bearer " + ONE])
        self.assertEqual(self.lines, ["--auth-token-file: tokens that are valid now: 1"])

    def test_elsewhere(self) -> None:
        """The file is the same one when the server has gone into another directory."""
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        tokens = self.tokens(ONE)
        os.chdir("/")
        (before / self.path).write_bytes(TWO)
        tokens.reload()
        tokens.check([b"Bearer " + TWO])

    def test_bad_file(self) -> None:
        """What was valid stays so, and the log says why."""
        tokens = self.tokens(ONE)
        self.write(b"")
        tokens.reload()
        self.path.unlink()
        tokens.reload()
        tokens.check([b"Bearer " + ONE])
        self.assertIn("there is no token in it", self.lines[0])
        self.assertIn("No such file", self.lines[1])

    def test_who_holds_one(self) -> None:
        """Conversations end whose token is gone, once; the others do not hear of it."""
        tokens = self.tokens()
        ended, stays = Holding(), Holding()
        tokens.hold(ended, tokens.check([b"Bearer " + ONE]))
        tokens.hold(stays, tokens.check([b"Bearer " + TWO]))
        self.write(TWO)
        tokens.reload()
        tokens.reload()
        self.assertEqual([str(error) for error in ended.errors], ["this bearer token is not valid any more"])
        self.assertEqual(stays.errors, [])

    def test_who_is_gone(self) -> None:
        """A conversation that ended by itself is not kept."""
        tokens = self.tokens()
        gone = [Holding() for _ in range(100)]
        for each in gone:
            tokens.hold(each, tokens.check([b"Bearer " + ONE]))
        errors = [each.errors for each in gone]
        gone.clear()
        del each
        gc.collect()
        self.write(TWO)
        tokens.reload()
        self.assertEqual(errors, [[]] * 100)

    def test_who_wants_to_know(self) -> None:
        """They are told after each change, before conversations end."""
        tokens = self.tokens()
        told: list[int] = []
        tokens.when_reloaded(lambda: told.append(len(tokens)))
        self.write(ONE)
        tokens.reload()
        self.write(b"")
        tokens.reload()
        self.assertEqual(told, [1])
