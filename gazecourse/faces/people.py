"""The people of a domain: all that stays the same in every picture of one person.

What goes together in life goes together here: skin, eyes and hair follow the ancestry, gray hair the age, beards and
hair styles the sex. Otherwise a network could not meet the shortcuts that real data offer it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gazecourse.faces.attributes import BEARDS, EYE_COLORS, GLASSES, HAIR_COLORS, HAIR_STYLES
from gazecourse.faces.draws import Draws, weights
from gazecourse.faces.head import identity_names

SHAPE_SPREAD = 0.26
"""Standard deviation of the identity coefficients; ±1 is the artist's extreme of one trait."""
ASYMMETRY_SPREAD = 0.15
"""The same for coefficients that make left and right differ."""
_NUMBERS_BESIDE_SHAPE = 64

_DARK_HAIR = weights(HAIR_COLORS, {"black": 0.68, "dark brown": 0.27, "brown": 0.04, "red": 0.003, "blond": 0.007})
_FAIR_HAIR = weights(HAIR_COLORS, {"black": 0.08, "dark brown": 0.3, "brown": 0.3, "blond": 0.25, "red": 0.07})
_DARK_EYES = weights(EYE_COLORS, {"dark brown": 0.68, "brown": 0.29, "hazel": 0.03})
_FAIR_EYES = weights(
    EYE_COLORS, {"dark brown": 0.08, "brown": 0.24, "hazel": 0.16, "green": 0.13, "blue": 0.29, "gray": 0.1}
)
_MENS_STYLES = weights(
    HAIR_STYLES, {"bald": 0.05, "shaved": 0.14, "short": 0.5, "full": 0.17, "curly": 0.09, "long": 0.05}
)
_WOMENS_STYLES = weights(
    HAIR_STYLES, {"bald": 0.005, "shaved": 0.015, "short": 0.13, "full": 0.27, "curly": 0.16, "long": 0.42}
)
_BEARDS = weights(BEARDS, {"none": 0.48, "stubble": 0.22, "mustache": 0.07, "goatee": 0.08, "full beard": 0.15})
_FRAMES = weights(GLASSES, {"thin-framed glasses": 0.5, "thick-framed glasses": 0.5})

FRAME_COLORS = torch.tensor(
    [
        (0.01, 0.01, 0.01), (0.02, 0.02, 0.02), (0.05, 0.02, 0.01), (0.1, 0.1, 0.105), (0.015, 0.02, 0.045),
        (0.1, 0.012, 0.02), (0.2, 0.14, 0.06),
    ]
)  # fmt: skip
CLOTHES_COLORS = torch.tensor(
    [
        (0.6, 0.6, 0.58), (0.018, 0.018, 0.02), (0.045, 0.045, 0.05), (0.16, 0.16, 0.165), (0.02, 0.03, 0.08),
        (0.05, 0.09, 0.18), (0.14, 0.2, 0.32), (0.22, 0.03, 0.035), (0.09, 0.02, 0.035), (0.045, 0.09, 0.05),
        (0.12, 0.11, 0.06), (0.36, 0.29, 0.2), (0.3, 0.2, 0.06), (0.13, 0.08, 0.15), (0.06, 0.16, 0.17),
        (0.38, 0.2, 0.2),
    ]
)  # fmt: skip
LIP_COLORS = torch.tensor(
    [(0.5, 0.03, 0.05), (0.55, 0.17, 0.2), (0.3, 0.03, 0.1), (0.5, 0.24, 0.18), (0.62, 0.13, 0.09)]
)
WALL_COLORS = torch.tensor(
    [(0.62, 0.6, 0.55), (0.5, 0.5, 0.52), (0.5, 0.42, 0.3), (0.25, 0.36, 0.45), (0.3, 0.4, 0.28), (0.4, 0.24, 0.2)]
)


@dataclass
class People:
    """B people.

    Attributes:
        looks: the factors of ``Factors`` that belong to a person, by name, float64 or int64.
        frames: [B] int64 the glasses a person owns, an index into GLASSES; 0 for none.
        makeup: [B] the strength a person wears on a usual day, in [0, 1].
        clothes, wall: [B, 3] linear RGB, the clothes they wear and the wall they sit before on most days.
    """

    looks: dict[str, Tensor]
    frames: Tensor
    makeup: Tensor
    clothes: Tensor
    wall: Tensor

    def __getitem__(self, rows: Tensor) -> People:
        looks = {name: value[rows] for name, value in self.looks.items()}
        return People(looks, self.frames[rows], self.makeup[rows], self.clothes[rows], self.wall[rows])


