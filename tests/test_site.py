"""The site: built strictly, nothing broken, nothing left out, nothing that does not exist."""

import datetime
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import yaml
from bake import ROOT, TEMPLATE, project_files
from conftest import Run
from generators import repository_lines
from repository import UNKNOWN_OWNER, owner_and_name, repository, short
from site_pages import DOCS, FRONT_MATTER, GENERATED, build, built_pages, in_full, is_generated, links, soup, sources

MOST_WORDS = 1500
WITHOUT_LIMIT = {"sop.md"}
BASE = "https://site.example/"
REPOSITORY_LINES = "sitetools/repository.txt"
PLOT = "docs/assets/performance.svg"
EXAMPLE_SETTINGS = "sitetools/notes-mcp.env.example"
# Where the repository's address stands, and why it has to.
WITH_THE_ADDRESS = {
    "pyproject.toml": "the one place",
    "README.md": "GitHub shows it as it is, so nothing can be filled in; compared below",
    REPOSITORY_LINES: "made from pyproject.toml by make generate; compared above",
}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    destination = tmp_path_factory.mktemp("site")
    said = build(destination)
    assert "WARNING" not in said
    assert repository() in soup(destination / "index.html").get_text()
    return destination


def address(site: Path, page: Path) -> str:
    """Where a page would be served."""
    return BASE + str(page.relative_to(site)).removesuffix("index.html")


def test_every_internal_link_and_anchor_leads_somewhere(site: Path) -> None:
    checked, broken = 0, []
    for page in built_pages(site):
        for link in links(page):
            target = urlsplit(urljoin(address(site, page), link))
            if f"{target.scheme}://{target.netloc}/" != BASE:
                continue
            file = site / unquote(target.path).lstrip("/")
            file = file / "index.html" if file.is_dir() else file
            checked += 1
            if not file.is_file() or (
                target.fragment and file.suffix == ".html" and soup(file).find(id=unquote(target.fragment)) is None
            ):
                broken.append(f"{page.relative_to(site)} -> {link}")
    assert checked > 1000
    assert not [each for each in broken if not each.endswith("mermaid.tiny.js")]


def external_links(site: Path) -> set[str]:
    """Every address of somebody else that a reader can click on."""
    found = set()
    for page in built_pages(site):
        for element in soup(page).select("article a[href], footer a[href], header a[href]"):
            target = urlsplit(str(element["href"]))
            if target.scheme and f"{target.scheme}://{target.netloc}/" != BASE:
                found.add(str(element["href"]))
    return found


def test_every_external_link_is_in_one_list_with_a_date(site: Path) -> None:
    listed = yaml.safe_load((ROOT / "sitetools" / "links.yaml").read_text(encoding="utf-8"))
    assert {entry["url"] for entry in listed} == external_links(site)
    for entry in listed:
        assert entry["what"]
        assert isinstance(entry["checked_on"], datetime.date)
        assert entry["how"] in {"stored copy", "live"}


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in [*built_pages(site), site / "404.html"]:
        for element in soup(page).select("[src], link[href]"):
            if element.name == "a" or "canonical" in (element.get("rel") or []):
                continue
            source = str(element.get("src") or element.get("href"))
            assert not urlsplit(source).netloc, f"{page}: {source}"


def test_a_page_has_a_title_and_a_description() -> None:
    for page in sources():
        head = FRONT_MATTER.match(page.read_text(encoding="utf-8"))
        assert head, page
        meta = yaml.safe_load(head[0].strip("-\n"))
        assert meta["title"], page
        assert meta["description"], page


def test_no_page_is_too_long() -> None:
    words = {
        str(page.relative_to(DOCS)): len(page.read_text(encoding="utf-8").split())
        for page in sources()
        if not is_generated(page)
    }
    assert len(words) > 30
    assert not {name: count for name, count in words.items() if count > MOST_WORDS and name not in WITHOUT_LIMIT}


def test_the_generated_pages_are_what_the_code_says(tmp_path: Path, run: Run, python: str) -> None:
    run(python, "sitetools/generate.py", tmp_path, cwd=ROOT)
    fresh = {file.relative_to(tmp_path): file.read_text("utf-8") for file in tmp_path.rglob("*") if file.is_file()}
    assert fresh
    files = [ROOT / name for name in (REPOSITORY_LINES, PLOT, EXAMPLE_SETTINGS)]
    made = [*files, *(page for page in sources() if is_generated(page))]
    kept = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in made}
    assert fresh.keys() == kept.keys(), "run: make generate"
    assert not [str(path) for path in fresh if fresh[path] != kept[path]], "run: make generate"


