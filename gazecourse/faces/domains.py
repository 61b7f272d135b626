"""The four domains: who is photographed where, looking at what, in which light and with which camera.

Each domain mirrors one real data set of the field, so that training on one and testing on another shows the gap that
gaze estimation has to cross: studio → laptop stands for ETH-XGaze → MPIIFaceGaze, wild → lab for Gaze360 → EyeDiap.
All numbers describe those rooms, cameras and people; none was chosen by looking at a model's error.

Image i of a set is a function of (domain, split, seed, people, i) alone. Sets can be drawn in any pieces and order.

The faces are seen by the normalized camera of Zhang et al. (2018). The real sets are cut with a focal length of 960 at
224 pixels, which shows 140 mm at the face; 840 shows 160 mm, so that hair, hats and the background, which are factors
here, are in the picture. The zoom that brings every face to the same size leaves the perspective of the true distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gazecourse.angles import norm
from gazecourse.faces import scenes
from gazecourse.faces.attributes import BACKGROUNDS, EXPRESSIONS, GLASSES, HATS, OCCLUDERS, Factors
from gazecourse.faces.draws import Draws, name_seeds, weights
from gazecourse.faces.lighting import (
    LAB_LIGHT,
    LAPTOP_LIGHT,
    STUDIO_LIGHT,
    WILD_LIGHT,
    Light,
    LightKind,
    Range,
    light_on_face,
    sample_light,
)
from gazecourse.faces.people import CLOTHES_COLORS, WALL_COLORS, People, sample_people
from gazecourse.faces.scenes import Scene, apply
from gazecourse.normalization import normalizing_rotation
from gazecourse.validation import check_choice, check_whole, describe

NORMALIZED_FOCAL = 840.0
"""Focal length of the normalized camera, in pixels of an image of NORMALIZED_SIZE."""
NORMALIZED_DISTANCE = 600.0
NORMALIZED_SIZE = 224
SPLITS = ("train", "test")
MOST_PEOPLE = 500_000
"""Identity numbers of a domain's split start at a multiple of this."""
MID_EXPOSURE = 0.75
"""Light times exposure at which a face of middle skin tone comes out at the middle of the display's range."""
_NUMBERS = 64  # more than any stream of one image or person draws

_EVERYDAY_FACES = weights(
    EXPRESSIONS,
    {"neutral": 0.66, "smiling": 0.12, "laughing": 0.03, "frowning": 0.07, "surprised": 0.02, "pursed lips": 0.04}
    | {"talking": 0.06},
)
_STILL_FACES = weights(EXPRESSIONS, {"neutral": 0.85, "smiling": 0.08, "frowning": 0.04, "pursed lips": 0.03})
_LIVELY_FACES = weights(
    EXPRESSIONS,
    {"neutral": 0.42, "smiling": 0.2, "laughing": 0.1, "frowning": 0.06, "surprised": 0.05, "pursed lips": 0.03}
    | {"talking": 0.14},
)


@dataclass(frozen=True)
class Camera:
    """What a domain's cameras do to the picture.

    Attributes:
        focal: range of the focal length in pixels of the sensor; with the distance it decides the resolution.
        defocus: standard deviation of the blur (itself a sigma) in units of the image's width.
        moving: share of pictures with motion blur; motion: its mean length in units of the image's width.
        noise: range of the sensor noise in display values, in good light.
        compression: range of JPEG qualities.
        adapts: how much of a change of light the automatic exposure evens out, from 0 to 1.
        exposure_error: standard deviation of the exposure in stops (factors of 2).
        center_error: standard deviation, in mm at the face, by which a detector cuts the picture off center.
    """

    focal: Range
    defocus: float
    moving: float
    motion: float
    noise: Range
    compression: Range
    adapts: float
    exposure_error: float
    center_error: float


@dataclass(frozen=True)
class Habits:
    """What people of a domain wear and do; all in shares of pictures.

    Attributes:
        expressions: weights of EXPRESSIONS. hats, occluders: shares by name; the rest goes without.
        same_clothes: with the clothes that the person wears most; one session a person means 1.
        own_wall: before the wall of the person's own room; walls: [n, 3] colors of the others.
    """

    expressions: Tensor
    hats: Mapping[str, float]
    occluders: Mapping[str, float]
    same_clothes: float
    own_wall: float
    walls: Tensor


