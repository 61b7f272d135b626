"""ETH-XGaze: 110 people before eighteen cameras in a studio, with wide head poses and gaze.

Source: Zhang, Park, Beeler, Bradley, Tang and Hilliges, "ETH-XGaze: A Large Scale Dataset for Gaze Estimation under
Extreme Head Pose and Gaze Variation", ECCV 2020.

The release of face patches is a folder with ``train_test_split.json`` (keys ``train``, ``test`` and
``test_person_specific``, lists of file names) and a folder of each of these names with one HDF5 file a person,
``subject0000.h5``:

- ``face_patch`` (N, 224, 224, 3) or (N, 448, 448, 3), uint8: normalized faces, blue first.
- ``face_gaze`` (N, 2): (pitch, yaw) in radians, the course's own convention. The test sets' labels are not given away:
  predictions for them are scored by the authors' server. They are read as NaN.
- ``face_head_pose`` (N, 2): (pitch, yaw) of the head, likewise the course's. ``face_mat_norm`` (N, 3, 3): R.
- ``frame_index`` and ``cam_index`` (N, 1). ``facial_landmarks`` (N, 68, 2), in the patches of 448 only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import torch

from gazecourse.datasets.hdf5 import HDF5Source, check_entry, open_hdf5, reason
from gazecourse.datasets.source import Release, Source, digest, listed, read_text
from gazecourse.errors import CourseError
from gazecourse.images import resized, to_tensor
from gazecourse.sample import Sample

LIST = "train_test_split.json"
SIDES = (224, 448)


class ETHXGaze(HDF5Source):
    """The face patches of ETH-XGaze: a folder with ``train_test_split.json`` and ``train``; see the module.

    The test folders are read if they are there.

    Args:
        root: the folder.
        missing_ok: go on with the files that are there.
    Raises:
        FileNotFoundError, CourseError: a file is missing, cut off, or not what the release holds.
    """

    release = Release(
        name="eth_xgaze",
        kind="patches",
        title="ETH-XGaze",
        holder="ETH Zurich, which answers a form",
        page="https://ait.ethz.ch/xgaze",
        agreement="non-commercial research only, CC BY-NC-SA 4.0 with further terms",
        download=f"Download the face patches of 224 × 224 (130 GB), and pass the folder that holds {LIST} and train.",
    )
    splits = ("train", "test", "test_person_specific")
    holds = ("gaze", "head", "landmarks")
    landmarks = 68
    typical_eyes = ((63 / 224, 74 / 224), (151 / 224, 74 / 224))
    columns = (*Source.columns, "_file", "_row", "_gaze", "_head", "_landmarks", "_taken")

    def __init__(self, root: str | os.PathLike[str], *, missing_ok: bool = False) -> None:
        super().__init__(root)
        self.require(LIST, "train")
        self._files = self._find(missing_ok)
        pieces = [self._labels(number) for number in range(len(self._files))]
        names = ("person", "split", "_file", "_row", "_gaze", "_head", "_landmarks", "_taken")
        for name in names:
            setattr(self, name, np.concatenate([piece[name] for piece in pieces]))
        self.problem = self._problems()
        if not any(piece["has_landmarks"] for piece in pieces):
            self.holds = ("gaze", "head")
        contents = (self._gaze.tobytes(), self._head.tobytes(), self._landmarks.tobytes())
        self.fingerprint = digest(*(str(path) for path, _ in self._files), *contents)

    def _find(self, missing_ok: bool) -> list[tuple[Path, int]]:
        """The files, below the root, and the number of their split."""
        path = self.root / LIST
        try:
            listing = json.loads(read_text(path, self.release.how_to_get))
            names = [(Path(split, name), number) for number, split in enumerate(self.splits) for name in listing[split]]
        except (ValueError, KeyError, TypeError) as error:
            raise CourseError(
                f"{path} must be JSON with the keys {listed(self.splits)}, lists of file names; it is not ({error}). "
                "Unpack it again."
            ) from error
        names = [(name, number) for name, number in names if number == 0 or (self.root / name.parent).is_dir()]
        missing = [str(name) for name, _ in names if not (self.root / name).is_file()]
        if missing and not missing_ok:
            raise FileNotFoundError(
                f"{self.root} lacks {listed(missing)}. Unpack them too, or go on without them with --missing-ok."
            )
        if missing:
            self.warnings.append(f"files missing: {listed(missing, len(missing))}")
        there = [(name, number) for name, number in names if str(name) not in missing]
        if not there:
            raise FileNotFoundError(f"{self.root} holds none of the files that {LIST} names. {self.release.how_to_get}")
        return there

    def _labels(self, number: int) -> dict[str, np.ndarray | bool]:
        """The columns of one file."""
        split, path, get = self._files[number][1], self._path(number), self.release.how_to_get
        with open_hdf5(path, get) as file:
            patches = file.get("face_patch")
            side = patches.shape[1] if getattr(patches, "ndim", 0) == 4 and patches.shape[1] in SIDES else SIDES[0]
            count = len(check_entry(path, file, "face_patch", ("N", side, side, 3), get))
            try:
                head = check_entry(path, file, "face_head_pose", ("N", 2), get)[()].astype(np.float64)
                gaze = np.full((count, 2), np.nan)
                if split == 0 or "face_gaze" in file:
                    known = check_entry(path, file, "face_gaze", ("N", 2), get)[()]
                    gaze[: len(known)] = known[:count]
                has_landmarks = "facial_landmarks" in file
                points = np.full((count, 68, 2), np.nan, np.float32)
                if has_landmarks:
                    points[:] = check_entry(path, file, "facial_landmarks", ("N", 68, 2), get)[()] / side
                taken = [
                    file[key][()].reshape(count) if key in file and file[key].size == count else np.full(count, -1)
                    for key in ("frame_index", "cam_index")
                ]
            except (OSError, ValueError) as error:
                raise CourseError(f"{path}: its labels cannot be read ({error}). Unpack it again. {get}") from error
        if len(head) != count or (split == 0 and len(known) != count) or count == 0:
            raise CourseError(f"{path} must hold as many labels as images, and at least one; it does not. {get}")
        return {
            "person": np.full(count, _subject(path), np.int64),
            "split": np.full(count, split, np.int8),
            "_file": np.full(count, number, np.int32),
            "_row": np.arange(count, dtype=np.int32),
            "_gaze": gaze.astype(np.float32),
            "_head": head.astype(np.float32),
            "_landmarks": points if has_landmarks else points[:, :0],
            "_taken": np.stack(taken, 1),
            "has_landmarks": has_landmarks,
        }

    def _problems(self) -> list[str]:
        gaze = np.where((self.split == 0)[:, None], self._gaze, np.nan_to_num(self._gaze))
        labels = np.concatenate([gaze, self._head], 1)
        broken = ~np.isfinite(labels).all(1)
        wild = np.abs(np.nan_to_num(labels)).max(1) > np.pi
        words = {0: "", 1: "gaze and head pose must be finite.", 2: "gaze and head pose must be radians, at most π."}
        return [words[number] for number in np.where(broken, 1, np.where(wild, 2, 0))]

    def where(self, row: int) -> str:
        """The file, the image's number in it, and when and by which camera it was taken."""
        frame, camera = self._taken[row]
        taken = "" if frame < 0 else f" (frame {frame}, camera {camera})"
        return f"{self.file_of(row)}, image {self._row[row]}{taken}"

    def file_of(self, row: int) -> Path:
        """The file of the person."""
        return self._path(self._file[row])

    def read(self, file: h5py.File, row: int, size: int) -> Sample:
        """The patch and its labels."""
        try:
            patch = file["face_patch"][int(self._row[row])]
        except OSError as error:
            raise CourseError(f"the image cannot be read; the file is cut off or damaged ({reason(error)}).") from error
        if patch.dtype != np.uint8:
            raise CourseError(f"face_patch must be uint8; it is {patch.dtype}.")
        points = torch.from_numpy(self._landmarks[row] * size)
        return Sample(
            image=resized(to_tensor(patch[..., ::-1]), size),
            gaze=torch.from_numpy(self._gaze[row]),
            head=torch.from_numpy(self._head[row]),
            landmarks=points if len(points) else None,
            person=int(self.person[row]),
            domain=self.release.name,
        )

    def _path(self, number: int) -> Path:
        return self.root / self._files[number][0]


def _subject(path: Path) -> int:
    """The number in ``subject0003.h5``."""
    digits = "".join(character for character in path.stem if character.isdigit())
    if not digits:
        raise CourseError(f"{path} must be named after a subject, like subject0003.h5.")
    return int(digits)
