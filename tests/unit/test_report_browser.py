"""The report in a real browser: no errors on its console, no request to any network, and its tables can be sorted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest
from synthetic_study import build_report, write_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (chromium, google-chrome)")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the browser itself would look for updates
)


@dataclass(frozen=True)
class Visit:
    """What opening a page led to: its document after scripts ran, console messages, and URLs asked of the network."""

    document: str
    console: list[str]
    requests: list[str]


def visit(page: Path, folder: Path) -> Visit:
    """Open a page from disk."""
    log = folder / "net.json"
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    events = json.loads(log.read_text())["events"]
    # Only the start of a request names who asked for it; what the browser wants for itself has "not an origin" there.
    started = [event["params"] for event in events if "initiator" in event.get("params", {})]
    asked = {request["url"] for request in started if request["initiator"] != "not an origin"}
    return Visit(
        document=done.stdout,
        console=[line for line in done.stderr.splitlines() if ":CONSOLE" in line],
        requests=sorted(asked),
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    results, table = write_study(folder)
    (results / "report" / "rollouts.nc").unlink()  # its figures take longest to draw
    build_report(results, table, folder / "report.html", folder / "figures")
    return folder / "report.html"


def test_report_opens_without_errors_and_without_the_network(report, tmp_path):
    seen = visit(report, tmp_path)
    assert seen.console == []
    assert seen.requests == []
    assert seen.document.count("<img") == 14
    assert "<h1>synthetic</h1>" in seen.document


def test_errors_and_requests_would_be_noticed(tmp_path):
    """The test above sees what it looks for; nothing listens at this port."""
    page, nowhere = tmp_path / "bad.html", "127.0.0.1:9"
    page.write_text(
        f"""<style>@font-face {{ font-family: far; src: url(http://{nowhere}/font) }} p {{ font-family: far }}</style>
        <img src="http://{nowhere}/image"><p>text</p>
        <script>new WebSocket("ws://{nowhere}/socket"); fetch("http://{nowhere}/fetch")</script>
        <script>throw new Error("broken")</script>"""
    )
    seen = visit(page, tmp_path)
    assert any("broken" in line for line in seen.console)
    assert {url.rpartition("/")[2] for url in seen.requests} == {"font", "image", "socket", "fetch"}


# What is seen of images, and of a table after each of two clicks on its column of numbers, is left in the page.
LOOK = """
addEventListener("load", () => {
  const images = Array.from(document.images, (i) => i.complete && i.naturalWidth > 300), looks = [];
  const sort = document.querySelector("[aria-labelledby=summary] .sort"), table = sort.closest("table");
  for (let click = 0; click < 2; click++) {
    sort.click();
    looks.push([
      table.querySelector("[aria-sort]").getAttribute("aria-sort"),
      Array.from(table.tBodies[0].rows, (row) => Number(row.querySelector("td").dataset.value)),
    ]);
  }
  document.title = JSON.stringify([images, looks]);
});
"""


def test_images_are_shown_and_tables_sort_by_a_click(report, tmp_path):
    """The first column of numbers, RMSE, is sorted already: the first click turns it round."""
    seen = visit(with_script(report, LOOK, tmp_path), tmp_path)
    images, looks = json.loads(unescape(re.search(r"<title>(.*?)</title>", seen.document).group(1)))
    assert images == [True] * 14
    assert [order for order, _ in looks] == ["descending", "ascending"]
    for order, values in looks:
        assert len(values) == 18
        assert values == sorted(values, reverse=order == "descending")


def with_script(page: Path, script: str, folder: Path) -> Path:
    """A copy of a page that runs a script at its end."""
    copy = folder / "scripted.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    return copy
