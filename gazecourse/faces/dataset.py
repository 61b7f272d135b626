"""Synthetic faces as a data set: rendered when first asked for, in memory afterwards.

>>> faces = FaceDataset("studio", "train")
>>> faces[0].gaze  # one Sample
>>> faces.images, faces.gaze, faces.factors.age  # everything at once
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gazecourse import profiles
from gazecourse.faces import attributes
from gazecourse.faces.attributes import Factors
from gazecourse.faces.domains import DOMAINS, SPLITS
from gazecourse.faces.rendering import render
from gazecourse.faces.shards import FaceSet
from gazecourse.sample import Sample
from gazecourse.subsets import Subsets
from gazecourse.validation import check_choice, describe

SIZES: dict[str, dict[str, dict[str, int]]] = {
    "quick": {
        "train": {"size": 112, "people": 40, "images": 3_000},
        "test": {"size": 112, "people": 10, "images": 600},
    },
    "full": {
        "train": {"size": 224, "people": 80, "images": 20_000},
        "test": {"size": 224, "people": 20, "images": 2_000},
    },
}
"""What each profile renders of every domain: quick is 0.5 GB in all, full is 13 GB."""


def face_set(domain: str, split: str, profile: str | None = None, **changes: int) -> FaceSet:
    """The set that a profile holds of one domain and split.

    Args:
        domain: "studio", "wild", "laptop" or "lab".
        split: "train" or "test".
        profile: "quick" or "full"; default the profile in use.
        changes: ``size``, ``people``, ``images`` or ``seed`` other than the profile's.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    profile = profile or profiles.profile()
    check_choice("profile", profile, tuple(SIZES))
    check_choice("split", split, SPLITS)
    return FaceSet(domain, split, **{**SIZES[profile][split], **changes})


def ensure(
    domains: Sequence[str] | None = None,
    profile: str | None = None,
    processes: int | None = None,
    progress: bool = True,
) -> None:
    """Render what is missing of the sets of a profile, and what is damaged or out of date.

    Args:
        domains: names of domains; None for all four.
        profile: "quick" or "full"; default the profile in use.
        processes: how many render side by side; None for one per core.
        progress: show a bar with images per second and the time left.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        CourseError: a file cannot be written, or the disk is full.
    """
    if isinstance(domains, str):
        raise TypeError(f"domains must be a list of names; got {describe(domains)}.")
    sets = [face_set(domain, split, profile) for domain in domains or DOMAINS for split in SPLITS]
    render(sets, processes=processes, progress=progress)


