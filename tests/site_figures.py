"""Every figure in the prose of the site and of the READMEs, with what it comes from.

`FROM_CODE` are sentences with a name of `facts` in braces: `{name}` is rendered in digits, `{name:word}` as a word.
`OF_OTHERS` are figures of vendors, with the date that the page gives for them. `JUDGED` are rules, estimates and
reports, which no command can contradict, each with the reason.
"""

import ast
import inspect
import json
import re
import string
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from bake import ROOT, TEMPLATE
from site_pages import DOCS

RUNTIME = ROOT / TEMPLATE / "src" / "stytch_mcp"
KIT = ROOT / TEMPLATE / "kit" / "stytch_mcp_kit"
CODA = ROOT / "examples" / "coda-mcp"
WORDS = [
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
]  # fmt: skip


def constant(file: Path, name: str) -> int:
    """The number that a module assigns to a name; nothing is imported."""
    for line in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and [ast.unparse(each) for each in line.targets] == [name]:
            return whole(eval(compile(ast.Expression(line.value), str(file), "eval"), {}))  # noqa: S307
    raise AssertionError(f"{file} has no {name}")


def whole(value: float | Fraction) -> int:
    """A number that is one."""
    assert value == int(value), value
    return int(value)


def tools_in(text: str) -> list[str]:
    """The names of the tools that Python text defines."""
    return re.findall(r"^ *@server\.tool\((?:.*\n)+? *async def (\w+)\(", text, re.MULTILINE)


def own_tools() -> list[str]:
    """The tools of a server as it is baked."""
    files = sorted((ROOT / TEMPLATE / "src" / "{{cookiecutter.__package}}" / "tools").glob("*.py"))
    return [name for file in files for name in tools_in(file.read_text(encoding="utf-8"))]


def found(file: Path, pattern: str) -> int:
    """The only number that `pattern` captures in a file."""
    (number,) = set(re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE))
    return int(str(number).replace("_", ""))


def rounded(file: Path, row: str, to: int = 1) -> int:
    """The median in a row of the recorded benchmarks."""
    (median,) = re.findall(rf"^\| {re.escape(row)} \| ([\d.]+) MiB", file.read_text(encoding="utf-8"), re.MULTILINE)
    return round(float(median) / to) * to


def vendors() -> Mapping[str, int | str]:
    """What vendors were said to charge and to need on 2026-11-23, and what follows from it."""
    stytch_free, workos_free, workos_block, often_quoted = 10_000, 1_000_000, 2_500, 150_000
    keycloak, domain, connection = 1_096, 99, 125
    each_by_part = Fraction(workos_block, workos_free)
    further, further_with_domain = keycloak / each_by_part, (keycloak - domain) / each_by_part
    connections = keycloak // connection + 1
    return {
        "stytch_free": stytch_free,
        "workos_free": workos_free,
        "workos_block": workos_block,
        "half_block": workos_block // 2,
        "often_quoted": often_quoted,
        "keycloak": keycloak,
        "domain": domain,
        "connection": connection,
        "connections": connections,
        "connections_cost": connections * connection,
        "each_by_part": f"{float(each_by_part):.4f}",
        "each_at_often_quoted": f"{keycloak / often_quoted:.4f}",
        "further": whole(further),
        "further_with_domain": whole(further_with_domain),
        "break_even": whole(workos_free + further),
        "break_even_with_domain": whole(workos_free + further_with_domain),
        "keycloak_mb": 1_250,
        "keycloak_limit_gb": "1.4",
        "droplet_left": 500,
    }


