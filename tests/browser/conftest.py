"""Fixtures of the browser tests: the course's own JupyterLab and a headless Chromium.

``lab`` starts ``python -m gazecourse lab`` once a test session on a *copy* of the notebooks, so that running and
saving them leaves the repository untouched. ``notebook`` opens one of them in a fresh page:

    def test_slider_redraws(notebook):
        page = notebook("02_synthetic_faces.ipynb")
        page.run_all()
        page.output(4).locator("img").wait_for()

``scratch`` writes a new one first: ``scratch("slider.ipynb", "import ipywidgets", "ipywidgets.IntSlider()")``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from gazecourse.doctor import find_chromium

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 120
KERNEL = "Python 3 (ipykernel)"
KERNELSPEC = {"name": "python3", "display_name": KERNEL, "language": "python"}
SOURCES = "cells => cells.map(cell => cell.querySelector('.jp-Cell-inputWrapper')?.textContent ?? '')"

expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab of the course."""

    address: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def server(self) -> str:
        return self.address.split("/lab/")[0]

    @property
    def token(self) -> str:
        return self.address.split("token=")[1]

    def shut_down_kernels(self) -> None:
        """End every kernel. A page that takes over the kernel of a page just closed can lose its replies."""
        for session in self._api("sessions"):
            self._api(f"sessions/{session['id']}", "DELETE")

    def _api(self, path: str, method: str = "GET") -> list[dict]:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.server}/api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "[]")

    def url(self, notebook: str) -> str:
        """Address of one notebook, ``"02_synthetic_faces.ipynb"``, in a workspace of its own."""
        workspace = f"{Path(notebook).stem}-{time.monotonic_ns()}"
        return f"{self.server}/lab/workspaces/{workspace}/tree/notebooks/{notebook}?token={self.token}"


class NotebookPage:
    """One notebook, open in JupyterLab; cells are counted from 0 over all cells, as in the file."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel")

    def wait_until_ready(self, seconds: float = 120) -> None:
        """The notebook is drawn and connected to its kernel, which is idle."""
        expect(self.panel.locator(".jp-Cell").first).to_be_visible(timeout=seconds * 1000)
        # Before it is connected, the notebook says "idle", too, and running a cell asks for a kernel.
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text(f"{KERNEL} | Idle", timeout=seconds * 1000)
        self.wait_until_idle(seconds)

    def wait_until_idle(self, seconds: float = 240) -> None:
        """The kernel has nothing left to do and no cell waits for it."""
        expect(self.panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
            "data-status", "idle", timeout=seconds * 1000
        )
        expect(self.panel.locator(".jp-InputPrompt", has_text="[*]")).to_have_count(0, timeout=seconds * 1000)

    def cell(self, index: int) -> Locator:
        return self.panel.locator(".jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """Everything a cell has put out: text, pictures, widgets."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def find_cell(self, text: str, seconds: float = 30) -> int:
        """Index of the first cell whose source contains ``text``; waits for cells that are not drawn yet."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sources = self.panel.locator(".jp-Cell").evaluate_all(SOURCES)
            if found := [index for index, source in enumerate(sources) if text in source]:
                return found[0]
            self.page.wait_for_timeout(100)
        raise AssertionError(f"no cell contains {text!r}")

    def start_cell(self, index: int) -> None:
        """Run one cell and come back at once, while it is busy."""
        prompt = self.cell(index).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        prompt.click()
        expect(self.cell(index)).to_have_class(re.compile("jp-mod-selected"))
        self.page.keyboard.press("Control+Enter")
        expect(prompt).not_to_have_text(before)

    def run_cell(self, index: int, seconds: float = 240) -> Locator:
        """Run one cell, wait for it, return its output."""
        self.start_cell(index)
        self.wait_until_idle(seconds)
        return self.output(index)

    def run_all(self, seconds: float = 300) -> None:
        """Run > Run All Cells, and wait for the last one."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_text("Run All Cells", exact=True).click()
        self.page.wait_for_timeout(500)
        self.wait_until_idle(seconds)

    def errors(self) -> list[str]:
        """Tracebacks on the page."""
        return self.panel.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _address_of(process: subprocess.Popen[bytes], log: Path) -> str:
    """Read what ``lab`` writes until it names its address; it has ``START_SECONDS`` to do so."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://\S+token=\w+", log.read_text()):
            return found.group()
        time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"lab named no address in {START_SECONDS} s; it said:\n{log.read_text()[-2000:]}")


def _write_decoy_kernel(data_folder: Path) -> None:
    """A user's own ``python3`` kernel that cannot start: the course must not be led astray by it."""
    kernel = data_folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    specification = {
        "argv": ["/nonexistent/python", "{connection_file}"],
        "display_name": "Decoy",
        "language": "python",
    }
    (kernel / "kernel.json").write_text(json.dumps(specification))


def _copy_notebooks(folder: Path) -> None:
    (folder / "notebooks").mkdir()
    for notebook in (REPOSITORY / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder / "notebooks")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The course's JupyterLab on a free port, beside a user's own kernel and settings.

    The faces must have been rendered before (``python -m gazecourse data``), or there is no time left to start.
    """
    folder = tmp_path_factory.mktemp("lab")
    _copy_notebooks(folder)
    settings = {name: str(folder / "home" / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    _write_decoy_kernel(Path(settings["JUPYTER_DATA_DIR"]))
    log = folder / "lab.log"  # not a pipe: nobody would empty it
    process = subprocess.Popen(
        [sys.executable, "-m", "gazecourse", "lab", "--folder", str(folder), "--port", str(free_port())],
        env={**os.environ, **settings, "JUPYTER_PREFER_ENV_PATH": "0", "BROWSER": "0"},
        stdin=subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )
    address = _address_of(process, log)
    try:
        yield Lab(address, folder, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; the browser tests are skipped, with this reason, on a machine that has none."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium found: install chromium or google-chrome, or name one with CHROMIUM=")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh, empty page, 1400 x 1000 pixels."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    yield context.new_page()
    context.close()


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Iterator[Callable[[str], NotebookPage]]:
    """Opens a notebook by file name with a kernel of its own, and waits until that is idle."""

    def open_notebook(name: str) -> NotebookPage:
        page.goto(lab.url(name))
        opened = NotebookPage(page)
        opened.wait_until_ready()
        return opened

    yield open_notebook
    page.close()
    lab.shut_down_kernels()


@pytest.fixture
def scratch(lab: Lab, notebook: Callable[[str], NotebookPage]) -> Callable[..., NotebookPage]:
    """Writes a notebook of the given cells, the texts of code cells or whole cells, and opens it."""

    def open_scratch(name: str, *cells: str | nbformat.NotebookNode) -> NotebookPage:
        whole = [nbformat.v4.new_code_cell(cell.strip()) if isinstance(cell, str) else cell for cell in cells]
        written = nbformat.v4.new_notebook(cells=whole, metadata={"kernelspec": KERNELSPEC})
        nbformat.write(written, lab.folder / "notebooks" / name)
        return notebook(name)

    return open_scratch


@pytest.fixture
def move() -> Callable[[Locator, str, str, int], None]:
    """``move(output, "stride", "ArrowLeft", 2)`` presses a key twice on the handle of that slider."""

    def press(output: Locator, slider: str, key: str, times: int) -> None:
        handle = output.locator(".widget-slider", has_text=slider).locator(".noUi-handle")
        handle.focus()
        for _ in range(times):
            handle.press(key)

    return press
