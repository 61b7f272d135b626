"""Rendered sets on disk: what identifies one, how it is cut into shards, how a damaged shard is found.

A set is a folder of shards of ``SHARD_IMAGES`` images. Shard 3 is ``00003.safetensors`` with the tensors and, written
after it, ``00003.json`` with everything that decided them and the SHA-256 of the file. A shard counts only where both
are there and agree. So a set needs no state of its own: what is missing, cut off, altered or drawn by an older
renderer is rendered again, and several machines can fill one folder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
from torch import Tensor

from gazecourse.faces.domains import DOMAINS, MOST_PEOPLE, SPLITS
from gazecourse.faces.renderer import VERSION
from gazecourse.files import read_checked, write_checked
from gazecourse.paths import data_dir
from gazecourse.validation import check_choice, check_whole

SHARD_IMAGES = 200


@dataclass(frozen=True)
class FaceSet:
    """Which faces: all that decides the content of a rendered set.

    Attributes:
        domain: "studio", "wild", "laptop" or "lab".
        split: "train" or "test"; nobody is in both.
        size: height and width of the images in pixels, 16 to 1024.
        people: number of identities, at most one per image.
        images: number of images, over all people.
        seed: of everything random; from 0 to 2**31 - 1.
        root: folder that holds the set's own folder; default ``synthetic`` in the data folder of the course.
    Raises:
        TypeError, ValueError: naming the attribute, what was expected and what came.
    """

    domain: str
    split: str
    size: int
    people: int
    images: int
    seed: int = 0
    root: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_choice("domain", self.domain, tuple(DOMAINS))
        check_choice("split", self.split, SPLITS)
        check_whole("size", self.size, 16, 1024)
        check_whole("people", self.people, 1, MOST_PEOPLE)
        check_whole("images", self.images, 1)
        check_whole("seed", self.seed, 0, 2**31 - 1)
        if self.people > self.images:
            raise ValueError(f"people must be at most images, {self.images}; got {self.people}.")

    @property
    def folder(self) -> Path:
        """Where the shards are."""
        name = f"{self.domain}-{self.split}-{self.size}px-{self.people}people-{self.images}images-seed{self.seed}"
        return (self.root or data_dir() / "synthetic") / name

    @property
    def parameters(self) -> dict[str, str | int]:
        """What decides the content, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "root"}

    def shards(self) -> list[Shard]:
        """All shards of the set, in order."""
        return [Shard(self, number) for number in range(-(-self.images // SHARD_IMAGES))]

    def __str__(self) -> str:
        return f"{self.domain} {self.split} ({self.images} images of {self.people} people, {self.size} px)"


@dataclass(frozen=True)
class Shard:
    """Up to ``SHARD_IMAGES`` consecutive images of a set."""

    faces: FaceSet
    number: int

    @property
    def indices(self) -> range:
        """Numbers of its images within the set."""
        first = self.number * SHARD_IMAGES
        return range(first, min(first + SHARD_IMAGES, self.faces.images))

    @property
    def path(self) -> Path:
        """The file of the tensors."""
        return self.faces.folder / f"{self.number:05d}.safetensors"

    @property
    def manifest_path(self) -> Path:
        """The file that says what the tensors are and what their checksum is."""
        return self.path.with_suffix(".json")

    def save(self, tensors: dict[str, np.ndarray]) -> None:
        """Put the shard on disk. The same arrays always give the same bytes.

        Raises:
            CourseError: the system refused (disk full, no permission). No half-written file is left.
        """
        write_checked(self.path, safetensors.numpy.save(tensors), self._description)

    def load(self) -> dict[str, Tensor] | None:
        """The tensors; None where the shard is missing, damaged, or of other parameters or another version."""
        content = self._verified()
        return None if content is None else safetensors.torch.load(content)

    def is_whole(self) -> bool:
        """Whether ``load`` would find the shard undamaged (reads it: about a second per 1.5 GB)."""
        return self._verified() is not None

    def _verified(self) -> bytes | None:
        found = read_checked(self.path)
        return found[0] if found and found[1] == self._description else None

    @property
    def _description(self) -> dict[str, str | int]:
        return {
            **self.faces.parameters,
            "renderer": VERSION,
            "first": self.indices.start,
            "count": len(self.indices),
        }
