"""Tools as models and people see them, and the health endpoints."""

import re
from typing import Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]

from stytch_mcp_kit.check.registry import (
    MCP_TOOLS,
    OPENAI,
    PRACTICE,
    Area,
    Needs,
    NotApplicable,
    NotReached,
    Severity,
    may,
    must,
    should,
    shown,
)
from stytch_mcp_kit.check.walk import Document, Walk, evidence

TOOLS: Final = Area("TL", "tools", "valid schemas, titles, hints, search and fetch")
HEALTH: Final = Area("HE", "health", "alive, compliant, ready")
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def names(tools: list[dict[str, Any]]) -> str | None:
    """The tools that a finding is about."""
    return shown(", ".join(str(tool.get("name")) for tool in tools)) if tools else None


async def all_tools(walk: Walk) -> list[dict[str, Any]]:
    tools = await walk.tools()
    if not tools:
        raise NotReached("there are no tools")
    return tools


@TOOLS.check(
    "TL-01",
    "there are tools",
    must(MCP_TOOLS, "Listing Tools", "2025-03-26"),
    Severity.BLOCKS,
    why="A connection without tools is of no use to ChatGPT and Claude.",
    fix="Register tools, and list them to whoever may log in.",
    needs=Needs.TOKEN,
)
async def some(walk: Walk) -> str | None:
    return None if await walk.tools() else "tools/list is empty"


@TOOLS.check(
    "TL-02",
    "names are of letters, digits, _, - and ., at most 128, each once",
    should(MCP_TOOLS, "Tool Names", "2025-11-25"),
    Severity.BLOCKS,
    why="Clients hand names on to the APIs of models, which take no others.",
    fix="Rename the tools: [A-Za-z0-9_.-]{1,128}.",
    needs=Needs.TOKEN,
)
async def named(walk: Walk) -> str | None:
    tools = await all_tools(walk)
    listed = [tool.get("name") for tool in tools]
    wrong = [tool for tool in tools if not isinstance(tool.get("name"), str) or not NAME.fullmatch(tool["name"])]
    if wrong:
        return names(wrong)
    twice = sorted({str(name) for name in listed if listed.count(name) > 1})
    return f"twice: {shown(', '.join(twice))}" if twice else None


@TOOLS.check(
    "TL-03",
    "tools have a description",
    should(MCP_TOOLS, "Tool", "2025-03-26"),
    Severity.DEGRADES,
    why="It is what the model chooses by.",
    fix="Say what the tool does and when to use it.",
    needs=Needs.TOKEN,
)
async def described(walk: Walk) -> str | None:
    return names([tool for tool in await all_tools(walk) if not str(tool.get("description") or "").strip()])


@TOOLS.check(
    "TL-04",
    "tools have a title",
    should(PRACTICE, "what people see when they allow a call"),
    Severity.DEGRADES,
    why="People see it when they are asked to allow a call.",
    fix="Give each tool a title.",
    needs=Needs.TOKEN,
)
async def titled(walk: Walk) -> str | None:
    def has_title(tool: dict[str, Any]) -> bool:
        annotations = tool.get("annotations")
        inner = annotations.get("title") if isinstance(annotations, dict) else None
        return bool(tool.get("title") or inner)

    return names([tool for tool in await all_tools(walk) if not has_title(tool)])


