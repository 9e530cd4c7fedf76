"""The Kubernetes manifests: valid, closed, and in agreement with each other and with the compose files.

There is no kustomize here: the few things that these files ask of it are done below.
"""

import copy
import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from conftest import Bake, Run

NAME = "notes-mcp"
SECRETS = {"STYTCH_SECRET", "SIGNIN_SECRET", "BEARER_TOKENS", "UPSTREAM_TOKEN", "WORKOS_API_KEY"}

Manifests = dict[str, dict[str, Any]]


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def resolved(folder: Path) -> Manifests:
    """What an overlay comes to, by kind: resources, namespace, images and settings, without a hash in their name."""
    kustomization = read(folder / "kustomization.yaml")
    assert kustomization.keys() <= {"apiVersion", "kind", "namespace", "resources", "images", "configMapGenerator"}
    found: Manifests = {}
    for resource in kustomization.pop("resources"):
        path = folder / resource
        found |= resolved(path) if path.is_dir() else {(one := read(path))["kind"]: one}
    for generator in kustomization.get("configMapGenerator", ()):
        assert generator.keys() == {"name", "envs"}
        lines = [line for file in generator["envs"] for line in (folder / file).read_text().splitlines()]
        data = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
        metadata = {"name": generator["name"]}
        found["ConfigMap"] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    for image in kustomization.get("images", ()):
        for container in found["Deployment"]["spec"]["template"]["spec"]["containers"]:
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    if "namespace" in kustomization:
        for manifest in found.values():
            manifest["metadata"]["namespace"] = kustomization["namespace"]
    return found


@pytest.fixture
def server(bake: Bake) -> Path:
    """A server with manifests."""
    return bake(kubernetes=True)


@pytest.fixture
def manifests(server: Path) -> Manifests:
    return resolved(server / "deploy" / "kubernetes" / "overlays" / "production")


@pytest.fixture
def pod(manifests: Manifests) -> dict[str, Any]:
    spec: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


def validate(manifest: dict[str, Any]) -> None:
    """Against the newest schema that the validator has, unknown fields refused."""
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_they_come_only_when_asked_for(default: Path, server: Path) -> None:
    assert not (default / "deploy").exists()
    assert (server / "deploy" / "kubernetes").is_dir()


def test_every_manifest_is_valid(manifests: Manifests) -> None:
    assert set(manifests) == {
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
    }
    for manifest in manifests.values():
        validate(manifest)


@pytest.mark.parametrize("kind", ["Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "Service"])
def test_the_validator_would_find_a_misspelled_field(kind: str, manifests: Manifests) -> None:
    manifest = copy.deepcopy(manifests[kind])
    manifest["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(manifest)


def test_every_file_is_used(server: Path) -> None:
    for folder in ("base", "overlays/production"):
        where = server / "deploy" / "kubernetes" / folder
        kustomization = read(where / "kustomization.yaml")
        named = {name for name in kustomization["resources"] if not name.startswith("..")}
        named |= {file for each in kustomization.get("configMapGenerator", ()) for file in each["envs"]}
        assert {path.name for path in where.iterdir()} == named | {"kustomization.yaml"}


def test_what_refers_to_something_finds_it(manifests: Manifests, pod: dict[str, Any]) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": NAME}
    for selector in (
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
        # An empty one would be about every pod of the namespace.
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ):
        assert selector == labels
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {port["targetPort"] for port in manifests["Service"]["spec"]["ports"]} == set(ports) == {"http"}
    assert str(ports["http"]) == variables(container)["PORT"]
    assert manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == NAME
    settings, secrets = container["envFrom"]
    assert settings == {"configMapRef": {"name": manifests["ConfigMap"]["metadata"]["name"]}}
    assert secrets == {"secretRef": {"name": f"{NAME}-secrets"}}
    assert container["image"] == f"registry.example.com/{NAME}:0.1.0"


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


def test_no_secret_is_in_a_file(manifests: Manifests, server: Path, run: Run, python: str) -> None:
    script = """if True:
        import json
        from notes_mcp.server import SERVER
        print(json.dumps([name.upper() for name in SERVER.settings.model_fields]))
    """
    known = set(json.loads(run(python, "-c", script, cwd=server, PYTHONPATH="src")))
    data = set(manifests["ConfigMap"]["data"])
    assert data <= known
    assert not data & SECRETS
    assert not [name for name in data if re.search("SECRET|TOKEN|KEY|PASSWORD", name)]
    assert "Secret" not in manifests


def test_three_replicas_and_never_fewer(manifests: Manifests) -> None:
    deployment, scaler = manifests["Deployment"]["spec"], manifests["HorizontalPodAutoscaler"]["spec"]
    assert deployment["replicas"] == scaler["minReplicas"] == 3
    assert scaler["maxReplicas"] > 3
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert manifests["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def test_a_pod_may_do_little(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]


def test_a_pod_is_alive_when_it_answers_and_ready_when_it_can_judge(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    # An issuer that is down is no reason to kill a server.
    assert paths == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}


def test_it_ends_and_is_limited_as_with_compose(pod: dict[str, Any], server: Path) -> None:
    compose = read(server / "compose.yaml")["services"]["server"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["memory"] == compose["mem_limit"].replace("m", "Mi")
    assert variables(container)["DRAIN_SECONDS"] == compose["environment"]["DRAIN_SECONDS"]
    assert f"{pod['terminationGracePeriodSeconds']}s" == compose["stop_grace_period"]
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == compose["user"]


def test_the_ways_in_are_those_of_compose(manifests: Manifests, server: Path) -> None:
    (rule,) = manifests["Ingress"]["spec"]["rules"]
    labels = read(server / "compose.yaml")["services"]["server"]["labels"]
    rules = " ".join(value for name, value in labels.items() if name.endswith(".rule"))
    kinds = {"Path": "Exact", "PathPrefix": "Prefix"}
    assert {(path["pathType"], path["path"]) for path in rule["http"]["paths"]} == {
        (kinds[kind], path) for kind, path in re.findall(r"(Path|PathPrefix)\(`([^`]+)`\)", rules)
    }
    assert rule["host"] == "notes-mcp.example.com"
    assert manifests["ConfigMap"]["data"]["PUBLIC_URL"] == f"https://{rule['host']}"
    (tls,) = manifests["Ingress"]["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]


def test_the_network_lets_in_the_proxy_and_out_to_the_internet_alone(manifests: Manifests) -> None:
    policy = manifests["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["ingress"]] == [["http"], [9090]]
    assert all(rule["from"] for rule in policy["ingress"])
    names, internet = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert internet["ports"] == [{"port": 443}]
    closed = [network for each in internet["to"] for network in each["ipBlock"]["except"]]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7"} <= set(closed)
