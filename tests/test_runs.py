"""Trained systems from the command line: presets, runs that go on, results, and every mistake in one sentence."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import releases as made
import torch

from gazecourse import __main__ as cli
from gazecourse import cross_domain, protocols, runs, systems
from gazecourse.comparison import Recipe, Size
from gazecourse.cross_domain import NETWORKS
from gazecourse.datasets import open_release
from gazecourse.datasets.preparing import prepare
from gazecourse.errors import CourseError
from gazecourse.landmark_systems import LANDMARK_PRESETS, LANDMARK_SYSTEMS
from gazecourse.looking import gazer_of
from gazecourse.models.pretrained import load_imagenet
from gazecourse.purification import Purification
from gazecourse.sample import Sample
from gazecourse.systems import PRESETS, SYSTEMS, preset_for, with_imagenet
from gazecourse.training import StepDecay

TINY = Size(face=112, width=0.05, stride=2)
README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.fixture(autouse=True)
def small(monkeypatch, cache):
    """Networks of a twentieth of their width; the profile does not leak into other tests."""
    monkeypatch.setattr(systems, "size_of_profile", lambda: TINY)
    monkeypatch.setenv("GAZECOURSE_PROFILE", "quick")
    monkeypatch.setattr(runs, "available_cores", lambda: 0)


@pytest.fixture
def sets(tmp_path):
    """MPIIFaceGaze of two people, Gaze360 and ETH-XGaze, prepared."""
    for name, maker, options in (
        ("mpiifacegaze", made.mpiifacegaze_normalized, {"images": 4}),
        ("gaze360", made.gaze360, {"pictures": 16}),
        ("eth_xgaze", made.eth_xgaze, {}),
    ):
        release = open_release(name, maker(tmp_path / name, **options), missing_ok=True)
        prepare(release, size=32, processes=1, progress=False)


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, what was printed, and the errors without progress bars."""
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, "\n".join(line for line in captured.err.splitlines() if line.startswith("error"))


# ---------------------------------------------------------------------- presets


def test_every_network_is_a_system():
    assert {system.network for system in SYSTEMS.values()} == {*NETWORKS, "CLIP-Gaze"}
    assert {name for name, system in SYSTEMS.items() if system.purified} == {
        "puregaze", "full_face_purified", "ca_net_purified",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "epochs", "batch"), [("puregaze-eth_xgaze", 5, 50), ("puregaze-gaze360", 100, 24)])
@pytest.mark.parametrize("system", ["puregaze", "resnet"])
def test_puregazes_presets_are_the_papers(name, epochs, batch, system):
    (part,) = preset_for(name, SYSTEMS[system]).parts()
    assert part.recipe == Recipe(epochs, batch, 1e-4)
    assert {part.schedule(progress) for progress in (0, 0.5, 0.99)} == {1}
    model = part.method(SYSTEMS[system], TINY).build(TINY)
    optimizers = part.optimizers(model, 1e-4)
    assert len(optimizers) == (3 if system == "puregaze" else 1)
    for optimizer in optimizers:
        assert isinstance(optimizer, torch.optim.Adam)
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (1e-4, (0.9, 0.95))
    own = sum(len(group["params"]) for optimizer in optimizers for group in optimizer.param_groups)
    assert own == len(list(model.parameters()))
    assert (part.opponent.w1, part.opponent.w2, part.opponent.k) == (1, 1, 0.75)
    assert part.opponent.sigma * 224 == pytest.approx(20**0.5)
    assert part.opponent.form == "exponential"


@pytest.mark.parametrize("system", ["full_face", "full_face_purified"])
def test_full_faces_preset_is_the_re_implementations(system):
    (part,) = preset_for("full_face-mpiifacegaze", SYSTEMS[system]).parts()
    assert part.recipe == Recipe(15, 32, 0.01)
    assert part.schedule == StepDecay((10 / 15, 13 / 15))
    assert [part.schedule(epoch / 15) for epoch in (9.9, 10, 12.9, 13)] == pytest.approx([1, 0.1, 0.1, 0.01])
    model = part.method(SYSTEMS[system], TINY).build(TINY)
    sgd, *rest = part.optimizers(model, 0.01)
    assert isinstance(sgd, torch.optim.SGD)
    assert [sgd.defaults[name] for name in ("lr", "momentum", "nesterov", "weight_decay")] == [0.01, 0.9, True, 1e-4]
    assert len(rest) == (system == "full_face_purified")
    own = [p for optimizer in (sgd, *rest) for group in optimizer.param_groups for p in group["params"]]
    assert len(own) == len({id(p) for p in own}) == len(list(model.parameters()))


