"""Training CLIP on captioned faces, and the zero-shot tests that it must pass, on faces that can be told by color."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from loading import load_script

from gazecourse.augment import mirror
from gazecourse.batches import seed_all
from gazecourse.contrastive import (
    CaptionedFaces,
    clip_losses,
    combination_accuracy,
    image_features,
    report_table,
    zero_shot_accuracy,
    zero_shot_report,
)
from gazecourse.faces.attributes import NAMED
from gazecourse.faces.captions import HELD_OUT_COMBINATIONS, UNSEEN, captions, mention_weights, seen, true_of
from gazecourse.faces.domains import DOMAINS
from gazecourse.losses import contrastive_loss
from gazecourse.models import CLIP
from gazecourse.models.clip import TwoTowers
from gazecourse.training import Settings, train

SIZE = 16
SMALL = {"width": 0.125, "dim": 16, "text_width": 24, "text_layers": 2, "heads": 3}
LEFT, RIGHT = (NAMED["light from"].words.index(f"light from the {side}") for side in ("left", "right"))


class Faces(SimpleNamespace):
    """As much of a ``FaceDataset`` as is read here."""

    def __len__(self):
        return len(self.images)

    def subset(self, rows):
        rows = list(rows)
        kept = {name: getattr(self, name)[rows] for name in ("images", "factors", "gaze", "person")}
        return Faces(**kept, domain=self.domain)


def colored(factors, seed):
    """Stand-ins for pictures: a cap is red, a beanie green, a helmet both; the lit half is blue; the rest is noise."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (len(factors), 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    images[(factors.hat == 1) | (factors.hat == 3), 0] += 180
    images[factors.hat >= 2, 1] += 180
    side = NAMED["light from"].classify(factors)
    images[side == LEFT, 2, :, : SIZE // 2] += 180
    images[side == RIGHT, 2, :, SIZE // 2 :] += 180
    return images


def face_set(domain, count, split="train", seed=0):
    """What ``CaptionedFaces`` reads of a data set, without rendering; every hat equally often."""
    factors = DOMAINS[domain].sample(range(count), people=count, seed=seed, split=split)
    factors = factors.replace(hat=torch.arange(count) % 4, glasses=torch.arange(count) // 4 % 2)
    images = colored(factors, seed)
    return Faces(images=images, factors=factors, gaze=torch.zeros(count, 2), domain=domain, person=factors.person)


@pytest.fixture(scope="module")
def faces():
    return CaptionedFaces([face_set("wild", 40), face_set("laptop", 24)])


class Perfect(TwoTowers):
    """A CLIP that reads one factor's class from an image's first pixel, and knows the sentences for its classes."""

    dim, size, text_width = 4, (SIZE, SIZE), 1

    def __init__(self, sentences):
        super().__init__()
        self.known = sentences

    @property
    def scale(self):
        return torch.tensor(10.0)

    def encode_image(self, image):
        return torch.eye(4)[(image[:, 0, 0, 0] * 255).round().long()]

    def encode_text(self, texts):
        return torch.eye(4)[[self.known(text) for text in texts]]


# ---------------------------------------------------------------------- the data


def test_faces_of_several_sets_stand_in_line_with_their_facts(faces):
    assert len(faces) == 64
    assert faces.domain == ["wild"] * 40 + ["laptop"] * 24
    batch = faces.__getitems__([1, 45])
    assert batch.image.shape == (2, 3, SIZE, SIZE)
    assert torch.equal(batch.image[1], faces.images[45])
    assert batch.domain == ["wild", "laptop"]
    expected = seen(DOMAINS["laptop"].sample(range(24), people=24, seed=0, split="train"))
    assert batch.factors["sex"][1] == expected["sex"][5]
    assert batch.person[1] == faces.person[45]


def test_training_faces_show_no_held_out_combination(faces):
    facts = {name: values.clone() for name, values in faces.facts.items()}
    combination = HELD_OUT_COMBINATIONS[0]
    facts[combination.first][:5] = combination.first_class
    facts[combination.second][3:9] = combination.second_class
    marked = faces.subset(range(64))
    marked.facts = facts
    shown = combination.shown(facts)
    assert int(shown.sum()) >= 2
    kept = marked.without_held_out()
    assert not any(c.shown(kept.facts).any() for c in HELD_OUT_COMBINATIONS)
    assert len(kept) == len(kept.domain) == len(kept.gaze) == len(kept.facts["hat"]) < 64
    assert len(marked) == 64


def test_sets_of_several_sizes_and_no_set_are_refused(faces):
    other = face_set("lab", 2)
    other.images = other.images[..., :8]
    with pytest.raises(ValueError, match=r"sets must be of one image size; got \[\(16, 8\), \(16, 16\)\]"):
        CaptionedFaces([face_set("lab", 2), other])
    with pytest.raises(ValueError, match=r"sets must be of one image size; got \[\]"):
        CaptionedFaces([])


# ---------------------------------------------------------------------- training


def test_losses_are_the_contrastive_loss_of_images_and_their_own_new_captions(faces, monkeypatch):
    torch.manual_seed(0)
    clip = CLIP(SIZE, **SMALL).eval()
    batch = faces.__getitems__(range(12))
    stated, images = [], []
    original = captions
    monkeypatch.setattr(
        "gazecourse.contrastive.captions", lambda *a, **k: stated.append(original(*a, **k)) or stated[-1]
    )
    hook = clip.input.register_forward_pre_hook(lambda _, given: images.append(given[0]))
    for positives in ("true", "own"):
        seed_all(5)
        terms = clip_losses(most=3, positives=positives)(clip, batch)
        match = true_of(stated[-1], mirrored_facts(batch, images[-1])) if positives == "true" else None
        u, v = clip(images[-1], [caption.text for caption in stated[-1]])
        torch.testing.assert_close(terms["loss"], contrastive_loss(u, v, clip.log_scale, positives=match))
        assert terms["scale"].item() == pytest.approx(1 / 0.07)
        images.pop()
    hook.remove()
    assert stated[0] == stated[1]
    assert max(len(caption.facts) for caption in stated[0]) <= 3
    seed_all(6)
    clip_losses()(clip, batch)
    assert stated[-1] != stated[0]


def test_last_caption_speaks_alone_of_what_it_is_asked_to_where_that_is_seen(faces, monkeypatch):
    torch.manual_seed(0)
    clip = CLIP(SIZE, **SMALL).eval()
    batch = faces.__getitems__(range(12))
    shown = batch.factors["light from"] != UNSEEN
    assert 2 < int(shown.sum()) < 12
    stated, images = [], []
    original = captions
    monkeypatch.setattr(
        "gazecourse.contrastive.captions", lambda *a, **k: stated.append(original(*a, **k)) or stated[-1]
    )
    monkeypatch.setattr("gazecourse.contrastive.randomly_mirrored", lambda batch: batch)
    hook = clip.input.register_forward_pre_hook(lambda _, given: images.append(given[0]))
    loss = clip_losses(texts=2, alone=["light from"])(clip, batch)["loss"]
    hook.remove()
    usual, alone = stated
    assert len(usual) == 12
    assert [caption.facts for caption in alone] == [
        (("light from", value),) for value in batch.factors["light from"][shown].tolist()
    ]
    u, v = clip(images[0], [caption.text for caption in [*usual, *alone]])
    parts = contrastive_loss(u, v[:12], clip.log_scale), contrastive_loss(u[shown], v[12:], clip.log_scale)
    torch.testing.assert_close(loss, torch.stack(parts).mean())
    batch.factors["light from"] = torch.full((12,), UNSEEN)
    stated.clear()
    clip_losses(texts=2, alone=["light from"])(clip, batch)
    assert len(stated) == 1, "nobody shows it: the other captions are all that is said"


def mirrored_facts(batch, shown):
    """The facts of images that may have been mirrored: left and right light have changed places there."""
    flipped = torch.tensor([not torch.equal(a, b) for a, b in zip(shown, batch.float_image(), strict=True)])
    light = batch.factors["light from"]
    turned = torch.where(light == LEFT, RIGHT, torch.where(light == RIGHT, LEFT, light))
    return {**batch.factors, "light from": torch.where(flipped, turned, light)}


def test_in_the_mirror_light_from_the_left_comes_from_the_right_and_unseen_light_stays_unseen(faces):
    batch = faces.__getitems__(range(40))
    light, other = batch.factors["light from"], mirror(batch).factors["light from"]
    assert torch.equal(other == RIGHT, light == LEFT)
    assert torch.equal(other == UNSEEN, light == UNSEEN)
    batch.factors["light from"] = torch.full((40,), UNSEEN)
    assert (mirror(batch).factors["light from"] == UNSEEN).all()


@pytest.fixture(scope="module")
def trained():
    """A small CLIP that has seen 320 colored faces two dozen times, and faces of other people."""
    sets = [face_set(name, 160) for name in ("wild", "laptop")]
    data = CaptionedFaces(sets)
    only = ("hat", "light from")
    data.facts = {
        name: values if name in only else torch.full_like(values, UNSEEN) for name, values in data.facts.items()
    }
    seed_all(0)
    clip = CLIP(SIZE, **SMALL)
    optimizer = torch.optim.Adam(clip.parameters(), lr=3e-3)
    train(clip, clip_losses(most=2), data, optimizer, Settings(epochs=24, batch_size=32))
    test = CaptionedFaces([face_set(name, 80, "test", 1) for name in ("wild", "laptop")])
    return clip, test


def test_a_small_clip_learns_hats_and_the_side_of_the_light_from_captions_alone(trained):
    clip, test = trained
    features = image_features(clip, test)
    hat = zero_shot_accuracy(clip, features, test.facts, "hat")
    assert hat.accuracy > 0.95
    light = zero_shot_accuracy(clip, features, test.facts, "light from").confusion
    assert light[LEFT][RIGHT] == light[RIGHT][LEFT] == 0
    # Both sides together: fifty images, of which trainings that round otherwise get different ones wrong.
    assert light[LEFT][LEFT] + light[RIGHT][RIGHT] > 0.7 * sum(light[LEFT] + light[RIGHT]) > 0


def test_wordings_that_training_never_used_are_understood(trained):
    clip, test = trained
    features = image_features(clip, test)
    assert zero_shot_accuracy(clip, features, test.facts, "hat", test=True).accuracy > 0.9


def test_several_captions_for_each_image_are_averaged_and_follow_their_weights(faces, monkeypatch):
    clip = CLIP(SIZE, **SMALL).eval()
    batch = faces.__getitems__(range(12))
    stated, given = [], []
    original = captions

    def kept(*arguments, **settings):
        given.append(settings["weights"])
        return stated.append(original(*arguments, **settings)) or stated[-1]

    monkeypatch.setattr("gazecourse.contrastive.captions", kept)
    monkeypatch.setattr("gazecourse.contrastive.randomly_mirrored", lambda batch: batch)
    weights = mention_weights(faces.facts)
    loss = clip_losses(texts=3, weights=weights)(clip, batch)["loss"]
    assert len(stated) == 3
    assert stated[0] != stated[1] != stated[2]
    assert given == [weights] * 3
    parts = [contrastive_loss(*clip(batch.float_image(), [c.text for c in one]), clip.log_scale) for one in stated]
    torch.testing.assert_close(loss, torch.stack(parts).mean())


# ---------------------------------------------------------------------- zero-shot tests


def hat_of(text):
    return next((i for i, word in ((1, "cap"), (2, "beanie"), (3, "helmet")) if word in text), 0)


def test_zero_shot_accuracy_of_hand_counted_images():
    """True classes 0 0 0 1 1 2, and one unseen; a clip that takes the last cap for a beanie."""
    named = torch.tensor([0, 0, 0, 1, 2, 2, 3])
    facts = {"hat": torch.tensor([0, 0, 0, 1, 1, 2, UNSEEN])}
    result = zero_shot_accuracy(Perfect(hat_of), torch.eye(4)[named], facts, "hat")
    assert result.accuracy == pytest.approx(5 / 6)
    assert result.balanced == pytest.approx((1 + 0.5 + 1) / 3)
    assert result.chance == pytest.approx(1 / 3)
    assert result.majority == pytest.approx(0.5)
    assert result.images == 6
    assert result.classes == ("no hat", "a cap", "a beanie", "a helmet")
    assert result.confusion == ((3, 0, 0, 0), (0, 1, 1, 0), (0, 0, 1, 0), (0, 0, 0, 0))
    assert str(result) == "83.3% (83.3% balanced, chance 33.3%; 6 images)"


def test_the_interval_of_a_balanced_accuracy_is_that_of_people_drawn_anew():
    generator = torch.Generator().manual_seed(0)
    person = torch.arange(60).repeat_interleave(10)
    hat = torch.randint(2, (600,), generator=generator)
    named = torch.where(torch.rand(60, generator=generator).gt(0.3)[person], hat, 1 - hat)
    features = torch.eye(4)[named]
    result = zero_shot_accuracy(Perfect(hat_of), features, {"hat": hat}, "hat", people=person)
    low, high = result.interval
    assert low < result.balanced < high
    right = (named == hat).double().view(60, 10).mean(1)
    assert (high - low) / 2 == pytest.approx(1.96 * float(right.std()) / 60**0.5, rel=0.15)
    everyone_alike = zero_shot_accuracy(Perfect(hat_of), torch.eye(4)[hat], {"hat": hat}, "hat", people=person)
    assert everyone_alike.interval == (1.0, 1.0)


def test_features_are_those_of_the_images_in_order(faces):
    torch.manual_seed(0)
    clip = CLIP(SIZE, **SMALL).eval()
    expected = clip.encode_image(faces.images.float() / 255)
    torch.testing.assert_close(image_features(clip, faces, batch_size=10), expected)


def test_features_of_images_leave_clip_as_it_was_and_do_not_depend_on_the_faces_beside_them(faces):
    torch.manual_seed(0)
    clip = CLIP((2 * SIZE, SIZE), width=0.125, dim=16, text_width=24, text_layers=1, heads=3).train()
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    whole = image_features(clip, faces)
    assert clip.training
    assert all(torch.equal(value, before[name]) for name, value in clip.state_dict().items()), (
        "no BatchNorm has learned"
    )
    torch.testing.assert_close(image_features(clip, faces.subset([5, 6])), whole[5:7], atol=1e-5, rtol=0)


def test_a_combination_is_right_where_both_parts_are_named():
    combination = HELD_OUT_COMBINATIONS[0]  # thick-framed glasses and a cap

    def both(text):
        return 2 * ("thick" in text) + ("a cap" in text)

    facts = {"glasses": torch.tensor([2, 2, 2, 0, 0]), "hat": torch.tensor([1, 1, 0, 0, 0])}
    features = torch.eye(4)[torch.tensor([3, 2, 2, 0, 0])]
    assert combination_accuracy(Perfect(both), features, facts, combination) == (0.5, 2)
    none = {"glasses": torch.tensor([0]), "hat": torch.tensor([1])}
    accuracy, images = combination_accuracy(Perfect(both), features[:1], none, combination)
    assert math.isnan(accuracy)
    assert images == 0


def test_a_combination_with_sex_says_it_by_the_person():
    combination = HELD_OUT_COMBINATIONS[2]  # a man and long hair
    heard = []

    def listen(text):
        heard.append(text)
        return 0

    facts = {"sex": torch.tensor([1, 0, 0]), "hair style": torch.tensor([5, 2, 2])}
    combination_accuracy(Perfect(listen), torch.eye(4)[:3], facts, combination)
    assert "A photo of a man with long hair." in heard
    assert "A photo of a woman with short hair." in heard


def test_report_holds_every_factor_and_combination_as_json(trained):
    clip, test = trained
    report = zero_shot_report(clip, test)
    assert json.loads(json.dumps(report))["factors"].keys() == {
        name for name, values in test.facts.items() if (values != UNSEEN).any()
    }
    assert report["factors"]["hat"]["accuracy"] > 0.95
    assert set(report["held_out_combinations"]) == {str(c) for c in HELD_OUT_COMBINATIONS}
    table = report_table(report)
    assert table.splitlines()[0].split()[:2] == ["factor", "balanced"]
    assert len(table.splitlines()) == 1 + len(report["factors"]) + len(HELD_OUT_COMBINATIONS)


def test_report_says_how_many_people_show_a_combination(trained):
    clip, test = trained
    pair = HELD_OUT_COMBINATIONS[0]
    faces = test.subset(range(6))
    faces.person = torch.tensor([4, 4, 7, 7, 8, 9])
    facts = {pair.first: pair.first_class * torch.ones(6).long(), pair.second: torch.zeros(6).long()}
    facts[pair.second][:3] = pair.second_class
    faces.facts = {name: facts.get(name, torch.full((6,), UNSEEN)) for name in faces.facts}
    report = zero_shot_report(clip, faces)
    found = report["held_out_combinations"][str(pair)]
    assert (found["images"], found["people"]) == (3, 2)
    assert f"{pair}: {found['accuracy']:.0%} of 3 images, 2 people" in report_table(report).splitlines()
    other = str(HELD_OUT_COMBINATIONS[1])
    assert report["held_out_combinations"][other] == {"accuracy": None, "images": 0, "people": 0}
    assert f"{other}: no test image shows it" in report_table(report).splitlines()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: zero_shot_accuracy(Perfect(hat_of), torch.eye(4), {"hat": torch.full((4,), -1)}, "hat"),
            "shows hat",
        ),
        (lambda: zero_shot_accuracy(Perfect(hat_of), torch.eye(4), {"hat": torch.zeros(4)}, "mood"), "name must be"),
        (lambda: clip_losses(positives="all"), "positives must be one of 'own', 'true'; got 'all'"),
        (lambda: clip_losses(texts=0), "texts must be 1 or more"),
        (lambda: clip_losses(alone=["hat"]), "texts must be 2 or more"),
        (lambda: clip_losses(texts=2, alone=["mood"]), "alone must be one of 'sex'"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------------- the script


SMALL_SETS = ("--people", "3", "--images", "8")


def _with_small_sets(monkeypatch, script, asked):
    def train(domain, split, people, images):
        asked.append((domain, split, people, images))
        return face_set(domain, images, split)

    def test(domain):
        asked.append((domain, "test"))
        return face_set(domain, 8, "test")

    monkeypatch.setattr(script, "FaceDataset", train)
    monkeypatch.setattr(script, "test_faces", test)


def test_the_script_learns_from_training_people_without_held_out_combinations_and_tests_on_others(monkeypatch, cache):
    script = load_script("data_scripts/train_clip.py")
    asked, seen, taught, alone, weighed, folders = [], {}, [], [], [], []
    _with_small_sets(monkeypatch, script, asked)
    monkeypatch.setattr(CaptionedFaces, "without_held_out", lambda self: self.subset([1, 2, 5]))

    def stopped(clip, losses, training, optimizer, settings, *, folder, resume, **_):
        assert resume
        folders.append(folder)
        taught.append((list(training.facts), settings.epochs, optimizer.param_groups[0]["lr"]))
        seen.update(training=training, optimizer=optimizer, settings=settings)
        if len(taught) % 2 == 0:
            raise InterruptedError
        return SimpleNamespace(records=[{"seconds": 60.0}])

    monkeypatch.setattr(script, "train", stopped)
    original = script.clip_losses

    def losses(**options):
        alone.append(tuple(options["alone"]))
        weighed.append(options["weights"])
        return original(**options)

    monkeypatch.setattr(script, "clip_losses", losses)
    monkeypatch.setattr(script, "CLIP", lambda size: CLIP(size, **SMALL))
    options = [*SMALL_SETS, "--domains", "studio", "--seed", "5", "--decay", "0.1", "--dry"]
    with pytest.raises(InterruptedError):
        script.main(options)
    assert asked == [("studio", "train", 3, 8), *((domain, "test") for domain in script.DOMAINS)]
    assert len(seen["training"]) == 3
    assert taught == [(list(NAMED), 18, 3e-3), (list(NAMED), 10, 2e-3)]
    assert alone == [(), ("light from",)]
    assert weighed == [mention_weights(seen["training"].facts)] * 2
    assert seen["settings"].seed == 5
    weights, others = seen["optimizer"].param_groups
    assert (weights["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert all(p.ndim > 1 for p in weights["params"])
    assert any(p.ndim == 0 for p in others["params"]), "the temperature does not decay"
    for changes in (["--more-epochs", "3"], ["--out", "elsewhere"], ["--rate", "1e-4"]):
        with pytest.raises(InterruptedError):
            script.main([*options, *changes])
    (first, second), (same, other), again, (slow, slower) = zip(folders[::2], folders[1::2], strict=True)
    assert same == first, "the first part does not depend on how long the second is"
    assert again == (first, second)
    assert len({first, second, other, slow, slower}) == 5


def test_the_script_trains_saves_and_reports(tmp_path, monkeypatch, cache, capsys):
    script = load_script("data_scripts/train_clip.py")
    _with_small_sets(monkeypatch, script, [])
    monkeypatch.setattr(script, "CLIP", lambda size: CLIP(size, **SMALL))
    written, card = {}, tmp_path / "clip.md"
    monkeypatch.setattr(script, "MODEL_CARD", card)

    def write(name, device, **content):
        written.update(content, name=name)
        path = tmp_path / "clip.json"
        hardware = {"processor": "a slow one"}
        path.write_text(json.dumps({**content, "command": "train_clip.py", "hardware": hardware}))
        return path

    monkeypatch.setattr(script, "write", write)
    out = tmp_path / "clip.safetensors"
    options = ["--epochs", "1", "--more-epochs", "3", *SMALL_SETS, "--batch-size", "4", "--out", str(out)]
    assert script.main([*options, "--dry"]) == 0
    assert not written
    assert not card.exists()
    assert script.main(options) == 0
    assert written["name"] == "clip"
    assert written["training_images"] <= 32
    parts = list((cache / "runs" / "clip").iterdir())
    assert len(parts) == 2
    seconds = [json.loads((part / "history.jsonl").read_text().splitlines()[-1])["seconds"] for part in parts]
    assert written["minutes"] == pytest.approx(sum(seconds) / 60, abs=0.06)
    trained = {part: (part / "checkpoint.safetensors").stat().st_mtime_ns for part in parts}
    assert script.main([*options, "--more-epochs", "2"]) == 0
    assert [part for part in parts if (part / "checkpoint.safetensors").stat().st_mtime_ns != trained[part]] == []
    assert len(list((cache / "runs" / "clip").iterdir())) == 3, "only the second part is trained anew"
    assert script.main([*options, "--domains", "studio", "wild"]) == 0
    assert written["training_images"] <= 16
    assert written["test_images"] == 32
    assert written["bytes"] == out.stat().st_size
    json.dumps(written)
    assert "held-out wording" in capsys.readouterr().out
    text = card.read_text(encoding="utf-8")
    assert f"{written['training_images']} rendered faces of" in text
    assert "from the domains studio, wild, and" in text
    assert "1 + 3 epochs, batches of 4" in text
    glasses = written["factors"]["glasses"]
    columns = ("held_out_wording", "chance", "accuracy", "majority")
    assert f"| glasses | {glasses['balanced']:.1%} | [" in text
    assert "] | " + " | ".join(f"{glasses[one]:.1%}" for one in columns) + f" | {glasses['images']} |" in text
    assert "| no glasses | " + " | ".join(map(str, glasses["confusion"][0])) + " |" in text
    assert all(f"- {pair}: " in text for pair in written["held_out_combinations"])
    monkeypatch.setattr(script, "LARGEST_FILE", 1000)
    assert script.main([*options, "--dry"]) == 1
    assert "error: a shipped checkpoint" in capsys.readouterr().err
