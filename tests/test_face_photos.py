"""Readers of WFLW, 300W and COFW: files in the true formats become samples with landmarks where they were planted."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from gazecourse.datasets import COFW, WFLW, IBug300W, cofw, ibug_300w, wflw
from gazecourse.errors import CourseError
from gazecourse.sample import Sample, collate

WIDE, HIGH = 120, 100
SIZE = 64
# Nose, chin and outer corners of the eyes, by scheme: an upright face around (x, y) = (60, 50).
PLACES = {
    29: {20: (60, 52), 28: (60, 80), 8: (40, 38), 9: (80, 38)},
    68: {30: (60, 52), 8: (60, 80), 36: (40, 38), 45: (80, 38)},
    98: {54: (60, 52), 16: (60, 80), 60: (40, 38), 72: (80, 38)},
}


def face(scheme: int, number: int = 0) -> np.ndarray:
    """Whole numbers [scheme, 2] (column, row) of the pixels that the landmarks of an upright face lie on, from 0."""
    generator = np.random.default_rng(number)
    points = np.stack([generator.integers(42, 78, scheme), generator.integers(40, 78, scheme)], axis=1)
    for point, place in PLACES[scheme].items():
        points[point] = place
    return points + number


def photo(points: np.ndarray, which: int) -> np.ndarray:
    """uint8 [HIGH, WIDE, 3], dark with one bright red pixel on landmark ``which``."""
    picture = np.full((HIGH, WIDE, 3), 10, np.uint8)
    column, row = points[which]
    picture[row, column] = (250, 120, 60)
    return picture


def assert_landmark_is_on_its_pixel(sample: Sample, which: int) -> None:
    """The middle of the bright spot, in the resized square, is the landmark."""
    brightness = (sample.image.double() - 10).clamp(min=0)
    red, green, blue = brightness.sum((1, 2))
    assert red > green > blue, "red, green, blue"
    grid = torch.arange(sample.image.shape[-1]) + 0.5
    weight = brightness[0] / brightness[0].sum()
    place = torch.stack([(weight.sum(0) * grid).sum(), (weight.sum(1) * grid).sum()])
    torch.testing.assert_close(place.float(), sample.landmarks[which], atol=0.12, rtol=0)


def save(picture: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


# ---------------------------------------------------------------------- WFLW


@pytest.fixture
def wflw_folder(tmp_path, monkeypatch):
    """Three training faces; landmark 5 of the first, 6 of the second and 7 of the third is bright."""
    monkeypatch.setattr(wflw, "FACES", {"train": 3, "test": 1})
    lines = []
    for number in range(3):
        points = face(98, number)
        name = f"37--Soccer/face_{number}.png"
        save(photo(points, 5 + number), tmp_path / "WFLW_images" / name)
        lines.append(wflw_line(points, name, flags=[0, 1, 0, 0, number % 2, 0]))
    write_list(tmp_path, lines)
    return tmp_path


def wflw_line(points, name, flags=(0, 0, 0, 0, 0, 0), box=(30, 25, 95, 90)):
    return " ".join([*(f"{v:.6f}" for v in points.flatten()), *map(str, box), *map(str, flags), name])


def write_list(root: Path, lines: list[str], split: str = "train") -> Path:
    path = root / "WFLW_annotations" / "list_98pt_rect_attr_train_test" / f"list_98pt_rect_attr_{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def lines_of(root: Path) -> list[str]:
    return next(root.rglob("list_98pt_rect_attr_train.txt")).read_text().splitlines()


def test_wflw_landmarks_lie_on_the_pixels_where_they_were_planted(wflw_folder):
    faces = WFLW(wflw_folder, size=SIZE)
    assert len(faces) == 3
    assert faces.landmarks.shape == (3, 98, 2)
    for number in range(3):
        assert_landmark_is_on_its_pixel(faces[number], 5 + number)
        np.testing.assert_allclose(faces.photo_landmarks(number), face(98, number) + 0.5, atol=1e-4)


def test_wflw_square_is_the_box_enlarged_by_a_quarter(wflw_folder):
    square = WFLW(wflw_folder, size=SIZE).squares[0]
    assert (square.left, square.top, square.side) == (22, 17, 81)  # 65 · 1.25 = 81, around (62.5, 57.5)


def test_wflw_flags_choose_subsets_and_samples_hold_them(wflw_folder):
    faces = WFLW(wflw_folder, size=SIZE)
    assert faces.factors["occlusion"].tolist() == [0, 1, 0]
    assert faces.factors["expression"].tolist() == [1, 1, 1]
    occluded = faces.subset(faces.factors["occlusion"] == 1)
    assert len(occluded) == 1
    assert_landmark_is_on_its_pixel(occluded[0], 6)
    assert int(occluded[0].factors["occlusion"]) == 1
    assert occluded[0].gaze is None
    batch = collate([faces[0], faces[2]])
    assert batch.image.shape == (2, 3, SIZE, SIZE)
    assert batch.domain == ["wflw", "wflw"]
    assert batch.person.tolist() == [0, 2]


def test_wflw_can_be_handed_to_another_process(wflw_folder):
    faces = pickle.loads(pickle.dumps(WFLW(wflw_folder, size=SIZE)))
    assert_landmark_is_on_its_pixel(faces[-1], 7)


def swapped_coordinates(lines):
    fields = lines[0].split()
    pairs = np.array(fields[:196]).reshape(-1, 2)[:, ::-1].flatten()
    return [" ".join([*pairs, *fields[196:]])] * 3


def box_as_width_and_height(lines):
    return [wflw_line(face(98), "37--Soccer/face_0.png", box=(30, 25, 20, 15))] * 3


def flags_before_the_box(lines):
    fields = lines[0].split()
    return [" ".join([*fields[:196], *fields[200:206], *fields[196:200], fields[206]])] * 3


def mirrored_order(lines):
    points = face(98)
    points[:, 0] = 120 - points[:, 0]
    return [wflw_line(points, "37--Soccer/face_0.png")] * 3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [*lines[:2], lines[2][:300]], "line 3 must hold 207 fields .*; it holds"),
        (lambda lines: lines[:2], "must hold 3 faces; it holds 2: it was cut off"),
        (lambda lines: [*lines, lines[0]], "must hold 3 faces; it holds 4: something was added"),
        (
            lambda lines: [lines[0].replace(".000000", ".x", 1), *lines[1:]],
            "stands in line 1 before the name must be numbers; got '\\d+.x'",
        ),
        (
            lambda lines: [lines[0].replace("42.000000", "nan"), *lines[1:]],
            "stands in line 1 before the name must be finite",
        ),
        (lambda lines: [f"{lines[0]} more", *lines[1:]], "line 1 must hold 207 fields .*; it holds 208"),
        (swapped_coordinates, "the chin lies .* Are x and y swapped"),
        (box_as_width_and_height, "the box of face 1 has no extent; the columns should be xmin ymin xmax ymax"),
        (flags_before_the_box, r"the six flags of line 1 must be 0 or 1; they are 0 0 .* another order"),
        (mirrored_order, "the outer corner of the left eye lies 40 pixels to the left of the right eye's"),
    ],
)
def test_damaged_lists_of_wflw_are_named_with_the_line(wflw_folder, damage, message):
    write_list(wflw_folder, damage(lines_of(wflw_folder)))
    with pytest.raises(CourseError, match=message):
        WFLW(wflw_folder, size=SIZE)


def test_wflw_faces_outside_their_boxes_are_noticed(wflw_folder):
    far = [wflw_line(face(98), "a.png", box=(200, 200, 300, 300))] * 3
    write_list(wflw_folder, far)
    with pytest.raises(CourseError, match="100% of the faces lie outside their boxes"):
        WFLW(wflw_folder, size=SIZE)


def test_an_empty_list_and_missing_parts_of_wflw_say_how_to_get_them(wflw_folder, tmp_path):
    write_list(wflw_folder, [])
    with pytest.raises(CourseError, match="is empty: its download or unpacking was cut off"):
        WFLW(wflw_folder)
    with pytest.raises(FileNotFoundError, match=r"does not hold list_98pt_rect_attr_test.txt.*Download WFLW_images"):
        WFLW(wflw_folder, "test")
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere"):
        WFLW(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="split must be one of 'train', 'test'; got 'val'"):
        WFLW(wflw_folder, "val")
    with pytest.raises(TypeError, match="root must be the folder of the data; got int 5"):
        WFLW(5)


def test_pictures_that_are_gone_or_cut_off_are_named_when_they_are_read(wflw_folder):
    faces = WFLW(wflw_folder, size=SIZE)
    first, second = (wflw_folder / "WFLW_images" / f"37--Soccer/face_{number}.png" for number in (0, 1))
    first.unlink()
    second.write_bytes(second.read_bytes()[:60])
    with pytest.raises(
        FileNotFoundError, match=r"There is no image .*face_0.png. The course neither ships nor downloads WFLW"
    ):
        faces[0]
    with pytest.raises(CourseError, match=r"face_1.png (is no image|cannot be read as an image)"):
        faces[1]
    with pytest.raises(IndexError, match=r"index must lie in \[-3, 2\]; got 3"):
        faces[3]


# ---------------------------------------------------------------------- 300W


def pts(points: np.ndarray) -> str:
    """A file of points as the release has it: the middle of the first pixel is (1, 1)."""
    rows = [f"{x + 1:.6f} {y + 1:.6f}" for x, y in points]
    return "\n".join(["version: 1", f"n_points:  {len(points)}", "{", *rows, "}", ""])


@pytest.fixture
def collections(tmp_path, monkeypatch):
    """One face in each folder, with landmark 10 bright; in the training sets in another order than their names."""
    monkeypatch.setattr(ibug_300w, "FACES", {"train": 3, "common": 2, "challenge": 1, "full": 3})
    folders = ["afw", "helen/trainset", "lfpw/trainset", "helen/testset", "lfpw/testset", "ibug"]
    for number, folder in enumerate(folders):
        points = face(68, number)
        save(photo(points, 10), tmp_path / folder / f"image_{number}.png")
        (tmp_path / folder / f"image_{number}.pts").write_text(pts(points))
    save(photo(face(68), 10), tmp_path / "afw" / "image_0_mirror.png")
    return tmp_path


@pytest.mark.parametrize(("split", "numbers"), [("train", [0, 1, 2]), ("common", [3, 4]), ("challenge", [5])])
def test_300w_landmarks_count_from_1_and_lie_on_their_pixels(collections, split, numbers):
    faces = IBug300W(collections, split, size=SIZE)
    assert len(faces) == len(numbers)
    for row, number in enumerate(numbers):
        np.testing.assert_allclose(faces.photo_landmarks(row), face(68, number) + 0.5, atol=1e-4)
        assert_landmark_is_on_its_pixel(faces[row], 10)


def test_300w_full_is_both_tests_and_tells_the_challenge(collections):
    faces = IBug300W(collections, "full", size=SIZE)
    assert faces.factors["challenge"].tolist() == [0, 0, 1]
    hard = faces.subset(faces.factors["challenge"] == 1)
    assert_landmark_is_on_its_pixel(hard[0], 10)
    assert hard[0].domain == "300w"


def test_300w_square_is_around_the_landmarks(collections):
    faces = IBug300W(collections, "challenge", size=SIZE)
    points = face(68, 5) + 0.5
    extent = np.ptp(points, axis=0).max()
    assert faces.squares[0].side == round(1.25 * extent)
    assert (faces.landmarks.amin(1) > 0).all()
    assert (faces.landmarks.amax(1) < SIZE).all()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("n_points:  68", "n_points:  29"), "must hold 68 points; it says n_points: 29"),
        (lambda text: text[:500], r"must hold 68 points and end with }; it holds \d+. Unpack it again"),
        (lambda text: text.replace("}", ""), "must hold 68 points and end with }; it holds 68"),
        (lambda text: text.replace("\n}", "\n1.0 2.0\n}"), "must hold 68 points and end with }; it holds 69"),
        (lambda text: text.replace("61.000000 53.000000", "61.0 x"), "point 31 must be numbers; got 'x'"),
        (lambda text: text.replace("61.000000 53.000000", "61.0"), "point 31 must be two numbers"),
        (lambda text: "", "is empty: its download"),
        (lambda text: "\x89PNG\n" + text, "must begin with version, n_points and {"),
    ],
)
def test_damaged_files_of_points_are_named(collections, damage, message):
    path = collections / "afw" / "image_0.pts"
    path.write_text(damage(path.read_text()))
    with pytest.raises(CourseError, match=rf"image_0.pts.*{message}"):
        IBug300W(collections, size=SIZE)


def test_300w_with_x_and_y_swapped_is_noticed(collections):
    for path in collections.rglob("*.pts"):
        path.write_text(pts(face(68)[:, ::-1]))
    with pytest.raises(CourseError, match="Are x and y swapped in this copy"):
        IBug300W(collections, size=SIZE)


def test_missing_parts_of_300w_are_named(collections):
    (collections / "afw" / "image_0.pts").unlink()
    with pytest.raises(FileNotFoundError, match=r"afw lacks the points of image_0.png"):
        IBug300W(collections)
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*helen"):
        IBug300W(collections / "ibug", "common")
    (collections / "ibug" / "image_5.png").unlink()
    with pytest.raises(CourseError, match="must hold 1 faces; it holds 0"):
        IBug300W(collections, "challenge")


# ---------------------------------------------------------------------- COFW

HEADER = (
    b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jul  1 2013 HDF5 schema 1.00 .".ljust(124) + b"\0\2IM"
)


def write_cofw(path: Path, phis: np.ndarray, pictures: list[np.ndarray], boxes: np.ndarray, suffix: str = "Tr") -> Path:
    """A file as MATLAB 7.3 writes it: axes in reverse order, and images behind references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        references = []
        for number, picture in enumerate(pictures):
            axes = picture.transpose(2, 1, 0) if picture.ndim == 3 else picture.T
            references.append(file.create_dataset(f"#refs#/image{number}", data=axes).ref)
        file.create_dataset(f"Is{suffix}", data=np.array(references, dtype=h5py.ref_dtype)[None])
        file.create_dataset(f"phis{suffix}", data=phis.T)
        file.create_dataset(f"bboxes{suffix}", data=boxes.T)
    with path.open("rb+") as file:
        file.write(HEADER)
    return path


