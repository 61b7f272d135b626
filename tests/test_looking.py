"""From a photograph to an arrow: geometry with a network that is told what to answer, and rendered faces."""

from __future__ import annotations

import csv
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation
from torch import nn

from gazecourse.angles import angular_error, pitchyaw_to_rotation, pitchyaw_to_vector
from gazecourse.errors import CourseError
from gazecourse.faces.domains import LAPTOP, NORMALIZED_DISTANCE, NORMALIZED_FOCAL, NORMALIZED_SIZE
from gazecourse.faces.pose import average_landmarks, guessed_camera
from gazecourse.faces.renderer import Renderer
from gazecourse.images import read_image
from gazecourse.looking import COLUMNS, FrameRate, Gazer, draw, in_words, look_at_photo, look_at_video, looks
from gazecourse.normalization import normalize, normalizing_rotation, warp_image, warp_points

CAMERA = guessed_camera(640, 480)
UP_LEFT = np.array([-0.48, -0.36, -0.8])


class Told(nn.Module):
    """A network that sees nothing and answers the same (pitch, yaw); remembers the batch."""

    def __init__(self, answer=(0.0, 0.0)):
        super().__init__()
        self.answer = nn.Parameter(torch.tensor([answer]))


def told(*answer: float) -> tuple[Gazer, list]:
    seen: list = []

    def forward(model, batch):
        seen.append(batch)
        return model.answer.expand(len(batch.image), 2)

    return Gazer(Told(answer or (0.0, 0.0)), forward, 112), seen


def landmarks_at(position, pitchyaw=(0.0, 0.0), camera=CAMERA) -> np.ndarray:
    placed = average_landmarks() @ pitchyaw_to_rotation(np.array(pitchyaw)).T + np.asarray(position)
    seen = placed @ camera.T
    return seen[:, :2] / seen[:, 2:]


def photo(color=(90, 120, 60), width=640, height=480) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def test_looking_into_the_normalized_camera_is_looking_into_the_real_one():
    """(0, 0) before the turned camera points from the face to the camera, wherever the face is."""
    gazer, _ = told()
    for place in ([0.0, 0.0, 600.0], [200.0, -80.0, 700.0], [-150.0, 90.0, 500.0]):
        look = gazer.look(photo(), landmarks_at(place, (0.1, 0.2)), CAMERA)
        np.testing.assert_allclose(look.gaze, -np.array(place) / np.linalg.norm(place), atol=1e-4)
        np.testing.assert_allclose(look.pose.position, place, atol=0.1)


def test_gaze_of_a_face_in_the_middle_is_the_networks():
    gazer, _ = told(0.368268, 0.540420)
    look = gazer.look(photo(), landmarks_at([0.0, 0.0, 600.0]), CAMERA)
    np.testing.assert_allclose(look.gaze, UP_LEFT, atol=1e-4)
    np.testing.assert_allclose(look.angles, (0.368268, 0.540420), atol=1e-4)


def test_network_is_shown_the_normalized_face_with_its_landmarks_and_pose():
    picture = photo()
    points = landmarks_at([100.0, 50.0, 650.0], (0.1, -0.3))
    x, y = np.round(points[30]).astype(int)  # the tip of the nose
    picture[y - 4 : y + 5, x - 4 : x + 5] = (255, 0, 0)
    gazer, seen = told()
    gazer.look(picture, points, CAMERA)
    (batch,) = seen
    assert batch.image.shape == (1, 3, 112, 112)
    u, v = batch.landmarks[0, 30].round().int().tolist()
    assert batch.image[0, 0, v, u] > 200
    assert batch.image[0, 1, v, u] < 60
    np.testing.assert_allclose(batch.face_center[0], (100, 50, 650), atol=0.1)
    eyes = batch.landmarks[0, [36, 45]]
    assert abs(float(eyes[1, 1] - eyes[0, 1])) < 2, "the eyes are level"


