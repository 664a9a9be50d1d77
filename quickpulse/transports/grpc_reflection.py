"""Server reflection for the native gRPC server, under its two names: the messages are the same, field by field.

Source: the gRPC project's server-reflection document.
"""

from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import (
    ErrorResponse,
    FileDescriptorResponse,
    ListServiceResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
    ServiceResponse,
)

from quickpulse.transports.grpc_contract import NOT_PROTOBUF
from quickpulse.transports.grpc_methods import StreamCall, StreamMethod, Table, paths
from quickpulse.wire.grpc.framing import framed
from quickpulse.wire.grpc.status import RpcError, Status

SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def reflection_table(names: tuple[str, ...]) -> Table:
    """The service under both names.

    :param names: the services to list beside it.
    """
    table: Table = {}
    for service in SERVICES:
        table |= paths(service, {"ServerReflectionInfo": StreamMethod(lambda call: _Reflection(call, names))})
    return table


class _Reflection:
    """One call: an answer for each question."""

    def __init__(self, call: StreamCall, names: tuple[str, ...]) -> None:
        self._call = call
        self._names = sorted({*names, *SERVICES})

    def messages(self, messages: list[bytes]) -> None:
        """Answer them."""
        for message in messages:
            try:
                request = ServerReflectionRequest.FromString(message)
            except DecodeError:
                self._call.close(RpcError(Status.INTERNAL, NOT_PROTOBUF))
                return
            self._call.send(framed(self._answer(request).SerializeToString()))

    def ended(self) -> None:
        """No more questions."""
        self._call.close()

    def cancelled(self) -> None:
        """Nothing is kept here."""

    def _answer(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        kind = request.WhichOneof("message_request")
        answer = ServerReflectionResponse(valid_host=request.host, original_request=request)
        pool = Default()
        try:
            if kind == "list_services":
                services = [ServiceResponse(name=name) for name in self._names]
                answer.list_services_response.CopyFrom(ListServiceResponse(service=services))
            elif kind == "file_by_filename":
                answer.file_descriptor_response.CopyFrom(_files(pool.FindFileByName(request.file_by_filename)))
            elif kind == "file_containing_symbol":
                file = _file_of(_known(request.file_containing_symbol))
                answer.file_descriptor_response.CopyFrom(_files(file))
            elif kind == "file_containing_extension":
                asked = request.file_containing_extension
                message = pool.FindMessageTypeByName(asked.containing_type)
                extension = pool.FindExtensionByNumber(message, asked.extension_number)
                answer.file_descriptor_response.CopyFrom(_files(extension.file))  # type: ignore[attr-defined]
            elif kind == "all_extension_numbers_of_type":
                message = pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
                numbers = answer.all_extension_numbers_response
                numbers.base_type_name = message.full_name
                numbers.extension_number.extend(field.number for field in pool.FindAllExtensions(message))
            else:
                answer.error_response.CopyFrom(_error(Status.INVALID_ARGUMENT, "no question"))
        except KeyError:
            answer.error_response.CopyFrom(_error(Status.NOT_FOUND, "not found"))
        return answer


def _file_of(symbol: str) -> FileDescriptor:
    """The file of a name, or of the service of a method's name."""
    pool = Default()
    try:
        return pool.FindFileContainingSymbol(symbol)
    except KeyError:
        service = symbol.rpartition(".")[0]
        file = pool.FindServiceByName(service).file
        pool.FindMethodByName(symbol)
        return file


def _known(symbol: str) -> str:
    """The name under which the descriptors have it: v1 of reflection is described as v1alpha."""
    return symbol.replace("grpc.reflection.v1.", "grpc.reflection.v1alpha.", 1)


def _files(file: FileDescriptor) -> FileDescriptorResponse:
    """A file and all that it needs."""
    found: dict[str, bytes] = {}
    waiting = [file]
    while waiting:
        next_file = waiting.pop()
        if next_file.name not in found:
            found[next_file.name] = next_file.serialized_pb
            waiting.extend(next_file.dependencies)
    return FileDescriptorResponse(file_descriptor_proto=list(found.values()))


def _error(status: Status, text: str) -> ErrorResponse:
    return ErrorResponse(error_code=int(status), error_message=text)
