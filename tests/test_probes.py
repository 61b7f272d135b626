"""Linear probes: they find what is planted, nothing in noise, and do not get by on knowing people by heart."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from gazecourse.analysis import probes
from gazecourse.analysis.probes import FACTORS, Probe, features_of, leakage, named_leakage, probe
from gazecourse.angles import vector_to_pitchyaw
from gazecourse.faces.attributes import NAMED
from gazecourse.faces.captions import UNSEEN, seen
from gazecourse.faces.domains import DOMAINS
from gazecourse.sample import Sample

PEOPLE, IMAGES = 20, 300
PERSON = torch.arange(IMAGES) % PEOPLE
QUICK = {"resamples": 200}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mixed(columns: torch.Tensor, width: int = 12, level: float = 0.3, seed: int = 0) -> torch.Tensor:
    """Features that hold ``columns`` [N, k] in no single unit, and noise."""
    return columns @ noise(columns.shape[1], width, seed=seed + 50) + level * noise(len(columns), width, seed=seed)


# --- what is there is found, what is not is not --------------------------------------------------


def test_a_planted_quantity_is_found_and_its_interval_holds_the_score():
    yaw = noise(IMAGES, seed=1)
    found = probe(mixed(yaw[:, None]), yaw, PERSON, **QUICK)
    assert found.kind == "quantity"
    assert found.score > 0.95
    assert found.low < found.score < found.high


def test_a_planted_class_is_found():
    kind = torch.arange(IMAGES) // 3 % 3
    found = probe(mixed(torch.eye(3)[kind]), kind, PERSON, **QUICK)
    assert found.kind == "classes"
    assert found.score > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_random_features_score_about_zero(seed):
    features = noise(IMAGES, 12, seed=seed)
    assert probe(features, noise(IMAGES, seed=7), PERSON, **QUICK).score == pytest.approx(0, abs=0.06)
    assert probe(features, noise(IMAGES, seed=8) > 0, PERSON, **QUICK).score == pytest.approx(0, abs=0.15)
    assert probe(features, PERSON, PERSON, split="image", **QUICK).score == pytest.approx(0, abs=0.06)


def test_the_score_falls_as_noise_hides_the_factor():
    yaw = noise(IMAGES, seed=1)
    scores = [probe(mixed(yaw[:, None], level=level), yaw, PERSON, **QUICK).score for level in (0.1, 2.0, 8.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.5


def test_a_vector_is_scored_as_one():
    known, unknown = noise(IMAGES, 1, seed=1), noise(IMAGES, 1, seed=2)
    found = probe(mixed(known, level=0.01), torch.cat([known, unknown], dim=1), PERSON, **QUICK)
    assert found.score == pytest.approx(0.5, abs=0.1)


# --- nobody is in both parts --------------------------------------------------------------------


def test_knowing_people_by_heart_does_not_help_with_what_they_keep():
    age, sex = noise(PEOPLE, seed=3)[PERSON], (torch.arange(PEOPLE) % 2)[PERSON]
    faces = mixed(torch.eye(PEOPLE)[PERSON], width=24, level=0.1)  # who it is, and nothing else
    for target in (age, sex):
        assert probe(faces, target, PERSON, split="image", **QUICK).score > 0.9
        assert probe(faces, target, PERSON, **QUICK).score < 0.3


def test_identity_is_found_in_other_images_of_the_same_people():
    faces = mixed(torch.eye(PEOPLE)[PERSON], width=24)
    assert probe(faces, PERSON, PERSON, split="image", **QUICK).score > 0.9


@pytest.mark.parametrize("labels", [None, np.arange(IMAGES) % 3, (np.arange(IMAGES) % PEOPLE < 5).astype(int)])
def test_people_are_in_one_group_each_and_every_class_in_every_group(labels):
    member = PERSON.numpy()
    group = probes._deal(member, labels, "person", 5, 0)
    assert all(len(set(group[member == who])) == 1 for who in range(PEOPLE))
    assert np.bincount(group).tolist() == [60] * 5
    if labels is not None:
        assert all(set(labels[group == number]) == set(labels) for number in range(5))


def test_split_by_image_gives_everybody_to_every_group():
    group = probes._deal(PERSON.numpy(), None, "image", 5, 0)
    assert all(np.bincount(group[who == PERSON]).tolist() == [3] * 5 for who in range(PEOPLE))


def test_the_judged_part_is_standardized_by_the_means_of_the_other():
    seen = []
    kept = probes._standardize

    def watched(rows):
        seen.append(len(rows))
        return kept(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "_standardize", watched)
        probe(noise(IMAGES, 4), noise(IMAGES, seed=1), PERSON, **QUICK)
    assert sorted(set(seen)) == [180, 240], "240 of 300 to learn from, of which 180 while the penalty is chosen"


def test_one_wild_image_does_not_change_what_a_probe_of_the_others_learns():
    yaw, features = noise(IMAGES, seed=1), noise(IMAGES, 6)
    group = probes._deal(PERSON.numpy(), None, "person", 5, 0)
    features[0] *= 1e6
    other = torch.cat([2 * features[:1], features[1:]])
    values, member = yaw.double().numpy()[:, None], PERSON.numpy()
    first, second = (
        probes._held_out(probes._fit_quantity, rows.double().numpy(), values, member, group, "person", 0)
        for rows in (features, other)
    )
    same_group = group == group[0]
    same_group[0] = False
    np.testing.assert_array_equal(first[same_group], second[same_group])


# --- the scale of scores ------------------------------------------------------------------------


def test_chance_is_zero_and_perfection_one_however_uneven_the_classes():
    labels, member = np.array([0, 0, 0, 0, 1, 2, 2, 0]), np.array([0, 0, 1, 1, 0, 1, 0, 1])
    everybody = np.ones((1, 2), dtype=int)
    assert probes._class_scores(labels, labels, member, everybody) == pytest.approx(1)
    assert probes._class_scores(labels, np.zeros_like(labels), member, everybody) == pytest.approx(0)
    # recalls 4/5, 1 and 1/2: (23/30 − 1/3) / (2/3)
    guesses = np.array([0, 0, 0, 0, 1, 2, 0, 1])
    assert probes._class_scores(labels, guesses, member, everybody) == pytest.approx((23 / 30 - 1 / 3) * 1.5)


def test_r2_is_zero_for_the_mean_of_the_part_that_was_learned_from():
    values, means, member = np.array([[1.0], [3.0], [5.0]]), np.array([[2.0], [2.0], [4.0]]), np.array([0, 1, 1])
    everybody = np.ones((1, 2), dtype=int)
    assert probes._quantity_scores(values, means, means, member, everybody) == pytest.approx(0)
    assert probes._quantity_scores(values, values, means, member, everybody) == pytest.approx(1)
    worse = np.array([[3.0], [2.0], [4.0]])  # misses by 2, 1, 1 where the means miss by 1, 1, 1
    assert probes._quantity_scores(values, worse, means, member, everybody) == pytest.approx(1 - 6 / 3)


def test_the_interval_draws_people_not_images():
    yaw = noise(IMAGES, seed=1)
    odd = (PERSON % 2 == 0)[:, None]
    features = torch.where(odd, mixed(yaw[:, None], level=0.1), noise(IMAGES, 12, seed=9))
    by_person = probe(features, yaw, PERSON, **QUICK)
    by_image = probe(features, yaw, torch.arange(IMAGES), **QUICK)
    assert by_person.high - by_person.low > 1.5 * (by_image.high - by_image.low)


def test_same_arguments_give_the_same_probe_and_units_and_names_do_not_matter():
    kind = torch.arange(IMAGES) // 3 % 3
    features = mixed(torch.eye(3)[kind], level=2.0)
    first = probe(features, kind, PERSON, **QUICK)
    assert probe(features, kind, PERSON, **QUICK) == first
    assert probe(features.numpy(), kind.numpy(), PERSON.numpy(), **QUICK) == first
    scaled = probe(features * 10 ** torch.linspace(-2, 2, 12) + 30, 7 * kind - 3, PERSON + 100, **QUICK)
    assert scaled.score == pytest.approx(first.score, abs=1e-6)


def test_units_that_never_fire_do_no_harm():
    yaw = noise(IMAGES, seed=1)
    features = mixed(yaw[:, None])
    dead = torch.zeros(IMAGES, 3)
    dead[0, 1] = 1.0
    assert probe(torch.cat([features, dead], dim=1), yaw, PERSON, **QUICK).score > 0.9
    assert probe(dead[:, :1], yaw, PERSON, **QUICK).score == pytest.approx(0)


# --- all factors --------------------------------------------------------------------------------


def faces(domain: str = "wild", images: int = 240, people: int = 12) -> SimpleNamespace:
    """What a ``FaceDataset`` knows of its faces, without pictures."""
    factors = DOMAINS[domain].sample(range(images), people=people, seed=0, split="train")
    gaze = vector_to_pitchyaw(factors.target - factors.head_position)
    return SimpleNamespace(
        factors=factors, gaze=gaze, head=vector_to_pitchyaw(-factors.head_rotation[..., 2]), person=factors.person
    )


@pytest.fixture(scope="module")
def data():
    return faces()


def test_leakage_tells_what_features_hold_from_what_they_do_not(data):
    found = leakage(mixed(data.gaze), data, ["gaze pitch", "gaze yaw", "identity", "noise"], **QUICK)
    assert list(found) == ["gaze pitch", "gaze yaw", "identity", "noise"]
    assert min(found["gaze pitch"].score, found["gaze yaw"].score) > 0.8
    assert max(found["identity"].score, found["noise"].score) < 0.2


def test_every_factor_has_a_probe_or_a_reason(data):
    found = leakage(noise(240, 3), data, resamples=20)
    assert list(FACTORS) == sorted([*found, *found.left_out], key=list(FACTORS).index)
    assert {"gaze yaw", "head yaw", "identity", "light direction", "brightness", "skin tone", "age"} <= found.keys()
    assert all(isinstance(value, Probe) for value in found.values())


def test_what_cannot_be_probed_for_is_left_out_with_the_reason():
    lab = faces("lab")  # nobody wears a hat there
    lab.factors = lab.factors.replace(glasses=(lab.person % 12 == 3).long())
    found = leakage(noise(240, 3), lab, ["hat", "glasses", "age"], **QUICK)
    assert list(found) == ["age"]
    assert found.left_out == {
        "hat": "it is the same in all images",
        "glasses": "class 1 is shown by only 1 of the 5 people it takes",
    }
    with pytest.raises(KeyError, match="hat is left out, because it is the same in all images"):
        found["hat"]
    with pytest.raises(KeyError, match="wig is not among the factors"):
        found["wig"]
    assert str(found).splitlines()[1:] == [
        "hat      left out: it is the same in all images",
        "glasses  left out: class 1 is shown by only 1 of the 5 people it takes",
    ]
    assert str(found).startswith(f"age      {found['age']}  quantity")


# --- features -----------------------------------------------------------------------------------


class Faces(Dataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Sample:
        image = torch.randint(256, (3, 8, 8), generator=torch.Generator().manual_seed(index)).to(torch.uint8)
        return Sample(image=image, gaze=torch.zeros(2))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.unused = nn.Linear(4, 4)
        self.last = nn.Linear(4, 2)

    def features(self, image):
        return self.norm(self.convolution(image))

    def forward(self, image):
        return self.last(self.features(image).mean((2, 3)))


def test_features_are_maps_averaged_over_positions_in_the_order_of_the_faces():
    model, data = Network(), Faces()
    features = features_of(model, data, "norm", batch_size=2)
    assert features.shape == (5, 4)
    images = torch.stack([data[number].float_image() for number in range(5)])
    torch.testing.assert_close(features, model.eval().features(images).mean((2, 3)).detach())
    by_call = features_of(model, data, forward=lambda m, batch: m.features(batch.float_image()))
    torch.testing.assert_close(by_call, features)
    torch.testing.assert_close(features_of(model, data, "last"), model(images).detach())


def test_reading_features_leaves_the_model_as_it_was():
    model = Network().train()
    features_of(model, Faces(), "norm")
    assert model.training
    assert not model.norm._forward_hooks
    assert model.norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "conv"}, "layer must be one of 'convolution', 'norm', 'unused', 'last'; got 'conv'"),
        ({"layer": "unused"}, "layer must run once in a forward pass; 'unused' ran 0 times"),
        ({"layer": "last", "forward": lambda m, b: m(b.float_image()) + m(b.float_image())}, "'last' ran 2 times"),
        ({"forward": lambda m, b: b.float_image().sum((1, 2, 3))}, r"forward must give features \[B, D\] or maps"),
    ],
)
def test_layers_that_give_no_features_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        features_of(Network(), Faces(), **arguments)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"features": noise(IMAGES)}, ValueError, r"features must have shape \[N, D\]"),
        ({"features": torch.ones(IMAGES, 3, dtype=torch.long)}, TypeError, "features must be floating point"),
        ({"features": torch.full((IMAGES, 3), torch.nan)}, ValueError, "features must be finite"),
        ({"features": noise(IMAGES, 0)}, ValueError, "features must hold at least one face and one feature"),
        ({"target": noise(9)}, ValueError, r"target must be one per row of features, \[300\]; got .* shape \[9\]"),
        ({"target": torch.zeros(IMAGES, 2, dtype=torch.long)}, ValueError, "target must be one per row"),
        ({"target": ["a"] * IMAGES}, TypeError, "target must be a tensor or array; got list"),
        ({"target": torch.full((IMAGES,), torch.inf)}, ValueError, "target must be finite"),
        ({"target": torch.ones(IMAGES)}, ValueError, "target cannot be probed for, because it is the same"),
        ({"target": (PERSON < 3)}, ValueError, "because class 1 is shown by only 3 of the 5 people it takes"),
        ({"person": PERSON.float()}, TypeError, "person must be integers"),
        ({"person": PERSON[:9]}, ValueError, r"person must have shape \[300\]"),
        ({"person": PERSON % 3}, ValueError, "because there are only 3 of the 5 people it takes"),
        ({"person": torch.arange(IMAGES), "split": "image"}, ValueError, "somebody has only 1 of the 5 images"),
        ({"split": "people"}, ValueError, "split must be one of 'person', 'image'; got 'people'"),
        ({"folds": 1}, ValueError, "folds must be 2 or more; got 1"),
        ({"level": 1.0}, ValueError, "level must lie between 0 and 1"),
        ({"resamples": 0}, ValueError, "resamples must be 1 or more"),
        ({"seed": -1}, ValueError, "seed must be 0 or more"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(change, error, message):
    arguments = {"features": noise(IMAGES, 3), "target": noise(IMAGES, seed=1), "person": PERSON} | change
    with pytest.raises(error, match=message):
        probe(arguments.pop("features"), arguments.pop("target"), arguments.pop("person"), **arguments)


def test_named_factors_are_probed_for_on_the_faces_that_show_them(data):
    facts = seen(data.factors)
    sides = facts["light from"]
    planted = mixed(torch.nn.functional.one_hot(sides.clamp(min=0), 5).float(), level=0.1)
    planted[sides == UNSEEN] = 1e3 * noise(int((sides == UNSEEN).sum()), 12, seed=4)  # nobody may look here
    assert named_leakage(planted, data, ["light from"], **QUICK)["light from"].score > 0.9


def test_classes_that_too_few_people_show_do_not_count_and_single_classes_are_left_out(data, monkeypatch):
    people = data.person.unique()
    facts = {"hat": (data.person == people[0]).long(), "sex": (data.person % 2).long()}
    facts["glasses"] = torch.where(data.person == people[3], 2, facts["sex"])
    monkeypatch.setattr(probes, "seen", lambda factors: facts)
    asked = []
    monkeypatch.setattr(probes, "probe", lambda f, labels, *a, **k: asked.append(labels) or Probe(0, 0, 0, "classes"))
    found = named_leakage(noise(240, 3), data, ["hat", "glasses"], **QUICK)
    assert found.left_out == {"hat": "fewer than two of its classes are shown by 5 people"}
    assert len(asked) == 1
    assert set(asked[0].tolist()) == {0, 1}
    assert len(asked[0]) == int((data.person != people[3]).sum())


def test_named_factors_default_to_all_of_them(data, monkeypatch):
    monkeypatch.setattr(probes, "probe", lambda *a, **k: Probe(0, 0, 0, "classes"))
    found = named_leakage(noise(240, 3), data)
    assert set(found) | set(found.left_out) == set(NAMED)
    assert len(found) > 5
    with pytest.raises(ValueError, match=r"factors must be one of .*; got 'mood'"):
        named_leakage(noise(240, 3), data, ["mood"])
    with pytest.raises(TypeError, match="factors must be a list of names; got str 'hat'"):
        named_leakage(noise(240, 3), data, "hat")


def test_factors_that_are_not_known_and_features_of_other_faces_are_refused(data):
    with pytest.raises(ValueError, match=r"factors must be one of 'gaze pitch', .*; got 'mood'"):
        leakage(noise(240, 3), data, ["age", "mood"])
    with pytest.raises(TypeError, match="factors must be a list of names; got str 'age'"):
        leakage(noise(240, 3), data, "age")
    with pytest.raises(ValueError, match=r"features must have shape \[240, D\]"):
        leakage(noise(200, 3), data)