@pytest.fixture(scope="module")
def rendered():
    """Four rendered faces with their labels, before the course's normalized camera."""
    renderer = Renderer(224, "cpu")
    images, labels = renderer.render(LAPTOP.sample(range(4), people=4, seed=5, split="train").replace(expression=0))
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy(), labels


def test_pose_of_rendered_faces_is_the_renderers(rendered):
    images, labels = rendered
    camera = np.array([[NORMALIZED_FOCAL, 0, 112], [0, NORMALIZED_FOCAL, 112], [0, 0, 1.0]])
    assert NORMALIZED_SIZE == 224
    gazer, seen = told()
    for image, landmarks, head in zip(images, labels["landmarks"].numpy(), labels["head"].numpy(), strict=True):
        look = gazer.look(image, landmarks, camera)
        turned = look.pose.rotation[:, 2]
        assert angular_error(-turned, pitchyaw_to_vector(head.astype(np.float64))) < 8, "heads are not the average one"
        assert abs(look.pose.position[2] / NORMALIZED_DISTANCE - 1) < 0.15
        again = seen[-1].image[0].float().mean()
        assert abs(float(again) - image.mean()) < 12, "the face is normalized to what it was"


PLACE, TILT = np.array([140.0, -70.0, 720.0]), 0.25
"""Of a face before a camera: mm, and radians by which the head leans to a side."""


def photographed(image, head):
    """A rendered face as a camera of 640 × 480 sees it at ``PLACE``, leaning by ``TILT``.

    Returns:
        The photograph, its normalizing rotation R, and the warp W from it to the rendered picture.
    """
    lean = Rotation.from_rotvec([0, 0, TILT]).as_matrix()
    turn = normalizing_rotation(PLACE, lean)
    rotation = turn.T @ pitchyaw_to_rotation(head)
    blank = np.zeros((480, 640, 3), np.uint8)
    focal, distance = NORMALIZED_FOCAL, NORMALIZED_DISTANCE
    there = normalize(blank, CAMERA, PLACE, rotation, focal=focal, distance=distance, size=(224, 224))
    np.testing.assert_allclose(there.rotation, turn, atol=1e-9)
    return warp_image(image, np.linalg.inv(there.warp), (640, 480)), turn, there.warp


def scaled_and_shifted(points, others):
    """The scale and the shift that take points [N, 2] to others best, and how far they then lie apart on average."""
    a, b = points - points.mean(0), others - others.mean(0)
    scale = (a * b).sum() / (a * a).sum()
    return scale, others.mean(0) - points.mean(0), np.linalg.norm(scale * a - b, axis=1).mean()


def test_rendered_face_anywhere_before_a_camera_looks_where_it_does_within_a_degree(rendered):
    """True landmarks, and a network that knows the gaze of the face that was rendered: what is left is geometry."""
    images, labels = rendered
    arrays = (labels[name].double().numpy() for name in ("landmarks", "head", "gaze"))
    for image, landmarks, head, gaze in zip(images, *arrays, strict=True):
        picture, turn, warp = photographed(image, head)
        gazer, seen = told(*gaze)
        points = warp_points(np.linalg.inv(warp), landmarks)
        look = gazer.look(picture, points, CAMERA)
        true = turn.T @ pitchyaw_to_vector(gaze)
        assert angular_error(look.gaze, true) < 1
        scale, shift, rest = scaled_and_shifted(landmarks, 2 * seen[0].landmarks[0].double().numpy())
        assert rest < 0.5, "of 224 pixels: the network sees what was rendered, neither turned nor sheared"
        assert abs(scale - 1) < 0.05, "heads are not the average one: nearer or farther"
        assert np.linalg.norm(shift) < 12, "and not quite at its place"


