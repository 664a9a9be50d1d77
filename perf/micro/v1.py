"""`python -m perf.micro.v1`: what v1's codec takes for a message of 100 bytes, beside the protobuf runtime alone.

And what the whole server takes for requests of a message each.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from perf import hardware
from perf.compare.report import machine
from perf.load.numbered import alike
from perf.micro.budget import budget, markdown
from perf.micro.layers import Layer, Place, Prepared, nanoseconds
from perf.micro.single import SINGLE_LAYERS, SINGLES
from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.requests import Batch, Deliveries, Publish
from quickpulse.wire.v1.frames import BINARY, JSON, Encoding, read_reply, read_request, write_reply, write_request
from quickpulse.wire.v1.table import BY_NAME, DELIVERIES

PAYLOAD_BYTES = 100

BATCHES = (1, 20, 1000)

MESSAGES, SAMPLES = 20_000, 9

PUBLISH = BY_NAME["publish"].request


def bare_read(batch: int, rounds: int) -> Prepared:
    """A PublishRequest, parsed, and its payloads as a list: less is not to be had."""
    return lambda data: pb.PublishRequest.FromString(data).batch.payloads[:], _publishes(batch, rounds)


def codec_read(batch: int, rounds: int) -> Prepared:
    """The same to an object of the vocabulary."""
    return PUBLISH.parse, _publishes(batch, rounds)


def frame_read(encoding: Encoding, batch: int, rounds: int) -> Prepared:
    """The same in a frame."""
    data = write_request(1, Publish("jobs", Batch(_payloads(batch))), encoding)
    return lambda data: read_request(data, encoding, len(data)), [data] * rounds


def bare_write(batch: int, rounds: int) -> Prepared:
    """Deliveries, filled by the runtime's shortest way, and serialized."""

    def run(payloads: list[bytes]) -> None:
        message = pb.Deliveries(queue="jobs", first_receipt=1 << 60, lease_ms=30_000)
        message.batch.payloads.extend(payloads)
        message.SerializeToString()

    return run, [_payloads(batch)] * rounds


def codec_write(batch: int, rounds: int) -> Prepared:
    """The same from an object of the vocabulary."""
    return DELIVERIES.form.serialize, _deliveries(batch, rounds)


def frame_write(encoding: Encoding, batch: int, rounds: int) -> Prepared:
    """The same in a frame."""
    return lambda deliveries: write_reply(1, deliveries, encoding), _deliveries(batch, rounds)


def client_write(batch: int, rounds: int) -> Prepared:
    """A client's frame that publishes."""
    return lambda request: write_request(1, request, BINARY), [Publish("jobs", Batch(_payloads(batch)))] * rounds


def client_read(batch: int, rounds: int) -> Prepared:
    """A frame with deliveries, as a client reads it."""
    (deliveries, *_) = _deliveries(batch, 1)
    return lambda data: read_reply(data, BINARY), [write_reply(1, deliveries, BINARY)] * rounds


def _payloads(count: int) -> list[bytes]:
    return [bytes(bytearray(alike(PAYLOAD_BYTES))) for _ in range(count)]


def _publishes(batch: int, rounds: int) -> list[bytes]:
    return [PUBLISH.serialize(Publish("jobs", Batch(_payloads(batch))))] * rounds


def _deliveries(batch: int, rounds: int) -> list[Any]:
    return [Deliveries("jobs", Batch(_payloads(batch)), 1 << 60, 30_000)] * rounds


LAYERS = (
    Layer("publish, read", "protobuf alone", Place.BESIDE, bare_read),
    Layer("publish, read", "codec", Place.BESIDE, codec_read),
    Layer("publish, read", "codec, in a frame", Place.BESIDE, partial(frame_read, BINARY)),
    Layer("publish, read", "codec, in a JSON frame", Place.BESIDE, partial(frame_read, JSON)),
    Layer("deliveries, written", "protobuf alone", Place.BESIDE, bare_write),
    Layer("deliveries, written", "codec", Place.BESIDE, codec_write),
    Layer("deliveries, written", "codec, in a frame", Place.BESIDE, partial(frame_write, BINARY)),
    Layer("deliveries, written", "codec, in a JSON frame", Place.BESIDE, partial(frame_write, JSON)),
    Layer("a client's frame", "publish, written", Place.BESIDE, client_write),
    Layer("a client's frame", "deliveries, read", Place.BESIDE, client_read),
)


def main() -> int:
    """The exit status."""
    for layers, batches in ((LAYERS, BATCHES), (SINGLE_LAYERS, SINGLES)):
        measured = {
            layer: {batch: nanoseconds(layer, batch, MESSAGES, SAMPLES) for batch in batches} for layer in layers
        }
        print(f"{markdown(budget(measured), batches)}\n")
    print(f"Nanoseconds a message of {PAYLOAD_BYTES} bytes, the fastest of {SAMPLES} samples.")
    print(machine(hardware.describe()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
