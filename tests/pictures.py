"""Pictures of every page that the package writes, to be looked at: ``nox -s pictures``.

Two steps, each in an environment of its own: `write_pages` needs the frameworks, `take` a library
that drives a browser. Nothing but the standard library is imported before one of them is called.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["BROWSERS", "IN_README", "PAGES", "SCHEMES", "WIDTHS", "browser", "take", "write_pages"]

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
PAGES = ("passing", "failing", "kinks", "conventions", "module", "tutorial")
WIDTHS = {1280: 1200, 390: 844}
"""Width to height of a window, in pixels: a desk's and a phone's."""
SCHEMES = ("light", "dark")
IN_README = {"light": "example-report.png", "dark": "example-report-dark.png"}
"""What stands in the README: the beginning of the page that passes, as a desk shows it."""

_FIRST_SCREENS = 1105
"""Pixels of the picture in the README: down to the choices at the ReLU boundary, and no further."""
_TALLEST = 2400
"""Pixels of one picture; a longer page is cut into several."""
_RUNS = {
    "passing": ("--profile quick --formulation torch=clamp --formulation jax=maximum --seed 7"),
    "kinks": "--operators relu6,abs,clip,max_pool2d,relu --max-examples 150 --seed 7",
}
_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def browser() -> str | None:
    """A browser on the PATH."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def write_pages(folder: Path) -> None:
    """Write the pages, as the commands of the package do, and the notebook with its outputs.

    Args:
        folder: Gets a file ``NAME.html`` of each of `PAGES` but the notebook's, which is left to
            the library that shows notebooks, and that of the conventions, which is a part.
    """
    for name, words in _RUNS.items():
        _command(folder, "run", *words.split(), "--report", name)
        shutil.copy(folder / name / "report.html", folder / f"{name}.html")
    _write_failing(folder / "failing")
    shutil.copy(folder / "failing" / "report.html", folder / "failing.html")
    _write_module(folder)


def _command(folder: Path, *words: str, code: int = 0) -> None:
    done = subprocess.run([sys.executable, "-m", "crosscheck", *words], cwd=folder, check=False)
    if done.returncode != code:
        raise SystemExit(f"crosscheck {' '.join(words)}: exit code {done.returncode}, not {code}")


def _write_failing(folder: Path) -> None:
    """A run of PyTorch beside a gradient that takes the bias of the first layer for all others."""
    import faulty
    import pages

    from crosscheck.cases.profiles import profile
    from crosscheck.frameworks.registry import Request, open_here
    from crosscheck.frameworks.state import FrameworkState
    from crosscheck.report import open_sinks
    from crosscheck.run.checker import Checker
    from crosscheck.run.crosscheck import check_generated, run
    from crosscheck.run.environment import environment
    from crosscheck.run.events import RunStarted

    torch, state = open_here(Request("torch"))
    assert torch is not None
    frameworks = [pages.named("mine", faulty.later_bias), torch]
    states = [FrameworkState("mine", "available", {"numpy": "2"}, "relu", "eager"), state]
    limited, dtypes = profile("default").limited(150), ("float64", "float32")
    started = RunStarted(
        "crosscheck run --seed 7", "default", 7, dtypes, tuple(states), environment(frameworks)
    )
    with open_sinks(folder) as emit:
        run(
            lambda emit: Checker(frameworks, emit),
            lambda checker: check_generated(checker, limited, seed=7, dtypes=dtypes),
            started,
            states,
            emit,
        )


def _write_module(folder: Path) -> None:
    """The page of the model that the documentation shows, whose derivative is wrong."""
    text = (ROOT / "docs" / "module.md").read_text("utf-8")
    model, batch = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[:2]
    (folder / "models.py").write_text(model, "utf-8")
    subprocess.run([sys.executable, "-c", batch], cwd=folder, check=True)
    words = ("models.py:squashed", "--input", "batch.npz", "--loss", "cross_entropy")
    _command(folder, "module", *words, "--report", "module", code=1)
    shutil.copy(folder / "module" / "module.html", folder / "module.html")


def take(folder: Path, executable: str) -> Iterator[Path]:
    """Take a picture of every page, at each width, light and dark.

    Args:
        folder: Holds the pages; gets ``NAME-WIDTH-SCHEME-PART.png``, and the two of the README.
        executable: The browser.

    Yields:
        The pictures, in the order of `PAGES`.
    """
    from nbconvert import HTMLExporter
    from playwright.sync_api import sync_playwright

    # Formulas would be typeset by a script from elsewhere.
    shown, _ = HTMLExporter(mathjax_url="", require_js_url="").from_filename(
        str(ROOT / "docs" / "tutorial.ipynb")
    )
    (folder / "tutorial.html").write_text(shown, "utf-8")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=executable, args=list(_OPTIONS))
        for name in PAGES:
            source = folder / f"{'passing' if name == 'conventions' else name}.html"
            for width, height in WIDTHS.items():
                for scheme in SCHEMES:
                    page = opened.new_page(
                        viewport={"width": width, "height": height}, color_scheme=scheme
                    )
                    page.goto(source.as_uri())
                    stem = folder / f"{name}-{width}-{scheme}"
                    if name == "conventions":
                        target = stem.with_suffix(".png")
                        page.locator("#conventions").screenshot(path=target)
                        yield target
                    else:
                        yield from _whole(page, stem)
                    if name == "passing" and width == max(WIDTHS):
                        target = folder / IN_README[scheme]
                        page.set_viewport_size({"width": width, "height": _FIRST_SCREENS})
                        page.screenshot(path=target)
                        yield target
                    page.close()
        opened.close()


def _whole(page: Any, stem: Path) -> Iterator[Path]:
    """A page from its top to its end, in pictures of at most `_TALLEST` pixels."""
    width, tall = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    for part, top in enumerate(range(0, tall, _TALLEST), start=1):
        clip = {"x": 0, "y": top, "width": width, "height": min(_TALLEST, tall - top)}
        target = stem.with_name(f"{stem.name}-{part}.png")
        page.screenshot(path=target, clip=clip, full_page=True)
        yield target


if __name__ == "__main__":
    step, place = sys.argv[1], Path(sys.argv[2]).resolve()
    place.mkdir(parents=True, exist_ok=True)
    if step == "pages":
        write_pages(place)
    else:
        for picture in take(place, sys.argv[3]):
            print(os.path.relpath(picture))
