"""In a browser the page fits a phone, shows its result at once, and follows light and dark."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pages
import pictures
import processes
import pytest
from test_html import table

from crosscheck.explain import explain_case
from crosscheck.network.dense import worked_example
from crosscheck.report.html import excerpt, page
from crosscheck.studies.conventions.table import write_table

BROWSER = pictures.browser()
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium, Chrome or Edge on the PATH to look at the page with"
)


PHONE, DESK = (390, 844), (1280, 800)

# A window is never as narrow as a phone, so the page is put into a frame of its size. The script
# is in the page around it; the report itself has none.
FRAME = """<!DOCTYPE html>
<html style="color-scheme: SCHEME"><body style="margin: 0">
<iframe style="border: 0; width: WIDTHpx; height: HEIGHTpx; color-scheme: SCHEME"
 srcdoc="PAGE"></iframe>
<pre id="measured"></pre>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const box = (name) => page.querySelector(name).getBoundingClientRect();
  const wide = [...page.querySelectorAll("main *, nav")]
    .filter((e) => !e.parentElement.closest(".wide, pre, .matrices"))
    .filter((e) => e.getBoundingClientRect().right > view.innerWidth + 1)
    .filter((e) => getComputedStyle(e).position !== "absolute")
    .map((e) => e.outerHTML.slice(0, 120));
  document.querySelector("#measured").textContent = JSON.stringify({
    inner: view.innerWidth,
    scroll: page.documentElement.scrollWidth,
    wide,
    verdict: box(".result").bottom,
    heading: page.querySelector("h1").innerText,
    frameworks: [...page.querySelectorAll(".frameworks tbody tr")]
      .map((e) => e.getBoundingClientRect().bottom),
    ground: view.getComputedStyle(page.body).backgroundColor,
    text: page.body.innerText.length,
    hidden: [...page.querySelectorAll("details:not([open]) .key")]
      .filter((e) => e.checkVisibility()).length,
  });
};
</script></body></html>
"""


def measured(
    folder: Path, text: str, size: tuple[int, int] = PHONE, scheme: str = "light"
) -> dict[str, Any]:
    """What the browser says of the page in a frame of that size."""
    frame = FRAME.replace("SCHEME", scheme)
    for name, value in zip(("WIDTH", "HEIGHT"), size, strict=True):
        frame = frame.replace(name, str(value))
    return answered(folder, frame.replace("PAGE", html.escape(text)), scheme)


def answered(folder: Path, page: str, scheme: str = "light") -> dict[str, Any]:
    """What a page with a script says it measured."""
    assert BROWSER is not None
    (folder / "frame.html").write_text(page, "utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        "--window-size=1400,1000",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]
    done = processes.run(
        [BROWSER, *options, (folder / "frame.html").as_uri()],
        capture_output=True,
        timeout=120,
    )
    found = re.search(r'<pre id="measured">(\{.*\})</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(html.unescape(found[1]))
    return answer


def explained(_: Any) -> str:
    """An explanation as a fragment."""
    return explain_case(worked_example())._repr_html_()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("table") / "conventions.json"
    write_table(table(), path)
    return page(pages.report(), path)


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "opened"])
def test_nothing_is_wider_than_a_phone(opened: bool, text: str, tmp_path: Path) -> None:
    if opened:
        text = re.sub(r"<details(?! [^>]*\bopen)", "<details open", text)
    found = measured(tmp_path, text)
    assert found["inner"] == PHONE[0]
    assert found["wide"] == []
    assert found["scroll"] <= PHONE[0]
    assert found["hidden"] == 0


def test_a_line_that_is_too_wide_would_be_noticed(text: str, tmp_path: Path) -> None:
    found = measured(tmp_path, text.replace("</main>", f"<p><code>{'x' * 99}</code></p></main>"))
    assert found["wide"] == []  # long words break
    wide = '<p><svg width="500" height="5"></svg></p></main>'
    found = measured(tmp_path, text.replace("</main>", wide))
    assert found["scroll"] > PHONE[0]
    assert found["wide"]


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_first_screen_shows_the_result_and_frameworks(
    size: tuple[int, int], text: str, tmp_path: Path
) -> None:
    found = measured(tmp_path, text, size)
    assert "Failed" in found["heading"]
    assert found["verdict"] < size[1] / 2
    seen = [bottom for bottom in found["frameworks"] if bottom <= size[1]]
    assert len(seen) == 5 if size == DESK else len(seen) >= 2


def test_light_and_dark_follow_the_reader(text: str, tmp_path: Path) -> None:
    grounds = {
        scheme: sum(map(int, re.findall(r"\d+", measured(tmp_path, text, DESK, scheme)["ground"])))
        for scheme in ("light", "dark")
    }
    assert grounds["light"] > 600
    assert grounds["dark"] < 150


@pytest.mark.parametrize("guest", [excerpt, explained], ids=["report", "explanation"])
def test_where_the_notebook_is_light_its_guest_is_so_in_a_dark_browser(
    guest: Callable[[Any], str], tmp_path: Path
) -> None:
    shown = f"""<!DOCTYPE html><body><div data-jp-theme-light="true">{guest(pages.report())}</div>