@dataclass(frozen=True, eq=False)
class Domain:
    """One kind of pictures.

    Attributes:
        name: in lower case. mirrors: the real data set that it stands for. description: one sentence.
        number: decides the identity numbers of its people.
        place: draws the geometry. lights: the kinds of light. camera, habits: see there.
    """

    name: str
    mirrors: str
    description: str
    number: int
    place: Callable[[Draws, Draws], Scene] = field(repr=False)
    lights: tuple[LightKind, ...] = field(repr=False)
    camera: Camera = field(repr=False)
    habits: Habits = field(repr=False)

    def __str__(self) -> str:
        return self.name

    def person_numbers(self, indices: Sequence[int] | Tensor, *, people: int, split: str) -> Tensor:
        """Identity [N] int64 of the given images: image i shows person i mod ``people``.

        Within one seed, no number is shared by two splits or two domains. Arguments as in ``sample``.
        """
        indices = _check_indices(indices)
        check_whole("people", people, 1, MOST_PEOPLE)
        check_choice("split", split, SPLITS)
        return (2 * self.number + SPLITS.index(split)) * MOST_PEOPLE + torch.tensor(indices) % people

    def scene(self, indices: Sequence[int] | Tensor, *, people: int, seed: int, split: str) -> Scene:
        """Where camera, face, target and screen of the given images are, before normalization; float64.

        ``.screen.locate(target)`` turns a target in the physical camera's frame into mm on the screen. Arguments and
        errors as in ``sample``.
        """
        rows = self._rows(indices, people, seed, split)
        return self.place(rows.person_draws("scene"), rows.image_draws("scene"))

    def sample(self, indices: Sequence[int] | Tensor, *, people: int, seed: int, split: str) -> Factors:
        """All factors of the given images.

        Args:
            indices: numbers of images, from 0, in any order; list, range or integer tensor [N].
            people: number of identities in the set; every one has every ``people``-th image.
            seed: other seeds give other people and other pictures.
            split: "train" or "test"; nobody is in both.
        Returns:
            Factors of N images, float32 on the CPU.
        Raises:
            TypeError, ValueError: naming the argument, what was expected and what came.
        """
        rows = self._rows(indices, people, seed, split)
        scene = self.place(rows.person_draws("scene"), rows.image_draws("scene"))
        light = sample_light(self.lights, rows.image_draws("light"))
        people_shown = rows.looks()
        rotation = normalizing_rotation(scene.face_center, scene.head_rotation)
        factors = people_shown.looks | self._geometry(scene, rotation, rows.image_draws("crop"))
        factors |= self._worn(people_shown, light, rows.image_draws("worn"))
        factors |= self._surroundings(people_shown, light, rows.image_draws("surroundings"))
        factors |= self._light(scene, rotation, light, people_shown, rows.image_draws("exposure"))
        factors |= self._picture(scene, factors["exposure"], rows.image_draws("picture"))
        factors |= {"person": rows.person, "seed": name_seeds([f"{name}/pixels" for name in rows.images])}
        return Factors(**{name: _stored(value) for name, value in factors.items()})

    def _rows(self, indices: Sequence[int] | Tensor, people: int, seed: int, split: str) -> _Rows:
        person = self.person_numbers(indices, people=people, split=split)
        check_whole("seed", seed, 0, 2**63 - 1)
        prefix = f"{self.name}/{split}/{seed}"
        images = [f"{prefix}/{people}/image/{index}" for index in _check_indices(indices)]
        return _Rows(person, [f"{prefix}/person/{number}" for number in person.tolist()], images)

    def _geometry(self, scene: Scene, rotation: Tensor, draws: Draws) -> dict[str, Tensor]:
        distance = norm(scene.face_center)
        zero = torch.zeros_like(distance)
        focal = NORMALIZED_FOCAL / NORMALIZED_SIZE * distance / NORMALIZED_DISTANCE
        # A detector that misses the face center moves the crop. The label is about the true center.
        miss = draws.normal(0.0, self.camera.center_error, size=2) * (focal / distance).unsqueeze(1)
        camera = torch.stack(
            [focal, zero, 0.5 + miss[:, 0], zero, focal, 0.5 + miss[:, 1], zero, zero, torch.ones_like(zero)], dim=1
        )
        return {
            "camera": camera.view(-1, 3, 3),
            "head_rotation": rotation @ scene.head_rotation,
            "head_position": torch.stack([zero, zero, distance], dim=1),
            "target": apply(rotation, scene.target),
            "neck": scene.neck,
            "normalization": rotation,
            "screen": scene.place,
        }

    def _worn(self, people: People, light: Light, draws: Draws) -> dict[str, Tensor]:
        sunglasses = torch.tensor([kind.bright for kind in self.lights])[light.kind] & draws.chance(0.12)
        glasses = torch.where(draws.chance(0.85), people.frames, 0)
        glasses = torch.where(sunglasses, GLASSES.index("sunglasses"), glasses)
        shine = draws.uniform()
        return {
            "glasses": glasses,
            "glasses_tint": torch.where(sunglasses, draws.uniform(0.55, 0.9), draws.uniform(0.0, 0.06)),
            "glasses_reflection": torch.where(sunglasses, 0.2 + 0.6 * shine, 0.7 * shine**2),
            "hat": draws.choice(_or_none(HATS, self.habits.hats)),
            "hat_color": draws.color(CLOTHES_COLORS),
            "makeup": torch.where(draws.chance(0.85), people.makeup * draws.uniform(0.7, 1.0), 0.0),
            "clothes_color": torch.where(
                draws.chance(self.habits.same_clothes).unsqueeze(1), people.clothes, draws.color(CLOTHES_COLORS)
            ),
            "expression": draws.choice(self.habits.expressions),
            "expression_strength": draws.uniform(0.35, 1.0),
            "blink": _blink(draws.uniform()),
            "occluder": draws.choice(_or_none(OCCLUDERS, self.habits.occluders)),
            "occluder_place": draws.normal(0.0, 0.12, size=2),
        }

    def _surroundings(self, people: People, light: Light, draws: Draws) -> dict[str, Tensor]:
        table = torch.stack([weights(BACKGROUNDS, dict(kind.backgrounds)) for kind in self.lights])
        at_home = draws.chance(self.habits.own_wall).unsqueeze(1)
        return {
            "background": draws.choice(table[light.kind]),
            "background_color": torch.where(at_home, people.wall, draws.color(self.habits.walls)),
        }

    def _light(self, scene: Scene, rotation: Tensor, light: Light, people: People, draws: Draws) -> dict[str, Tensor]:
        facing = apply(scene.room.mT, -scene.head_rotation[:, :, 2])
        toward_camera = apply(scene.room.mT, -scene.face_center / norm(scene.face_center).unsqueeze(1))
        level = light_on_face(light, facing, toward_camera)
        to_picture = (rotation @ scene.room).unsqueeze(1)
        # Cameras also expose dark skin a little longer.
        wanted = MID_EXPOSURE * (1.0 + 0.5 * people.looks["skin_tone"]) * level**-self.camera.adapts
        return {
            "light_direction": (to_picture @ light.direction.unsqueeze(-1)).squeeze(-1),
            "light_color": light.color,
            "ambient_above": light.above,
            "ambient_below": light.below,
            "exposure": wanted * draws.normal(0.0, self.camera.exposure_error).exp2(),
            "pupil_radius": (2.2 * level**-0.3 * draws.normal(0.0, 0.12).exp()).clamp(1.1, 3.8),
        }

    def _picture(self, scene: Scene, exposure: Tensor, draws: Draws) -> dict[str, Tensor]:
        camera = self.camera
        pixels_per_mm = draws.uniform(*camera.focal) / norm(scene.face_center)
        length = torch.where(draws.chance(camera.moving), -camera.motion * draws.uniform().log(), 0.0).clamp(max=0.08)
        along = draws.uniform(0.0, 2 * math.pi)
        gain = (exposure / MID_EXPOSURE).sqrt().clamp(0.7, 2.0)
        return {
            "resolution": (pixels_per_mm * NORMALIZED_DISTANCE / NORMALIZED_FOCAL).clamp(max=1.0),
            "defocus": draws.normal(0.0, camera.defocus).abs(),
            "motion": length.unsqueeze(1) * torch.stack([along.cos(), along.sin()], dim=1),
            "noise": draws.uniform(*camera.noise) * gain,
            "compression": draws.uniform(*camera.compression),
        }


