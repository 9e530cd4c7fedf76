"""MCP itself, once a token is accepted: both eras, required headers, versions, error codes of the revision."""

import json
from typing import Any, Final

from stytch_mcp_kit.check.messages import LATEST, LEGACY, META, MODERN, Reply, legacy_body, modern_body
from stytch_mcp_kit.check.registry import (
    MCP_BASE,
    MCP_CACHING,
    MCP_HTTP,
    MCP_SECURITY,
    MCP_TOOLS,
    MCP_VERSIONING,
    PRACTICE,
    Area,
    Needs,
    NotApplicable,
    NotReached,
    Severity,
    must,
    should,
    shown,
)
from stytch_mcp_kit.check.walk import Walk, initialize

PROTOCOL: Final = Area("PT", "protocol", "both eras, required headers, error codes")
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022
INVALID_PARAMS: Final = -32602
METHOD_NOT_FOUND: Final = -32601
NO_SUCH_TOOL: Final = "mcp-check-no-such-tool"
SHORTEST_SESSION_ID: Final = 16
HOSTED: Final = ("claude", "cursor", "vscode", "inspector")


@PROTOCOL.check(
    "PT-01",
    "the server speaks a revision of MCP",
    must(MCP_VERSIONING, "Protocol Version Negotiation", "2025-03-26"),
    Severity.BLOCKS,
    why="The log-in worked and the server does not.",
    fix="Answer initialize, and server/discover of 2026-07-28, with a result.",
    needs=Needs.TOKEN,
)
async def speaks(walk: Walk) -> str | None:
    await usable(walk)
    try:
        await walk.version()
    except NotReached as silent:
        return f"{silent} ({(await walk.initialized()).says}; {(await walk.discovered()).says})"
    return None


async def usable(walk: Walk) -> None:
    """Raises NotReached when the token is not let in at all."""
    if await walk.token() is not None and (await walk.initialized()).status in (401, 403):
        raise NotReached("the token itself is not accepted")


@PROTOCOL.check(
    "PT-02",
    "the server speaks the current revision",
    should(MCP_VERSIONING, "server/discover", "2026-07-28"),
    Severity.DEGRADES,
    why="ChatGPT and Claude Code try it first; without it they fall back.",
    fix="Update the SDK: 2.x speaks 2026-07-28 beside the older revisions.",
    needs=Needs.TOKEN,
)
async def current(walk: Walk) -> str | None:
    await walk.version()
    reply = await walk.discovered()
    return None if reply.result is not None else f"server/discover gets {reply.says}"


@PROTOCOL.check(
    "PT-03",
    "server/discover names the revisions it speaks",
    must(MCP_VERSIONING, "server/discover", "2026-07-28"),
    Severity.BLOCKS,
    why="The client chooses from the list.",
    fix="supportedVersions, with 2026-07-28 in it.",
    needs=Needs.TOKEN,
)
async def discovery(walk: Walk) -> str | None:
    await walk.modern()
    versions = ((await walk.discovered()).result or {}).get("supportedVersions")
    return None if isinstance(versions, list) and MODERN in versions else f"supportedVersions is {shown(versions)}"


@PROTOCOL.check(
    "PT-04",
    "the server still speaks the revisions with initialize",
    should(PRACTICE, "hosted clients in use"),
    Severity.BLOCKS,
    why="Claude on the web was seen with 2025-11-25; whether it speaks more is unconfirmed.",
    fix="Serve both eras on one endpoint: the specification allows it, SDK 2.x does it.",
    clients=HOSTED,
    needs=Needs.TOKEN,
)
async def still_legacy(walk: Walk) -> str | None:
    await walk.version()
    reply = await walk.initialized()
    return None if reply.result is not None else f"initialize gets {reply.says}"


