"""Reflection that knows the comments of the protos.

Generated Python modules hold no comments, and so neither do the descriptions that the
library makes of them. `grpcurl describe` is the manual of whoever has nothing but
grpcurl: it gets the descriptions that `make proto` writes beside the modules.
"""

from collections.abc import AsyncIterator, Iterable
from importlib import resources
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_reflection.v1alpha import reflection


class CommentedReflection:
    """The methods of grpc.reflection.ServerReflection, for the services in *names*."""

    def __init__(self, names: Iterable[str]) -> None:
        self._plain = reflection.aio.ReflectionServicer(names)
        described = resources.files("starflow.v1").joinpath("descriptions.binpb")
        files = FileDescriptorSet.FromString(described.read_bytes()).file
        self._commented = {file.name: file.SerializeToString() for file in files}
        # The library finds a method's service, but not the method.
        self._methods = {
            f"{file.package}.{service.name}.{method.name}"
            for file in files
            for service in file.service
            for method in service.method
        }

    async def ServerReflectionInfo(
        self, requests: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[Any]:
        """Answer each request with files, or with names."""
        found = self._findable(requests)
        async for answer in self._plain.ServerReflectionInfo(found, context):
            if answer.HasField("file_descriptor_response"):
                files = answer.file_descriptor_response.file_descriptor_proto
                files[:] = [self._with_comments(file) for file in files]
            yield answer

    async def _findable(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            symbol = request.file_containing_symbol
            if symbol in self._methods:
                request.file_containing_symbol = symbol.rpartition(".")[0]
            yield request

    def _with_comments(self, file: bytes) -> bytes:
        return self._commented.get(FileDescriptorProto.FromString(file).name, file)
