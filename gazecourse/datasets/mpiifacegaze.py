"""MPIIFaceGaze, the normalized release: 15 people at their own laptops, 3,000 face images of 448 × 448 each.

Source: Zhang, Sugano, Fritz and Bulling, "It's Written All Over Your Face", CVPR Workshops 2017; normalized as in
Zhang, Sugano and Bulling, "Revisiting Data Normalization for Appearance-Based Gaze Estimation", ETRA 2018. The
data is for non-commercial research only (CC BY-NC-SA 4.0), so the course does not ship it: learners download it.

The release is a folder with ``p00.mat`` to ``p14.mat``. MATLAB 7.3 wrote them, so they are HDF5 files:

- ``Data/data`` (3000, 3, 448, 448): the images, blue first, values from 0 to 255 (whole numbers or not). MATLAB keeps
  the first axis together in memory and HDF5 the last, so the axes read in reverse order and the images stand upright.
- ``Data/label`` (3000, 16): gaze pitch and yaw, head pitch and yaw in radians, then (x, y) of six landmarks in pixels.

The landmarks come in the release's order: four eye corners, then two mouth corners; see ``LANDMARKS``.

**Signs.** The release itself does not say how its angles are counted. One of its authors' group does, beside the
normalization code of a later comparison (Wang, Shi, De Mello, Chang and Zhang 2023): pitch and yaw are opposite to
ETH-XGaze's. So the stored angles grow with the axes of the image, x to the right and y down:

    stored pitch = asin(g_y), stored yaw = atan2(g_x, -g_z), so g = (cos p sin y, sin p, -cos p cos y).

The course's, which are ETH-XGaze's, grow against them (``gazecourse.angles``): pitch = asin(-g_y),
yaw = atan2(-g_x, -g_z). asin and atan2 are odd in the argument that changes its sign, so both angles change theirs and
nothing else: (pitch, yaw) = (-stored pitch, -stored yaw), for gaze and head alike. A person who looks to the left of
the image and down along g = (-0.36, 0.48, -0.8) is stored as (0.501, -0.423) and read as (-0.501, 0.423).

Wrong signs do not show within one data set and ruin every comparison across two. The files can tell, at least of the
pitch: the cameras of these laptops sit above the screens, so a person's gaze points down in the median. A file where it
does not is refused. The yaw has no such mark: draw the gaze into a few images (``gazecourse.plotting.draw_gaze``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import h5py
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gazecourse.angles import from_mpiifacegaze_normalized
from gazecourse.datasets.hdf5 import HDF5Source, check_entry, open_hdf5, reason
from gazecourse.datasets.source import Release, digest, listed
from gazecourse.errors import CourseError
from gazecourse.images import resized
from gazecourse.sample import Sample
from gazecourse.subsets import Subsets
from gazecourse.validation import check_whole, describe

PEOPLE = 15
SIDE = 448
"""Height and width of the stored images in pixels."""

LANDMARKS = (
    "right eye, outer corner",
    "right eye, inner corner",
    "left eye, inner corner",
    "left eye, outer corner",
    "mouth, right corner",
    "mouth, left corner",
)
"""What the six landmarks are, in the release's order; right and left are the person's."""

PAGE = (
    "https://www.mpi-inf.mpg.de/departments/computer-vision-and-machine-learning/research/"
    "gaze-based-human-computer-interaction/"
    "its-written-all-over-your-face-full-face-appearance-based-gaze-estimation"
)
"""Where the Max Planck Institute for Informatics offers the data."""

HOW_TO_GET = (
    "The data is for non-commercial research only (CC BY-NC-SA 4.0) and not part of the course: download the "
    f"normalized data from {PAGE}, unpack it, and pass the folder that holds p00.mat to p14.mat."
)

ENOUGH_TO_TELL = 100
"""Images from which the median of the gaze tells whether the signs are right; the release has 3,000 a person."""


class MPIIFaceGaze(Subsets, Dataset):
    """The normalized MPIIFaceGaze release from disk, converted to the course's form.

    All labels are loaded at once (5 MB). Images are read when asked for, since all of them together take 27 GB. No file
    stays open between two reads, so the data set can be pickled and handed to the workers of a ``DataLoader``.

    Args:
        root: folder that holds ``p00.mat`` to ``p14.mat``.
        size: height and width of the images in pixels, 16 to 1024; they are resized from 448 with antialiasing.
        people: numbers of the people to read, 0 to 14; None for all. Only their files are needed.
        opposite_signs: False for a copy whose pitch and yaw already are the course's; see the module.
    Attributes:
        gaze: float32 [N, 2] (pitch, yaw) of the gaze from the face center, radians, in the course's form.
        head: float32 [N, 2] (pitch, yaw) of the head, likewise.
        landmarks: float32 [N, 6, 2] (x, y) in pixels of the images of this ``size``; see ``LANDMARKS``. The release
            does not say whether its pixels begin at 0 or at 1; they are scaled as if (0, 0) were the corner of the
            image, and so are right within a pixel of the 448.
        person: int64 [N] number of the person, 0 to 14.
        people: the numbers, in ascending order.
        domain: "mpiifacegaze".
        root: the folder, as an absolute path.
        size: as passed.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        FileNotFoundError: the folder or a file is not there; the message says how to get the data.
        CourseError: a file is cut off, is no HDF5 file, or does not hold what the release holds. For an image, this is
            found when it is read.
    """

    domain = "mpiifacegaze"

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        size: int = 224,
        people: Iterable[int] | None = None,
        opposite_signs: bool = True,
    ) -> None:
        if not isinstance(root, (str, os.PathLike)):
            raise TypeError(f"root must be the folder of the data; got {describe(root)}.")
        self.root = Path(root).expanduser().absolute()
        self.size = check_whole("size", size, 16, 1024)
        chosen = _check_people(people)
        _check_folder(self.root, chosen)
        labels = [_load_labels(self._path(person), opposite_signs) for person in chosen]
        counts = torch.tensor([len(rows) for rows in labels])
        whole = torch.cat(labels)
        self.gaze, self.head = whole[:, :2], whole[:, 2:4]
        self.landmarks = whole[:, 4:].reshape(-1, len(LANDMARKS), 2) * (self.size / SIDE)
        self.person = torch.tensor(chosen).repeat_interleave(counts)
        self._row = torch.cat([torch.arange(len(rows)) for rows in labels])

    def __len__(self) -> int:
        return len(self.person)

    def __repr__(self) -> str:
        return f"MPIIFaceGaze({len(self)} images of {len(self.people)} people, {self.size} × {self.size})"

    def __getitem__(self, index: int) -> Sample:
        """One face; negative numbers count from the end.

        Raises:
            IndexError: no image of that number.
            CourseError, FileNotFoundError: the image cannot be read.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must lie in [{-len(self)}, {len(self) - 1}]; got {index}.")
        return Sample(
            image=self._images(torch.tensor([index]))[0],
            gaze=self.gaze[index],
            head=self.head[index],
            landmarks=self.landmarks[index],
            person=int(self.person[index]),
            domain=self.domain,
        )

    def __getitems__(self, indices: Sequence[int] | Tensor) -> Sample:
        """The faces of one batch, collated. Every file is opened once, and its images are read in their order."""
        chosen = torch.as_tensor(indices, dtype=torch.long)
        return Sample(
            image=self._images(chosen),
            gaze=self.gaze[chosen],
            head=self.head[chosen],
            landmarks=self.landmarks[chosen],
            person=self.person[chosen],
            domain=[self.domain] * len(chosen),
        )

    def _keep(self, rows: Tensor) -> None:
        for name in ("gaze", "head", "landmarks", "person", "_row"):
            setattr(self, name, getattr(self, name)[rows])

    def _path(self, person: int) -> Path:
        return self.root / _file_name(person)

    def _images(self, chosen: Tensor) -> Tensor:
        """uint8 RGB [B, 3, size, size] of these samples."""
        person, row = self.person[chosen], self._row[chosen]
        images = torch.empty(len(chosen), 3, self.size, self.size, dtype=torch.uint8)
        for number in person.unique().tolist():
            path = self._path(number)
            places = (person == number).nonzero().flatten()
            with open_hdf5(path, HOW_TO_GET) as file:
                for place in places[row[places].argsort()].tolist():
                    stored = _read(path, file, int(row[place]))
                    images[place] = _to_rgb(stored, self.size)
        return images


