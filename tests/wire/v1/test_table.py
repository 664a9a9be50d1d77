"""The table of v1 beside what it speaks of: the contract, the vocabulary and the port."""

from __future__ import annotations

from dataclasses import is_dataclass

from twisted.trial.unittest import SynchronousTestCase

from quickpulse import requests as words
from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import QuickPulseError
from quickpulse.interfaces import IBroker
from quickpulse.wire.v1.table import BY_GRPC_PATH, CONNECT_PATH, REPLIES, ROWS

SERVICE = pb.DESCRIPTOR.services_by_name["Queues"]


class TableTests(SynchronousTestCase):
    """ROWS and REPLIES."""

    def test_every_rpc_has_a_row(self) -> None:
        """With the messages that the contract gives it."""
        in_the_contract = {
            method.name: (method.input_type.full_name, method.output_type.full_name)
            for method in SERVICE.methods
            if method.name != "Connect"
        }
        in_the_table = {
            row.rpc: (row.request.message.DESCRIPTOR.full_name, row.reply.form.message.DESCRIPTOR.full_name)
            for row in ROWS
            if row.rpc and row.reply
        }
        self.assertEqual(in_the_table, in_the_contract)

    def test_grpc_paths(self) -> None:
        """As HTTP/2 carries them."""
        self.assertEqual(BY_GRPC_PATH["/quickpulse.v1.Queues/SetPolicy"].name, "set_policy")
        self.assertEqual(CONNECT_PATH, "/quickpulse.v1.Queues/Connect")
        self.assertNotIn("", BY_GRPC_PATH)

    def test_every_field_of_a_clients_frame_has_a_row(self) -> None:
        """Under its name and with its message."""
        fields = pb.ClientFrame.DESCRIPTOR.oneofs_by_name["request"].fields
        self.assertEqual(
            {row.name: row.request.message.DESCRIPTOR for row in ROWS},
            {field.name: field.message_type for field in fields},
        )

    def test_every_field_of_a_servers_frame_has_a_reply(self) -> None:
        """Likewise, and each kind of reply one field."""
        fields = pb.ServerFrame.DESCRIPTOR.oneofs_by_name["reply"].fields
        self.assertEqual(
            {reply.field: reply.form.message.DESCRIPTOR for reply in REPLIES},
            {field.name: field.message_type for field in fields},
        )
        self.assertEqual(len({reply.kind for reply in REPLIES}), len(REPLIES))

    def test_every_row_is_a_method_of_the_port(self) -> None:
        """But for what only a subscription understands."""
        methods = {name for name in IBroker.names() if "request" in IBroker[name].getSignatureInfo()["positional"]}
        self.assertEqual({row.name for row in ROWS} - {"credit", "unsubscribe"}, methods)

    def test_every_request_of_the_vocabulary(self) -> None:
        """Rows and replies use up its classes, but for the parts of others."""
        parts = {"Properties", "Batch", "Rejection", "DeadLetter", "Policy"}
        classes = {name for name, value in vars(words).items() if isinstance(value, type) and is_dataclass(value)}
        used = {row.kind.__name__ for row in ROWS} | {reply.kind.__name__ for reply in REPLIES}
        self.assertEqual(classes - used, parts)
        self.assertEqual(used - classes, {QuickPulseError.__name__})

    def test_http(self) -> None:
        """Each path once; who changes something posts."""
        routes = [row.http for row in ROWS if row.http]
        self.assertEqual(len(set(routes)), len(routes))
        reading = {row.name for row in ROWS if row.http and row.http[0] == "GET"}
        self.assertEqual(reading, {"list_queues", "get_queue", "get_server_info", "subscribe"})
        for row in ROWS:
            if row.http and row.http[0] == "POST":
                self.assertEqual(row.http[1], f"/api/v1/queues/{{queue}}/{row.name}")
