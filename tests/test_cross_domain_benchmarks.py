"""The benchmarks of the cross-domain tasks: what is kept is not made again, and tables hold what was measured."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from gazecourse import clip_gaze_training, cross_domain
from gazecourse.checkpoint import save_trained
from gazecourse.clip_gaze_training import ClipGazeSettings
from gazecourse.comparison import Recipe, Size
from gazecourse.crops import Band
from gazecourse.cross_domain import SOURCES, TARGETS
from gazecourse.faces import rendering
from gazecourse.faces.dataset import FaceDataset
from gazecourse.models import CLIP
from gazecourse.models.clip import load_course_clip

BENCHMARKS = str(Path(__file__).resolve().parents[1] / "benchmarks")
SIDE = 48
TINY = Size(face=SIDE, width=0.05, stride=2)
ONE_STEP = Recipe(epochs=1, batch_size=12)


@pytest.fixture(scope="module")
def modules():
    """The benchmarks as modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import clip_gaze
        import kept
        import puregaze

        yield clip_gaze, kept, puregaze
        for name in ("clip_gaze", "kept", "puregaze", "report"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """36 rendered faces of six people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAZECOURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(rendering, "available_cores", lambda: 1)
        yield FaceDataset("laptop", "train", "quick", size=SIDE, people=6, images=36)


@pytest.fixture(scope="module")
def clip_path(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    save_trained(path, CLIP(SIDE, width=0.125, dim=16, text_width=24, text_layers=1, heads=3))
    return path


@pytest.fixture
def small(modules, faces, cache, monkeypatch):
    """Every data set is the same few faces, every network tiny, every training one step."""
    for module in (*modules, cross_domain, clip_gaze_training):
        monkeypatch.setattr(module, "face_band", lambda: Band((32, 64)), raising=False)
    for module in modules:
        for name in ("source_faces", "test_faces", "few_faces", "target_faces"):
            monkeypatch.setattr(module, name, lambda *_: faces, raising=False)
        for name in ("first_part", "second_part", "fine_tuning"):
            monkeypatch.setattr(module, name, lambda: ONE_STEP, raising=False)
        monkeypatch.setattr(module, "size_of_profile", lambda: TINY, raising=False)
    clip_gaze, _, _ = modules
    few = {
        way: {name: replace(one, steps=2) for name, one in settings.items()}
        for way, settings in clip_gaze.ABLATIONS.items()
    }
    monkeypatch.setattr(clip_gaze, "ABLATIONS", few)
    monkeypatch.setattr(clip_gaze, "ClipGazeSettings", lambda **changes: ClipGazeSettings(**{"steps": 2, **changes}))
    monkeypatch.setattr(clip_gaze, "named_leakage", lambda *_, **__: {"hat": clip_gaze_probe(0.5)})
    monkeypatch.setattr(clip_gaze, "leakage", lambda *_, **__: {"gaze yaw": clip_gaze_probe(0.9)})
    return clip_gaze


def clip_gaze_probe(score):
    from gazecourse.analysis.probes import Probe

    return Probe(score, score, score, "classes")


# ---------------------------------------------------------------------- tables


def test_a_cell_is_the_mean_with_students_interval_and_every_seed(modules):
    import report

    found = report.by_seed([1.0, 2.0, 3.0])
    assert found["by_seed"] == [1.0, 2.0, 3.0]
    mean, low, high = found["mean"]
    assert mean == 2.0
    assert high - mean == pytest.approx(4.30265 / 3**0.5, abs=1e-4)  # t of 2 degrees of freedom at 97.5 %
    assert mean - low == pytest.approx(high - mean)
    assert report.by_seed([1.5]) == {"mean": [1.5], "by_seed": [1.5]}


def test_a_difference_is_taken_run_by_run_where_both_rows_were_measured(modules):
    _, kept, _ = modules
    runs = [
        {"a": {"laptop": 5.0, "probe": 1.0}, "b": {"laptop": 4.0, "probe": 0.25}},
        {"a": {"laptop": 7.0}, "b": {"laptop": 5.0}},
        {"b": {"laptop": 1.0}},
    ]
    assert kept.column(runs, "a")["laptop"]["by_seed"] == [5.0, 7.0]
    assert kept.column(runs, "a")["probe"]["by_seed"] == [1.0]
    assert kept.column(runs, "a", "b")["laptop"]["by_seed"] == [1.0, 2.0]
    assert kept.column(runs, "a", "b")["probe"]["by_seed"] == [0.75]
    assert kept.column(runs, "c") == {}


def test_a_table_holds_rows_by_source_and_the_differences_asked_for(modules):
    _, kept, _ = modules
    runs = {"studio": [{"a": {"lab": 3.0}, "b": {"lab": 1.0}}], "wild": [{"a": {"lab": 2.0}}]}
    found = kept.table(runs, lambda name: ("b", "not there", name))
    assert list(found) == ["a", "b", "a − b"]
    assert found["a"]["wild"]["lab"]["by_seed"] == [2.0]
    assert found["b"]["wild"] == {}
    assert found["a − b"] == {"studio": {"lab": {"mean": [2.0], "by_seed": [2.0]}}, "wild": {}}


def test_rows_of_every_start_come_in_their_order(modules, monkeypatch):
    _, kept, _ = modules
    monkeypatch.setattr(kept, "render", lambda sets: None)
    found = kept.all_rows(lambda start, plan: {plan: {"seed": start}}, [3, 1, 2], "plan", processes=1)
    assert list(found.items()) == [(3, {"plan": {"seed": 3}}), (1, {"plan": {"seed": 1}}), (2, {"plan": {"seed": 2}})]


# ---------------------------------------------------------------------- PureGaze


def test_puregaze_keeps_its_folders_files_and_rows(modules, small, cache):
    _, _, puregaze = modules
    plan = puregaze.Plan((0,), ("ResNet",), ("purification", "fine-tuning", "blur"), 0)
    rows = puregaze.rows_of(puregaze.Start("ResNet", "studio", 0), plan)
    tuned_rows = ["plain, fine-tuned", "purified, fine-tuned"]
    assert list(rows) == ["plain", "purified", *tuned_rows, "blurred", "blurred, purified"]
    assert set(rows["plain"]) == {*TARGETS, "home"}
    assert set(rows["plain, fine-tuned"]) == set(TARGETS)
    (folder,) = (cache / "runs" / "puregaze").iterdir()
    assert folder.name == f"{plan.digest}-ResNet-studio-seed0"
    tuned = {f"{name}-tuned-{target}" for name in ("plain", "purified") for target in TARGETS}
    networks = {"first", "plain", "purified", "blurred", "purified-blurred", *tuned}
    assert {path.name for path in folder.iterdir()} == {
        *(f"{name}.safetensors" for name in networks),
        *(f"errors-{name}.json" for name in networks - {"first"}),
    }
    found = puregaze.tables({puregaze.Start("ResNet", "studio", 0): rows}, ("ResNet",))["ResNet"]
    assert list(found)[6:] == [
        "purified − plain", "plain, fine-tuned − plain", "purified, fine-tuned − plain, fine-tuned",
        "blurred − plain", "blurred, purified − blurred",
    ]  # fmt: skip


def test_longer_trainings_are_so_many_times_as_long_and_kept_apart(modules, small):
    _, _, puregaze = modules
    usual, longer = (puregaze.Plan((0,), ("ResNet",), (), 0, longer=times) for times in (1, 3))
    assert (longer.first_part.epochs, longer.second_part.epochs) == (3, 3)
    assert longer.first_part.rate == usual.first_part.rate
    assert longer.digest != usual.digest
    trained = puregaze.Trained(puregaze.Start("ResNet", "studio", 0), longer)
    recipes = []
    trained.learned = lambda method, recipe, start=None, data=None: recipes.append(recipe) or method.build(TINY)
    trained.plain()
    assert [recipe.epochs for recipe in recipes] == [3, 3]


def test_clip_gaze_trained_longer_is_kept_apart_and_compared_with_networks_trained_as_long(small, clip_path):
    usual, longer = (small.Plan((0,), (), 0, clip=clip_path, longer=times) for times in (1, 3))
    assert longer.digest != usual.digest
    start = small.Start("studio", 0)
    trained, recipes = small.Trained(start, longer), []
    trained.learned = lambda method, recipe, start=None, data=None: recipes.append(recipe) or method.build(TINY)
    trained.alone()
    trained.with_clip(small.ClipGazeSettings())
    assert [recipe.epochs for recipe in recipes] == [3, 3, 3]
    assert small.resnets_of(start, longer).plan.longer == 3


def test_longer_reaches_the_trainings_from_the_command_line(modules, clip_path, monkeypatch):
    clip_gaze, _, puregaze = modules

    class Stop(Exception):
        pass

    def stop(rows_of, starts, plan, processes):
        raise Stop(plan)

    for module, more in ((clip_gaze, ["--clip", str(clip_path)]), (puregaze, [])):
        monkeypatch.setattr(module, "all_rows", stop)
        monkeypatch.setattr(module, "priors", dict)
        monkeypatch.setattr(sys, "argv", ["benchmark", "--longer", "3", "--seeds", "7", *more])
        with pytest.raises(Stop) as stopped:
            module.main()
        plan = stopped.value.args[0]
        assert (plan.longer, plan.seeds) == (3, (7,))


def test_the_remedys_rows_learn_from_blurred_faces_one_of_them_with_an_opponent(modules, small, monkeypatch):
    _, _, puregaze = modules
    monkeypatch.setattr(
        puregaze, "with_blur", lambda method: replace(method, name=f"blur, {method.losses is not None}")
    )
    trained = puregaze.Trained(puregaze.Start("ResNet", "studio", 0), puregaze.Plan((0,), ("ResNet",), (), 0))
    trained.going_on = lambda name, method: method.name
    assert trained.blurred() == "blur, False"
    assert trained.purified_and_blurred() == "blur, True"


def test_both_networks_are_redrawn_by_decoders_that_begin_alike(modules, small, monkeypatch):
    _, _, puregaze = modules
    monkeypatch.setattr(puregaze, "REDRAWING", ONE_STEP)
    plan = puregaze.Plan((0,), ("ResNet",), (), 0)
    trained = puregaze.Trained(puregaze.Start("ResNet", "studio", 0), plan)
    begun = []
    monkeypatch.setattr(
        puregaze,
        "learn_to_redraw",
        lambda decoder, features, *_, **__: begun.append((decoder.state_dict(), len(features))),
    )
    for seed, name in enumerate(("plain", "purified")):
        model = getattr(trained, name)()
        torch.manual_seed(seed)  # whatever was random before, as it is when one network is kept and the other is not
        assert set(trained.redrawn(name, lambda model=model: model)) == {"redrawn"}
    (one, faces_of_one), (other, faces_of_other) = begun
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert faces_of_one == faces_of_other == 2 * len(trained.faces)


# ---------------------------------------------------------------------- CLIP-Gaze


def test_clip_gaze_measures_every_row_once_and_goes_on_where_it_stopped(
    small, faces, cache, clip_path, capsys, monkeypatch
):
    ways = ("PureGaze", "probes", "fine-tuning", "prompts", "rank")
    plan, start = small.Plan((0, 1), ways, 1, clip=clip_path), small.Start("studio", 0)
    rows = small.rows_of(start, plan)
    ablations = ["written prompts", "CoOp", "CoCoOp", "without rank loss", "RankSim's loss"]
    main = ["baseline", "PureGaze", "gaze loss alone", "CLIP-Gaze"]
    assert set(rows) == {*main, *(f"{name}, fine-tuned" for name in main), *ablations}
    for name in (*main, *ablations):
        assert {*TARGETS, "home"} <= set(rows[name]), name
    assert {f"order: {d}" for d in (*TARGETS, "home")} <= set(rows["PureGaze"])
    assert {"before: hat", "after: hat", "before: gaze yaw"} <= set(rows["CLIP-Gaze"])
    assert {"after: hat"} <= set(rows["baseline"])
    assert {name for name in rows if "loss of prompts" in rows[name]} == {"CLIP-Gaze", *ablations[:3]}
    assert rows["CLIP-Gaze"]["home"] != rows["gaze loss alone"]["home"]
    assert rows["CLIP-Gaze"]["home"] != rows["RankSim's loss"]["home"]
    json.dumps(rows)
    assert "clip" not in {n.split(".")[1] for n in names_in(cache / "runs" / "clip-gaze")}, "CLIP is kept nowhere"

    monkeypatch.setattr(small, "FaceDataset", lambda *_: faces)
    monkeypatch.setattr(small, "umap_embedding", lambda features: features[:, :2].numpy())
    maps = small.maps_of(start, plan)
    assert maps.pop("rows") == list(range(36))
    assert (maps.pop("source"), maps.pop("seed")) == ("studio", 0)
    assert {name: (len(points), len(points[0])) for name, points in maps.items()} == {
        "baseline": (36, 2), "PureGaze": (36, 2), "CLIP-Gaze": (36, 2),
    }  # fmt: skip
    assert maps["baseline"] != maps["PureGaze"]

    capsys.readouterr()
    monkeypatch.setattr(small.Trained, "learned", lambda *_: pytest.fail("something was trained again"))
    assert small.rows_of(start, plan) == rows
    assert capsys.readouterr().out == ""


def names_in(folder):
    """Names of all tensors in all checkpoints there."""
    from safetensors import safe_open

    for path in folder.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            yield from file.keys()


def test_without_ways_there_are_clip_gaze_and_its_own_baseline(small, clip_path):
    plan = small.Plan((0,), (), 1, clip=clip_path)
    assert list(small.rows_of(small.Start("wild", 0), plan)) == ["gaze loss alone", "CLIP-Gaze"]


def test_open_choices_and_losses_are_tested_on_the_other_source(small, clip_path, monkeypatch):
    two, one = (dict(list(small.ABLATIONS[way].items())[:n]) for way, n in (("choices", 2), ("losses", 1)))
    monkeypatch.setattr(small, "ABLATIONS", {**{way: {} for way in small.ABLATIONS}, "choices": two, "losses": one})
    rows = small.rows_of(small.Start("wild", 0), small.Plan((0,), ("choices", "losses"), 1, clip=clip_path))
    assert set(rows) == {"gaze loss alone", "CLIP-Gaze", *two, *one}
    assert all(set(row) >= {"studio", *TARGETS, "home"} and "wild" not in row for row in rows.values())


def test_clip_gaze_and_gaze_alone_go_on_from_one_beginning_and_differ_in_the_losses_alone(
    small, clip_path, monkeypatch
):
    trained = small.Trained(small.Start("studio", 3), small.Plan((3,), (), 1, clip=clip_path))
    beginning = trained.beginning()
    begun, given = [], []
    original = small.Trained.learned

    def watched(self, method, recipe, start=None, data=None):
        begun.append({name: value.clone() for name, value in start.state_dict().items()})
        given.append((method.name, recipe, type(data or self.faces).__name__))
        return original(self, method, recipe, start, data)

    monkeypatch.setattr(small.Trained, "learned", watched)
    trained.alone()
    trained.with_clip(small.ClipGazeSettings())
    assert given == [("gaze loss alone", ONE_STEP, "FaceDataset"), ("CLIP-Gaze", ONE_STEP, "ClipFaces")]
    for name, value in beginning.state_dict().items():
        assert torch.equal(begun[0][name], value), name
        assert torch.equal(begun[1][name], value), name


def test_centered_prompts_and_their_kind_reach_the_training(small, clip_path, monkeypatch):
    made, original = [], small.Prompts
    monkeypatch.setattr(small, "Prompts", lambda *a, **k: made.append(original(*a, **k)) or made[-1])
    trained = small.Trained(small.Start("studio", 0), small.Plan((0,), (), 1, clip=clip_path))
    for settings in (small.ClipGazeSettings(prompts="written"), small.ClipGazeSettings(prompts="coop", centered=True)):
        trained.with_clip(settings)
    assert [(prompts.context.kind, prompts.centered) for prompts in made] == [("written", False), ("coop", True)]


def test_probes_and_orders_read_the_layers_that_the_table_names(small, clip_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        small, "features_of", lambda model, faces, layer, forward: asked.append(layer) or torch.randn(len(faces), 4)
    )
    plan, start = small.Plan((0,), ("probes",), 1, clip=clip_path), small.Start("studio", 0)
    rows = small.rows_of(start, plan)
    assert set(rows) == {"gaze loss alone", "CLIP-Gaze"}
    one_network = ["filter"] * 3 + ["project", "filter"]  # the order in three domains; then before the filter and after
    assert asked == 2 * one_network


def test_personal_context_is_learned_once_for_all_settings_that_share_its_prompts(small, clip_path, monkeypatch):
    learned = []
    original = small.learn_context
    monkeypatch.setattr(small, "learn_context", lambda *a, **k: learned.append(a[2].prompts) or original(*a, **k))
    trained = small.Trained(small.Start("studio", 0), small.Plan((0,), (), 1, clip=clip_path))
    one = trained.context(small.ClipGazeSettings())
    other = trained.context(small.weighed(separation=0.0))
    assert learned == ["pco"]
    assert torch.equal(one.vectors, other.vectors)
    assert not other.vectors.requires_grad
    trained.context(small.ClipGazeSettings(groups=("wearable",)))
    trained.context(small.ClipGazeSettings(prompts="written"))
    assert learned == ["pco", "pco"]


def test_ablations_are_done_with_the_first_seeds_and_change_one_thing_each(modules, clip_path):
    clip_gaze, _, _ = modules
    plan = clip_gaze.Plan((5, 6, 7), clip_gaze.WAYS, 2, clip=clip_path)
    everything = {name for way in clip_gaze.ABLATIONS.values() for name in way}
    assert set(plan.ablations(clip_gaze.Start("studio", 6))) == everything
    assert plan.ablations(clip_gaze.Start("studio", 7)) == {}
    assert plan.goes("PureGaze", clip_gaze.Start("studio", 7))
    assert not plan.goes("probes", clip_gaze.Start("studio", 7))
    assert [(s.source, s.seed) for s in plan.starts()][:3] == [("studio", 5), ("wild", 5), ("studio", 6)]


CHANGED = {
    "without separation": {"weights.separation": 0.0},
    "without distillation": {"weights.distillation": 0.0},
    "without rank loss": {"weights.rank": 0.0},
    "RankSim's loss": {"weights.ranking": "ranksim"},
    "written prompts": {"prompts": "written"},
    "CoOp": {"prompts": "coop"},
    "CoCoOp": {"prompts": "cocoop"},
    "appearance alone": {"groups": ("appearance",)},
    "wearable alone": {"groups": ("wearable",)},
    "quality alone": {"groups": ("quality",)},
    "weights × 0.1": {f"weights.{name}": 0.1 for name in ("separation", "distillation", "rank")},
    "weights × 10": {f"weights.{name}": 10.0 for name in ("separation", "distillation", "rank")},
    "distillation × 0.1": {"weights.distillation": 0.1},
    "rank loss × 10": {"weights.rank": 10.0},
    "temperature = 0.01": {"weights.temperature": 0.01},
    "all factors alike": {"weights.weighting": "uniform"},
    "cos²": {"weights.similarity": "squared"},
    "max(0, cos)": {"weights.similarity": "positive"},
    "centered prompts": {"centered": True},
    "margin = 0.1": {"weights.margin": 0.1},
    "violated pairs": {"weights.average": "violated"},
    "any pairs": {"weights.pairs": "any"},
}


def test_every_ablation_changes_what_its_name_says(modules):
    clip_gaze, _, _ = modules
    usual = flat(asdict(ClipGazeSettings()))
    found = {name: one for way in clip_gaze.ABLATIONS.values() for name, one in way.items()}
    changed = {n: {k: v for k, v in flat(asdict(one)).items() if v != usual[k]} for n, one in found.items()}
    assert changed == CHANGED


def flat(settings, prefix=""):
    return {
        key: value
        for name, part in settings.items()
        for key, value in (
            flat(part, f"{prefix}{name}.") if isinstance(part, dict) else {f"{prefix}{name}": part}
        ).items()
    }


def test_networks_are_kept_apart_by_clip_and_settings_but_not_by_the_list_of_ablations(
    modules, clip_path, tmp_path, monkeypatch
):
    clip_gaze, kept, _ = modules
    digest = clip_gaze.Plan((0,), (), 1, clip=clip_path).digest
    assert clip_gaze.Plan((1, 2), clip_gaze.WAYS, 3, clip=clip_path).digest == digest
    other = tmp_path / "other.safetensors"
    save_trained(other, load_course_clip(clip_path), note="other")
    assert clip_gaze.Plan((0,), (), 1, clip=other).digest != digest
    monkeypatch.setattr(kept, "second_part", lambda: ONE_STEP)
    assert clip_gaze.Plan((0,), (), 1, clip=clip_path).digest != digest
    monkeypatch.undo()
    monkeypatch.setattr(clip_gaze, "ABLATIONS", {})
    assert clip_gaze.Plan((0,), (), 1, clip=clip_path).digest == digest


def test_clip_gaze_is_compared_with_three_baselines_and_its_ablations_with_it(modules):
    clip_gaze, kept, _ = modules
    rows = {name: {"lab": float(n)} for n, name in enumerate(
        ("baseline", "PureGaze", "gaze loss alone", "CLIP-Gaze", "CoOp", "baseline, fine-tuned",
         "CLIP-Gaze, fine-tuned"))}  # fmt: skip
    found = kept.table({source: [rows] for source in SOURCES}, clip_gaze.compared_with)
    assert [name for name in found if " − " in name] == [
        "PureGaze − baseline",
        "CLIP-Gaze − baseline",
        "CLIP-Gaze − PureGaze",
        "CLIP-Gaze − gaze loss alone",
        "CoOp − CLIP-Gaze",
        "CLIP-Gaze, fine-tuned − baseline, fine-tuned",
    ]
    assert found["CLIP-Gaze − PureGaze"]["wild"]["lab"]["by_seed"] == [2.0]


def test_results_hold_settings_rows_differences_and_maps(small, clip_path, monkeypatch, capsys):
    measured = {"CLIP-Gaze": {"lab": 7.0, "order: lab": 0.5}, "baseline": {"lab": 9.0}}
    written = {}
    monkeypatch.setattr(small, "all_rows", lambda rows_of, starts, plan, processes: dict.fromkeys(starts, measured))
    monkeypatch.setattr(small, "priors", lambda: {"lab": 10.0})
    monkeypatch.setattr(small, "maps_of", lambda start, plan: {"source": start.source, "seed": start.seed})
    monkeypatch.setattr(small, "write", lambda name, device, **content: written.update(content, name=name))
    monkeypatch.setattr(sys, "argv", ["clip_gaze.py", "--seeds", "4", "5", "--clip", str(clip_path), "--into", "again"])
    small.main()
    found = json.loads(json.dumps(written))
    assert found["name"] == "again"
    assert found["seeds"] == [4, 5]
    assert found["head_pose"] == {"lab": 10.0}
    assert found["maps"] == {"source": "studio", "seed": 4}
    assert found["rows"]["CLIP-Gaze − baseline"]["wild"]["lab"]["by_seed"] == [-2.0, -2.0]
    assert found["clip_gaze"]["prompts"] == "pco"
    assert found["profile"] == "quick"
    said = capsys.readouterr().out
    assert "wild → lab  +7.00" in said
    assert "order" not in said