def _file_name(person: int) -> str:
    return f"p{person:02d}.mat"


def _check_people(people: Iterable[int] | None) -> list[int]:
    """The people to read, each once, in ascending order."""
    if people is None:
        return list(range(PEOPLE))
    if isinstance(people, str) or not isinstance(people, Iterable):
        raise TypeError(f"people must be a list of numbers from 0 to {PEOPLE - 1}; got {describe(people)}.")
    numbers = sorted({check_whole("people", person, 0, PEOPLE - 1) for person in people})
    if not numbers:
        raise ValueError("people must name at least one person; got none.")
    return numbers


def _check_folder(root: Path, people: list[int]) -> None:
    """Refuse a folder without the files of ``people``; say where they are, if they are near."""
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}. {HOW_TO_GET}")
    missing = [person for person in people if not (root / _file_name(person)).is_file()]
    if not missing:
        return
    names = ", ".join(_file_name(person) for person in missing)
    for first in sorted(root.glob(f"*/{_file_name(missing[0])}")):
        if all((first.parent / _file_name(person)).is_file() for person in people):
            raise FileNotFoundError(f"{root} does not hold {names}, but {first.parent} does: pass that folder.")
    there = [person for person in people if person not in missing]
    if there:
        raise FileNotFoundError(f"{root} lacks {names}. Unpack them too, or pass people={there}. {HOW_TO_GET}")
    if (root / f"p{missing[0]:02d}").is_dir():
        raise FileNotFoundError(f"{root} is the raw release of MPIIFaceGaze, not the normalized one. {HOW_TO_GET}")
    raise FileNotFoundError(f"{root} does not hold {names}. {HOW_TO_GET}")