def test_head_seen_exactly_from_its_side_has_no_gaze_and_others_keep_theirs(monkeypatch):
    gazer, _ = told()
    side, front = landmarks_at([0.0, 0.0, 600.0], (0, np.pi / 2)), landmarks_at([50.0, 0.0, 600.0])
    real = Gazer.look

    def look(self, picture, landmarks, camera):
        if landmarks is side:
            raise ValueError("head_rotation must not turn the head's x axis into the line of sight")
        return real(self, picture, landmarks, camera)

    monkeypatch.setattr(Gazer, "look", look)
    (found,) = looks(photo(), lambda _: [side, front], gazer, CAMERA)
    assert found.landmarks is front


def test_landmarks_of_another_scheme_are_refused():
    with pytest.raises(ValueError, match=r"landmarks must have shape \[68, 2\]"):
        looks(photo(), lambda _: [np.zeros((98, 2))], told()[0], CAMERA)


# ---------------------------------------------------------------------- pictures, tables, videos


def colored(picture: np.ndarray, color: str) -> np.ndarray:
    wanted = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)])
    return (np.abs(picture.astype(int) - wanted) < 20).all(-1)


def test_arrow_points_where_the_gaze_goes_and_begins_between_the_eyes():
    gazer, _ = told(0.368268, 0.540420)
    points = landmarks_at([0.0, 0.0, 600.0])
    picture = photo()
    drawn = draw(picture, [gazer.look(picture, points, CAMERA)])
    y, x = np.nonzero(colored(drawn, "#D55E00"))
    between = (points[36:42].mean(0) + points[42:48].mean(0)) / 2
    far = np.array([x, y]).T[np.argmax(np.hypot(x - between[0], y - between[1]))]
    direction = (far - between) / np.linalg.norm(far - between)
    np.testing.assert_allclose(direction, UP_LEFT[:2] / np.linalg.norm(UP_LEFT[:2]), atol=0.08)
    assert colored(drawn, "#56B4E9").sum() > 68, "the landmarks"
    assert (picture == photo()).all(), "the picture itself is left alone"
    assert drawn.shape == picture.shape


def test_words_say_up_and_left_as_the_picture_shows_it():
    gazer, _ = told(0.368268, 0.540420)
    look = gazer.look(photo(), landmarks_at([0.0, 0.0, 600.0]), CAMERA)
    (line,) = in_words([look]).splitlines()
    assert line == "face 1: 21° up and 31° to the left of the picture, seen from the camera; about 60 cm away"
    other, _ = told(-0.2, -0.1)
    assert "11° down and 6° to the right" in in_words([other.look(photo(), landmarks_at([0.0, 0, 600]), CAMERA)])


def test_several_faces_get_numbers_and_landmarks_can_be_left_out():
    gazer, _ = told()
    faces = [gazer.look(photo(), landmarks_at([x, 0.0, 900.0]), CAMERA) for x in (-150.0, 150.0)]
    alone, both = draw(photo(), faces[:1]), draw(photo(), faces)
    left = np.s_[:, :320]
    top = int(faces[0].landmarks.min(0)[1])
    assert colored(both[left], "#D55E00")[:top].any(), "a number above the face"
    assert not colored(alone[left], "#D55E00")[:top].any(), "none where there is one face"
    assert not colored(draw(photo(), faces, landmarks=False), "#56B4E9").any()


def test_frame_rate_is_that_of_the_last_two_seconds():
    rate = FrameRate()
    assert rate.tick(0.0) == 0
    assert rate.tick(0.5) == 2
    for time in np.arange(0.6, 5.05, 0.1):
        last = rate.tick(float(time))
    assert last == pytest.approx(10)


def test_photograph_that_a_phone_stored_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = photo()
    picture[:, :100] = 255
    Image.fromarray(picture).save(tmp_path / "phone.png", exif=exif)
    turned = read_image(tmp_path / "phone.png", upright=True)
    assert turned.shape == (640, 480, 3)
    assert (turned[:100] == 255).all()
    assert read_image(tmp_path / "phone.png").shape == (480, 640, 3)


