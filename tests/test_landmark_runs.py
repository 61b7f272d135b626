"""Landmark systems from the command line: trained on planted sets, tested, asked, compared; mistakes in a sentence."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from test_landmark_releases import make_300w, make_cofw, make_wflw

from gazecourse import __main__ as cli
from gazecourse import landmark_systems, looking, protocols, runs
from gazecourse.alignment import PAPER, Scale, augmentation
from gazecourse.batches import fetch
from gazecourse.datasets import open_release
from gazecourse.datasets.preparing import prepare
from gazecourse.faces.dataset import FaceDataset
from gazecourse.landmark_systems import LANDMARK_PRESETS, LANDMARK_SYSTEMS, landmark_faces, momentum, photo_subsets
from gazecourse.losses.landmarks import soft_wing, wing
from gazecourse.metrics import bootstrap_ci, nme
from gazecourse.training import StepDecay

TINY = Scale(32, "small", 8)
REAL_SCALE = landmark_systems.real_scale


@pytest.fixture(autouse=True)
def small(monkeypatch, cache):
    monkeypatch.setattr(landmark_systems, "real_scale", lambda: TINY)
    monkeypatch.setattr(landmark_systems, "scale", lambda: TINY)
    monkeypatch.setenv("GAZECOURSE_PROFILE", "quick")
    monkeypatch.setattr(runs, "available_cores", lambda: 0)


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """WFLW, 300W and COFW of a few faces, prepared."""
    for name, make in (("wflw", make_wflw), ("300w", make_300w), ("cofw", make_cofw)):
        prepare(open_release(name, make(tmp_path / name, monkeypatch)), size=32, processes=1, progress=False)


@pytest.fixture
def rendered(monkeypatch):
    """Domains of four faces of two people."""
    monkeypatch.setattr(
        landmark_systems,
        "FaceDataset",
        lambda domain, role: FaceDataset(domain, role, people=2, images=4, size=32),
    )


@pytest.fixture
def photo(tmp_path):
    """A photograph without a face."""
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, what was printed, and the errors without progress bars."""
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, "\n".join(line for line in captured.err.splitlines() if line.startswith("error"))


# ---------------------------------------------------------------------- there and back


def test_wflw_is_trained_on_tested_asked_and_compared(sets, capsys, tmp_path):
    code, out, _ = run(
        capsys, "train", "structure_coherent", "--source", "wflw", "--target", "wflw", "--epochs", 1
    )  # fmt: skip
    assert code == 0
    folder, line, occlusion = out.splitlines()
    assert folder.endswith("runs/systems/structure_coherent-wflw-course-quick-seed0-1epochs")
    assert line.startswith("  wflw: NME ")
    assert line.endswith(", 3 faces")
    assert occlusion.split(":")[0] == "    occlusion"
    assert occlusion.endswith(", 1 faces")
    name = folder.rpartition("/")[2]
    described = runs.read_run(runs.find_run(name))
    assert (described["images"], described["system"]) == (5, "structure_coherent")

    code, out, _ = run(capsys, "predict", name, "--on", "wflw", "--into", tmp_path / "out.csv")
    assert (code, out) == (0, f"3 estimates in {tmp_path / 'out.csv'}\n")
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert "person" not in rows[0], "nobody knows who is who"
    points = np.array([[[float(row[f"{axis}{point}"]) for axis in "xy"] for point in range(98)] for row in rows])
    truth = landmark_faces("wflw", "test", 32).landmarks
    expected = 100 * nme(torch.from_numpy(points).float(), truth, 98)
    np.testing.assert_allclose([float(row["error"]) for row in rows], expected, rtol=1e-3)
    found = json.loads((runs.find_run(name) / "on-wflw.json").read_text())
    assert (found["images"], found["people"]) == (3, None)
    assert found["error"] == pytest.approx(float(expected.mean()), rel=1e-3)
    assert found["subsets"]["occlusion"]["nme"] == pytest.approx(float(expected[1]), rel=1e-3)
    assert found["low"] <= found["error"] <= found["high"]

    code, out, _ = run(capsys, "compare")
    assert out.startswith("Real data, beside the papers' numbers (NME by the distance of the outer eye corners in perc")
    (own,) = [line for line in out.splitlines() if "static graph" in line]
    assert own.split()[-3:] == [f"{found['error']:.2f}", "paper", "4.35–4.40"]


