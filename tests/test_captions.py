"""Captions in varied words: true, of what can be seen, repeatable, and with something held out."""

import random
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gazecourse.faces import captions as module
from gazecourse.faces.attributes import NAMED, Factors, classes
from gazecourse.faces.captions import (
    BARE_TEMPLATES,
    HELD_OUT_BARE_TEMPLATES,
    HELD_OUT_COMBINATIONS,
    HELD_OUT_TEMPLATES,
    HELD_OUT_WORDINGS,
    TEMPLATES,
    UNSEEN,
    WORDINGS,
    captions,
    class_prompts,
    factor_phrases,
    held_out,
    mention_weights,
    prompt,
    seen,
    true_of,
)
from gazecourse.faces.domains import DOMAINS, STUDIO
from gazecourse.tokenizer import Tokenizer, split_words


@pytest.fixture(scope="module")
def factors():
    return Factors.concatenate([d.sample(range(60), people=30, seed=0, split="train") for d in DOMAINS.values()])


@pytest.fixture(scope="module")
def facts(factors):
    return seen(factors)


@pytest.fixture(scope="module")
def plain():
    """A sharp frontal face with hair and nothing on, lit by one lamp from the left of the picture."""
    face = STUDIO.sample([0], people=1, seed=0, split="train")
    lamp = torch.zeros(1, 3, 3)
    lamp[0, 0] = 1.0
    side = torch.nn.functional.normalize(torch.tensor([-1.0, 0.0, -1.0]), dim=0).expand(1, 3, 3)
    nothing = dict.fromkeys(("glasses", "hat", "beard", "occluder", "expression", "makeup", "noise", "motion"), 0)
    return face.replace(
        **nothing, head_rotation=torch.eye(3), hair_style=2, defocus=0.0, resolution=1.0, blink=0.0,
        light_color=lamp, light_direction=side, ambient_above=0.1, ambient_below=0.1, exposure=1.0,
    )  # fmt: skip


def words_of(table):
    return {w for rows in table.values() for wordings in rows for text in wordings for w in split_words(text)}


# ---------------------------------------------------------------------- wordings


def test_every_class_has_a_wording_and_the_first_is_that_of_attributes():
    assert list(WORDINGS) == list(HELD_OUT_WORDINGS) == list(NAMED)
    for name, factor in NAMED.items():
        assert len(WORDINGS[name]) == len(HELD_OUT_WORDINGS[name]) == len(factor.words)
        for phrase, wordings in zip(factor.words, WORDINGS[name], strict=True):
            assert all(wordings)
            assert not phrase or wordings[0] == phrase


def test_no_wording_stands_for_two_classes():
    for table in (WORDINGS, HELD_OUT_WORDINGS):
        for name, rows in table.items():
            texts = [text for wordings in rows for text in wordings]
            assert len(texts) == len(set(texts)), name


def test_every_further_wording_belongs_to_a_phrase():
    phrases = {wordings[0] for rows in WORDINGS.values() for wordings in rows}
    assert set(module._MORE) | set(module._HELD_OUT) <= phrases
    absent = {name for name, factor in NAMED.items() if "" in factor.words}
    assert set(module._ABSENT) == absent


def test_held_out_wordings_are_new_sentences_of_words_that_training_uses():
    templates = TEMPLATES + BARE_TEMPLATES
    held_templates = HELD_OUT_TEMPLATES + HELD_OUT_BARE_TEMPLATES
    assert not set(templates) & set(held_templates)
    trained = words_of(WORDINGS) | {w for t in templates for w in split_words(t.format(who="a face", what="person"))}
    tested = words_of(HELD_OUT_WORDINGS)
    tested |= {w for t in held_templates for w in split_words(t.format(who="a face", what="person"))}
    assert tested <= trained
    texts = {text for rows in WORDINGS.values() for wordings in rows for text in wordings}
    new = [text for rows in HELD_OUT_WORDINGS.values() for wordings in rows for text in wordings if text not in texts]
    assert sorted(new) == sorted(module._HELD_OUT.values())