def test_looking_into_the_camera_is_drawn_as_a_dot():
    gazer, _ = told()
    picture = photo()
    drawn = draw(picture, [gazer.look(picture, landmarks_at([0.0, 0.0, 600.0]), CAMERA)])
    y, x = np.nonzero(colored(drawn, "#D55E00"))
    assert max(np.ptp(x), np.ptp(y)) < 12


def test_arrows_and_numbers_are_to_be_seen_in_the_picture_of_a_phone():
    """4000 pixels are shown on some 800: what is as small as in a webcam's picture would be gone."""
    large, (gazer, _), picture = guessed_camera(4000, 3000), told(0.0, 0.6), photo(width=4000, height=3000)
    far = [landmarks_at([x, 0.0, 5000.0], camera=large) for x in (-500.0, 500.0)]
    drawn = colored(draw(picture, [gazer.look(picture, face, large) for face in far], landmarks=False), "#D55E00")
    number = drawn[: int(far[0][:, 1].min())]
    assert np.ptp(np.nonzero(number.any(1))) > 50, "10 pixels high on the page"
    arrow = drawn[int(far[0][:, 1].min()) :]
    assert arrow.sum(0).max() > 15, "and the arrow's head as well"


def test_photograph_gives_a_picture_and_a_table(tmp_path):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    faces = [landmarks_at([-120.0, 0.0, 700.0]), landmarks_at([120.0, 0.0, 700.0], (0.2, 0.1))]
    found = look_at_photo(
        tmp_path / "photo.png", lambda _: faces, told()[0], into=tmp_path / "out.jpg", table=tmp_path / "out.csv"
    )
    assert len(found) == 2
    assert read_image(tmp_path / "out.jpg").shape == (480, 640, 3)
    first, second = csv.DictReader((tmp_path / "out.csv").open())
    assert tuple(first) == COLUMNS
    assert (float(first["x"]), float(second["x"])) == pytest.approx((-120, 120), abs=0.2)
    assert (float(second["head_pitch"]), float(second["head_yaw"])) == pytest.approx(np.degrees((0.2, 0.1)), abs=0.05)
    assert float(first["yaw"]) == pytest.approx(np.degrees(np.arctan2(-120, 700)), abs=0.05), "to the camera: right"
    assert [row["face"] for row in (first, second)] == ["1", "2"]


