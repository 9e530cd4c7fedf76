"""What must not be in the project, what must agree, and what must be pinned."""

import ast
import fnmatch
import itertools
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
from bake import ROOT, TEMPLATE, project_files
from conftest import Bake, Run
from locks import REQUIREMENT, extras, normalized, versions
from packaging.requirements import Requirement

LOCKS = [
    Path("requirements.lock"),
    Path("requirements-dev.lock"),
    Path(TEMPLATE, "requirements.lock"),
    Path(TEMPLATE, "requirements-extras.lock"),
    Path(TEMPLATE, "requirements-dev.lock"),
]
DOCS_LOCK = Path("requirements-docs.lock")
OTHERS = ("foreign", "fuzz", "mutation")
# Brackets keep these patterns from finding themselves.
INDEX_ADDRESS = re.compile(
    r"--(extra-)?index-[u]rl|--find-[l]inks|pypi\.[o]rg|pythonhosted\.[o]rg|\"resolved\": *\"http"
)
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(root|work|home/\w+|Users/\w+)/[\w.]")
RENDERED = {
    ".env.example",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "compose.yaml",
    "deploy/kubernetes/base/autoscaling.yaml",
    "deploy/kubernetes/base/deployment.yaml",
    "deploy/kubernetes/base/disruption.yaml",
    "deploy/kubernetes/base/network.yaml",
    "deploy/kubernetes/base/service.yaml",
    "deploy/kubernetes/overlays/production/ingress.yaml",
    "deploy/kubernetes/overlays/production/kustomization.yaml",
    "deploy/kubernetes/overlays/production/settings.env",
    "pyproject.toml",
    "src/{{cookiecutter.__package}}/constants.py",
}
LATER = {"compose.override.yaml"}


def text_of(file: Path) -> str:
    """A project file's text, or nothing if it has none."""
    try:
        return (ROOT / file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_machine_or_an_index() -> None:
    found = [
        f"{file}:{number}: {line.strip()}"
        for file in project_files()
        for number, line in enumerate(text_of(file).splitlines(), 1)
        if INDEX_ADDRESS.search(line) or MACHINE_PATH.search(line) or f"{ROOT}/" in line
    ]
    assert not found


def test_the_patterns_find_what_they_are_for() -> None:
    for line in [
        "--index-" + "url x",
        "--extra-index-" + "url x",
        "https://pypi." + "org/simple",
        "--find-" + "links x",
    ]:
        assert INDEX_ADDRESS.search(line)
    for line in ["see /root" + "/x", "at /home/ada" + "/x", '"/work' + '/x"']:
        assert MACHINE_PATH.search(line)
    for line in ["https://a.example/root/x", "$HOME/root/x", "./root/x", "--no-emit-index-" + "url"]:
        assert not MACHINE_PATH.search(line)
        assert not INDEX_ADDRESS.search(line)


def test_there_is_no_lock_that_names_an_index() -> None:
    assert not [file for file in project_files() if file.name in {"uv.lock", "poetry.lock", "Pipfile.lock"}]


def test_the_version_is_that_of_the_kit_and_of_the_newest_changes() -> None:
    version = json.loads(text_of(Path("cookiecutter.json")))["_version"]
    kit = text_of(Path(TEMPLATE, "kit", "stytch_mcp_kit", "__init__.py"))
    assert re.findall(r'^__version__ = "(.*)"', kit, re.MULTILINE) == [version]
    assert re.findall(r"^## (.*)$", text_of(Path("CHANGELOG.md")), re.MULTILINE)[0] == version


@pytest.mark.parametrize("lock", [*LOCKS, *(Path("tests", each, "requirements.lock") for each in OTHERS)], ids=str)
def test_a_lock_is_versions_and_hashes_only(lock: Path) -> None:
    entries = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    assert entries
    for entry in entries:
        requirement, *hashes = re.split(r" +--hash=", entry.strip())
        assert REQUIREMENT.fullmatch(requirement), entry
        assert hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), entry


def test_the_locks_agree() -> None:
    demo, root, runtime, extra, development = (versions(ROOT / lock) for lock in LOCKS)
    assert runtime.items() <= extra.items() <= development.items()
    # For the site a package may be needed on more platforms, so its marker differs.
    everywhere = {name: version.split(" ;")[0] for name, version in root.items()}.items()
    for lock in (demo, development, versions(ROOT / DOCS_LOCK)):
        assert {name: version.split(" ;")[0] for name, version in lock.items()}.items() <= everywhere


def test_the_locks_hold_what_the_projects_ask_for(default: Path) -> None:
    for folder, lock in [(ROOT, "requirements-dev.lock"), (default, "requirements-dev.lock")]:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        asked = [each for group in project["dependency-groups"].values() for each in group if isinstance(each, str)]
        asked += project.get("project", {}).get("dependencies", [])
        asked += itertools.chain(*project.get("project", {}).get("optional-dependencies", {}).values())
        assert asked
        for requirement in asked:
            name = re.match(r"[\w.-]+", requirement)
            assert name is not None
            assert normalized(name[0]) in versions(folder / lock), requirement
            assert "<" in requirement, f"{requirement} is not capped"
    assert versions(default / "requirements.lock").keys() >= {"hatchling", "editables"}


def test_a_lock_names_the_extras_that_are_asked_for() -> None:
    """Or pip before 23.3, which Debian 12 and Python 3.11 bring, fails when a newer version is published."""
    for lock in LOCKS:
        locked = extras(ROOT / lock)
        for distribution in distributions():
            if normalized(distribution.name) not in locked:
                continue
            for asked in map(Requirement, distribution.requires or []):
                if asked.marker is None or asked.marker.evaluate({"extra": ""}):
                    assert asked.extras <= locked[normalized(asked.name)], (
                        f"{lock}: {distribution.name} asks for {asked}"
                    )