def test_reloaded_network_is_the_trained_one(sets):
    (folder,) = runs.train("structure_coherent_dynamic", "cofw", ["cofw"], epochs=1)
    system, model, size = runs.load(folder)
    assert (system, size) == (LANDMARK_SYSTEMS["structure_coherent_dynamic"], TINY)
    assert (model.points, model.settings["head"], model.training) == (29, "dynamic", False)
    kept = (folder / "part1" / "checkpoint.safetensors").read_bytes()
    estimated, faces = runs.outputs(folder, "cofw")
    assert 100 * nme(estimated, faces.landmarks, 29).mean() == pytest.approx(
        json.loads((folder / "on-cofw.json").read_text())["error"], abs=1e-3
    )
    runs.train("structure_coherent_dynamic", "cofw", ["cofw"], epochs=1)
    assert (folder / "part1" / "checkpoint.safetensors").read_bytes() == kept, "not trained again"


def test_trained_on_rendered_faces_it_is_tested_on_photographs(sets, rendered):
    (folder,) = runs.train("landmarks_fc", "rendered", ["300w", "laptop"], epochs=1)
    on_photos, on_laptop = (json.loads((folder / f"on-{name}.json").read_text()) for name in ("300w", "laptop"))
    assert on_photos["images"] == 3
    assert set(on_photos["subsets"]) == {"all", "challenge", "common"}
    assert on_photos["subsets"]["common"]["images"] == 2
    assert {"all", "moderate pose"} <= set(on_laptop["subsets"])
    assert runs.read_run(folder)["images"] == 16, "four faces of each domain"
    assert "Rendered domains (NME by" in runs.table()


def test_rendered_faces_are_cut_as_photographs_are(rendered):
    faces = landmark_faces("studio", "train", 32)
    low, high = faces.landmarks.amin(1), faces.landmarks.amax(1)
    extent = (high - low).amax(1) / 32
    torch.testing.assert_close(extent, torch.full_like(extent, 1 / 1.25), atol=0.05, rtol=0)


def test_subsets_are_those_of_the_factors(sets):
    masks = photo_subsets(landmark_faces("wflw", "test", 32))
    assert masks["occlusion"].tolist() == [False, True, False]
    assert masks["all"].all()
    masks = photo_subsets(landmark_faces("300w", "test", 32))
    assert masks["challenge"].tolist() == (~masks["common"]).tolist() == [False, False, True]
    assert photo_subsets(landmark_faces("cofw", "test", 32))["occluded"].all()


# ---------------------------------------------------------------------- systems and presets


def test_systems_are_the_papers_and_what_it_is_compared_with():
    made = {name: (s.head, s.penalty, s.relative_location) for name, s in LANDMARK_SYSTEMS.items()}
    assert made == {
        "structure_coherent": ("static", soft_wing, True),
        "structure_coherent_dynamic": ("dynamic", soft_wing, True),
        "landmarks_fc": ("fc", soft_wing, False),
        "landmarks_fc_wing": ("fc", wing, False),
    }
    published = {name: runs.published("structure_coherent", name, name) for name in ("wflw", "300w-photos", "cofw")}
    assert published == {"wflw": "4.35–4.40", "300w-photos": "3.28", "cofw": "3.63"}
    assert runs.published("landmarks_fc", "wflw", "wflw") is None
    assert runs.published("structure_coherent", "rendered", "300w") is None


