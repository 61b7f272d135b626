"""MPIIFaceGaze as it was recorded: photographs by the cameras of fifteen laptops, and what was calibrated there.

Source: Zhang, Sugano, Fritz and Bulling, "It's Written All Over Your Face", CVPR Workshops 2017. The normalized
release, which most papers use, is in ``gazecourse.datasets.mpiifacegaze``.

``pNN/pNN.txt`` has one line for each photograph, 28 columns between spaces; counted from 1:

- 1: the photograph, below ``pNN``.
- 2–3: the point on the screen that was looked at, pixels from its top left corner.
- 4–15: (x, y) of six landmarks in the photograph; see ``gazecourse.datasets.mpiifacegaze.LANDMARKS``.
- 16–18, 19–21: rotation vector and translation of the head in the camera's frame. The frame of the head model has x to
  the right of the image, y down and z into the head, which is the course's.
- 22–24: the face center, mm in the camera's frame: the mean of the six landmarks of the head model.
- 25–27: the point looked at, mm in the camera's frame. The gaze runs from the face center to it.
- 28: which eye ("left" or "right") the photograph stands for in the older MPIIGaze; not used here.

``pNN/Calibration`` has three MATLAB files: ``Camera.mat`` (``cameraMatrix`` and ``distCoeffs`` by OpenCV, which counts
pixels from the center of the first one: the course adds half a pixel), ``monitorPose.mat`` (``rvects`` and ``tvecs`` of
the screen in the camera's frame, mm) and ``screenSize.mat`` (``width_mm``, ``height_mm``, ``width_pixel``,
``height_pixel``).

Columns 2–3 with the screen's pose say the same as columns 25–27. Where they do not, a warning tells.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from gazecourse.angles import vector_to_pitchyaw
from gazecourse.datasets.matlab import load_mat
from gazecourse.datasets.mpiifacegaze import PAGE, PEOPLE
from gazecourse.datasets.source import DISTANCE, FOCAL, Release, Source, digest, listed, numbers, read_text
from gazecourse.errors import CourseError
from gazecourse.images import read_image, to_tensor
from gazecourse.lens import Lens
from gazecourse.normalization import normalize
from gazecourse.sample import Sample

COLUMNS = 28
MATS = ("Camera.mat", "monitorPose.mat", "screenSize.mat")
FAR = 10.0
"""Millimeters between two accounts of the point looked at that are worth a warning."""


@dataclass(frozen=True)
class Laptop:
    """What was calibrated of one person's laptop.

    Attributes:
        lens: of the camera, pixels from the corner of the image.
        screen_rotation: [3, 3] and screen_position: [3], mm: the screen's frame, whose origin is its top left corner,
            in the camera's.
        pixel: [2] width and height of a pixel of the screen, mm.
    """

    lens: Lens
    screen_rotation: np.ndarray
    screen_position: np.ndarray
    pixel: np.ndarray

    @property
    def content(self) -> bytes:
        """All numbers."""
        own = (self.screen_rotation, self.screen_position, self.pixel)
        return np.concatenate([n.ravel() for n in (self.lens.camera_matrix, self.lens.coefficients, *own)]).tobytes()


class MPIIFaceGazeRaw(Source):
    """The raw release: a folder with ``p00`` to ``p14``; see the module. Photographs are normalized.

    Args:
        root: the folder.
        missing_ok: go on with the people who are there.
    Raises:
        FileNotFoundError, CourseError: a person, a table or a calibration is missing or damaged.
    """

    release = Release(
        name="mpiifacegaze",
        kind="raw",
        title="MPIIFaceGaze (raw)",
        holder="the Max Planck Institute for Informatics",
        page=PAGE,
        agreement="non-commercial research only, CC BY-NC-SA 4.0",
        download="Download the original MPIIFaceGaze data, unpack it, and pass the folder that holds p00 to p14.",
    )
    holds = ("gaze", "head", "landmarks", "face_center", "screen")
    landmarks = 6
    columns = (*Source.columns, "_photograph", "_numbers", "_line")

    def __init__(self, root: str | os.PathLike[str], *, missing_ok: bool = False) -> None:
        super().__init__(root)
        people = self._people(missing_ok)
        texts = {p: read_text(self._table(p), self.release.how_to_get) for p in people}
        self._laptops = {person: self._laptop(person) for person in people}
        self.fingerprint = digest(
            *texts.values(), *(self._calibration(p, n).read_bytes() for p in people for n in MATS)
        )
        rows = [self._parse(p, number, line) for p in people for number, line in _lines(texts[p])]
        self.person = np.array([row[0] for row in rows], np.int64)
        self._line = np.array([row[1] for row in rows], np.int64)
        self._photograph = [row[2] for row in rows]
        self._numbers = np.array([row[3] for row in rows])
        self.problem = [row[4] for row in rows]
        self.split = np.zeros(len(rows), np.int8)
        self._compare_with_screens()

    def _table(self, person: int) -> Path:
        return self.root / f"p{person:02d}" / f"p{person:02d}.txt"

    def _calibration(self, person: int, name: str) -> Path:
        return self.root / f"p{person:02d}" / "Calibration" / name

    def _people(self, missing_ok: bool) -> list[int]:
        there = [person for person in range(PEOPLE) if self._table(person).is_file()]
        if not there and any(self.root.glob("p[0-9][0-9].mat")):
            raise FileNotFoundError(f"{self.root} is the normalized release of MPIIFaceGaze, not the raw one.")
        if not there:
            self.require("p00/p00.txt")
        missing = [f"p{person:02d}/p{person:02d}.txt" for person in range(PEOPLE) if person not in there]
        if missing and not missing_ok:
            raise FileNotFoundError(
                f"{self.root} lacks {listed(missing)}. Unpack them too, or go on without them with --missing-ok."
            )
        if missing:
            self.warnings.append(f"people missing: {listed(missing, PEOPLE)}")
        return there

    def _laptop(self, person: int) -> Laptop:
        camera_file, pose_file, size_file = (self._calibration(person, name) for name in MATS)
        camera = self._mat(camera_file, cameraMatrix=9, distCoeffs=5)
        pose = self._mat(pose_file, rvects=3, tvecs=3)
        size = self._mat(size_file, width_mm=1, height_mm=1, width_pixel=1, height_pixel=1)
        matrix = camera["cameraMatrix"].reshape(3, 3)
        matrix[:2, 2] += 0.5  # OpenCV counts from the center of the first pixel
        return Laptop(
            Lens(matrix, camera["distCoeffs"]),
            Rotation.from_rotvec(pose["rvects"]).as_matrix(),
            pose["tvecs"],
            np.concatenate([size["width_mm"] / size["width_pixel"], size["height_mm"] / size["height_pixel"]]),
        )

    def _mat(self, path: Path, **entries: int) -> dict[str, np.ndarray]:
        """Entries of a MATLAB file as float64 vectors of the wanted lengths."""
        content = load_mat(path, self.release.how_to_get)
        values = {}
        for name, length in entries.items():
            found = np.asarray(content[name], np.float64).ravel() if name in content else np.empty(0)
            if name == "distCoeffs" and len(found) == 4:
                found = np.append(found, 0.0)  # no k3
            if len(found) != length or not np.isfinite(found).all():
                raise CourseError(f"{path} must hold {name}, {length} finite numbers; it does not. Unpack it again.")
            values[name] = found
        return values

    def _parse(self, person: int, number: int, line: str) -> tuple[int, int, str, np.ndarray, str]:
        """Person, number of the line, photograph, columns 2 to 27, and what is wrong."""
        fields, empty = line.split(), np.full(COLUMNS - 2, np.nan)
        if len(fields) != COLUMNS:
            return person, number, "", empty, f"must have {COLUMNS} columns; has {len(fields)}."
        try:
            return person, number, fields[0], numbers(fields[1:-1], "columns 2 to 27"), ""
        except ValueError as error:
            return person, number, fields[0], empty, str(error)

    def _compare_with_screens(self) -> None:
        """Warn of people whose columns 2–3 and 25–27 speak of different points."""
        for person, laptop in self._laptops.items():
            rows = self._numbers[self.person == person]
            on_screen = np.c_[rows[:, :2] * laptop.pixel, np.zeros(len(rows))]
            points = on_screen @ laptop.screen_rotation.T + laptop.screen_position
            off = np.linalg.norm(points - rows[:, 23:26], axis=1)
            if len(off) and np.nanmedian(off) > FAR:
                self.warnings.append(
                    f"p{person:02d}.txt: the points of columns 2-3, put on the screen, lie {np.nanmedian(off):.0f} mm "
                    f"from those of columns 25-27 in the median; is Calibration that of this person?"
                )

    def where(self, row: int) -> str:
        """The table and its line."""
        return f"{self._table(self.person[row])}, line {self._line[row]}"

    def face(self, row: int, size: int) -> Sample:
        """The photograph, normalized, with its labels."""
        person, values = int(self.person[row]), self._numbers[row]
        laptop = self._laptops[person]
        center, target = values[20:23], values[23:26]
        photograph = read_image(self.root / f"p{person:02d}" / self._photograph[row])
        seen = normalize(
            photograph,
            laptop.lens.camera_matrix,
            center,
            Rotation.from_rotvec(values[14:17]).as_matrix(),
            focal=FOCAL * size,
            distance=DISTANCE,
            size=(size, size),
            lens=laptop.lens,
        )
        landmarks = seen.warp_points(laptop.lens.undistort(values[2:14].reshape(6, 2) + 0.5))
        return Sample(
            image=to_tensor(seen.image),
            gaze=torch.from_numpy(vector_to_pitchyaw(seen.rotate(target - center))).float(),
            head=torch.from_numpy(seen.head).float(),
            landmarks=torch.from_numpy(landmarks).float(),
            face_center=torch.from_numpy(center).float(),
            screen=torch.from_numpy(values[:2] * laptop.pixel).float(),
            person=person,
            domain=self.release.name,
        )


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines that are not empty, with their numbers counted from 1."""
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
