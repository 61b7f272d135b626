"""CLIP-Gaze: what is frozen stays frozen, who gets which gradient, and how a prompt becomes personal."""

import copy

import pytest
import torch
from torch import nn

from gazecourse.checkpoint import load_checkpoint, save_checkpoint
from gazecourse.faces.attributes import NAMED
from gazecourse.faces.captions import UNSEEN, factor_phrases, prompt
from gazecourse.faces.head import identity_names
from gazecourse.losses import ClipGazeWeights, clip_gaze_loss, prompt_loss
from gazecourse.models import CLIP, ClipGaze, PersonalizedContext
from gazecourse.models import clip_gaze as module

PHRASES = {"glasses": ("thin-framed glasses", "sunglasses"), "focus": ("a blurred, out-of-focus picture",)}
TEXTS = [phrase for group in PHRASES.values() for phrase in group]
PEOPLE = len(identity_names())


def make_clip():
    torch.manual_seed(0)
    clip = CLIP(32, width=0.125, dim=16, text_width=24, text_layers=2, heads=3)
    clip(torch.rand(8, 3, 32, 32), ["a hat"])  # BatchNorm has seen something
    return clip.eval()


@pytest.fixture(scope="module")
def clip():
    return make_clip()


def faces(count, size=48, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model():
    made = make_clip()
    torch.manual_seed(1)
    return ClipGaze(made, 48, width=0.125, stride=16)


EVEN = ClipGazeWeights()


def total(model, images, texts, weights=EVEN):
    predicted, f, z = model(images, features=True)
    gaze = 0.3 * normal(len(images), 2, seed=3)
    return clip_gaze_loss(predicted, gaze, f, z, model.clip_features(images), texts, weights)


# ---------------------------------------------------------------------- the network


def test_gaze_comes_from_the_head_on_the_filter_on_the_features(model):
    model.eval()
    images = faces(3)
    gaze, f, z = model(images, features=True)
    assert gaze.shape == (3, 2)
    assert f.shape == z.shape == (3, 16)
    torch.testing.assert_close(model(images), gaze)
    torch.testing.assert_close(z, model.filter(f))
    torch.testing.assert_close(gaze, model.head(z))


def test_hidden_units_of_the_filter_can_be_chosen():
    assert ClipGaze(make_clip(), 48, width=0.125, hidden=5).filter[0].weight.shape == (5, 16)


def test_clip_sees_the_whole_face_at_its_own_size(model):
    images = faces(2)
    small = torch.nn.functional.interpolate(images, (32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(model.clip_features(images), model.clip.encode_image(small))
    assert not model.clip_features(images.clone().requires_grad_()).requires_grad
    torch.testing.assert_close(model.clip_features(small), model.clip.encode_image(small))


def test_frozen_clip_is_the_same_to_the_last_bit_after_training(model):
    before = copy.deepcopy(model.clip.state_dict())
    others = copy.deepcopy({n: p for n, p in model.named_parameters() if not n.startswith("clip.")})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    texts = model.clip.encode_text(TEXTS)
    for step in range(3):
        model.train()
        optimizer.zero_grad()
        total(model, faces(6, seed=step), texts)["loss"].backward()
        assert all(p.grad is None for p in model.clip.parameters())
        optimizer.step()
    for name, value in model.clip.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, value in others.items():
        assert not torch.equal(dict(model.named_parameters())[name], value), name


def test_clip_stays_in_evaluation_mode_whatever_is_called(model):
    for call in (lambda: model.train(), lambda: model.train(True), lambda: model.eval().train(), lambda: model.eval()):
        call()
        assert not any(part.training for part in model.clip.modules())
    assert model.train() is model
    assert model.training
    assert model.backbone.training
    assert not model.eval().backbone.training


def test_weights_are_those_of_the_gaze_network_and_fit_one_that_has_another_clip(model, tmp_path):
    weights = model.state_dict()
    assert {name.split(".")[0] for name in weights} == {"backbone", "project", "filter", "head"}
    torch.manual_seed(7)
    other = ClipGaze(CLIP(32, width=0.125, dim=16, text_width=24, heads=3), 48, width=0.125, stride=16)
    clip = copy.deepcopy(other.clip.state_dict())
    save_checkpoint(tmp_path / "weights.safetensors", model)
    load_checkpoint(tmp_path / "weights.safetensors", other)
    images = faces(2)
    torch.testing.assert_close(other.eval()(images), model.eval()(images))
    assert all(torch.equal(value, clip[name]) for name, value in other.clip.state_dict().items())
    whole = nn.Sequential(other)
    whole.load_state_dict(nn.Sequential(model).state_dict())


def test_weights_that_lack_a_part_of_the_gaze_network_are_refused(model):
    weights = {name: value for name, value in model.state_dict().items() if name != "head.bias"}
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "head.bias"\. $'):
        model.load_state_dict(weights)


def test_no_parameter_of_clip_takes_a_gradient(model):
    assert not any(p.requires_grad for p in model.clip.parameters())
    assert all(p.requires_grad for n, p in model.named_parameters() if not n.startswith("clip."))


@pytest.mark.parametrize(
    ("weights", "reached"),
    [
        (ClipGazeWeights(separation=0, distillation=0, rank=0), {"backbone", "project", "filter", "head"}),
        (ClipGazeWeights(), {"backbone", "project", "filter", "head"}),
    ],
)
def test_the_total_reaches_every_part_of_the_gaze_network(model, weights, reached):
    total(model, faces(6), model.clip.encode_text(TEXTS), weights)["loss"].backward()
    parts = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert parts == reached


@pytest.mark.parametrize(
    ("term", "reached"),
    [
        ("distillation", {"backbone", "project"}),
        ("separation", {"backbone", "project", "filter"}),
        ("rank", {"backbone", "project", "filter"}),
        ("gaze", {"backbone", "project", "filter", "head"}),
    ],
)
def test_each_loss_reaches_what_comes_before_its_features(model, term, reached):
    total(model, faces(6), model.clip.encode_text(TEXTS))[term].backward()
    parts = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert parts == reached


def test_gradient_steps_lower_every_loss_of_one_batch(model):
    images, texts = faces(8), model.clip.encode_text(TEXTS)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    first = None
    for _ in range(25):
        optimizer.zero_grad()
        terms = total(model, images, texts)
        first = first or {name: value.item() for name, value in terms.items()}
        terms["loss"].backward()
        optimizer.step()
    for name in ("loss", "gaze", "separation", "distillation"):
        assert terms[name].item() < 0.8 * first[name], name


# ---------------------------------------------------------------------- context


def test_written_prompts_are_the_papers_and_have_nothing_to_learn(clip):
    context = PersonalizedContext(clip, PHRASES, "written")
    expected = clip.encode_text([prompt(phrase) for phrase in TEXTS])
    torch.testing.assert_close(context(clip), expected)
    assert not list(context.parameters())


def test_context_that_starts_from_words_gives_the_features_of_those_words(clip):
    context = PersonalizedContext(clip, PHRASES, "coop", words="an image of a face with")
    assert context.vectors.shape == (6, 24)
    expected = clip.encode_text([f"an image of a face with {phrase}" for phrase in TEXTS])
    torch.testing.assert_close(context(clip), expected)


def test_context_is_drawn_from_a_normal_distribution_of_deviation_0_02(clip):
    torch.manual_seed(0)
    vectors = PersonalizedContext(clip, PHRASES, "coop", length=40).vectors
    assert vectors.std().item() == pytest.approx(0.02, rel=0.1)
    assert vectors.mean().abs() < 0.003


@pytest.mark.parametrize("kind", ["coop", "pco"])
def test_a_prompt_is_start_context_phrase_and_end(clip, kind):
    """Put together by hand, token by token."""
    torch.manual_seed(2)
    context = PersonalizedContext(clip, PHRASES, kind, length=3)
    token = torch.zeros(24)
    condition = None
    if kind == "pco":
        nn.init.normal_(context.meta_net[2].weight)
        condition = normal(1, PEOPLE)
        first, _, last = context.meta_net
        token = last.weight @ torch.relu(first.weight @ condition[0] + first.bias) + last.bias
    features = context(clip, condition).reshape(3, 16)
    for phrase, feature in zip(TEXTS, features, strict=True):
        own = clip.embed(clip.tokenize(phrase))[0]
        prompt = torch.cat([own[:1], context.vectors + token, own[1:]])
        expected = clip.encode_embeddings(prompt.unsqueeze(0), torch.tensor([len(prompt) - 1]))[0]
        torch.testing.assert_close(feature, expected)


def test_meta_net_is_a_bottleneck_of_a_sixteenth(clip):
    context = PersonalizedContext(clip, PHRASES, "pco")
    assert [tuple(p.shape) for p in context.meta_net.parameters()] == [(7, PEOPLE), (7,), (24, 7), (24,)]
    assert PersonalizedContext(clip, PHRASES, "cocoop").inputs == clip.dim
    assert PersonalizedContext(clip, PHRASES, "pco", inputs=3).meta_net[0].weight.shape == (1, 3)


@pytest.mark.parametrize("kind", ["cocoop", "pco"])
def test_personal_context_starts_as_that_of_coop_and_then_differs_between_people(clip, kind):
    torch.manual_seed(3)
    context = PersonalizedContext(clip, PHRASES, kind)
    condition = normal(3, context.inputs)
    features = context(clip, condition)
    assert features.shape == (3, 3, 16)
    torch.testing.assert_close(features[0], features[1])
    nn.init.normal_(context.meta_net[2].weight)
    features = context(clip, condition)
    assert (features[0] - features[1]).abs().max() > 1e-3


def test_one_person_has_one_set_of_prompts_and_is_encoded_once(clip, monkeypatch):
    context = PersonalizedContext(clip, PHRASES, "pco")
    nn.init.normal_(context.meta_net[2].weight)
    people = normal(2, PEOPLE)
    encoded = []
    original = CLIP.encode_embeddings
    monkeypatch.setattr(CLIP, "encode_embeddings", lambda s, e, p: encoded.append(len(e)) or original(s, e, p))
    features = context(clip, people[[0, 1, 0, 0, 1]])
    assert encoded == [2 * 3]
    assert torch.equal(features[0], features[2])
    assert torch.equal(features[1], features[4])
    torch.testing.assert_close(features[1], context(clip, people[1:])[0])


def test_training_a_context_changes_it_alone_and_lowers_its_loss(model):
    clip = model.clip
    before = copy.deepcopy(clip.state_dict())
    torch.manual_seed(4)
    context = PersonalizedContext(clip, PHRASES, "pco")
    images, people = clip.encode_image(faces(6, 32)), normal(6, PEOPLE)
    labels = {"glasses": torch.tensor([0, 1, 0, -1, 1, 1])}
    optimizer = torch.optim.Adam(context.parameters(), lr=3e-2)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = prompt_loss(images, context(clip, people), labels, context.places, clip.log_scale)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    for name, value in clip.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert {name.split(".")[0] for name, _ in context.named_parameters()} == {"vectors", "meta_net"}
    assert set(context.state_dict()) == {name for name, _ in context.named_parameters()}


def test_every_parameter_of_the_context_learns(clip):
    context = PersonalizedContext(clip, PHRASES, "pco")
    nn.init.normal_(context.meta_net[2].weight)
    context(clip, normal(4, PEOPLE)).square()[..., 0].sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in context.parameters())


def test_labels_are_the_places_of_phrases_among_their_factors_own(clip):
    phrases = factor_phrases(["wearable"])
    context = PersonalizedContext(clip, phrases, "coop")
    assert context.places == {"glasses": slice(0, 3), "hat": slice(3, 6), "makeup": slice(6, 8)}
    facts = {name: torch.tensor([0, 1, 2, UNSEEN]) for name in NAMED}
    labels = context.labels(facts)
    assert {name: label.tolist() for name, label in labels.items()} == {
        "glasses": [-1, 0, 1, -1],
        "hat": [-1, 0, 1, -1],
        "makeup": [-1, 0, 1, -1],
    }
    expression = PersonalizedContext(clip, factor_phrases(["appearance"]), "coop").labels(facts)["expression"]
    assert expression.tolist() == [0, 1, 2, -1]
    nose = PersonalizedContext(clip, factor_phrases(["appearance"]), "coop").labels(facts)["nose"]
    assert nose.tolist() == [0, -1, 1, -1]


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: ClipGaze(nn.Linear(2, 2), 48), TypeError, "clip must be a CLIP, .*; got Linear"),
        (lambda c: ClipGaze(make_clip(), 48, hidden=0), ValueError, "hidden must be 1 or more"),
        (lambda c: ClipGaze(make_clip(), 4), ValueError, "size must be 8 or more"),
        (lambda c: PersonalizedContext(c, {}), ValueError, "phrases must hold one factor or more"),
        (lambda c: PersonalizedContext(c, {"hat": ()}), ValueError, "phrases must hold one factor or more"),
        (lambda c: PersonalizedContext(c, {"hat": ("a fez",)}), ValueError, "does not know 'fez'"),
        (lambda c: PersonalizedContext(c, {"hat": ("a fez",)}, "written"), ValueError, "does not know 'fez'"),
        (lambda c: PersonalizedContext(c, PHRASES, "learned"), ValueError, "kind must be one of 'written', 'coop'"),
        (lambda c: PersonalizedContext(c, PHRASES, length=0), ValueError, "length must be 1 or more"),
        (lambda c: PersonalizedContext(c, PHRASES, words="a pic"), ValueError, "does not know 'pic'"),
        (lambda c: PersonalizedContext(c, PHRASES, "coop", length=60), ValueError, "at most 62 words"),
        (lambda c: PersonalizedContext(c, PHRASES)(c), ValueError, rf"\[B, {PEOPLE}\] for kind 'pco'; got None"),
        (lambda c: PersonalizedContext(c, PHRASES)(c, normal(2, 9)), ValueError, "It holds identity parameters"),
        (lambda c: PersonalizedContext(c, PHRASES, "cocoop")(c, normal(2, 9)), ValueError, "CLIP's image features"),
        (
            lambda c: PersonalizedContext(c, PHRASES, "coop")(c, normal(2, 9)),
            ValueError,
            "must be None for kind 'coop'",
        ),
        (lambda c: PersonalizedContext(c, PHRASES, "written")(c, normal(2, 9)), ValueError, "must be None for kind"),
    ],
)
def test_bad_arguments_are_named(clip, call, error, message):
    with pytest.raises(error, match=message):
        call(clip)


def test_features_of_another_clip_do_not_go_into_the_losses(model):
    with pytest.raises(ValueError, match="two CLIPs of different widths"):
        clip_gaze_loss(normal(4, 2), normal(4, 2), normal(4, 16), normal(4, 16), normal(4, 20), normal(3, 20))
    with pytest.raises(ValueError, match=r"text_features must be \[K, 16\]"):
        clip_gaze_loss(normal(4, 2), normal(4, 2), normal(4, 16), normal(4, 16), normal(4, 16), normal(3, 20))


def test_the_kinds_are_those_of_the_papers_ablation():
    assert module.CONTEXTS == ("written", "coop", "cocoop", "pco")