def test_sdfl_preset_is_the_papers():
    (part,) = LANDMARK_PRESETS["sdfl"].parts()
    assert (part.recipe.epochs, part.recipe.batch_size, part.recipe.rate) == (500, 64, 0.01)
    assert [part.schedule(progress) for progress in (0.39, 0.41, 0.71)] == pytest.approx([1, 0.2, 0.04])
    (optimizer,) = part.optimizers(torch.nn.Linear(2, 2), 0.01)
    group = optimizer.param_groups[0]
    assert isinstance(optimizer, torch.optim.SGD)
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.01, 0.9, 5e-4)
    assert (part.augmentation.rotation, part.augmentation.translation, part.augmentation.scale) == (
        40,
        0.1,
        (0.93, 1.07),
    )
    assert part.bins == 9


def test_photographs_have_sizes_of_their_own_and_the_papers_in_the_full_profile(monkeypatch):
    assert REAL_SCALE() == Scale(64, "small", 32)
    monkeypatch.setenv("GAZECOURSE_PROFILE", "full")
    assert REAL_SCALE() == Scale(256, "resnet34", 128)
    monkeypatch.setattr(landmark_systems, "scale", lambda: "rendered")
    system = LANDMARK_SYSTEMS["structure_coherent"]
    assert [system.size(source) for source in ("wflw", "300w-photos", "laptop", "rendered")] == [
        TINY, TINY, "rendered", "rendered",
    ]  # fmt: skip


def test_courses_preset_takes_faces_as_they_are_and_the_profiles_augmentation():
    (part,) = LANDMARK_PRESETS["course"].parts()
    assert (part.bins, part.augmentation) == (1, augmentation())
    assert part.augmentation != PAPER, "that of the paper is for longer trainings"


@pytest.mark.parametrize("name", LANDMARK_SYSTEMS)
def test_a_part_trains_the_systems_head_and_losses_with_its_own_augmentation_and_optimizers(name, sets, monkeypatch):
    asked, own = {}, landmark_systems.alignment

    def alignment(labels, side, head, penalty, **options):
        asked.update(options, side=side, head=head, penalty=penalty)
        return own(labels, side, head, penalty, **options)

    monkeypatch.setattr(landmark_systems, "alignment", alignment)
    system, data = LANDMARK_SYSTEMS[name], landmark_faces("cofw", "train", 32)
    for preset in LANDMARK_PRESETS.values():
        (part,) = preset.parts()
        _, method = part.lesson(system, TINY, data, 0)
        assert asked == {
            "side": 32, "head": system.head, "penalty": system.penalty, "settings": part.augmentation, "sizes": TINY,
            "relative_location": system.relative_location,
        }  # fmt: skip
        assert method.optimizers is part.optimizers
    assert method.optimizers is momentum


def test_which_rare_poses_are_repeated_is_drawn_by_the_seed(sets):
    data, (part,) = landmark_faces("wflw", "train", 32), LANDMARK_PRESETS["sdfl"].parts()
    orders = [tuple(part.lesson(LANDMARK_SYSTEMS["landmarks_fc"], TINY, data, seed)[0].indices) for seed in (0, 1, 1)]
    assert orders[0] != orders[1] == orders[2]


def test_interval_is_over_people_and_not_over_their_faces():
    truth = torch.rand(8, 68, 2, generator=torch.Generator().manual_seed(0)) * 32
    person = torch.arange(8) // 4
    faces = [truth, person, {}, [0, 1]]
    made = type("Faces", (SimpleNamespace,), {"__len__": lambda self: 8})(
        **dict(zip(("landmarks", "person", "factors", "people"), faces, strict=True))
    )
    estimated = truth + (1.0 + person + 0.1 * torch.arange(8) % 4)[:, None, None]
    found = LANDMARK_SYSTEMS["structure_coherent"].score(estimated, made)
    expected = bootstrap_ci(100 * nme(estimated, truth, 68), clusters=person)
    assert [found[name] for name in ("error", "low", "high")] == pytest.approx(list(expected), abs=1e-3)
    assert found["people"] == 2


def test_balanced_training_repeats_rare_poses_and_keeps_everybody(sets):
    data = landmark_faces("wflw", "train", 32)
    part = LANDMARK_PRESETS["sdfl"].parts()[0]
    lesson, method = part.lesson(LANDMARK_SYSTEMS["structure_coherent"], TINY, data, 0)
    seen = fetch(lesson, list(range(len(lesson)))).person
    assert set(seen.tolist()) == set(range(5))
    assert len(lesson) > 5
    model = method.build(None)
    torch.testing.assert_close(model.mean_shape, data.landmarks.mean(0) * 8)


