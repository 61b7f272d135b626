"""Factors, the classes that they fall into, and the words for them."""

from __future__ import annotations

import pytest
import torch

from gazecourse.faces import attributes
from gazecourse.faces.attributes import (
    BACKGROUNDS,
    BEARDS,
    CATEGORIES,
    EXPRESSIONS,
    EYE_COLORS,
    GLASSES,
    HAIR_COLORS,
    HAIR_STYLES,
    HATS,
    NAMED,
    OCCLUDERS,
    Factors,
    caption,
    classes,
    words,
)
from gazecourse.faces.domains import DOMAINS, STUDIO, WILD
from gazecourse.faces.head import identity_index, identity_names


@pytest.fixture(scope="module")
def faces() -> Factors:
    return WILD.sample(range(6), people=3, seed=0, split="train")


@pytest.fixture(scope="module")
def plain() -> Factors:
    """One face about which as little as possible can be said."""
    factors = STUDIO.sample([0], people=1, seed=0, split="train")
    zero = {name: 0 for name in ("glasses", "hat", "beard", "occluder", "expression", "makeup", "noise", "motion")}
    return factors.replace(**zero, identity=0.0, brow_thickness=0.5, defocus=0.0, resolution=1.0, compression=100.0)


def test_classes_are_in_range_and_every_word_can_come_up():
    drawn = [domain.sample(range(3000), people=1500, seed=0, split="train") for domain in DOMAINS.values()]
    for name, label in classes(Factors.concatenate(drawn)).items():
        count = len(NAMED[name].words)
        assert label.dtype == torch.int64, name
        assert label.shape == (12000,), name
        assert label.min() >= 0, name
        assert label.max() < count, name
        assert torch.bincount(label, minlength=count).min() > 0, (name, torch.bincount(label, minlength=count))


def test_the_groups_are_those_of_the_paper():
    assert {factor.group for factor in NAMED.values()} == {"appearance", "wearable", "quality"}


def test_every_category_has_a_word_for_each_of_its_classes():
    names = {name.replace("_", " "): len(options) for name, options in CATEGORIES.items()}
    assert {name: len(NAMED[name].words) for name in names} == names


@pytest.mark.parametrize(
    ("changes", "name", "phrase"),
    [
        ({"male": -0.8}, "sex", "a woman"),
        ({"male": 0.8}, "sex", "a man"),
        ({"age": 20.0}, "age", "young"),
        ({"age": 45.0}, "age", "middle-aged"),
        ({"age": 70.0}, "age", "old"),
        ({"skin_tone": 0.1}, "skin", "light skin"),
        ({"skin_tone": 0.9}, "skin", "dark skin"),
        ({"brow_thickness": 0.1}, "eyebrows", "thin eyebrows"),
        ({"brow_thickness": 0.9}, "eyebrows", "thick eyebrows"),
        ({"eye_color": EYE_COLORS.index("green")}, "eye color", "green eyes"),
        ({"hair_color": HAIR_COLORS.index("red")}, "hair color", "red hair"),
        ({"hair_style": HAIR_STYLES.index("bald")}, "hair style", "a bald head"),
        ({"beard": BEARDS.index("mustache")}, "beard", "a mustache"),
        ({"expression": EXPRESSIONS.index("laughing"), "expression_strength": 1.0}, "expression", "a laugh"),
        ({"glasses": GLASSES.index("sunglasses")}, "glasses", "sunglasses"),
        ({"hat": HATS.index("helmet")}, "hat", "a helmet"),
        ({"makeup": 0.9}, "makeup", "heavy makeup"),
        ({"background": BACKGROUNDS.index("street")}, "background", "a street behind"),
        ({"noise": 0.05}, "noise", "sensor noise"),
        ({"motion": torch.tensor([-0.03, 0.0])}, "motion", "motion blur"),
        ({"defocus": 0.02}, "focus", "a blurred, out-of-focus picture"),
        ({"resolution": 0.3}, "resolution", "low resolution"),
        ({"compression": 20.0}, "compression", "compression artifacts"),
        ({"occluder": OCCLUDERS.index("mug")}, "occluder", "a mug in front of the face"),
    ],
)
def test_a_factor_is_said_in_its_words(plain, changes, name, phrase):
    changed = plain.replace(**changes)
    assert words(changed)[0][name] == phrase
    assert phrase.removeprefix("a ") in caption(changed)[0]


@pytest.mark.parametrize("name", ["glasses", "hat", "beard", "makeup", "noise", "motion", "focus", "occluder", "nose"])
def test_what_goes_without_saying_is_left_out(plain, name):
    assert name not in words(plain)[0]
    assert ", ," not in caption(plain)[0]


@pytest.mark.parametrize(
    ("name", "coefficient", "narrow", "broad"),
    [
        ("face shape", "head-scale-horiz", "a narrow face", "a broad face"),
        ("nose", "nose-scale-horiz", "a narrow nose", "a wide nose"),
        ("mouth", "mouth-scale-horiz", "a narrow mouth", "a wide mouth"),
        ("eyes", "eye-scale", "small eyes", "large eyes"),
    ],
)
def test_shape_words_read_the_coefficient_of_their_name(plain, name, coefficient, narrow, broad):
    for value, phrase in ((-0.5, narrow), (0.5, broad)):
        identity = torch.zeros(len(identity_names()))
        identity[identity_index(coefficient)] = value
        assert words(plain.replace(identity=identity))[0][name] == phrase