def test_courses_preset_has_a_part_in_which_the_opponent_watches():
    first, second = PRESETS["course"].parts()
    assert first.opponent is None
    assert second.opponent == Purification()


def test_light_preset_changes_the_light_in_both_parts_and_nothing_else(monkeypatch):
    lit = []
    monkeypatch.setattr(cross_domain, "randomly_lit", lambda batch: lit.append(len(batch.image)) or batch)
    eyes = torch.tensor([[40.0, 45.0], [72.0, 45.0]]).expand(3, 2, 2)
    batch = Sample(torch.zeros(3, 3, 112, 112, dtype=torch.uint8), gaze=torch.zeros(3, 2), landmarks=eyes)
    plain_parts, parts = PRESETS["course"].parts(), PRESETS["light"].parts()
    assert [replace(part, change=None) for part in parts] == list(plain_parts)
    for part in parts:
        method = part.method(SYSTEMS["puregaze"], TINY)
        assert "reconstruction" in method.losses(method.build(TINY), batch)
    assert lit == [3, 3]
    with pytest.raises(ValueError, match="preset light is meant for"):
        preset_for("light", SYSTEMS["clip_gaze"])


def test_preset_of_another_system_is_refused():
    with pytest.raises(
        ValueError, match="preset full_face-mpiifacegaze is meant for full_face, full_face_purified; got"
    ):
        preset_for("full_face-mpiifacegaze", SYSTEMS["rt_gene"])


