"""The settings, from the fields of the settings classes."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from markdown_text import code, page, table, text

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "The server": (
        "PUBLIC_URL",
        "HOST",
        "PORT",
        "LOG_",
        "MAX_",
        "ALLOWED_ORIGINS",
        "TRUSTED_",
        "SERVE_",
        "DRAIN_",
        "METRICS_",
        "OTEL",
    ),
    "Who may sign tokens": ("AUTH_", "SCOPE_MODE", "REQUIRED_SCOPES"),
    "Who may come in": ("ALLOWED_", "BEARER_TOKENS"),
    "Stytch": ("STYTCH_",),
    "The sign-in page": ("SIGNIN_",),
    "Another issuer with discovery": ("OIDC_",),
    "WorkOS": ("WORKOS_",),
    "Cloudflare Access": ("CF_ACCESS_",),
    "The API behind the tools": ("UPSTREAM_",),
}
# What the compose files read from `.env`; that each one has its row is tested by making the page.
COMPOSE = {
    "PUBLIC_HOST": "The host name that clients know; `PUBLIC_URL` is made of it.",
    "TAG": "The name of this image, so that there is one to go back to.",
    "TRAEFIK_NETWORK": "The Docker network on which Traefik finds the server.",
    "TRAEFIK_ENTRYPOINT": "The entry point of a Traefik that already runs.",
    "TRAEFIK_SUBNET": "The addresses of that network, where `compose.traefik.yaml` makes it. The server believes them.",
    "TRAEFIK_TAG": "The version of Traefik.",
    "DOCKER_PROXY_TAG": "The version of the proxy through which Traefik reads labels.",
    "TUNNEL_SUBNET": "The addresses between the tunnel and Traefik. Traefik believes what they forward.",
    "TUNNEL_ID": "The tunnel: `cloudflared tunnel list`.",
    "TUNNEL_CREDENTIALS": "Where the tunnel's credentials file lies; user 65532 reads it.",
    "CLOUDFLARED_TAG": "The version of cloudflared.",
}


def pages() -> dict[str, str]:
    """reference/settings.md"""
    from notes_mcp.upstream import UpstreamSettings

    fields = dict(UpstreamSettings.model_fields)
    parts = [
        "Environment variables, or a file `.env` beside them; the environment wins. Lists are comma-separated, an empty "
        "value counts as not set. Everything that is wrong is reported at start, all at once, and "
        "`notes-mcp serve --help` prints this list. Settings that a server's owner adds are fields of `UpstreamSettings` "
        "in its `upstream.py`.",
    ]
    for title, prefixes in GROUPS.items():
        names = [name for name in fields if name.upper().startswith(prefixes)]
        rows = [_row(name, fields.pop(name)) for name in names]
        if rows:
            parts += [f"## {title}", table(["Setting", "Meaning", "Values", "Default"], rows)]
    assert not fields, f"settings without a group: {sorted(fields)}"
    parts += _compose()
    parts += _coda()
    return {
        "docs/reference/settings.md": page("Settings", "Every environment variable of a server.", ["operation"], *parts)
    }


def _compose() -> Iterable[str]:
    found: dict[str, list[tuple[str, str]]] = {}
    folder = ROOT / "{{cookiecutter.mcp_name}}"
    for file in sorted(folder.glob("compose*.yaml"), key=lambda file: len(file.name)):
        for name, rest in re.findall(r"\$\{(\w+)([^}]*)\}", file.read_text(encoding="utf-8")):
            found.setdefault(name, []).append((file.name, rest))
    assert found.keys() == COMPOSE.keys(), "a variable of the compose files without its row, or the reverse"
    rows = []
    for name, meaning in COMPOSE.items():
        files = ", ".join(code(file) for file in dict.fromkeys(file for file, _ in found[name]))
        (default,) = {rest.removeprefix(":-") for _, rest in found[name] if not rest.startswith(":?")} or {""}
        rows.append([code(name), meaning, files, code(default) or "needed"])
    (lock,) = re.findall(r"^ARG LOCK=(.*)$", (folder / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    return [
        "## Docker Compose",
        "Read from the same `.env` by the compose files; the server does not see them.",
        table(["Variable", "Meaning", "Where", "Default"], rows),
        f"The image has one build argument, `LOCK`: which packages go into it, {code(lock)} unless it says otherwise. "
        "With `/metrics` and traces: `--build-arg LOCK=requirements-extras.lock`.",
    ]


def _coda() -> Iterable[str]:
    if not (ROOT / "examples" / "coda-mcp").exists():
        return []
    from coda_mcp.upstream import UpstreamSettings
    from stytch_mcp.settings import Settings

    own = {name: field for name, field in UpstreamSettings.model_fields.items() if name not in Settings.model_fields}
    rows = [_row(name, field) for name, field in own.items() if name != "upstream_url"]
    return ["## Coda", "Only `examples/coda-mcp` has these.", table(["Setting", "Meaning", "Values", "Default"], rows)]


def _row(name: str, field: Any) -> list[str]:
    return [code(name.upper()), text(field.description), _values(field), _default(field)]


def _values(field: Any) -> str:
    found = list(dict.fromkeys(_choices(field.annotation)))
    bounds = {type(each).__name__: each for each in field.metadata}
    low, high = (getattr(bounds.get(name), name.lower(), None) for name in ("Ge", "Le"))
    if found:
        return ", ".join(code(each) for each in found)
    if "bool" in str(field.annotation):
        return f"{code('true')}, {code('false')}"
    above = getattr(bounds.get("Gt"), "gt", None)
    if high is not None:
        return f"{low} to {high}" if above is None else f"more than {above}, at most {high}"
    return ""


def _choices(annotation: Any) -> Iterable[str]:
    if "Literal" in str(getattr(annotation, "__origin__", "")):
        yield from (str(each) for each in get_args(annotation))
        return
    for inner in get_args(annotation):
        if not isinstance(inner, str):
            yield from _choices(inner)


def _default(field: Any) -> str:
    if field.is_required():
        return "needed"
    value = field.default
    if value is None or value == ():
        return "not set"
    return code(
        ",".join(map(str, value)) if type(value) is tuple else str(value).lower() if value in (True, False) else value
    )
