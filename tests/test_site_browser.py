"""Every page of the site in Chromium: narrow and wide, light and dark, with nothing from elsewhere."""

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bake import ROOT
from conftest import needed
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from site_pages import DOCS, build, built_pages

AXE = ROOT / "build" / "inspector" / "node_modules" / "axe-core" / "axe.min.js"
DIAGRAMS = DOCS / "assets" / "vendor" / "mermaid.tiny.js"
SHOTS = ROOT / "build" / "screenshots" / "site"
INSTALL_NPM = ("apt-get update", "apt-get install --yes --no-install-recommends npm")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = {"narrow": (390, 844), "wide": (1440, 900)}
# Of a page's picture, in pixels: some generated tables are many times longer, and all their rows look alike.
MOST_SHOWN = 6000
SCHEMES = {"default": "light", "slate": "dark"}
# mkdocs-material draws diagrams into a closed shadow root; a test has to look in.
OPEN_SHADOWS = """
    const attach = Element.prototype.attachShadow;
    Element.prototype.attachShadow = function (how) { return attach.call(this, { ...how, mode: "open" }); };
"""
DRAWN = """() => [...document.querySelectorAll(".mermaid")].every(
    each => each.shadowRoot && each.shadowRoot.querySelector("svg"))"""
AXE_RUN = """async () => {
    const found = await axe.run(document, { resultTypes: ["violations"] });
    return found.violations.filter(each => ["serious", "critical"].includes(each.impact))
        .map(each => `${each.id}: ${each.nodes[0].html.slice(0, 200)} (${each.nodes.length}) ${
            each.nodes[0].any.map(one => one.message).join("; ").slice(0, 300)}`);
}"""
FOUND = """page => [...document.querySelectorAll(".md-search-result__item > .md-search-result__link")]
    .slice(0, 10).some(each => each.pathname.endsWith(page))"""
OVERFLOW = "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"

QUESTIONS = {
    "connect ChatGPT": "how-to/connect-chatgpt/",
    "rotate secret": "how-to/rotate-secrets/",
    "Cloudflare Access": "how-to/leave-cloudflare-access/",
    "wrong_audience": "reference/reason-codes/",
    "STYTCH_DOMAIN": "reference/settings/",
    "break-even Keycloak": "explanation/cost/",
    "Claude-User": "how-to/connect-claude/",
    "cursor://": "how-to/connect-cursor/",
    "pkce_mismatch": "troubleshooting/stytch-errors/",
    "add a tool": "tutorial/add-a-tool/",
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, diagrams included."""
    needed(DIAGRAMS, "The library for diagrams", *INSTALL_NPM, f"make {DIAGRAMS.relative_to(ROOT)}")
    destination = tmp_path_factory.mktemp("site")
    build(destination)
    return destination


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of the system."""
    chromium = needed(
        Path(shutil.which("chromium") or "/usr/bin/chromium"),
        "Chromium",
        "apt-get update",
        "apt-get install --yes --no-install-recommends chromium",
    )
    with sync_playwright() as playwright:
        with playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS) as opened:
            yield opened


