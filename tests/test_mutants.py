"""A check that is taken out of the verifier, the policy or the gate fails a test: the mutants that matter most.

`make mutate` tries many more.
"""

import json
import shutil

import pytest
from bake import ROOT
from conftest import Bake, Run

TESTS = {
    "verifier": "tests/runtime/test_verifier.py",
    "policy": "tests/runtime/test_policy.py",
    "gate": "tests/test_gate.py",
}
OPTIONS = 'options={\n                "require"'

# By module and by what is lost: what the code says, and what the mutant says in its place.
MUTANTS: dict[str, dict[str, tuple[str, str]]] = {
    "verifier": {
        "the audience": (OPTIONS, 'options={\n                "verify_aud": False,\n                "require"'),
        "the signature": (OPTIONS, 'options={\n                "verify_signature": False,\n                "require"'),
        "required claims": ('"require": list(issuer.required_claims)', '"require": []'),
        "crit": ('"crit" in header', "False"),
        "typ": ("not in TYPES", "in ()"),
        "leeway for exp": ("<= now - LEEWAY_SECONDS", "<= now"),
        "exp": ('"exp"] <= now - LEEWAY_SECONDS', '"exp"] <= 0'),
        "leeway for nbf and iat": ("> now + LEEWAY_SECONDS", "> now"),
        "nbf": ('("nbf", "iat"):', '("iat",):'),
        "the range of a time": ("and abs(value) < MAX_TIME", ""),
        "the kind of a token": ("if flaw is not None:", "if False:"),
        "the length of a token": ("len(token) > MAX_TOKEN_BYTES", "False"),
        "forgetting": ("- since <= REMEMBER_SECONDS", "- since <= 1e9"),
    },
    "policy": {
        "users": ("EVERYONE in self.users", "True"),
        "organizations": ("and principal.organization in self.organizations", ""),
        "any one address": ("return any(", "return all("),
        "any one rule": ("in self.emails or _domain", "in self.emails and _domain"),
        "the last @": ('address.rpartition("@")', 'address.partition("@")'),
        "refusing": ("        raise Refused(\n", "        Refused(\n"),
    },
    "gate": {
        "Host": ("if not self.public_url.is_host(hosts):", "if False:"),
        "a second Origin": ("(len(origins) > 1 or not", "(not"),
        "Origin": ("return origin == self.public_url.origin or", "return True or"),
        "a second token": ("if len(values) > 1:", "if False:"),
        "the scheme": ('if scheme.lower() != "bearer":', "if False:"),
        "the query": ('name == "access_token"', "False"),
        "scopes": ("if not self.scopes.allows(principal.scopes, needed):", "if False:"),
        "the limit of a body": ("if len(body) > limit:", "if False:"),
        "a slash at the end": ('path.rstrip("/") == MCP_PATH', "path == MCP_PATH"),
    },
}


@pytest.mark.parametrize("module", MUTANTS)
def test_no_check_can_be_lost_without_a_failing_test(bake: Bake, run: Run, python: str, module: str) -> None:
    folder = bake()
    shutil.copytree(ROOT / "tests" / "runtime", folder / "tests" / "runtime")
    path = f"src/stytch_mcp/protect/{module}.py"
    right = (folder / path).read_text(encoding="utf-8")
    assert [old for old, _ in MUTANTS[module].values() if right.count(old) != 1] == []
    texts = {"nothing": right} | {name: right.replace(old, new) for name, (old, new) in MUTANTS[module].items()}
    asked = json.dumps([[name, path, text, TESTS[module]] for name, text in texts.items()])
    codes = json.loads(run(python, ROOT / "tests" / "mutation" / "forks.py", cwd=folder, stdin=asked))
    assert codes.pop("nothing") == pytest.ExitCode.OK
    survivors = [name for name, code in codes.items() if code not in (pytest.ExitCode.TESTS_FAILED, -14)]
    assert survivors == []
