"""Gaze in photographs, videos and before a camera: landmarks, head pose, the normalized face, the gaze, and an arrow.

    picture             →  boxes that may hold faces     FaceDetector
    picture, box        →  landmarks p [68, 2]           StructureCoherentNet, asked twice, and in the mirror

Who finds the landmarks is open: a function from a picture to the landmarks of each face in it, such as ``Finder``. The
rest is geometry.

    landmarks p [68, 2]  →  R_h, c = head_pose(p, C)          where the head is
    (picture, R_h, c)    →  the face as the network's own camera would see it, turned by R
    network              →  g_n, the gaze before that camera
    g = Rᵀ g_n                                                 the gaze before the real one
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from gazecourse import camera
from gazecourse.alignment import MOST_DOUBT, landmarks_and_doubt
from gazecourse.angles import pitchyaw_to_vector, rotation_to_pitchyaw, vector_to_pitchyaw
from gazecourse.crops import eye_centers
from gazecourse.detection import Box, FaceDetector
from gazecourse.errors import CourseError
from gazecourse.faces.domains import NORMALIZED_DISTANCE, NORMALIZED_FOCAL, NORMALIZED_SIZE
from gazecourse.faces.pose import HeadPose, guessed_camera, head_pose
from gazecourse.files import atomic_write
from gazecourse.images import read_image, to_tensor
from gazecourse.models.structure_coherent import load_landmark_net
from gazecourse.normalization import Normalized, normalize
from gazecourse.paths import LANDMARK_MODEL
from gazecourse.sample import Sample
from gazecourse.validation import check_array, check_positive
from gazecourse.video import VideoWriter, frame_rate, frames

Landmarks = Callable[[np.ndarray], list[np.ndarray]]
"""From a picture, uint8 [H, W, 3] RGB, to landmarks [68, 2] of each face in it."""

ARROW, DOT, RIM = "#D55E00", "#56B4E9", "#FFFFFF"
ARROW_LENGTH = 2.0
"""Of a gaze at right angles to the line of sight, in distances between the eyes."""
ADVICE = "Take one in which eyes and mouth can be seen, and fairly large."
"""To those in whose picture no face was found."""
COLUMNS = ("picture", "seconds", "face", "pitch", "yaw", "head_pitch", "head_yaw", "x", "y", "z", "landmark_error")
"""Of the CSV files: angles in degrees in the camera's frame, place of the face in mm, error in pixels."""
CAMERA_RATE = 12.0
"""Pictures per second of a video from a camera. One that came late is shown longer, so that time runs as it did."""


@dataclass(frozen=True)
class Finder:
    """Finds landmarks as ``Landmarks`` has it: a detector says where faces may be, a network where their landmarks are.

    What the network doubts to be a face is left out, and the detector asked for its next try.

    Attributes:
        tries: boxes that may hold the faces of a picture, found in one way after another, as ``FaceDetector.tries``.
        model: a trained ``StructureCoherentNet`` of 68 points.
    """

    tries: Callable[[np.ndarray], Iterable[list[Box]]]
    model: nn.Module

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """Landmarks [68, 2] in pixels of every face in a picture, uint8 [H, W, 3], RGB."""
        photo = to_tensor(picture)
        for boxes in self.tries(picture):
            found = [landmarks_and_doubt(self.model, photo, box) for box in boxes]
            sure = [landmarks.double().numpy() for landmarks, doubt in found if doubt <= MOST_DOUBT]
            if sure:
                return sure
        return []


def finder(path: Path | str = LANDMARK_MODEL) -> Finder:
    """The course's detector and the landmark network in a file; default the one that comes with the course.

    Raises:
        FileNotFoundError, CourseError: see ``load_landmark_net`` and ``FaceDetector``; or it has not 68 points.
    """
    model = load_landmark_net(path)
    if model.points != 68:
        raise CourseError(f"{path} finds {model.points} landmarks; head poses need the 68 of the iBUG scheme.")
    return Finder(FaceDetector().tries, model)


