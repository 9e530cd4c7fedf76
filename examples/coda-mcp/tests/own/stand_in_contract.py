"""Whether requests and answers are as Coda's OpenAPI document says. Its path is in the variable CODA_OPENAPI."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

PREFIX = "/apis/v1"
SHOWN = 5
# Refusals that no operation is safe from, whatever it declares: a bad page token is a 400 for every list.
UNDECLARED = ("400", "401", "403", "404", "429", "500", "502", "503", "504")
PARAMETER = re.compile(r"^\{.*\}$")
# Operations that the stand-in leaves out, by their paths: Packs, ingestion and agents.
OTHERS = re.compile(r"^/(packs|go/|analytics/packs)")


def _has_zone(value: str) -> bool:
    return datetime.fromisoformat(value).tzinfo is not None


def _is_url(value: str) -> bool:
    return bool(urlsplit(value).scheme and urlsplit(value).netloc)


FORMATS = FormatChecker(formats=())
for _name, _check in {"date-time": _has_zone, "date": date.fromisoformat, "url": _is_url}.items():
    FORMATS.checks(_name, ValueError)(lambda value, check=_check: not isinstance(value, str) or bool(check(value)))


@cache
def document() -> dict[str, Any]:
    """The document, or a skipped test when nobody says where it is."""
    path = os.environ.get("CODA_OPENAPI")
    if not path:
        pytest.skip("CODA_OPENAPI is not set to the path of Coda's OpenAPI document")
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return content


@cache
def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path and definition of each operation that is not left out."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if not OTHERS.match(path)
    }


def find(method: str, path: str) -> tuple[str, dict[str, Any]]:
    """The operation of a request; a literal segment counts more than a parameter."""
    segments = [unquote(segment) for segment in path.removeprefix(PREFIX).split("/")]
    matching = []
    for name, (its_method, template, operation) in operations().items():
        parts = template.split("/")
        if its_method == method and len(parts) == len(segments):
            pairs = list(zip(parts, segments, strict=True))
            if all(part == segment or PARAMETER.match(part) for part, segment in pairs):
                matching.append((sum(bool(PARAMETER.match(part)) for part in parts), name, operation))
    assert matching, f"{method} {path} is no operation of Coda's"
    _, name, operation = min(matching, key=lambda each: each[0])
    return name, operation


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """A node, or what it refers to."""
    while "$ref" in node:
        target: Any = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def tidy(node: Any) -> Any:
    """The schema as it is meant.

    The document forbids additional properties in both halves of an `allOf`, which nothing could satisfy, and has
    `oneOf` where several hold; so the halves are merged and `oneOf` is read as `anyOf`. Some names in `required` end
    with a comma.
    """
    if isinstance(node, list):
        return [tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: value for key, value in node.items() if not key.startswith("x-") and key != "example"}
    if node.pop("nullable", False):
        return {"anyOf": [tidy(node), {"type": "null"}]}
    halves = [tidy(resolve(half)) for half in node.pop("allOf", [])]
    alternatives = node.pop("oneOf", None)
    result = {key: tidy(value) for key, value in node.items()}
    for half in halves:
        properties = {**result.get("properties", {}), **half.get("properties", {})}
        required = [*result.get("required", []), *half.get("required", [])]
        result |= half
        result |= {"properties": properties} if properties else {}
        result |= {"required": required} if required else {}
    if "required" in result:
        result["required"] = [name.rstrip(",") for name in result["required"]]
    if alternatives is not None:
        result["anyOf"] = tidy(alternatives)
    return result


@cache
def components() -> dict[str, Any]:
    return {"schemas": {name: tidy(schema) for name, schema in document()["components"]["schemas"].items()}}


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**tidy(json.loads(schema)), "components": components()}, format_checker=FORMATS)


def problems(schema: dict[str, Any], instance: Any) -> list[str]:
    """What does not fit, each with where it stands."""
    found = _validator(json.dumps(schema)).iter_errors(instance)
    return [f"{error.json_path}: {error.message[:300]}" for error in islice(found, SHOWN)]


def check_request(request: httpx.Request) -> None:
    """That a client may send this."""
    name, operation = find(request.method, request.url.raw_path.decode().partition("?")[0])
    declared = {each["name"]: each for each in map(resolve, operation.get("parameters", [])) if each["in"] == "query"}
    for key, value in request.url.params.multi_items():
        assert key in declared, f"{name} has no parameter {key}"
        schema = declared[key]["schema"]
        assert not any(True for _ in _misfits(schema, value)), f"{name}: {key}={value}"
    missing = [key for key, each in declared.items() if each.get("required") and key not in request.url.params]
    assert not missing, f"{name} needs {missing}"
    body = resolve(operation["requestBody"]) if "requestBody" in operation else {"content": {}}
    kind = request.headers.get("content-type", "").partition(";")[0]
    if request.content and kind == "application/json":
        assert kind in body["content"], f"{name} takes no JSON body"
        assert not problems(body["content"][kind]["schema"], json.loads(request.content)), name
    elif not request.content:
        assert not body.get("required"), f"{name} needs a body"


def _misfits(schema: dict[str, Any], text: str) -> Iterator[str]:
    """A parameter's text, read as its type says."""
    schema = resolve(schema)
    value: Any = text
    match schema.get("type"):
        case "integer":
            value = int(text)
        case "boolean":
            value = {"true": True, "false": False}.get(text, text)
        case "array":
            value = text.split(",")
    yield from problems(schema, value)


def check_response(request: httpx.Request, response: httpx.Response) -> str:
    """That Coda may answer this. The name of the operation comes back."""
    name, operation = find(request.method, request.url.raw_path.decode().partition("?")[0])
    status = str(response.status_code)
    assert response.headers["content-type"] == "application/json; charset=utf-8", f"{name} {status}"
    content = response.json()
    if "codaType" in content:
        # Seen on the real API, and not in the document.
        assert set(content.pop("codaDetail")) == {"issues"}
        assert content.pop("codaType") == "RequestSchemaValidationFailed"
    if status not in operation["responses"] and status in UNDECLARED:
        assert content.keys() == {"statusCode", "statusMessage", "message"}
        return name
    assert status in operation["responses"], f"{name} never answers {status}: {content}"
    schema = resolve(operation["responses"][status])["content"]["application/json"]["schema"]
    found = problems(schema, content)
    assert not found, f"{name} {status}: {found}"
    return name


class Checked(httpx.AsyncBaseTransport):
    """Lets requests through and checks them: what is accepted is a request of the document, and so is each answer."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport
        self.succeeded: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.transport.handle_async_request(request)
        path = request.url.path
        if not path.startswith(f"{PREFIX}/") or not os.environ.get("CODA_OPENAPI"):
            return response
        await response.aread()
        name = check_response(request, response)
        if response.is_success:
            await request.aread()
            check_request(request)
            self.succeeded.add(name)
        return response
