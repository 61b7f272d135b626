"""Everything that a rendered face depends on, as tensors, and how each of it is said in words.

``Factors`` holds every input of the renderer: where the camera, the head and the gaze target are, and all that
gaze does *not* depend on. ``NAMED`` lists the gaze-irrelevant factors that have words: each maps a batch of
``Factors`` to one class per image. The groups are those of Yin et al. 2024 (CLIP-Gaze): appearance, wearable and
image quality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor

from gazecourse.angles import check_rotation
from gazecourse.validation import check_array, check_choice, describe

SKIN_TONES = ("light", "medium", "brown", "dark")
HAIR_COLORS = ("black", "dark brown", "brown", "blond", "red", "gray", "white")
HAIR_STYLES = ("bald", "shaved", "short", "full", "curly", "long")
BEARDS = ("none", "stubble", "mustache", "goatee", "full beard")
EYE_COLORS = ("dark brown", "brown", "hazel", "green", "blue", "gray")
EXPRESSIONS = ("neutral", "smiling", "laughing", "frowning", "surprised", "pursed lips", "talking")
GLASSES = ("none", "thin-framed glasses", "thick-framed glasses", "sunglasses")
HATS = ("none", "cap", "beanie", "helmet")
BACKGROUNDS = ("plain wall", "studio", "office", "home", "outdoors", "street")
OCCLUDERS = ("none", "hand", "phone", "mug", "scarf")
BLURRED = 0.01
"""Blur radius, in units of the image's width, from which a picture counts as out of focus."""
LIGHTS = 3
"""Every image has this many directional lights; those that are off have no strength."""


