"""The landmark benchmark: what it trains, keeps and compares, on networks that are trained for a few steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from gazecourse.alignment import MILD, UNCHANGED, AlignmentFaces, Scale, covered_faces, landmarks_of
from gazecourse.comparison import Recipe
from gazecourse.faces import rendering
from gazecourse.faces.dataset import FaceDataset
from gazecourse.landmark_noise import face_sizes
from gazecourse.losses import soft_wing, wing

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import landmarks as benchmark
from landmarks import PARTS, Cell, Plan, contrasts, difference, flat, row

FC, GRAPH = Cell("soft wing", 0.06, "fc", False), Cell("soft wing", 0.06, "dynamic", True)
WING = Cell("wing", 0.06, "fc", False)


def plan(*cells, seeds=(0, 1), **changes):
    return Plan(cells or (FC,), seeds, **{"recipe": Recipe(1, 8), "faces": 24, **changes})


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAZECOURSE_CACHE", str(tmp_path_factory.mktemp("faces")))
        patch.setattr(rendering, "available_cores", lambda: 1)
        yield [FaceDataset(domain, "train", size=48, people=3, images=12) for domain in ("studio", "wild")]


@pytest.fixture
def small(monkeypatch, cache, rendered):
    """Twenty-four faces of 32² to learn from and to be tested on."""
    faces = AlignmentFaces(rendered, 32)
    monkeypatch.setattr(benchmark, "training_faces", lambda: faces)
    monkeypatch.setattr(benchmark, "test_faces", lambda: faces)
    monkeypatch.setattr(benchmark, "SOURCES", ("studio", "wild"))
    monkeypatch.setattr("gazecourse.alignment.scale", lambda: Scale(32, "small", 8))
    benchmark.learned_from.cache_clear()
    benchmark.tested_on.cache_clear()
    yield faces
    benchmark.learned_from.cache_clear()
    benchmark.tested_on.cache_clear()


# ---------------------------------------------------------------------- what is trained


def test_everything_is_each_loss_at_each_level_with_each_head_with_and_without_relative_location():
    assert len(PARTS["all"]) == len(set(PARTS["all"])) == 5 * 3 * 3 * 2
    for part in ("main", "losses", "heads", "grid"):
        assert set(PARTS[part]) <= set(PARTS["all"])
    assert len(PARTS["losses"]) == 15
    assert len(PARTS["heads"]) == 18
    assert len(PARTS["grid"]) == len(set(PARTS["grid"])) == 15 + 18 - 3


def test_the_main_part_holds_both_arguments_of_the_paper():
    names = list(contrasts(PARTS["main"]))
    assert len(PARTS["main"]) == 8
    assert "soft wing − wing: soft wing, noise 0.06, fc, without L_rel" in names
    assert "soft wing − wing: soft wing, noise 0, fc, without L_rel" in names
    assert "dynamic with L_rel − fc: soft wing, noise 0.06, dynamic, with L_rel" in names
    assert "with − without L_rel: soft wing, noise 0.06, fc, with L_rel" in names, "the loss apart from the graph"
    assert "dynamic − fc: soft wing, noise 0.06, dynamic, without L_rel" in names, "and the graph apart from the loss"


def test_compared_cells_differ_in_what_the_comparison_says_alone():
    pairs = contrasts(PARTS["all"])
    for name, (first, second) in pairs.items():
        assert first in PARTS["all"]
        assert second in PARTS["all"]
        same_loss, same_head, same_relative = (
            first.loss == second.loss, first.head == second.head, first.relative == second.relative
        )  # fmt: skip
        if name.startswith("noise"):
            continue
        assert first.level == second.level
        if name.startswith("wing − L1") or name.startswith("soft wing − L1"):
            assert (second.loss, same_head, same_relative) == ("L1", True, True)
        elif name.startswith("soft wing − wing"):
            assert (second.loss, same_head, same_relative) == ("wing", True, True)
        elif name.startswith("with − without"):
            assert (same_loss, same_head, first.relative, second.relative) == (True, True, True, False)
        elif "with L_rel − fc" in name:
            assert (same_loss, second.head, first.relative, second.relative) == (True, "fc", True, False)
        else:
            assert (same_loss, same_head) == (True, False)
    assert sum(name.startswith("soft wing − wing") for name in pairs) == 3 * 3 * 2


def test_the_wings_part_tells_what_a_tail_of_l1_changes_and_what_noise_costs_each_loss():
    names = contrasts(PARTS["wings"])
    for level in ("0", "0.06"):
        tail = Cell("soft wing, L1 beyond", float(level), "fc", False)
        assert names[f"L1 beyond − soft wing: {tail}"] == (tail, Cell("soft wing", float(level), "fc", False))
        assert names[f"L1 beyond − wing: {tail}"] == (tail, Cell("wing", float(level), "fc", False))
    assert names["noise − none: wing, noise 0.06, fc, without L_rel"] == (WING, Cell("wing", 0.0, "fc", False))
    assert not any(name.startswith("noise − none") and ", noise 0," in name for name in names)
    for loss in ("wing", "soft wing"):
        with_l_rel = Cell(loss, 0.06, "fc", True)
        assert names[f"with − without L_rel: {with_l_rel}"] == (with_l_rel, Cell(loss, 0.06, "fc", False))


def test_by_heart_the_noise_is_at_most_as_large_as_soft_wings_linear_part_and_larger():
    assert {cell.level for cell in PARTS["heart"]} == {0.02, 0.06}
    assert {cell.loss for cell in PARTS["heart"]} == {"L1", "wing", "soft wing"}


def test_soft_wing_with_a_tail_is_soft_wing_up_to_where_its_slope_is_one_and_has_slope_one_from_there():
    x = torch.tensor([0.5, 3.0, -19.0, 19.499, 19.501, -40.0, 500.0], dtype=torch.float64, requires_grad=True)
    value = benchmark.tailed(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(value[:4], soft_wing(x[:4]))
    assert abs(value[4] - value[3]) < 0.01, "without a step"
    assert slope[3].item() == pytest.approx(1.0, abs=1e-3)
    assert slope[4:].tolist() == [1.0, -1.0, 1.0]


def test_trainings_go_seed_by_seed():
    trainings = plan(FC, WING).trainings()
    assert trainings == [(FC, 0), (WING, 0), (FC, 1), (WING, 1)]


def test_kept_measurements_have_names_of_their_own_for_cells_seeds_and_settings(cache):
    one = plan(*PARTS["all"], seeds=(0, 1, 2))
    paths = {one.path(*training) for training in one.trainings()}
    assert len(paths) == 3 * 90
    assert plan().path(FC, 0) == plan(WING, seeds=(4,)).path(FC, 0), "others trained beside it change nothing"
    for changes in ({"recipe": Recipe(2, 8)}, {"faces": 16}, {"precision": "bf16-mixed"}, {"changes": UNCHANGED}):
        assert plan(**changes).path(FC, 0) != plan().path(FC, 0)


# ---------------------------------------------------------------------- one training


def test_a_training_is_measured_on_all_sides_and_kept(small, capsys):
    tiny = plan(FC, GRAPH, seeds=(0,))
    for training in tiny.trainings():
        benchmark.kept(training, tiny, threads=None)
    found = json.loads(tiny.path(GRAPH, 0).read_text())
    assert set(found) == {"seconds", "tests", "cover", "influence", "training"}
    assert {"all", "moderate pose", "easy", "medium", "hard"} <= set(found["tests"])
    assert set(found["tests"]["hard"]) == {"nme", "nme_box", "failure_rate", "auc", "faces", "curve"}
    assert found["tests"]["all"]["curve"] == sorted(found["tests"]["all"]["curve"])
    assert set(found["cover"]) == {"hidden", "visible", "hidden before", "visible before"}
    assert found["influence"]["under cover"] > 0
    assert len(found["influence"]["matrix"]) == 7
    assert found["training"]["to the labels"] > 0
    assert -0.5 < found["training"]["noise learned"] < 0.5, "nothing is learned in three steps"
    assert "NME of hard faces" in capsys.readouterr().out
    assert tiny.missing() == []


def test_labels_without_noise_have_no_share_that_was_learned(small):
    clean = Cell("L1", 0.0, "fc", False)
    found = benchmark.measure(clean, 0, plan(clean))
    assert "noise learned" not in found["training"]
    assert found["training"]["to the truth"] == pytest.approx(found["training"]["to the labels"], rel=1e-5)


def test_what_is_kept_is_not_trained_again(small, monkeypatch):
    tiny = plan(FC, seeds=(0,))
    benchmark.kept((FC, 0), tiny, None)
    monkeypatch.setattr(benchmark, "measure", lambda *_: pytest.fail("trained again"))
    benchmark.kept((FC, 0), tiny, None)
    assert plan(FC, seeds=(0, 1)).missing() == [(FC, 1)]


def test_networks_of_one_seed_learn_from_the_same_noisy_labels(small, monkeypatch):
    seen = []
    fit = benchmark.fit

    def watched(method, data, *arguments, **options):
        seen.append(data.labels.clone())
        return fit(method, data, *arguments, **options)

    monkeypatch.setattr(benchmark, "fit", watched)
    for cell, seed in ((FC, 0), (WING, 0), (FC, 1)):
        benchmark.measure(cell, seed, plan())
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_a_cell_trains_what_its_name_says_with_its_own_seed(small, monkeypatch):
    asked, original = [], benchmark.alignment
    monkeypatch.setattr(benchmark, "alignment", lambda *args, **options: asked.append((*args, options)) or original(
        *args, **options))  # fmt: skip
    seeds = []

    def stopped(method, data, recipe, *, seed, fabric):
        seeds.append(seed)
        raise InterruptedError

    monkeypatch.setattr(benchmark, "fit", stopped)
    for cell, seed in ((FC, 3), (Cell("wing", 0.03, "static", True), 4)):
        with pytest.raises(InterruptedError):
            benchmark.measure(cell, seed, plan())
    with pytest.raises(InterruptedError):
        benchmark.measure(FC, 5, plan(changes=UNCHANGED))
    assert seeds == [3, 4, 5]
    (labels, side, head, penalty, options), second, third = asked
    assert third[-1]["settings"] == UNCHANGED
    assert torch.equal(labels, benchmark.learned_from(24).with_noise(0.06, 3).labels)
    assert (side, head, penalty, options) == (32, "fc", soft_wing, {"relative_location": False, "settings": MILD})
    assert second[2:] == ("static", wing, {"relative_location": True, "settings": MILD})


def test_errors_below_a_cover_and_beside_it_are_told_apart(small, monkeypatch):
    moderate = small.subset(small.pose <= 45)
    covered, hidden = covered_faces(moderate)

    def off(model, faces):
        """By 3 pixels under the cover and 1 beside it; without a cover by 2 and half a pixel."""
        under, beside = (3.0, 1.0) if torch.equal(faces.images, covered.images) else (2.0, 0.5)
        return faces.landmarks + torch.where(hidden, under, beside).unsqueeze(2) * torch.tensor([0.6, 0.8])

    monkeypatch.setattr(benchmark, "landmarks_of", off)
    eyes = (moderate.landmarks[:, 36] - moderate.landmarks[:, 45]).norm(dim=1, keepdim=True)
    sizes = eyes.expand_as(hidden)
    found = benchmark.under_a_cover(None)
    for name, pixels, rows in (("hidden", 3, hidden), ("visible", 1, ~hidden), ("hidden before", 2, hidden)):
        assert found[name] == pytest.approx(float((pixels / sizes)[rows].mean()), rel=1e-4)
    assert found["visible before"] == pytest.approx(found["visible"] / 2, rel=1e-4)


def test_coupling_is_measured_in_pixels_of_the_images_on_bare_faces_at_moderate_poses(small, monkeypatch):
    seen = {}
    network = benchmark.alignment(small.labels, 32, "fc").build(None).eval()

    def watched(predict, images, landmarks):
        seen.update(predicted=predict(images), images=images, landmarks=landmarks)
        return type("Found", (), {name: torch.zeros(1, 1) for name in ("under_cover", "elsewhere", "matrix")})

    monkeypatch.setattr(benchmark, "influence", watched)
    with torch.no_grad():
        benchmark.coupling(network)
    moderate = small.subset((small.pose <= 45) & ~small.occluded)
    assert torch.equal(seen["landmarks"], moderate.landmarks)
    torch.testing.assert_close(seen["predicted"], landmarks_of(network, moderate), atol=1e-4, rtol=0)


def test_faces_that_are_looked_at_come_from_all_domains_and_everybody(small, monkeypatch):
    monkeypatch.setattr(benchmark, "STUDIED", 6)
    monkeypatch.setattr(benchmark, "LOOKED_AT", 18)
    studied, asked = [], []

    def watched(predict, images, landmarks):
        studied.extend(landmarks)
        return type("Found", (), {name: torch.zeros(1, 1) for name in ("under_cover", "elsewhere", "matrix")})

    monkeypatch.setattr(benchmark, "influence", watched)
    monkeypatch.setattr(benchmark, "landmarks_of", lambda model, faces: asked.append(faces) or faces.landmarks)
    benchmark.coupling(torch.nn.Linear(1, 1))
    assert len(studied) == 6
    last_of_studio = torch.stack(studied)[:, None].sub(small.landmarks[None]).abs().sum((2, 3)).argmin(1) < 12
    assert 0 < last_of_studio.sum() < 6, "of both domains"
    benchmark.against_labels(None, small.with_noise(0.1, seed=0))
    assert asked[0].people == small.people


def test_answers_on_training_faces_are_compared_with_the_truth_and_with_the_labels(small, monkeypatch):
    noisy = small.with_noise(0.1, seed=0)
    sizes = face_sizes(noisy.landmarks)
    between = ((noisy.labels - noisy.landmarks).norm(dim=2).mean(1) / sizes).mean().item()
    for share in (0.0, 0.25, 1.0):
        answers = noisy.landmarks + share * (noisy.labels - noisy.landmarks)
        monkeypatch.setattr(benchmark, "landmarks_of", lambda model, faces, answers=answers: answers)
        found = benchmark.against_labels(None, noisy)
        assert found["to the truth"] == pytest.approx(share * between, rel=1e-4, abs=1e-7)
        assert found["to the labels"] == pytest.approx((1 - share) * between, rel=1e-4, abs=1e-6)
        assert found["noise learned"] == pytest.approx(share, abs=1e-5)


def test_fewer_faces_are_the_first_of_each_domain(small):
    part = benchmark.learned_from(8)
    assert len(part) == 8
    assert [part[row].domain for row in range(8)] == ["studio"] * 4 + ["wild"] * 4
    assert torch.equal(part.images[:4], small.images[:4])
    assert torch.equal(part.images[4:], small.images[12:16])


def test_the_estimate_counts_what_is_missing(small):
    tiny = plan(FC, GRAPH, recipe=Recipe(3, 2))
    words = benchmark.estimate(tiny, processes=2)
    assert words.startswith("4 of 4 trainings are missing (dynamic ")
    for training in tiny.trainings():
        path = tiny.path(*training)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    assert benchmark.estimate(tiny, processes=2).startswith("0 of 4 trainings are missing (none)")


# ---------------------------------------------------------------------- tables


def measurement(nme, learned=None):
    subset = {"nme": nme, "nme_box": nme / 2, "failure_rate": 0.5, "auc": 0.3, "faces": 8, "curve": [nme, 2 * nme]}
    training = {"to the truth": 0.1} | ({} if learned is None else {"noise learned": learned})
    return {
        "seconds": 5.0,
        "tests": {"all": subset, "hard": subset},
        "cover": {"hidden": 2 * nme, "visible": nme, "hidden before": nme, "visible before": nme},
        "influence": {"under cover": 0.02, "elsewhere": 0.01, "matrix": [[nme, 0.0], [0.0, nme]]},
        "training": training,
    }


def test_numbers_are_found_by_their_path_and_lists_are_left_out():
    numbers = flat(measurement(0.1))
    assert numbers["tests/hard/nme_box"] == 0.05
    assert numbers["cover/hidden"] == 0.2
    assert not any("matrix" in name or "curve" in name for name in numbers)


def test_rows_are_means_over_seeds_with_students_interval():
    results = {(FC, seed): measurement(value) for seed, value in enumerate((0.1, 0.2, 0.3))}
    found = row(FC, results, (0, 1, 2))
    assert (found["loss"], found["level"], found["head"], found["relative"]) == ("soft wing", 0.06, "fc", False)
    mean, low, high = found["numbers"]["tests/hard/nme"]["mean"]
    half = 4.302653 * 0.1 / 3**0.5  # t of two degrees of freedom
    assert (mean, low, high) == pytest.approx((0.2, 0.2 - half, 0.2 + half), abs=1e-4)
    assert found["numbers"]["tests/hard/nme"]["by_seed"] == [0.1, 0.2, 0.3]
    assert found["curves"]["hard"] == pytest.approx([0.2, 0.4])
    assert found["influence"][0][0] == pytest.approx(0.2)


def test_differences_are_taken_seed_by_seed():
    results = {(FC, seed): measurement(value, 0.2) for seed, value in enumerate((0.1, 0.2, 0.3))}
    results |= {(WING, seed): measurement(value + 0.01, 0.3) for seed, value in enumerate((0.1, 0.2, 0.3))}
    found = difference(FC, WING, results, (0, 1, 2))
    assert found["tests/hard/nme"]["mean"] == pytest.approx([-0.01, -0.01, -0.01], abs=1e-5)
    assert found["training/noise learned"]["mean"][0] == pytest.approx(-0.1)
    assert "seconds" not in found
    clean = {(cell, seed): measurement(0.1) for cell in (FC, WING) for seed in (0, 1)}
    assert "training/noise learned" not in difference(FC, WING, clean, (0, 1))


def test_tables_hold_every_cell_and_comparison_of_the_plan_and_are_json(cache):
    kept = plan(*PARTS["main"], seeds=(0, 1))
    for number, training in enumerate(kept.trainings()):
        path = kept.path(*training)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measurement(0.1 + 0.01 * number, 0.1)))
    found = json.loads(json.dumps(benchmark.tables(kept)))
    assert list(found["cells"]) == [str(cell) for cell in PARTS["main"]]
    assert set(found["differences"]) == set(contrasts(PARTS["main"]))
    benchmark.show(found)


# ---------------------------------------------------------------------- the command


def test_options_choose_cells(monkeypatch):
    parser_defaults = {
        "part": "all", "losses": ["wing", "soft wing"], "levels": [0.06], "heads": ["fc", "dynamic"],
        "relative": "with", "seeds": [3], "epochs": 2, "faces": 600, "precision": "auto", "unchanged": True,
    }  # fmt: skip
    chosen = benchmark._plan(type("Options", (), parser_defaults)())
    assert len(chosen.cells) == 4
    assert all(cell.relative and cell.level == 0.06 for cell in chosen.cells)
    assert (chosen.recipe.epochs, chosen.faces, chosen.seeds, chosen.changes) == (2, 600, (3,), UNCHANGED)


def test_the_graph_heads_share_is_measured_in_time_and_operations():
    import graph_head

    found = graph_head.measured("static", "cpu", batch=1, turns=1)
    assert found["parameters"] == pytest.approx(2.42e6, rel=0.01)
    assert 0.01 < found["share_of_multiply_adds"] < 0.1
    assert found["milliseconds_per_face"] > 0
