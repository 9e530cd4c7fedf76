"""The sign-in page in Chromium, against a bake that runs `dev` as a person would: no auto-approve, real pages."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from bake import ROOT
from conftest import needed
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright
from test_inspector import ending

SCREENS = ROOT / "build" / "screens"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
AXE = ROOT / "build" / "inspector" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CLIENT = "https://claude.ai/api/mcp/auth_callback"
HERE = "http://127.0.0.1:33418/callback"
OWN_SCHEME = "cursor://anysphere.cursor-mcp/oauth/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
WAYS = "email-code,email-link,google,github"
PICTURES = ROOT / "docs" / "assets" / "sign-in"
# What was on the page when its picture was taken; a picture itself differs with the fonts of the machine.
SHOWN = PICTURES / "shown.json"
MOST_BYTES = 60_000
CONTENT = """() => {
    const copy = document.documentElement.cloneNode(true);
    copy.querySelectorAll("input[type=hidden]").forEach(each => each.remove());
    for (const each of copy.querySelectorAll("*"))
        for (const name of ["action", "href", "value"]) each.removeAttribute(name);
    return copy.outerHTML;
}"""


@dataclass
class Dev:
    """What `dev` said, and every secret that came along: none may be in its log."""

    mcp_url: str
    issuer: str
    http: Any
    secrets: set[str] = field(default_factory=set)

    @property
    def origin(self) -> str:
        return self.mcp_url.removesuffix("/mcp")

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(f"{self.issuer}/_test/{path}", data=json.dumps(body))
        assert answer.ok, answer.text()
        return dict(answer.json())

    def mailed(self, address: str) -> dict[str, Any]:
        found = dict(self.http.get(f"{self.issuer}/_test/otp?{urlencode({'email': address})}").json())
        self.secrets |= {value for name, value in found.items() if name == "magic_link" and value}
        return found

    def asked(self, path: str) -> int:
        """How often Stytch was asked for a path."""
        requests = self.http.get(f"{self.issuer}/_test/requests").json()["requests"]
        return sum(request["path"] == path for request in requests)

    def register(self, **metadata: Any) -> str:
        body = {"client_name": "Claude", "redirect_uris": [CLIENT, HERE, OWN_SCHEME], **metadata}
        answer = self.http.post(f"{self.issuer}/v1/oauth2/register", data=json.dumps(body))
        return str(answer.json()["client_id"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each has a context of its own."""
    install = "apt-get install --yes --no-install-recommends chromium"
    found = next(filter(None, map(shutil.which, CHROMIUM)), "chromium")
    chromium = needed(Path(found), "Chromium", "apt-get update", install)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def dev(browser: Browser, default: Path, python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """The default server as `make dev` starts it, with every way to log in. Its log is searched at the end."""
    log = tmp_path_factory.mktemp("dev") / "log"
    variables = {"PYTHONPATH": f"{default / 'src'}:{default / 'kit'}", "SIGNIN_METHODS": WAYS}
    command: list[str | Path] = [python, "-m", "notes_mcp", "dev", "--port", "0", "--json"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | variables
    with log.open("w") as errors:
        with ending(command, cwd=default, env=environment, stdout=subprocess.PIPE, stderr=errors) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            said = json.loads(line)
            context = browser.new_context()
            started = Dev(said["mcp_url"], said["issuer"], context.request)
            yield started
            context.close()
    written = log.read_text()
    assert not started.secrets or '"audit": "log_in"' in written
    assert "Traceback" not in written
    assert not re.search(r"eyJ[\w-]{20,}|secret-test-", written)
    assert not [secret for secret in started.secrets if len(secret) > 6 and secret in written]


@dataclass
class Person:
    """Somebody in front of a browser, who came from an application."""

    dev: Dev
    context: BrowserContext
    page: Page
    address: str
    client_id: str
    landed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    requested: set[str] = field(default_factory=set)

    def url(self, **changes: Any) -> str:
        asked = {
            "client_id": self.client_id,
            "redirect_uri": CLIENT,
            "response_type": "code",
            "scope": "notes:read notes:write",
            "state": "the-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": self.dev.mcp_url,
            **changes,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return f"{self.dev.origin}/oauth/authorize?{urlencode(given)}"

    def connect(self, page: Page | None = None, **changes: Any) -> Page:
        target = page or self.page
        target.goto(self.url(**changes))
        return target

    def ask_for_code(self, page: Page | None = None) -> None:
        target = page or self.page
        target.get_by_label("E-mail address").fill(self.address)
        target.get_by_role("button", name="Send me a code").click()
        expect(target.get_by_role("heading", name="Check your e-mail")).to_be_visible()

    def enter(self, code: str, page: Page | None = None) -> None:
        target = page or self.page
        target.get_by_label("Code").fill(code)
        with target.expect_navigation():
            target.get_by_role("button", name="Log in").click()

    def log_in(self, page: Page | None = None) -> None:
        self.ask_for_code(page)
        self.enter(self.dev.mailed(self.address)["code"], page)

    def answer(self, button: str, page: Page | None = None, to: str = CLIENT) -> dict[str, list[str]]:
        """Allow or Deny, and what the application is told."""
        target = page or self.page
        target.get_by_role("button", name=button, exact=True).click()
        return self.arrive(target, to)

    def arrive(self, page: Page | None = None, to: str = CLIENT) -> dict[str, list[str]]:
        """Wait until the browser is back at the application."""
        target = page or self.page
        target.wait_for_url(f"{to}?*")
        told = parse_qs(urlsplit(target.url).query)
        self.dev.secrets |= {*told.get("code", []), *(str(cookie.get("value")) for cookie in self.context.cookies())}
        return told

    def redeem(self, code: str, redirect_uri: str = CLIENT) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "client_id": self.client_id, "code": code}
        form |= {"code_verifier": VERIFIER, "redirect_uri": redirect_uri}
        answer = self.dev.http.post(f"{self.dev.issuer}/v1/oauth2/token", form=form)
        assert answer.ok, answer.text()
        tokens = dict(answer.json())
        self.dev.secrets |= {str(tokens["access_token"]), str(tokens.get("refresh_token", ""))}
        return tokens

    def heading(self, words: str, page: Page | None = None) -> None:
        expect((page or self.page).get_by_role("heading", level=1)).to_have_text(words)


Meet = Callable[..., Person]


@pytest.fixture
def meet(browser: Browser, dev: Dev, request: pytest.FixtureRequest) -> Iterator[Meet]:
    """A person with a fresh browser profile and an address of their own; nothing may break the page's own rules."""
    people: list[Person] = []
    name = re.sub(r"\W+", "-", request.node.name)[:40].strip("-")

    def met(**how: Any) -> Person:
        context = browser.new_context(**{"viewport": {"width": 900, "height": 800}, **how})
        address = f"{name}-{len(people)}@example.com"
        person = Person(dev, context, context.new_page(), address, dev.register())
        people.append(person)

        def land(route: Route) -> None:
            person.landed.append(route.request.url)
            route.fulfill(body="<title>Application</title>Connected", content_type="text/html")

        context.route(re.compile(r"https://claude\.ai/.*|http://127\.0\.0\.1:33418/.*"), land)
        # Other schemes are no requests to anybody.
        context.on("request", lambda asked: person.requested.update(re.findall(r"^https?://([^/]+)", asked.url)))
        context.on("console", lambda message: person.complaints.append(message.text))
        return person

    yield met
    here = {urlsplit(dev.origin).netloc, urlsplit(dev.issuer).netloc, "claude.ai", "127.0.0.1:33418", "evil.example"}
    for person in people:
        assert person.requested <= here, "a request to somebody else"
        assert not [words for words in person.complaints if "Content Security" in words or "Refused" in words]
        person.context.close()


def test_the_first_log_in_consent_and_the_way_back(meet: Meet, dev: Dev) -> None:
    ada = meet()
    ada.connect(scope="notes:read notes:write offline_access")
    ada.heading("Log in")
    expect(ada.page.get_by_text("Claude")).to_have_count(0)
    ada.log_in()
    ada.heading("Claude wants to use Notes")
    expect(ada.page.get_by_text("claude.ai", exact=True)).to_be_visible()
    expect(ada.page.get_by_text("Search and read")).to_be_visible()
    allow, deny = (ada.page.get_by_role("button", name=name, exact=True) for name in ("Allow", "Deny"))
    sizes = [box and (box["width"], box["height"]) for box in (allow.bounding_box(), deny.bounding_box())]
    assert sizes[0] == sizes[1], "of equal rank"
    told = ada.answer("Allow")
    assert told["state"] == ["the-state"]
    tokens = ada.redeem(told["code"][0])
    assert tokens["scope"] == "notes:read notes:write offline_access"
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Accept": "application/json, text/event-stream"}
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    listed = dev.http.post(dev.mcp_url, headers={**headers, "Content-Type": "application/json"}, data=message)
    assert listed.ok


def test_deny(meet: Meet) -> None:
    ada = meet()
    ada.connect()
    ada.log_in()
    assert ada.answer("Deny")["error"] == ["access_denied"]
    assert len(ada.landed) == 1


def test_deny_after_allow_in_another_tab(meet: Meet) -> None:
    ada = meet()
    ada.connect()
    ada.log_in()
    other = ada.connect(ada.context.new_page())
    assert "code" in ada.answer("Allow", other)
    told = ada.answer("Deny")
    assert (told["error"], "code" in told) == (["access_denied"], False)


def test_the_second_time_without_a_question_and_with_one_if_it_is_wanted(meet: Meet) -> None:
    ada = meet()
    ada.connect()
    ada.log_in()
    first = ada.answer("Allow")["code"]
    ada.page.goto("about:blank")
    with ada.page.expect_navigation(url=f"{CLIENT}?*"):
        ada.page.goto(ada.url())
    assert ada.arrive()["code"] != first
    ada.connect(prompt="consent")
    ada.heading("Claude wants to use Notes")
    assert "code" in ada.answer("Allow")


def test_wrong_codes(meet: Meet) -> None:
    ada = meet()
    ada.connect()
    ada.ask_for_code()
    right = ada.dev.mailed(ada.address)["code"]
    wrong = "111111" if right != "111111" else "222222"
    for _ in range(5):
        ada.enter(wrong)
        expect(ada.page.get_by_role("alert")).to_contain_text("wrong or has expired")
    ada.enter(right)
    expect(ada.page.get_by_role("alert")).to_contain_text("Ask for a new one")
    ada.page.get_by_role("button", name="send it again").click()
    expect(ada.page.get_by_role("alert")).to_contain_text("more seconds")
    ada.page.get_by_role("link", name="use another address").click()
    ada.heading("Log in")


def test_a_code_that_has_expired(meet: Meet, dev: Dev) -> None:
    ada = meet()
    ada.connect()
    ada.ask_for_code()
    code = dev.mailed(ada.address)["code"]
    dev.control("clock", offset_seconds=601)
    try:
        ada.enter(code)
    finally:
        dev.control("clock", offset_seconds=0)
    expect(ada.page.get_by_role("alert")).to_contain_text("wrong or has expired")


def test_two_tabs_do_not_mix(meet: Meet, dev: Dev) -> None:
    ada = meet()
    other_client = dev.register(client_name="Cursor", redirect_uris=[HERE])
    one = ada.connect(state="one")
    two = ada.connect(
        ada.context.new_page(), state="two", client_id=other_client, redirect_uri=HERE, scope="notes:read"
    )
    ada.ask_for_code(one)
    ada.ask_for_code(two)
    ada.enter(dev.mailed(ada.address)["code"], two)
    ada.heading("Cursor wants to use Notes", two)
    one.goto(one.url.replace("/sent/", "/consent/"))
    ada.heading("Claude wants to use Notes", one)
    assert ada.answer("Allow", two, HERE)["state"] == ["two"]
    assert ada.answer("Allow", one)["state"] == ["one"]


def test_the_back_button_gives_no_second_code(meet: Meet, dev: Dev) -> None:
    ada = meet()
    ada.connect()
    ada.log_in()
    consent = ada.page.url
    ada.answer("Allow")
    before = dev.asked("/v1/idp/oauth/authorize")
    ada.page.go_back()
    ada.page.goto(consent)
    ada.heading("This request is closed")
    assert dev.asked("/v1/idp/oauth/authorize") == before
    assert len(ada.landed) >= 1


def test_a_link_in_this_browser_and_in_another(meet: Meet, dev: Dev) -> None:
    ada, other = meet(), meet()
    ada.connect()
    ada.page.get_by_label("E-mail address").fill(ada.address)
    ada.page.get_by_role("button", name="Send me a link").click()
    expect(ada.page.get_by_text("Open it in this browser")).to_be_visible()
    link = dev.mailed(ada.address)["magic_link"]
    other.page.goto(link)
    other.heading("Open the link where you asked for it")
    tab = ada.context.new_page()
    tab.goto(link)
    ada.heading("Claude wants to use Notes", tab)
    assert "code" in ada.answer("Allow", tab)


def test_google_and_back(meet: Meet, dev: Dev) -> None:
    ada = meet()
    dev.control("users", email=ada.address)
    dev.control("settings", auto_login=ada.address)
    ada.connect()
    ada.page.get_by_role("link", name="Continue with Google").click()
    ada.heading("Claude wants to use Notes")
    expect(ada.page.get_by_text(ada.address)).to_be_visible()
    assert "code" in ada.answer("Allow")


def test_a_person_who_is_not_admitted(meet: Meet, dev: Dev) -> None:
    eve = meet()
    dev.control("settings", auto_login="grace@example.org")
    eve.connect()
    eve.page.get_by_role("link", name="Continue with GitHub").click()
    eve.heading("You are not admitted here")
    assert eve.landed == []
    eve.page.get_by_role("link", name="Use another account").click()
    eve.heading("Log in")


def test_a_session_that_ended(meet: Meet, dev: Dev) -> None:
    ada = meet()
    ada.connect()
    ada.log_in()
    dev.control("clock", offset_seconds=9 * 3600)
    try:
        ada.page.get_by_role("button", name="Allow", exact=True).click()
        ada.heading("Log in")
    finally:
        dev.control("clock", offset_seconds=0)
    ada.log_in()
    assert "code" in ada.answer("Allow")


def test_back_to_a_program_on_this_machine(meet: Meet) -> None:
    ada = meet()
    ada.connect(redirect_uri=HERE)
    ada.log_in()
    expect(ada.page.get_by_text("A program on this computer")).to_be_visible()
    told = ada.answer("Allow", to=HERE)
    assert ada.redeem(told["code"][0], HERE)["access_token"]


def test_back_to_a_scheme_of_an_applications_own(meet: Meet) -> None:
    ada = meet()
    ada.connect(redirect_uri=OWN_SCHEME)
    ada.log_in()
    expect(ada.page.get_by_text("the program on this device that opens cursor: links")).to_be_visible()
    ada.page.get_by_role("button", name="Allow", exact=True).click()
    link = ada.page.get_by_role("link", name="Go back now")
    target = link.get_attribute("href") or ""
    assert target.startswith(f"{OWN_SCHEME}?code=")
    assert ada.redeem(parse_qs(urlsplit(target).query)["code"][0], OWN_SCHEME)["access_token"]


def test_it_works_without_javascript_and_by_keyboard(meet: Meet, dev: Dev) -> None:
    ada = meet(java_script_enabled=False)
    ada.connect()
    keys = ada.page.keyboard
    ada.page.locator("input[name=email]:focus").wait_for()
    keys.type(ada.address)
    keys.press("Enter")
    ada.page.wait_for_url("**/oauth/sent/*")
    ada.page.locator("input[name=code]:focus").wait_for()
    keys.type(dev.mailed(ada.address)["code"])
    keys.press("Enter")
    ada.page.wait_for_url("**/oauth/consent/*")
    keys.press("Tab")
    keys.press("Enter")
    assert "code" in ada.arrive()


def test_it_cannot_be_framed(meet: Meet) -> None:
    ada = meet()
    frame = f'<iframe src="{ada.url().replace("&", "&amp;")}"></iframe>'
    ada.context.route("http://evil.example/", lambda route: route.fulfill(body=frame, content_type="text/html"))
    ada.page.goto("http://evil.example/")
    (inner,) = ada.page.frames[1:]
    assert urlsplit(ada.dev.origin).netloc in ada.requested
    assert (inner.url, inner.get_by_label("E-mail address").count()) == ("chrome-error://chromewebdata/", 0)
    ada.complaints.clear()


def test_a_form_of_another_site_allows_nothing(meet: Meet, dev: Dev) -> None:
    """It knows the secret of the form: the browser sends no cookies along, and says where the form came from."""
    ada = meet()
    ada.connect()
    ada.log_in()
    csrf = ada.page.locator("input[name=csrf]").first.get_attribute("value")
    question = ada.page.locator("input[name=question]").get_attribute("value")
    form = f'<form method="post" action="{ada.page.url}"><input name="csrf" value="{csrf}">'
    form += f'<input name="question" value="{question}">'
    form += '<input name="decision" value="allow"><button>Win</button></form>'
    ada.context.route("https://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    tab = ada.context.new_page()
    tab.goto("https://evil.example/")
    before = dev.asked("/v1/idp/oauth/authorize")
    tab.get_by_role("button", name="Win").click()
    ada.heading("This form is not from here", tab)
    assert (dev.asked("/v1/idp/oauth/authorize"), ada.landed) == (before, [])


def test_connections_are_shown_and_disconnected(meet: Meet, dev: Dev) -> None:
    ada = meet()
    ada.connect()
    ada.log_in()
    told = ada.answer("Allow")
    ada.redeem(told["code"][0])
    ada.page.goto(f"{dev.origin}/oauth/connections")
    ada.heading("Your connections")
    expect(ada.page.get_by_text("Since 20")).to_be_visible()
    ada.page.get_by_role("button", name="Disconnect Claude").click()
    expect(ada.page.get_by_text("No application is connected")).to_be_visible()
    ada.page.get_by_role("button", name="Log out").click()
    ada.heading("You are logged out")


# A real MCP client: it prints where to log in, and is told where the browser landed.
MCP_CLIENT = """
import json, sys
import anyio, httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata
from tests.sdk_client import Memory, connect

async def show(url):
    print(url, flush=True)

async def callback():
    params = httpx2.URL((await anyio.to_thread.run_sync(sys.stdin.readline)).strip()).params
    return AuthorizationCodeResult(code=params["code"], state=params.get("state"), iss=params.get("iss"))

async def main(mcp_url, redirect_uri):
    metadata = OAuthClientMetadata(
        client_name="Claude", redirect_uris=[redirect_uri], token_endpoint_auth_method="none"
    )
    provider = OAuthClientProvider(
        server_url=mcp_url, client_metadata=metadata, storage=Memory(), redirect_handler=show, callback_handler=callback
    )
    async with httpx2.AsyncClient(auth=provider, timeout=60) as http, connect(mcp_url, http) as client:
        print(json.dumps((await client.call_tool("whoami")).structured_content), flush=True)
        added = await client.call_tool("add_note", {"title": "By hand", "text": "A person allowed this."})
        print(json.dumps(added.structured_content), flush=True)

anyio.run(main, *sys.argv[1:])
"""


@contextmanager
def mcp_client(folder: Path, python: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": f"{folder / 'src'}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ending([python, "-c", MCP_CLIENT, *arguments], cwd=folder, env=environment, **pipes) as process:
        yield process


def test_an_mcp_client_with_a_person_in_the_middle(meet: Meet, dev: Dev, default: Path, python: str) -> None:
    """Registers, is sent to the page, calls a tool; steps up for another, which is a second question."""
    ada = meet()
    with mcp_client(default, python, dev.mcp_url, HERE) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        ada.page.goto(client.stdout.readline().strip())
        ada.log_in()
        expect(ada.page.get_by_text("Add and change")).to_have_count(0)
        ada.answer("Allow", to=HERE)
        client.stdin.write(ada.page.url + "\n")
        client.stdin.flush()
        who = json.loads(client.stdout.readline())
        assert who["subject"].startswith("user-test-")
        ada.page.goto(client.stdout.readline().strip())
        expect(ada.page.get_by_text("Add and change")).to_be_visible()
        ada.answer("Allow", to=HERE)
        client.stdin.write(ada.page.url + "\n")
        client.stdin.flush()
        assert "added" in json.loads(client.stdout.readline())["message"]


LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 320, "height": 640}, "device_scale_factor": 2},
    "zoom": {"viewport": {"width": 450, "height": 400}, "device_scale_factor": 2},
}


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_seen(look: str, meet: Meet, dev: Dev) -> None:  # noqa: PLR0915 - one walk past all of them
    """A picture of each in build/screens; nothing runs out of the window, and axe finds nothing to complain about."""
    script = needed(
        AXE,
        "axe-core",
        "apt-get update",
        "apt-get install --yes --no-install-recommends npm",
        "make build/inspector/installed",
    ).read_text(encoding="utf-8")
    ada = meet(**LOOKS[look])
    page = ada.page
    seen: list[str] = []

    def see(name: str, words: str) -> None:
        ada.heading(words)
        page.wait_for_load_state("load")
        seen.append(name)
        SCREENS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENS / f"{len(seen):02}-{name}-{look}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(all => all.violations)")
        assert not found, [(each["id"], each["nodes"][0]["html"]) for each in found]

    dev.control("users", email=ada.address, scopes=["notes:read"])
    ada.connect(code_challenge_method="plain")
    see("wrong-request", "The application asked wrongly")
    ada.connect()
    see("log-in", "Log in")
    page.get_by_label("E-mail address").fill("nobody")
    page.get_by_role("button", name="Send me a code").click()
    see("no-address", "Log in")
    page.get_by_label("E-mail address").fill(ada.address)
    page.get_by_role("button", name="Send me a link").click()
    see("link-sent", "Check your e-mail")
    page.get_by_role("link", name="use another address").click()
    ada.ask_for_code()
    see("code-sent", "Check your e-mail")
    ada.enter("12345")
    see("wrong-code", "Check your e-mail")
    ada.enter(dev.mailed(ada.address)["code"])
    see("left-out", "Claude wants to use Notes")
    dev.control("users", email=ada.address)
    long_name = dev.register(client_name="An application with a name that is rather long " * 3, redirect_uris=[HERE])
    ada.connect(client_id=long_name, redirect_uri=HERE)
    ada.log_in()
    see("this-machine", f"{('An application with a name that is rather long ' * 3)[:79].strip()}… wants to use Notes")
    ada.connect(scope="openid email notes:read notes:write offline_access")
    see("consent", "Claude wants to use Notes")
    ada.context.unroute_all()
    ada.context.route(re.compile(r"https://claude\.ai/.*"), lambda route: route.fulfill(status=204))
    page.get_by_role("button", name="Allow", exact=True).click()
    see("back", "Connected")
    page.goto(f"{dev.origin}/oauth/connections")
    see("connections", "Your connections")
    ada.connect(prompt="consent")
    page.get_by_role("button", name="Deny", exact=True).click()
    see("denied", "Denied")
    page.goto(f"{dev.origin}/oauth/consent/over")
    see("closed", "This request is closed")
    page.goto(f"{dev.origin}/oauth/callback?stytch_token_type=magic_links&token=x")
    see("elsewhere", "Open the link where you asked for it")
    ada.connect(client_id="connected-app-test-nobody")
    see("unknown-application", "This application cannot be connected")
    dev.control("settings", auto_login="grace@example.org")
    ada.connect(prompt="login")
    page.get_by_role("link", name="Continue with Google").click()
    see("not-admitted", "You are not admitted here")
    dev.control("faults", **{"/v1/users/search": {"status": 500, "times": 1}})
    ada.connect()
    page.get_by_label("E-mail address").fill(ada.address)
    page.get_by_role("button", name="Send me a code").click()
    see("out-of-order", "Log-in is out of order")


