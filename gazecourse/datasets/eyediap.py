"""EYEDIAP: sixteen people before a Kinect, who look at a screen or at a ball.

Source: Funes Mora, Monay and Odobez, "EYEDIAP: A Database for the Development and Evaluation of Gaze Estimation
Algorithms from RGB and RGB-D Cameras", ETRA 2014.

The release is a folder ``Data`` with one folder a session, such as ``14_A_DS_M``: person, condition, target (discrete
or continuous on a screen, DS and CS, or a floating ball, FT), and head (static or moving, S and M). In it:

- ``rgb_vga.mov``: the video of 640 × 480.
- ``rgb_vga_calibration.txt``: sections ``[resolution]``, ``[intrinsics]``, ``[R]`` and ``[T]``, numbers between ``;``.
  The world's frame has y up and z toward the camera; the camera stands at T and is turned by R, so that a point X of
  the world is Rᵀ (X − T) in the camera's frame.
- three tables with a header and a line for each picture, whose number, counted from 0, comes first; meters:

  ``head_pose.txt``: R, row by row (9), and T (3) of the head in the world. The head's frame has y up and z out of the
  face: the course's, turned by half a turn about x.
  ``eye_tracking.txt``: pixels of the left and the right eye in the VGA, depth and HD video (12), then their middles in
  the world (6). The course calls right what is the person's right, which is on the left of the image.
  ``screen_coordinates.txt``: the point looked at in pixels of the screen (2) and in the *camera's* frame (3).

As in the comparisons of gaze estimators (Cheng et al.'s survey), sessions with a screen are used, and of these every
fifteenth picture; the face center is halfway between the head's origin and the middle of the eyes.

Videos are decoded by PyAV (an extra of the course). Where it is missing, a folder ``frames`` beside the video with its
pictures, ``00000.png`` and so on, does as well.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gazecourse.angles import check_rotation, vector_to_pitchyaw
from gazecourse.datasets.source import DISTANCE, FOCAL, Release, Skipped, Source, digest, numbers, read_text
from gazecourse.errors import CourseError
from gazecourse.images import read_image, to_tensor
from gazecourse.normalization import normalize
from gazecourse.sample import Sample
from gazecourse.video import frames, require_video

SESSION = re.compile(r"(\d+)_([AB])_(DS|CS|FT)_([SM])")
VIDEO, CALIBRATION, PICTURES = "rgb_vga.mov", "rgb_vga_calibration.txt", "frames"
TABLES = {"head_pose.txt": 13, "eye_tracking.txt": 19, "screen_coordinates.txt": 6}
"""Columns of each, the number of the picture among them."""
EVERY = 15
COLUMNS = 35
"""Of the three tables together, without the numbers of the pictures."""
HEAD_R, HEAD_T, EYE_PIXELS, EYES, TARGET = slice(0, 9), slice(9, 12), slice(12, 16), slice(24, 30), slice(32, 35)
FAR = 20.0
"""Pixels between two accounts of the eyes that are worth a warning."""
HALF_TURN = np.diag([1.0, -1.0, -1.0])
"""From the course's head frame to EYEDIAP's."""


@dataclass(frozen=True)
class Camera:
    """A session's VGA camera: camera_matrix [3, 3], pixels from the corner of the image; R [3, 3] and T [3], mm."""

    camera_matrix: np.ndarray
    rotation: np.ndarray
    position: np.ndarray

    def see(self, points: np.ndarray) -> np.ndarray:
        """Points of the world [..., 3] in the camera's frame: Rᵀ (X − T)."""
        return (points - self.position) @ self.rotation


