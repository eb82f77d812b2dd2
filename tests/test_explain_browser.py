"""In a browser an explanation fits a phone, and follows the reader's choice of dark or light."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pictures
import processes
import pytest
from test_explain import CASES, IDS, normal

from crosscheck.explain import explain_case
from crosscheck.network.dense import worked_example

BROWSER = pictures.browser()
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium, Chrome or Edge on the PATH to look at the page with"
)

# The page is put into a frame as wide as a phone; only the page around it has a script.
FRAME = """<!DOCTYPE html>
<html style="color-scheme: SCHEME"><body>
<iframe style="border: 0; width: 390px; height: 844px; color-scheme: SCHEME"
 srcdoc="PAGE"></iframe>
<pre id="measured"></pre>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  document.querySelector("#measured").textContent = JSON.stringify({
    scroll: page.documentElement.scrollWidth,
    ground: view.getComputedStyle(page.body).backgroundColor,
    own: view.getComputedStyle(page.querySelector(".crosscheck-explain")).backgroundColor,
    fraction: page.querySelector("mfrac").getBoundingClientRect().height,
    size: parseFloat(view.getComputedStyle(page.body).fontSize),
  });
};
</script></body></html>
"""


def measured(folder: Path, page: str, scheme: str) -> Any:
    """What the browser says of the page."""
    assert BROWSER is not None
    frame = FRAME.replace("SCHEME", scheme).replace("PAGE", html.escape(page))
    (folder / "frame.html").write_text(frame, "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    options += ["--disable-background-networking", f"--user-data-dir={folder / 'profile'}"]
    done = processes.run(
        [BROWSER, *options, "--dump-dom", (folder / "frame.html").as_uri()],
        capture_output=True,
        timeout=120,
    )
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found, done.stderr[-500:]
    return json.loads(html.unescape(found[1]))


PAGES = {
    "worked-example": explain_case(worked_example(x=0.0), symbolic=True),
    IDS[-1]: explain_case(CASES[-1]),
    "large": explain_case(normal((8, 12, 9, 2), rows=9, seed=6), entry="W2[8,3]"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_an_explanation_fits_a_phone(name: str, scheme: str, tmp_path: Path) -> None:
    found = measured(tmp_path, PAGES[name].render("html"), scheme)
    assert found["scroll"] <= 390
    grounds = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}
    assert found["ground"] == grounds[scheme]
    assert found["own"] == grounds[scheme]  # a notebook is light whatever the system is
    assert found["fraction"] > 1.5 * found["size"]  # numerator above denominator