def test_camera_of_another_focal_length_moves_the_face(tmp_path):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    (look,) = look_at_photo(
        tmp_path / "photo.png", lambda _: [landmarks_at([0.0, 0.0, 600.0])], told()[0], focal=1280.0
    )
    assert look.pose.position[2] == pytest.approx(1200, rel=0.02)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nothing.jpg", FileNotFoundError, r"There is no image .*nothing\.jpg"),
        ("text.jpg", CourseError, r"text\.jpg is no image"),
        ("empty.jpg", CourseError, r"empty\.jpg is empty"),
        ("cut.jpg", CourseError, r"cut\.jpg cannot be read as an image; it is cut off or damaged"),
        ("wall.png", CourseError, r"No face was found in .*wall\.png\. Take one in which"),
    ],
)
def test_photograph_that_is_none_is_named(name, error, message, tmp_path):
    Image.fromarray(photo()).save(tmp_path / "wall.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:3000])
    (tmp_path / "text.jpg").write_text("a face")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(error, match=message):
        look_at_photo(tmp_path / name, lambda _: [], told()[0])


def test_picture_with_an_unknown_ending_is_refused(tmp_path):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    with pytest.raises(CourseError, match=r"out\.txt must end in \.jpg, \.png or another ending of pictures"):
        look_at_photo(
            tmp_path / "photo.png", lambda _: [landmarks_at([0.0, 0, 600])], told()[0], into=tmp_path / "out.txt"
        )
    assert list(tmp_path.iterdir()) == [tmp_path / "photo.png"]


def video(path: Path, count: int) -> Path:
    pytest.importorskip("av")
    from gazecourse.video import VideoWriter

    with VideoWriter(path, 10) as writer:
        for number in range(count):
            writer.write(photo((10 * number, 100, 100)))
    return path


def turned(path: Path, matrix: tuple[float, ...]) -> None:
    """Write another display matrix (a b u c d v x y w; ISO 14496-12, 8.3.2) into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    whole = [round(value * (2**30 if place % 3 == 2 else 2**16)) for place, value in enumerate(matrix)]
    data[start : start + 36] = struct.pack(">9i", *whole)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "size", "corner"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0, 1), (32, 64), (0, 0)),
        ((0, 1, 0, -1, 0, 0, 32, 0, 1), (64, 32), (0, -1)),  # x' = 32 − y, y' = x: top left comes to top right
        ((-1, 0, 0, 0, -1, 0, 64, 32, 1), (32, 64), (-1, -1)),
        ((0, -1, 0, 1, 0, 0, 0, 64, 1), (64, 32), (-1, 0)),
    ],
)
def test_video_of_a_phone_that_was_turned_is_read_upright(tmp_path, matrix, size, corner):
    pytest.importorskip("av")
    from gazecourse.video import VideoWriter, frames

    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :16] = 250
    with VideoWriter(tmp_path / "v.mp4", 10) as writer:
        writer.write(stored)
    turned(tmp_path / "v.mp4", matrix)
    ((_, picture),) = frames(tmp_path / "v.mp4")
    assert picture.shape == (*size, 3)
    bright = [place for place in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if picture[place].mean() > 200]
    assert bright == [corner]


def test_video_gives_a_video_and_a_table_with_a_row_for_each_face(tmp_path):
    path = video(tmp_path / "in.mp4", 5)
    faces = {0: [], 1: [landmarks_at([0.0, 0.0, 600.0])]}
    counter = iter(range(10))
    seen = list(
        look_at_video(
            path, lambda _: faces[next(counter) % 2], told()[0], into=tmp_path / "out.mp4", table=tmp_path / "o.csv"
        )
    )
    assert [len(found) for _, _, found in seen] == [0, 1, 0, 1, 0]
    rows = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert [(row["picture"], row["seconds"]) for row in rows] == [("1", "0.100"), ("3", "0.300")]
    from gazecourse.video import frame_rate, frames

    written = list(frames(tmp_path / "out.mp4"))
    assert [number for number, _ in written] == [0, 1, 2, 3, 4]
    assert written[0][1].shape == (480, 640, 3)
    assert abs(int(written[3][1][5, 5, 0]) - 30) < 12
    assert frame_rate(tmp_path / "out.mp4") == 10


def test_video_that_is_left_early_leaves_no_half_file(tmp_path):
    path = video(tmp_path / "in.mp4", 4)
    run = look_at_video(path, lambda _: [], told()[0], into=tmp_path / "out.mp4")
    next(run)
    run.close()
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


def test_videos_that_are_none_and_endings_that_nobody_writes_are_named(tmp_path, monkeypatch):
    pytest.importorskip("av")
    from gazecourse.video import VideoWriter, frame_rate

    with pytest.raises(FileNotFoundError, match=r"There is no video .*none\.mp4"):
        frame_rate(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("a film")
    with pytest.raises(CourseError, match=r"text\.mp4 cannot be read as a video"):
        frame_rate(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match=r"the ending of path must be one of '\.mp4'"):
        VideoWriter(tmp_path / "out.gif", 10)
    with pytest.raises(ValueError, match="rate must be a finite number above 0"):
        VideoWriter(tmp_path / "out.mp4", 0)


def test_without_pyav_videos_say_what_to_install(tmp_path, monkeypatch):
    import sys

    from gazecourse.video import frames

    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CourseError, match="Videos need the package av, which is not installed: pip install av"):
        next(frames(tmp_path / "any.mp4"))
