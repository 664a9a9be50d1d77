"""The JSON form: strict, and bounded."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument, MalformedRequest
from quickpulse.wire.v1 import json_form
from quickpulse.wire.v1.json_form import MAX_DEPTH, MAX_OBJECTS, load_object, parse_json, to_json

NAMES = ("batch", "payloads", "texts", "common", "properties", "headers", "0", "queue", "batchKey")

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)


def publish(text: str) -> Any:
    """A PublishRequest of this JSON."""
    return parse_json(pb.PublishRequest, text.encode())


class ObjectTests(SynchronousTestCase):
    """load_object: what no JSON object is."""

    def assert_malformed(self, data: bytes, word: str = "JSON") -> None:
        """It is refused in these words."""
        self.assertIn(word, str(self.assertRaises(MalformedRequest, load_object, data)))

    def test_deep(self) -> None:
        """A hundred thousand brackets, closed or not, of either kind, and behind strings that look like their end."""
        for opening, closing in (("[", "]"), ('{"a":', "}"), ('["\\"",', "]"), ('{"]":[', "]}")):
            for data in (opening * 100_000, opening * 100_000 + "1" + closing * 100_000):
                self.assert_malformed(data.encode(), str(MAX_DEPTH))

    def test_the_bound(self) -> None:
        """So deep it is read, and one deeper it is not."""
        for depth, passes in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
            data = ('{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}").encode()
            if passes:
                self.assertIn("a", load_object(data))
            else:
                self.assert_malformed(data)

    def test_brackets_in_strings(self) -> None:
        """They are text, escaped quotes and backslashes around them or not."""
        for text in ("[" * 1000, '"[{' * 100, "\\" * 101 + "[" * 50, '\\"[' * 100):
            self.assertEqual(load_object(json.dumps({"a": text}).encode()), {"a": text})

    def test_many_shallow_ones(self) -> None:
        """Many is not deep."""
        value = {"a": [{"b": [1]}] * 1000}
        self.assertEqual(load_object(json.dumps(value).encode()), value)

    def test_too_many_objects(self) -> None:
        """They are refused before one is made; within strings they are text."""
        self.assert_malformed(b'{"a":[' + b"{}," * MAX_OBJECTS + b"{}]}", str(MAX_OBJECTS))
        self.assertEqual(load_object(b'{"a":"%b"}' % (b"{}" * MAX_OBJECTS)), {"a": "{}" * MAX_OBJECTS})

    def test_numbers_that_are_none(self) -> None:
        """NaN and infinities, and digits by the thousand."""
        for number in ("NaN", "Infinity", "-Infinity"):
            self.assert_malformed(f'{{"a":{number}}}'.encode(), number)
        self.assert_malformed(b'{"a":' + b"1" * 10_000 + b"}")

    def test_not_utf8(self) -> None:
        """Nor a text without an end, nor other encodings."""
        for data in (b'{"a":"\xff"}', b'{"a"', b"", b"\xff\xfe{\x00}\x00", '{"a":1}'.encode("utf-16")):
            self.assert_malformed(data)

    def test_names_twice(self) -> None:
        """Which one is meant nobody can say, wherever it is."""
        for data in (b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}'):
            self.assert_malformed(data, "twice")

    def test_no_object(self) -> None:
        """A frame is one."""
        for data in (b"[]", b"1", b'"a"', b"null"):
            self.assert_malformed(data, "object")

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3)))
    def test_as_the_library_reads(self, value: Any) -> None:
        """Whatever is not too deep."""
        data = json.dumps({"a": value})
        if data.count("[") < MAX_DEPTH:
            self.assertEqual(load_object(data.encode()), {"a": value})


class MessageTests(SynchronousTestCase):
    """parse_json: what no message of the contract is."""

    def assert_invalid(self, text: str, *words: str) -> None:
        """It is refused in one line with these words."""
        said = str(self.assertRaises(InvalidArgument, publish, text))
        self.assertNotIn("\n", said)
        for word in words:
            self.assertIn(word, said)

    def test_unknown_fields(self) -> None:
        """At every depth, reserved names among them."""
        self.assert_invalid('{"nobody":1}', "nobody")
        self.assert_invalid('{"topic":"a"}', "topic")
        self.assert_invalid('{"batch":{"common":{"nobody":1}}}', "nobody")

    def test_wrong_types(self) -> None:
        """Whatever stands where something else should."""
        for value in ("1", "[]", '"a"', "true", "[[]]"):
            self.assert_invalid(f'{{"batch":{value}}}')
        for value in ("{}", "1", '"a"', "[null]", "[1]", "[[]]", '[{"a":1}]'):
            self.assert_invalid(f'{{"batch":{{"payloads":{value}}}}}')
            self.assert_invalid(f'{{"batch":{{"texts":{value}}}}}')
        for value in ("1.5", "-1", '"x"', "4294967296", "true", "1e99"):
            self.assert_invalid(f'{{"batch":{{"common":{{"priority":{value}}}}}}}', "priority")

    def test_indexes(self) -> None:
        """Keys of `properties` are numbers in quotes."""
        self.assertEqual(publish('{"batch":{"properties":{"3":{"id":"a"}}}}').batch.properties[3].id, "a")
        for key in ("x", "-1", "4294967296", ""):
            self.assert_invalid(f'{{"batch":{{"properties":{{"{key}":{{}}}}}}}}')

    def test_base64(self) -> None:
        """Both alphabets, with padding or without."""
        for text, payload in (
            ("AA==", b"\0"),
            ("AA", b"\0"),
            ("AAA", b"\0\0"),
            ("+/8=", b"\xfb\xff"),
            ("-_8", b"\xfb\xff"),
            ("", b""),
        ):
            self.assertEqual(list(publish(f'{{"batch":{{"payloads":["{text}"]}}}}').batch.payloads), [payload])

    def test_what_is_no_base64(self) -> None:
        """The library would skip it."""
        for text in ("A", "AAAAA", "A$A=", "AA=", "A===", "====", "AA==AA", " AAA", "AA\\n==", "ä"):
            self.assert_invalid(f'{{"batch":{{"payloads":["", "{text}"]}}}}', "batch.payloads", "base64")
            self.assert_invalid(f'{{"batch_key":"{text}"}}', "batch_key")
            self.assert_invalid(f'{{"batchKey":"{text}"}}', "batch_key")

    def test_nulls(self) -> None:
        """A field that is null is not set."""
        self.assertEqual(publish('{"queue":null,"batch":null,"batch_key":null}'), pb.PublishRequest())

    def test_half_a_surrogate(self) -> None:
        """It is no text, and no UTF-8."""
        self.assert_invalid('{"queue":"\\ud800"}')
        self.assert_invalid('{"batch":{"texts":["\\udfff"]}}')

    def test_texts(self) -> None:
        """They are read as what they are; a text may have every character."""
        self.assertEqual(list(publish('{"batch":{"texts":["\\u0000\\ud83d\\ude00"]}}').batch.texts), ["\0😀"])

    def test_unknown_enumerations(self) -> None:
        """By a name that is none."""
        error = self.assertRaises(InvalidArgument, parse_json, pb.SettleRequest, b'{"action":"EAT"}')
        self.assertIn("EAT", str(error))

    @given(JSON_VALUES)
    def test_any_json(self, value: Any) -> None:
        """A message, or an error of ours."""
        with contextlib.suppress(InvalidArgument):
            publish(json.dumps({"batch": value, "queue": "q"}))


class WrittenTests(SynchronousTestCase):
    """to_json."""

    def test_not_escaped(self) -> None:
        """UTF-8 is shorter."""
        self.assertEqual(to_json(pb.PublishRequest(queue="ä")), '{"queue":"ä"}'.encode())

    def test_texts(self) -> None:
        """In an answer, and in a frame."""
        deliveries = pb.Deliveries(batch=pb.Batch(payloads=[b"a"]))
        for message in (deliveries, pb.ServerFrame(deliveries=deliveries)):
            self.assertIn(b'"texts":["a"]', to_json(message, texts=True))
        self.assertEqual(to_json(pb.Count(messages=1), texts=True), b'{"messages":"1"}')

    def test_rejections(self) -> None:
        """As the library writes them, though it is not asked for each: an error that many share is looked at once."""
        full, bad = pb.Error(code=8, reason="QUEUE_FULL", retry_after_ms=100), pb.Error(code=3, message="ä")
        rejections = [pb.Rejection(index=index, error=bad if index == 7 else full) for index in range(50)]
        reply = pb.PublishReply(sequences=[pb.SequenceRange(first=1, last=2)], duplicates=[3], rejections=rejections)
        asked = []

        def counting(message: Any, **options: Any) -> Any:
            asked.append(message)
            return MessageToDict(message, **options)

        self.patch(json_form, "MessageToDict", counting)
        for message in (reply, pb.ServerFrame(request_id=1, publish=reply), pb.PublishReply(rejections=rejections[:1])):
            asked.clear()
            expected = MessageToDict(message, preserving_proto_field_name=True)
            self.assertEqual(json.loads(to_json(message)), expected)
            self.assertLess(len(asked), 4)
