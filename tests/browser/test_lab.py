"""The course opens in a real browser: no dialogs, the right kernel, live widgets."""

from __future__ import annotations

import sys

from playwright.sync_api import expect

BUTTON_DURING_BUSY_CELL = """
import time, ipywidgets
from IPython.display import display
button, pressed = ipywidgets.Button(description="press"), []
button.on_click(lambda _: pressed.append(time.monotonic()))
display(button)
end = time.monotonic() + 60
while not pressed and time.monotonic() < end:
    time.sleep(0.05)
print("pressed while busy" if pressed else "never noticed")
"""


def test_address_opens_first_notebook_without_dialogs_or_toasts(lab, page):
    page.goto(lab.address)
    expect(page.locator(".jp-NotebookPanel .jp-Cell").first).to_be_visible(timeout=60_000)
    expect(page.locator(".lm-TabBar-tabLabel", has_text="00_start_here.ipynb")).to_be_visible()
    page.wait_for_timeout(3000)  # news and build prompts come late
    assert page.locator(".jp-Dialog").count() == 0
    assert page.locator(".jp-toast-wrapper, .Toastify__toast").count() == 0


def test_token_is_required(lab, page):
    page.goto(f"{lab.server}/lab")
    expect(page.get_by_role("textbox", name="Password or token:")).to_be_visible()


def test_kernel_is_this_python_whatever_kernels_the_user_has(scratch):
    opened = scratch("kernel.ipynb", "import sys; print(sys.executable)")
    expect(opened.run_cell(0)).to_have_text(sys.executable)


def test_torchvision_imports_before_gazecourse(scratch):
    opened = scratch("torchvision.ipynb", "import torchvision; print(torchvision.models.resnet18.__name__)")
    expect(opened.run_cell(0)).to_have_text("resnet18")


def test_button_callback_runs_while_a_cell_is_busy(scratch):
    opened = scratch("busy.ipynb", BUTTON_DURING_BUSY_CELL)
    opened.start_cell(0)
    opened.output(0).get_by_role("button", name="press").click(timeout=30_000)
    expect(opened.output(0)).to_contain_text("pressed while busy", timeout=30_000)
