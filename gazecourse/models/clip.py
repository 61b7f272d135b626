"""CLIP: images and sentences in one space (Radford et al. 2021, "Learning Transferable Visual Models from Natural
Language Supervision").

``CLIP`` is the course's own, small enough to ship and trained on rendered faces. ``OpenClip`` gives a model of the
package ``open_clip`` the same interface, and ``load_clip`` takes whichever is there.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from gazecourse.checkpoint import load_trained
from gazecourse.errors import CourseError
from gazecourse.losses.vision_language import bounded_scale, unit_features
from gazecourse.models.alexnet import map_shape
from gazecourse.models.inputs import ImageInput, check_images, check_size
from gazecourse.models.puregaze import resnet_features
from gazecourse.paths import CLIP_MODEL
from gazecourse.tokenizer import Tokenizer, eos_positions
from gazecourse.validation import check_array, check_whole, describe

INITIAL_TEMPERATURE = 0.07

Prompts = Sequence[str | Sequence[str]]
"""For each class a sentence, or several whose features are averaged."""


class TwoTowers(nn.Module):
    """What every CLIP can do, however it is built.

    A subclass brings ``dim``, the width D of its features, ``text_width``, that of its token embeddings, ``size``, and
    the methods that raise here.
    """

    dim: int
    text_width: int
    size: tuple[int, int]

    def encode_image(self, image: Tensor) -> Tensor:
        """Unit features [B, D] of RGB images [B, 3, *size] in [0, 1]."""
        raise NotImplementedError

    def tokenize(self, texts: str | Sequence[str]) -> Tensor:
        """Tokens int64 [B, L] of texts, on the model's device."""
        raise NotImplementedError

    def eos_positions(self, tokens: Tensor) -> Tensor:
        """int64 [B]: where each row of tokens ends."""
        raise NotImplementedError

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings [B, L, text_width] of tokens, before their positions are added."""
        raise NotImplementedError

    def encode_embeddings(self, embeddings: Tensor, eos_position: Tensor) -> Tensor:
        """Unit features [B, D] of embeddings [B, L, text_width], such as those of learned context.

        Args:
            embeddings: of the start, the words and the end of each sentence, without positions.
            eos_position: int64 [B], where each sentence ends; what comes later changes nothing.
        """
        raise NotImplementedError

    @property
    def scale(self) -> Tensor:
        """1/temperature, at most 100."""
        raise NotImplementedError

    def encode_text(self, texts: str | Sequence[str] | Tensor) -> Tensor:
        """Unit features [B, D] of texts, or of their tokens [B, L].

        Raises:
            ValueError: no text, or a word that the model does not know.
        """
        tokens = texts if isinstance(texts, Tensor) else self.tokenize(texts)
        return self.encode_embeddings(self.embed(tokens), self.eos_positions(tokens))

    def class_features(self, prompts: Prompts) -> Tensor:
        """Unit features [K, D], one for each class: the mean over its prompts' features ("prompt ensembling").

        Raises:
            ValueError: no class, or a class without a prompt.
        """
        groups = [[group] if isinstance(group, str) else list(group) for group in prompts]
        if isinstance(prompts, str) or not groups or not all(groups):
            raise ValueError(f"prompts must be one sentence or more for each class; got {describe(prompts)}.")
        features = self.encode_text([text for group in groups for text in group])
        parts = features.split([len(group) for group in groups])
        return unit_features(torch.stack([part.mean(0) for part in parts]))

    def zero_shot(self, image_features: Tensor, prompts: Prompts) -> Tensor:
        """Probabilities [B, K] of the classes that the prompts describe: softmax of cosines over the temperature.

        >>> clip.zero_shot(clip.encode_image(faces), ["a face with glasses", "a face without glasses"])

        Args:
            image_features: [B, D] from ``encode_image``.
            prompts: for each class a sentence, or several ("prompt ensembling").
        Raises:
            ValueError: features of another width, no class, a class without a prompt, or an unknown word.
        """
        hint = "They come from another CLIP."
        check_array("image_features", image_features, ("B", self.dim), hint=hint)
        return (self.scale * unit_features(image_features) @ self.class_features(prompts).T).softmax(1)


class Block(nn.Module):
    """Pre-norm transformer block: x + attention(LN(x)), then x + MLP(LN(x)). Every token sees those before it.

    Args:
        width: of the tokens. heads: of the attention; they divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attention(self, x: Tensor) -> Tensor:
        """Causal self-attention on [B, L, width]."""
        batch, length, width = x.shape
        split = self.query_key_value(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.mix(attended.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, width] to [B, L, width]."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TextTransformer(nn.Module):
    """CLIP's text encoder: embeddings and positions, causal blocks, and the feature at the end of the sentence.

    The end is the one token that has seen all words. With the causal mask, what pads a sentence after its end cannot
    change it, so no mask for padding is needed.

    Args:
        vocabulary: number of tokens. context: the most tokens of a sentence. width, layers, heads: of the transformer.
        dim: of the feature.
    """

    def __init__(self, vocabulary: int, context: int, width: int, layers: int, heads: int, dim: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.empty(context, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, dim, bias=False)
        self._initialize(width, layers)

    def _initialize(self, width: int, layers: int) -> None:
        """CLIP's normal distributions; what is added to the residual stream starts small, the more the layers."""
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position, std=0.01)
        nn.init.normal_(self.project.weight, std=width**-0.5)
        residual = width**-0.5 * (2 * layers) ** -0.5
        for block in self.blocks:
            nn.init.normal_(block.query_key_value.weight, std=width**-0.5)
            nn.init.normal_(block.mlp[0].weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mix.weight, std=residual)
            nn.init.normal_(block.mlp[2].weight, std=residual)

    def forward(self, embeddings: Tensor, eos_position: Tensor) -> Tensor:
        """Features [B, dim] of embeddings [B, L, width] that end at ``eos_position`` [B]."""
        batch, length, width = embeddings.shape
        if length > len(self.position) or width != self.position.shape[1]:
            most, own = self.position.shape
            raise ValueError(f"embeddings must be [B, L, {own}] with L of at most {most}; got {describe(embeddings)}.")
        check_array("eos_position", eos_position, (batch,), floating=False, low=0, high=length - 1)
        x = self.blocks(embeddings + self.position[:length])
        ends = x[torch.arange(batch, device=x.device), eos_position]
        return self.project(self.norm(ends))


@torch.no_grad()
def clip_features(clip: TwoTowers, image: Tensor) -> Tensor:
    """f_v = E_v(x), unit [B, D], without gradient, of whole faces [B, 3, H, W] in [0, 1], resized to CLIP's size."""
    if tuple(image.shape[-2:]) != clip.size:
        image = interpolate(image, clip.size, mode="bilinear", antialias=True).clamp(0, 1)
    return clip.encode_image(image)


class CLIP(TwoTowers):
    """The course's CLIP: a small ResNet for faces, a small transformer for sentences, and a learned temperature.

        u = E_v(x) / |E_v(x)|,  v = E_t(s) / |E_t(s)|,  probability of s for x ∝ exp(cos(u, v) / temperature)

    The default has 1.4 M parameters.

    Args:
        size: height and width of the face.
        depth, width, stride: of the ResNet; see ``puregaze.resnet_features``.
        dim: D, of both features.
        text_width, text_layers, heads: of the text transformer; ``text_width`` is a multiple of ``heads``.
        words: the tokenizer's vocabulary; default that of the course.
        context: the most tokens of a sentence.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 112,
        *,
        depth: int = 18,
        width: float = 0.25,
        stride: int = 16,
        dim: int = 128,
        text_width: int = 128,
        text_layers: int = 3,
        heads: int = 4,
        words: Sequence[str] | None = None,
        context: int = 64,
    ) -> None:
        super().__init__()
        self.size = check_size(size)
        self.dim = check_whole("dim", dim, 1)
        self.text_width = check_whole("text_width", text_width, 1)
        check_whole("text_layers", text_layers, 1)
        if self.text_width % check_whole("heads", heads, 1):
            raise ValueError(f"text_width must be a multiple of heads, {heads}; got {text_width}.")
        self.tokenizer = Tokenizer(words, context)
        self.settings = {
            "size": self.size, "depth": depth, "width": width, "stride": stride, "dim": dim, "text_width": text_width,
            "text_layers": text_layers, "heads": heads, "words": self.tokenizer.words, "context": context,
        }  # fmt: skip
        self.input = ImageInput(self.size)
        self.backbone = resnet_features(depth, width=width, stride=stride)
        channels = map_shape(self.backbone.eval(), self.size)[0]
        self.backbone.train()
        self.project = nn.Linear(channels, dim, bias=False)
        self.text = TextTransformer(len(self.tokenizer), context, text_width, text_layers, heads, dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / INITIAL_TEMPERATURE)))

    @property
    def scale(self) -> Tensor:
        """1/temperature, at most 100."""
        return bounded_scale(self.log_scale)

    def encode_image(self, image: Tensor) -> Tensor:
        """Unit features [B, D] of RGB images [B, 3, *size] in [0, 1]."""
        return unit_features(self.project(self.backbone(self.input(image)).mean((2, 3))))

    def tokenize(self, texts: str | Sequence[str]) -> Tensor:
        """Tokens int64 [B, L] of texts; ``ValueError`` names a word that the course's CLIP has not learned."""
        return self.tokenizer(texts).to(self.log_scale.device)

    def eos_positions(self, tokens: Tensor) -> Tensor:
        """int64 [B]: where each row of tokens ends."""
        return eos_positions(tokens)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings [B, L, text_width] of tokens, before their positions are added."""
        return self.text.token_embedding(tokens)

    def encode_embeddings(self, embeddings: Tensor, eos_position: Tensor) -> Tensor:
        """Unit features [B, D] of embeddings [B, L, text_width]; see ``TwoTowers``."""
        return unit_features(self.text(embeddings, eos_position))

    def forward(self, image: Tensor, texts: Sequence[str] | Tensor) -> tuple[Tensor, Tensor]:
        """Unit features of images and of texts, [B, D] and [N, D]."""
        return self.encode_image(image), self.encode_text(texts)


def load_course_clip(path: Path | str = CLIP_MODEL) -> CLIP:
    """The course's trained CLIP, in evaluation mode and in single precision.

    Raises:
        FileNotFoundError: no file at ``path``. CourseError: it is damaged, or no CLIP of this course.
    """
    remedy = "python data_scripts/train_clip.py trains one in about an hour on two cores, and puts it there"
    return load_trained(path, _from_settings, known_by="words", name="CLIP", remedy=remedy)


def _from_settings(settings: dict) -> CLIP:
    return CLIP(**{name: tuple(value) if name == "size" else value for name, value in settings.items()})


class OpenClip(TwoTowers):
    """A model of the package ``open_clip`` with the interface of the course's CLIP.

    Args:
        model: an ``open_clip`` CLIP with its text tower inside, such as ViT-B-32.
        tokenizer: of the same name.
        size: height and width of the faces that it is shown; they are resized to what the model wants.
    Raises:
        TypeError: a model that is built otherwise.
    """

    _PARTS = ("visual", "token_embedding", "positional_embedding", "transformer", "ln_final", "text_projection")

    def __init__(self, model: nn.Module, tokenizer: Any, size: int | tuple[int, int] = 224) -> None:
        super().__init__()
        for name in (*self._PARTS, "logit_scale"):
            if not hasattr(model, name):
                raise TypeError(f"model must be a CLIP of open_clip with its text tower inside; it lacks {name}.")
        self.size = check_size(size)
        self.model, self.tokenizer = model, tokenizer
        self.text_width = model.token_embedding.weight.shape[1]
        visual = model.visual
        side = visual.image_size
        self.model_size = (side, side) if isinstance(side, int) else tuple(side)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(visual, f"image_{name}")).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)
        projection = model.text_projection
        self.dim = projection.out_features if isinstance(projection, nn.Linear) else projection.shape[1]

    @property
    def scale(self) -> Tensor:
        """1/temperature, at most 100."""
        return bounded_scale(self.model.logit_scale)

    def encode_image(self, image: Tensor) -> Tensor:
        """Unit features [B, D] of RGB images [B, 3, *size] in [0, 1]."""
        image = check_images("image", image, self.size)
        if self.size != self.model_size:
            image = interpolate(image, self.model_size, mode="bicubic", antialias=True).clamp(0, 1)
        return unit_features(self.model.encode_image((image - self.mean) / self.std))

    def tokenize(self, texts: str | Sequence[str]) -> Tensor:
        """Tokens int64 [B, 77] of texts; CLIP's own tokenizer spells any word."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts:
            raise ValueError("texts must hold a text or more; got none.")
        return self.tokenizer(texts).to(self.mean.device)

    def eos_positions(self, tokens: Tensor) -> Tensor:
        """int64 [B]: where each row of tokens ends; the end has the largest number of CLIP's vocabulary."""
        return tokens.argmax(1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings [B, L, text_width] of tokens, before their positions are added."""
        return self.model.token_embedding(tokens)

    def encode_embeddings(self, embeddings: Tensor, eos_position: Tensor) -> Tensor:
        """Unit features [B, D] of embeddings [B, L, text_width]; see ``TwoTowers``."""
        length = embeddings.shape[1]
        mask = torch.full((length, length), -torch.inf, device=embeddings.device, dtype=embeddings.dtype).triu(1)
        x = self.model.transformer(embeddings + self.model.positional_embedding[:length], attn_mask=mask)
        ends = self.model.ln_final(x)[torch.arange(len(x), device=x.device), eos_position]
        projection = self.model.text_projection
        return unit_features(projection(ends) if isinstance(projection, nn.Linear) else ends @ projection)


_OPENAIS_SIZES = ("input_resolution", "context_length", "vocab_size")
"""Numbers that OpenAI's files hold among the weights."""

_HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""What ``open_clip`` calls weights on the Hugging Face hub."""


def load_clip(
    weights: Path | str | None = None, name: str = "ViT-B-32", *, size: int | tuple[int, int] = 112
) -> tuple[TwoTowers, str]:
    """A CLIP with OpenAI's or OpenCLIP's weights, or the course's own where these cannot be had.

    Nothing is ever downloaded.

    Args:
        weights: a file, OpenAI's own or one that ``open_clip`` reads; or the name of weights in its cache, such as
            "openai"; None for the course's own CLIP.
        name: ``open_clip``'s name of the architecture that the weights belong to. OpenAI's models have another
            activation function (QuickGELU), and with the wrong one features are silently off. Their own files and names
            bring the right one; for a file that was written anew, take the architecture that ends in "-quickgelu".
        size: of the faces that it is shown; the course's own CLIP has the size it was trained for.
    Returns:
        The model in evaluation mode, and one line that says which it is and, if it is not the one asked for, why.
    Raises:
        FileNotFoundError, CourseError: of the course's own CLIP; see ``load_course_clip``.
    """
    if weights is None:
        return load_course_clip(), "the course's own CLIP"
    try:
        return _from_open_clip(weights, name, size), f"{name} ({Path(weights).name}, open_clip)"
    except CourseError as error:
        return load_course_clip(), f"the course's own CLIP: {error}"


def _from_open_clip(weights: Path | str, name: str, size: int | tuple[int, int]) -> OpenClip:
    """Raises ``CourseError``, one line, whatever is missing or does not fit."""
    try:
        import open_clip
    except ImportError as error:
        raise CourseError("the package open_clip is not installed (pip install open_clip_torch)") from error
    path, options = (Path(weights), {}) if Path(weights).is_file() else _in_cache(open_clip, name, str(weights))
    if path is None:
        raise CourseError(f"there are no weights at {weights}, and none of that name for {name} in open_clip's cache")
    try:
        if _is_openais(path):
            model = open_clip.create_model(name, force_quick_gelu=True)
            model.load_state_dict(_openais_weights(path))
        else:
            model = open_clip.create_model(name, pretrained=str(path), **options)
        return OpenClip(model, open_clip.get_tokenizer(name), size).eval()
    except (RuntimeError, OSError, KeyError, ValueError, TypeError, EOFError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CourseError(f"{path.name} does not hold weights of {name} ({reason})") from error


def _is_openais(path: Path) -> bool:
    """Whether a file is a program with its weights (TorchScript), which only OpenAI gives away."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())


def _openais_weights(path: Path) -> dict[str, Tensor]:
    weights = torch.jit.load(path, map_location="cpu").state_dict()
    return {name: value for name, value in weights.items() if name not in _OPENAIS_SIZES}


def _from_the_hub(hub: str) -> list[Path]:
    """Files fetched from the Hugging Face hub before, of "owner/model/file" or, with usual names, "owner/model/"."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return []
    model_id, _, file = hub.rpartition("/")
    found = [try_to_load_from_cache(model_id, one) for one in ([file] if file else _HUB_FILES)] if model_id else []
    return [Path(place) for place in found if isinstance(place, str)]


def _in_cache(open_clip: Any, name: str, tag: str) -> tuple[Path | None, dict[str, Any]]:
    """Where ``open_clip`` has put the weights of that name, if it has, and what its ``create_model`` must know of them.

    Asking ``create_model`` for the name would download what is not there.
    """
    known = open_clip.get_pretrained_cfg(name, tag)
    places = []
    if known.get("url"):
        places.append(Path.home() / ".cache" / "clip" / known["url"].rsplit("/", 1)[-1])
    places += _from_the_hub(known.get("hf_hub", ""))
    options = {
        "force_quick_gelu": bool(known.get("quick_gelu")),
        "force_preprocess_cfg": {key: known[key] for key in ("mean", "std") if key in known},
    }
    return next((place for place in places if place.is_file()), None), options