def picture(page: Page) -> bytes:
    """All of the page; Playwright itself writes no WebP."""
    devtools = page.context.new_cdp_session(page)
    size = devtools.send("Page.getLayoutMetrics")["cssContentSize"]
    how = {"format": "webp", "quality": 80, "captureBeyondViewport": True, "clip": {**size, "scale": 1}}
    return base64.b64decode(devtools.send("Page.captureScreenshot", how)["data"])


def test_the_pictures_of_the_site_show_what_people_see(meet: Meet, dev: Dev) -> None:
    """`make pictures` takes them again."""
    take = os.environ.get("PICTURES") == "take"
    ada = meet(viewport={"width": 520, "height": 400})
    ada.address = "ada@example.com"
    shown: dict[str, str] = {}

    def show(name: str, words: str) -> None:
        ada.heading(words)
        style = ada.page.locator("link[rel=stylesheet]").evaluate("each => each.href")
        content = ada.page.evaluate(CONTENT) + dev.http.get(style).text()
        shown[name] = hashlib.sha256(content.encode()).hexdigest()
        for scheme in ("light", "dark"):
            ada.page.emulate_media(color_scheme=scheme)
            if take:
                PICTURES.mkdir(parents=True, exist_ok=True)
                (PICTURES / f"{name}-{scheme}.webp").write_bytes(picture(ada.page))

    ada.connect(scope="notes:read notes:write offline_access")
    show("log-in", "Log in")
    ada.ask_for_code()
    show("code", "Check your e-mail")
    ada.enter(dev.mailed(ada.address)["code"])
    show("consent", "Claude wants to use Notes")
    if take:
        SHOWN.write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")
    assert json.loads(SHOWN.read_text(encoding="utf-8")) == shown, "run: make pictures"
    pictures = {file.name: file.stat().st_size for file in PICTURES.glob("*.webp")}
    assert set(pictures) == {f"{name}-{scheme}.webp" for name in shown for scheme in ("light", "dark")}
    assert max(pictures.values()) <= MOST_BYTES
