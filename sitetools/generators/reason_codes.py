"""Why requests are refused, from the runtime's own table."""

from markdown_text import code, page, table, text

# The checks that send a request which a server of this template refuses for that reason; tests/test_check.py watches them.
SENT_BY = {
    "no_token": ["CH-12"],
    "malformed": ["CH-17"],
    "too_long": ["CH-20"],
    "wrong_signature": ["TK-03", "TK-05", "TK-06"],
    "wrong_algorithm": ["TK-04", "TK-17"],
    "token_in_query": ["TK-07"],
    "repeated_header": ["TK-08"],
    "wrong_audience": ["TK-09", "TK-11"],
    "missing_claim": ["TK-12", "TK-15"],
    "unknown_issuer": ["TK-13"],
    "expired": ["TK-14"],
    "not_yet_valid": ["TK-16"],
    "unknown_key": ["TK-18"],
    "critical_header": ["TK-19"],
    "wrong_type": ["TK-20"],
    "wrong_token_kind": ["TK-21", "TK-22"],
    "insufficient_scope": ["SC-01", "SC-05"],
    "not_json": ["PT-21", "PT-22"],
    "wrong_origin": ["HO-01", "HO-02", "HO-03"],
    "wrong_host": ["HO-04"],
}
# Those that no check sends, with the reason.
SENT_BY_NONE = {
    "bearer_ended": "none: `check` has no static token of yours",
    "body_too_large": "none: no check sends that much",
    "keys_unavailable": "none sends it; [HE-03](checks.md#he-03) sees the cause",
    "no_assertion": "none: `check` does not come through Cloudflare Access",
    "no_key_id": "none: forged tokens of `check` name a key",
    "not_allowed": "none: whom you admit is your decision",
    "oauth_is_off": "none: `check` does not come through Cloudflare Access",
    "revoked": "none: `check` disconnects nobody",
    "subject_unavailable": "none: it depends on Stytch at that moment",
    "wrong_claim": "none: no check forges one",
}


def pages() -> dict[str, str]:
    """reference/reason-codes.md"""
    from stytch_mcp.protect.reasons import ALL

    rows = [
        (code(each.code), str(each.status), code(each.error or ""), text(each.description), _check(each.code))
        for each in sorted(ALL, key=lambda each: (each.status, each.code))
    ]
    content = [
        "Each refusal has exactly one reason code. It stands in the log, as `reason` of the line `refused`, together with "
        "a `detail` that only the operator sees; the client reads the words of the fourth column. `error` is the code of "
        "RFC 6750, section 3.1, in the challenge. The last column: the checks that send such a request and want it "
        "refused. What to do about each: [Troubleshooting](../troubleshooting/index.md).",
        table(["Reason", "Status", "`error`", "What the client reads", "Check"], rows),
    ]
    return {
        "docs/reference/reason-codes.md": page(
            "Reason codes", "Every reason for which a request is refused.", ["operation", "tokens"], *content
        )
    }


def _check(reason: str) -> str:
    if reason in SENT_BY_NONE:
        return SENT_BY_NONE[reason]
    return ", ".join(f"[{each}](checks.md#{each.lower()})" for each in SENT_BY[reason])
