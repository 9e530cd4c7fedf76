"""Bad answers are refused together, each with what would be right; no answer is ever more than data."""

import ast
import re
import sys
import tomllib
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest
from conftest import Bake, Cookies
from locks import normalized, versions

NAME_RULE = "lower-case letters, digits and hyphens, starting with a letter, for example weather-mcp"
ORIGIN_RULE = "an origin in lower case: scheme, host and perhaps a port, for example"
HTTPS_RULE = "https, since ChatGPT and Claude refuse anything else (http is for localhost)"

REFUSED = [
    ("mcp_name", "weather mcp", NAME_RULE),
    ("mcp_name", "Weather", NAME_RULE),
    ("mcp_name", "1weather", NAME_RULE),
    ("mcp_name", "weather_mcp", NAME_RULE),
    ("mcp_name", "weather-", NAME_RULE),
    ("mcp_name", "weather--mcp", NAME_RULE),
    ("mcp_name", "wetter-\u00fc", NAME_RULE),
    ("mcp_name", "weather\n", NAME_RULE),
    ("mcp_name", "w" * 41, "at most 40 characters, these are 41"),
    ("mcp_name", "lambda", "lambda is a word of the Python language, lambda-mcp would do"),
    ("mcp_name", "match", "match is a word of the Python language"),
    ("mcp_name", "json", "json would hide a module of Python's standard library, json-mcp would do"),
    ("mcp_name", "mcp", "mcp would hide a package that the server needs, mcp-server would do"),
    ("mcp_name", "jwt", "jwt would hide a package that the server needs"),
    ("mcp_name", "python3", "python3 would replace a command of the server's own environment, python3-mcp would do"),
    ("mcp_name", "pip", "pip would replace a command of the server's own environment"),
    ("mcp_name", "pyjwt", "pyjwt would hide a package that the server needs"),
    ("mcp_name", "pydantic-core", "pydantic_core would hide a package that the server needs"),
    ("mcp_name", "stytch-mcp", "stytch_mcp is the name of another part of every server"),
    ("mcp_name", "stytch-mcp-kit", "stytch_mcp_kit is the name of another part of every server"),
    ("mcp_name", "local", "local is the name of another part of every server"),
    ("mcp_name", "tests", "tests is the name of another part of every server"),
    ("mcp_name", "kit", "kit is the name of another part of every server"),
    ("title", "", "empty, give at least one word"),
    ("title", " \t", "empty, give at least one word"),
    ("title", "Notes\u202e", "one line without control characters"),
    ("description", "", "empty, give at least one word"),
    ("description", "one\ntwo", "one line without control characters"),
    ("description", "one\u2028two", "one line without control characters"),
    ("description", "bell \x07", "one line without control characters"),
    ("author", "", "empty, give at least one word"),
    ("author", "A\x00B", "one line without control characters"),
    ("public_url", "http://weather.example.com", HTTPS_RULE),
    ("public_url", "https://weather.example.com/", "without the slash at the end: https://weather.example.com"),
    ("public_url", "weather.example.com", "with the scheme: https://weather.example.com"),
    ("public_url", "https://weather.example.com/mcp", ORIGIN_RULE),
    ("public_url", "https://weather.example.com?a=b", ORIGIN_RULE),
    ("public_url", "https://weather.example.com#a", ORIGIN_RULE),
    ("public_url", "https://ada@weather.example.com", ORIGIN_RULE),
    ("public_url", "https://Weather.example.com", ORIGIN_RULE),
    ("public_url", "https://weather..example.com", ORIGIN_RULE),
    ("public_url", "https://-weather.example.com", ORIGIN_RULE),
    ("public_url", "https://256.1.1.1", ORIGIN_RULE),
    ("public_url", "https://[::g]", ORIGIN_RULE),
    ("public_url", "https://", ORIGIN_RULE),
    ("public_url", "https://weather.example.com\n", ORIGIN_RULE),
    ("public_url", "ftp://weather.example.com", ORIGIN_RULE),
    ("public_url", "https://weather.example.com:0", "a port from 1 to 65535"),
    ("public_url", "https://weather.example.com:65536", "a port from 1 to 65535"),
    ("public_url", "https://weather.example.com:443", "without the port: https://weather.example.com"),
    ("upstream_url", "http://api.example.com", "https, since the server sends its token there (http is for localhost)"),
    ("upstream_url", "https://api.example.com/", "without the slash at the end: https://api.example.com"),
    ("upstream_url", "https://api.example.com/v1", ORIGIN_RULE),
]