class Visit:
    """A tab that remembers what went wrong in it."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.address = address
        self.page: Page = context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda said: self._note(said.type in ("error", "warning"), f"console: {said.text}"))
        self.page.on("pageerror", lambda error: self._note(True, f"error: {error}"))
        self.page.on("requestfailed", lambda request: self._note(True, f"failed: {request.url}"))
        self.page.on("response", lambda answer: self._note(answer.status >= 400, f"{answer.status}: {answer.url}"))
        self.page.on("request", lambda request: self._note(self._is_elsewhere(request.url), f"asks {request.url}"))

    def _is_elsewhere(self, url: str) -> bool:
        return not url.startswith((self.address, "data:", "blob:"))

    def _note(self, when: bool, what: str) -> None:
        if when:
            self.wrong.append(what)


@pytest.mark.long
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_in_chromium(width: str, site: Path, address: str, browser: Browser) -> None:
    axe = needed(AXE, "axe-core", *INSTALL_NPM, "make build/inspector/installed").read_text(encoding="utf-8")
    wide, screen = WIDTHS[width]
    wrong: dict[str, list[str]] = {}
    seen: set[tuple[str, str]] = set()
    diagrams = 0
    with browser.new_context(viewport={"width": wide, "height": screen}, reduced_motion="reduce") as context:
        context.add_init_script(OPEN_SHADOWS)
        visit = Visit(context, address)
        for file in built_pages(site):
            where = str(file.relative_to(site)).removesuffix("index.html")
            visit.wrong.clear()
            visit.page.goto(address + where, wait_until="load")
            # The theme remembers the choice, so the next page begins with the scheme with which this one ends.
            visit.page.evaluate(axe)
            for last in (False, True):
                scheme = SCHEMES[visit.page.evaluate("() => document.body.dataset.mdColorScheme")]
                seen.add((where, scheme))
                visit.page.wait_for_function(DRAWN)
                diagrams += visit.page.locator(".mermaid").count()
                if (over := visit.page.evaluate(OVERFLOW)) > 0:
                    visit.wrong.append(f"{over} px too wide")
                visit.wrong += [f"{scheme}: {each}" for each in visit.page.evaluate(AXE_RUN)]
                shot = SHOTS / f"{width}-{scheme}" / f"{where.strip('/').replace('/', '-') or 'home'}.png"
                high = min(MOST_SHOWN, visit.page.evaluate("() => document.documentElement.scrollHeight"))
                visit.page.screenshot(path=shot, full_page=True, clip={"x": 0, "y": 0, "width": wide, "height": high})
                if not last:
                    visit.page.locator("form[data-md-component=palette] label:visible").click()
            if visit.wrong:
                wrong[where] = sorted(set(visit.wrong))
    assert len(seen) == 2 * len(built_pages(site))
    assert not wrong, "\n".join(f"{where}: {each}" for where, found in wrong.items() for each in found)
    assert diagrams >= 2 * 6


def test_search_answers_ten_questions_on_the_first_result_page(address: str, browser: Browser) -> None:
    missed: dict[str, list[str]] = {}
    with browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce") as context:
        visit = Visit(context, address)
        for question, page in QUESTIONS.items():
            visit.page.goto(address)
            entry = visit.page.locator("input.md-search__input").first
            entry.click()
            entry.press_sequentially(question)
            try:
                visit.page.wait_for_function(FOUND, arg=page)
            except PlaywrightTimeout:
                shown = visit.page.locator(".md-search-result__link").all()
                missed[question] = [each.get_attribute("href") or "" for each in shown]
    assert not missed
    assert not visit.wrong


PAPER = (718, 1047)  # A4 at 96 dots an inch, less margins of 10 mm
PRINTED = """() => {
    const seen = each => each.getClientRects().length > 0;
    const page = document.documentElement.clientWidth;
    const cells = [...document.querySelectorAll("article td, article th")];
    return {
        boxes: cells.filter(each => seen(each) && each.textContent.trim() === "\u2610").length,
        around: [...document.querySelectorAll(
            ".md-header, .md-tabs, .md-footer, .md-sidebar, .md-top, .md-clipboard, .headerlink"
        )].filter(seen).map(each => each.className),
        cut: [...document.querySelectorAll("article :is(p, li, td, th, h1, h2, h3, pre, table)")]
            .filter(each => seen(each) && (each.getBoundingClientRect().right > page + 1
                || (each.tagName !== "TABLE" && each.scrollWidth > each.clientWidth + 1
                    && getComputedStyle(each).display !== "inline")))
            .map(each => `${each.tagName} ${each.textContent.trim().slice(0, 60)}`),
        ink: getComputedStyle(document.querySelector("article td")).color,
    };
}"""


def test_the_checklist_can_be_printed(address: str, browser: Browser) -> None:
    """On paper: every box, nothing of the screen around it, and no text that runs out of the page."""
    source = (DOCS / "testing-checklist.md").read_text(encoding="utf-8")
    wide, high = PAPER
    with browser.new_context(viewport={"width": wide, "height": high}, reduced_motion="reduce") as context:
        visit = Visit(context, address)
        visit.page.goto(f"{address}testing-checklist/", wait_until="load")
        visit.page.emulate_media(media="print")
        found = visit.page.evaluate(PRINTED)
        SHOTS.mkdir(parents=True, exist_ok=True)
        visit.page.screenshot(path=SHOTS / "checklist-print.png")
        visit.page.pdf(path=SHOTS / "checklist.pdf", format="A4")
    assert found["boxes"] == source.count("\u2610") > 500
    assert found["around"] == []
    assert found["cut"] == []
    assert not visit.wrong
