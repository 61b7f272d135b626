"""Training CLIP-Gaze: f_v of the very picture that the network gets, context that learns, and what stays frozen."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.utils.data import Dataset

from gazecourse import clip_gaze_training as module
from gazecourse.augment import mirror
from gazecourse.batches import seed_all
from gazecourse.clip_gaze_training import (
    SEEN,
    WHO,
    ClipFaces,
    ClipGazeSettings,
    Prompts,
    clip_gaze,
    clip_gaze_losses,
    gaze_alone,
    learn_context,
    loss_of_prompts,
)
from gazecourse.comparison import Recipe, Size, fit
from gazecourse.cross_domain import continued, from_band
from gazecourse.faces.attributes import NAMED
from gazecourse.faces.captions import factor_phrases, seen
from gazecourse.faces.domains import DOMAINS
from gazecourse.losses import ClipGazeWeights, clip_gaze_loss, gaze_angular, unit_features
from gazecourse.models import CLIP, ClipGaze
from gazecourse.models.clip import clip_features
from gazecourse.models.clip_gaze import CONTEXTS, PersonalizedContext
from gazecourse.sample import Sample
from gazecourse.training import make_fabric

SIDE = 32
TINY = Size(face=SIDE, width=0.05, stride=2)
ONE_STEP = Recipe(epochs=1, batch_size=8)
WEARABLE = ClipGazeSettings(groups=("wearable",), steps=3)
LEFT, RIGHT = (NAMED["light from"].words.index(f"light from the {side}") for side in ("left", "right"))


class Faces(Dataset):
    """As much of a ``FaceDataset`` as is read here: 24 faces of 4 people, in random colors."""

    def __init__(self, count=24):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
        self.gaze = 0.3 * torch.randn(count, 2, generator=generator)
        self.factors = DOMAINS["laptop"].sample(range(count), people=4, seed=0, split="train")

    def __len__(self):
        return len(self.images)

    def __getitems__(self, rows):
        facts = {name: values[rows] for name, values in seen(self.factors).items()}
        return Sample(image=self.images[rows], gaze=self.gaze[rows], person=self.factors.person[rows], factors=facts)


class Plain(Dataset):
    """Faces of which nothing but the gaze is known."""

    def __init__(self, faces):
        self.faces = faces

    def __len__(self):
        return len(self.faces)

    def __getitem__(self, index):
        return Sample(image=self.faces.images[index], gaze=self.faces.gaze[index])


def make_clip():
    torch.manual_seed(0)
    clip = CLIP(24, width=0.125, dim=16, text_width=24, text_layers=2, heads=3)
    clip(torch.rand(8, 3, 24, 24), ["a hat"])  # BatchNorm has seen something
    return clip.eval()


@pytest.fixture(scope="module")
def fabric():
    return make_fabric(accelerator="cpu")


@pytest.fixture
def clip():
    return make_clip()


@pytest.fixture(scope="module")
def looked_at():
    return ClipFaces(Faces(), make_clip())


def prompts_of(clip, faces, kind, **changes):
    settings = replace(WEARABLE, prompts=kind, **changes)
    return Prompts(clip, learn_context(clip, faces, settings, fabric=make_fabric(accelerator="cpu")), faces)


# ---------------------------------------------------------------------- what CLIP sees


def test_clip_sees_every_face_and_its_mirror_image(clip):
    faces = Faces(5)
    looked = ClipFaces(faces, clip, batch_size=2)
    images = faces.images.float() / 255
    torch.testing.assert_close(looked.seen[:, 0], clip_features(clip, images))
    torch.testing.assert_close(looked.seen[:, 1], clip_features(clip, images.flip(3)))
    assert not torch.allclose(looked.seen[:, 0], looked.seen[:, 1])


def test_batches_are_those_of_the_faces_with_what_clip_sees_and_whose_they_are(looked_at):
    batch, plain = looked_at.__getitems__([3, 9]), looked_at.faces.__getitems__([3, 9])
    assert torch.equal(batch.image, plain.image)
    assert torch.equal(batch.factors[SEEN], looked_at.seen[[3, 9]])
    assert set(batch.factors) == {*plain.factors, SEEN, WHO}
    identity = looked_at.faces.factors.identity[[3, 9]].float()
    assert torch.equal(looked_at.people[batch.factors[WHO]], identity)
    assert len(looked_at.people) == 4
    assert len(looked_at) == 24


def test_faces_of_which_nothing_is_known_are_looked_at_too(clip):
    looked = ClipFaces(Plain(Faces(4)), clip)
    assert looked.people is None
    assert looked.facts is None
    assert set(looked.__getitems__([1]).factors) == {SEEN}


def test_fitted_identity_takes_the_place_of_the_known_one(clip):
    fitted = torch.arange(3.0)[[0, 1, 0, 2]].unsqueeze(1).repeat(1, 126).double()
    looked = ClipFaces(Plain(Faces(4)), clip, identity=fitted)
    assert looked.who.tolist() == [0, 1, 0, 2]
    assert torch.equal(looked.people, torch.arange(3.0).unsqueeze(1).repeat(1, 126))


# ---------------------------------------------------------------------- prompts


@pytest.mark.parametrize("kind", CONTEXTS)
def test_prompts_are_those_of_the_context_for_every_face(clip, looked_at, kind, fabric):
    context = learn_context(clip, looked_at, replace(WEARABLE, prompts=kind), fabric=fabric)
    prompts = Prompts(clip, context, looked_at)
    rows = torch.tensor([0, 5, 13])
    sight, who = looked_at.seen[rows, 0], looked_at.who[rows]
    condition = {"pco": looked_at.people[who], "cocoop": sight}.get(kind)
    torch.testing.assert_close(prompts(sight, who), context(clip, condition))
    assert not prompts(sight, who).requires_grad


def test_centered_prompts_have_lost_what_all_of_them_share(clip, looked_at, fabric):
    context = learn_context(clip, looked_at, replace(WEARABLE, prompts="written"), fabric=fabric)
    plain, centered = (
        Prompts(clip, context, looked_at, centered=c)(looked_at.seen[:2, 0], None) for c in (False, True)
    )
    torch.testing.assert_close(centered, unit_features(plain - plain.mean(0)))
    away = unit_features(plain.mean(0))
    assert (centered @ away).abs().mean() < 0.5 * (plain @ away).abs().mean()


def test_personal_prompts_are_encoded_once_for_each_person(clip, looked_at, monkeypatch, fabric):
    context = learn_context(clip, looked_at, WEARABLE, fabric=fabric)
    encoded = []
    original = PersonalizedContext._encode
    monkeypatch.setattr(PersonalizedContext, "_encode", lambda s, c, v: encoded.append(len(v)) or original(s, c, v))
    prompts = Prompts(clip, context, looked_at)
    for rows in (torch.arange(8), torch.arange(8, 24)):
        prompts(looked_at.seen[rows, 0], looked_at.who[rows])
    assert sum(encoded) == 4


# ---------------------------------------------------------------------- learning context


@pytest.mark.parametrize("kind", ["coop", "cocoop", "pco"])
def test_context_learns_to_tell_factors_apart_and_is_frozen_then(clip, looked_at, kind, fabric):
    settings = replace(WEARABLE, prompts=kind, steps=25, rate=2e-2)
    begun = learn_context(clip, looked_at, replace(settings, steps=1, rate=1e-9), fabric=fabric)
    context = learn_context(clip, looked_at, settings, fabric=fabric)
    before, after = (loss_of_prompts(Prompts(clip, one, looked_at), looked_at) for one in (begun, context))
    assert after < 0.9 * before
    assert not any(p.requires_grad for p in context.parameters())


def test_learning_context_leaves_clip_as_it_was_and_repeats(clip, looked_at, fabric):
    before = copy.deepcopy(clip.state_dict())
    one, again, other = (learn_context(clip, looked_at, WEARABLE, seed=seed, fabric=fabric) for seed in (0, 0, 1))
    assert all(torch.equal(value, before[name]) for name, value in clip.state_dict().items())
    assert torch.equal(one.vectors, again.vectors)
    assert not torch.equal(one.vectors, other.vectors)


def test_lessons_are_views_with_their_own_labels_light_from_the_other_side_in_the_mirror(looked_at, clip):
    context = PersonalizedContext(clip, factor_phrases(["quality"]), "coop")
    lessons = module._Lessons(looked_at, context, 200, seed=0)
    torch.manual_seed(0)
    lesson = lessons.__getitems__(range(200))
    places = looked_at.seen.flatten(0, 1)
    facts = looked_at.facts["light from"]
    turned = torch.where(facts == LEFT, RIGHT, torch.where(facts == RIGHT, LEFT, facts))
    both = torch.stack([facts, turned], dim=1).flatten()  # every class of light has a phrase, at its own place
    met = set()
    for view, label in zip(lesson["seen"], lesson["labels"]["light from"].tolist(), strict=True):
        place = int((places - view).abs().sum(1).argmin())
        assert label == both[place]
        met.add(place % 2)
    assert met == {0, 1}
    assert "condition" not in lesson


def test_lessons_of_personal_context_hold_images_of_these_people_only(looked_at, clip):
    context = PersonalizedContext(clip, factor_phrases(["wearable"]), "pco")
    lessons = module._Lessons(looked_at, context, 6, seed=0)
    lesson = lessons.__getitems__([0, 4])
    assert len(lesson["seen"]) == len(lesson["condition"]) == 2 * module.IMAGES_OF_A_PERSON
    for view, condition in zip(lesson["seen"], lesson["condition"], strict=True):
        face = int((looked_at.seen.flatten(0, 1) - view).abs().sum(1).argmin()) // 2
        assert torch.equal(looked_at.people[looked_at.who[face]], condition)


def test_shared_and_personal_context_begin_alike_and_learn_from_as_many_images(looked_at, clip):
    counts, vectors = {}, {}
    for kind in ("coop", "cocoop", "pco"):
        torch.manual_seed(0)
        context = PersonalizedContext(clip, factor_phrases(["wearable"]), kind)
        lesson = module._Lessons(looked_at, context, module.LESSONS[kind], 0).__getitems__(range(module.LESSONS[kind]))
        counts[kind], vectors[kind] = len(lesson["seen"]), context.vectors
    assert counts["coop"] == counts["pco"] == 64
    assert torch.equal(vectors["coop"], vectors["pco"])
    assert torch.equal(vectors["coop"], vectors["cocoop"])


def test_loss_of_prompts_is_the_mean_over_everything_said(clip, looked_at, fabric):
    context = learn_context(clip, looked_at, replace(WEARABLE, prompts="written"), fabric=fabric)
    labels, logs = context.labels(looked_at.facts), []
    cosines = clip.scale * looked_at.seen[:, 0] @ context(clip).T
    for name, place in context.places.items():
        rows = labels[name] >= 0
        logs.append(-cosines[rows, place].log_softmax(1).gather(1, labels[name][rows, None]).flatten())
    expected = torch.cat(logs).mean().item()
    assert loss_of_prompts(Prompts(clip, context, looked_at), looked_at) == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------------- the losses


@pytest.mark.parametrize("kind", CONTEXTS)
def test_losses_are_the_total_of_the_mirrored_faces_with_what_clip_sees_in_them(clip, looked_at, kind):
    prompts, weights = prompts_of(clip, looked_at, kind), ClipGazeWeights(0.5, 2.0, 3.0, margin=0.1)
    torch.manual_seed(1)
    model = clip_gaze(clip, prompts).build(TINY).eval()
    rows = torch.arange(10)
    batch = looked_at.__getitems__(rows)
    seed_all(5)
    which = torch.rand(10) < 0.5
    assert 0 < which.sum() < 10
    seed_all(5)
    terms = clip_gaze_losses(from_band, prompts, weights)(model, batch)
    turned = mirror(looked_at.faces.__getitems__(rows), which)
    sight = clip_features(clip, turned.float_image())
    gaze, f, z = from_band(lambda image: model(image, features=True), turned)
    expected = clip_gaze_loss(gaze, turned.gaze, f, z, sight, prompts(sight, looked_at.who[rows]), weights)
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)


def test_gaze_alone_is_the_angle_on_the_same_mirrored_faces(clip, looked_at):
    prompts = prompts_of(clip, looked_at, "written")
    model = gaze_alone(clip).build(TINY).eval()
    batch = looked_at.__getitems__(torch.arange(10))
    seed_all(5)
    alone = gaze_alone(clip).losses(model, looked_at.faces.__getitems__(torch.arange(10)))
    seed_all(5)
    with_clip = clip_gaze_losses(from_band, prompts, ClipGazeWeights())(model, batch)
    torch.testing.assert_close(alone["loss"], with_clip["gaze"])
    assert alone.keys() == {"loss"}
    assert alone["loss"] > gaze_angular(batch.gaze, batch.gaze)


# ---------------------------------------------------------------------- training


def test_training_changes_the_gaze_network_alone(clip, looked_at, fabric):
    prompts = prompts_of(clip, looked_at, "pco")
    before, context = copy.deepcopy(clip.state_dict()), copy.deepcopy(prompts.context.state_dict())
    sight, texts = looked_at.seen.clone(), prompts.features.clone()
    model, history = fit(clip_gaze(clip, prompts), looked_at, ONE_STEP, size=TINY, fabric=fabric)
    assert isinstance(model, ClipGaze)
    assert set(history.names("train")) >= {"loss", "gaze", "separation", "distillation", "rank"}
    assert all(torch.equal(value, before[name]) for name, value in model.clip.state_dict().items())
    assert all(torch.equal(value, context[name]) for name, value in prompts.context.state_dict().items())
    assert torch.equal(looked_at.seen, sight)
    assert torch.equal(prompts.features, texts)
    seed_all(0)
    start = clip_gaze(clip, prompts).build(TINY).state_dict()
    moved = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, start[name])}
    assert moved == {"backbone", "project", "filter", "head"}


def test_clip_gaze_goes_on_from_where_gaze_alone_has_ended(clip, looked_at, fabric):
    start, _ = fit(gaze_alone(clip), looked_at.faces, ONE_STEP, size=TINY, fabric=fabric)
    method = continued(clip_gaze(clip, prompts_of(clip, looked_at, "written")), start)
    built = method.build(TINY).eval()
    batch = looked_at.faces.__getitems__(torch.arange(4))
    torch.testing.assert_close(from_band(built, batch), from_band(start, batch))


def test_without_any_weight_it_learns_what_gaze_alone_does(clip, looked_at, fabric):
    settings = ClipGazeSettings(ClipGazeWeights(0.0, 0.0, 0.0), "written", ("wearable",))
    method = clip_gaze(clip, prompts_of(clip, looked_at, "written"), settings)
    one, _ = fit(method, looked_at, ONE_STEP, size=TINY, fabric=fabric)
    other, _ = fit(gaze_alone(clip), looked_at.faces, ONE_STEP, size=TINY, fabric=fabric)
    for name, value in other.state_dict().items():
        torch.testing.assert_close(one.state_dict()[name], value, atol=2e-5, rtol=1e-4, msg=name)


def test_settings_reach_the_training(clip, looked_at):
    prompts = prompts_of(clip, looked_at, "written")
    weights = ClipGazeWeights(0.0, 0.0, 7.0, ranking="ranksim")
    method = clip_gaze(clip, prompts, ClipGazeSettings(weights))
    terms = method.losses(method.build(TINY), looked_at.__getitems__(torch.arange(10)))
    torch.testing.assert_close(terms["loss"], terms["gaze"] + 7 * terms["rank"])


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: ClipGazeSettings(prompts="soft"), ValueError, "prompts must be one of 'written', 'coop'"),
        (lambda c: ClipGazeSettings(groups=()), ValueError, "groups must be a list of one or more of appearance"),
        (lambda c: ClipGazeSettings(groups=("mood",)), ValueError, "groups must be one of .*; got 'mood'"),
        (lambda c: ClipGazeSettings(length=0), ValueError, "length must be 1 or more"),
        (lambda c: ClipGazeSettings(steps=1.5), TypeError, "steps must be a whole number"),
        (lambda c: ClipGazeSettings(rate=0), ValueError, "rate must be a finite number above 0"),
        (lambda c: ClipGazeSettings(weights=1.0), TypeError, "weights must be ClipGazeWeights; got float 1.0"),
        (lambda c: ClipGazeSettings(centered="yes"), TypeError, "centered must be True or False; got str 'yes'"),
        (
            lambda c: ClipFaces(Plain(Faces(4)), c, identity=torch.zeros(3, 126)),
            ValueError,
            r"identity must have shape \[4, K\]",
        ),
        (
            lambda c: learn_context(c, ClipFaces(Plain(Faces(4)), c), WEARABLE),
            ValueError,
            "faces must have known factors to learn context from",
        ),
        (
            lambda c: Prompts(c, PersonalizedContext(c, factor_phrases(["wearable"])), ClipFaces(Plain(Faces(4)), c)),
            ValueError,
            "faces must have identity parameters for personal prompts",
        ),
    ],
)
def test_bad_arguments_are_named(clip, call, error, message):
    with pytest.raises(error, match=message):
        call(clip)