class EyeDiap(Source):
    """The release of EYEDIAP: its folder ``Data``, or the one above it; see the module.

    Landmarks are the middles of the person's right and left eye.

    Args:
        root: the folder.
        missing_ok: leave out sessions that lack a file.
    Raises:
        FileNotFoundError, CourseError: a file is missing, damaged, or not what the release holds.
    """

    release = Release(
        name="eyediap",
        kind="raw",
        title="EYEDIAP",
        holder="the Idiap Research Institute, which answers a form",
        page="https://www.idiap.ch/en/scientific-research/data/eyediap",
        agreement="research only, by the end user license agreement that one signs",
        download="Download the sessions, unpack them, and pass the folder Data, which holds 1_A_DS_S and so on.",
    )
    holds = ("gaze", "head", "landmarks", "face_center")
    landmarks = 2
    columns = (*Source.columns, "_session", "_frame", "_numbers")

    def __init__(self, root: str | os.PathLike[str], *, missing_ok: bool = False) -> None:
        super().__init__(root)
        if (self.root / "Data").is_dir():
            self.root = self.root / "Data"
        self._sessions, self._cameras, contents, rows = [], [], [], []
        for folder in self._find():
            texts = self._texts(folder, missing_ok)
            if texts is None:
                continue
            number = len(self._sessions)
            self._sessions.append(folder.name)
            self._cameras.append(self._camera(folder / CALIBRATION, texts[CALIBRATION]))
            contents += texts.values()
            own = self._rows(texts)
            rows += [(number, *row) for row in own]
            self._compare_eyes(folder, self._cameras[-1], [values for _, values, problem in own if not problem])
        self._session = np.array([row[0] for row in rows], np.int64)
        self._frame = np.array([row[1] for row in rows], np.int64)
        self._numbers = np.array([row[2] for row in rows]).reshape(-1, COLUMNS)
        self.problem = [row[3] for row in rows]
        self.person = np.array([int(name.split("_")[0]) for name in self._sessions], np.int64)[self._session]
        self.split = np.zeros(len(rows), np.int8)
        self.fingerprint = digest(*self._sessions, *contents)

    def _find(self) -> list[Path]:
        """Folders of the sessions with a screen."""
        there = [path for path in self.root.iterdir() if path.is_dir() and SESSION.fullmatch(path.name)]
        there.sort(key=lambda path: (int(path.name.split("_")[0]), path.name))
        with_screen = [path for path in there if SESSION.fullmatch(path.name)[3] != "FT"]
        if not with_screen:
            raise FileNotFoundError(
                f"{self.root} holds no session with a screen, such as 1_A_DS_S. {self.release.how_to_get}"
            )
        if len(with_screen) < len(there):
            self.left_out["sessions with a floating ball"] = len(there) - len(with_screen)
        return with_screen

    def _texts(self, folder: Path, missing_ok: bool) -> dict[str, str] | None:
        """The text files of a session; None where one is missing and may be."""
        names = [name for name in (*TABLES, CALIBRATION) if not (folder / name).is_file()]
        if not (folder / PICTURES).is_dir():
            require_video()
            names += [] if (folder / VIDEO).is_file() else [VIDEO]
        if names and not missing_ok:
            raise FileNotFoundError(
                f"{folder} lacks {', '.join(names)}. Unpack the session again, or leave it out with --missing-ok."
            )
        if names:
            self.warnings.append(f"session {folder.name} is left out, for it lacks {', '.join(names)}")
            return None
        return {name: read_text(folder / name, self.release.how_to_get) for name in (*TABLES, CALIBRATION)}

    def _camera(self, path: Path, text: str) -> Camera:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        sections: dict[str, list[str]] = {}
        for line in lines:
            if line.startswith("["):
                values = sections.setdefault(line.strip("[]"), [])
            elif sections:
                values += [field for field in line.split(";") if field]
        try:
            matrix, rotation, position = (numbers(sections[name], name) for name in ("intrinsics", "R", "T"))
            matrix, rotation = matrix.reshape(3, 3), check_rotation("[R]", rotation.reshape(3, 3))
            position = position.reshape(3) * 1000
        except (KeyError, ValueError) as error:
            raise CourseError(
                f"{path} must have the sections [intrinsics], [R] and [T] with 9, 9 and 3 numbers; it has not "
                f"({error}). Unpack it again."
            ) from error
        matrix[:2, 2] += 0.5  # calibrated with OpenCV, which counts from the center of the first pixel
        return Camera(matrix, rotation, position)

    def _rows(self, texts: dict[str, str]) -> list[tuple[int, np.ndarray, str]]:
        """Of every 15th picture its number, the numbers of all tables [COLUMNS], and what is wrong."""
        tables = {name: _table(texts[name], name, columns) for name, columns in TABLES.items()}
        rows = []
        for number in sorted({number for table in tables.values() for number in table if number % EVERY == 0}):
            found = {name: table.get(number, f"{name} has no line for it.") for name, table in tables.items()}
            problems = [values for values in found.values() if isinstance(values, str)]
            problems += [
                f"{n} is all zeros for it: not tracked."
                for n, v in found.items()
                if not isinstance(v, str) and not v.any()
            ]
            values = np.full(COLUMNS, np.nan) if problems else np.concatenate(list(found.values()))
            rows.append((number, values, problems[0] if problems else ""))
        return rows

    def _compare_eyes(self, folder: Path, camera: Camera, rows: list[np.ndarray]) -> None:
        """Warn of a session in which the eyes of the world do not appear where the eyes of the video are."""
        if not rows:
            return
        eyes = camera.see(np.array(rows)[:, EYES].reshape(-1, 2, 3) * 1000)
        seen = eyes @ camera.camera_matrix.T
        off = np.linalg.norm(seen[..., :2] / seen[..., 2:] - np.array(rows)[:, EYE_PIXELS].reshape(-1, 2, 2), axis=-1)
        if not np.median(off) < FAR:
            self.warnings.append(
                f"session {folder.name}: the eyes of eye_tracking.txt, seen by the camera of {CALIBRATION}, lie "
                f"{np.median(off):.0f} pixels from their places in the video in the median"
            )

    def shards(self) -> list[range]:
        """One for each session, so that a video is decoded once."""
        starts = np.flatnonzero(np.diff(self._session, prepend=-1)).tolist()
        return [range(start, end) for start, end in zip(starts, [*starts[1:], len(self)], strict=True)]

    def where(self, row: int) -> str:
        """The video and the number of the picture, counted from 0."""
        return f"{self.root / self._sessions[self._session[row]] / VIDEO}, picture {self._frame[row]}"

    def faces(self, size: int) -> Iterator[Sample | Skipped]:
        """All records; every video is decoded once, from its beginning."""
        for session in dict.fromkeys(self._session.tolist()):
            yield from self._of_session(np.flatnonzero(self._session == session).tolist(), session, size)

    def _of_session(self, rows: list[int], session: int, size: int) -> Iterator[Sample | Skipped]:
        wanted = self._frame[rows].tolist()
        pictures = _aligned(_pictures(self.root / self._sessions[session], wanted), wanted)
        for row, picture in zip(rows, pictures, strict=True):
            if isinstance(picture, str):
                yield Skipped(self.where(row), self.problem[row] or picture)
            else:
                yield self.face_or_reason(row, size, picture)

    def face(self, row: int, size: int, picture: np.ndarray | None = None) -> Sample:
        """The picture, normalized, with its labels; ``picture`` is the frame, if it is decoded already."""
        if picture is None:
            wanted = [int(self._frame[row])]
            picture = next(_aligned(_pictures(self.root / self._sessions[self._session[row]], wanted), wanted))
            if isinstance(picture, str):
                raise CourseError(picture)
        values, camera = self._numbers[row], self._cameras[self._session[row]]
        rotation = check_rotation("the head's rotation", values[HEAD_R].reshape(3, 3))
        eyes = camera.see(values[EYES].reshape(2, 3) * 1000)
        center = (eyes.mean(0) + camera.see(values[HEAD_T] * 1000)) / 2
        target = values[TARGET] * 1000
        seen = normalize(
            picture,
            camera.camera_matrix,
            center,
            camera.rotation.T @ rotation @ HALF_TURN,
            focal=FOCAL * size,
            distance=DISTANCE,
            size=(size, size),
        )
        pixels = values[EYE_PIXELS].reshape(2, 2) + 0.5
        right_then_left = pixels[np.argsort(pixels[:, 0])]
        return Sample(
            image=to_tensor(seen.image),
            gaze=torch.from_numpy(vector_to_pitchyaw(seen.rotate(target - center))).float(),
            head=torch.from_numpy(seen.head).float(),
            landmarks=torch.from_numpy(seen.warp_points(right_then_left)).float(),
            face_center=torch.from_numpy(center).float(),
            person=int(self.person[row]),
            domain=self.release.name,
        )