<div data-jp-theme-light="false">{guest(pages.report())}</div><pre id="measured"></pre><script>
const grounds = [...document.querySelectorAll(".excerpt, .crosscheck-explain")].map(
  (e) => getComputedStyle(e).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number));
document.querySelector("#measured").textContent = JSON.stringify({{grounds}});
</script></body>"""
    light, dark = answered(tmp_path, shown, "dark")["grounds"]
    assert min(light) > 200
    assert max(dark) < 60


# In the manner of Jupyter's own style, and worse.
HOST = """
body { letter-spacing: 3px; text-transform: uppercase; line-height: 3; }
.host table { margin: 40px; border-collapse: collapse; font-size: 30px; table-layout: fixed; }
.host tbody tr:nth-child(even) { background: #ff0000; }
.host tbody tr:hover, .host tbody tr:nth-child(odd) { background: #00ff00; }
.host td, .host th, .host tr { text-align: right; vertical-align: middle; padding: 2em; }
.host h1, .host p, .host dl, .host dt { margin: 5em; color: #ff0000; font-size: 50px; }
.host dd { float: left; margin-left: 200px; }
.host > *:first-child { margin-top: 90px; }
.host a:link, .host summary { color: #ff0000; text-decoration: line-through; }
.host span { display: block; }
"""
GUESTS = """<!DOCTYPE html><html><head><style>HOST</style></head><body>
<div style="width: 700px" class="host">EXCERPT</div><div style="width: 700px">EXCERPT</div>
<pre id="measured"></pre>
<script>
const looks = [...document.querySelectorAll(".excerpt")].map(
  (root) => [root, ...root.querySelectorAll("*")].map((e) => {
    const style = getComputedStyle(e);
    return [e.tagName + "." + e.getAttribute("class"),
      [...style].map((name) => name + ": " + style.getPropertyValue(name))];
  }));
const differ = looks[0].flatMap(([name, one], place) =>
  one.filter((each, k) => each !== looks[1][place][1][k]).map((each) => name + " " + each));
document.querySelector("#measured").textContent = JSON.stringify(
  {count: looks[0].length, same: looks[1].length, differ: differ.slice(0, 10)});
</script></body></html>
"""


def test_in_a_notebook_the_report_looks_as_it_does_by_itself(tmp_path: Path) -> None:
    shown = GUESTS.replace("HOST", HOST).replace("EXCERPT", excerpt(pages.report()))
    found = answered(tmp_path, shown)
    assert found["count"] == found["same"] > 50
    assert found["differ"] == []


def test_a_notebook_that_changes_its_guest_would_be_noticed(tmp_path: Path) -> None:
    bare = re.sub(r"(\.crosscheck){3} (:where.*?)?\{ all:.*\n", "", excerpt(pages.report()))
    shown = GUESTS.replace("HOST", HOST).replace("EXCERPT", bare.replace(".crosscheck" * 3, "i"))
    assert answered(tmp_path, shown)["differ"]
