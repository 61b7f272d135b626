"""CLIP: its two towers, what its text encoder may see, zero-shot classification, its file, and others' weights."""

import math
import re
import sys
import types

import pytest
import torch
from torch import nn

from gazecourse.checkpoint import save_checkpoint, save_trained
from gazecourse.errors import CourseError
from gazecourse.losses import contrastive_loss
from gazecourse.models import CLIP, OpenClip, load_clip
from gazecourse.models import clip as module
from gazecourse.models.clip import load_course_clip
from gazecourse.tokenizer import EOS, PAD, SOS

SMALL = {"width": 0.125, "dim": 16, "text_width": 24, "text_layers": 2, "heads": 3}


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return CLIP(48, **SMALL).eval()


def faces(count, size=48, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------- the two towers


def test_features_of_both_towers_have_one_width_and_length_1(clip):
    images, texts = clip(faces(3), ["a face", "a face with a hat"])
    assert images.shape == (3, 16)
    assert texts.shape == (2, 16)
    for features in (images, texts):
        torch.testing.assert_close(features.norm(dim=1), torch.ones(len(features)))


def test_the_default_has_1_36_million_parameters():
    assert sum(p.numel() for p in CLIP().parameters()) == pytest.approx(1.36e6, rel=0.01)


def test_temperature_starts_at_0_07_and_the_scale_ends_at_100(clip):
    assert clip.scale.item() == pytest.approx(1 / 0.07)
    other = CLIP(48, **SMALL)
    with torch.no_grad():
        other.log_scale.fill_(9.0)
    assert other.scale.item() == pytest.approx(100)


def test_every_parameter_learns_from_the_contrastive_loss():
    torch.manual_seed(0)
    model = CLIP(48, **SMALL)
    images, texts = model(faces(4), ["a hat", "a cap", "glasses", "a beard"])
    contrastive_loss(images, texts, model.log_scale).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_tokens_and_texts_and_embeddings_lead_to_the_same_features(clip):
    texts = ["a face with a hat", "sunglasses"]
    tokens = clip.tokenize(texts)
    torch.testing.assert_close(clip.encode_text(tokens), clip.encode_text(texts))
    embeddings = clip.embed(tokens)
    torch.testing.assert_close(clip.encode_embeddings(embeddings, clip.eos_positions(tokens)), clip.encode_text(texts))
    torch.testing.assert_close(clip.encode_text("sunglasses"), clip.encode_text(texts)[1:])


# ---------------------------------------------------------------------- the text encoder


def test_text_encoder_is_causal_words_after_the_end_change_nothing(clip):
    tokens = clip.tokenize(["a face with a hat", "a face with a hat and a full beard"])
    end = int(clip.eos_positions(tokens)[0])
    changed = tokens.clone()
    changed[0, end + 1 :] = torch.tensor([7, 9, 11, 13])[: tokens.shape[1] - end - 1]
    assert not torch.equal(changed, tokens)
    assert torch.equal(clip.encode_text(changed), clip.encode_text(tokens))
    embeddings = clip.embed(tokens)
    embeddings[0, end + 1 :] = 100.0
    ends = clip.eos_positions(tokens)
    torch.testing.assert_close(clip.encode_embeddings(embeddings, ends), clip.encode_text(tokens))


def test_each_token_depends_on_those_before_it_and_on_none_after_it(clip):
    embeddings = torch.randn(1, 6, 24, generator=torch.Generator().manual_seed(0)).requires_grad_()
    outputs = clip.text.blocks(embeddings)
    for place in range(6):
        (grad,) = torch.autograd.grad(outputs[0, place].square().sum(), embeddings, retain_graph=True)
        touched = grad[0].abs().sum(1) > 0
        assert touched.tolist() == [other <= place for other in range(6)]


def test_padding_and_company_in_a_batch_change_nothing(clip):
    alone = clip.encode_text("a hat")
    together = clip.encode_text(["a hat", "a middle-aged man with a thick frame and a full beard"])
    torch.testing.assert_close(together[:1], alone)


def test_the_order_of_words_matters(clip):
    one, other = clip.encode_text(["light hair dark skin", "dark hair light skin"])
    assert (one - other).abs().max() > 1e-4


def test_attention_is_softmax_of_scaled_products_over_the_past(clip):
    """Written with loops over tokens and heads."""
    block = clip.text.blocks[0]
    x = torch.randn(1, 4, 24, generator=torch.Generator().manual_seed(1))
    query, key, value = (part[0] for part in block.query_key_value(x).split(24, dim=2))
    expected = torch.zeros(4, 24)
    for head in range(3):
        part = slice(8 * head, 8 * head + 8)
        for i in range(4):
            scores = [math.exp((query[i, part] @ key[j, part]).item() / math.sqrt(8)) for j in range(i + 1)]
            expected[i, part] = sum(s / sum(scores) * value[j, part] for j, s in enumerate(scores))
    torch.testing.assert_close(block.attention(x)[0], block.mix(expected))


# ---------------------------------------------------------------------- zero-shot


def test_zero_shot_is_the_softmax_of_cosines_over_the_temperature(clip):
    features = clip.encode_image(faces(3))
    prompts = ["a face with a hat", "a face without a hat", "a helmet"]
    cosines = features @ clip.encode_text(prompts).T
    expected = (cosines / 0.07).softmax(1)
    torch.testing.assert_close(clip.zero_shot(features, prompts), expected)
    torch.testing.assert_close(clip.zero_shot(3 * features, prompts), expected)


def test_several_prompts_of_a_class_are_averaged_and_brought_to_length_1(clip):
    texts = ["a hat", "a face with a hat", "a cap"]
    mean = clip.encode_text(texts).mean(0)
    features = clip.class_features([texts, ["no hat"]])
    torch.testing.assert_close(features[0], mean / mean.norm())
    torch.testing.assert_close(features[1:], clip.encode_text("no hat"))
    same = clip.class_features([["a hat", "a hat"], "no hat"])
    torch.testing.assert_close(same, clip.encode_text(["a hat", "no hat"]))


def test_order_and_company_of_classes_only_permutes_and_rescales(clip):
    features = clip.encode_image(faces(2))
    two = clip.zero_shot(features, ["a hat", "no hat"])
    torch.testing.assert_close(clip.zero_shot(features, ["no hat", "a hat"]), two.flip(1))
    three = clip.zero_shot(features, ["a hat", "no hat", "a cap"])[:, :2]
    torch.testing.assert_close(three / three.sum(1, keepdim=True), two)


# ---------------------------------------------------------------------- the file


def test_a_saved_clip_comes_back_with_its_sizes_words_and_features(tmp_path):
    torch.manual_seed(1)
    made = CLIP((32, 48), **SMALL, words=("a", "face", "hat", "with"), context=12)
    made(torch.rand(4, 3, 32, 48), ["a hat"])  # BatchNorm has seen something
    made.eval()
    path = tmp_path / "clip.safetensors"
    save_trained(path, made, people=7)
    loaded = load_course_clip(path)
    assert loaded.settings == made.settings
    assert not loaded.training
    assert next(loaded.parameters()).dtype == torch.float32
    images = torch.rand(3, 3, 32, 48)
    for one, other in zip(loaded(images, ["a hat", "a face"]), made(images, ["a hat", "a face"]), strict=True):
        assert (one * other).sum(1).min() > 0.999, "half precision keeps three digits"
    assert next(made.parameters()).dtype == torch.float32, "saving leaves the model as it was"
    assert path.stat().st_size < 2.4 * sum(p.numel() for p in made.parameters()) + 30_000


def test_the_default_fits_into_4_megabytes(tmp_path):
    save_trained(tmp_path / "clip.safetensors", CLIP())
    assert (tmp_path / "clip.safetensors").stat().st_size < 4e6


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, nn.Linear(2, 2))
    with pytest.raises(CourseError, match=r"other\.safetensors is a checkpoint, but not of a CLIP"):
        load_course_clip(path)
    with pytest.raises(FileNotFoundError, match=r"none; python data_scripts/train_clip\.py trains one"):
        load_course_clip(tmp_path / "none")


