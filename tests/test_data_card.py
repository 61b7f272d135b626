"""The data card counts what it says, on the faces that it is given."""

from __future__ import annotations

import pytest
import torch
from loading import load_script

from gazecourse.faces import rendering
from gazecourse.faces.dataset import FaceDataset


@pytest.fixture(scope="module")
def script():
    return load_script("data_scripts/data_card.py")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAZECOURSE_CACHE", str(tmp_path_factory.mktemp("faces")))
        patch.setattr(rendering, "available_cores", lambda: 1)
        yield FaceDataset("wild", "train", size=32, people=4, images=16)


def test_shares_and_spreads_are_those_of_the_faces(script, faces):
    found = script.rows(faces)
    assert found["people in training, pictures"] == "4, 16"
    assert found["men"] == f"{100 * float((faces.factors.male > 0).float().mean()):.0f} %"
    assert found["glasses, of any kind"] == f"{100 * float((faces.factors.glasses > 0).float().mean()):.0f} %"
    assert found["hat"] == f"{100 * float((faces.factors.hat > 0).float().mean()):.0f} %"
    angles = {"gaze": torch.rad2deg(faces.gaze), "head": torch.rad2deg(faces.head)}
    hidden = 100 - 100 * faces.visibility.float().mean(1)
    wanted = {f"{what} {axis}": (angles[what][:, column], "°")
              for what in angles for column, axis in enumerate(("pitch", "yaw"))}  # fmt: skip
    for title, (values, unit) in (wanted | {"landmarks hidden": (hidden, " %")}).items():
        low, middle, high = torch.quantile(values, torch.tensor([0.05, 0.5, 0.95])).tolist()
        assert found[title] == f"{middle:.0f}{unit} ({low:.0f} … {high:.0f})", title


def test_the_card_is_a_table_with_a_column_for_each_domain(script, faces):
    text = script.card({"wild": faces, "studio": faces})
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table[0] == "| | **wild** | **studio** |"
    assert "26 factors with words" in text
    assert all(line.count("|") == 4 for line in table if not line.startswith("| after"))


def test_the_stored_card_has_the_rows_that_the_script_writes(script, faces):
    stored = script.CARD.read_text(encoding="utf-8")
    assert [title for title in script.rows(faces) if f"| {title} |" not in stored] == []
