"""Gaze360: 238 people seen from all sides by a 360° camera, indoors and outdoors.

Source: Kellnhofer, Recasens, Stent, Matusik and Torralba, "Gaze360: Physically Unconstrained Gaze Estimation in the
Wild", ICCV 2019.

The release is a folder with ``metadata.mat``, one entry for each of 197,588 pictures, and ``imgs``:

- ``recordings``: names; ``recording``: for each picture the number of its own, counted from 0, as everything here is.
- ``person_identity``, ``frame``: with the recording they give the file,
  ``imgs/<recording>/head/<identity, 6 digits>/<frame, 6 digits>.jpg``: the head, cut out of the whole picture.
- ``person_head_bbox``, ``person_face_bbox``, ``person_eye_left_bbox``, ``person_eye_right_bbox``: (x, y, width, height)
  in the whole picture, in shares of its width and height; -1 where a detector found nothing.
- ``gaze_dir``: the gaze in an eye frame with x to the left, y up and z away from the camera.
- ``splits``: "train", "val", "test", "unused"; ``split``: the number of the picture's own.

People are cut to the face, as in the comparisons of gaze estimators (Cheng et al.'s survey, PureGaze): the square
around the face box. Pictures without a face box show mostly the back of a head and are left out. An identity holds
within a recording, and a person who was lost and found again has several.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from gazecourse.angles import from_gaze360
from gazecourse.datasets.matlab import load_mat
from gazecourse.datasets.source import Release, Source, digest
from gazecourse.errors import CourseError
from gazecourse.images import read_image, resized, to_tensor
from gazecourse.sample import Sample

METADATA = "metadata.mat"
BOXES = ("person_head_bbox", "person_face_bbox", "person_eye_left_bbox", "person_eye_right_bbox")
NO_FACE = "no face was found in them"


class Gaze360(Source):
    """The release of Gaze360: a folder with ``metadata.mat`` and ``imgs``; see the module.

    Landmarks are the middles of both eyes, where the detector found them: the person's right one, which is on the left
    of the image, first.

    Args:
        root: the folder.
        missing_ok: without effect; a picture that is missing is skipped and listed anyway.
    Raises:
        FileNotFoundError, CourseError: a file is missing, damaged, or not what the release holds.
    """

    release = Release(
        name="gaze360",
        kind="faces",
        title="Gaze360",
        holder="MIT, which answers a form",
        page="http://gaze360.csail.mit.edu",
        agreement="research only, no commercial use, no passing on",
        download=f"Download the data set, and pass the folder that holds {METADATA} and imgs.",
    )
    splits = ("train", "val", "test", "unused")
    holds = ("gaze", "landmarks")
    landmarks = 2
    typical_eyes = ((60 / 224, 103 / 224), (154 / 224, 103 / 224))
    columns = (*Source.columns, "_recording", "_identity", "_frame", "_gaze", "_boxes", "_number")

    def __init__(self, root: str | os.PathLike[str], *, missing_ok: bool = False) -> None:
        super().__init__(root)
        self.require(METADATA, "imgs")
        content = self._load()
        self._names = self._words(content, "recordings")
        count = np.asarray(content["recording"]).size
        boxes = np.stack([self._table(content, name, count, 4) for name in BOXES], 1)
        has_face = (boxes[:, 1] >= 0).all(1)
        self.left_out = {NO_FACE: int((~has_face).sum())}
        keep = np.flatnonzero(has_face)
        if not len(keep):
            raise CourseError(f"{self._path}: there is no face box in it. {self.release.how_to_get}")
        recording = self._whole(content, "recording", count, len(self._names))
        identity = self._whole(content, "person_identity", count)
        person = np.unique(np.stack([recording, identity], 1), axis=0, return_inverse=True)[1].ravel()
        self._number = keep
        self._recording, self._identity, self.person = recording[keep], identity[keep], person[keep]
        self._frame = self._whole(content, "frame", count)[keep]
        self._gaze = self._table(content, "gaze_dir", count, 3)[keep]
        self._boxes = boxes[keep]
        self.split = self._splits(content, count)[keep]
        bad = ~(np.isfinite(self._gaze).all(1) & (np.abs(self._gaze) > 0).any(1))
        self.problem = ["gaze_dir must be a direction; it is zero, NaN or infinite." if b else "" for b in bad]
        self.fingerprint = digest(self._path.read_bytes())

    @property
    def _path(self) -> Path:
        return self.root / METADATA

    def _load(self) -> dict[str, np.ndarray]:
        content = load_mat(self._path, self.release.how_to_get)
        wanted = ("recordings", "recording", "frame", "person_identity", "gaze_dir", "splits", "split", *BOXES)
        missing = [name for name in wanted if name not in content]
        if missing:
            raise CourseError(f"{self._path} must hold {', '.join(missing)}; it does not. {self.release.how_to_get}")
        return content

    def _words(self, content: dict[str, np.ndarray], name: str) -> list[str]:
        """A cell array of words, or a matrix of characters with a word in each row."""
        return [str(np.asarray(word).reshape(-1)[0]).strip() for word in np.asarray(content[name]).ravel()]

    def _table(self, content: dict[str, np.ndarray], name: str, count: int, width: int) -> np.ndarray:
        values = np.asarray(content[name], np.float64)
        if values.shape != (count, width):
            raise CourseError(
                f"{self._path}: {name} must be ({count}, {width}), a row for each picture; it is {values.shape}."
            )
        return values

    def _whole(self, content: dict[str, np.ndarray], name: str, count: int, limit: int | None = None) -> np.ndarray:
        """Whole numbers from 0 up, one for each picture."""
        values = np.asarray(content[name]).ravel().astype(np.int64)
        if len(values) != count:
            raise CourseError(
                f"{self._path}: {name} must have {count} entries, one for each picture; has {len(values)}."
            )
        if count and (values.min() < 0 or (limit is not None and values.max() >= limit)):
            bounds = "0 or more" if limit is None else f"from 0 to {limit - 1}"
            raise CourseError(
                f"{self._path}: {name} must be {bounds}, for the release counts from 0; it holds {values.min()} to "
                f"{values.max()}."
            )
        return values

    def _splits(self, content: dict[str, np.ndarray], count: int) -> np.ndarray:
        names = self._words(content, "splits")
        if not set(names) <= set(self.splits):
            raise CourseError(f"{self._path}: splits must be {', '.join(self.splits)}; they are {', '.join(names)}.")
        numbers = self._whole(content, "split", count, len(names))
        return np.array([self.splits.index(name) for name in names], np.int8)[numbers]

    def _image(self, row: int) -> Path:
        name = self._names[self._recording[row]]
        return self.root / "imgs" / name / "head" / f"{self._identity[row]:06d}" / f"{self._frame[row]:06d}.jpg"

    def where(self, row: int) -> str:
        """The picture, and its place in the metadata."""
        return f"{self._image(row)} (entry {self._number[row]} of {METADATA})"

    def face(self, row: int, size: int) -> Sample:
        """The face, cut out of the picture of the head."""
        head = read_image(self._image(row))
        of_head, of_face, *of_eyes = self._boxes[row]
        x, y, side = _square(_in_crop(of_face, of_head, head), head)
        eyes = None
        if min(box.min() for box in of_eyes) >= 0:
            boxes = [_in_crop(box, of_head, head) for box in of_eyes]
            middles = sorted((box[:2] + box[2:] / 2).tolist() for box in boxes)
            eyes = torch.from_numpy((np.array(middles) - (x, y)) * (size / side)).float()
        return Sample(
            image=resized(to_tensor(head[y : y + side, x : x + side]), size),
            gaze=torch.from_numpy(from_gaze360(self._gaze[row])).float(),
            landmarks=eyes,
            person=int(self.person[row]),
            domain=self.release.name,
        )


def _in_crop(box: np.ndarray, head: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A box of the whole picture (x, y, width, height) in pixels of the picture of the head."""
    if not (head[2:] > 0).all():
        raise CourseError("the box of the head must have a width and a height; it has none.")
    height, width = image.shape[:2]
    within = np.concatenate([(box[:2] - head[:2]) / head[2:], box[2:] / head[2:]])
    return within * np.array([width, height, width, height])


def _square(box: np.ndarray, image: np.ndarray) -> tuple[int, int, int]:
    """Left, top and side, in whole pixels, of the square around a box, moved into the image; the image limits it."""
    height, width = image.shape[:2]
    side = min(round(max(box[2], box[3])), height, width)
    if side < 1:
        raise CourseError("the box of the face must have a width and a height; it has none.")
    left, top = np.round(box[:2] + box[2:] / 2 - side / 2).astype(int)
    if left + side <= 0 or top + side <= 0 or left >= width or top >= height:
        raise CourseError("the box of the face must lie in the picture of the head; it does not.")
    return int(np.clip(left, 0, width - side)), int(np.clip(top, 0, height - side)), side