@PROTOCOL.check(
    "PT-05",
    "initialize agrees to each revision that the server knows",
    must("MCP lifecycle", "Version Negotiation", "2025-03-26"),
    Severity.BLOCKS,
    why="The client ends the connection when it is offered a revision that it does not know.",
    fix="Answer with the revision that was asked for, when it is supported.",
    needs=Needs.TOKEN,
)
async def negotiates(walk: Walk) -> str | None:
    await walk.legacy()
    for version in LEGACY:
        reply = await walk.initialized(version)
        answered = (reply.result or {}).get("protocolVersion")
        if answered not in (*LEGACY, "2024-11-05"):
            return f"asked for {version}, answered {shown(answered)} ({reply.says})"
    return None


@PROTOCOL.check(
    "PT-06",
    "an unknown revision in initialize is answered with a known one",
    must("MCP lifecycle", "Version Negotiation", "2025-03-26"),
    Severity.BLOCKS,
    why="Tomorrow's clients ask for tomorrow's revision first.",
    fix="Answer with the newest revision that the server supports, not with an error.",
    needs=Needs.TOKEN,
)
async def unknown_initialize(walk: Walk) -> str | None:
    await walk.legacy()
    method, params = initialize("2099-01-01")
    reply = await walk.send(method, params, version=LATEST, token=await walk.token())
    answered = (reply.result or {}).get("protocolVersion")
    return None if answered in (*LEGACY, "2024-11-05") else f"it gets {reply.says}, {shown(answered)}"


@PROTOCOL.check(
    "PT-07",
    "the server says who it is",
    must("MCP lifecycle", "Initialization, serverInfo", "2025-03-26"),
    Severity.DEGRADES,
    why="People see the name in their client.",
    fix="serverInfo with name and version.",
    needs=Needs.TOKEN,
)
async def server_info(walk: Walk) -> str | None:
    await walk.legacy()
    info = ((await walk.initialized()).result or {}).get("serverInfo")
    named = isinstance(info, dict) and bool(info.get("name")) and isinstance(info.get("version"), str)
    return None if named else f"serverInfo is {shown(info)}"


@PROTOCOL.check(
    "PT-08",
    "a notification gets 202",
    must(MCP_HTTP, "Sending Messages to the Server", "2025-03-26"),
    Severity.BLOCKS,
    why="Clients wait for it after initialize.",
    fix="Answer 202 without a body to a message without id.",
    needs=Needs.TOKEN,
)
async def notification(walk: Walk) -> str | None:
    await walk.legacy()
    await walk.initialized()
    reply = await walk.send("notifications/initialized", version=LATEST, token=await walk.token(), notification=True)
    return None if reply.status == 202 else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-09",
    "an unknown MCP-Protocol-Version gets 400",
    must(MCP_HTTP, "Protocol Version Header", "2025-06-18"),
    Severity.DEGRADES,
    why="A client has to learn that it is not understood.",
    fix="Answer 400 to a revision in the header that the server does not support.",
    needs=Needs.TOKEN,
)
async def unknown_header(walk: Walk) -> str | None:
    await walk.legacy()
    await walk.initialized()
    headers = {"mcp-protocol-version": "1999-01-01"}
    reply = await walk.send("tools/list", version=LATEST, token=await walk.token(), headers=headers)
    return None if reply.status == 400 else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-10",
    "a request without MCP-Protocol-Version is served",
    should(MCP_HTTP, "Protocol Version Header", "2025-06-18"),
    Severity.BLOCKS,
    why="Clients of 2025-03-26 do not know the header.",
    fix="Assume 2025-03-26.",
    needs=Needs.TOKEN,
)
async def without_header(walk: Walk) -> str | None:
    await walk.legacy()
    await walk.initialized("2025-03-26")
    reply = await walk.send(
        "tools/list", version="2025-03-26", token=await walk.token(), without=("mcp-protocol-version",)
    )
    return None if reply.result is not None else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-11",
    "an unsupported modern revision gets 400 and -32022",
    must(MCP_VERSIONING, "Unsupported Protocol Versions", "2026-07-28"),
    Severity.BLOCKS,
    why="The client picks another revision from data.supported.",
    fix="Answer UnsupportedProtocolVersion with data.supported and data.requested.",
    needs=Needs.TOKEN,
)
async def unsupported(walk: Walk) -> str | None:
    await walk.modern()
    reply = await walk.send("tools/list", version="2099-01-01", token=await walk.token())
    if reply.status != 400 or reply.code != UNSUPPORTED_VERSION:
        return f"it gets {reply.says}"
    data = reply.error.get("data")
    return None if isinstance(data, dict) and isinstance(data.get("supported"), list) else "data.supported is missing"