def test_paper_preset_trains(sets):
    (folder,) = runs.train("landmarks_fc_wing", "cofw", ["cofw"], preset="sdfl", epochs=1)
    assert (folder / "on-cofw.json").is_file()


def test_seed_schedule_and_recipe_of_the_preset_reach_the_training(sets, monkeypatch):
    asked = []

    def fit(method, data, recipe, **options):
        asked.append((recipe, options))
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        runs.train("landmarks_fc", "cofw", preset="sdfl", seed=5)
    ((recipe, options),) = asked
    assert (recipe.epochs, recipe.batch_size, recipe.rate) == (500, 64, 0.01)
    assert (options["seed"], options["size"], options["resume"]) == (5, TINY, True)
    assert options["schedule"] == StepDecay((0.4, 0.7), 0.2)
    assert options["folder"].parts[-2:] == ("landmarks_fc-cofw-sdfl-quick-seed5", "part1")


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("structure_coherent --source gaze360", "gaze360 is for gaze and has no landmarks to learn; those for landmar"),
        (
            "structure_coherent --source wflw --target 300w",
            "target must have the landmarks of the source, wflw: 98; 300",
        ),
        ("structure_coherent --source moon", "set must be one of studio, wild, laptop, lab, rendered, mpiifacegaze"),
        (
            "structure_coherent --source 300w --target rendered",
            "rendered is to be trained on; test on one of studio, w",
        ),
        ("structure_coherent --source rendered --target rendered", "rendered is to be trained on; test on one of st"),
        ("structure_coherent --source wflw --preset puregaze-gaze360", "preset must be one of 'course', 'sdfl'; got"),
        (
            "puregaze --source wflw",
            "wflw has landmarks and no gaze: train structure_coherent or another landmark system",
        ),
        ("puregaze --source laptop --target cofw", "cofw has landmarks and no gaze: train structure_coherent or ano"),
    ],
)
def test_every_mistake_is_one_sentence_before_anything_is_trained(arguments, sentence, sets, capsys, monkeypatch):
    monkeypatch.setattr(runs, "fit", lambda *_, **__: pytest.fail("something was trained"))
    code, _, error = run(capsys, "train", *arguments.split())
    assert code == 1
    assert error.startswith(f"error: {sentence}")


def test_unprepared_set_is_found_before_training(capsys):
    code, _, error = run(capsys, "train", "structure_coherent", "--source", "wflw")
    assert code == 1
    assert error == ("error: wflw is not prepared. Download it, then: python -m gazecourse prepare wflw --from FOLDER")


def test_network_is_not_asked_about_faces_of_another_scheme(sets, capsys):
    (folder,) = runs.train("landmarks_fc", "cofw", epochs=1)
    code, _, error = run(capsys, "evaluate", folder.name, "--on", "300w")
    assert (code, error) == (1, "error: faces must have 29 landmarks for this run; got 68.")
    code, _, error = run(capsys, "evaluate", folder.name, "--on", "gaze360")
    assert error.startswith("error: gaze360 is for gaze and has no landmarks")
    with pytest.raises(ValueError, match="set must be one of"):
        runs.evaluate(folder, "moon")


def test_prepared_set_without_test_faces_is_named(sets, monkeypatch):
    monkeypatch.setattr(protocols, "is_real", lambda name: True)
    monkeypatch.setattr(landmark_systems.StoredFaces, "__len__", lambda self: 0)
    with pytest.raises(
        landmark_systems.CourseError, match=r"holds no test faces; splits there: \{'train': 5, 'test': 3"
    ):
        landmark_faces("wflw", "test", 32)


