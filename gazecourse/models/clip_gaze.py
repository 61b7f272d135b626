"""CLIP-Gaze: gaze features apart from what words can say about a face (Yin, Zeng, Wang, Xie, AAAI 2024).

    f = E(x) → CLIP's space,  z = M(f),  g = F(z)          and a frozen CLIP that is needed in training only

Nothing was released. That E ends in a linear layer to CLIP's width, and the sizes of M, are a reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gazecourse.faces.attributes import NAMED
from gazecourse.faces.captions import prompt
from gazecourse.faces.head import identity_names
from gazecourse.models.alexnet import map_shape
from gazecourse.models.clip import TwoTowers, clip_features
from gazecourse.models.inputs import ImageInput, check_size
from gazecourse.models.puregaze import resnet_features
from gazecourse.validation import check_array, check_choice, check_whole, describe

CONTEXTS = ("written", "coop", "cocoop", "pco")
"""Hand-written prompts; learned context (CoOp); that with a token from the image (CoCoOp); or from the person (PCO)."""

_PLACEHOLDER = "a"
"""A word that every CLIP has one token for; learned context takes its place."""


def frozen(clip: TwoTowers) -> TwoTowers:
    """The same CLIP without gradients, in evaluation mode."""
    return clip.requires_grad_(False).eval()


class ClipGaze(nn.Module):
    """A gaze network whose features are drawn into CLIP's space and filtered there.

    CLIP is no part of its ``state_dict``: nothing of it is learned here, and gaze is estimated without it.

    Args:
        clip: a trained CLIP. It is frozen here: it takes no gradient and stays in evaluation mode, whatever ``train``
            is called with.
        size: height and width of the face.
        depth, width, stride: of the ResNet E; see ``puregaze.resnet_features``.
        hidden: units in the filter M between CLIP's width and back; None for CLIP's width.
    """

    def __init__(
        self,
        clip: TwoTowers,
        size: int | tuple[int, int] = 224,
        *,
        depth: int = 18,
        width: float = 1.0,
        stride: int = 32,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(clip, TwoTowers):
            raise TypeError(f"clip must be a CLIP, such as load_clip() returns; got {type(clip).__name__}.")
        self.size = check_size(size)
        self.clip = frozen(clip)
        self.input = ImageInput(self.size)
        self.backbone = resnet_features(depth, width=width, stride=stride)
        channels = map_shape(self.backbone.eval(), self.size)[0]
        self.backbone.train()
        self.project = nn.Linear(channels, clip.dim)
        units = clip.dim if hidden is None else check_whole("hidden", hidden, 1)
        self.filter = nn.Sequential(nn.Linear(clip.dim, units), nn.ReLU(), nn.Linear(units, clip.dim))
        self.head = nn.Linear(clip.dim, 2)
        self.register_state_dict_post_hook(_without_clip)
        self.register_load_state_dict_post_hook(_expect_no_clip)

    def train(self, mode: bool = True) -> ClipGaze:
        """As of any module, but for CLIP, whose BatchNorm must not learn."""
        super().train(mode)
        self.clip.eval()
        return self

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """f = E(x) and z = M(f), [B, D] each, for RGB images [B, 3, *size] in [0, 1]."""
        f = self.project(self.backbone(self.input(image)).mean((2, 3)))
        return f, self.filter(f)

    def forward(self, image: Tensor, *, features: bool = False) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Gaze [B, 2] (pitch, yaw) in radians for RGB images [B, 3, *size] in [0, 1].

        With ``features``, also f and z [B, D] that it came from.
        """
        f, z = self.features(image)
        gaze = self.head(z)
        return (gaze, f, z) if features else gaze

    def clip_features(self, image: Tensor) -> Tensor:
        """f_v, unit [B, D], without gradient; see ``clip_features``."""
        return clip_features(self.clip, image)


def _without_clip(module: nn.Module, state: dict[str, Tensor], prefix: str, _: object) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}clip.")]:
        del state[name]


def _expect_no_clip(module: nn.Module, incompatible: Any) -> None:
    of_clip = tuple(f"clip.{name}" for name in module.clip.state_dict())
    incompatible.missing_keys[:] = [name for name in incompatible.missing_keys if not name.endswith(of_clip)]


