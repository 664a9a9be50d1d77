"""Server reflection on the native server, under both of its names."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import (
    ExtensionRequest,
    ServerReflectionRequest,
    ServerReflectionResponse,
)
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.transports.grpc_contract import SERVICE
from tests.transports.grpc_conversation import GrpcConversation, message

OK, INVALID_ARGUMENT, NOT_FOUND, INTERNAL = 0, 3, 5, 13

NAMES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class ReflectionTests(SynchronousTestCase):
    """Questions and answers."""

    def setUp(self) -> None:
        """One connection."""
        self.it = GrpcConversation().open()

    def ask(self, name: str = NAMES[0], **question) -> ServerReflectionResponse:
        """One question on a call of its own."""
        request = ServerReflectionRequest(host="queue.example", **question)
        response = self.it.call(f"/{name}/ServerReflectionInfo", message(request.SerializeToString()))
        self.assertEqual(response.status, OK)
        [answer] = response.messages
        told = ServerReflectionResponse.FromString(answer)
        self.assertEqual(told.original_request, request)
        return told

    def test_services(self) -> None:
        """All that is served, by both names."""
        for name in NAMES:
            services = [one.name for one in self.ask(name, list_services="").list_services_response.service]
            self.assertEqual(services, sorted(["grpc.health.v1.Health", SERVICE, *NAMES]))

    def test_what_is_listed_is_described(self) -> None:
        """Each service and its methods are in files that a client can build from nothing."""
        for service in (SERVICE, "grpc.health.v1.Health", *NAMES):
            told = self.ask(file_containing_symbol=service).file_descriptor_response
            files = [FileDescriptorProto.FromString(one) for one in told.file_descriptor_proto]
            pool = DescriptorPool()
            for file in reversed(files):
                pool.Add(file)
            names = {f"{file.package}.{one.name}" for file in files for one in file.service}
            self.assertTrue({service, service.replace(".v1.", ".v1alpha.")} & names, (service, names))

    def test_symbols_and_files(self) -> None:
        """Messages, methods and files by name."""
        for symbol in (f"{SERVICE}.Produce", "messagequeue.StreamMessage", "grpc.health.v1.HealthCheckRequest"):
            self.assertTrue(self.ask(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto)
        told = self.ask(file_by_filename="messagequeue.proto").file_descriptor_response
        self.assertEqual(FileDescriptorProto.FromString(told.file_descriptor_proto[0]).package, "messagequeue")

    def test_what_is_not_there(self) -> None:
        """NOT_FOUND within the answer; the call goes on."""
        for question in (
            {"file_containing_symbol": "no.Such"},
            {"file_by_filename": "no.proto"},
            {"all_extension_numbers_of_type": "no.Such"},
            {"file_containing_extension": ExtensionRequest(containing_type="no.Such", extension_number=1)},
            {"file_containing_extension": ExtensionRequest(containing_type="messagequeue.StreamMessage")},
        ):
            self.assertEqual(self.ask(**question).error_response.error_code, NOT_FOUND, question)

    def test_extensions(self) -> None:
        """There are none."""
        told = self.ask(all_extension_numbers_of_type="messagequeue.StreamMessage").all_extension_numbers_response
        self.assertEqual((told.base_type_name, list(told.extension_number)), ("messagequeue.StreamMessage", []))

    def test_no_question(self) -> None:
        """INVALID_ARGUMENT within the answer."""
        self.assertEqual(self.ask().error_response.error_code, INVALID_ARGUMENT)

    def test_several_on_one_call(self) -> None:
        """An answer for each, in order; OK after the client's end."""
        response = self.it.begin(f"/{NAMES[1]}/ServerReflectionInfo")
        for symbol in (SERVICE, "no.Such"):
            self.it.send(message(ServerReflectionRequest(file_containing_symbol=symbol).SerializeToString()))
        self.assertEqual(len(response.messages), 2)
        self.assertIsNone(response.status)
        self.it.send(b"", end=True)
        self.assertEqual(response.status, OK)

    def test_garbage(self) -> None:
        """INTERNAL."""
        response = self.it.call(f"/{NAMES[0]}/ServerReflectionInfo", message(b"\x0a\xff"))
        self.assertEqual(response.status, INTERNAL)

    def test_cancelled(self) -> None:
        """Nothing is left."""
        self.it.begin(f"/{NAMES[0]}/ServerReflectionInfo")
        self.it.cancel()
        self.assertEqual(self.it.protocol._http2.streams, {})
