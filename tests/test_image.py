"""The image, as far as it can be proved without an engine: linted, and its steps run in a fresh folder."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest
from conftest import Run
from proxied import free_port
from traefik import BIN, LINUX, status, wait_for

pytestmark = LINUX

USER = 10001
SETTINGS = {
    "PUBLIC_URL": "http://127.0.0.1:8000",
    "STYTCH_DOMAIN": "http://127.0.0.1:9",
    "STYTCH_PROJECT_ID": "project-test-00000000-0000-4000-8000-000000000000",
}
# What a container has and this machine may have not: nothing to write to, and a user who may do nothing.
READ_ONLY = ("unshare", "--mount", "sh", "-c", 'mount --bind / / && mount -o remount,bind,ro / && exec "$@"', "sh")
# The interpreter of this machine may lie where only root can read; the image's does not.
NOBODY = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs")
MAY_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
WRITES_NO_FILE = ("prlimit", "--fsize=0")


@dataclass(frozen=True)
class Instruction:
    """One line of a Dockerfile, continuations joined."""

    name: str
    value: str


def stages(file: Path) -> list[list[Instruction]]:
    """What stands before the first FROM, and then each stage."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE))
    found: list[list[Instruction]] = [[]]
    for line in filter(None, text.splitlines()):
        name, _, value = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, value.strip()))
    return found


def one(stage: list[Instruction], name: str) -> str:
    """The value of an instruction that stands once."""
    (found,) = [each.value for each in stage if each.name == name]
    return found


def test_the_linter_has_nothing_to_say(default: Path, run: Run) -> None:
    assert run(BIN / "hadolint", "--failure-threshold", "style", "Dockerfile", cwd=default) == ""