def _table(text: str, name: str, columns: int) -> dict[int, np.ndarray | str]:
    """Numbers of each line after the header by the number of the picture, or what is wrong with the line."""
    table: dict[int, np.ndarray | str] = {}
    for line in text.splitlines()[1:]:
        fields = [field for field in line.strip().split(";") if field]
        if not fields:
            continue
        try:
            number = int(float(fields[0]))
        except ValueError:
            continue  # a line of nothing we know: its picture has no entry, and that is said
        try:
            values = numbers(fields[1:], f"the columns of {name}")
            table[number] = (
                values if len(fields) == columns else f"{name} has {len(fields)} columns for it, not {columns}."
            )
        except ValueError as error:
            table[number] = str(error)
    return table


def _pictures(folder: Path, wanted: list[int]) -> Iterator[tuple[int, np.ndarray | str]]:
    """Number and picture of the wanted frames of a session, in order, as far as they are there."""
    if not (folder / PICTURES).is_dir():
        yield from frames(folder / VIDEO, range(wanted[0], wanted[-1] + 1, EVERY))
        return
    paths = {int(path.stem): path for path in (folder / PICTURES).iterdir() if path.stem.isdigit()}
    for number in wanted:
        if number in paths:
            try:
                yield number, read_image(paths[number])
            except (CourseError, OSError) as error:
                yield number, str(error)


def _aligned(pictures: Iterator[tuple[int, np.ndarray | str]], wanted: list[int]) -> Iterator[np.ndarray | str]:
    """For each wanted number its picture, or why there is none."""
    number, picture, verdict = -1, "", "the video ends before this picture."
    for want in wanted:
        try:
            while number < want:
                number, picture = next(pictures, (sys.maxsize, ""))
        except (CourseError, OSError) as error:
            number, verdict = sys.maxsize, str(error)
        yield picture if number == want else verdict
