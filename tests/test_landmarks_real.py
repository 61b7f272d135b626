"""The landmark benchmark on photographs: true formats in, subsets and differences out, on networks of a few steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from test_face_photos import BOXES, cofw_labels, face, photo, pts, save, wflw_line, write_cofw, write_list

from gazecourse.alignment import Scale
from gazecourse.datasets import WFLW, cofw, ibug_300w, wflw
from gazecourse.losses import wing
from gazecourse.pose_balance import balanced_over_pose

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import landmarks_real as benchmark


@pytest.fixture
def wflw_folder(tmp_path, monkeypatch):
    """Six faces to learn from, four to be tested on; of these one is occluded and two are blurred."""
    monkeypatch.setattr(wflw, "FACES", {"train": 6, "test": 4})
    for split, count in (("train", 6), ("test", 4)):
        lines = []
        for number in range(count):
            points, name = face(98, number), f"{split}/{number}.png"
            save(photo(points, 5), tmp_path / "WFLW_images" / name)
            flags = (0, 0, 0, 0, int(number == 1), int(number > 1))
            lines.append(wflw_line(points, name, flags))
        write_list(tmp_path, lines, split)
    return tmp_path


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the benchmark with tiny networks; what it wrote."""
    monkeypatch.setattr(benchmark, "real_scale", lambda: Scale(32, "small", 8))
    monkeypatch.setenv("GAZECOURSE_PROFILE", "quick")
    written = {}

    def write(name, device, **content):
        written.update(json.loads(json.dumps(content)), name=name)
        return tmp_path / f"{name}.json"

    def call(*arguments):
        monkeypatch.setattr(benchmark, "write", write)
        monkeypatch.setattr(sys, "argv", ["landmarks_real.py", *map(str, arguments), "--profile", "quick"])
        benchmark.main()
        return written

    return call


def test_wflw_is_learned_and_every_flagged_subset_is_tested(run, wflw_folder, capsys):
    options = ("--epochs", 1, "--heads", "fc", "static", "--losses", "soft wing", "--seeds", 0, 1)
    written = run("wflw", wflw_folder, *options)
    assert written["name"] == "landmarks_wflw"
    assert (written["training_faces"], written["test_faces"]) == (6, 4)
    assert len(written["cells"]) == 4
    cell = written["cells"]["soft wing, noise 0, static, with L_rel"]["numbers"]
    faces = {name.split("/")[1]: n["mean"][0] for name, n in cell.items() if name.endswith("/faces")}
    assert faces == {"all": 4, "occlusion": 1, "blur": 2}
    assert len(cell["tests/blur/nme"]["by_seed"]) == 2
    changes = written["differences"]["static with L_rel − fc: soft wing, noise 0, static, with L_rel"]
    fc = written["cells"]["soft wing, noise 0, fc, without L_rel"]["numbers"]["tests/all/nme"]["by_seed"]
    expected = [a - b for a, b in zip(cell["tests/all/nme"]["by_seed"], fc, strict=True)]
    assert changes["tests/all/nme"]["by_seed"] == pytest.approx(expected, abs=2e-5)
    assert "NME" in capsys.readouterr().out


def test_300w_tests_on_the_full_set_and_tells_common_from_challenge(run, tmp_path, monkeypatch):
    monkeypatch.setattr(ibug_300w, "FACES", {"train": 3, "full": 3})
    folders = ["afw", "helen/trainset", "lfpw/trainset", "helen/testset", "lfpw/testset", "ibug"]
    for number, folder in enumerate(folders):
        save(photo(face(68, number), 10), tmp_path / folder / f"{number}.png")
        (tmp_path / folder / f"{number}.pts").write_text(pts(face(68, number)))
    options = ("--epochs", 1, "--heads", "fc", "--losses", "wing", "--relative", "without", "--seeds", 0)
    numbers = run("300w", tmp_path, *options)["cells"]["wing, noise 0, fc, without L_rel"]["numbers"]
    assert [numbers[f"tests/{name}/faces"]["mean"][0] for name in ("all", "challenge", "common")] == [3, 1, 2]


def test_cofw_of_29_landmarks_is_learned(run, tmp_path, monkeypatch):
    monkeypatch.setattr(cofw, "FACES", {"train": 3, "test": 3})
    pictures = [photo(face(29, number), 12) for number in range(3)]
    for name, suffix in (("train", "Tr"), ("test", "T")):
        write_cofw(tmp_path / f"COFW_{name}_color.mat", cofw_labels(), pictures, BOXES, suffix=suffix)
    options = ("--epochs", 1, "--heads", "dynamic", "--losses", "soft wing", "--relative", "with", "--seeds", 0)
    written = run("cofw", tmp_path, *options)
    assert written["cells"]["soft wing, noise 0, dynamic, with L_rel"]["numbers"]["tests/all/faces"]["mean"] == [3]


def test_faces_are_balanced_over_pose_unless_one_bin_is_asked_for(run, wflw_folder, monkeypatch):
    asked = []

    def fit(method, data, plan, **options):
        asked.append(torch.tensor(data.indices))
        raise InterruptedError

    monkeypatch.setattr(benchmark, "fit", fit)
    for bins in (4, 1):
        with pytest.raises(InterruptedError):
            run("wflw", wflw_folder, "--bins", bins, "--seeds", 3)
    landmarks = WFLW(wflw_folder, "train", size=32).landmarks
    assert torch.equal(asked[0], balanced_over_pose(landmarks, 4, seed=3))
    assert asked[1].sort().values.tolist() == list(range(6))


def test_every_cell_is_trained_with_its_own_head_loss_and_seed(run, wflw_folder, monkeypatch):
    made, seeds = [], []

    def alignment(labels, side, head, penalty, *, relative_location, **options):
        made.append((head, penalty, relative_location))
        return original(labels, side, head, penalty, relative_location=relative_location, **options)

    def fit(*arguments, seed, **options):
        seeds.append(seed)
        return trained(*arguments, seed=seed, **options)

    original, trained = benchmark.alignment, benchmark.fit
    monkeypatch.setattr(benchmark, "alignment", alignment)
    monkeypatch.setattr(benchmark, "fit", fit)
    run("wflw", wflw_folder, "--epochs", 1, "--heads", "fc", "static", "--losses", "wing", "--seeds", 4, 6)
    of_a_seed = [(head, wing, relative) for head in ("fc", "static") for relative in (False, True)]
    assert made == 2 * of_a_seed
    assert seeds == [4] * 4 + [6] * 4


def test_a_folder_without_the_data_says_how_to_get_it(run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("wflw", tmp_path)
    assert "Download WFLW_images.tar.gz" in capsys.readouterr().err
