"""Layers of the WebSocket paths."""

from __future__ import annotations

from functools import partial

import numpy as np

from perf import websocket_frames as frames
from perf.micro.layers import Layer, Place, Prepared
from perf.micro.queue import putting, taking
from perf.micro.surroundings import PAYLOAD, NowhereTransport, factory_arguments, payloads
from quickpulse.settings import MEBIBYTE
from quickpulse.transports.websocket import WsFactory
from quickpulse.wire.websocket.plain_frames import take_plain_frames
from quickpulse.wire.websocket.requests import ENDPOINTS

PUBLISH, CONSUME = "WebSocket publish", "WebSocket consume"

_PATHS = {PUBLISH: "/ws/publish", CONSUME: "/ws/consume"}

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def read(path: str, batch: int, rounds: int) -> Prepared:
    """Frames to payloads."""
    return lambda chunk: take_plain_frames(chunk, 0, MEBIBYTE), [_chunk(path, batch)] * rounds


def answer(path: str, batch: int, rounds: int) -> Prepared:
    """The queue's result to frames."""
    result = batch if path == PUBLISH else payloads(batch)
    build = ENDPOINTS[_PATHS[path]].answer
    return lambda each: build(each, batch), [result] * rounds


def whole(path: str, ws_frames: str, batch: int, rounds: int) -> Prepared:
    """A read of a connection that stands."""
    depth = batch * rounds if path == CONSUME else 0
    arguments = factory_arguments("ws", depth, ws_frames=ws_frames)
    protocol = WsFactory(*arguments).buildProtocol(None)
    protocol.makeConnection(NowhereTransport())
    protocol.dataReceived(_HANDSHAKE.format(path=_PATHS[path]).encode())
    chunks = [_chunk(path, batch)] * rounds
    if ws_frames == "fast":
        return protocol.dataReceived, chunks
    next_turn = arguments[0].advance

    def run(chunk: bytes) -> None:
        protocol.dataReceived(chunk)
        next_turn(0)  # what autobahn parses is served in slices, the next in another turn

    return run, chunks


def _chunk(path: str, batch: int) -> bytes:
    payload = PAYLOAD if path == PUBLISH else b""
    return frames.client_frames(np.tile(np.frombuffer(payload, np.uint8), (batch, 1)))


def _layers(path: str, queue: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return (
        Layer(path, "frames read", Place.PART, partial(read, path)),
        *queue,
        Layer(path, "answers built", Place.PART, partial(answer, path)),
        Layer(path, "the whole protocol", Place.WHOLE, partial(whole, path, "fast")),
        Layer(path, "the whole with --ws-frames plain", Place.BESIDE, partial(whole, path, "plain")),
    )


LAYERS = (*_layers(PUBLISH, putting(PUBLISH)), *_layers(CONSUME, taking(CONSUME)))