def _load_labels(path: Path, opposite_signs: bool) -> Tensor:
    """The labels of one person, float32 [N, 16], angles in the course's form, landmarks in pixels of the 448.

    Raises:
        FileNotFoundError, CourseError: the file is not what the release has.
    """
    with open_hdf5(path, HOW_TO_GET) as file:
        for name, shape in (("Data/data", ("N", 3, SIDE, SIDE)), ("Data/label", ("N", 16))):
            check_entry(path, file, name, shape, HOW_TO_GET)
        images = len(file["Data/data"])
        try:
            labels = file["Data/label"][()].astype(np.float64)
        except OSError as error:
            raise CourseError(f"{path}: the labels cannot be read ({reason(error)}). Unpack it again.") from error
    if len(labels) != images or images == 0:
        raise CourseError(
            f"{path} must hold as many labels as images, and at least one; it holds {images} images and "
            f"{len(labels)} labels. {HOW_TO_GET}"
        )
    if not np.isfinite(labels).all():
        raise CourseError(f"{path}: Data/label must be finite; it holds NaN or infinity. Unpack the file again.")
    largest = np.abs(labels[:, :4]).max()
    if largest > math.pi:
        raise CourseError(
            f"{path}: the first four numbers of Data/label must be angles in radians, at most π; the largest is "
            f"{largest:.4g}. If this copy has degrees, take the file of the release. {HOW_TO_GET}"
        )
    if opposite_signs:
        labels[:, :2] = from_mpiifacegaze_normalized(labels[:, :2])
        labels[:, 2:4] = from_mpiifacegaze_normalized(labels[:, 2:4])
    _check_signs(path, labels[:, 0], opposite_signs)
    return torch.from_numpy(labels.astype(np.float32))


def _check_signs(path: Path, pitch: np.ndarray, opposite_signs: bool) -> None:
    """Refuse gaze that points above the camera in the median: these people look at a screen below it."""
    median = np.median(pitch)
    if len(pitch) >= ENOUGH_TO_TELL and median > 0:
        is_form, remedy = ("already in", "False") if opposite_signs else ("not in", "True")
        raise CourseError(
            f"{path}: read with opposite_signs={opposite_signs}, the gaze points {math.degrees(median):.1f}° above the "
            f"camera in the median, but this person looked at a screen below it. The labels of this copy seem to be "
            f"{is_form} the course's form: pass opposite_signs={remedy}, and check a few images with their gaze drawn."
        )