def test_imagenet_weights_are_asked_for_at_full_width_only(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(systems, "load_imagenet", lambda *a, **k: asked.append(a) or "ImageNet weights (it)")
    method = SYSTEMS["resnet"].method(TINY, None)
    with_imagenet(method).build(TINY)
    assert asked == []
    assert "random weights" in capsys.readouterr().out
    model = with_imagenet(method).build(Size(224, 1.0, 4))
    assert asked == [(model.backbone, "resnet18")]
    assert capsys.readouterr().out == "ImageNet weights (it)\n"
    assert load_imagenet is not systems.load_imagenet


# ---------------------------------------------------------------------- runs


def test_puregaze_is_trained_evaluated_asked_and_compared(sets, capsys, tmp_path):
    code, out, _ = run(
        capsys, "train", "puregaze", "--source", "gaze360", "--target", "mpiifacegaze", "--target", "gaze360",
        "--epochs", 1,
    )  # fmt: skip
    assert code == 0
    folder, *lines = out.splitlines()
    assert folder.endswith("runs/systems/puregaze-gaze360-course-quick-seed0-1epochs")
    assert [line.split(":")[0] for line in lines] == ["  gaze360", "  mpiifacegaze"]
    assert "8 images of 2 people" in lines[1]
    described = json.loads((runs.find_run(folder) / "run.json").read_text())
    assert (described["system"], described["source"], described["parts"], described["images"]) == (
        "puregaze",
        "gaze360",
        2,
        4,
    )
    name = folder.rpartition("/")[2]

    code, out, _ = run(capsys, "predict", name, "--on", "mpiifacegaze", "--into", tmp_path / "out.csv")
    assert (code, out) == (0, f"8 estimates in {tmp_path / 'out.csv'}\n")
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [int(row["person"]) for row in rows] == [0] * 4 + [3] * 4
    np.testing.assert_allclose(
        [float(rows[0]["true_pitch"]), float(rows[0]["true_yaw"])], made.UP_LEFT_ANGLES, atol=1e-6
    )
    mean = np.mean([float(row["error"]) for row in rows])
    assert mean == pytest.approx(
        json.loads((runs.find_run(name) / "on-mpiifacegaze.json").read_text())["error"], abs=1e-3
    )

    code, out, _ = run(capsys, "compare")
    assert code == 0
    assert "gaze360 → mpiifacegaze" in out
    (line,) = [line for line in out.splitlines() if f" {mean:.2f} " in line]
    assert line.split() == ["PureGaze", "course,", "quick,", "1", "epochs", f"{mean:.2f}", "paper", "9.28"]
    assert "Rendered domains" not in out


@pytest.mark.parametrize("targets", [["mpiifacegaze", "gaze360"], ["gaze360", "mpiifacegaze"]])
def test_each_of_several_targets_is_tested_on_its_own_faces(targets, sets):
    (folder,) = runs.train("resnet", "gaze360", targets, epochs=1)
    for name in targets:
        found = json.loads((folder / f"on-{name}.json").read_text())
        faces = protocols.faces(name, "test", TINY.face)
        assert (found["images"], found["people"]) == (len(faces), len(faces.people)), name


def test_test_set_without_labels_is_predicted_and_never_evaluated(sets, capsys, tmp_path):
    code, out, _ = run(capsys, "train", "resnet", "--source", "eth_xgaze", "--epochs", 1)
    name = out.strip().rpartition("/")[2]
    assert code == 0
    code, out, _ = run(capsys, "predict", name, "--on", "eth_xgaze", "--into", tmp_path / "server.csv")
    assert out.startswith("3 estimates")
    assert (tmp_path / "server.csv").read_text().splitlines()[0] == "image,person,pitch,yaw"
    code, _, error = run(capsys, "evaluate", name, "--on", "eth_xgaze")
    assert code == 1
    assert error.startswith("error: ETH-XGaze keeps the labels of its test set")


def test_leave_one_person_out_trains_one_network_a_person(sets, capsys):
    folders = runs.train("resnet", "mpiifacegaze", ["mpiifacegaze"], epochs=1)
    assert [folder.name.split("-")[-2:] for folder in folders] == [["p00", "1epochs"], ["p03", "1epochs"]]
    found = [json.loads((folder / "on-mpiifacegaze.json").read_text()) for folder in folders]
    assert [(each["images"], each["people"]) for each in found] == [(4, 1), (4, 1)]
    errors = runs.results()[("resnet", "mpiifacegaze", "mpiifacegaze")]["course, quick, 1 epochs"]
    assert errors == [pytest.approx((found[0]["error"] + found[1]["error"]) / 2)]
    one = runs.train("resnet", "mpiifacegaze", ["mpiifacegaze"], epochs=1, parts=["p03"])
    assert one == folders[1:]
    (line,) = [line for line in runs.table().splitlines() if "Full-Face" in line]
    assert line.split() == ["Full-Face", "–", "paper", "4.93"]


def test_finished_run_is_not_trained_again_and_an_unfinished_one_goes_on(sets, monkeypatch):
    (folder,) = runs.train("resnet", "gaze360", [], epochs=1)
    before = (folder / "part2" / "history.jsonl").read_text()
    weights = (folder / "part2" / "checkpoint.safetensors").read_bytes()
    (folder / "run.json").unlink()
    with pytest.raises(FileNotFoundError, match="is not finished: the same train command goes on with it"):
        runs.load(folder)
    runs.train("resnet", "gaze360", [], epochs=1)
    assert (folder / "part2" / "checkpoint.safetensors").read_bytes() == weights
    steps = [json.loads(line)["step"] for line in before.splitlines()[1:]]
    again = [json.loads(line)["step"] for line in (folder / "part2" / "history.jsonl").read_text().splitlines()[1:]]
    assert max(again) == max(steps), "no step more than before"


def test_second_part_begins_with_the_weights_of_the_first(sets, monkeypatch):
    started = []
    real = runs.continued
    monkeypatch.setattr(runs, "continued", lambda method, start: started.append(start) or real(method, start))
    runs.train("puregaze", "gaze360", [], epochs=1)
    assert len(started) == 1


def test_loading_a_run_brings_its_profile_back(sets):
    (folder,) = runs.train("resnet", "gaze360", [], epochs=1)
    os.environ["GAZECOURSE_PROFILE"] = "full"
    _, model, size = runs.load(folder)
    assert os.environ["GAZECOURSE_PROFILE"] == "quick"
    assert size == TINY
    assert not model.training
    gazer = gazer_of(folder)
    assert (gazer.size, gazer.focal, gazer.distance) == (112, 960 / 224, 600), "the camera of the real sets"
    assert gazer.forward(gazer.model, protocols.faces("gaze360", "test", 112).__getitems__([0, 1])).shape == (2, 2)


def test_table_says_when_there_is_nothing(capsys):
    assert run(capsys, "compare")[1].startswith("Nothing has been evaluated yet. There are no runs yet: python -m")


def test_results_of_seeds_and_of_rendered_domains_are_told_apart(monkeypatch):
    for seed, error in ((0, 7.0), (1, 9.0)):
        settings = runs.Settings("puregaze", "studio", "course", "quick", seed)
        runs._write(settings.folder / "run.json", {"system": "puregaze", "source": "studio", "preset": "course",
                                                   "profile": "quick", "seed": seed})  # fmt: skip
        runs._write(settings.folder / "on-laptop.json", {"error": error, "people": 10})
    assert runs.results() == {("puregaze", "studio", "laptop"): {"course, quick": [7.0, 9.0]}}
    text = runs.table()
    assert text.startswith("Rendered domains (gaze error in degrees, mean over runs)")
    assert "PureGaze                         course, quick                  8.00 [-4.71, 20.71] (2 runs)" in text
    assert "paper" not in text


def test_runs_of_another_profile_or_preset_have_a_line_of_their_own():
    for profile, preset, error in (
        ("quick", "course", 12.0),
        ("full", "course", 6.0),
        ("full", "puregaze-gaze360", 5.0),
    ):
        settings = runs.Settings("puregaze", "studio", preset, profile, 0)
        runs._write(settings.folder / "run.json", asdict(settings))
        runs._write(settings.folder / "on-laptop.json", {"error": error, "people": 10})
    ways = runs.results()[("puregaze", "studio", "laptop")]
    assert ways == {"course, quick": [12.0], "course, full": [6.0], "puregaze-gaze360, full": [5.0]}
    assert runs.table().count("PureGaze ") == 3


def test_published_numbers_are_the_tables():
    assert runs.published("puregaze", "gaze360", "eyediap") == "9.32"
    assert runs.published("rt_gene", "gaze360", "mpiifacegaze") == "21.81"
    assert runs.published("rt_gene", "eth_xgaze", "mpiifacegaze") is None
    assert runs.published("dilated_net", "gaze360", "gaze360") == "13.73"
    assert runs.published("ca_net", "mpiifacegaze-normalized", "mpiifacegaze") == "4.27"
    assert runs.published("resnet", "studio", "laptop") is None


@pytest.mark.parametrize(
    ("row", "system"),
    [
        ("Full-Face (", "full_face"),
        ("RT-Gene (", "rt_gene"),
        ("Dilated-Net (", "dilated_net"),
        ("CA-Net (", "ca_net"),
        ("baseline, ResNet-18", "resnet"),
        ("PureGaze (", "puregaze"),
        ("CLIP-Gaze (", "clip_gaze"),
    ],
)
def test_papers_numbers_beside_our_results_are_those_of_the_readme(row, system):
    printed = README.read_text(encoding="utf-8").split("### What the papers report")[1]
    (line,) = [line for line in printed.splitlines() if line.startswith(f"| {row}")]
    numbers = [cell.strip().removesuffix("°") for cell in line.strip("|").split("|")[1:]]
    assert [runs.published(system, *task) or "–" for task in protocols.CROSS] == numbers


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "puregase", "--source", "gaze360"], "error: system must be one of 'full_face', "),
        (["train", "puregaze"], "error: --source must name what to learn from, such as studio or eth_xgaze."),
        (["train", "puregaze", "--source", "moon"], "error: set must be one of studio, wild, laptop, lab, "),
        (["train", "puregaze", "--source", "gaze360", "--target", "moon"], "error: set must be one of studio, wild, "),
        (["train", "puregaze", "--source", "eyediap"], "error: eyediap is not prepared. Download it, then: python -m "),
        (["train", "puregaze", "--source", "gaze360", "--target", "eth_xgaze"], "error: ETH-XGaze keeps the labels"),
        (["train", "puregaze", "--source", "gaze360", "--preset", "best"], "error: preset must be one of 'course', "),
        (
            ["train", "rt_gene", "--source", "gaze360", "--preset", "puregaze-gaze360"],
            "error: preset puregaze-gaze360 is ",
        ),
        (
            ["train", "rt_gene", "--source", "gaze360"],
            "error: RT-Gene needs the head pose of each face, and gaze360 has",
        ),
        (["train", "puregaze", "--source", "gaze360", "--epochs", "0"], "error: epochs must be 1 or more; got 0."),
        (["train", "puregaze", "--source", "gaze360", "--seed", "-1"], "error: seed must be 0 or more; got -1."),
        (
            ["train", "resnet", "--source", "gaze360", "--part", "p03"],
            "error: parts can be chosen only where a protocol",
        ),
        (
            ["train", "resnet", "--source", "mpiifacegaze", "--target", "mpiifacegaze", "--part", "p09"],
            "error: parts must be one of 'p00', 'p03'; got 'p09'.",
        ),
        (["evaluate", "nothing", "--on", "gaze360"], "error: The run "),
        (["predict", "nothing", "--on", "gaze360", "--into", "x.csv"], "error: The run "),
        (["prepare", "moon"], "error: set must be one of 'mpiifacegaze', "),
        (["prepare", "gaze360", "--from", "nowhere"], "error: There is no folder "),
        (["prepare", "gaze360", "--from", ".", "--release", "raw"], "error: release must be one of 'faces', 'gazehub'"),
    ],
)
def test_every_mistake_is_one_sentence(arguments, sentence, sets, capsys):
    code, _, error = run(capsys, *arguments)
    assert code == 1
    assert error.startswith(sentence)
    assert len(error.splitlines()) == 1