def test_weights_of_another_width_do_not_fit(tmp_path):
    path = tmp_path / "clip.safetensors"
    wide = CLIP(48, **{**SMALL, "dim": 20})
    wide.settings = {**wide.settings, "dim": 16}
    save_trained(path, wide)
    with pytest.raises(CourseError, match=r"does not fit this model: (.|\n)*size mismatch"):
        load_course_clip(path)


# ---------------------------------------------------------------------- open_clip

END = 99


class FakeVisual(nn.Module):
    image_size = (32, 32)
    image_mean = (0.5, 0.4, 0.3)
    image_std = (0.2, 0.3, 0.4)


class FakeTransformer(nn.Module):
    """Every token becomes the mean of those that the mask lets it see."""

    def forward(self, x, attn_mask=None):
        return (attn_mask == 0).float() @ x / (attn_mask == 0).float().sum(1, keepdim=True)


class FakeOpenClip(nn.Module):
    """What ``open_clip`` builds, as far as it is used: text tower inside, features not normalized."""

    def __init__(self, linear=False):
        super().__init__()
        self.visual = FakeVisual()
        self.token_embedding = nn.Embedding(100, 8)
        self.positional_embedding = nn.Parameter(torch.randn(10, 8))
        self.transformer = FakeTransformer()
        self.ln_final = nn.LayerNorm(8)
        self.text_projection = nn.Linear(8, 6, bias=False) if linear else nn.Parameter(torch.randn(8, 6))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(20.0)))

    def encode_image(self, image):
        assert image.shape[1:] == (3, 32, 32)
        return 3 * torch.cat([image.mean((2, 3)), image.amax((2, 3))], dim=1)


