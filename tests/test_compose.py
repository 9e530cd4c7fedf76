"""The compose files: valid for Docker Compose itself, closed but for three ways in, and what Traefik makes of them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from traefik import ALL_FILES, LINUX, NETWORK, SETTINGS, TUNNEL_SUBNET, compose

pytestmark = LINUX

GIB = 1024**3


@pytest.fixture(scope="module")
def everything(default: Path) -> dict[str, Any]:
    """All three files together, as for an empty machine."""
    configuration: dict[str, Any] = compose(default, SETTINGS)
    return configuration


@pytest.fixture(scope="module")
def labels(everything: dict[str, Any]) -> dict[str, str]:
    """Those of the server."""
    found: dict[str, str] = everything["services"]["server"]["labels"]
    return found


def test_the_server_alone_joins_the_network_of_a_traefik_that_runs(default: Path) -> None:
    alone = compose(default, SETTINGS, "compose.yaml")
    assert set(alone["services"]) == {"server"}
    assert alone["networks"] == {"traefik": {"name": NETWORK, "external": True, "ipam": {}}}
    assert set(alone["services"]["server"]["networks"]) == {"traefik"}


def test_docker_compose_holds_the_files_against_its_schema(default: Path, tmp_path: Path) -> None:
    """That it says nothing about them means something."""
    for file in ALL_FILES:
        text = (default / file).read_text(encoding="utf-8")
        (tmp_path / file).write_text(text.replace("    pids_limit: 64\n", "    pids_limt: 64\n"), encoding="utf-8")
    assert "services.server.pids_limt false schema" in compose(tmp_path, SETTINGS, code=1)


@pytest.mark.parametrize("missing", ["PUBLIC_HOST", "TRAEFIK_NETWORK", "TUNNEL_ID", "TUNNEL_CREDENTIALS"])
def test_a_variable_that_is_missing_is_named(missing: str, default: Path) -> None:
    complaint = compose(default, {name: value for name, value in SETTINGS.items() if name != missing}, code=1)
    assert f"required variable {missing} is missing a value" in complaint


def test_every_variable_is_required_or_has_a_default(default: Path) -> None:
    for file in ALL_FILES:
        written = (default / file).read_text(encoding="utf-8")
        uses = re.findall(r"\$\{([A-Z_]+)([^}]*)\}", written)
        assert uses
        assert not [name for name, rest in uses if not rest.startswith((":?", ":-"))], file


@pytest.mark.parametrize("service", ["server", "traefik", "docker-proxy", "cloudflared"])
def test_a_container_may_do_little(service: str, everything: dict[str, Any]) -> None:
    container = everything["services"][service]
    assert container["cap_drop"] == ["ALL"]
    assert "cap_add" not in container
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container.get("read_only") is True or service == "cloudflared"
    assert int(container["mem_limit"]) <= GIB // 4
    assert container["pids_limit"] <= 64
    assert container["logging"]["options"].keys() >= {"max-size", "max-file"}
    assert "privileged" not in container
    assert "ports" not in container, "nothing but the tunnel leads in"
    assert "network_mode" not in container
    # Nobody but the proxy, which only reads, gets the socket: it is as good as root.
    mounts = [volume["source"] for volume in container.get("volumes", [])]
    assert mounts == (["/var/run/docker.sock"] if service == "docker-proxy" else [])
    if service != "docker-proxy":
        assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", container["user"])


def test_the_server_has_192_mib_and_the_time_to_end(everything: dict[str, Any], default: Path) -> None:
    server = everything["services"]["server"]
    assert int(server["mem_limit"]) == 192 * 1024**2
    grace = re.search(r"^GRACE_SECONDS = (\d+)$", (default / "src/stytch_mcp/serving.py").read_text(), re.MULTILINE)
    assert grace is not None
    assert server["stop_grace_period"] == "45s"
    assert int(grace[1]) + int(server["environment"]["DRAIN_SECONDS"]) < 45
    assert "container_name" not in server, "or there could not be several"


def test_the_networks_part_who_need_not_meet(everything: dict[str, Any]) -> None:
    where = {name: set(service["networks"]) for name, service in everything["services"].items()}
    assert where == {
        "server": {"traefik"},
        "traefik": {"traefik", "tunnel", "docker"},
        "docker-proxy": {"docker"},
        "cloudflared": {"tunnel"},
    }
    assert everything["networks"]["docker"]["internal"] is True
    assert "external" not in everything["networks"]["traefik"], "on an empty machine nobody else makes it"
    assert everything["networks"]["traefik"]["name"] == NETWORK


def test_traefik_trusts_the_tunnel_and_nobody_else(everything: dict[str, Any], default: Path) -> None:
    options = dict(option.split("=", 1) for option in everything["services"]["traefik"]["command"])
    assert options["--entrypoints.web.forwardedheaders.trustedips"] == TUNNEL_SUBNET
    assert everything["networks"]["tunnel"]["ipam"]["config"] == [{"subnet": TUNNEL_SUBNET}]
    defaults = compose(default, {name: value for name, value in SETTINGS.items() if name != "TUNNEL_SUBNET"})
    options = dict(option.split("=", 1) for option in defaults["services"]["traefik"]["command"])
    (tunnel,) = defaults["networks"]["tunnel"]["ipam"]["config"]
    assert options["--entrypoints.web.forwardedheaders.trustedips"] == tunnel["subnet"]
    assert options["--providers.docker.exposedbydefault"] == "false"
    assert not [name for name in options if "redirect" in name or "insecure" in name or "accesslog" in name]


def test_the_server_knows_its_proxies_on_an_empty_machine(everything: dict[str, Any]) -> None:
    """Or all clients would be limited as one, or each as whoever it says it is."""
    subnets = [everything["networks"][name]["ipam"]["config"][0]["subnet"] for name in ("traefik", "tunnel")]
    assert everything["services"]["server"]["environment"]["TRUSTED_PROXIES"].split(",") == subnets


def test_the_proxy_of_dockers_socket_only_reads_about_containers(everything: dict[str, Any]) -> None:
    switches = everything["services"]["docker-proxy"]["environment"]
    assert {name for name, value in switches.items() if value != "0"} == {"CONTAINERS", "EVENTS", "PING", "VERSION"}
    assert switches["POST"] == "0"


def test_the_tunnel_leads_to_traefik_and_ends_with_404(everything: dict[str, Any]) -> None:
    options = dict(option.split("=", 1) for option in everything["services"]["traefik"]["command"])
    tunnel = yaml.safe_load(everything["configs"]["cloudflared"]["content"])
    assert tunnel["tunnel"] == SETTINGS["TUNNEL_ID"]
    assert tunnel["ingress"] == [
        {"hostname": SETTINGS["PUBLIC_HOST"], "service": f"http://traefik{options['--entrypoints.web.address']}"},
        {"service": "http_status:404"},
    ]
    assert tunnel["credentials-file"] == "/run/secrets/tunnel"
    assert everything["services"]["cloudflared"]["secrets"] == [{"source": "tunnel", "target": "/run/secrets/tunnel"}]
    # Requests under way end before the tunnel does.
    assert tunnel["grace-period"] == "30s"


def routers(labels: dict[str, str]) -> dict[str, dict[str, str]]:
    """What the labels say about each router."""
    found: dict[str, dict[str, str]] = {}
    for name, value in labels.items():
        parts = re.fullmatch(r"traefik\.http\.routers\.([\w-]+)\.(\w+)", name)
        if parts is not None:
            found.setdefault(parts[1], {})[parts[2]] = value
    return found


def test_three_ways_in_and_no_other(labels: dict[str, str]) -> None:
    host = "Host(`mcp.example.com`)"
    assert {name: router["rule"] for name, router in routers(labels).items()} == {
        "notes-mcp-mcp": f"{host} && (Path(`/mcp`) || Path(`/mcp/`))",
        "notes-mcp-public": f"{host} && (PathPrefix(`/.well-known/`) || Path(`/health`))",
        "notes-mcp-signin": f"{host} && PathPrefix(`/oauth/`)",
    }
    assert {router["entrypoints"] for router in routers(labels).values()} == {"web"}
    assert {router["service"] for router in routers(labels).values()} == {"notes-mcp"}


def test_every_way_in_has_a_limit_and_none_a_buffer(labels: dict[str, str]) -> None:
    prefix = "traefik.http.middlewares."
    kinds: dict[str, set[str]] = {}
    for name in labels:
        if name.startswith(prefix):
            middleware, kind = name.removeprefix(prefix).split(".")[:2]
            kinds.setdefault(middleware, set()).add(kind)
    assert set.union(*kinds.values()) == {"ratelimit", "retry"}, "nothing that buffers, compresses or redirects"
    for name, router in routers(labels).items():
        assert [kinds[each] for each in router["middlewares"].split(",")] == [{"ratelimit"}, {"retry"}], name
        limit = f"{prefix}{name}.ratelimit"
        assert int(labels[f"{limit}.average"]) <= int(labels[f"{limit}.burst"])
        assert labels[f"{limit}.sourcecriterion.ipstrategy.depth"] == "1"


def test_the_port_is_the_servers_and_the_metrics_have_none(labels: dict[str, str], everything: dict[str, Any]) -> None:
    ports = [value for name, value in labels.items() if name.endswith(".server.port")]
    assert ports == [everything["services"]["server"]["environment"]["PORT"]]
    assert "metrics" not in json.dumps(labels)


def test_two_servers_can_share_a_traefik(bake: Bake, labels: dict[str, str]) -> None:
    other = compose(bake(mcp_name="weather-mcp"), SETTINGS)["services"]["server"]["labels"]
    shared = {name for name in set(labels) & set(other) if name.startswith("traefik.http.")}
    assert not shared