def cofw_labels(count: int = 3) -> np.ndarray:
    """[count, 87]: 29 x, 29 y from 1, and which are hidden: landmark 3 of every face."""
    hidden = np.zeros(29)
    hidden[3] = 1
    return np.stack([np.concatenate([*(face(29, n) + 1).T, hidden]) for n in range(count)]).astype(np.float64)


BOXES = np.array([[31, 26, 65, 65]] * 3, np.float64)


@pytest.fixture
def cofw_folder(tmp_path, monkeypatch):
    """Two pictures in color and one in gray, with landmark 12 bright."""
    monkeypatch.setattr(cofw, "FACES", {"train": 3, "test": 3})
    pictures = [photo(face(29, number), 12) for number in range(3)]
    pictures[1] = pictures[1][..., 0]
    write_cofw(tmp_path / "COFW_train_color.mat", cofw_labels(), pictures, BOXES)
    return tmp_path


def test_cofw_landmarks_count_from_1_and_lie_on_their_pixels(cofw_folder):
    faces = COFW(cofw_folder, size=SIZE)
    assert faces.landmarks.shape == (3, 29, 2)
    for number in (0, 2):
        assert_landmark_is_on_its_pixel(faces[number], 12)
        np.testing.assert_allclose(faces.photo_landmarks(number), face(29, number) + 0.5, atol=1e-4)


