"""CLIP-Gaze as a system of the command line: rendered and real sources, whose prompts, and trainings that go on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import releases as made
import torch
from torch.nn.functional import interpolate
from torch.utils.data import ConcatDataset

from gazecourse import __main__ as cli
from gazecourse import clip_gaze_source, cross_domain, identities, runs, systems
from gazecourse.clip_gaze_source import ClipGazeSource, kept
from gazecourse.clip_gaze_training import WHO, ClipFaces, ClipGazeSettings
from gazecourse.comparison import Size
from gazecourse.datasets import open_release
from gazecourse.datasets.preparing import prepare
from gazecourse.datasets.store import StoredFaces
from gazecourse.faces import dataset
from gazecourse.faces.captions import seen
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.head import HeadModel
from gazecourse.looking import gazer_of
from gazecourse.models.clip import clip_features, load_course_clip
from gazecourse.models.clip_gaze import ClipGaze
from gazecourse.models.structure_coherent import load_landmark_net
from gazecourse.systems import PRESETS, SYSTEMS, preset_for

TINY = Size(face=112, width=0.05, stride=2)
FACES = 16
LARGE = {"size": 112, "people": 5, "images": 20}
SHORT = ClipGazeSettings(steps=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a few faces of every domain, rendered once."""
    folder = tmp_path_factory.mktemp("rendered")
    with pytest.MonkeyPatch.context() as patch:
        _few(patch)
        patch.setenv("GAZECOURSE_CACHE", str(folder))
        for domain in DOMAINS:
            FaceDataset(domain, "train")
        FaceDataset("lab", "test")
        FaceDataset("laptop", "train", **LARGE)
    return folder / "data" / "synthetic"


def _few(patch):
    sizes = {"train": {"size": 32, "people": 4, "images": FACES}, "test": {"size": 32, "people": 2, "images": 4}}
    patch.setitem(dataset.SIZES, "quick", sizes)
    patch.setenv("GAZECOURSE_PROFILE", "quick")


@pytest.fixture(autouse=True)
def small(monkeypatch, cache, data):
    """Small sets, networks and lessons, and a cache of one's own with the rendered faces in it."""
    _few(monkeypatch)
    monkeypatch.setattr(cross_domain, "test_faces", lambda domain: FaceDataset(domain, "test"))
    monkeypatch.setattr(systems, "size_of_profile", lambda: TINY)
    monkeypatch.setattr(runs, "available_cores", lambda: 0)
    monkeypatch.setattr(clip_gaze_source, "LESSON_FACES", 12)
    monkeypatch.setitem(SYSTEMS, "clip_gaze", replace(SYSTEMS["clip_gaze"], settings=SHORT))
    (cache / "data").mkdir(parents=True)
    (cache / "data" / "synthetic").symlink_to(data)


@pytest.fixture
def people(tmp_path):
    """MPIIFaceGaze of persons 3 and 7, each with one rendered face four times."""
    faces = FaceDataset("laptop", "train", **LARGE)
    for number, person in ((3, faces.people[4]), (7, faces.people[1])):
        made.mpiifacegaze_normalized(tmp_path / "m", people=(number,), images=4, picture=_picture(faces, person))
    prepare(open_release("mpiifacegaze", tmp_path / "m", missing_ok=True), size=112, processes=1, progress=False)


def _picture(faces, person):
    rows = (faces.person == person).nonzero().flatten()
    image = faces.images[rows[faces.head[rows].norm(dim=1).argmin()]]
    large = interpolate(image[None].float(), (448, 448), mode="bilinear")[0]
    return large.round().byte().permute(1, 2, 0).numpy()