def fake_tokenizer(texts):
    rows = [[98, *(1 + len(word) for word in text.split()), END] for text in texts]
    return torch.tensor([row + [0] * (10 - len(row)) for row in rows])


@pytest.mark.parametrize("linear", [False, True])
def test_an_open_clip_model_has_the_interface_of_the_courses(linear):
    torch.manual_seed(0)
    model = FakeOpenClip(linear)
    clip = OpenClip(model, fake_tokenizer, 48)
    assert (clip.dim, clip.text_width, clip.size) == (6, 8, (48, 48))
    assert clip.scale.item() == pytest.approx(20)
    images = faces(2)
    resized = torch.nn.functional.interpolate(images, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)
    shifted = (resized - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    torch.testing.assert_close(clip.encode_image(images), nn.functional.normalize(model.encode_image(shifted), dim=1))
    texts = ["any word at all", "hat"]
    tokens = clip.tokenize(texts)
    assert clip.eos_positions(tokens).tolist() == [5, 2]
    x = model.token_embedding(tokens) + model.positional_embedding
    seen = torch.stack([x[0, :6].mean(0), x[1, :3].mean(0)])
    projection = model.text_projection.weight.T if linear else model.text_projection
    expected = nn.functional.normalize(model.ln_final(seen) @ projection, dim=1)
    torch.testing.assert_close(clip.encode_text(texts), expected)
    assert clip.zero_shot(clip.encode_image(images), ["one", ["two", "three"]]).shape == (2, 2)


@pytest.fixture
def course_clip(tmp_path, monkeypatch, clip):
    """A trained CLIP of the course's at its usual place."""
    path = tmp_path / "course" / "clip.safetensors"
    save_trained(path, clip)
    monkeypatch.setattr(module.load_course_clip, "__defaults__", (path,))
    return clip


def install_open_clip(monkeypatch, create, **known):
    fake = types.ModuleType("open_clip")
    fake.create_model, fake.get_tokenizer = create, lambda name: fake_tokenizer
    fake.get_pretrained_cfg = lambda name, tag: known if (name, tag) == ("ViT-B-32", "openai") else {}
    monkeypatch.setitem(sys.modules, "open_clip", fake)


def test_without_weights_the_courses_own_is_loaded(course_clip):
    loaded, line = load_clip()
    assert isinstance(loaded, CLIP)
    assert line == "the course's own CLIP"


def test_weights_in_a_local_file_are_loaded_through_open_clip(tmp_path, monkeypatch):
    path = tmp_path / "vit.pt"
    path.write_bytes(b"weights")
    asked = []
    install_open_clip(monkeypatch, lambda name, pretrained: asked.append((name, pretrained)) or FakeOpenClip())
    loaded, line = load_clip(path, "ViT-B-32", size=48)
    assert isinstance(loaded, OpenClip)
    assert not loaded.training
    assert asked == [("ViT-B-32", str(path))]
    assert line == "ViT-B-32 (vit.pt, open_clip)"


class Scripted(nn.Module):
    """As OpenAI gives its weights away: a program, with three sizes among its weights."""

    def __init__(self, weights):
        super().__init__()
        for name, value in {**weights, "input_resolution": torch.tensor(32), "vocab_size": torch.tensor(100)}.items():
            self.register_buffer(name.replace(".", "_"), value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_openais_own_files_are_read_with_their_activation_function(tmp_path, monkeypatch):
    weights = {"logit_scale": torch.tensor(math.log(50.0))}
    path = tmp_path / "ViT-B-32.pt"
    torch.jit.script(Scripted(weights)).save(path)
    asked = []

    class Plain(FakeOpenClip):
        def load_state_dict(self, state):
            assert set(state) == {"logit_scale"}
            return super().load_state_dict(state, strict=False)

    install_open_clip(monkeypatch, lambda name, **options: asked.append((name, options)) or Plain())
    loaded, line = load_clip(path, size=48)
    assert asked == [("ViT-B-32", {"force_quick_gelu": True})]
    assert loaded.scale.item() == pytest.approx(50)
    assert line == "ViT-B-32 (ViT-B-32.pt, open_clip)"


@pytest.mark.parametrize("hub", [False, True])
def test_weights_are_found_by_their_name_in_the_cache_and_never_downloaded(hub, course_clip, tmp_path, monkeypatch):
    asked, known = [], {"quick_gelu": True, "mean": (0.1, 0.2, 0.3), "interpolation": "bicubic"}
    known |= {"hf_hub": "timm/vit_base/"} if hub else {"url": "https://example.org/models/vit.pt"}
    monkeypatch.setattr(module.Path, "home", lambda: tmp_path)
    place = tmp_path / ".cache" / "clip" / "vit.pt"
    library = types.ModuleType("huggingface_hub")
    library.try_to_load_from_cache = lambda model_id, file: {
        ("timm/vit_base", "open_clip_pytorch_model.bin"): str(place)
    }.get((model_id, file))
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    install_open_clip(monkeypatch, lambda name, **options: asked.append(options) or FakeOpenClip(), **known)
    loaded, line = load_clip("openai", size=48)
    assert isinstance(loaded, CLIP), "nothing is there yet"
    assert line.endswith("there are no weights at openai, and none of that name for ViT-B-32 in open_clip's cache")
    assert asked == []
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    loaded, line = load_clip("openai", size=48)
    assert isinstance(loaded, OpenClip)
    assert line == "ViT-B-32 (openai, open_clip)"
    assert asked == [
        {"pretrained": str(place), "force_quick_gelu": True, "force_preprocess_cfg": {"mean": (0.1, 0.2, 0.3)}}
    ]


def broken(error):
    def create(name, pretrained):
        raise error

    return create


@pytest.mark.parametrize(
    ("create", "exists", "reason"),
    [
        (None, True, r"the package open_clip is not installed \(pip install open_clip_torch\)"),
        (broken(AssertionError("must not be asked")), False, r"there are no weights at .*vit\.pt"),
        (
            broken(RuntimeError("size mismatch for proj: [768, 512] and [1024, 640]\nmore lines")),
            True,
            r"vit\.pt does not hold weights of ViT-B-32 \(size mismatch for proj: \[768, 512\] and \[1024, 640\]\)",
        ),
        (lambda name, pretrained: nn.Linear(2, 2), True, r"does not hold weights .* it lacks visual"),
    ],
)
def test_what_cannot_be_loaded_gives_one_line_and_the_courses_own(
    course_clip, tmp_path, monkeypatch, create, exists, reason
):
    path = tmp_path / "vit.pt"
    if exists:
        path.write_bytes(b"weights")
    if create is None:
        monkeypatch.setitem(sys.modules, "open_clip", None)
    else:
        install_open_clip(monkeypatch, create)
    loaded, line = load_clip(path)
    assert isinstance(loaded, CLIP)
    assert line.startswith("the course's own CLIP: ")
    assert "\n" not in line
    assert re.search(reason, line), line


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.encode_image(faces(1, 64)), ValueError, r"image must be RGB \[B, 3, 48, 48\]"),
        (lambda c: c.encode_image(255 * faces(1)), ValueError, "Divide by 255"),
        (lambda c: c.encode_text("a face with spectacles"), ValueError, "does not know 'spectacles'"),
        (lambda c: c.encode_text([]), ValueError, "texts must hold a text or more; got none"),
        (lambda c: c.encode_text(torch.tensor([[SOS, 5, PAD]])), ValueError, "an end of sentence in every row"),
        (lambda c: c.zero_shot(torch.ones(2, 9), ["a hat"]), ValueError, r"\[B, 16\]; got .* another CLIP"),
        (lambda c: c.zero_shot(torch.ones(2, 16), []), ValueError, "prompts must be one sentence or more for each"),
        (lambda c: c.zero_shot(torch.ones(2, 16), ["a hat", []]), ValueError, "prompts must be one sentence or more"),
        (lambda c: c.zero_shot(torch.ones(2, 16), "a hat"), ValueError, "prompts must be .* got str 'a hat'"),
        (
            lambda c: c.encode_embeddings(torch.ones(1, 65, 24), torch.tensor([2])),
            ValueError,
            r"embeddings must be \[B, L, 24\] with L of at most 64; got .*\[1, 65, 24\]",
        ),
        (lambda c: c.encode_embeddings(torch.ones(1, 6, 20), torch.tensor([2])), ValueError, r"must be \[B, L, 24\]"),
        (lambda c: c.encode_embeddings(torch.ones(1, 6, 24), torch.tensor([6])), ValueError, r"must lie in \[0, 5\]"),
        (lambda c: c.encode_embeddings(torch.ones(2, 6, 24), torch.tensor([1])), ValueError, r"must have shape \[2\]"),
        (lambda c: CLIP(48, text_width=10, heads=4), ValueError, "text_width must be a multiple of heads, 4; got 10"),
        (lambda c: CLIP(4), ValueError, "size must be 8 or more"),
        (lambda c: CLIP(48, dim=0), ValueError, "dim must be 1 or more"),
        (lambda c: OpenClip(nn.Linear(2, 2), None), TypeError, "its text tower inside; it lacks visual"),
        (lambda c: OpenClip(FakeOpenClip(), fake_tokenizer).tokenize([]), ValueError, "texts must hold a text or more"),
    ],
)
def test_bad_arguments_are_named(clip, call, error, message):
    with pytest.raises(error, match=message):
        call(clip)


def test_tokens_that_end_early_are_read_up_to_their_first_end(clip):
    tokens = torch.tensor([[SOS, 5, EOS, 7, EOS]])
    torch.testing.assert_close(clip.encode_text(tokens), clip.encode_text(tokens[:, :3]))