def test_cofw_gray_pictures_have_three_equal_colors(cofw_folder):
    image = COFW(cofw_folder, size=SIZE)[1].image
    assert torch.equal(image[0], image[1])
    assert torch.equal(image[0], image[2])
    bright = image[0].flatten().argmax()
    place = torch.tensor([bright % SIZE + 0.5, bright // SIZE + 0.5])
    torch.testing.assert_close(place, COFW(cofw_folder, size=SIZE).landmarks[1, 12], atol=1.0, rtol=0)


def test_cofw_tells_which_landmarks_are_hidden_and_where_the_box_begins(cofw_folder):
    faces = COFW(cofw_folder, size=SIZE)
    assert faces.factors["occluded"].dtype == torch.bool
    assert faces.factors["occluded"].nonzero()[:, 1].tolist() == [3, 3, 3]
    assert faces[0].factors["occluded"].sum() == 1
    square = faces.squares[0]
    assert (square.left, square.top, square.side) == (22, 17, 81), "the box begins at pixel 30 and 25, counted from 0"


def test_cofw_test_file_has_names_of_its_own_and_subsets_keep_their_pictures(cofw_folder):
    pictures = [photo(face(29, number), 12) for number in range(3)]
    write_cofw(cofw_folder / "COFW_test_color.mat", cofw_labels(), pictures, BOXES, suffix="T")
    last = COFW(cofw_folder, "test", size=SIZE).subset(torch.tensor([2]))
    assert_landmark_is_on_its_pixel(last[0], 12)
    assert last[0].domain == "cofw"


def with_labels(change):
    def damage(folder):
        labels = change(cofw_labels())
        pictures = [photo(face(29, number), 12) for number in range(3)]
        write_cofw(folder / "COFW_train_color.mat", labels, pictures, BOXES)

    return damage


def rows_before_columns(labels):
    return np.concatenate([labels[:, 29:58], labels[:, :29], labels[:, 58:]], axis=1)


def flags_first(labels):
    return np.concatenate([labels[:, 58:], labels[:, :58]], axis=1)


def with_nan(labels):
    labels[1, 5] = np.nan
    return labels


def boxes_as_corners(folder):
    corners = np.concatenate([BOXES[:, 2:] + 200, BOXES[:, :2]], axis=1)
    write_cofw(folder / "COFW_train_color.mat", cofw_labels(), [photo(face(29), 12)] * 3, corners)


def one_picture_less(folder):
    write_cofw(folder / "COFW_train_color.mat", cofw_labels(), [photo(face(29), 12)] * 2, BOXES)


def cut_off(folder):
    path = folder / "COFW_train_color.mat"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def another_format(folder):
    (folder / "COFW_train_color.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(600))


def other_entries(folder):
    with h5py.File(folder / "COFW_train_color.mat", "w") as file:
        file["labels"] = np.zeros(3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (with_labels(rows_before_columns), "Are x and y swapped in this copy"),
        (with_labels(flags_first), "the last 29 rows of phis must be flags, 0 or 1; they go from .* another order"),
        (with_labels(with_nan), "phisTr must be finite; it holds NaN or infinity"),
        (with_labels(lambda labels: labels[:, :58]), r"phisTr must be \(87, N\) of numbers; it is \(58, 3\)"),
        (with_labels(lambda labels: labels[:2]), r"as many images as labels and boxes; it holds \[2, 3\]"),
        (boxes_as_corners, "100% of the faces lie outside their boxes; the columns should be x y width height"),
        (one_picture_less, r"as many images as labels and boxes; it holds \[2, 3\]"),
        (cut_off, r"COFW_train_color.mat (is cut off|must be an HDF5 file)"),
        (another_format, "is a MATLAB file of version 5"),
        (other_entries, r"must hold phisTr; it holds labels"),
    ],
)
def test_damaged_files_of_cofw_are_named(cofw_folder, damage, message):
    damage(cofw_folder)
    with pytest.raises(CourseError, match=message):
        COFW(cofw_folder, size=SIZE)


def test_missing_and_shortened_cofw_files_are_named(cofw_folder, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"COFW_test_color.mat is not there. .*Download COFW_color.zip"):
        COFW(cofw_folder, "test")
    monkeypatch.setattr(cofw, "FACES", {"train": 1345, "test": 507})
    with pytest.raises(CourseError, match=r"must hold 1,345 faces; it holds 3: it was cut off"):
        COFW(cofw_folder)


def test_pictures_of_another_kind_are_named_when_they_are_read(cofw_folder):
    pictures = [photo(face(29), 12).astype(np.float32) / 255] * 3
    write_cofw(cofw_folder / "COFW_train_color.mat", cofw_labels(), pictures, BOXES)
    with pytest.raises(CourseError, match=r"image 1 must be bytes \(3, W, H\) or \(W, H\); it is \(3, 120, 100\)"):
        COFW(cofw_folder, size=SIZE)[0]


@pytest.mark.parametrize("reader", [COFW, WFLW, IBug300W])
def test_sizes_that_make_no_sense_are_named(reader, cofw_folder, wflw_folder, collections):
    folder = {COFW: cofw_folder, WFLW: wflw_folder, IBug300W: collections}[reader]
    with pytest.raises(ValueError, match="size must be 16 or more, at most 1024; got 8"):
        reader(folder, size=8)