def copied_patterns(template: Path) -> list[str]:
    """`_copy_without_render`."""
    patterns: list[str] = json.loads((template / "cookiecutter.json").read_text())["_copy_without_render"]
    return patterns


@pytest.fixture
def everything(bake: Bake) -> Path:
    """A server with every file that the template has."""
    return bake(kubernetes=True, workos_migration=True)


def test_every_plain_file_is_copied_and_nothing_else(template: Path, everything: Path) -> None:
    patterns = copied_patterns(template)
    source = template / TEMPLATE
    names = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    copied = {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)}
    assert names - copied == RENDERED
    for name in copied:
        baked = everything / name.replace("{{cookiecutter.__package}}", "notes_mcp")
        assert baked.read_bytes() == (source / name).read_bytes(), name
    for name in RENDERED:
        assert "{{ cookiecutter." in (source / name).read_text(encoding="utf-8"), name
    assert not [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]


def test_the_runtime_is_the_same_in_every_server(bake: Bake, default: Path) -> None:
    other = bake(mcp_name="weather-mcp", title="Weather", upstream_auth="bearer", kubernetes=True)
    for part in ("src/stytch_mcp", "kit", "tests"):
        files = {path.relative_to(default): path.read_bytes() for path in (default / part).rglob("*") if path.is_file()}
        assert files
        assert files == {
            path.relative_to(other): path.read_bytes() for path in (other / part).rglob("*") if path.is_file()
        }


def test_the_owners_files_are_there(default: Path) -> None:
    skip = tomllib.loads((default / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["cruft"]["skip"]
    assert skip == [
        "src/notes_mcp",
        "local",
        "tests/own",
        "README.md",
        ".env*",
        "compose.override.yaml",
        "requirements*.lock",
    ]
    assert {name for name in skip if not list(default.glob(name))} == LATER - set(map(str, default.iterdir()))


def imported(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every module below `folder` with the top name of each absolute import in it."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.split(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield path, node.module.split(".")[0]


@pytest.mark.parametrize(
    ("sources", "project", "own"),
    [
        ("src", "pyproject.toml", {"stytch_mcp", "notes_mcp", "stytch_mcp_kit"}),
        ("kit/stytch_mcp_kit", "kit/pyproject.toml", {"stytch_mcp", "stytch_mcp_kit"}),
    ],
)
def test_every_import_is_a_declared_dependency(sources: str, project: str, own: set[str], everything: Path) -> None:
    written = tomllib.loads((everything / project).read_text(encoding="utf-8"))["project"]
    declared = [*written["dependencies"], *itertools.chain(*written.get("optional-dependencies", {}).values())]
    names = {normalized(re.split(r"[^\w.-]", each)[0]) for each in declared}
    distributions = packages_distributions()
    missing = {
        f"{path.relative_to(everything)} imports {module}"
        for path, module in imported(everything / sources)
        if module not in sys.stdlib_module_names | own
        and not names & {normalized(each) for each in distributions.get(module, [])}
    }
    assert not missing


def test_a_server_starts_no_process(everything: Path) -> None:
    """And speaks HTTP alone: the SDK's stdio transports start processes or are started as one."""
    files = sorted((everything / "src" / "stytch_mcp").rglob("*.py"))
    assert files
    starts = r"subprocess|multiprocessing|ProcessPool|stdio|(?:run|open)_process|\bos\.(?:exec|fork|popen|spawn|system)"
    for file in files:
        assert not re.findall(starts, file.read_text(encoding="utf-8")), file


def test_the_arrows_point_one_way(everything: Path) -> None:
    runtime = {module for _, module in imported(everything / "src" / "stytch_mcp")}
    assert not runtime & {"notes_mcp", "local", "tests"}
    protect = {module for _, module in imported(everything / "src" / "stytch_mcp" / "protect")}
    assert not protect & {"mcp", "mcp_types", "stytch", "stytch_mcp_kit"}
    for path in (everything / "src" / "stytch_mcp" / "protect").rglob("*.py"):
        assert "stytch_mcp.signin" not in path.read_text(encoding="utf-8"), path
    kit = {module for _, module in imported(everything / "kit")}
    assert not kit & {"notes_mcp", "tests"}


@pytest.mark.parametrize("upstream_auth", ["none", "bearer"])
def test_the_example_settings_are_the_settings(upstream_auth: str, bake: Bake, run: Run, python: str) -> None:
    folder = bake(upstream_auth=upstream_auth)
    example = (folder / ".env.example").read_text(encoding="utf-8")
    named = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE)
    script = """if True:
        import json
        from notes_mcp.server import SERVER
        print(json.dumps({n.upper(): f.is_required() for n, f in SERVER.settings.model_fields.items()}))
    """
    settings: dict[str, bool] = json.loads(run(python, "-c", script, cwd=folder, PYTHONPATH="src"))
    assert len(named) == len(set(named))
    assert set(named) <= set(settings)
    assert set(settings) - set(named) <= ({"UPSTREAM_TOKEN"} if upstream_auth == "none" else set())
    set_now = set(re.findall(r"^([A-Z][A-Z0-9_]*)=", example, re.MULTILINE))
    assert {name for name, required in settings.items() if required} <= set_now
    assert re.findall(r"^[A-Z][A-Z0-9_]*=.*", example, re.MULTILINE)[0] == "SCOPE_MODE=simple"
