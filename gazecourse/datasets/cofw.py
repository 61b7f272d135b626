"""COFW: faces in the wild that something hides in part, with 29 landmarks, each marked as hidden or not.

Source: Burgos-Artizzu, Perona and Dollár, "Robust Face Landmark Estimation under Occlusion", ICCV 2013. The data is for
research; the course does not ship it: learners download it.

The release is two files that MATLAB 7.3 wrote, so they are HDF5: ``COFW_train_color.mat`` (1,345 faces) with ``IsTr``,
``phisTr`` and ``bboxesTr``, and ``COFW_test_color.mat`` (507) with ``IsT``, ``phisT`` and ``bboxesT``:

- the pictures, a list of references, each to an image, in color or gray. MATLAB keeps the first axis together in memory
  and HDF5 the last, so that axes read in reverse order: (3, W, H), or (W, H).
- ``phis`` (87, N): 29 x, then 29 y, then 29 flags, 1 where the landmark is hidden.
- ``bboxes`` (4, N): x, y, width and height of the face.

Its pixels are MATLAB's: the middle of the first one is (1, 1), which is (0.5, 0.5) here.
"""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from gazecourse.datasets.face_photos import FacePhotos, check_boxes, check_count, check_upright
from gazecourse.datasets.hdf5 import check_entry, open_hdf5
from gazecourse.datasets.source import Release, folder_of
from gazecourse.errors import CourseError
from gazecourse.validation import check_choice

POINTS = 29
SUFFIX = {"train": "Tr", "test": "T"}
FACES = {"train": 1_345, "test": 507}
RELEASE = Release(
    "cofw",
    "photos",
    "COFW",
    "the California Institute of Technology",
    "http://www.vision.caltech.edu/xpburgos/ICCV13/",
    "research only",
    "Download COFW_color.zip, unpack it, and pass the folder that holds COFW_train_color.mat and COFW_test_color.mat.",
)
HOW_TO_GET = RELEASE.how_to_get


class COFW(FacePhotos):
    """The faces of one split, in the course's form; see ``FacePhotos`` for what all readers have in common.

    No file stays open between two reads, so that the data set can be handed to the workers of a ``DataLoader``.

    Args:
        root: folder that holds the two files; only that of the split is needed.
        split: "train" or "test".
        size: height and width of the squares around the faces, pixels.
    Attributes:
        factors: "occluded", bool [N, 29], whether something hides the landmark.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        FileNotFoundError: the folder or the file is not there; the message says how to get the data.
        CourseError: the file is cut off, is no HDF5 file, or does not hold what the release holds. For an image, this
            is found when it is read.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "train", *, size: int = 256) -> None:
        check_choice("split", split, tuple(SUFFIX))
        self.root = folder_of(root, HOW_TO_GET)
        self._path, self._images = self.root / f"COFW_{split}_color.mat", f"Is{SUFFIX[split]}"
        with open_hdf5(self._path, HOW_TO_GET) as file:
            phis = _table(self._path, file, f"phis{SUFFIX[split]}", 3 * POINTS)
            boxes = _table(self._path, file, f"bboxes{SUFFIX[split]}", 4)
            images = file.get(self._images)
            if not isinstance(images, h5py.Dataset) or images.dtype != h5py.ref_dtype:
                raise CourseError(f"{self._path} must hold {self._images}, a list of images. {HOW_TO_GET}")
            counts = {len(phis), len(boxes), images.size}
        if len(counts) != 1:
            raise CourseError(f"{self._path} must hold as many images as labels and boxes; it holds {sorted(counts)}.")
        check_count(str(self._path), len(phis), FACES[split], HOW_TO_GET)
        landmarks = np.stack([phis[:, :POINTS], phis[:, POINTS : 2 * POINTS]], axis=2) - 0.5
        flags = phis[:, 2 * POINTS :]
        if not np.isin(flags, (0, 1)).all():
            raise CourseError(
                f"{self._path}: the last {POINTS} rows of phis must be flags, 0 or 1; they go from {flags.min():g} to "
                f"{flags.max():g}. Are rows in another order in this copy?"
            )
        boxes = boxes - np.array([1.0, 1.0, 0.0, 0.0])  # the first pixel begins at 1 there and at 0 here
        check_boxes(str(self._path), landmarks, boxes, "x y width height")
        check_upright(str(self._path), landmarks)
        super().__init__(size, "cofw", landmarks, boxes, {"occluded": torch.from_numpy(flags == 1)})

    def _photo(self, index: int) -> Tensor:
        row, where = int(self.person[index]), self.where(index)
        with open_hdf5(self._path, HOW_TO_GET) as file:
            try:
                pixels = file[file[self._images][()].flatten()[row]][()]
            except (OSError, ValueError, KeyError) as error:
                raise CourseError(f"{where} cannot be read ({error}). Unpack it again.") from error
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and len(pixels) != 3):
            raise CourseError(f"{where} must be bytes (3, W, H) or (W, H); it is {pixels.shape} of {pixels.dtype}.")
        colors = np.broadcast_to(pixels, (3, *pixels.shape)) if pixels.ndim == 2 else pixels
        return torch.from_numpy(np.ascontiguousarray(colors.transpose(0, 2, 1)))

    def where(self, index: int) -> str:
        """The file, and the number of the image in it, from 1."""
        return f"{self._path}: image {int(self.person[index]) + 1}"


def _table(path: Path, file: h5py.File, name: str, rows: int) -> np.ndarray:
    """The numbers [N, rows] of one entry (rows, N), float64.

    Raises:
        CourseError: it is not there, or of another shape or kind.
    """
    entry = check_entry(path, file, name, (rows, "N"), HOW_TO_GET)
    try:
        values = entry[()].astype(np.float64).T
    except OSError as error:
        raise CourseError(f"{path}: {name} cannot be read ({error}). Unpack it again.") from error
    if not np.isfinite(values).all():
        raise CourseError(f"{path}: {name} must be finite; it holds NaN or infinity. Unpack the file again.")
    return values