async def modern_reply(walk: Walk, method: str = "tools/list", params: Any = None, **more: Any) -> Reply:
    await walk.modern()
    return await walk.send(method, params, version=MODERN, token=await walk.token(), **more)


def mismatch(reply: Reply) -> str | None:
    return None if (reply.status, reply.code) == (400, HEADER_MISMATCH) else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-12",
    "a missing Mcp-Method gets 400 and -32020",
    must(MCP_HTTP, "Server Validation", "2026-07-28"),
    Severity.EXPOSES,
    why="What stands between may decide by the header: it must not differ from the body.",
    fix="Require Mcp-Method on every request of 2026-07-28.",
    needs=Needs.TOKEN,
)
async def missing_method(walk: Walk) -> str | None:
    return mismatch(await modern_reply(walk, without=("mcp-method",)))


@PROTOCOL.check(
    "PT-13",
    "another Mcp-Method than in the body gets 400 and -32020",
    must(MCP_HTTP, "Server Validation", "2026-07-28"),
    Severity.EXPOSES,
    why="What stands between may decide by the header: it must not differ from the body.",
    fix="Compare header and body.",
    needs=Needs.TOKEN,
)
async def other_method(walk: Walk) -> str | None:
    return mismatch(await modern_reply(walk, headers={"mcp-method": "prompts/list"}))


@PROTOCOL.check(
    "PT-14",
    "another Mcp-Name than in the body gets 400 and -32020",
    must(MCP_HTTP, "Server Validation", "2026-07-28"),
    Severity.EXPOSES,
    why="A proxy that allows tools by name would let others through.",
    fix="Compare header and body.",
    needs=Needs.TOKEN,
)
async def other_name(walk: Walk) -> str | None:
    params = {"name": NO_SUCH_TOOL, "arguments": {}}
    return mismatch(await modern_reply(walk, "tools/call", params, headers={"mcp-name": "another"}))


@PROTOCOL.check(
    "PT-15",
    "a request without its _meta gets 400 and -32602",
    must(MCP_BASE, "Per-Request Protocol Fields", "2026-07-28"),
    Severity.DEGRADES,
    why="Without the client's capabilities the server cannot know what it may send.",
    fix="Require protocolVersion and clientCapabilities in _meta.",
    needs=Needs.TOKEN,
)
async def without_meta(walk: Walk) -> str | None:
    message = json.loads(modern_body("tools/list", None, MODERN, number=1))
    del message["params"]["_meta"][f"{META}clientCapabilities"]
    reply = await modern_reply(walk, body=json.dumps(message).encode())
    return None if (reply.status, reply.code) == (400, INVALID_PARAMS) else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-16",
    "an unknown method gets 404 and -32601",
    must(MCP_HTTP, "Status codes", "2026-07-28"),
    Severity.DEGRADES,
    why="The body tells it from a URL that leads nowhere.",
    fix="Answer 404 with the JSON-RPC error.",
    needs=Needs.TOKEN,
)
async def unknown_method(walk: Walk) -> str | None:
    reply = await modern_reply(walk, "mcp-check/no-such-method")
    return None if (reply.status, reply.code) == (404, METHOD_NOT_FOUND) else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-17",
    "results say what they are (resultType)",
    must(MCP_BASE, "Results", "2026-07-28"),
    Severity.DEGRADES,
    why="A client tells a final result from a question by it.",
    fix="Update the SDK.",
    needs=Needs.TOKEN,
)
async def result_type(walk: Walk) -> str | None:
    await walk.modern()
    result = (await walk.listed(MODERN)).result
    if result is None:
        raise NotReached("tools/list has no result")
    return None if isinstance(result.get("resultType"), str) else f"resultType is {shown(result.get('resultType'))}"