@dataclass(frozen=True)
class Look:
    """One face in a picture, and where it looks.

    Attributes:
        landmarks: [68, 2] pixels of the picture. pose: of the head. face: normalized, with its matrices.
        gaze: unit vector [3] in the camera's frame.
    """

    landmarks: np.ndarray
    pose: HeadPose
    face: Normalized
    gaze: np.ndarray

    @property
    def angles(self) -> np.ndarray:
        """[2] (pitch, yaw) of the gaze in the camera's frame, radians."""
        return vector_to_pitchyaw(self.gaze)


@dataclass(frozen=True)
class Gazer:
    """A trained network that can be asked about photographs.

    Attributes:
        model: the network. forward: gaze [B, 2] of a batch, as a ``Method``'s.
        size: height and width of its faces in pixels.
        focal, distance: of the camera that its training faces were normalized for: focal length in widths of the face
            image, distance in mm. The course's rendered faces have 840/224 and 600, the real sets 960/224 and 600.
    """

    model: nn.Module
    forward: Callable[[nn.Module, Sample], Tensor]
    size: int
    focal: float = NORMALIZED_FOCAL / NORMALIZED_SIZE
    distance: float = NORMALIZED_DISTANCE

    def __post_init__(self) -> None:
        check_positive("focal", self.focal)
        check_positive("distance", self.distance)

    @torch.no_grad()
    def look(self, picture: np.ndarray, landmarks: np.ndarray, camera_matrix: np.ndarray) -> Look:
        """Where the face with these landmarks looks.

        Args:
            picture: uint8 [H, W, 3], RGB. landmarks: [68, 2] pixels. camera_matrix: [3, 3].
        Raises:
            TypeError, ValueError: see ``head_pose`` and ``normalize``; a head seen exactly from its side.
        """
        pose = head_pose(landmarks, camera_matrix)
        face = normalize(
            picture,
            camera_matrix,
            pose.position,
            pose.rotation,
            focal=self.focal * self.size,
            distance=self.distance,
            size=(self.size, self.size),
        )
        device = next(self.model.parameters()).device
        batch = Sample(
            image=to_tensor(face.image)[None],
            gaze=torch.zeros(1, 2),
            head=torch.from_numpy(face.head).float()[None],
            landmarks=torch.from_numpy(face.warp_points(landmarks.astype(np.float64))).float()[None],
            face_center=torch.from_numpy(pose.position).float()[None],
        ).to(device)
        estimated = self.forward(self.model, batch)[0].double().cpu().numpy()
        return Look(landmarks, pose, face, face.denormalize(pitchyaw_to_vector(estimated)))


def gazer_of(folder: Path) -> Gazer:
    """The trained system of a run; see ``gazecourse.runs``.

    Raises:
        FileNotFoundError, CourseError: see ``runs.load``.
    """
    from gazecourse.datasets.source import DISTANCE, FOCAL
    from gazecourse.protocols import is_real
    from gazecourse.runs import load, read_run
    from gazecourse.systems import System

    system, model, size = load(folder)
    if not isinstance(system, System):
        raise CourseError(f"{folder.name} finds landmarks, not gaze: pass it as --landmarks, and a gaze system's run.")
    forward = system.method(size, None).forward
    if is_real(read_run(folder)["source"]):
        return Gazer(model, forward, size.face, FOCAL, DISTANCE)
    return Gazer(model, forward, size.face)


def looks(picture: np.ndarray, find: Landmarks, gazer: Gazer, camera_matrix: np.ndarray) -> list[Look]:
    """Where every face in a picture looks; faces seen exactly from the side are left out, for they have no gaze."""
    found = []
    for landmarks in find(picture):
        check_array("landmarks", landmarks, (68, 2))
        try:
            found.append(gazer.look(picture, landmarks, camera_matrix))
        except ValueError:
            continue
    return found