# ---------------------------------------------------------------------- what can be seen


@pytest.mark.parametrize(
    ("changes", "hidden"),
    [
        ({}, set()),
        ({"glasses": 3}, {"eyes", "eye color"}),
        ({"blink": 0.9}, {"eyes", "eye color"}),
        ({"resolution": 0.4}, {"eye color"}),
        ({"resolution": 0.2}, {"eyes", "eye color"}),
        ({"defocus": 0.02}, {"eyes", "eye color"}),
        ({"hat": 1}, {"hair style"}),
        ({"hat": 2}, {"hair style", "hair color"}),
        ({"hat": 3}, {"hair style", "hair color", "eyebrows"}),
        ({"hair_style": 0}, {"hair color"}),
        ({"occluder": 4}, {"face shape", "nose", "mouth", "beard", "expression", "makeup"}),
        ({"expression": 1, "expression_strength": 0.1}, {"expression"}),
        ({"expression": 1, "expression_strength": 0.9}, set()),
        ({"light_color": 0.3}, set()),
        ({"light_color": 0.0, "ambient_above": 1.0}, {"light from"}),
    ],
)
def test_what_is_hidden_is_not_seen(plain, changes, hidden):
    facts = seen(plain.replace(**changes))
    assert {name for name, value in facts.items() if value.item() == UNSEEN} == hidden


def test_from_behind_neither_features_nor_glasses_are_seen(plain):
    turned = plain.replace(head_rotation=torch.diag(torch.tensor([-1.0, 1.0, -1.0])))
    facts = seen(turned)
    for name in ("nose", "mouth", "eyes", "eye color", "eyebrows", "expression", "beard", "glasses", "makeup"):
        assert facts[name].item() == UNSEEN
    for name in ("sex", "hair color", "hat", "background", "noise", "light from"):
        assert facts[name].item() != UNSEEN


def test_light_from_two_opposite_sides_comes_from_neither(plain):
    lights = plain.light_direction.clone()
    lights[:, 1, 0] *= -1
    both = plain.light_color.clone()
    both[:, 1] = 0.95
    assert seen(plain)["light from"].item() == NAMED["light from"].words.index("light from the left")
    assert seen(plain.replace(light_direction=lights, light_color=both))["light from"].item() == UNSEEN


def test_what_is_seen_is_true(factors, facts):
    for name, value in classes(factors).items():
        visible = facts[name] != UNSEEN
        assert torch.equal(facts[name][visible], value[visible])
        assert visible.float().mean() > 0.2, name


# ---------------------------------------------------------------------- sentences


@pytest.mark.parametrize("test", [False, True])
def test_captions_state_their_facts_in_wordings_of_their_kind(facts, test):
    table = HELD_OUT_WORDINGS if test else WORDINGS
    for caption in captions(facts, rng=random.Random(0), test=test):
        assert 1 <= len(caption.facts) <= 5
        for name, value in caption.facts:
            options = [text.removeprefix("a ") for text in table[name][value]]
            assert any(text in caption.text for text in options), (caption.text, name)


def test_captions_say_only_what_is_seen_and_fit_the_tokenizer(facts):
    made = captions(facts, rng=random.Random(1), most=8)
    for row, caption in enumerate(made):
        assert all(facts[name][row] == value != UNSEEN for name, value in caption.facts)
    assert max(len(c.facts) for c in made) > 5
    assert Tokenizer()([caption.text for caption in made]).shape[0] == len(made)


def test_captions_are_sentences_and_repeatable(facts):
    made = captions(facts, rng=random.Random(2))
    for text in (caption.text for caption in made):
        assert text[0].isupper()
        assert text.endswith(".")
        assert ", ," not in text
        assert "{" not in text
        assert " a old" not in text
    assert made == captions(facts, rng=random.Random(2)) != captions(facts, rng=random.Random(3))
    assert len({caption.text for caption in made}) > 0.8 * len(made)