@pytest.fixture
def no_faces(tmp_path):
    """Gaze360, whose planted pictures are quarters of color."""
    release = open_release("gaze360", made.gaze360(tmp_path / "g", pictures=16), missing_ok=True)
    prepare(release, size=112, processes=1, progress=False)


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, what was printed, and the errors without progress bars."""
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, "\n".join(line for line in captured.err.splitlines() if line.startswith("error"))


def terms(folder, part):
    """Names of the losses that a part of a training recorded."""
    lines = [json.loads(line) for line in (folder / part / "history.jsonl").read_text().splitlines()]
    names = {name for line in lines if line["kind"] == "train" for name in line}
    return names & {"loss", "gaze", "separation", "distillation", "rank"}


def never(monkeypatch, *names):
    """Looking at faces, fitting heads or learning context is a mistake from here on."""
    for name in names:
        monkeypatch.setattr(clip_gaze_source, name, lambda *_, called=name, **__: pytest.fail(f"{called} again"))


EVERYTHING = ("what_clip_sees", "fitted_identities", "learn_context")


class Stored(SimpleNamespace):
    """As much of ``StoredFaces`` as identities are fitted from, of rendered faces."""

    def __getitems__(self, rows):
        return self.faces.__getitems__(rows)


def stored(faces, **changes):
    known = {"person": faces.person, "people": faces.people, "head": faces.head, "gaze": faces.gaze}
    return Stored(faces=faces, **{**known, "size": faces.images.shape[-1], "domain": "planted", **changes})


# ---------------------------------------------------------------------- trained, evaluated, asked


def test_trained_on_a_rendered_domain_it_is_evaluated_asked_and_compared(capsys, tmp_path, monkeypatch):
    code, out, _ = run(capsys, "train", "clip_gaze", "--source", "laptop", "--target", "lab", "--epochs", 1)
    assert code == 0
    name, line = out.splitlines()
    folder = runs.find_run(name)
    assert line.startswith("  lab: ")
    assert terms(folder, "part1") == {"loss"}
    assert terms(folder, "part2") == {"loss", "gaze", "separation", "distillation", "rank"}

    never(monkeypatch, *EVERYTHING)
    code, out, _ = run(capsys, "predict", folder.name, "--on", "lab", "--into", tmp_path / "out.csv")
    assert (code, len(list(csv.DictReader((tmp_path / "out.csv").open())))) == (0, 4)
    assert "CLIP-Gaze                        course, quick, 1 epochs" in run(capsys, "compare")[1]
    gazer = gazer_of(folder)
    assert isinstance(gazer.model, ClipGaze)
    assert gazer.forward(gazer.model, FaceDataset("lab", "test").__getitems__([0, 1])).shape == (2, 2)


def test_trained_on_a_real_set_it_is_evaluated_on_others_and_beside_the_papers_numbers(people, no_faces, capsys):
    code, out, _ = run(
        capsys, "train", "clip_gaze", "--source", "mpiifacegaze", "--target", "mpiifacegaze", "--target", "gaze360",
        "--target", "lab", "--epochs", 1,
    )  # fmt: skip
    assert code == 0
    folders = [runs.find_run(line) for line in out.splitlines() if not line.startswith(" ")]
    assert sorted(folder.name.split("-")[-2] for folder in folders) == ["p03", "p07", "seed0"]
    assert all(terms(folder, "part2") >= {"separation", "distillation", "rank"} for folder in folders)
    assert {line.split(":")[0] for line in out.splitlines() if line.startswith(" ")} == {
        "  mpiifacegaze", "  gaze360", "  lab",
    }  # fmt: skip
    assert runs.published("clip_gaze", "gaze360", "eyediap") == "7.06"
    assert runs.published("clip_gaze", "eth_xgaze", "mpiifacegaze-raw") == "6.41"


def test_all_rendered_domains_together_are_a_source(capsys):
    (folder,) = runs.train("clip_gaze", "rendered", [], epochs=1)
    assert terms(folder, "part2") >= {"separation", "distillation", "rank"}
    assert json.loads((folder / "run.json").read_text())["images"] == 4 * FACES


def test_second_part_begins_with_what_the_first_has_learned(monkeypatch):
    trained = []
    original = runs.fit

    def fit(method, faces, recipe, **options):
        built = {name: value.clone() for name, value in method.build(TINY).state_dict().items()}
        model, history = original(method, faces, recipe, **options)
        trained.append((built, {name: value.clone() for name, value in model.state_dict().items()}, faces))
        return model, history

    monkeypatch.setattr(runs, "fit", fit)
    runs.train("clip_gaze", "lab", [], epochs=1)
    (_, after_first, plain), (before_second, after_second, looked_at) = trained
    assert isinstance(plain, FaceDataset)
    assert isinstance(looked_at, ClipFaces)
    assert before_second.keys() == after_first.keys()
    assert all(torch.equal(before_second[name], value) for name, value in after_first.items())
    assert not torch.equal(after_second["head.weight"], after_first["head.weight"])


# ---------------------------------------------------------------------- going on


def test_prompts_join_in_with_the_systems_settings_and_the_parts_optimizers(monkeypatch, tmp_path):
    asked = []
    fake = SimpleNamespace(require_identity=lambda: None, prompts=lambda: "prompts", looked_at="looked at")
    monkeypatch.setattr(systems, "ClipGazeSource", lambda *_: fake)
    monkeypatch.setattr(
        systems, "clip_gaze", lambda clip, *rest: asked.append(rest) or systems.gaze_alone(load_course_clip())
    )

    def optimizers(model, rate):
        return []

    first, second = (replace(part, optimizers=optimizers) for part in PRESETS["course"].parts())
    learn = SYSTEMS["clip_gaze"].learning("faces", TINY, seed=0, folder=tmp_path, precision="32-true")
    (data, alone), (looked_at, prompted) = learn(first), learn(second)
    assert (data, looked_at) == ("faces", "looked at")
    assert alone.optimizers is prompted.optimizers is optimizers
    assert asked == [("prompts", SHORT)]


class Stopping:
    """Stops the second training after its first step, as somebody's Ctrl-C would."""

    def __init__(self):
        self.begun, self.stop_requested = 0, False

    def begin(self, history, progress):
        self.begun += 1

    def update(self, progress):
        self.stop_requested = self.begun == 2 and progress.step == 1

    def end(self, progress):
        pass