def sample_people(names: list[str]) -> People:
    """People [B] drawn from their ``names``; equal names are the same person."""
    draws = Draws(names, _NUMBERS_BESIDE_SHAPE + len(identity_names()))
    spread = [ASYMMETRY_SPREAD if name.startswith("asym") else SHAPE_SPREAD for name in identity_names()]
    shape = draws.normal(0.0, torch.tensor(spread, dtype=torch.float64), size=len(spread)).clamp(-1.0, 1.0)
    age = 18.0 + 57.0 * draws.uniform() ** 1.35
    is_man = draws.chance(0.5)
    male = (torch.where(is_man, 0.8, -0.8) + draws.normal(0.0, 0.14)).clamp(-1.0, 1.0)
    ancestry = _ancestry(draws)
    looks = {
        "identity": shape,
        "age": age,
        "male": male,
        "weight": draws.normal(0.0, 0.4).clamp(-1.0, 1.0),
        "ancestry": ancestry,
        **_skin(draws, age, ancestry),
        **_hair(draws, age, is_man, ancestry),
        "brow_thickness": draws.normal(torch.where(is_man, 0.6, 0.42), 0.18).clamp(0.0, 1.0),
        "eye_color": draws.choice(_blend(ancestry[:, 2], _DARK_EYES, _FAIR_EYES)),
        "iris_radius": draws.normal(5.9, 0.2),
        "glasses_color": draws.color(FRAME_COLORS),
        "glasses_shape": draws.uniform(),
    }
    frames = torch.where(draws.chance(0.3 + 0.1 * (age > 50)), draws.choice(_FRAMES), 0)
    makeup = torch.where(draws.chance(torch.where(is_man, 0.03, 0.6)), draws.uniform(0.1, 1.0), 0.0)
    makeup = torch.where(is_man, 0.4 * makeup, makeup)
    looks["makeup_color"] = draws.color(LIP_COLORS)
    return People(looks, frames, makeup, draws.color(CLOTHES_COLORS), draws.color(WALL_COLORS))


def _ancestry(draws: Draws) -> Tensor:
    """Mixing weights [B, 3] of african, asian and caucasian face shapes: mostly one, and some of all (Dirichlet)."""
    share = -draws.uniform(size=3).log()
    share = share / share.sum(1, keepdim=True)
    main = torch.nn.functional.one_hot(draws.choice(torch.tensor([0.29, 0.31, 0.4])), 3)
    return 0.75 * main + 0.25 * share


def _blend(fair: Tensor, dark_table: Tensor, fair_table: Tensor) -> Tensor:
    """Weights [B, n] between two tables; light hair and eyes need most of the ancestry to be fair (recessive)."""
    share = (fair**2)[:, None]
    return (1 - share) * dark_table + share * fair_table


def _skin(draws: Draws, age: Tensor, ancestry: Tensor) -> dict[str, Tensor]:
    usual = ancestry @ torch.tensor([0.84, 0.4, 0.2], dtype=torch.float64)
    tone = draws.normal(usual, 0.12).clamp(0.0, 1.0)
    freckles = draws.uniform() ** 2 * (0.75 - 0.3 * tone)
    return {
        "skin_tone": tone,
        "undertone": draws.normal(0.1, 0.35).clamp(-1.0, 1.0),
        "skin_detail": (freckles + 0.25 * (age - 18.0) / 57.0).clamp(0.0, 1.0),
    }


def _hair(draws: Draws, age: Tensor, is_man: Tensor, ancestry: Tensor) -> dict[str, Tensor]:
    color = draws.choice(_blend(ancestry[:, 2], _DARK_HAIR, _FAIR_HAIR))
    is_gray = draws.chance(torch.sigmoid((age - 52.0) / 5.0) * torch.where(is_man, 0.9, 0.65))
    is_white = draws.chance(torch.sigmoid((age - 66.0) / 4.0))
    gray, white = HAIR_COLORS.index("gray"), HAIR_COLORS.index("white")
    color = torch.where(is_gray, torch.where(is_white, white, gray), color)

    styles = torch.where(is_man[:, None], _MENS_STYLES, _WOMENS_STYLES)
    curly, bald = HAIR_STYLES.index("curly"), HAIR_STYLES.index("bald")
    styles[:, curly] += 0.5 * ancestry[:, 0]
    styles[:, bald] += torch.where(is_man, 0.3 * (age - 18.0) / 57.0, 0.0)
    return {
        "hair_color": color,
        "hair_style": draws.choice(styles),
        "hair_length": draws.uniform(),
        "hair_fringe": draws.uniform(),
        "beard": torch.where(is_man, draws.choice(_BEARDS), BEARDS.index("none")),
    }