@dataclass
class Factors:
    """Every input of the renderer for a batch of B faces.

    Lengths are in mm, angles in radians, colors linear RGB in [0, 1] unless said otherwise; categories are int64
    indices into the tuple that is named. The camera frame has x right, y down, z forward.

    Geometry:
        camera: [B, 3, 3] intrinsics in units of the image's width (so that the same factors serve any size).
        head_rotation: [B, 3, 3] head frame to camera frame; the identity looks straight into the camera.
        head_position: [B, 3] the face center in the camera frame.
        target: [B, 3] the point that both eyes look at, in the camera frame.
        neck: [B, 2] pitch and yaw of the head against the shoulders.
        normalization: [B, 3, 3] rotation R from the physical camera to the camera frame above; the identity
            where that is the physical camera itself.
        screen: [B, 2] the target on the screen in mm from its top left corner; NaN where there is no screen.
    Appearance:
        person: [B] int64 identity number; identity: [B, K] shape coefficients; age: [B] years; male: [B] from -1
        (female) to 1; weight: [B] from -1 to 1; ancestry: [B, 3] mixing weights of MakeHuman's face shapes;
        skin_tone: [B] from 0 (light) to 1 (dark); undertone: [B] from -1 (cool) to 1 (warm); skin_detail: [B] from 0
        (even) to 1 (freckled, blemished); hair_color, hair_style, beard, eye_color: [B] categories; hair_length,
        hair_fringe: [B] in [0, 1]; brow_thickness: [B] in [0, 1]; iris_radius, pupil_radius: [B] mm;
        expression: [B] category with strength expression_strength [B] in [0, 1]; blink: [B] in [0, 1].
    Wearable:
        glasses, hat: [B] categories; glasses_color, hat_color: [B, 3]; glasses_shape: [B] from 0 (round) to 1
        (square); glasses_tint: [B] share of light that the lenses swallow; glasses_reflection: [B] in [0, 1];
        makeup: [B] strength in [0, 1]; makeup_color: [B, 3] of the lips.
    Light and image quality:
        light_direction: [B, LIGHTS, 3] unit vectors to the lights; light_color: [B, LIGHTS, 3], not limited to 1;
        ambient_above, ambient_below: [B, 3] light from the upper and the lower half of the surroundings;
        exposure: [B] factor; background: [B] category; background_color: [B, 3]; clothes_color: [B, 3];
        occluder: [B] category; occluder_place: [B, 2] offset from its usual place in units of the face's width;
        defocus: [B] blur radius (sigma) and motion: [B, 2] blur vector, both in units of the image's width;
        resolution: [B] linear share in (0, 1] of the pixels that the sensor had; noise: [B] standard deviation
        of the sensor noise in display values; compression: [B] JPEG quality from 1 to 100, 100 meaning none.
    seed: [B] int64, source of everything random inside one image (noise, background, hair strands).
    """

    camera: Tensor
    head_rotation: Tensor
    head_position: Tensor
    target: Tensor
    neck: Tensor
    normalization: Tensor
    screen: Tensor
    person: Tensor
    identity: Tensor
    age: Tensor
    male: Tensor
    weight: Tensor
    ancestry: Tensor
    skin_tone: Tensor
    undertone: Tensor
    skin_detail: Tensor
    hair_color: Tensor
    hair_style: Tensor
    hair_length: Tensor
    hair_fringe: Tensor
    beard: Tensor
    brow_thickness: Tensor
    eye_color: Tensor
    iris_radius: Tensor
    pupil_radius: Tensor
    expression: Tensor
    expression_strength: Tensor
    blink: Tensor
    glasses: Tensor
    glasses_color: Tensor
    glasses_shape: Tensor
    glasses_tint: Tensor
    glasses_reflection: Tensor
    hat: Tensor
    hat_color: Tensor
    makeup: Tensor
    makeup_color: Tensor
    light_direction: Tensor
    light_color: Tensor
    ambient_above: Tensor
    ambient_below: Tensor
    exposure: Tensor
    background: Tensor
    background_color: Tensor
    clothes_color: Tensor
    occluder: Tensor
    occluder_place: Tensor
    defocus: Tensor
    motion: Tensor
    resolution: Tensor
    noise: Tensor
    compression: Tensor
    seed: Tensor

    def __len__(self) -> int:
        return self.seed.shape[0]

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs of name and tensor, in the order of the class."""
        return ((f.name, getattr(self, f.name)) for f in fields(self))

    def map(self, function: Callable[[Tensor], Tensor]) -> Factors:
        """The same factors with ``function`` applied to every tensor."""
        return Factors(**{name: function(value) for name, value in self.items()})

    def to(self, device: torch.device | str) -> Factors:
        """The same factors on ``device``."""
        return self.map(lambda value: value.to(device))

    def __getitem__(self, index: int | slice | list[int] | Tensor) -> Factors:
        """A batch of the chosen images; a single number keeps the leading axis."""
        if isinstance(index, str):
            raise TypeError(f"factors are attributes, factors.{index}; an index chooses images.")
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index must lie in [{-len(self)}, {len(self) - 1}]; got {index}.")
            index = [index]
        return self.map(lambda value: value[index])

    def replace(self, **changes: Tensor | float) -> Factors:
        """A copy with some factors changed; numbers and single rows are repeated over the batch.

        Raises:
            ValueError: for a name that is no factor, or a value whose shape does not fit.
        """
        known = dict(self.items())
        for name, value in changes.items():
            check_choice("factor", name, list(known))
            old = known[name]
            try:
                given = torch.as_tensor(value, device=old.device)
                if name in INTEGERS and given.is_floating_point() and bool((given != given.round()).any()):
                    raise ValueError(f"{name} must be a whole number; got {describe(value)}.")
                known[name] = given.to(old.dtype).expand_as(old).clone()
            except (RuntimeError, TypeError) as error:
                wanted = list(old.shape)
                raise ValueError(f"{name} must fit shape {wanted}; got {describe(value)}.") from error
        return Factors(**known)

    @staticmethod
    def concatenate(batches: list[Factors]) -> Factors:
        """One batch from several."""
        return Factors(**{name: torch.cat([getattr(b, name) for b in batches]) for name, _ in batches[0].items()})

    def check(self) -> Factors:
        """Return the factors if the renderer can draw them.

        Raises:
            TypeError, ValueError: naming the factor, what was expected and what came.
        """
        count = len(self)
        for name, value in self.items():
            shape = [count, *SHAPES.get(name, ())]
            low, high = RANGES.get(name, (None, None))
            integer = name in INTEGERS
            check_array(name, value, shape, floating=not integer, finite=name != "screen", low=low, high=high)
            wanted = torch.int64 if integer else torch.float32
            if value.dtype != wanted:
                raise TypeError(f"{name} must be {str(wanted).removeprefix('torch.')}; got {describe(value)}.")
        for name in ("head_rotation", "normalization"):
            check_rotation(name, getattr(self, name))
        length = self.light_direction.norm(dim=-1)
        if bool(((length - 1).abs() > 1e-3).any()):
            raise ValueError(f"light_direction must hold unit vectors; got one of length {float(length.min()):.3g}.")
        behind = self.head_position[:, 2] <= 0
        if bool(behind.any()):
            which = int(behind.nonzero()[0])
            raise ValueError(f"head_position must lie in front of the camera (z > 0); image {which} has z <= 0.")
        return self


CATEGORIES: dict[str, tuple[str, ...]] = {
    "hair_color": HAIR_COLORS,
    "hair_style": HAIR_STYLES,
    "beard": BEARDS,
    "eye_color": EYE_COLORS,
    "expression": EXPRESSIONS,
    "glasses": GLASSES,
    "hat": HATS,
    "background": BACKGROUNDS,
    "occluder": OCCLUDERS,
}
INTEGERS = {*CATEGORIES, "person", "seed"}
SHAPES: dict[str, tuple[int | str, ...]] = {
    **dict.fromkeys(("camera", "head_rotation", "normalization"), (3, 3)),
    **dict.fromkeys(("head_position", "target", "ancestry"), (3,)),
    **dict.fromkeys(("neck", "screen", "occluder_place", "motion"), (2,)),
    **dict.fromkeys(("glasses_color", "hat_color", "makeup_color", "background_color", "clothes_color"), (3,)),
    **dict.fromkeys(("ambient_above", "ambient_below"), (3,)),
    **dict.fromkeys(("light_direction", "light_color"), (LIGHTS, 3)),
    "identity": ("K",),
}
_UNIT = (
    "skin_tone", "skin_detail", "hair_length", "hair_fringe", "brow_thickness", "expression_strength", "blink",
    "glasses_shape", "glasses_tint", "glasses_reflection", "makeup", "glasses_color", "hat_color", "makeup_color",
    "background_color", "clothes_color", "noise",
)  # fmt: skip
RANGES: dict[str, tuple[float | None, float | None]] = {
    **{name: (0, len(words) - 1) for name, words in CATEGORIES.items()},
    **dict.fromkeys(_UNIT, (0.0, 1.0)),
    **dict.fromkeys(("male", "weight", "undertone"), (-1.0, 1.0)),
    **dict.fromkeys(("light_color", "ambient_above", "ambient_below", "exposure", "defocus"), (0.0, None)),
    "age": (18.0, 90.0),
    "iris_radius": (4.0, 8.0),
    "pupil_radius": (0.5, 5.0),
    "resolution": (0.02, 1.0),
    "compression": (1.0, 100.0),
}


def _category(name: str, factors: Factors) -> Tensor:
    return getattr(factors, name)


def _steps(read: Callable[[Factors], Tensor], edges: tuple[float, ...], factors: Factors) -> Tensor:
    """Class of a number: how many of ``edges`` it exceeds."""
    value = read(factors).contiguous()
    return torch.bucketize(value, torch.tensor(edges, device=value.device, dtype=value.dtype))


def luminance(color: Tensor) -> Tensor:
    """Relative luminance of linear RGB [..., 3] (ITU-R BT.709)."""
    red, green, blue = color.unbind(-1)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def brightness(factors: Factors) -> Tensor:
    """[B] how light a face is lit, in units of a lamp of luminance 3 at exposure 1."""
    direct = luminance(factors.light_color).sum(1)
    ambient = luminance(factors.ambient_above + factors.ambient_below) / 2
    return (direct / 3 + ambient) * factors.exposure


def _warmth(factors: Factors) -> Tensor:
    total = factors.light_color.sum(1) + factors.ambient_above
    return torch.log(total[:, 0].clamp(min=1e-6) / total[:, 2].clamp(min=1e-6))


def main_light(factors: Factors) -> Tensor:
    """Unit direction [B, 3] to the strongest light."""
    strongest = luminance(factors.light_color).argmax(1)
    return factors.light_direction[torch.arange(len(factors), device=strongest.device), strongest]


def _light_side(factors: Factors) -> Tensor:
    """0 front, 1 left of the picture, 2 right, 3 above, 4 below."""
    x, y, _ = main_light(factors).unbind(1)
    side = torch.where(x < 0, 1, 2)
    height = torch.where(y < 0, 3, 4)
    turned = torch.where(x.abs() >= y.abs(), side, height)
    return torch.where(torch.maximum(x.abs(), y.abs()) < 0.35, 0, turned)


def _shape(name: str) -> Callable[[Factors], Tensor]:
    """Reads one named identity coefficient; its index is looked up in the head model."""

    def read(factors: Factors) -> Tensor:
        from gazecourse.faces.head import identity_index

        return factors.identity[:, identity_index(name)]

    return read


@dataclass(frozen=True)
class NamedFactor:
    """A gaze-irrelevant factor with words.

    Attributes:
        group: "appearance", "wearable" or "quality".
        words: one phrase per class, as it stands in "a face with …"; an empty phrase is left out of captions.
        classify: Factors → [B] int64 class of every image.
    """

    group: str
    words: tuple[str, ...]
    classify: Callable[[Factors], Tensor]


def _named(group: str, words: tuple[str, ...], read: Callable[[Factors], Tensor], *edges: float) -> NamedFactor:
    return NamedFactor(group, words, partial(_steps, read, edges))


def _listed(group: str, name: str, words: tuple[str, ...]) -> NamedFactor:
    return NamedFactor(group, words, partial(_category, name))


NAMED: dict[str, NamedFactor] = {
    "sex": _named("appearance", ("a woman", "a man"), lambda f: f.male, 0.0),
    "age": _named("appearance", ("young", "middle-aged", "old"), lambda f: f.age, 35.0, 58.0),
    "skin": _named("appearance", tuple(f"{t} skin" for t in SKIN_TONES), lambda f: f.skin_tone, 0.25, 0.5, 0.75),
    "face shape": _named("appearance", ("a narrow face", "", "a broad face"), _shape("head-scale-horiz"), -0.25, 0.25),
    "nose": _named("appearance", ("a narrow nose", "", "a wide nose"), _shape("nose-scale-horiz"), -0.25, 0.25),
    "mouth": _named("appearance", ("a narrow mouth", "", "a wide mouth"), _shape("mouth-scale-horiz"), -0.25, 0.25),
    "eyes": _named("appearance", ("small eyes", "", "large eyes"), _shape("eye-scale"), -0.25, 0.25),
    "eyebrows": _named("appearance", ("thin eyebrows", "", "thick eyebrows"), lambda f: f.brow_thickness, 0.33, 0.67),
    "eye color": _listed("appearance", "eye_color", tuple(f"{c} eyes" for c in EYE_COLORS)),
    "hair color": _listed("appearance", "hair_color", tuple(f"{c} hair" for c in HAIR_COLORS)),
    "hair style": _listed(
        "appearance",
        "hair_style",
        ("a bald head", "a shaved head", "short hair", "full hair", "curly hair", "long hair"),
    ),
    "beard": _listed("appearance", "beard", ("", "stubble", "a mustache", "a goatee", "a full beard")),
    "expression": _listed(
        "appearance",
        "expression",
        (
            "a neutral expression",
            "a smile",
            "a laugh",
            "a frown",
            "a surprised look",
            "pursed lips",
            "a mouth open in speech",
        ),
    ),
    "glasses": _listed("wearable", "glasses", ("", *GLASSES[1:])),
    "hat": _listed("wearable", "hat", ("", "a cap", "a beanie", "a helmet")),
    "makeup": _named("wearable", ("", "light makeup", "heavy makeup"), lambda f: f.makeup, 0.2, 0.6),
    "light from": NamedFactor(
        "quality",
        (
            "light from the front",
            "light from the left",
            "light from the right",
            "light from above",
            "light from below",
        ),
        _light_side,
    ),
    "brightness": _named("quality", ("dim light", "", "bright light"), brightness, 0.45, 1.1),
    "light color": _named("quality", ("cool light", "", "warm light"), _warmth, -0.15, 0.2),
    "background": _listed(
        "quality",
        "background",
        (
            "a plain wall behind",
            "a studio backdrop",
            "an office behind",
            "a room at home behind",
            "nature behind",
            "a street behind",
        ),
    ),
    "noise": _named("quality", ("", "sensor noise"), lambda f: f.noise, 0.03),
    "motion": _named("quality", ("", "motion blur"), lambda f: f.motion.norm(dim=1), 0.02),
    "focus": _named("quality", ("", "a blurred, out-of-focus picture"), lambda f: f.defocus, BLURRED),
    "resolution": _named("quality", ("low resolution", ""), lambda f: f.resolution, 0.5),
    "compression": _named("quality", ("compression artifacts", ""), lambda f: f.compression, 45.0),
    "occluder": _listed(
        "quality",
        "occluder",
        (
            "",
            "a hand in front of the face",
            "a phone in front of the face",
            "a mug in front of the face",
            "a scarf over the mouth",
        ),
    ),
}


def classes(factors: Factors) -> dict[str, Tensor]:
    """Class [B] of every named factor: the labels for probes and zero-shot tests."""
    return {name: factor.classify(factors) for name, factor in NAMED.items()}


def words(factors: Factors) -> list[dict[str, str]]:
    """For every image the phrase of each named factor; factors that go without saying are left out."""
    tables = {name: factor.classify(factors).tolist() for name, factor in NAMED.items()}
    return [
        {name: NAMED[name].words[table[i]] for name, table in tables.items() if NAMED[name].words[table[i]]}
        for i in range(len(factors))
    ]


def caption(factors: Factors) -> list[str]:
    """One sentence per image that says every factor, for example "A photo of a young woman with light skin, …"."""
    sentences = []
    for said in words(factors):
        person = said["sex"].removeprefix("a ")
        article = "an" if said["age"].startswith("o") else "a"
        rest = [phrase for name, phrase in said.items() if name not in ("sex", "age")]
        sentences.append(f"A photo of {article} {said['age']} {person} with {', '.join(rest)}.")
    return sentences