@pytest.mark.parametrize(
    ("direction", "phrase"),
    [
        ((0.0, 0.0, -1.0), "light from the front"),
        ((-0.8, 0.0, -0.6), "light from the left"),
        ((0.8, 0.0, -0.6), "light from the right"),
        ((0.0, -0.8, -0.6), "light from above"),
        ((0.0, 0.8, -0.6), "light from below"),
    ],
)
def test_light_comes_from_where_the_strongest_lamp_is(plain, direction, phrase):
    weak, strong = (-direction[0], -direction[1], -1.0), direction
    lights = torch.nn.functional.normalize(torch.tensor([weak, strong, weak]), dim=1)
    colors = torch.tensor([0.2, 1.0, 0.1])[:, None].expand(3, 3)
    assert words(plain.replace(light_direction=lights, light_color=colors))[0]["light from"] == phrase


def test_light_words_follow_exposure_and_color(plain):
    lit = plain.replace(light_color=0.7, ambient_above=0.2, ambient_below=0.2, exposure=1.0)
    assert {"brightness", "light color"}.isdisjoint(words(lit)[0])
    assert words(lit.replace(exposure=0.3))[0]["brightness"] == "dim light"
    assert words(lit.replace(exposure=3.0))[0]["brightness"] == "bright light"
    assert words(lit.replace(light_color=torch.tensor([1.2, 0.7, 0.4])))[0]["light color"] == "warm light"
    assert words(lit.replace(light_color=torch.tensor([0.4, 0.7, 1.2])))[0]["light color"] == "cool light"


def test_captions_are_sentences(plain):
    old_woman = plain.replace(age=80.0, male=-1.0, skin_tone=0.1, hat=1)
    sentence = caption(old_woman)[0]
    assert sentence.startswith("A photo of an old woman with light skin, ")
    assert sentence.endswith(".")
    assert "a cap" in sentence
    assert caption(plain.replace(age=20.0, male=1.0))[0].startswith("A photo of a young man with ")


# ------------------------------------------------------------------ the container


def test_replace_changes_a_copy_and_repeats_numbers_and_rows(faces):
    before = faces.age.clone()
    changed = faces.replace(age=33.0, hat_color=torch.tensor([0.1, 0.2, 0.3]), blink=torch.linspace(0, 0.5, 6))
    assert torch.equal(faces.age, before)
    assert (changed.age == 33).all()
    assert torch.equal(changed.hat_color, torch.tensor([[0.1, 0.2, 0.3]]).expand(6, 3))
    assert torch.equal(changed.blink, torch.linspace(0, 0.5, 6))
    assert torch.equal(changed.target, faces.target)
    changed.age[0] = 40.0
    assert changed.age[1] == 33


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mood": 1.0}, "factor must be one of 'camera', .*; got 'mood'"),
        ({"age": torch.ones(4)}, r"age must fit shape \[6\]; got tensor of shape \[4\]"),
        ({"target": torch.ones(6)}, r"target must fit shape \[6, 3\]; got tensor of shape \[6\]"),
        ({"age": "old"}, r"age must fit shape \[6\]; got str 'old'"),
    ],
)
def test_replace_names_the_factor_that_does_not_fit(faces, change, message):
    with pytest.raises(ValueError, match=message):
        faces.replace(**change)


def test_indexing_keeps_the_batch_axis_and_takes_lists_slices_and_masks(faces):
    assert len(faces[2]) == len(faces[-1]) == 1
    assert torch.equal(faces[-1].target, faces.target[5:])
    assert torch.equal(faces[1:4].seed, faces.seed[1:4])
    assert torch.equal(faces[[4, 0]].seed, faces.seed[[4, 0]])
    mask = torch.tensor([True, False, True, False, False, False])
    assert torch.equal(faces[mask].person, faces.person[mask])


@pytest.mark.parametrize("index", [6, -7])
def test_indexing_outside_the_batch_names_the_range(faces, index):
    with pytest.raises(IndexError, match=rf"index must lie in \[-6, 5\]; got {index}"):
        faces[index]


def test_concatenate_restores_what_was_cut(faces):
    joined = Factors.concatenate([faces[:2], faces[2:]])
    assert all(
        torch.equal(a.nan_to_num(), b.nan_to_num())
        for (_, a), (_, b) in zip(joined.items(), faces.items(), strict=True)
    )


def test_map_and_to_reach_every_factor(faces):
    assert all(value.device.type == "meta" for _, value in faces.to("meta").items())
    assert len(faces.map(lambda value: value[:2])) == 2


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("age", torch.full((6,), 7.0), ValueError, r"age must lie in \[18, 90\]"),
        ("blink", torch.full((6,), 1.5), ValueError, r"blink must lie in \[0, 1\]"),
        ("hat", torch.full((6,), 4), ValueError, r"hat must lie in \[0, 3\]"),
        ("target", torch.full((6, 3), float("nan")), ValueError, "target must be finite; got NaN"),
        ("target", torch.zeros(6, 2), ValueError, r"target must have shape \[6, 3\]"),
        ("age", torch.full((6,), 30), TypeError, "age must be floating point"),
        ("head_position", torch.zeros(6, 3), ValueError, "head_position must lie in front of the camera"),
    ],
)
def test_check_names_the_factor_that_cannot_be_drawn(faces, name, value, error, message):
    broken = Factors(**{**dict(faces.items()), name: value})
    with pytest.raises(error, match=message):
        broken.check()


def test_check_allows_nan_only_where_there_is_no_screen(faces):
    assert faces.screen.isnan().all()
    assert faces.check() is faces


def test_luminance_weighs_the_colors_as_the_eye_does():
    color = torch.eye(3)
    torch.testing.assert_close(attributes.luminance(color), torch.tensor([0.2126, 0.7152, 0.0722]))