def test_look_takes_the_network_of_a_landmark_run_and_no_other(sets, photo, capsys):
    (folder,) = runs.train("structure_coherent", "300w", epochs=1)
    finder = looking.finder(runs.landmark_file(folder.name))
    assert (finder.model.points, finder.model.size) == (68, (32, 32))
    assert runs.landmark_file("elsewhere.safetensors").name == "elsewhere.safetensors"
    code, _, error = run(capsys, "look", photo, "--landmarks", "structure_choerent")
    assert (code, error.startswith("error: The run ")) == (1, True)
    assert f"Runs: {folder.name}" in error
    (other,) = runs.train("landmarks_fc", "cofw", epochs=1)
    code, _, error = run(capsys, "look", photo, "--landmarks", other.name)
    assert code == 1
    assert "finds 29 landmarks; head poses need the 68 of the iBUG scheme" in error
    runs._write(folder / "run.json", {"system": "resnet"})
    code, _, error = run(capsys, "look", photo, "--landmarks", folder.name)
    assert error == f"error: {folder.name} finds gaze, not landmarks: --landmarks takes a landmark system's run."


@pytest.mark.parametrize("content", ["[1]", "{}", '"landmarks"', '{"system": 3}'])
def test_run_that_names_no_system_is_damaged_for_every_command(content, photo, capsys, cache):
    folder = runs.runs_dir() / "systems" / "odd"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(content)
    for command in (
        ("look", photo, "--landmarks", "odd"), ("look", photo, "--run", "odd"), ("evaluate", "odd", "--on", "lab"),
        ("predict", "odd", "--on", "lab", "--into", cache / "out.csv"),
    ):  # fmt: skip
        code, _, error = run(capsys, *command)
        assert (code, error) == (
            1, f"error: {folder / 'run.json'} is damaged; the same train command writes it again.",
        )  # fmt: skip
    with pytest.raises(landmark_systems.CourseError, match="There is no trained gaze system yet"):
        runs.latest()


def test_run_of_a_system_that_is_unknown_here_is_named(photo, capsys, cache):
    folder = runs.runs_dir() / "systems" / "newer"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"system": "gone", "profile": "quick"}')
    for command in (("look", photo, "--landmarks"), ("look", photo, "--run"), ("evaluate", "--on", "lab")):
        code, _, error = run(capsys, *command, "newer")
        assert (code, error) == (
            1, "error: newer is a run of gone, a system that this version of the course does not have.",
        )  # fmt: skip


def test_lost_network_of_a_run_comes_back_with_the_same_train_command(sets, photo, capsys):
    (folder,) = runs.train("landmarks_fc", "300w", epochs=1)
    file = folder / "network.safetensors"
    whole = file.read_bytes()
    file.unlink()
    for command in (("look", photo, "--landmarks"), ("evaluate", "--on", "300w")):
        code, _, error = run(capsys, *command, folder.name)
        assert (code, error) == (1, f"error: {file} is missing: the same train command writes it again.")
    runs.train("landmarks_fc", "300w", epochs=1)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("content", ["", "{", "{}", "[3]"])
def test_damaged_result_is_named_by_the_table_and_measured_again(content, sets, capsys):
    (folder,) = runs.train("landmarks_fc", "cofw", ["cofw"], epochs=1)
    path = folder / "on-cofw.json"
    whole = path.read_text()
    path.write_text(content)
    code, _, error = run(capsys, "compare")
    again = f"evaluate {folder.name} --on cofw"
    assert (code, error) == (1, f"error: {path} is damaged; this writes it again: python -m gazecourse {again}")
    assert run(capsys, *again.split())[0] == 0
    assert path.read_text() == whole


def test_photograph_in_the_place_of_a_network_is_not_called_damaged(photo, capsys):
    """Who is told to delete it would lose a photograph."""
    code, _, error = run(capsys, "look", photo, "--landmarks", photo)
    assert (code, error) == (1, f"error: {photo} is no landmark network: their files end in .safetensors.")


def test_landmark_run_is_not_taken_for_a_gaze_system(sets, photo, capsys):
    (folder,) = runs.train("structure_coherent", "300w", epochs=1)
    code, _, error = run(capsys, "look", photo, "--run", folder.name)
    assert code == 1
    assert error.startswith(f"error: {folder.name} finds landmarks, not gaze: pass it as --landmarks")