def test_what_goes_without_saying_is_said_less_often(facts):
    counts = {True: 0, False: 0}
    for seed in range(20):
        for caption in captions(facts, rng=random.Random(seed)):
            for name, value in caption.facts:
                counts[bool(NAMED[name].words[value])] += 1
    shown = {True: 0, False: 0}
    for name, values in facts.items():
        for value in values[values != UNSEEN].tolist():
            shown[bool(NAMED[name].words[value])] += 1
    assert counts[False] / shown[False] < 0.5 * counts[True] / shown[True]


def test_weights_say_what_is_rare_as_often_as_what_is_not():
    hat = torch.cat([torch.zeros(900), torch.ones(90), torch.full((10,), 3), torch.full((50,), UNSEEN)]).long()
    facts = {"hat": hat, "sex": torch.arange(1050) % 2, "noise": torch.zeros(1050, dtype=torch.int64)}
    weights = mention_weights(facts)
    assert weights["hat"] == pytest.approx((1 / 0.9, 1 / 0.09, 1000.0, 100.0))
    assert weights["sex"] == (2.0, 2.0)
    assert mention_weights(facts, power=0.5)["hat"][1] == pytest.approx(0.09**-0.5)
    assert set(mention_weights(facts, power=0)["hat"]) == {1.0}
    said = [dict(c.facts).get("hat") for c in captions(facts, rng=random.Random(0), most=1, weights=weights)]
    usual = [dict(c.facts).get("hat") for c in captions(facts, rng=random.Random(0), most=1)]
    assert 0.7 < said.count(1) / 90 < 1  # weights 11, 2 and 1
    assert 0.15 < said.count(0) / 900 < 0.4  # 1.1, 2 and 1
    assert usual.count(1) / 90 < 0.75
    with pytest.raises(ValueError, match="power must be a finite number, 0 or more"):
        mention_weights(facts, -1)


def test_sex_and_age_alone_make_a_sentence_about_a_person():
    facts = {"sex": torch.tensor([0, 1]), "age": torch.tensor([2, UNSEEN])}
    texts = {c.text for seed in range(300) for c in captions(facts, rng=random.Random(seed))}
    assert {"A photo of an old woman.", "This is a man.", "An image of a woman.", "A photo of an old face."} <= texts


@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans())
def test_a_caption_is_true_of_its_own_image_and_of_exactly_those_with_its_facts(seed, most, test):
    factors = DOMAINS["wild"].sample(range(12), people=6, seed=0, split="train")
    facts = seen(factors)
    made = captions(facts, rng=random.Random(seed), most=most, test=test)
    match = true_of(made, facts)
    expected = [[all(facts[n][i].item() == v for n, v in caption.facts) for caption in made] for i in range(12)]
    assert match.tolist() == expected
    assert match.diagonal().all()


def test_what_an_image_does_not_show_is_not_true_of_it():
    facts = {"hat": torch.tensor([1, 0]), "eye color": torch.tensor([2, UNSEEN])}
    stated = [module.Caption("", (("eye color", 2),)), module.Caption("", (("hat", 0),))]
    assert true_of(stated, facts).tolist() == [[True, False], [False, True]]


# ---------------------------------------------------------------------- held-out combinations


def test_held_out_combinations_are_those_images_that_show_both():
    combination = HELD_OUT_COMBINATIONS[0]
    assert str(combination) == "thick-framed glasses and a cap"
    facts = {name: torch.zeros(4, dtype=torch.int64) for name in NAMED}
    facts["glasses"] = torch.tensor([2, 2, 0, UNSEEN])
    facts["hat"] = torch.tensor([1, 0, 1, 1])
    assert combination.shown(facts).tolist() == [True, False, False, False]
    assert held_out(facts).tolist() == [True, False, False, False]


def test_each_part_of_a_held_out_combination_is_seen_without_the_other():
    faces = Factors.concatenate([d.sample(range(600), people=300, seed=1, split="train") for d in DOMAINS.values()])
    facts = seen(faces)
    training = {name: values[~held_out(facts)] for name, values in facts.items()}
    for c in HELD_OUT_COMBINATIONS:
        assert c.shown(facts).any(), str(c)
        assert not c.shown(training).any()
        assert (training[c.first] == c.first_class).sum() > 20
        assert (training[c.second] == c.second_class).sum() > 20


