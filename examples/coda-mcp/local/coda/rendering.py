"""From what a page consists of to HTML or Markdown, as an export has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape
from itertools import groupby

from local.coda.model import Doc, Element, Page, Span, Table
from local.coda.tables import rows_of, visible_columns
from local.coda.values import render, stored
from local.coda.world import World

TAGS = {"bold": "b", "italic": "i", "strike": "s", "underline": "u", "code": "code"}
SIGNS = {"bold": "**", "italic": "*", "strike": "~~", "code": "`"}
LIST_STYLES = ("bulletedList", "numberedList", "checkboxList", "collapsibleList")
SPECIAL = re.compile(r"([\\`*_\[\]<>~])")


def export(world: World, doc: Doc, page: Page, markup: str) -> str:
    """The page without its subpages. `markup`: html or markdown."""
    if markup == "html":
        return f"<h1>{escape(page.name)}</h1>\n" + "\n".join(_html_blocks(world, doc, page))
    return f"# {_plain(page.name)}\n\n" + "\n\n".join(_markdown_blocks(world, doc, page)) + "\n"


def _groups(page: Page) -> Iterator[tuple[str, list[Element]]]:
    """Elements that belong together: a list, a piece of code, a quotation; else one alone."""

    def key(numbered: tuple[int, Element]) -> tuple[str, int]:
        number, element = numbered
        if element.kind != "line":
            return element.kind, number
        if element.style in LIST_STYLES:
            return "list", -1
        return element.style, -1 if element.style in ("code", "blockQuote") else number

    for (kind, _), group in groupby(enumerate(page.elements), key):
        yield kind, [element for _, element in group]


def _html_blocks(world: World, doc: Doc, page: Page) -> Iterator[str]:
    for kind, group in _groups(page):
        first = group[0]
        match kind:
            case "list":
                yield _html_list(group)
            case "code":
                yield f"<pre><code>{escape(chr(10).join(element.text for element in group))}</code></pre>"
            case "blockQuote" | "pullQuote":
                yield f"<blockquote>{''.join(f'<p>{_html(element.spans)}</p>' for element in group)}</blockquote>"
            case "h1" | "h2" | "h3":
                yield f"<{kind}>{_html(first.spans)}</{kind}>"
            case "image":
                yield f'<img src="{escape(first.ref)}">'
            case "table":
                yield _html_table(world, doc, doc.tables[first.ref])
            case "formula" | "control":
                yield f"<p>{escape(_shown(doc, first))}</p>"
            case _:
                yield f"<p>{_html(first.spans)}</p>"


def _html_list(group: list[Element]) -> str:
    parts: list[str] = []
    tags: list[str] = []
    for element in group:
        tag = "ol" if element.style == "numberedList" else "ul"
        while len(tags) > element.level + 1 or (tags and len(tags) == element.level + 1 and tags[-1] != tag):
            parts.append(f"</{tags.pop()}>")
        while len(tags) < element.level + 1:
            tags.append(tag)
            parts.append(f"<{tag}>")
        parts.append(f"<li>{_html_box(element)}{_html(element.spans)}</li>")
    parts += [f"</{tag}>" for tag in reversed(tags)]
    return "".join(parts)


def _html_box(element: Element) -> str:
    if element.style != "checkboxList":
        return ""
    return '<input type="checkbox" checked>' if element.checked else '<input type="checkbox">'


def _html(spans: list[Span]) -> str:
    def one(span: Span) -> str:
        text = escape(span.text, quote=False)
        for mark, tag in TAGS.items():
            text = f"<{tag}>{text}</{tag}>" if mark in span.marks else text
        return f'<a href="{escape(span.href)}">{text}</a>' if span.href else text

    return "".join(map(one, spans))


def _html_table(world: World, doc: Doc, table: Table) -> str:
    head, *body = _cells(world, doc, table)
    header = "".join(f"<th>{escape(name)}</th>" for name in head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in body)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"


def _markdown_blocks(world: World, doc: Doc, page: Page) -> Iterator[str]:
    for kind, group in _groups(page):
        first = group[0]
        match kind:
            case "list":
                yield "\n".join(_markdown_items(group))
            case "code":
                yield "```\n" + "\n".join(element.text for element in group) + "\n```"
            case "blockQuote" | "pullQuote":
                yield "\n>\n".join(f"> {_markdown(element.spans)}" for element in group)
            case "h1" | "h2" | "h3":
                yield f"{'#' * int(kind[1])} {_markdown(first.spans)}"
            case "image":
                yield f"![]({first.ref})"
            case "table":
                yield _markdown_table(world, doc, doc.tables[first.ref])
            case "formula" | "control":
                yield _plain(_shown(doc, first))
            case _:
                yield _markdown(first.spans)


def _markdown_items(group: list[Element]) -> Iterator[str]:
    number = 0
    for element in group:
        number = number + 1 if element.style == "numberedList" else 0
        sign = f"{number}." if number else "*"
        box = ("[x] " if element.checked else "[ ] ") if element.style == "checkboxList" else ""
        yield f"{'    ' * element.level}{sign} {box}{_markdown(element.spans)}"


def _markdown(spans: list[Span]) -> str:
    def one(span: Span) -> str:
        text = span.text if "code" in span.marks else _plain(span.text)
        inner = text.strip()
        marked = inner
        for mark, sign in SIGNS.items():
            marked = f"{sign}{marked}{sign}" if mark in span.marks and inner else marked
        text = text.replace(inner, marked, 1) if inner else text
        return f"[{text}]({span.href})" if span.href else text

    return "".join(map(one, spans))


def _plain(text: str) -> str:
    return SPECIAL.sub(r"\\\1", text)


def _markdown_table(world: World, doc: Doc, table: Table) -> str:
    head, *body = _cells(world, doc, table)
    line: Callable[[list[str]], str] = lambda cells: f"| {' | '.join(map(_cell, cells))} |"  # noqa: E731
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, body)])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def _cells(world: World, doc: Doc, table: Table) -> Iterator[list[str]]:
    columns = visible_columns(doc, table)
    yield [column.name for column in columns]
    for row in rows_of(world, doc, table):
        yield [str(render(world, doc, column, stored(doc, row, column), "simple")) for column in columns]


def _shown(doc: Doc, element: Element) -> str:
    """A formula's or control's value, as people see it on the page."""
    if element.kind == "formula":
        return str(doc.formulas[element.ref].compute(doc))
    control = doc.controls[element.ref]
    return f"{control.name}: {control.value}"