ACCEPTED = [
    {"mcp_name": "a"},
    {"mcp_name": "w" * 40},
    {"mcp_name": "route53-dns-2-mcp"},
    {"public_url": "http://localhost:8000"},
    {"public_url": "http://127.0.0.1"},
    {"public_url": "http://[::1]:8000"},
    {"public_url": "https://xn--bcher-kva.example:8443"},
    {"public_url": "https://203.0.113.7"},
    {"upstream_url": "http://127.1.2.3:9"},
]

# Each is valid text, and each would do something if it were ever read as code or as markup.
TEXTS = [
    'Ada\'s "notes"',
    r"back\slash \" \n \u0041 \N{BULLET}",
    "three \"\"\" and ''' quotes",
    '"); __import__("os").mkdir("executed"); ("',
    '""" + __import__("os").mkdir("executed") + r"""',
    "]\\\"]' # comment",
    "Notizen \u00fcber \u65e5\u672c\u8a9e \U0001f4dd\U0001f469\u200d\U0001f4bb",
    "</script>&amp; %s {0} ${HOME} $(mkdir executed) `mkdir executed`",
    "ends with a backslash \\",
]


def refusal(cookies: Cookies, template: Path, capfd: pytest.CaptureFixture[str], **answers: str) -> list[str]:
    """The lines that a person sees whose answers are refused."""
    result = cookies.bake(extra_context=answers, template=str(template))
    assert result.exit_code != 0
    assert result.project_path is None
    return capfd.readouterr().err.splitlines()