def test_the_linter_would_say_something(run: Run, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /x && pip install y\nUSER root\n", encoding="utf-8")
    said = run(BIN / "hadolint", "Dockerfile", cwd=tmp_path, code=1)
    assert {"DL3006", "DL3013", "DL3002"} <= set(re.findall(r"DL\d+", said))


def test_the_final_stage_is_what_runs_and_no_more(default: Path) -> None:
    _, build, final = stages(default / "Dockerfile")
    assert one(final, "FROM") == "python:${PYTHON}"
    assert one(final, "COPY") == "--from=build /opt/server /opt/server", "nothing else comes from the build"
    assert one(final, "RUN") == "python -m pip uninstall --yes --root-user-action=ignore pip"
    assert one(final, "USER") == f"{USER}:{USER}", "Kubernetes cannot tell whether a name is root"
    assert one(final, "STOPSIGNAL") == "SIGTERM"
    assert json.loads(one(final, "ENTRYPOINT")) == ["notes-mcp"]
    assert json.loads(one(final, "CMD")) == ["serve"]
    options, _, command = one(final, "HEALTHCHECK").partition(" CMD ")
    assert json.loads(command) == ["notes-mcp", "health"]
    assert "--timeout=10s" in options
    assert "--require-hashes" in " ".join(each.value for each in build)
    assert not [each for each in build + final if each.name == "ADD"]


def context(folder: Path) -> Iterator[Path]:
    """What .dockerignore lets into the image; of its rules only those that stand there are understood."""
    star, *rules = [line for line in (folder / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert star == "*"
    let_in = [rule[1:] for rule in rules if rule[0] == "!"]
    kept_out = [rule.removeprefix("**/") for rule in rules if rule[0] != "!"]
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if any(fnmatch(relative.parts[0], rule) for rule in let_in) and not set(relative.parts) & set(kept_out):
            yield relative


def test_what_is_built_from_holds_no_secret_no_test_and_no_kit(default: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(default, tmp_path / "server")
    for name in (".env", ".env.production", "src/notes_mcp/__pycache__/x.pyc", "compose.override.yaml", ".git/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    tops = {path.parts[0] for path in context(folder)}
    locks = {"requirements.lock", "requirements-extras.lock", "requirements-dev.lock"}
    assert tops == {"LICENSE", "README.md", "pyproject.toml", "src"} | locks
    assert not [path for path in context(folder) if path.suffix == ".pyc"]


@pytest.fixture(scope="module")
def image(default: Path, run: Run) -> Iterator[Path]:
    """/opt/server of the image, made by the very commands of the build stage, on this machine's Python."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        root.chmod(0o755)
        work = root / "build"
        work.mkdir()
        _, build, _ = stages(default / "Dockerfile")
        variables = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": ""}
        for instruction in build:
            if instruction.name == "ARG":
                name, _, value = instruction.value.partition("=")
                variables[name] = value
            elif instruction.name == "ENV":
                variables |= dict(pair.split("=", 1) for pair in instruction.value.split())
            elif instruction.name == "COPY":
                *sources, _ = instruction.value.split()
                for path in context(default):
                    if (default / path).is_file() and (sources == ["."] or any(fnmatch(str(path), s) for s in sources)):
                        (work / path).parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy(default / path, work / path)
            elif instruction.name == "RUN":
                command = instruction.value.replace("/opt/server", str(root / "server"))
                run("sh", "-ec", command, cwd=work, **variables)
            else:
                assert instruction.name in {"FROM", "WORKDIR"}
        shutil.rmtree(work)
        yield root / "server"


@pytest.mark.long
def test_it_holds_what_the_server_asks_for_and_nothing_else(image: Path, run: Run) -> None:
    script = """if True:
        import json
        from importlib.metadata import distributions, requires
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name as name
        there = {name(each.name) for each in distributions()}
        asked, new = set(), {("notes-mcp", "")}
        while new:
            asked |= new
            new = {
                (name(each.name), extra)
                for package, wanted in new
                for each in map(Requirement, requires(package) or [])
                if each.marker is None or each.marker.evaluate({"extra": wanted})
                for extra in ("", *each.extras)
            } - asked
        print(json.dumps([sorted(there), sorted({each for each, _ in asked})]))
    """
    library = next((image / "lib").glob("python*")) / "site-packages"
    # `packaging` comes from this environment: the image need not have it.
    packaging = Path(run(sys.executable, "-c", "import packaging; print(packaging.__path__[0])", cwd=image).strip())
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "packaging").symlink_to(packaging)
        there, asked = json.loads(run(image / "bin/python", "-c", script, cwd=image, PYTHONPATH=scratch))
    assert (set(there) - set(asked), set(asked) - set(there)) == (set(), set())
    assert not {"pip", "hatchling", "pytest", "stytch-mcp-kit", "setuptools"} & set(there)
    sources = [path for path in library.rglob("*.py") if "lib2to3" not in path.parts]
    compiled = {path.name.split(".")[0] for path in library.rglob("*.pyc")}
    assert {path.stem.split(".")[0] for path in sources} <= compiled
    assert not list(library.rglob("*.pth"))
    # Nobody looks at the time of a source: such a file holds without it (PEP 552, unchecked hash).
    first = next(library.rglob("notes_mcp/__pycache__/__init__*.pyc")).read_bytes()
    assert int.from_bytes(first[4:8], "little") == 1


def confined() -> tuple[str, ...]:
    """As much of a container's confinement as this user may ask for."""
    if os.geteuid() != 0:
        return WRITES_NO_FILE
    return (*READ_ONLY, *NOBODY, *MAY_READ, *WRITES_NO_FILE)


@pytest.mark.long
def test_it_serves_as_nobody_on_a_read_only_file_system(image: Path) -> None:
    port = free_port()
    environment = {"PATH": f"{image / 'bin'}:{os.environ['PATH']}", "PORT": str(port), **SETTINGS}
    command = str(image / "bin/notes-mcp")
    with subprocess.Popen(
        [*confined(), command, "serve"], cwd="/", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            wait_for(lambda: status(f"http://127.0.0.1:{port}/health") == 200, "/health")
            if os.geteuid() == 0:
                identity = Path(f"/proc/{server.pid}/status").read_text()
                assert re.findall(r"^[UG]id:\s+(\d+)\s+(\d+)", identity, re.MULTILINE) == [(str(USER), str(USER))] * 2
            health = subprocess.run(
                [*confined(), command, "health"], cwd="/", env=environment, capture_output=True, text=True, check=False
            )
            # No issuer is there, so it serves and is not ready: a proxy must not send anything yet.
            assert (health.returncode, json.loads(health.stdout)) == (1, {"ready": False}), health.stderr
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.stdout is not None
        said = server.stdout.read().decode()
    assert "Traceback" not in said, said
    assert server.returncode in (0, -signal.SIGTERM)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: run it as CI does")
def test_the_confinement_confines() -> None:
    """Or the test above could not fail."""
    for script in ("touch /tmp/x-of-the-image-test", "touch /opt/x", "dd if=/dev/zero of=/dev/shm/x count=1"):
        ran = subprocess.run([*confined(), "sh", "-c", script], capture_output=True, text=True, check=False)
        assert ran.returncode != 0, script