# ---------------------------------------------------------------------- prompts


@pytest.mark.parametrize("test", [False, True])
def test_every_factor_has_prompts_for_every_class_that_the_tokenizer_knows(test):
    tokenizer = Tokenizer()
    for name in NAMED:
        prompts = class_prompts(name, test=test)
        assert len(prompts) == len(NAMED[name].words)
        assert all(prompts)
        tokenizer([text for texts in prompts for text in texts])
        flat = [text for texts in prompts for text in texts]
        assert len(flat) == len(set(flat)), name


def test_prompts_of_one_factor_name_it_alone():
    assert class_prompts("sex")[0] == ["A photo of a woman.", "An image of a woman.", "This is a woman."]
    assert "An image of a face with a helmet." in class_prompts("hat")[3]
    assert "This image shows a person with a head with a helmet." in class_prompts("hat", test=True)[3]
    assert all(" an old " in text for text in class_prompts("age", test=True)[2])


@pytest.mark.parametrize("test", [False, True])
def test_no_sentence_is_about_a_face_with_a_face(facts, test):
    texts = [c.text for seed in range(20) for c in captions(facts, rng=random.Random(seed), test=test)]
    texts += [text for name in NAMED for prompts in class_prompts(name, test=test) for text in prompts]
    texts += [prompt(phrase) for phrases in factor_phrases().values() for phrase in phrases]
    bearer = re.compile(r"\b(a|young|middle-aged|old) face( with (?!light from)|,|\.)")
    about_faces = [text for text in texts if bearer.search(text.lower())]
    assert about_faces
    for text in about_faces:
        assert not re.search(r"\ban? ([\w-]+ )?(face|head)\b", bearer.sub("", text.lower())), text


def test_training_says_the_phrases_that_prompts_are_made_of(facts):
    said = " ".join(c.text.lower() for seed in range(60) for c in captions(facts, rng=random.Random(seed)))
    for name, phrases in factor_phrases().items():
        worded = [value for value, words in enumerate(NAMED[name].words) if words]
        for value, phrase in zip(worded, phrases, strict=True):
            assert phrase in said or (facts[name] == value).sum() < 5, phrase
    assert prompt("a broad face") == "An image of a person with a broad face."
    assert prompt("an old look") == "An image of a face with an old look."


def test_factor_phrases_are_the_words_of_the_groups_that_are_asked_for():
    wearable = factor_phrases(["wearable"])
    assert wearable == {
        "glasses": ("thin-framed glasses", "thick-framed glasses", "sunglasses"),
        "hat": ("a cap", "a beanie", "a helmet"),
        "makeup": ("light makeup", "heavy makeup"),
    }
    everything = factor_phrases()
    assert set(everything) == set(NAMED)
    assert all(phrases and all(phrases) for phrases in everything.values())
    assert everything["age"] == ("a young look", "a middle-aged look", "an old look")
    assert everything["sex"] == ("the look of a woman", "the look of a man")
    both = factor_phrases(["appearance", "quality"])
    assert {**both, **wearable}.keys() == everything.keys()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: factor_phrases([]), ValueError, "groups must be a list of one or more of appearance"),
        (lambda: factor_phrases("wearable"), ValueError, "groups must be a list of one or more of .* got str"),
        (lambda: factor_phrases(["worn"]), ValueError, "groups must be one of 'appearance', .*; got 'worn'"),
        (lambda: class_prompts("mood"), ValueError, "name must be one of 'sex', .*; got 'mood'"),
        (lambda: captions({}, rng=random.Random(0)), ValueError, "facts must hold a factor or more; got none"),
        (
            lambda: captions({"hat": torch.tensor([1, -1])}, rng=random.Random(0)),
            ValueError,
            "facts must say something about every image; image 1 shows none",
        ),
        (lambda: captions({"hat": torch.tensor([1])}, rng=random.Random(0), most=0), ValueError, "most must be 1 or"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
