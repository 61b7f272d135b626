"""In a real browser: the live curve is redrawn while the cell is busy, and Stop and interrupt end the run cleanly."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

LONG_RUN = """
import pathlib, tempfile, torch
from torch import nn
from gazecourse.sample import Sample
from gazecourse.training import Settings, train
from gazecourse.widgets.live_curve import LiveCurve

torch.set_num_threads(1)
folder = pathlib.Path(tempfile.mkdtemp())
gaze = torch.rand(512, 2) - 0.5
image = (torch.rand(512, 3, 16, 16) * 60 + 180 * (gaze.mean(1)[:, None, None, None] + 0.5)).to(torch.uint8)

class Faces(torch.utils.data.Dataset):
    def __len__(self): return 512
    def __getitems__(self, i): return Sample(image=image[i], gaze=gaze[i], person=torch.tensor(i))

def losses(model, batch):
    return {"loss": (model(batch.float_image()) - batch.gaze).abs().mean()}

def evaluate(model):
    return {"own domain": 57.3 * (model(image.float() / 255) - gaze).abs().mean().item()}

model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
live = LiveCurve("run", references={"head pose taken as gaze": 19.0})
settings = Settings(epochs=100_000, batch_size=64)
history = train(model, losses, Faces(), optimizer, settings, evaluate=evaluate, folder=folder, observer=live)
"""
CHECK = """
from gazecourse.checkpoint import load_checkpoint
from gazecourse.history import History
written = History.load(folder / "history.jsonl")
saved = load_checkpoint(folder / "checkpoint.safetensors", model)
print(history.status, written.status, history.records[-1]["step"] == saved["step"] > 0)
"""


@pytest.fixture
def run(scratch):
    """A notebook whose first cell trains for hours, with the run started."""
    opened = scratch("live.ipynb", LONG_RUN, CHECK)
    opened.start_cell(0)
    expect(opened.output(0).locator("img")).to_be_visible(timeout=60_000)
    return opened


def test_stop_button_ends_a_busy_run_and_leaves_picture_and_summary(run, lab):
    output = run.output(0)
    picture = output.locator("img")
    first = picture.get_attribute("src")
    expect(picture).not_to_have_attribute("src", first, timeout=60_000)
    expect(output.get_by_text("images/s")).to_contain_text("left")
    output.get_by_role("button", name="Stop").click()
    run.wait_until_idle(30)
    expect(output).to_contain_text("Stopped: ")
    expect(output.locator(".jupyter-widgets")).to_have_count(0)
    expect(picture).to_have_count(1)
    expect(picture).to_be_visible()
    assert run.run_cell(1).inner_text().strip() == "stopped stopped True"
    run.page.keyboard.press("Control+s")
    run.page.wait_for_timeout(1500)
    saved = json.loads((lab.folder / "notebooks" / "live.ipynb").read_text())["cells"][0]["outputs"]
    kinds = [set(item["data"]) for item in saved]
    assert kinds[:2] == [{"text/plain"}, {"image/png", "text/plain"}]
    assert "Evaluations, gaze error (degrees): own domain" in "".join(saved[1]["data"]["text/plain"])


def test_interrupting_the_kernel_ends_the_run_without_a_traceback(run):
    run.page.keyboard.press("Escape")
    run.page.keyboard.press("i")
    run.page.keyboard.press("i")
    run.wait_until_idle(30)
    expect(run.output(0)).to_contain_text("Interrupted: ")
    assert run.errors() == []
    assert run.run_cell(1).inner_text().strip() == "interrupted interrupted True"