def schema_flaw(schema: Any) -> str | None:
    """Why this is no JSON Schema of an object."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "is not of type object"
    try:
        if schema.get("$schema", DIALECT) == DIALECT:
            Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"is invalid: {shown(error.message, 60)}"
    except RecursionError:
        return "is nested too deep"
    return None


@TOOLS.check(
    "TL-05",
    "input schemas are valid and of type object",
    must(MCP_TOOLS, "Tool, inputSchema", "2025-03-26"),
    Severity.BLOCKS,
    why="One invalid schema can make a client drop all tools.",
    fix="A JSON Schema (2020-12) with type object.",
    needs=Needs.TOKEN,
)
async def inputs(walk: Walk) -> str | None:
    flaws = [(tool, schema_flaw(tool.get("inputSchema"))) for tool in await all_tools(walk)]
    return "; ".join(f"{shown(tool.get('name'))} {flaw}" for tool, flaw in flaws if flaw) or None


@TOOLS.check(
    "TL-06",
    "output schemas are valid",
    must(MCP_TOOLS, "Output Schema", "2025-06-18"),
    Severity.DEGRADES,
    why="Clients check results against them.",
    fix="A JSON Schema (2020-12) with type object.",
    needs=Needs.TOKEN,
)
async def outputs(walk: Walk) -> str | None:
    with_schema = [tool for tool in await all_tools(walk) if tool.get("outputSchema") is not None]
    if not with_schema:
        raise NotApplicable("no tool has an output schema")
    flaws = [(tool, schema_flaw(tool["outputSchema"])) for tool in with_schema]
    return "; ".join(f"{shown(tool.get('name'))} {flaw}" for tool, flaw in flaws if flaw) or None


@TOOLS.check(
    "TL-07",
    "arguments are described",
    should(PRACTICE, "what a model can act on"),
    Severity.DEGRADES,
    why="A model guesses otherwise.",
    fix="Give every property of the input schema a description.",
    needs=Needs.TOKEN,
)
async def arguments(walk: Walk) -> str | None:
    without = []
    for tool in await all_tools(walk):
        schema = tool.get("inputSchema")
        properties = schema.get("properties") if isinstance(schema, dict) else None
        for name, value in (properties if isinstance(properties, dict) else {}).items():
            if isinstance(value, dict) and not value.get("description") and "$ref" not in value:
                without.append(f"{tool.get('name')}.{name}")
    return shown(", ".join(without)) if without else None


def hints(tool: dict[str, Any]) -> dict[str, Any]:
    annotations = tool.get("annotations")
    return annotations if isinstance(annotations, dict) else {}


@TOOLS.check(
    "TL-08",
    "all four hints are given",
    should(PRACTICE, "what people see when they allow a call"),
    Severity.DEGRADES,
    why="Without them a client has to take every tool for destructive, and asks the person each time.",
    fix="Set readOnlyHint, destructiveHint, idempotentHint and openWorldHint.",
    needs=Needs.TOKEN,
)
async def hinted(walk: Walk) -> str | None:
    return names([t for t in await all_tools(walk) if not all(isinstance(hints(t).get(hint), bool) for hint in HINTS)])


@TOOLS.check(
    "TL-09",
    "hints do not contradict each other",
    should(MCP_TOOLS, "Tool Annotations", "2025-03-26"),
    Severity.DEGRADES,
    why="A tool that only reads destroys nothing: one of the two is wrong.",
    fix="destructiveHint: false where readOnlyHint is true.",
    needs=Needs.TOKEN,
)
async def consistent(walk: Walk) -> str | None:
    def contradicts(tool: dict[str, Any]) -> bool:
        return hints(tool).get("readOnlyHint") is True and hints(tool).get("destructiveHint") is True

    return names([tool for tool in await all_tools(walk) if contradicts(tool)])


def named_tool(tools: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((tool for tool in tools if tool.get("name") == name), None)


@TOOLS.check(
    "TL-10",
    "there are search and fetch",
    may(OPENAI, "search and fetch for connectors; the present wording is unconfirmed"),
    Severity.DEGRADES,
    why="Without developer mode ChatGPT was reported to take no server without them.",
    fix="Add search (one text, query) and fetch (one text, id), both read-only.",
    clients=("chatgpt",),
    needs=Needs.TOKEN,
)
async def search_and_fetch(walk: Walk) -> str | None:
    tools = await all_tools(walk)
    missing = [name for name in ("search", "fetch") if named_tool(tools, name) is None]
    return f"missing: {', '.join(missing)}" if missing else None


async def contract(walk: Walk, name: str) -> dict[str, Any]:
    tool = named_tool(await all_tools(walk), name)
    if tool is None:
        raise NotApplicable(f"there is no tool {name}")
    return tool


@TOOLS.check(
    "TL-11",
    "search and fetch take one text each: query and id",
    should(OPENAI, "search and fetch for connectors; the present wording is unconfirmed"),
    Severity.DEGRADES,
    why="ChatGPT's deep research calls them with exactly these arguments.",
    fix="search(query: string), fetch(id: string); whatever else there is must be optional.",
    clients=("chatgpt",),
    needs=Needs.TOKEN,
)
async def search_arguments(walk: Walk) -> str | None:
    flaws = []
    for name, argument in (("search", "query"), ("fetch", "id")):
        schema = (await contract(walk, name)).get("inputSchema")
        properties = schema.get("properties") if isinstance(schema, dict) else None
        value = properties.get(argument) if isinstance(properties, dict) else None
        required = schema.get("required", []) if isinstance(schema, dict) else []
        if not isinstance(value, dict) or value.get("type") != "string" or required != [argument]:
            flaws.append(f"{name}({argument})")
    return f"not so: {', '.join(flaws)}" if flaws else None


@TOOLS.check(
    "TL-12",
    "search and fetch are read-only",
    should(OPENAI, "search and fetch for connectors; the present wording is unconfirmed"),
    Severity.DEGRADES,
    why="ChatGPT asks the person before every call otherwise.",
    fix="readOnlyHint: true.",
    clients=("chatgpt",),
    needs=Needs.TOKEN,
)
async def search_reads(walk: Walk) -> str | None:
    tools = [await contract(walk, name) for name in ("search", "fetch")]
    return names([tool for tool in tools if hints(tool).get("readOnlyHint") is False])


@TOOLS.check(
    "TL-13",
    "search answers with id, title and url",
    should(OPENAI, "search and fetch for connectors; the present wording is unconfirmed"),
    Severity.DEGRADES,
    why="ChatGPT cites by url and reads on by id.",
    fix='Answer {"results": [{"id": ..., "title": ..., "url": ...}]} as structured content.',
    clients=("chatgpt",),
    needs=Needs.TOKEN,
)
async def search_results(walk: Walk) -> str | None:
    tool = await contract(walk, "search")
    if hints(tool).get("readOnlyHint") is not True:
        raise NotReached("search does not say that it only reads, so it is not called")
    if Needs.TOKEN not in walk.abilities:
        raise NotReached("a run that only looks calls no tool")
    reply = await walk.request("tools/call", {"name": "search", "arguments": {"query": "a"}})
    if reply.result is None or reply.result.get("isError"):
        return f"search for the letter a gets {'an error' if reply.result else reply.says}"
    structured = reply.result.get("structuredContent")
    results = structured.get("results") if isinstance(structured, dict) else None
    if not isinstance(results, list):
        return "structuredContent has no list results"
    for each in results:
        if not isinstance(each, dict) or not all(isinstance(each.get(name), str) for name in ("id", "title", "url")):
            return f"a result has {shown(sorted(each) if isinstance(each, dict) else each)}"
    return None


@evidence
async def health_document(walk: Walk, path: str) -> Document:
    document = await walk.document(f"{walk.origin}{path}")
    if document.answer.status in (0, 401, 403, 404, 405) or document.answer.media_type != "application/json":
        raise NotApplicable(f"{path} is not served")
    return document


@HEALTH.check(
    "HE-01",
    "/health answers 200",
    should(PRACTICE, "liveness"),
    Severity.DEGRADES,
    why="Whoever restarts what does not answer looks there.",
    fix="Answer 200 as long as the process works, without asking anybody else.",
)
async def health(walk: Walk) -> str | None:
    document = await health_document(walk, "/health")
    return None if document.answer.status == 200 else f"it answers {document.answer.says}"


@HEALTH.check(
    "HE-02",
    "/health finds the server OAuth compliant",
    should(PRACTICE, "self-check"),
    Severity.BLOCKS,
    why="The server itself sees what keeps clients from logging in.",
    fix="The finding is the server's own reason.",
)
async def compliant(walk: Walk) -> str | None:
    values = (await health_document(walk, "/health")).values
    if "oauth_compliant" not in values:
        raise NotApplicable("/health says nothing about it")
    return None if values["oauth_compliant"] is True else shown(values.get("reason") or "no reason given")


@HEALTH.check(
    "HE-03",
    "/ready answers 200",
    should(PRACTICE, "readiness"),
    Severity.BLOCKS,
    why="The server cannot judge tokens now.",
    fix="See whether the server reaches the authorization server's keys.",
)
async def ready(walk: Walk) -> str | None:
    document = await health_document(walk, "/ready")
    return None if document.answer.status == 200 else f"it answers {document.answer.says}"