def test_llms_txt_has_every_page(site: Path) -> None:
    listing = (site / "llms.txt").read_text(encoding="utf-8")
    text = (site / "llms-full.txt").read_text(encoding="utf-8")
    for page in built_pages(site):
        where = "/" + str(page.relative_to(site)).removesuffix("index.html")
        assert f"]({where})" in listing, where
        assert f"Source: {where}\n" in text, where
    assert not re.search(r"--8 *<", text), "a snippet that was not put in"
    assert GENERATED in text


def test_the_address_of_the_repository_stands_once() -> None:
    path = "/".join(owner_and_name(repository()))
    holding = {str(file) for file in project_files() if path.encode() in (ROOT / file).read_bytes()}
    assert holding == set(WITH_THE_ADDRESS)
    assert (ROOT / "pyproject.toml").read_text(encoding="utf-8").count(path) == 1


def test_the_readme_has_the_address_of_the_repository() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, name = owner_and_name(repository())
    named = re.findall(rf"\S*/{re.escape(name)}\b", readme)
    assert set(named) == {repository(), short(repository())}


def test_a_reader_is_told_of_an_owner_who_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    (lines,) = repository_lines.pages().values()
    told = repository_lines.WITHOUT_OWNER
    unknown = owner_and_name(repository())[0] == UNKNOWN_OWNER
    assert (told in lines) is unknown
    monkeypatch.setattr(repository_lines, "repository", lambda: "https://github.com/ada/some-name")
    (lines,) = repository_lines.pages().values()
    assert UNKNOWN_OWNER not in lines
    if unknown:
        naming = {page for page in sources() for block in blocks(page) if f"{UNKNOWN_OWNER}/" in block}
        assert len(naming) == 5
        for page in naming:
            assert told in in_full(page).partition(f"{UNKNOWN_OWNER}/")[0], page


def blocks(page: Path) -> list[str]:
    """The blocks of a page."""
    return re.findall(r"^ *```.*?^ *```$", in_full(page), re.DOTALL | re.MULTILINE)


def test_the_glossary_is_in_order() -> None:
    terms = re.findall(r"^(.+)\n:   ", (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(terms) > 40
    assert terms == sorted(terms, key=str.casefold)


def test_a_long_name_in_a_cell_breaks_between_its_words(site: Path) -> None:
    text = (site / "how-to" / "stytch-setup" / "index.html").read_text(encoding="utf-8")
    assert "<td><code>STYTCH_<wbr>PROJECT_<wbr>ID</code></td>" in text
    assert "_<wbr>" not in re.sub(r"<td[^>]*>.*?</td>", "", text, flags=re.DOTALL)


def test_links_to_edit_a_page_come_with_the_owner() -> None:
    assert "repo_url" not in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    code = """if True:
        import sys
        sys.path.insert(0, "sitetools")
        import hooks
        from mkdocs.config import load_config
        hooks.repository = lambda: sys.argv[1]
        config = hooks.on_config(load_config())
        print(config.repo_url, config.site_url, "content.action.edit" in config.theme["features"])
    """

    def configured(where: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code, where], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert configured(f"https://github.com/{UNKNOWN_OWNER}/some-name").endswith("None False")
    where = "https://github.com/Ada/cookiecutter-stytch-mcp"
    assert configured(where) == f"{where} https://ada.github.io/cookiecutter-stytch-mcp/ True"


def test_diagrams_are_only_where_they_are_needed(site: Path) -> None:
    with_diagram = {page for page in built_pages(site) if soup(page).select(".mermaid")}
    with_script = {page for page in built_pages(site) if "mermaid.tiny.js" in page.read_text(encoding="utf-8")}
    assert with_diagram
    assert with_diagram == with_script


def test_zensical_builds_it_too(tmp_path: Path, run: Run) -> None:
    """What comes after mkdocs-material builds the same pages from the same file."""
    files = ["mkdocs.yml", "pyproject.toml", "docs", "sitetools", "examples", "tests/github", TEMPLATE]
    for file in project_files(*files):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    run(Path(sys.executable).with_name("zensical"), "build", "--strict", cwd=tmp_path)
    out = tmp_path / "build" / "site"
    for page in sources():
        relative = page.relative_to(DOCS)
        name = relative.parent if relative.stem == "index" else relative.with_suffix("")
        assert (out / name / "index.html").is_file(), relative
    home = (out / "index.html").read_text(encoding="utf-8")
    assert 'class="mermaid"' in home
    assert repository() in soup(out / "index.html").get_text()
    assert "8<" not in home


def test_the_search_index_has_every_page(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {re.sub("#.*", "", entry["location"]) for entry in index["docs"]}
    assert found == {str(page.relative_to(site)).removesuffix("index.html") for page in built_pages(site)}