@cache
def facts() -> Mapping[str, int | str]:
    """What the code, the files that run it, and the recorded measurements say."""
    protect, signin = RUNTIME / "protect", RUNTIME / "signin"
    compose = yaml.safe_load((CODA / "compose.yaml").read_text(encoding="utf-8"))["services"]["server"]
    logs = compose["logging"]["options"]
    benchmarks = ROOT / "benchmarks" / "README.md"
    kubernetes = ROOT / TEMPLATE / "deploy" / "kubernetes" / "base"
    prompts = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    tools = json.loads((CODA / "tests" / "own" / "tools.json").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sop = (DOCS / "sop.md").read_text(encoding="utf-8").partition("\n## Rules\n")[2].partition("\n## ")[0]
    lessons = [page for page in (DOCS / "tutorial").glob("*.md") if page.stem != "index"]
    troubles = (DOCS / "troubleshooting" / "index.md").read_text(encoding="utf-8")
    lesson = (DOCS / "tutorial" / "add-a-tool.md").read_text(encoding="utf-8")
    inspected = (DOCS / "tutorial" / "connect-clients.md").read_text(encoding="utf-8")
    coda_settings = (CODA / "src" / "coda_mcp" / "upstream" / "settings.py").read_text(encoding="utf-8")
    (toolsets,) = (each.split(", ") for each in re.findall(r"^Toolset = Literal\[(.*)\]$", coda_settings, re.MULTILINE))
    rates = re.findall(r"Rate\((\d+), ([\d.]+)\), description=.* Coda publishes .*?\1/(\d+)\.", coda_settings)
    (margin,) = {round(100 * (float(kept) / int(published) - 1)) for _, kept, published in rates}
    code = {
        "token_kib": constant(protect / "verifier.py", "MAX_TOKEN_BYTES") // 1024,
        "head_kib": constant(RUNTIME / "connection.py", "MOST_HEAD_BYTES") // 1024,
        "pipelined": constant(RUNTIME / "connection.py", "MOST_PIPELINED"),
        "arriving_seconds": constant(RUNTIME / "connection.py", "ARRIVING_SECONDS"),
        "unread_seconds": constant(RUNTIME / "connection.py", "UNREAD_SECONDS"),
        "silent_seconds": inspect.signature(uvicorn.Config).parameters["timeout_keep_alive"].default,
        "leeway_seconds": constant(protect / "verifier.py", "LEEWAY_SECONDS"),
        "remember_seconds": constant(protect / "verifier.py", "REMEMBER_SECONDS"),
        "keys_hours": constant(protect / "keys.py", "KEEP_FOR_SECONDS") // 3600,
        "unknown_key_seconds": constant(protect / "keys.py", "UNKNOWN_KEY_SECONDS"),
        "subjects_minutes": constant(protect / "subjects.py", "WAIT_AFTER_SECONDS") // 60,
        "subjects_hours": constant(protect / "subjects.py", "KEEP_FOR_SECONDS") // 3600,
        "revocation_wait_seconds": constant(protect / "revocation.py", "WAIT_SECONDS"),
        "health_seconds": constant(RUNTIME / "health.py", "VALID_SECONDS"),
        "open_minutes": constant(signin / "cookies.py", "OPEN_SECONDS") // 60,
        "tries": constant(signin / "people.py", "MOST_TRIES"),
        "tries_from": constant(signin / "people.py", "MOST_TRIES_FROM"),
        "sends": constant(signin / "people.py", "MOST_SENDS"),
        "sends_from": constant(signin / "people.py", "MOST_SENDS_FROM"),
        "code_digits": found(signin / "login.py", r"^_CODE = .*\{(\d+)\}"),
        "window_minutes": constant(signin / "people.py", "WINDOW_SECONDS") // 60,
        "signin_secret": constant(RUNTIME / "values.py", "LEAST_SIGNIN_SECRET"),
        "aud_tag_digits": found(RUNTIME / "values.py", r"^_AUD_TAG = .*\{(\d+)\}"),
        "mau_limit": found(RUNTIME / "cli.py", r'"--limit".* default=([\d_]+)'),
        "mau_percent": found(RUNTIME / "mau.py", r"^WARN_AT = 0\.(\d)$") * 10,
        "clients_days": json.loads((KIT / "check" / "clients.json").read_text(encoding="utf-8"))["valid_days"],
        "token_minutes": found(KIT / "local" / "state.py", r"access_token_expiry_minutes: int = (\d+)"),
        "refresh_months": constant(KIT / "local" / "oauth.py", "REFRESH_SECONDS") // (30 * 24 * 3600),
    }
    assert code["token_minutes"] == 60
    run = {
        "memory_mib": int(compose["mem_limit"].removesuffix("m")),
        "user": int(compose["user"].partition(":")[0]),
        "log_files": int(logs["max-file"]),
        "log_mb": int(logs["max-size"].removesuffix("m")),
        "ready_seconds": found(CODA / "compose.yaml", r"loadbalancer\.healthcheck\.interval: (\d+)s"),
        "health_every_seconds": found(CODA / "Dockerfile", r"HEALTHCHECK .*--interval=(\d+)s"),
        "tunnel_user": found(CODA / "compose.tunnel.yaml", r'user: "(\d+):'),
        "pods": found(kubernetes / "deployment.yaml", r"replicas: (\d+)"),
        "pods_least": found(kubernetes / "autoscaling.yaml", r"minReplicas: (\d+)"),
        "pods_most": found(kubernetes / "autoscaling.yaml", r"maxReplicas: (\d+)"),
        "python_minor": int(project["requires-python"].removeprefix(">=3.")),
        "node": found(ROOT / "tests" / "inspector" / "package.json", r'"node": "\^(\d+)\.'),
    }
    stytch = re.findall(r"^stytch==([\d.]+)", (ROOT / TEMPLATE / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    words = {"token_life": "an hour", "stytch_version": stytch[0]}
    run["logs_mb"] = run["log_files"] * run["log_mb"]
    assert run["pods"] == run["pods_least"]
    checks = (DOCS / "reference" / "checks.md").read_text(encoding="utf-8")
    counted = {
        "prompts": len([name for name in prompts if not name.startswith("_")]),
        "checks": len(re.findall(r"^### ", checks, re.MULTILINE)),
        "coda_tools": len(tools),
        "coda_toolsets": len(toolsets),
        "tools_of_the_tutorial": len(own_tools()) + len(tools_in(lesson)),
        "tools_without_consent": len(re.findall(r'^"name":\.\.\."\w+"$', inspected, re.MULTILINE)),
        "coda_margin": margin,
        "coda_prompts": len(re.findall(r"@server\.prompt\(", (CODA / "src/coda_mcp/prompts.py").read_text("utf-8"))),
        "rules": len(re.findall(r"^\d+\. ", sop, re.MULTILINE)),
        "lessons": len(lessons),
        "rejections": len(re.findall(r"^\| \d+ \|", troubles, re.MULTILINE)),
    }
    measured = {
        "clients_mib": rounded(benchmarks, "most RSS, 50 clients calling, 50 more have a stream open", 10),
        "idle_kib": found(benchmarks, r"^\| [\d,]+ idle connections, three times \| (\d+)\.\d KiB each"),
        "clients_and_health_mib": rounded(benchmarks, "both together"),
    }
    return {**code, **run, **counted, **measured, **vendors(), **words}


class Rendered(string.Formatter):
    """Facts as the pages write them."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """A word, a capitalised word, or digits in groups of three."""
        if format_spec == "word":
            return WORDS[int(value)]
        if format_spec == "Word":
            return WORDS[int(value)].capitalize()
        return f"{value:,}" if isinstance(value, int) and format_spec != "plain" else str(value)