class PersonalizedContext(nn.Module):
    """Prompts for the factors with a context that is learned, and made personal (PCO, after CoCoOp).

        prompt_k = [start | v₁ + π, …, v_m + π | words of factor k | end],   π = MetaNet(identity of the person)

    The identity comes from a morphable head, not from the image, so that no gaze gets into what is to be irrelevant
    to gaze. CLIP itself is not part of the module: it is passed in, so that only the context is learned.

    Args:
        clip: whose words and widths are used.
        phrases: factor → phrases, as ``captions.factor_phrases`` gives them.
        kind: "written" (``captions.prompt``, nothing to learn), "coop" (v alone), "cocoop" (π from the image's own
            feature f_v) or "pco" (π from identity parameters).
        length: m, number of context vectors, drawn from N(0, 0.02).
        words: a text that the context vectors start from instead; m is its number of tokens.
        inputs: numbers that π is made from; default the morphable head's identity coefficients for "pco", CLIP's width
            for "cocoop".
    Attributes:
        places: factor → its slice of the K prompts.
    Raises:
        TypeError, ValueError: no phrases, an unknown word, or another kind; the message names it.
    """

    def __init__(
        self,
        clip: TwoTowers,
        phrases: Mapping[str, Sequence[str]],
        kind: str = "pco",
        *,
        length: int = 4,
        words: str | None = None,
        inputs: int | None = None,
    ) -> None:
        super().__init__()
        self.kind = str(check_choice("kind", kind, CONTEXTS))
        if not phrases or not all(phrases.values()):
            raise ValueError(f"phrases must hold one factor or more, each with a phrase; got {describe(phrases)}.")
        self.phrases = {name: tuple(listed) for name, listed in phrases.items()}
        self.places = _places(self.phrases)
        listed = [phrase for group in self.phrases.values() for phrase in group]
        if self.kind == "written":
            with torch.no_grad():
                features = clip.encode_text([prompt(phrase) for phrase in listed])
            self.register_buffer("features", features, persistent=False)
            return
        self.vectors = nn.Parameter(_initial_context(clip, check_whole("length", length, 1), words))
        self._embed_phrases(clip, listed)
        if self.kind != "coop":
            default = len(identity_names()) if self.kind == "pco" else clip.dim
            self.inputs = default if inputs is None else check_whole("inputs", inputs, 1)
            self.meta_net = _meta_net(self.inputs, clip.text_width)

    def _embed_phrases(self, clip: TwoTowers, phrases: Sequence[str]) -> None:
        """Keep the embeddings before and after the context, which never change."""
        length = len(self.vectors)
        with torch.no_grad():
            tokens = clip.tokenize([" ".join([_PLACEHOLDER] * length + [phrase]) for phrase in phrases])
            ends = clip.eos_positions(tokens)
            embeddings = clip.embed(tokens[:, : int(ends.max()) + 1])
        self.register_buffer("before", embeddings[:, :1], persistent=False)
        self.register_buffer("after", embeddings[:, 1 + length :], persistent=False)
        self.register_buffer("ends", ends, persistent=False)

    def forward(self, clip: TwoTowers, condition: Tensor | None = None) -> Tensor:
        """t, unit features of all prompts.

        Args:
            clip: the one that the module was made for.
            condition: identity parameters [B, inputs] for "pco", f_v [B, D] for "cocoop", None for the others. Equal
                rows, such as those of one person, are encoded once.
        Returns:
            [K, D], or [B, K, D] with a condition.
        Raises:
            ValueError: no condition where one is needed, one where none is, or another width.
        """
        if self.kind in ("written", "coop"):
            if condition is not None:
                raise ValueError(f"condition must be None for kind {self.kind!r}; got {describe(condition)}.")
            return self.features if self.kind == "written" else self._encode(clip, self.vectors.unsqueeze(0))[0]
        hint = "It holds identity parameters." if self.kind == "pco" else "It holds CLIP's image features."
        if condition is None:
            raise ValueError(f"condition must be [B, {self.inputs}] for kind {self.kind!r}; got None. {hint}")
        check_array("condition", condition, ("B", self.inputs), hint=hint)
        rows, which = condition.unique(dim=0, return_inverse=True)
        return self._encode(clip, self.vectors + self.meta_net(rows).unsqueeze(1))[which]

    def _encode(self, clip: TwoTowers, context: Tensor) -> Tensor:
        """Features [U, K, D] of all phrases in each context [U, m, width]."""
        count, prompts = len(context), len(self.before)
        parts = (
            self.before.expand(count, -1, -1, -1),
            context.unsqueeze(1).expand(-1, prompts, -1, -1),
            self.after.expand(count, -1, -1, -1),
        )
        embeddings = torch.cat(parts, dim=2).flatten(0, 1)
        return clip.encode_embeddings(embeddings, self.ends.repeat(count)).view(count, prompts, -1)

    def labels(self, facts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """For each factor the place [B] of the phrase that is true of an image among the factor's own; else -1.

        Args:
            facts: class [B] of each factor, -1 where it is not seen; see ``captions.seen``.
        """
        return {name: _phrase_places(name).to(facts[name].device)[facts[name]] for name in self.phrases}


def _places(phrases: Mapping[str, Sequence[str]]) -> dict[str, slice]:
    places, start = {}, 0
    for name, listed in phrases.items():
        places[name] = slice(start, start + len(listed))
        start += len(listed)
    return places


def _phrase_places(name: str) -> Tensor:
    """Class → place among the classes with words; -1 for one that goes without saying, and, last, for class -1."""
    places, said = [], 0
    for words in NAMED[name].words:
        places.append(said if words else -1)
        said += bool(words)
    return torch.tensor([*places, -1])


def _initial_context(clip: TwoTowers, length: int, words: str | None) -> Tensor:
    """[m, width]: random, or the embeddings of a text's tokens without start and end."""
    if words is None:
        return 0.02 * torch.randn(length, clip.text_width)
    with torch.no_grad():
        tokens = clip.tokenize(words)
        return clip.embed(tokens)[0, 1 : int(clip.eos_positions(tokens)[0])].clone()


def _meta_net(inputs: int, width: int) -> nn.Sequential:
    """Linear d → d/16, ReLU, Linear → context width. π starts at zero, so that learning starts from CoOp's prompts."""
    last = nn.Linear(max(1, inputs // 16), width)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, max(1, inputs // 16)), nn.ReLU(), last)