@pytest.mark.parametrize(("source", "workers"), [("lab", 0), ("mpiifacegaze", 1)])
def test_training_that_was_cut_off_goes_on_to_the_same_weights(source, workers, people, monkeypatch, tmp_path):
    (whole,) = runs.train("clip_gaze", source, [], epochs=3)
    expected = runs.load(whole)[1].state_dict()
    whole.rename(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        runs.train("clip_gaze", source, [], epochs=3, observer=Stopping())
    assert not (whole / "run.json").exists()
    never(monkeypatch, *EVERYTHING)
    (folder,) = runs.train("clip_gaze", source, [], epochs=3, workers=workers)
    assert folder == whole
    found = runs.load(folder)[1].state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert runs.train("clip_gaze", source, [], epochs=3) == [folder]


def test_what_is_kept_is_made_again_where_it_is_damaged_or_of_other_faces(tmp_path):
    path, calls = tmp_path / "run" / "some.safetensors", []

    def make(rows):
        calls.append(rows)
        return torch.arange(2 * rows).view(rows, 2).float().flip(1)

    for rows in (3, 3, 4, 4):
        assert torch.equal(kept(path, f"of {rows}", lambda rows=rows: make(rows)), make(rows))
    assert calls == [3, 3, 3, 4, 4, 4]
    path.write_bytes(path.read_bytes()[:-3])
    assert kept(path, "of 4", lambda: make(4)).shape == (4, 2)
    assert len(calls) == 7


def test_what_is_kept_is_of_these_labels_these_people_and_this_clip(tmp_path):
    faces = FaceDataset("lab", "train")
    key = source_of(faces.some(6), tmp_path)._key
    assert key == source_of(faces.some(6), tmp_path / "elsewhere")._key
    assert key == source_of(ConcatDataset([faces.some(6)]), tmp_path)._key
    some = faces.some(6)
    other = SimpleNamespace(gaze=some.gaze, person=some.person.flip(0))
    clip = load_course_clip()
    with torch.no_grad():
        next(clip.parameters()).add_(1)
    changed = ClipGazeSource(faces.some(6), clip, tmp_path, SHORT, 0, "32-true")
    assert (
        len({key, source_of(faces.some(6, seed=1), tmp_path)._key, source_of(other, tmp_path)._key, changed._key}) == 4
    )


# ---------------------------------------------------------------------- what is known of a source


def source_of(faces, folder):
    return ClipGazeSource(faces, load_course_clip(), folder, SHORT, 0, "32-true")


def test_faces_of_several_domains_are_looked_at_in_order_with_their_mirror_images(tmp_path):
    parts = [FaceDataset(domain, "train").some(6) for domain in ("wild", "lab")]
    looked_at = source_of(ConcatDataset(parts), tmp_path).looked_at
    images = torch.cat([part.images for part in parts]).float() / 255
    clip = load_course_clip()
    torch.testing.assert_close(looked_at.seen[:, 0], clip_features(clip, images), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(looked_at.seen[:, 1], clip_features(clip, images.flip(3)), atol=1e-5, rtol=1e-4)
    facts = [seen(part.factors) for part in parts]
    assert all(torch.equal(values, torch.cat([f[name] for f in facts])) for name, values in looked_at.facts.items())
    identity = torch.cat([part.factors.identity for part in parts]).float()
    assert torch.equal(looked_at.people[looked_at.who], identity)
    assert torch.equal(looked_at.__getitems__([8, 1]).image, torch.cat([part.images for part in parts])[[8, 1]])


def test_every_real_face_has_its_own_persons_identity(people, tmp_path, monkeypatch):
    fitted = torch.stack([torch.full((126,), 5.0), torch.full((126,), -2.0)])  # of persons 3 and 7; unique sorts them
    monkeypatch.setattr(clip_gaze_source, "fitted_identities", lambda faces: fitted)
    faces = StoredFaces("mpiifacegaze", size=112)
    looked_at = source_of(faces, tmp_path).looked_at
    rows = [7, 0, 4, 3]
    batch = looked_at.__getitems__(rows)
    assert faces.person[rows].tolist() == [7, 3, 7, 3]
    assert looked_at.people[batch.factors[WHO]][:, 0].tolist() == [-2.0, 5.0, -2.0, 5.0]


def test_context_is_learned_on_the_source_or_where_its_factors_are_unknown_on_all_domains(
    people, tmp_path, monkeypatch
):
    lessons = []
    original = clip_gaze_source.learn_context

    def learn(clip, faces, settings, **options):
        lessons.append(faces)
        return original(clip, faces, settings, **options)

    monkeypatch.setattr(clip_gaze_source, "learn_context", learn)
    source = source_of(FaceDataset("lab", "train"), tmp_path / "rendered")
    source.prompts()
    assert lessons == [source.looked_at]
    source = source_of(StoredFaces("mpiifacegaze", size=112), tmp_path / "real")
    prompts = source.prompts()
    assert [part.domain for part in lessons[1].faces.datasets] == list(DOMAINS)
    assert len(lessons[1]) == 4 * 12
    assert prompts.features.shape[0] == len(source.looked_at.people) == 2
    assert not torch.allclose(prompts.features[0], prompts.features[1], atol=1e-6)


# ---------------------------------------------------------------------- identities from images


def test_fitted_people_are_more_like_themselves_than_like_others():
    faces = FaceDataset("laptop", "train", **LARGE)
    fitted = identities.fitted_identities(stored(faces))
    true = torch.stack([faces.factors.identity[faces.person == person][0] for person in faces.people])
    alike = torch.corrcoef(torch.cat([fitted, true]))[:5, 5:]
    others = (alike.sum(1) - alike.diag()) / 4
    assert fitted.dtype == torch.float32
    assert (alike.diag() > others).all()
    assert alike.diag().mean() > others.mean() + 0.1


def test_the_most_frontal_faces_are_chosen_by_the_head_or_else_by_the_gaze():
    angle = torch.tensor([0.5, 0.1, 0.0, 0.3, 0.2])
    faces = SimpleNamespace(
        person=torch.tensor([4, 4, 9, 4, 4]),
        head=torch.stack([torch.zeros(5), -angle], 1),
        gaze=torch.stack([angle.flip(0), torch.zeros(5)], 1),
    )
    assert identities.frontal_faces(faces, 4, 2).tolist() == [1, 4]
    faces.head = None
    assert identities.frontal_faces(faces, 4, 3).tolist() == [3, 0, 1]
    assert identities.frontal_faces(faces, 9, 8).tolist() == [2]


def test_of_the_candidates_the_heads_that_their_landmarks_show_least_turned_are_fitted(monkeypatch):
    faces = FaceDataset("wild", "train")
    rows = (faces.person == faces.people[0]).nonzero().flatten()
    one = faces.subset(rows)
    found = iter(one.landmarks)
    monkeypatch.setattr(identities, "landmarks_in_face", lambda image, net: next(found))
    monkeypatch.setattr(identities, "frontal_faces", lambda faces, person, count: torch.arange(len(rows)))
    monkeypatch.setattr(identities, "FOCAL", 840 / 224)
    monkeypatch.setattr(identities, "FACES", 2)
    fitted = []
    original = identities.fit_identity
    monkeypatch.setattr(
        identities, "fit_identity", lambda points, *a, **k: fitted.append(points) or original(points, *a, **k)
    )
    identities.identity_of(stored(one), one.people[0], None, HeadModel())
    expected = one.factors.head_rotation[:, 2, 2].argsort(descending=True)[:2]
    assert torch.equal(fitted[0].sort(0).values, one.landmarks[expected].sort(0).values)


def test_head_is_the_mean_of_those_fitted_to_each_face_before_the_camera_of_real_sets(monkeypatch):
    one, asked = FaceDataset("wild", "train"), {}
    monkeypatch.setattr(identities, "landmarks_in_face", lambda image, net: one.landmarks[0])

    def frontal(faces, person, count):
        asked["candidates"] = count
        return torch.arange(4)

    def fit(points, size, **options):
        asked.update(options, size=size)
        return SimpleNamespace(identity=torch.arange(4).double()[:, None].expand(4, 126))

    monkeypatch.setattr(identities, "frontal_faces", frontal)
    monkeypatch.setattr(identities, "fit_identity", fit)
    head = HeadModel()
    assert torch.equal(identities.identity_of(stored(one), one.people[0], None, head), torch.full((126,), 1.5))
    assert asked == {
        "candidates": 8, "size": 32, "focal": pytest.approx(960 / 224 * 32), "distance_spread": 150.0, "model": head,
    }  # fmt: skip


def test_landmarks_are_those_of_the_image_and_doubtful_ones_are_none():
    net, faces = load_landmark_net(), FaceDataset("laptop", "train", **LARGE)
    frontal = int(faces.head.norm(dim=1).argmin())
    found = identities.landmarks_in_face(faces.images[frontal], net)
    eyes = float((faces.landmarks[frontal, 36] - faces.landmarks[frontal, 45]).norm())
    assert (found - faces.landmarks[frontal]).norm(dim=1).mean() < 0.08 * eyes
    turned = identities.landmarks_in_face(faces.images[frontal].flip(2), net)
    assert (112 - turned[36, 0] - found[45, 0]).abs() < 1e-3, "the mirror image has the same landmarks, mirrored"
    for picture in (torch.from_numpy(made.quarters(112)).permute(2, 0, 1), faces.images[frontal].flip(1)):
        assert identities.landmarks_in_face(picture.contiguous(), net) is None


def test_who_has_no_face_gets_the_average_head_and_is_named(monkeypatch, capsys):
    known = {3: torch.ones(126), 7: None}
    monkeypatch.setattr(identities, "identity_of", lambda faces, person, net, model: known[person])
    fitted = identities.fitted_identities(SimpleNamespace(people=[3, 7], domain="it"))
    assert torch.equal(fitted, torch.stack([torch.ones(126), torch.zeros(126)]))
    assert capsys.readouterr().out == "no landmarks were found in the faces of 7: they get the average head's prompts\n"


# ---------------------------------------------------------------------- mistakes


def test_source_without_a_face_is_refused_before_anything_is_trained(no_faces, capsys, monkeypatch):
    monkeypatch.setattr(runs, "fit", lambda *a, **k: pytest.fail("trained before the faces were looked at"))
    code, _, error = run(capsys, "train", "clip_gaze", "--source", "gaze360")
    assert code == 1
    assert error.startswith(
        "error: CLIP-Gaze needs faces that landmarks can be found in, to tell people apart; in gaze"
    )
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "course"])
def test_presets_of_other_systems_are_refused(preset):
    with pytest.raises(ValueError, match=rf"preset {preset} is meant for .*; got CLIP-Gaze\."):
        preset_for(preset, SYSTEMS["clip_gaze"])


def test_f_v_of_other_faces_is_refused():
    faces = FaceDataset("lab", "train")
    with pytest.raises(ValueError, match=r"sight must have shape \[16, 2, 128\]; got .*\[3, 2, 128\]"):
        ClipFaces(faces, load_course_clip(), sight=torch.zeros(3, 2, 128))