def test_damaged_run_is_named(sets, capsys):
    (folder,) = runs.train("resnet", "gaze360", [], epochs=1)
    checkpoint = folder / "part2" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert "is damaged (cut off or altered)" in run(capsys, "evaluate", folder.name, "--on", "gaze360")[2]
    (folder / "run.json").write_text("{")
    assert "run.json is damaged; the same train command" in run(capsys, "evaluate", folder.name, "--on", "gaze360")[2]


def test_unprepared_target_is_found_before_training(sets, monkeypatch):
    monkeypatch.setattr(runs, "fit", lambda *a, **k: pytest.fail("trained before the target was looked for"))
    with pytest.raises(FileNotFoundError, match="eyediap is not prepared"):
        runs.train("resnet", "gaze360", ["eyediap"], epochs=1)


def test_faces_without_the_labels_a_system_needs_are_refused(sets):
    batch = protocols.faces("gaze360", "test", 112).__getitems__([0])
    batch.landmarks = None
    with pytest.raises(CourseError, match="CA-Net needs the landmarks of each face, and it has none"):
        SYSTEMS["ca_net"].check(batch, "it")


# ---------------------------------------------------------------------- prepare


def test_prepare_says_what_to_download_and_what_became_of_it(capsys, tmp_path):
    code, out, _ = run(capsys, "prepare")
    assert code == 0
    assert "gaze360" in out
    assert "not prepared" in out
    code, out, _ = run(capsys, "prepare", "gaze360")
    assert code == 0
    assert "The course neither ships nor downloads Gaze360: get it from MIT, which answers a form" in out
    assert out.endswith("Then: python -m gazecourse prepare gaze360 --from FOLDER\n")
    root = made.gaze360(tmp_path / "g")
    (root / "imgs" / "rec_001" / "head" / "000000" / "000003.jpg").unlink()
    code, out, _ = run(capsys, "prepare", "gaze360", "--from", root, "--size", 32, "--processes", 1)
    assert code == 0
    title, left_out, skipped, first, terms = out.splitlines()
    assert title.startswith("Gaze360: 6 images of 3 people in ")
    assert left_out == "  left out by the protocol: 1 (no face was found in them)"
    assert skipped.startswith("  skipped: 1 of 7, listed in ")
    assert "000003.jpg" in first
    assert terms == "  terms: research only, no commercial use, no passing on"
    assert "prepared: gaze360-faces-32px" in run(capsys, "prepare")[1]


def test_train_list_names_systems_and_presets(capsys):
    out = run(capsys, "train", "list")[1]
    assert all(name in out for name in (*SYSTEMS, *PRESETS, *LANDMARK_SYSTEMS, *LANDMARK_PRESETS))