@dataclass
class _Rows:
    """The names of B images and of the people in them, from which all randomness is drawn."""

    person: Tensor
    people: list[str]
    images: list[str]

    def image_draws(self, purpose: str) -> Draws:
        return Draws([f"{name}/{purpose}" for name in self.images], _NUMBERS)

    def person_draws(self, purpose: str) -> Draws:
        return Draws([f"{name}/{purpose}" for name in self.people], _NUMBERS)

    def looks(self) -> People:
        """The people of all rows, each drawn once."""
        names = list(dict.fromkeys(self.people))
        row = {name: number for number, name in enumerate(names)}
        return sample_people(names)[torch.tensor([row[name] for name in self.people])]


def _stored(value: Tensor) -> Tensor:
    """Floats as float32, without the last bits of float64 that depend on a row's place in the batch.

    Rounding to nine decimals first takes them from numbers that should be 0, too; adding 0 makes -0 the same as 0.
    """
    return (value.round(decimals=9) + 0.0).float() if value.is_floating_point() else value


def _or_none(words: tuple[str, ...], shares: Mapping[str, float]) -> Tensor:
    """Weights of a category of which most pictures have none."""
    return weights(words, {"none": 1.0 - sum(shares.values()), **shares})


def _blink(number: Tensor) -> Tensor:
    """Closing of the lids for a uniform ``number``: open eyes nearly always, seldom nearly half closed."""
    return 0.05 * number + 0.35 * number**8


