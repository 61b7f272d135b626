"""Everything that a head wears: hair, beard, glasses, hats, clothes, and what it holds before the face."""

from __future__ import annotations

import torch

from gazecourse.faces.attributes import Factors
from gazecourse.faces.beard import Beard
from gazecourse.faces.clothes import Clothes
from gazecourse.faces.fringe import Fringe
from gazecourse.faces.glasses import Glasses
from gazecourse.faces.hair import Hair
from gazecourse.faces.hats import Hats
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.occluders import Occluders
from gazecourse.faces.parts import Part
from gazecourse.faces.skin import base_color, hair_color
from gazecourse.validation import check_array, describe

__all__ = ["Accessories", "Part"]


class Accessories:
    """Dresses heads. All topology is fixed once, on the mean head.

    Attributes:
        covered: [F] bool, triangles of the head model that clothes always hide; they need not be drawn.
    """

    def __init__(self, model: HeadModel) -> None:
        if not isinstance(model, HeadModel):
            raise TypeError(f"model must be a HeadModel; got {describe(model)}.")
        self._vertices = model.mean.shape[0]
        self._hair, self._fringe, self._beard = Hair(model), Fringe(model), Beard(model)
        self._glasses, self._hats = Glasses(model), Hats(model)
        self._occluders, self._clothes = Occluders(model), Clothes(model)
        self.covered = self._clothes.covered

    def parts(self, geometry: HeadGeometry, factors: Factors) -> list[Part]:
        """The parts that at least one face of the batch wears.

        Args:
            geometry: heads with their expression, before the neck is bent.
            factors: B faces; what they wear, and ``seed`` for all that varies beyond it.
        Returns:
            Parts in the head frame, in a fixed order. What one face wears does not depend on the rest of the batch.
        Raises:
            TypeError, ValueError: geometry and factors are no batch of the same B faces.
        """
        if not isinstance(factors, Factors):
            raise TypeError(f"factors must be Factors; got {describe(factors)}.")
        if not isinstance(geometry, HeadGeometry):
            raise TypeError(f"geometry must be a HeadGeometry; got {describe(geometry)}.")
        check_array("geometry.points", geometry.points, [len(factors), self._vertices, 3])
        hair = hair_color(factors)
        parts = [
            self._hair.part(geometry, factors, hair),
            self._fringe.part(geometry, factors, hair),
            self._beard.part(geometry, factors, hair),
            *self._hats.parts(geometry, factors),
            *self._clothes.parts(geometry, factors),
            *self._glasses.parts(geometry, factors),
            *self._occluders.parts(geometry, factors, base_color(factors)),
        ]
        worn = torch.stack([part.shown for part in parts]).any(1).tolist()
        return [part for part, needed in zip(parts, worn, strict=True) if needed]
