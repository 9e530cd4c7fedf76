"""Hooks of MkDocs: the repository's address, diagrams only where there are some, where names break, llms.txt."""

import re
from html import unescape
from pathlib import Path

import markdown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from repository import UNKNOWN_OWNER, pages_address, repository

MERMAID = re.compile(r'<script src="[^"]*mermaid\.tiny\.js"></script>\s*')
CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)
CODE_IN_CELL = re.compile(r"(?<=<code>)[^<]*(?=</code>)")
NAMELESS = 'data-md-component="search" role="dialog"'
SNIPPET = re.compile(r"^\s*(-+8<-+)", re.MULTILINE)

_pages: list[tuple[Page, str]] = []


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Links to the repository and to edit a page, once it has an owner."""
    _pages.clear()
    address = repository()
    if f"/{UNKNOWN_OWNER}/" not in address:
        config.repo_url = address
        config.edit_uri = "edit/main/docs/"
        config.site_url = pages_address(address)
        config.theme["features"].append("content.action.edit")
    return config


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Remembers a page as text, with its snippets in place."""
    _pages.append((page, resolved(markdown, config)))
    return markdown


def on_post_page(output: str, /, *, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001
    """Takes the diagram library, by far the largest file, from pages without a diagram; names the theme's dialog."""
    output = output.replace(NAMELESS, f'{NAMELESS} aria-label="Search"')
    output = CELL.sub(lambda cell: CODE_IN_CELL.sub(breakable, cell[0]), output)
    return output if 'class="mermaid"' in output else MERMAID.sub("", output)


def breakable(code: re.Match[str]) -> str:
    """Code in a narrow cell, which breaks behind `_`, `/` and `.` before it breaks in the middle of a word."""
    return re.sub(r"(?<=[_/])(?=\w)|(?<=\w\.)(?=\w)", "<wbr>", code[0])


def on_nav(nav: Navigation, /, *, config: MkDocsConfig, files: Files) -> Navigation:  # noqa: ARG001
    """Remembers the order."""
    _order[:] = [page.file.src_uri for page in nav.pages]
    return nav


_order: list[str] = []


def on_post_build(config: MkDocsConfig) -> None:
    """Writes llms.txt, a list of the pages, and llms-full.txt, all of their text."""
    pages = sorted(_pages, key=lambda entry: _order.index(entry[0].file.src_uri))
    base = config.site_url or "/"
    lines = [f"# {config.site_name}", "", f"> {str(config.site_description).strip()}", ""]
    section = None
    for page, _ in pages:
        title = page.parent.title if page.parent else "Start"
        if title != section:
            lines += ["", f"## {title}", ""]
            section = title
        about = page.meta.get("description")
        lines.append(f"- [{unescape(str(page.title))}]({base}{page.url}){f': {about}' if about else ''}")
    site = Path(config.site_dir)
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = "\n\n---\n\n".join(f"Source: {base}{page.url}\n\n{text.strip()}" for page, text in pages)
    (site / "llms-full.txt").write_text(text + "\n", encoding="utf-8")


def resolved(text: str, config: MkDocsConfig) -> str:
    """A page with its snippets in place."""
    if not SNIPPET.search(text):
        return text
    name = "pymdownx.snippets"
    converter = markdown.Markdown(extensions=[name], extension_configs={name: config.mdx_configs[name]})
    return "\n".join(converter.preprocessors["snippet"].run(text.split("\n")))