def _check_indices(indices: Sequence[int] | Tensor) -> list[int]:
    values = indices.tolist() if isinstance(indices, Tensor) and indices.ndim == 1 else indices
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise TypeError(f"indices must be a list, a range or an integer tensor [N]; got {describe(indices)}.")
    if not values:
        raise ValueError("indices must name at least one image; got none.")
    return [check_whole("indices", value, 0, 2**62) for value in values]


STUDIO = Domain(
    name="studio",
    mirrors="ETH-XGaze",
    description="A ring of 18 sharp cameras around a person before a wall-sized projection, lit in 16 ways.",
    number=0,
    place=scenes.studio,
    lights=STUDIO_LIGHT,
    camera=Camera(
        focal=(8000.0, 9000.0),
        defocus=0.001,
        moving=0.0,
        motion=0.0,
        noise=(0.002, 0.006),
        compression=(94.0, 100.0),
        adapts=0.65,
        exposure_error=0.1,
        center_error=2.0,
    ),
    habits=Habits(
        expressions=_STILL_FACES,
        hats={},
        occluders={"hand": 0.03},
        same_clothes=1.0,
        own_wall=0.0,
        walls=torch.tensor([(0.02, 0.02, 0.022), (0.12, 0.12, 0.125), (0.35, 0.35, 0.36)]),
    ),
)
WILD = Domain(
    name="wild",
    mirrors="Gaze360",
    description="People anywhere, indoors and out, one to three meters away and facing any way that shows a face.",
    number=1,
    place=scenes.wild,
    lights=WILD_LIGHT,
    camera=Camera(
        focal=(900.0, 1500.0),
        defocus=0.007,
        moving=0.4,
        motion=0.016,
        noise=(0.006, 0.025),
        compression=(35.0, 92.0),
        adapts=0.9,
        exposure_error=0.35,
        center_error=7.0,
    ),
    habits=Habits(
        expressions=_LIVELY_FACES,
        hats={"cap": 0.09, "beanie": 0.055, "helmet": 0.015},
        occluders={"hand": 0.02, "phone": 0.02, "mug": 0.01, "scarf": 0.025},
        same_clothes=0.3,
        own_wall=0.0,
        walls=WALL_COLORS,
    ),
)
LAPTOP = Domain(
    name="laptop",
    mirrors="MPIIFaceGaze",
    description="People at their own laptops over many days, seen by its webcam as they look down at the screen.",
    number=2,
    place=scenes.laptop,
    lights=LAPTOP_LIGHT,
    camera=Camera(
        focal=(620.0, 1100.0),
        defocus=0.0035,
        moving=0.12,
        motion=0.01,
        noise=(0.006, 0.02),
        compression=(40.0, 95.0),
        adapts=0.9,
        exposure_error=0.3,
        center_error=3.5,
    ),
    habits=Habits(
        expressions=_EVERYDAY_FACES,
        hats={"cap": 0.015, "beanie": 0.012, "helmet": 0.001},
        occluders={"hand": 0.03, "phone": 0.008, "mug": 0.015, "scarf": 0.004},
        same_clothes=0.3,
        own_wall=0.7,
        walls=WALL_COLORS,
    ),
)
LAB = Domain(
    name="lab",
    mirrors="EyeDiap",
    description="People a meter from a VGA camera under a fixed ceiling light, looking at a screen or a hanging ball.",
    number=3,
    place=scenes.lab,
    lights=LAB_LIGHT,
    camera=Camera(
        focal=(520.0, 530.0),
        defocus=0.006,
        moving=0.15,
        motion=0.01,
        noise=(0.012, 0.024),
        compression=(45.0, 85.0),
        adapts=0.8,
        exposure_error=0.12,
        center_error=5.0,
    ),
    habits=Habits(
        expressions=_STILL_FACES,
        hats={},
        occluders={"hand": 0.03},
        same_clothes=1.0,
        own_wall=0.0,
        walls=torch.tensor([(0.5, 0.48, 0.44)]),
    ),
)
DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (STUDIO, WILD, LAPTOP, LAB)}


def get(name: str) -> Domain:
    """The domain of that name; ``ValueError`` lists the known ones if there is none such."""
    check_choice("domain", name, tuple(DOMAINS))
    return DOMAINS[name]
