"""The site as a browser shows it: `make site-test`, after `make site`. Skipped without Chromium."""

import functools
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from bs4 import BeautifulSoup

SITE = Path(__file__).resolve().parents[1] / "build" / "site"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
LARGEST = 3_000_000  # bytes of a page without its pictures

pytestmark = pytest.mark.skipif(not SITE.exists(), reason="no build/site: run `make site`")
in_a_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
PAGES = sorted(p.relative_to(SITE).as_posix() for p in SITE.glob("*s/**/*.html"))
READ = [p for p in PAGES if p.startswith(("docs/", "notebooks/"))] + ["traces/03_headline.html"]

# The least contrast of the texts of a page, and whose it is: WCAG's formula, over the colour of the
# nearest ancestor that has one.
CONTRAST = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let worst = [99, ""];
  for (const each of document.querySelectorAll("main *, aside *, .article-container *")) {
    const own = [...each.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || each.closest("svg, mjx-container, script, .visually-hidden")) continue;
    if (!each.getClientRects().length) continue;
    let below = each, paper = [0, 0, 0, 0];
    while (below && (paper.length > 3 && paper[3] < 1)) {
      paper = numbers(getComputedStyle(below).backgroundColor);
      below = below.parentElement;
    }
    const ink = numbers(getComputedStyle(each).color);
    const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x);
    const found = (a + 0.05) / (b + 0.05);
    if (found < worst[0]) worst = [found, each.outerHTML.slice(0, 120)];
  }
  return worst;
}"""


@functools.cache
def parsed(page: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


@functools.cache
def anchors(page: str) -> set[str]:
    return {each["id"] for each in parsed(page).find_all(id=True)}


def test_there_are_pages():
    assert sum(page.startswith("notebooks/") for page in PAGES) == 11
    assert sum(page.startswith("traces/") for page in PAGES) > 50
    assert (SITE / "index.html").exists()


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_somewhere_and_pages_are_small(page):
    assert (SITE / page).stat().st_size < LARGEST
    for each in parsed(page).select("a[href], img[src], script[src], link[href]"):
        link = each.get("href") or each.get("src")
        to, anchor = urldefrag(link)
        if urlparse(link).scheme in ("http", "https"):
            assert each.name == "a", f"{link} is asked of another host"
            continue
        if urlparse(link).scheme in ("mailto", "data"):
            continue
        path = (SITE / page).parent / unquote(to.partition("?")[0]) if to else SITE / page
        assert path.exists(), f"{link} leads nowhere"
        if anchor and path.suffix == ".html":
            name = path.resolve().relative_to(SITE.resolve()).as_posix()
            assert unquote(anchor) in anchors(name), f"{link}: no such place on the page"
    for image in parsed(page).find_all("img"):
        assert len(image.get("alt", "")) > 5, f"{image.get('src')} has no words"


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("notebooks/")])
def test_tables_lead_to_their_traces_and_each_figure_has_words_of_its_own(page):
    tables = parsed(page).select("table.dataframe")
    for table in tables:
        rows = table.select("thead tr")
        assert len(rows) == 1 or any(th.get("colspan") for th in rows[0].find_all("th")), rows
    shown = parsed(page).get_text()
    words = {image["alt"] for image in parsed(page).select(".cell_output img")}
    assert len(words) >= shown.count("figures.save("), "two figures are described by the same words"
    saves = "tables.save(" in shown
    assert saves == bool(parsed(page).select("table.dataframe td a"))


@pytest.fixture(scope="module")
def address():
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@in_a_browser
@pytest.mark.parametrize("page", READ)
def test_a_page_is_quiet_fits_and_can_be_read(page, address, browser):
    for width, scheme in ((360, "light"), (1440, "dark"), (1440, "light")):
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        asked, said = [], []
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.on("response", lambda answer, said=said: answer.ok or said.append(answer.url))
        tab.on("console", lambda line, said=said: said.append(line.text))
        tab.on("pageerror", lambda error, said=said: said.append(str(error)))
        tab.goto(f"{address}/{page}", wait_until="networkidle")
        assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
        assert said == []
        over = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"at {width} pixels the page is {over} wider than the window"
        worst, whose = tab.evaluate(CONTRAST)
        assert worst >= 4.5, f"contrast {worst:.2f} in {scheme}: {whose}"
        tab.close()


@in_a_browser
def test_the_slider_moves_the_figure(address, browser):
    tab = browser.new_page()
    tab.goto(f"{address}/docs/moving.html")
    line = ".sigma-figure polyline.k3"
    before, said = tab.get_attribute(line, "points"), tab.inner_text(".sigma-figure output")
    assert "sigma = 1.00" in said
    assert "0.054" in said, "CLL's pull on an untrained network"
    tab.fill("#sigma", "-0.3")
    assert "sigma = 0.50" in tab.inner_text(".sigma-figure output")
    assert "0.064" in tab.inner_text(".sigma-figure output")
    assert tab.get_attribute(line, "points") != before
    tab.close()


@in_a_browser
def test_the_learning_curves_are_those_of_the_records(address, browser):
    tab = browser.new_page()
    tab.goto(f"{address}/docs/moving.html")
    tab.locator(".curves-figure select").first.select_option("CE")
    said = tab.inner_text(".curves-figure output")
    found = re.search(r"CE: ([\d.]+) % after [^,]*, ([\d.]+) % [^(]*\(5 seeds\)", said)
    rows = parsed("notebooks/00_start_here.html").select("table.dataframe tbody tr")
    assert set(found.groups()) <= set(rows[0].get_text().split())
    tab.close()


@in_a_browser
def test_without_scripts_a_picture_stands_for_each_figure(address, browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{address}/docs/moving.html")
    assert tab.locator("img.still").count() == 2
    assert all(each.is_visible() for each in tab.locator("img.still").all())
    assert not tab.locator(".sigma-figure").is_visible()
    context.close()