def _read(path: Path, file: h5py.File, row: int) -> np.ndarray:
    """One stored image, BGR [3, 448, 448], values checked to be from 0 to 255."""
    try:
        stored = file["Data/data"][row]
    except OSError as error:
        raise CourseError(
            f"{path}: image {row} cannot be read; the file is cut off or damaged ({reason(error)}). "
            f"Unpack it again. {HOW_TO_GET}"
        ) from error
    low, high = stored.min(), stored.max()
    in_range = low >= 0 and high <= 255  # written so that NaN does not pass
    is_share = 0 < high <= 1 and stored.dtype.kind == "f" and bool((stored % 1 != 0).any())
    if not in_range or is_share:
        raise CourseError(
            f"{path}: image {row} must hold values from 0 to 255; got {low:.4g} to {high:.4g}. "
            f"This copy was changed after the release. {HOW_TO_GET}"
        )
    return stored


def _to_rgb(stored: np.ndarray, size: int) -> Tensor:
    """uint8 RGB [3, size, size] from BGR [3, 448, 448], resized with antialiasing, rounded."""
    kept = stored.dtype if stored.dtype == np.uint8 else np.float32
    image = resized(torch.from_numpy(stored[::-1].astype(kept)), size)
    return image if image.dtype == torch.uint8 else image.round().clamp(0, 255).to(torch.uint8)


class MPIIFaceGazeNormalized(HDF5Source):
    """The same release as a source of ``gazecourse.datasets.preparing``, which stores it for quick reading.

    Args:
        root: folder that holds ``p00.mat`` to ``p14.mat``.
        missing_ok: go on with the people who are there.
    Raises:
        FileNotFoundError, CourseError: as ``MPIIFaceGaze``.
    """

    release = Release(
        name="mpiifacegaze",
        kind="normalized",
        title="MPIIFaceGaze",
        holder="the Max Planck Institute for Informatics",
        page=PAGE,
        agreement="non-commercial research only, CC BY-NC-SA 4.0",
        download="Download the normalized data, unpack it, and pass the folder that holds p00.mat to p14.mat.",
    )
    holds = ("gaze", "head", "landmarks")
    landmarks = len(LANDMARKS)

    def __init__(self, root: str | os.PathLike[str], *, missing_ok: bool = False) -> None:
        super().__init__(root)
        people = [person for person in range(PEOPLE) if (self.root / _file_name(person)).is_file()]
        missing = [_file_name(person) for person in range(PEOPLE) if person not in people]
        self._data = MPIIFaceGaze(self.root, size=SIDE, people=people if missing_ok and people else None)
        if missing:
            self.warnings.append(f"people missing: {listed(missing, PEOPLE)}")
        self.person = self._data.person.numpy()
        self.split = np.zeros(len(self.person), np.int8)
        self.problem = [""] * len(self.person)
        labels = (self._data.gaze, self._data.head, self._data.landmarks)
        self.fingerprint = digest(*(values.numpy().tobytes() for values in labels))

    def part(self, rows: range) -> Self:
        """The same source with some consecutive records only."""
        part = super().part(rows)
        part._data = self._data.subset(list(rows))
        return part

    def where(self, row: int) -> str:
        """The file and the image's number in it."""
        return f"{self.file_of(row)}, image {int(self._data._row[row])}"

    def file_of(self, row: int) -> Path:
        """The file of the person."""
        return self._data._path(int(self.person[row]))

    def read(self, file: h5py.File, row: int, size: int) -> Sample:
        """One face and its labels."""
        return Sample(
            image=_to_rgb(_read(self.file_of(row), file, int(self._data._row[row])), size),
            gaze=self._data.gaze[row],
            head=self._data.head[row],
            landmarks=self._data.landmarks[row] * (size / SIDE),
            person=int(self.person[row]),
            domain=self.release.name,
        )