@pytest.mark.parametrize(("prompt", "answer", "message"), REFUSED)
def test_a_bad_answer_is_refused(
    prompt: str,
    answer: str,
    message: str,
    cookies: Cookies,
    template: Path,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    lines = refusal(cookies, template, capfd, **{prompt: answer})
    assert lines[0] == "1 answer cannot be used:"
    assert lines[1].startswith(f'  {prompt}  "')
    assert f'": {message}' in lines[1]
    assert not list(tmp_path.rglob("pyproject.toml"))


def test_all_bad_answers_are_reported_at_once(
    cookies: Cookies, template: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = refusal(
        cookies,
        template,
        capfd,
        mcp_name="weather mcp",
        title="",
        author="two\nlines",
        public_url="http://weather.example.com",
        upstream_url="https://api.example.com/v1/",
    )
    assert lines[:7] == [
        "5 answers cannot be used:",
        f'  mcp_name      "weather mcp": {NAME_RULE}',
        '  title         "": empty, give at least one word',
        '  author        "two\\nlines": one line without control characters',
        f'  public_url    "http://weather.example.com": {HTTPS_RULE}',
        f'  upstream_url  "https://api.example.com/v1/": {ORIGIN_RULE} https://api.example.com; '
        "no path, query or user name",
        "Nothing was created. What cookiecutter says below, with a traceback, means just that.",
    ]


@pytest.mark.parametrize("answers", ACCEPTED, ids=lambda answers: "-".join(answers.values()))
def test_a_good_answer_is_taken(answers: dict[str, str], bake: Bake) -> None:
    assert (bake(**answers) / "pyproject.toml").is_file()


def constants(folder: Path, package: str = "notes_mcp") -> dict[str, str]:
    """The values in constants.py, read without running it."""
    tree = ast.parse((folder / "src" / package / "constants.py").read_text(encoding="utf-8"))
    assert {type(statement) for statement in tree.body} == {ast.Expr, ast.ImportFrom, ast.AnnAssign}
    assigned = [statement for statement in tree.body if isinstance(statement, ast.AnnAssign)]
    return {ast.unparse(each.target): ast.literal_eval(each.value) for each in assigned if each.value is not None}


@pytest.mark.parametrize("text", TEXTS)
def test_text_arrives_as_it_was_given(text: str, bake: Bake, tmp_path: Path) -> None:
    folder = bake(title=text, description=text, author=text, license="Apache-2.0")
    values = constants(folder)
    assert (values["TITLE"], values["DESCRIPTION"]) == (text, text)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["description"], project["authors"]) == (text, [{"name": text}])
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# {text}\n")
    assert not list(tmp_path.rglob("executed"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("text", TEXTS)
def test_a_refused_answer_is_not_run_either(
    text: str, cookies: Cookies, template: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = text.replace("/", "|")  # the folder is made before any hook runs
    lines = refusal(cookies, template, capfd, mcp_name=answer, public_url=text, upstream_url=text)
    assert lines[0] == "3 answers cannot be used:"
    assert not list(tmp_path.rglob("executed"))
    assert not Path("executed").exists()


def test_the_names_of_the_prefix_and_the_package(bake: Bake) -> None:
    for name, package, prefix in [
        ("notes-mcp", "notes_mcp", "notes"),
        ("my-notes-mcp", "my_notes_mcp", "my-notes"),
        ("notes", "notes", "notes"),
        ("mcp-notes", "mcp_notes", "mcp-notes"),
    ]:
        values = constants(bake(mcp_name=name), package)
        assert (values["NAME"], values["SCOPE_PREFIX"]) == (name, prefix)


def test_no_license_file_where_nothing_is_licensed(bake: Bake) -> None:
    folder = bake(license="Proprietary")
    assert not (folder / "LICENSE").exists()
    assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["license"] == "LicenseRef-Proprietary"


@pytest.mark.parametrize(("license_name", "words"), [("MIT", "MIT License"), ("Apache-2.0", "Apache License")])
def test_the_license_that_was_asked_for(license_name: str, words: str, bake: Bake) -> None:
    text = (bake(license=license_name, author="Ada") / "LICENSE").read_text(encoding="utf-8")
    assert words in text[:80]
    assert re.search(r"Copyright (\(c\) )?Ada\n", text)


def test_the_names_of_dependencies_are_those_that_the_lock_installs(template: Path) -> None:
    locked = set(versions(template / "{{cookiecutter.mcp_name}}" / "requirements-dev.lock"))
    imports = {
        module
        for module, distributions in packages_distributions().items()
        if locked & {normalized(distribution) for distribution in distributions}
    }
    shadowable = {
        name
        for name in imports | {distribution.replace("-", "_") for distribution in locked}
        if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
    }
    source = (template / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    written = re.search(r'DEPENDENCIES = set\(\s+"""(.*?)"""', source, re.DOTALL)
    assert written is not None
    assert set(written[1].split()) == shadowable, f"should be: {' '.join(sorted(shadowable))}"
    assert shadowable.isdisjoint(sys.stdlib_module_names)


def test_the_names_of_commands_are_those_of_an_environment(template: Path) -> None:
    locked = set(versions(template / "{{cookiecutter.mcp_name}}" / "requirements-dev.lock"))
    scripts = {
        script.name
        for script in entry_points(group="console_scripts")
        if script.dist is not None and normalized(script.dist.name) in locked
    }
    commands = {
        name
        for name in scripts | {"activate", "pip", "pip3", "python", "python3", "uv", "uvx"}
        if re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) and not re.search(r"\d\.\d|-3$", name)
    }
    source = (template / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    written = re.search(r'COMMANDS = set\(\s+"""(.*?)"""', source, re.DOTALL)
    assert written is not None
    assert set(written[1].split()) >= commands, f"should be: {' '.join(sorted(commands))}"