def draw(picture: np.ndarray, found: Iterable[Look], *, landmarks: bool = True, words: str = "") -> np.ndarray:
    """The picture with landmarks and arrows: each begins between the eyes and is the (x, y) part of the gaze.

    Args:
        picture: uint8 [H, W, 3], RGB; it stays as it is.
        found: faces; where there are several, each gets its number, as in the table.
        landmarks: draw them, too.
        words: for the upper left corner.
    """
    image, found = Image.fromarray(picture), list(found)
    pen, longer = ImageDraw.Draw(image), max(image.size)
    if words:
        _write(pen, np.array([8.0, 6.0]), words, 18)
    for number, look in enumerate(found, start=1):
        right, left = eye_centers(torch.from_numpy(look.landmarks)[None])[0].numpy()
        between = float(np.linalg.norm(left - right))
        width = max(2, round(between / 20))
        for x, y in look.landmarks if landmarks else ():
            pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=DOT)
        start = (left + right) / 2
        end = start + ARROW_LENGTH * between * look.gaze[:2]
        width = max(width, round(longer / 400))  # to be seen however large the picture is
        for color, thickness in ((RIM, 2 * width), (ARROW, width)):
            _arrow(pen, start, end, color, thickness, 4 * width)
        if len(found) > 1:
            size = max(14, longer / 45, between / 3)
            x, y = look.landmarks.min(0) - (0.0, 0.15 * between)
            _write(pen, np.array([x, max(y, size)]), str(number), size, "ls")  # above the face, and in the picture
    return np.asarray(image)


def _write(pen: ImageDraw.ImageDraw, place: np.ndarray, words: str, size: float, anchor: str = "la") -> None:
    font = ImageFont.load_default(size)
    pen.text(
        tuple(place), words, fill=ARROW, font=font, stroke_width=max(2, round(size / 8)), stroke_fill=RIM, anchor=anchor
    )


def _arrow(pen: ImageDraw.ImageDraw, start: np.ndarray, end: np.ndarray, color: str, width: int, head: float) -> None:
    """A line with a triangle at its end; a dot where both ends all but meet."""
    pen.ellipse([*(start - width), *(start + width)], fill=color)
    length = float(np.linalg.norm(end - start))
    if length < width:
        return
    along = (end - start) / length
    across = np.array([-along[1], along[0]])
    head = min(head, length)
    pen.line([tuple(start), tuple(end - along * head / 2)], fill=color, width=width)
    corners = (end, end - along * head + across * head / 2, end - along * head - across * head / 2)
    pen.polygon([tuple(corner) for corner in corners], fill=color)


def rows(found: Iterable[Look], picture: int = 0, seconds: float = 0.0) -> list[list[object]]:
    """Rows of the CSV file, one for each face; see ``COLUMNS``."""
    return [
        [
            picture,
            f"{seconds:.3f}",
            number,
            *(f"{angle:.2f}" for angle in np.degrees([*look.angles, *rotation_to_pitchyaw(look.pose.rotation)])),
            *(f"{place:.1f}" for place in look.pose.position),
            f"{look.pose.error:.2f}",
        ]
        for number, look in enumerate(found, start=1)
    ]


def in_words(found: Iterable[Look]) -> str:
    """One line for each face: where it looks, as the person in the picture would say it."""
    return "\n".join(f"face {number}: {_direction(look)}" for number, look in enumerate(found, start=1))


def _direction(look: Look) -> str:
    """The gaze relative to the way from the face to the camera, and how far away the face is."""
    to_camera = vector_to_pitchyaw(-look.pose.position / np.linalg.norm(look.pose.position))
    pitch, yaw = np.degrees(look.angles - to_camera).round()
    upright = f"{abs(pitch):.0f}° {'up' if pitch >= 0 else 'down'}"
    aside = f"{abs(yaw):.0f}° to the {'left' if yaw >= 0 else 'right'} of the picture"
    return f"{upright} and {aside}, seen from the camera; about {np.linalg.norm(look.pose.position) / 10:.0f} cm away"


