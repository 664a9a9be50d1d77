"""The OpenAPI 3.1 document of the HTTP API, made from the table and the messages' own descriptions.

Source: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import json
from typing import Any

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.requests import Subscribe
from quickpulse.version import __version__
from quickpulse.wire.v1.http_form import QUEUES_PATH
from quickpulse.wire.v1.table import DELIVERIES, PUBLISH, ROWS, Row

OPENAPI_PATH = "/api/v1/openapi.json"

RAW_PATH = f"{QUEUES_PATH}{{queue}}/messages"

RAW_TYPE = "application/octet-stream"

TEXTS = "texts"
"""The parameter by which a client asks for texts in place of base64."""

_TOKEN = "token"

_REF = "#/components/schemas/"

_QUEUE = {
    "name": "queue",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:@-]{1,255}$"},
}

_TEXTS = {
    "name": TEXTS,
    "in": "query",
    "description": "Payloads as texts, where each is UTF-8.",
    "schema": {"type": "boolean"},
}

_SCALARS: dict[str, dict[str, Any]] = {
    "TYPE_STRING": {"type": "string"},
    "TYPE_BYTES": {"type": "string", "contentEncoding": "base64"},
    "TYPE_BOOL": {"type": "boolean"},
    "TYPE_UINT32": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    # Written as a string, as numbers of JavaScript end at 2**53; read as either.
    "TYPE_UINT64": {"type": ["string", "integer"], "format": "uint64", "minimum": 0, "pattern": "^[0-9]+$"},
}


def document(*, wants_token: bool = False) -> bytes:
    """The document, as JSON.

    :param wants_token: every request must have a bearer token.
    """
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        if row.http is not None:
            method, path = row.http
            paths.setdefault(path, {})[method.lower()] = _operation(row, schemas)
    paths[RAW_PATH] = {"post": _raw_operation(schemas)}
    components: dict[str, Any] = {
        "schemas": schemas,
        "responses": {"Error": _response("An error.", _error_schema(schemas))},
    }
    security: list[Any] = []
    if wants_token:
        components["securitySchemes"] = {_TOKEN: {"type": "http", "scheme": "bearer"}}
        security.append({_TOKEN: []})
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "QuickPulse", "version": __version__, "summary": "Named queues with leases, over HTTP."},
            "paths": paths,
            "components": components,
            "security": security,
        }
    ).encode()


def _operation(row: Row, schemas: dict[str, Any]) -> dict[str, Any]:
    assert row.http is not None
    method, path = row.http
    request = row.request.message.DESCRIPTOR
    parameters: list[Any] = [_QUEUE] if "{queue}" in path else []
    operation: dict[str, Any] = {
        "operationId": row.name,
        "summary": (row.kind.__doc__ or "").strip().partition("\n")[0],
        "parameters": parameters,
    }
    if method == "GET":
        parameters += [
            {"name": field.name, "in": "query", "schema": _value(field, schemas)}
            for field in request.fields
            if field.name != "queue"
        ]
    else:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _message(request, schemas)}},
        }
    if row.reply is DELIVERIES or row.kind is Subscribe:
        parameters.append(_TEXTS)
    operation["responses"] = _responses(row, schemas)
    return operation


def _responses(row: Row, schemas: dict[str, Any]) -> dict[str, Any]:
    assert row.reply is not None
    if row.kind is Subscribe:
        _message(DELIVERIES.form.message.DESCRIPTOR, schemas)
        good = {
            "description": "Events, each with the JSON of Deliveries; the last is of the type `end`, and has an Error "
            "in {error}, or {} when the credit is spent.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    else:
        reply = row.reply.form.message.DESCRIPTOR
        good = _response(reply.name, _message(reply, schemas))
    return {"200": good, "default": {"$ref": "#/components/responses/Error"}}


def _raw_operation(schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "publish_raw",
        "summary": "Put the body in, as one message.",
        "parameters": [_QUEUE],
        "requestBody": {"required": True, "content": {RAW_TYPE: {}}},
        "responses": {
            "200": _response("PublishReply", _message(PUBLISH.form.message.DESCRIPTOR, schemas)),
            "default": {"$ref": "#/components/responses/Error"},
        },
    }


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _error_schema(schemas: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": ["error"], "properties": {"error": _message(pb.Error.DESCRIPTOR, schemas)}}


def _message(descriptor: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to a message, whose schema is put beside the others."""
    if descriptor.name not in schemas:
        properties: dict[str, Any] = {}
        schemas[descriptor.name] = {"type": "object", "additionalProperties": False, "properties": properties}
        for field in descriptor.fields:
            properties[field.name] = _field(field, schemas)
    return {"$ref": _REF + descriptor.name}


def _field(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _value(field.message_type.fields_by_name["value"], schemas)}
    value = _value(field, schemas)
    return {"type": "array", "items": value} if field.is_repeated else value


def _value(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        return _message(field.message_type, schemas)
    if field.enum_type is not None:
        schemas.setdefault(
            field.enum_type.name, {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        )
        return {"$ref": _REF + field.enum_type.name}
    return next(dict(schema) for name, schema in _SCALARS.items() if getattr(field, name) == field.type)
