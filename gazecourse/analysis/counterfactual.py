"""What one factor does to a gaze network: draw the same face again with nothing but that factor changed.

Data sets can only compare people with glasses to other people without. The renderer puts glasses on the same person, in
the same pose, light and place, looking at the same point, and the difference in error is what the glasses did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from gazecourse.angles import angular_error
from gazecourse.faces.attributes import BACKGROUNDS, BEARDS, GLASSES, HATS, Factors
from gazecourse.faces.renderer import Renderer
from gazecourse.faces.rendering import CPU_PIXELS, GPU_PIXELS
from gazecourse.metrics import Interval, bootstrap_ci
from gazecourse.validation import check_array, check_choice, describe

Change = Callable[[Factors], Factors]
Predict = Callable[[Tensor], Tensor]

KEPT = (
    "camera", "head_rotation", "head_position", "target", "neck", "normalization", "screen", "person", "identity",
    "seed",
)  # fmt: skip
"""Factors that no change may touch: where everything is, who is in the picture, and everything random."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "place and direction": (
            "camera", "head_rotation", "head_position", "target", "neck", "normalization", "screen",
        ),
        "people": (
            "person", "identity", "age", "male", "weight", "ancestry", "skin_tone", "undertone", "skin_detail",
            "hair_color", "hair_style", "hair_length", "hair_fringe", "beard", "brow_thickness", "eye_color",
            "iris_radius", "pupil_radius", "expression", "expression_strength", "blink",
        ),
        "what they wear": (
            "glasses", "glasses_color", "glasses_shape", "glasses_tint", "glasses_reflection", "hat", "hat_color",
            "makeup", "makeup_color", "clothes_color", "occluder", "occluder_place",
        ),
        "light": ("light_direction", "light_color", "ambient_above", "ambient_below", "exposure"),
        "background": ("background", "background_color"),
        "image quality": ("defocus", "motion", "resolution", "noise", "compression"),
    }
)  # fmt: skip
"""All factors but the seed, in groups that a domain can lend to another."""

FROM_THE_LEFT = (-0.92, -0.3, -0.25)


def _light_from_the_left(factors: Factors) -> Factors:
    direction = torch.tensor(FROM_THE_LEFT)
    return factors.replace(light_direction=direction / direction.norm())


def _thick_frames(factors: Factors) -> Factors:
    clear = factors.glasses_tint.clamp(max=0.06)
    return factors.replace(glasses=GLASSES.index("thick-framed glasses"), glasses_tint=clear)


def _sunglasses(factors: Factors) -> Factors:
    dark = GLASSES.index("sunglasses")
    return factors.replace(glasses=dark, glasses_tint=torch.where(factors.glasses == dark, factors.glasses_tint, 0.8))


def _full_beard(factors: Factors) -> Factors:
    return factors.replace(beard=torch.where(factors.male > 0, BEARDS.index("full beard"), factors.beard))


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "a dark room": lambda f: f.replace(exposure=0.2 * f.exposure),
        "all light from the left": _light_from_the_left,
        "thick-framed glasses": _thick_frames,
        "sunglasses": _sunglasses,
        "a full beard": _full_beard,
        "dark skin": lambda f: f.replace(skin_tone=0.95),
        "a cap": lambda f: f.replace(hat=HATS.index("cap")),
        "a street behind": lambda f: f.replace(background=BACKGROUNDS.index("street")),
        "out of focus": lambda f: f.replace(defocus=0.015),
        "low resolution": lambda f: f.replace(resolution=0.2),
        "sensor noise": lambda f: f.replace(noise=0.06),
    }
)
"""Changes that leave gaze, head and person alone, in words. Beards are for men; women stay as they are."""


@dataclass(frozen=True)
class Effect:
    """What a change does to a network's predictions.

    Attributes:
        error: rise of the angular error, degrees: with the change minus without, face by face; negative where it helps.
        moved: angle between the predictions with and without, degrees. It needs no label, and it is never negative:
            a network can move and be no worse.
        faces: how many faces the change altered. The others, who wore the glasses already, are not counted.
    """

    error: Interval
    moved: Interval
    faces: int

    def __str__(self) -> str:
        return f"error {self.error.mean:+.2f} [{self.error.low:+.2f}, {self.error.high:+.2f}]°, moved {self.moved}°"


