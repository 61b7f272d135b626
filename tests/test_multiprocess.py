"""Two processes that share each batch train the same model as one process with the whole batch.

The test runs this file as a script, once alone and once as two processes that talk over the loopback interface.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from gazecourse.batches import seed_all
from gazecourse.checkpoint import load_checkpoint
from gazecourse.history import History
from gazecourse.sample import Sample
from gazecourse.training import Settings, make_fabric, train

SETTINGS = Settings(epochs=3, batch_size=8, seed=4, accumulate=2)


class Faces(Dataset):
    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 255, (32, 3, 8, 8), generator=generator, dtype=torch.uint8)
        self.gaze = self.images[:, :2].float().mean((2, 3)) / 255

    def __len__(self):
        return 32

    def __getitems__(self, indices):
        return Sample(image=self.images[indices], gaze=self.gaze[indices], person=torch.tensor(indices))


class Opponents(nn.Module):
    """One encoder, a gaze head, and a decoder with its own optimizer, like PureGaze."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten())
        self.head, self.decoder = nn.Linear(36, 2), nn.Linear(36, 192)

    def forward(self, image):
        code = self.encoder(image)
        return self.head(code), self.decoder(code)


def losses(model, batch):
    gaze, copy = model(batch.float_image())
    reconstruction = (copy - batch.float_image().flatten(1)).square().mean()
    return {"loss": (gaze - batch.gaze).abs().mean() - 0.1 * reconstruction, "reconstruction": reconstruction}


def routed(fabric, model, terms):
    gaze_side = [*model.encoder.parameters(), *model.head.parameters()]
    fabric.backward(terms["loss"], inputs=gaze_side, retain_graph=True)
    fabric.backward(terms["reconstruction"], inputs=list(model.decoder.parameters()))


def build():
    seed_all(2)
    model = Opponents()
    gaze_side = [*model.encoder.parameters(), *model.head.parameters()]
    return model, [torch.optim.Adam(gaze_side, lr=1e-2), torch.optim.Adam(model.decoder.parameters(), lr=1e-2)]


class StopInOneProcess:
    """Asks for the end after step 5."""

    stop_requested = False

    def begin(self, history, progress): ...

    def update(self, progress):
        self.stop_requested = progress.step == 5

    def end(self, progress): ...


def script(folder, devices, mode):
    torch.set_num_threads(1)
    fabric = make_fabric(devices=devices, accelerator="cpu")
    fabric.launch()
    model, optimizers = build()
    observer = StopInOneProcess() if mode == "stop" else None

    def with_nan(wrapped, batch):
        terms = losses(wrapped, batch)
        return {**terms, "loss": terms["loss"] * (float("nan") if fabric.global_rank == devices - 1 else 1)}

    chosen = with_nan if mode == "nan" else losses
    train(model, chosen, Faces(), optimizers, SETTINGS, backward=routed, fabric=fabric, observer=observer,
          folder=folder, resume=mode == "resume")  # fmt: skip


def launch(folder, devices, mode="plain"):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, __file__, str(folder), str(devices), mode]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def trained(folder):
    model, optimizers = build()
    load_checkpoint(folder / "checkpoint.safetensors", model, optimizers)
    history = History.load(folder / "history.jsonl")
    return model, [[record["loss"], record["reconstruction"]] for record in history.of_kind("train")], history


def assert_same(folder, reference):
    (model, curve, _), (expected_model, expected_curve, _) = trained(folder), trained(reference)
    torch.testing.assert_close(torch.tensor(curve), torch.tensor(expected_curve), rtol=1e-4, atol=1e-5)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected_model.state_dict()[name], rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    assert launch(folder, 1).returncode == 0
    return folder


def test_two_processes_with_routed_gradients_train_like_one(tmp_path, one_process):
    result = launch(tmp_path, 2)
    assert result.returncode == 0, result.stderr
    assert trained(tmp_path)[2].metadata["processes"] == 2
    assert_same(tmp_path, one_process)


def test_two_processes_stop_together_and_go_on_like_one(tmp_path, one_process):
    assert launch(tmp_path, 2, "stop").returncode == 0
    history = trained(tmp_path)[2]
    assert (history.status, history.records[-1]["step"]) == ("stopped", 5)
    assert launch(tmp_path, 2, "resume").returncode == 0
    assert_same(tmp_path, one_process)


def test_nan_in_one_process_ends_all_of_them(tmp_path):
    result = launch(tmp_path, 2, "nan")
    assert result.returncode != 0
    assert "FloatingPointError: The loss is not finite at step 0" in result.stderr
    assert History.load(tmp_path / "history.jsonl").status == "failed"


if __name__ == "__main__":
    script(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
