"""Refuse answers that no server can be made of, all of them at once. Changes nothing."""

import ipaddress
import json
import keyword
import re
import sys
import unicodedata

# The answers enter as data: JSON escapes every quote and backslash, so no answer can end this string.
ANSWERS = json.loads(r""" {{ cookiecutter | tojson }} """)

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
LONGEST_NAME = 40
ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?", re.ASCII)
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
DEFAULT_PORTS = {"https": 443, "http": 80}
HIGHEST_PORT = 65535

BIDI_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROL_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# Spelled apart because this file is itself rendered.
JINJA_MARKS = tuple("{" + second for second in "%#{")

PARTS_OF_A_SERVER = {"kit", "local", "src", "stytch_mcp", "stytch_mcp_kit", "tests"}

# Commands that a server's own environment has before its own is added; tests/test_hooks.py compares.
COMMANDS = set(
    """
    activate cffi-gen-src coverage coverage3 dmypy dotenv hatchling httpx httpx2 hypothesis idna jsonschema markdown-it
    mcp mypy mypyc normalizer pip pip3 pygmentize pytest python python3 ruff stubgen stubtest
    trove-classifiers uv uvicorn uvx
    """.split()
)

# Import and distribution names that the locks of a server install; tests/test_hooks.py compares.
DEPENDENCIES = set(
    """
    aiohappyeyeballs aiohttp aiolimiter aiosignal annotated_types anyio ast_serialize attr attrs certifi cffi
    charset_normalizer click colorama coverage cryptography dotenv editables execnet frozenlist google
    googleapis_common_protos h11 hatchling httpcore httpcore2 httptools httpx httpx2 httpx2_jsfetch hypothesis
    idna iniconfig jinja2 jsonschema jsonschema_specifications jwt librt markdown_it markdown_it_py markupsafe
    mcp mcp_types mdurl multidict multipart mypy mypy_extensions mypyc opentelemetry opentelemetry_api
    opentelemetry_exporter_http_transport opentelemetry_exporter_otlp_common
    opentelemetry_exporter_otlp_proto_common opentelemetry_exporter_otlp_proto_http opentelemetry_proto
    opentelemetry_sdk opentelemetry_semantic_conventions packaging pathspec pluggy prometheus_client propcache
    protobuf py pycparser pydantic pydantic_core pydantic_settings pygments pyjwt pytest pytest_cov pytest_xdist
    python_dotenv python_multipart pywin32 referencing requests rich rpds rpds_py ruff sortedcontainers
    sse_starlette stamina starlette structlog stytch tenacity tomlkit trove_classifiers trustme truststore
    typing_extensions typing_inspection urllib3 uvicorn uvloop xdist yarl
    """.split()
)


def name_problem(name: str) -> str | None:
    """Why this cannot be the name of a server, its command and, with underscores, its package."""
    package = name.replace("-", "_")
    if not NAME.fullmatch(name):
        return "lower-case letters, digits and hyphens, starting with a letter, for example weather-mcp"
    if len(name) > LONGEST_NAME:
        return f"at most {LONGEST_NAME} characters, these are {len(name)}"
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        return f"{package} is a word of the Python language, {name}-mcp would do"
    if package in sys.stdlib_module_names:
        return f"{package} would hide a module of Python's standard library, {name}-mcp would do"
    if package in DEPENDENCIES:
        return f"{package} would hide a package that the server needs, {name}-server would do"
    if name in COMMANDS:
        return f"{name} would replace a command of the server's own environment, {name}-mcp would do"
    if package in PARTS_OF_A_SERVER:
        return f"{package} is the name of another part of every server, choose a different one"
    return None


def text_problem(text: str) -> str | None:
    """Why this cannot stand in one line of a README, of TOML and of Python."""
    if not text.strip():
        return "empty, give at least one word"
    if any(unicodedata.category(character) in CONTROL_CATEGORIES or character in BIDI_CONTROLS for character in text):
        return "one line without control characters"
    if any(mark in text for mark in JINJA_MARKS):
        return "without the marks " + " ".join(JINJA_MARKS) + ", which an update would take for a template"
    return None


def is_host(host: str) -> bool:
    """Whether this is an IP address or a DNS name (RFC 1123)."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        last = host.rpartition(".")[2]
        return len(host) <= 253 and not last.isdigit() and all(LABEL.fullmatch(label) for label in host.split("."))
    return True


def is_loopback(host: str) -> bool:
    """Whether a browser treats this host as the machine it runs on."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def origin_problem(url: str, example: str, why_https: str) -> str | None:
    """Why this is no origin (RFC 6454, section 6.2) that a server can use."""
    shape = f"an origin in lower case: scheme, host and perhaps a port, for example {example}"
    found = ORIGIN.fullmatch(url)
    if found is None:
        bare = url.rstrip("/")
        if bare != url and ORIGIN.fullmatch(bare):
            return f"without the slash at the end: {bare}"
        if ORIGIN.fullmatch(f"https://{url}"):
            return f"with the scheme: https://{url}"
        return f"{shape}; no path, query or user name"
    scheme, host, port = found["scheme"], found["host"], found["port"]
    if not is_host(host):
        return shape
    if port is not None and not 1 <= int(port) <= HIGHEST_PORT:
        return f"a port from 1 to {HIGHEST_PORT}"
    if port is not None and (int(port) == DEFAULT_PORTS[scheme] or port.startswith("0")):
        return f"without the port: {scheme}://{host}"
    if scheme == "http" and not is_loopback(host):
        return why_https
    return None


def problems() -> dict[str, str]:
    """What is wrong, by the name of the prompt."""
    name = ANSWERS["mcp_name"]
    found = {
        "mcp_name": name_problem(name),
        "title": text_problem(ANSWERS["title"]),
        "description": text_problem(ANSWERS["description"]),
        "author": text_problem(ANSWERS["author"]),
        "public_url": origin_problem(
            ANSWERS["public_url"],
            "https://notes-mcp.example.com",
            "https, since ChatGPT and Claude refuse anything else (http is for localhost)",
        ),
        "upstream_url": origin_problem(
            ANSWERS["upstream_url"],
            "https://api.example.com",
            "https, since the server sends its token there (http is for localhost)",
        ),
    }
    if found["mcp_name"] and ANSWERS["public_url"] == f"https://{name}.example.com":
        found["public_url"] = None  # only the default that follows from the name
    return {prompt: problem for prompt, problem in found.items() if problem}


def main() -> None:
    """Print every problem and exit with 1, or say nothing."""
    found = problems()
    if not found:
        return
    width = max(map(len, found))
    print(f"{len(found)} answer{'s' * (len(found) > 1)} cannot be used:", file=sys.stderr)
    for prompt, problem in found.items():
        answer = ANSWERS[prompt]
        shown = json.dumps(answer, ensure_ascii=not answer.isprintable())
        print(f"  {prompt:{width}}  {shown}: {problem}", file=sys.stderr)
    print("Nothing was created. What cookiecutter says below, with a traceback, means just that.", file=sys.stderr)
    sys.exit(1)


main()