@PROTOCOL.check(
    "PT-18",
    "lists say how long they hold (ttlMs, cacheScope)",
    must(MCP_CACHING, "Cacheable Results", "2026-07-28"),
    Severity.DEGRADES,
    why="Clients keep lists for that long.",
    fix="Update the SDK.",
    needs=Needs.TOKEN,
)
async def cacheable(walk: Walk) -> str | None:
    await walk.modern()
    result = (await walk.listed(MODERN)).result
    if result is None:
        raise NotReached("tools/list has no result")
    if not isinstance(result.get("ttlMs"), int | float):
        return f"ttlMs is {shown(result.get('ttlMs'))}"
    scope = result.get("cacheScope")
    return None if scope in ("public", "private") else f"cacheScope is {shown(scope)}"


@PROTOCOL.check(
    "PT-19",
    "the tool list is private",
    should(MCP_CACHING, "Security Considerations", "2026-07-28"),
    Severity.EXPOSES,
    why="A public list may be shared among people with different tokens.",
    fix="cacheScope: private, for whatever depends on the token.",
    needs=Needs.TOKEN,
)
async def private_list(walk: Walk) -> str | None:
    await walk.modern()
    if await walk.token() is None:
        raise NotApplicable("the server asks for no token")
    scope = ((await walk.listed(MODERN)).result or {}).get("cacheScope")
    if scope is None:
        raise NotReached("tools/list has no cacheScope")
    return "cacheScope is public" if scope == "public" else None


@PROTOCOL.check(
    "PT-20",
    "GET gets an event stream or 405",
    must(MCP_HTTP, "Listening for Messages from the Server", "2025-03-26"),
    Severity.DEGRADES,
    why="Clients of the older revisions try it; anything else is an error to them.",
    fix="Answer 405 where there is no stream.",
    needs=Needs.TOKEN,
)
async def get(walk: Walk) -> str | None:
    await walk.version()
    headers = {"accept": "text/event-stream"}
    reply = await walk.request("", verb="GET", headers=headers, head_only=True)
    if reply.status == 200 and reply.answer.media_type == "text/event-stream":
        return None
    # A server with sessions may ask for the one that this request does not belong to.
    return None if reply.status in (400, 405) else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-21",
    "invalid JSON gets 400",
    must("JSON-RPC 2.0", "5.1, Error object"),
    Severity.DEGRADES,
    why="A 5xx says that the parser is not guarded.",
    fix="Answer 400 to what cannot be parsed.",
    needs=Needs.TOKEN,
)
async def invalid_json(walk: Walk) -> str | None:
    await usable(walk)
    reply = await walk.request("tools/list", body=b'{"jsonrpc": "2.0", "id": 1, "method":')
    return None if reply.status == 400 else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-22",
    "deeply nested JSON gets 4xx",
    should(PRACTICE, "bounded input"),
    Severity.EXPOSES,
    why="A parser that recurses can be brought down by one request.",
    fix="Answer 400 where the parser gives up.",
    needs=Needs.TOKEN,
)
async def deep_json(walk: Walk) -> str | None:
    await usable(walk)
    reply = await walk.request("tools/list", body=b"[" * 50_000 + b"]" * 50_000)
    return None if 400 <= reply.status < 500 else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-23",
    "a batch is refused",
    should("MCP changelog", "2025-06-18, JSON-RPC batching removed", "2025-06-18"),
    Severity.DEGRADES,
    why="A batch is one way past whatever looks at single messages.",
    fix="Answer 400 to a list of messages.",
    needs=Needs.TOKEN,
)
async def batch(walk: Walk) -> str | None:
    await walk.version()
    message = json.loads(legacy_body("tools/list", None, LATEST, number=1))
    reply = await walk.request("tools/list", body=json.dumps([message, message]).encode())
    return None if 400 <= reply.status < 500 else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-24",
    "Accept: */* is served",
    should(PRACTICE, "a report of Claude with this header, unconfirmed"),
    Severity.BLOCKS,
    why="A strict server answers 406 after the log-in, and the client gives up.",
    fix="Read */* as both media types.",
    clients=("claude",),
    needs=Needs.TOKEN,
)
async def any_accept(walk: Walk) -> str | None:
    await usable(walk)
    reply = await walk.request("tools/list", headers={"accept": "*/*"})
    return None if reply.result is not None else f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-25",
    "event streams are not held back by proxies",
    should(MCP_HTTP, "Server-Sent Events, X-Accel-Buffering", "2026-07-28"),
    Severity.DEGRADES,
    why="A proxy that buffers delivers progress at the end.",
    fix="X-Accel-Buffering: no on text/event-stream.",
    needs=Needs.TOKEN,
)
async def not_buffered(walk: Walk) -> str | None:
    await walk.modern()
    reply = await walk.listed(MODERN)
    if reply.answer.media_type != "text/event-stream":
        raise NotApplicable("tools/list is answered as JSON")
    value = reply.answer.headers.get("x-accel-buffering")
    return None if value == "no" else f"X-Accel-Buffering is {shown(value) if value else 'missing'}"


