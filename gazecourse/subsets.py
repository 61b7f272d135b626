"""Parts of a data set: chosen images, and everybody but some people."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Self

import torch
from torch import Tensor

from gazecourse.validation import check_choice, check_whole, describe


class Subsets:
    """Gives a data set of faces ``people``, ``subset`` and ``split_people``.

    The data set has a length and ``person``, int64 [N], and says in ``_keep`` what else has a row for each image.
    """

    person: Tensor

    def _keep(self, rows: Tensor) -> None:
        """Reduce everything that has a row for each image to these rows, by assigning it anew: others share it.

        Args:
            rows: bool mask [N], or int64 numbers of images.
        """
        raise NotImplementedError

    @property
    def people(self) -> list[int]:
        """The identities, in ascending order."""
        return self.person.unique().tolist()

    def subset(self, chosen: Sequence[int] | Tensor) -> Self:
        """Some of the faces as a data set of their own; what is in memory is copied.

        Args:
            chosen: bool mask [N], or numbers of images in the order wanted.
        Raises:
            ValueError: a mask of another length, or not one-dimensional. IndexError: no image of that number.
        """
        rows = torch.as_tensor(chosen)
        if rows.ndim != 1 or (rows.dtype == torch.bool and len(rows) != len(self)):
            raise ValueError(f"chosen must be a mask [{len(self)}] or a list of numbers; got {describe(chosen)}.")
        part = copy.copy(self)
        part._keep(rows if rows.dtype == torch.bool else rows.long())
        return part

    def some(self, count: int, seed: int = 0) -> Self:
        """So many of the faces, drawn at random, in their order; all of them where there are no more.

        In rendered sets image i shows person i mod P, so that every n-th image may show few of the people, or one.

        Args:
            count: how many. seed: of the draw.
        Raises:
            TypeError, ValueError: ``count`` or ``seed`` is no whole number, or too small.
        """
        generator = torch.Generator().manual_seed(check_whole("seed", seed, 0))
        order = torch.randperm(len(self), generator=generator)
        return self.subset(order[: check_whole("count", count, 1)].sort().values)

    def split_people(self, held_out: Iterable[int]) -> tuple[Self, Self]:
        """The faces of everybody else, and those of ``held_out``, as leave-one-person-out evaluation needs them.

        Args:
            held_out: identities, from ``people``.
        Raises:
            ValueError: somebody is not in the data set.
        """
        held_out = list(held_out)
        for person in held_out:
            check_choice("held_out", person, self.people)
        mask = torch.isin(self.person, torch.tensor(held_out, dtype=torch.long))
        return self.subset(~mask), self.subset(mask)