def look_at_photo(
    path: Path,
    find: Landmarks,
    gazer: Gazer,
    *,
    into: Path | None = None,
    table: Path | None = None,
    focal: float | None = None,
) -> list[Look]:
    """Gaze of everybody in a photograph.

    Args:
        path: the photograph. find: finds landmarks. gazer: estimates gaze.
        into: file for the photograph with arrows. table: CSV file.
        focal: of the camera in pixels; see ``guessed_camera``.
    Raises:
        FileNotFoundError, CourseError: the photograph is missing, damaged, or shows no face that was found; or a file
            cannot be written.
    """
    picture = read_image(path, upright=True)
    found = looks(picture, find, gazer, guessed_camera(picture.shape[1], picture.shape[0], focal))
    if not found:
        raise CourseError(f"No face was found in {path}. {ADVICE}")
    if into is not None:
        with atomic_write(into) as temporary:
            Image.fromarray(draw(picture, found)).save(temporary, format=_picture_format(into))
    if table is not None:
        _write_table(table, rows(found))
    return found


def _picture_format(path: Path) -> str:
    known = Image.registered_extensions()
    if path.suffix.lower() not in known:
        raise CourseError(f"{path} must end in .jpg, .png or another ending of pictures.")
    return known[path.suffix.lower()]


def _write_table(path: Path, content: list[list[object]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *content])


class FrameRate:
    """Pictures per second, over those of the last two seconds."""

    SECONDS = 2.0

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def tick(self, now: float) -> float:
        """Count a picture that is done at ``now``, seconds; the rate, 0 at the first one."""
        self._times.append(now)
        while now - self._times[0] > self.SECONDS and len(self._times) > 2:
            self._times.popleft()
        passed = now - self._times[0]
        return (len(self._times) - 1) / passed if passed > 0 else 0.0


Seen = tuple[int, np.ndarray, list[Look]]
"""Number of a picture, the picture with arrows, and the faces in it, of which there may be none."""


def look_at_video(
    path: Path,
    find: Landmarks,
    gazer: Gazer,
    *,
    into: Path | None = None,
    table: Path | None = None,
    focal: float | None = None,
) -> Iterator[Seen]:
    """Gaze of everybody in every picture of a video; the files are whole when the iteration has come to its end.

    Args:
        as ``look_at_photo``; ``into`` is a video.
    Yields:
        The number of the picture, the picture with arrows, and the faces.
    Raises:
        FileNotFoundError, CourseError: see ``video.frames`` and ``video.VideoWriter``.
    """
    rate, content = frame_rate(path), []
    with nullcontext() if into is None else VideoWriter(into, rate) as writer:
        for number, picture in frames(path):
            found = looks(picture, find, gazer, guessed_camera(picture.shape[1], picture.shape[0], focal))
            drawn = draw(picture, found)
            content += rows(found, number, number / rate)
            if writer is not None:
                writer.write(drawn)
            yield number, drawn, found
    if table is not None:
        _write_table(table, content)


def look_at_camera(
    device: int,
    find: Landmarks,
    gazer: Gazer,
    *,
    into: Path | None = None,
    table: Path | None = None,
    focal: float | None = None,
    until: Callable[[float], bool] = lambda seconds: False,
) -> Iterator[Seen]:
    """Gaze of everybody before a camera, with the frame rate in each picture, until told to stop.

    Args:
        device: number of the camera; the other arguments as in ``look_at_video``.
        until: told the seconds since the start, says whether to stop. Files are whole afterwards.
    Yields:
        As ``look_at_video``.
    Raises:
        CourseError: see ``camera.pictures`` and ``video.VideoWriter``.
    """
    rate, content, written = FrameRate(), [], 0
    with (
        closing(camera.pictures(device)) as pictures,
        nullcontext() if into is None else VideoWriter(into, CAMERA_RATE) as writer,
    ):
        for number, (seconds, picture) in enumerate(pictures):
            found = looks(picture, find, gazer, guessed_camera(picture.shape[1], picture.shape[0], focal))
            drawn = draw(picture, found, words=f"{rate.tick(seconds):.1f} frames/s")
            content += rows(found, number, seconds)
            while writer is not None and written <= seconds * CAMERA_RATE:
                writer.write(drawn)
                written += 1
            yield number, drawn, found
            if until(seconds):
                break
    if table is not None:
        _write_table(table, content)