def counterfactuals(
    predict: Predict,
    factors: Factors,
    changes: Mapping[str, Change] = CHANGES,
    size: int | tuple[int, int] = 112,
    *,
    device: torch.device | str | None = None,
) -> dict[str, Effect]:
    """How much worse a network gets by each change, and how far its predictions move.

    >>> counterfactuals(model.eval(), faces.subset(range(64)).factors)["sunglasses"].error

    Args:
        predict: gaze [B, 2] (pitch, yaw), radians, or vectors [B, 3], of images [B, 3, H, W] in [0, 1] on ``device``;
            e.g. a model in evaluation mode. It is called without gradients.
        factors: N faces, e.g. ``FaceDataset.factors``. All of them are drawn once, and once more for each change.
        changes: by name, a function from ``Factors`` to the changed ``Factors``, e.g.
            ``lambda f: f.replace(glasses=3)``.
        size: of the images, as the network knows them.
        device: where to draw; default the GPU if there is one.
    Returns:
        ``Effect`` by name, with intervals over people (``metrics.bootstrap_ci``).
    Raises:
        TypeError, ValueError: naming the argument; also where a change alters no face, or something that it must not:
            place, pose, target, person or seed.
    """
    changed = _changed(factors, changes)
    renderer = Renderer(size, device)
    labels, before = _predictions(predict, renderer, factors)
    error = angular_error(before, labels)
    effects = {}
    for name, (rows, others) in changed.items():
        _, after = _predictions(predict, renderer, others)  # the true gaze hangs on what is KEPT alone
        person = others.person.cpu()
        effects[name] = Effect(
            error=bootstrap_ci(angular_error(after, labels[rows]) - error[rows], clusters=person),
            moved=bootstrap_ci(angular_error(after, before[rows]), clusters=person),
            faces=len(others),
        )
    return effects


def borrow(factors: Factors, others: Factors, *groups: str) -> Factors:
    """The same faces, with some groups of factors taken from as many other faces, e.g. of another domain.

    >>> borrow(studio.factors, wild.factors[: len(studio)], "light", "image quality")

    Raises:
        ValueError: no such group (see ``GROUPS``), or another number of faces.
    """
    for group in groups:
        check_choice("groups", group, tuple(GROUPS))
    if len(others) != len(factors):
        raise ValueError(f"others must be {len(factors)} faces, one for each; got {len(others)}.")
    return factors.replace(**{name: getattr(others, name) for group in groups for name in GROUPS[group]})


def predictions(
    predict: Predict, factors: Factors, size: int | tuple[int, int] = 112, *, device: torch.device | str | None = None
) -> tuple[Tensor, Tensor]:
    """True gaze [N, 2] and what a network says [N, 2 or 3] of faces that are drawn for it; arguments as above."""
    return _predictions(predict, Renderer(size, device), factors)


def altered(before: Factors, after: Factors) -> dict[str, Tensor]:
    """Which factors differ between two batches, by name: bool [B], in which faces."""
    pairs = zip(before.items(), after.items(), strict=True)
    masks = {name: _differs(one, other) for (name, one), (_, other) in pairs}
    return {name: mask for name, mask in masks.items() if bool(mask.any())}


def _differs(one: Tensor, other: Tensor) -> Tensor:
    same = (one == other) | (one.isnan() & other.isnan())
    return ~same.flatten(1).all(1) if same.ndim > 1 else ~same


def _changed(factors: Factors, changes: Mapping[str, Change]) -> dict[str, tuple[Tensor, Factors]]:
    """For each change, the numbers of the faces that it alters, and these faces with it."""
    if not isinstance(factors, Factors):
        raise TypeError(f"factors must be Factors; got {describe(factors)}.")
    if not isinstance(changes, Mapping) or not changes:
        raise TypeError(f"changes must be functions by name, one or more; got {describe(changes)}.")
    result = {}
    for name, change in changes.items():
        if not callable(change):
            raise TypeError(f"changes must be functions of Factors; {name!r} is {describe(change)}.")
        after = change(factors)
        if not isinstance(after, Factors) or len(after) != len(factors):
            raise ValueError(f"changes must return Factors of {len(factors)} faces; {name!r} returns {_kind(after)}.")
        masks = altered(factors, after)
        touched = [factor for factor in KEPT if factor in masks]
        if touched:
            raise ValueError(f"changes must leave {', '.join(KEPT)} alone; {name!r} changes {', '.join(touched)}.")
        if not masks:
            raise ValueError(f"changes must alter something; {name!r} leaves all {len(factors)} faces as they are.")
        rows = torch.stack(list(masks.values())).any(0).nonzero().flatten().cpu()
        result[name] = rows, after[rows.to(after.seed.device)]
    return result


def _kind(value: object) -> str:
    return f"Factors of {len(value)}" if isinstance(value, Factors) else describe(value)


@torch.no_grad()
def _predictions(predict: Predict, renderer: Renderer, factors: Factors) -> tuple[Tensor, Tensor]:
    """True and predicted gaze of all faces, on the CPU. Images have 256 levels, as those of a ``FaceDataset``."""
    pixels = CPU_PIXELS if renderer.device.type == "cpu" else GPU_PIXELS
    count = max(1, pixels // (renderer.height * renderer.width))
    true, predicted = [], []
    for rows in torch.arange(len(factors)).split(count):
        images, labels = renderer.render(factors[rows.to(factors.seed.device)])
        gaze = predict((images * 255.0).round().clamp(0, 255) / 255.0)
        check_array("predict's result", gaze, (len(rows), "2 or 3"))
        true.append(labels["gaze"].cpu())
        predicted.append(gaze.float().cpu())
    return torch.cat(true), torch.cat(predicted)
