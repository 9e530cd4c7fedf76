"""The tools of the Coda server; the text is that of tests/coda_tools.py, which also tests it."""


def pages() -> dict[str, str]:
    """reference/coda-tools.md"""
    import coda_tools

    return {"docs/reference/coda-tools.md": coda_tools.page(coda_tools.running())}
