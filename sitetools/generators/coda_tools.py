"""The tools of the Coda server; the text is that of tests/coda_tools.py, which also tests it."""

from markdown_text import page


def pages() -> dict[str, str]:
    """reference/coda-tools.md"""
    import coda_tools

    title, _, content = coda_tools.page(coda_tools.running()).partition("\n\n")
    assert title.startswith("# ")
    return {
        "docs/reference/coda-tools.md": page(
            "Coda tools", "Every tool of the Coda server, beside those of others.", ["coda"], content.strip()
        )
    }