@PROTOCOL.check(
    "PT-26",
    "session ids cannot be guessed",
    must(MCP_SECURITY, "Session Hijacking", "2025-03-26"),
    Severity.EXPOSES,
    why="Who has the id has the session.",
    fix="Use at least 128 random bits, or no sessions.",
    needs=Needs.TOKEN,
)
async def session_ids(walk: Walk) -> str | None:
    await walk.legacy()
    first = (await walk.initialized()).answer.headers.get("mcp-session-id")
    second = (await walk.initialized("2025-06-18")).answer.headers.get("mcp-session-id")
    if not first or not second:
        raise NotApplicable("the server opens no sessions")
    if first == second:
        return "two clients get the same"
    return f"it has {len(first)} characters" if len(first) < SHORTEST_SESSION_ID else None


@PROTOCOL.check(
    "PT-27",
    "a session is no authentication",
    must(MCP_SECURITY, "Session Hijacking", "2025-03-26"),
    Severity.EXPOSES,
    why="A session id is no secret of the person's.",
    fix="Judge the token of every request, in a session as well.",
    needs=Needs.TOKEN,
)
async def session_needs_token(walk: Walk) -> str | None:
    await walk.legacy()
    if await walk.token() is None:
        raise NotApplicable("the server asks for no token")
    session = (await walk.initialized()).answer.headers.get("mcp-session-id")
    if not session:
        raise NotApplicable("the server opens no sessions")
    reply = await walk.send("tools/list", version=LATEST, headers={"mcp-session-id": session})
    return None if reply.status == 401 else f"without a token it gets {reply.says}"


@PROTOCOL.check(
    "PT-28",
    "an unknown tool is an error of the protocol, or of the tool",
    must(MCP_TOOLS, "Error Handling", "2025-03-26"),
    Severity.DEGRADES,
    why="A model has to learn that it called something that is not there.",
    fix="Answer -32602, or a result with isError.",
    needs=Needs.TOKEN,
)
async def unknown_tool(walk: Walk) -> str | None:
    await usable(walk)
    reply = await walk.request("tools/call", {"name": NO_SUCH_TOOL, "arguments": {}})
    if reply.error or (reply.result or {}).get("isError") is True:
        return None if reply.status < 500 else f"it gets {reply.says}"
    return f"it gets {reply.says}"


@PROTOCOL.check(
    "PT-29",
    "all revisions list the same tools",
    should(MCP_TOOLS, "Listing Tools", "2025-03-26"),
    Severity.DEGRADES,
    why="What a person can do should not depend on the client's age.",
    fix="Register tools once for all revisions.",
    needs=Needs.TOKEN,
)
async def same_tools(walk: Walk) -> str | None:
    await walk.version()
    newest = {str(tool.get("name")) for tool in await walk.tools()}
    for version in LEGACY:
        if (await walk.initialized(version)).result is None:
            continue
        reply = await walk.listed(version)
        found = (reply.result or {}).get("tools")
        if not isinstance(found, list):
            return f"tools/list of {version} gets {reply.says}"
        names = {str(tool.get("name")) for tool in found if isinstance(tool, dict)}
        if not (reply.result or {}).get("nextCursor") and names != newest:
            return f"{version} lists {len(names)}, the newest revision {len(newest)}"
    return None