class FaceDataset(Subsets, Dataset):
    """Rendered faces with their labels and factors, all in memory (113 MB for 3,000 images of 112 × 112).

    What is missing on disk is rendered first, with a progress bar. Checksums are compared at every load: a damaged
    shard is rendered again rather than learned from.

    Args:
        domain, split, profile, changes: as in ``face_set``.
        render: False refuses to render and raises instead.
    Attributes:
        images: uint8 [N, 3, H, W], RGB.
        labels: what the renderer knows of each image, by name; see ``Renderer.render``.
        factors: everything that each image depends on.
        classes: int64 [N] for each named factor; see ``attributes.NAMED``.
        domain: name of the domain.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        FileNotFoundError: with ``render=False``, something is missing; the message says how to render it.
        CourseError: a file cannot be written, or the disk is full.
    """

    def __init__(
        self, domain: str, split: str, profile: str | None = None, *, render: bool = True, **changes: int
    ) -> None:
        faces = face_set(domain, split, profile, **changes)
        self.domain = domain
        tensors = _load(faces, may_render=render)
        self.images: Tensor = tensors.pop("images")
        self.labels = {n.removeprefix("labels."): t for n, t in tensors.items() if n.startswith("labels.")}
        self.factors = Factors(
            **{n.removeprefix("factors."): t for n, t in tensors.items() if n.startswith("factors.")}
        )
        self.classes = attributes.classes(self.factors)
        self._look_for_screen()

    def _look_for_screen(self) -> None:
        self._all_look_at_a_screen = not bool(self.labels["screen"].isnan().any())

    @property
    def gaze(self) -> Tensor:
        """[N, 2] (pitch, yaw) of the gaze from the face center, radians."""
        return self.labels["gaze"]

    @property
    def head(self) -> Tensor:
        """[N, 2] (pitch, yaw) of the head, radians."""
        return self.labels["head"]

    @property
    def landmarks(self) -> Tensor:
        """[N, 68, 2] (x, y) in pixels; (0, 0) is the corner of the image."""
        return self.labels["landmarks"]

    @property
    def face_center(self) -> Tensor:
        """[N, 3] of the face center in the physical camera's frame, mm."""
        return self._face_center(slice(None))

    def _face_center(self, rows: slice | list[int] | Tensor) -> Tensor:
        """``face_center`` of these rows alone: turned back from the normalized camera's frame."""
        return (self.factors.head_position[rows].unsqueeze(1) @ self.factors.normalization[rows]).squeeze(1)

    @property
    def screen(self) -> Tensor | None:
        """[N, 2] of the point looked at, mm from the top left corner of the screen; None if some look elsewhere."""
        return self.labels["screen"] if self._all_look_at_a_screen else None

    @property
    def visibility(self) -> Tensor:
        """[N, 68] bool: whether nothing hides the landmark."""
        return self.labels["visibility"]

    @property
    def person(self) -> Tensor:
        """[N] int64 identity."""
        return self.factors.person

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        size = self.images.shape[-1]
        return f"FaceDataset({self.domain}: {len(self)} images of {len(self.people)} people, {size} × {size})"

    def __getitem__(self, index: int) -> Sample:
        """One face; negative numbers count from the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must lie in [{-len(self)}, {len(self) - 1}]; got {index}.")
        return Sample(
            image=self.images[index],
            gaze=self.gaze[index],
            head=self.head[index],
            landmarks=self.landmarks[index],
            face_center=self._face_center([index])[0],
            screen=None if self.screen is None else self.screen[index],
            person=int(self.person[index]),
            domain=self.domain,
            factors={name: values[index] for name, values in self.classes.items()},
        )

    def __getitems__(self, indices: Sequence[int] | Tensor) -> Sample:
        """The faces of one batch, collated: one gather per field is faster than stacking single samples."""
        chosen = torch.as_tensor(indices)
        return Sample(
            image=self.images.index_select(0, chosen),  # twenty times as fast as self.images[chosen]
            gaze=self.gaze[chosen],
            head=self.head[chosen],
            landmarks=self.landmarks[chosen],
            face_center=self._face_center(chosen),
            screen=None if self.screen is None else self.screen[chosen],
            person=self.person[chosen],
            domain=[self.domain] * len(chosen),
            factors={name: values[chosen] for name, values in self.classes.items()},
        )

    def _keep(self, rows: Tensor) -> None:
        self.images = self.images[rows]
        self.labels = {name: values[rows] for name, values in self.labels.items()}
        self.classes = {name: values[rows] for name, values in self.classes.items()}
        self.factors = self.factors[rows]
        self._look_for_screen()


def _load(faces: FaceSet, may_render: bool) -> dict[str, Tensor]:
    """All tensors of a set, each in one piece; the first shard that cannot be used has the set rendered."""
    whole: dict[str, Tensor] = {}
    for shard in faces.shards():
        loaded = shard.load()
        if loaded is None:
            if not may_render:
                raise FileNotFoundError(_how_to_render(faces))
            print(f"{faces}: not, or not wholly, in {faces.folder}. It is rendered now, once.", flush=True)
            render([faces])
            loaded = shard.load()
        for name, rows in loaded.items():
            if name not in whole:
                whole[name] = rows.new_empty(faces.images, *rows.shape[1:])
            whole[name][shard.indices.start : shard.indices.stop] = rows
    return whole


def _how_to_render(faces: FaceSet) -> str:
    options = " ".join(f"--{name} {value}" for name, value in faces.parameters.items())
    return (
        f"{faces} is not, or not wholly, in {faces.folder}. Leave out render=False to render it, "
        f"or type: python data_scripts/render_faces.py {options}"
    )
