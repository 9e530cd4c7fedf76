"""Why requests are refused, from the runtime's own table."""

from markdown_text import code, page, table, text


def pages() -> dict[str, str]:
    """reference/reason-codes.md"""
    from stytch_mcp.protect.reasons import ALL

    rows = [
        (code(each.code), str(each.status), code(each.error or ""), text(each.description))
        for each in sorted(ALL, key=lambda each: (each.status, each.code))
    ]
    content = [
        "Each refusal has exactly one reason code. It stands in the log, as `reason` of the line `refused`, together with "
        "a `detail` that only the operator sees; the client reads the words of the last column. `error` is the code of "
        "RFC 6750, section 3.1, in the challenge. What to do about each: [Troubleshooting](../troubleshooting/index.md).",
        table(["Reason", "Status", "`error`", "What the client reads"], rows),
    ]
    return {
        "docs/reference/reason-codes.md": page(
            "Reason codes", "Every reason for which a request is refused.", ["operation", "tokens"], *content
        )
    }
