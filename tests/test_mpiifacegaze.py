"""The reader of MPIIFaceGaze: what the release's files hold becomes the course's samples, or a plain sentence."""

from __future__ import annotations

import math
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gazecourse.angles import pitchyaw_to_vector
from gazecourse.batches import Batches
from gazecourse.datasets import MPIIFaceGaze
from gazecourse.datasets.mpiifacegaze import LANDMARKS, PAGE
from gazecourse.errors import CourseError
from gazecourse.sample import collate

SIDE = 448
IMAGES = 3
HEADER = (
    b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  2 2017 HDF5 schema 1.00 .".ljust(124) + b"\0\2IM"
)

# A person who looks to the left of the image and down, with the head turned to the right and up: unit vectors in the
# camera frame (x right, y down, z forward), from 0.36² + 0.48² + 0.8² = 1 and 0.48² + 0.6² + 0.64² = 1.
LEFT_DOWN, RIGHT_UP = (-0.36, 0.48, -0.8), (0.48, -0.6, -0.64)
# What the release stores for them: its pitch grows downward and its yaw to the right, by hand asin(0.48) = 0.5007,
# atan2(-0.36, 0.8) = -0.4229; asin(-0.6) = -0.6435, atan2(0.48, 0.64) = 0.6435.
STORED = (0.5006548, -0.4228539, -0.6435011, 0.6435011)


def labels_of(person: int, images: int = IMAGES) -> np.ndarray:
    """Labels [images, 16] that all differ; everybody looks down."""
    numbers = 100 * person + np.arange(images)
    angles = np.stack([0.1 + numbers * 1e-4, numbers * 2e-4 - 0.1, numbers * 1e-4, -numbers * 3e-4], 1)
    return np.concatenate([angles, numbers[:, None] * 0.1 + np.arange(100, 220, 10)], 1)


def pictures_of(person: int, images: int = IMAGES) -> np.ndarray:
    """Images [images, 3, 448, 448], BGR, that all differ."""
    stripes = np.arange(SIDE) % 64
    levels = 10 * person + 40 * np.arange(images)[:, None] + np.array([0, 5, 20])
    return (levels[:, :, None, None] + stripes[:, None]).repeat(SIDE, -1).astype(np.uint8)


def write(path: Path, data: object, label: np.ndarray, **options) -> Path:
    """A file as MATLAB 7.3 writes it: HDF5 after a text header of 512 bytes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        if isinstance(data, tuple):
            file.create_dataset("Data/data", data, **options)
        else:
            file.create_dataset("Data/data", data=data, **options)
        file.create_dataset("Data/label", data=label)
    with path.open("rb+") as file:
        file.write(HEADER)
    return path


def write_unreadable(path: Path, person: int, images: int = IMAGES) -> None:
    """A file whose labels are there and whose images raise an error when they are read."""
    shape = (images, 3, SIDE, SIDE)
    missing = [(str(path.with_name("nowhere.raw")), 0, math.prod(shape))]
    write(path, shape, labels_of(person, images), dtype="u1", external=missing)


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """Three people of the release, three images each."""
    root = tmp_path_factory.mktemp("release")
    for person in (0, 3, 14):
        write(root / f"p{person:02d}.mat", pictures_of(person), labels_of(person).astype(np.float32))
    return root


@pytest.fixture
def faces(release) -> MPIIFaceGaze:
    return MPIIFaceGaze(release, size=32, people=[0, 3, 14])


def one(root: Path, picture: np.ndarray, label: np.ndarray | None = None, size: int = SIDE, **options) -> MPIIFaceGaze:
    """A data set of a single image."""
    label = labels_of(0, 1) if label is None else label
    write(root / "p00.mat", picture[None], label, **options)
    return MPIIFaceGaze(root, size=size, people=[0])


# ---------------------------------------------------------------------- what a sample is


def test_stored_blue_green_red_becomes_red_green_blue(tmp_path):
    blue, green, red = 10, 120, 250
    picture = np.array([blue, green, red], np.uint8)[:, None, None].repeat(SIDE, 1).repeat(SIDE, 2)
    image = one(tmp_path, picture)[0].image
    assert image.dtype == torch.uint8
    assert image.shape == (3, SIDE, SIDE)
    assert image[:, 17, 300].tolist() == [red, green, blue]


@pytest.mark.parametrize("size", [SIDE, 224])
def test_images_stand_upright_rows_first(size, tmp_path):
    picture = np.zeros((3, SIDE, SIDE), np.uint8)
    picture[:, : SIDE // 4] = 200  # the top quarter
    image = one(tmp_path, picture, size=size)[0].image
    assert (image[:, : size // 4 - 2] == 200).all()
    assert (image[:, size // 4 + 2 :] == 0).all()


def test_signs_turn_so_that_hand_computed_vectors_come_out(tmp_path):
    label = np.concatenate([STORED, np.zeros(12)])[None]
    sample = one(tmp_path, pictures_of(0)[0], label)[0]
    np.testing.assert_allclose(pitchyaw_to_vector(sample.gaze), LEFT_DOWN, atol=1e-6)
    np.testing.assert_allclose(pitchyaw_to_vector(sample.head), RIGHT_UP, atol=1e-6)
    assert sample.gaze[0] < 0, "looking down is a negative pitch in the course's form"
    assert sample.gaze[1] > 0, "looking to the left of the image is a positive yaw in the course's form"


def test_labels_of_a_copy_in_the_courses_form_can_be_kept(tmp_path):
    label = labels_of(0)
    label[:, :4] *= -1
    write(tmp_path / "p00.mat", pictures_of(0), label)
    kept = MPIIFaceGaze(tmp_path, people=[0], opposite_signs=False)
    np.testing.assert_allclose(torch.cat([kept.gaze, kept.head], 1), label[:, :4], atol=1e-7)


@pytest.mark.parametrize(("size", "scale"), [(448, 1.0), (224, 0.5), (112, 0.25), (512, 8 / 7)])
def test_landmarks_are_scaled_with_the_image(size, scale, release):
    faces = MPIIFaceGaze(release, size=size, people=[3])
    wanted = labels_of(3)[:, 4:].reshape(-1, 6, 2) * scale
    assert faces.landmarks.shape == (IMAGES, len(LANDMARKS), 2)
    np.testing.assert_allclose(faces.landmarks, wanted, rtol=1e-5)


def test_landmarks_stay_on_their_spots_of_the_resized_image(tmp_path):
    label, picture = labels_of(0, 1), np.zeros((3, SIDE, SIDE), np.uint8)
    spots = np.array([[100, 120], [180, 121], [260, 119], [340, 122], [170, 330], [270, 331]])
    label[0, 4:] = spots.ravel()
    for x, y in spots:
        picture[:, y - 4 : y + 4, x - 4 : x + 4] = 255
    sample = one(tmp_path, picture, label, size=112)[0]
    for x, y in sample.landmarks.tolist():
        assert sample.image[0, round(y - 0.5), round(x - 0.5)] > 100


def test_images_are_resized_with_antialiasing(tmp_path):
    checkers = (np.indices((SIDE, SIDE)).sum(0) % 2 * 255).astype(np.uint8)[None].repeat(3, 0)
    image = one(tmp_path, checkers, size=64)[0].image.float()
    assert (image - 127.5).abs().max() < 3, "a pattern finer than a pixel becomes its mean"


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "f8", ">f4"])
def test_whole_numbers_and_floats_from_0_to_255_give_the_same_image(dtype, tmp_path):
    picture = pictures_of(1)[1]
    assert np.array_equal(one(tmp_path, picture.astype(dtype))[0].image, picture[::-1])


def test_floats_are_rounded_not_cut(tmp_path):
    assert one(tmp_path, np.full((3, SIDE, SIDE), 99.7, np.float32), size=32)[0].image.unique().tolist() == [100]


def test_compressed_chunks_as_matlab_writes_them_are_read(tmp_path):
    options = {"chunks": (1, 3, 64, 448), "compression": "gzip", "compression_opts": 1}
    picture = pictures_of(2)[0].astype(np.float32)
    assert np.array_equal(one(tmp_path, picture, **options)[0].image, picture[::-1])


def test_people_keep_the_numbers_of_their_files(faces):
    assert faces.people == [0, 3, 14]
    assert faces.person.tolist() == [0, 0, 0, 3, 3, 3, 14, 14, 14]
    assert faces.person.dtype == torch.int64
    assert faces[4].person == 3


def test_all_fifteen_people_are_read_by_default(release, tmp_path):
    for person in range(15):
        shutil.copy(release / "p03.mat", tmp_path / f"p{person:02d}.mat")
    faces = MPIIFaceGaze(str(tmp_path))
    assert faces.people == list(range(15))
    assert len(faces) == 45
    assert faces[0].image.shape == (3, 224, 224)
    assert repr(faces) == "MPIIFaceGaze(45 images of 15 people, 224 × 224)"


def test_people_may_come_in_any_order_and_twice(release, faces):
    again = MPIIFaceGaze(release, size=32, people=(14, 0, 3, 14))
    assert torch.equal(again.person, faces.person)
    assert torch.equal(again.gaze, faces.gaze)


def test_sample_carries_image_and_labels_of_its_index(faces):
    sample = faces[7]
    np.testing.assert_allclose(sample.gaze, -labels_of(14)[1, :2], atol=1e-6)
    np.testing.assert_allclose(sample.head, -labels_of(14)[1, 2:4], atol=1e-6)
    assert torch.equal(sample.landmarks, faces.landmarks[7])
    assert abs(sample.image.float().mean() - pictures_of(14)[1].mean()) < 1
    assert (sample.person, sample.domain, sample.factors) == (14, "mpiifacegaze", {})
    assert sample.face_center is None
    assert sample.screen is None
    assert torch.equal(faces[-1].image, faces[8].image)
    with pytest.raises(IndexError, match=r"\[-9, 8\]; got 9"):
        faces[9]


@pytest.mark.parametrize("as_type", [list, torch.tensor, np.array])
def test_batch_equals_collated_samples_in_the_order_asked_for(as_type, faces):
    order = [8, 1, 4, 0, 8]
    batch, single = faces.__getitems__(as_type(order)), collate([faces[index] for index in order])
    for name in ("image", "gaze", "head", "landmarks", "person"):
        assert torch.equal(getattr(batch, name), getattr(single, name)), name
        assert getattr(batch, name).dtype == getattr(single, name).dtype, name
    assert batch.domain == single.domain
    assert batch.face_center is None
    assert batch.factors == {}


# ---------------------------------------------------------------------- images stay on disk


def test_construction_reads_no_image(tmp_path):
    write_unreadable(tmp_path / "p00.mat", 0)
    faces = MPIIFaceGaze(tmp_path, people=[0])
    np.testing.assert_allclose(faces.gaze, -labels_of(0)[:, :2], atol=1e-6)
    assert len(faces.subset([0, 2])) == 2
    with pytest.raises(CourseError, match=r"p00\.mat: image 1 cannot be read; the file is cut off or damaged"):
        faces[1]


def test_a_sample_reads_no_other_persons_images(release, tmp_path):
    shutil.copy(release / "p00.mat", tmp_path / "p00.mat")
    write_unreadable(tmp_path / "p01.mat", 1)
    faces = MPIIFaceGaze(tmp_path, people=[0, 1])
    assert faces.__getitems__([0, 2]).image.shape == (2, 3, 224, 224)


def test_three_thousand_images_are_there_without_being_loaded(tmp_path):
    label = labels_of(0, 3000)
    write(tmp_path / "p00.mat", (3000, 3, SIDE, SIDE), label, dtype="f4")  # HDF5 puts nothing on disk before a write
    faces = MPIIFaceGaze(tmp_path, people=[0], size=16)
    assert len(faces) == 3000
    assert faces[2999].image.sum() == 0
    np.testing.assert_allclose(faces[2999].gaze, -label[2999, :2], atol=1e-6)


def test_no_file_stays_open(faces, monkeypatch):
    opened = []
    open_file = h5py.File
    monkeypatch.setattr(h5py, "File", lambda *arguments: opened.append(open_file(*arguments)) or opened[-1])
    faces.__getitems__([0, 8, 1])
    assert len(opened) == 2, "each file once, whatever the order"
    assert not any(opened)


@pytest.mark.parametrize("images_read_before", [False, True], ids=["fresh", "used"])
def test_two_workers_load_the_same_batches_as_none(images_read_before, faces):
    if images_read_before:
        faces[0]

    def batches(workers: int) -> list:
        return list(DataLoader(faces, 2, num_workers=workers, collate_fn=collate))

    alone, together = batches(0), batches(2)
    assert len(alone) == len(together) == 5
    for here, there in zip(alone, together, strict=True):
        assert here.domain == there.domain
        for name in ("image", "gaze", "head", "landmarks", "person"):
            assert torch.equal(getattr(here, name), getattr(there, name)), name


def test_batches_of_a_training_run_can_be_drawn(faces):
    batch = next(Batches(faces, 4, seed=1).loader())
    assert batch.image.shape == (4, 3, 32, 32)
    assert batch.person.shape == (4,)


def test_pickled_data_set_reads_the_same(faces):
    faces[0]
    again = pickle.loads(pickle.dumps(faces))
    assert torch.equal(again.__getitems__([5, 2]).image, faces.__getitems__([5, 2]).image)
    assert torch.equal(again.landmarks, faces.landmarks)


def test_relative_folder_still_counts_after_a_change_of_folder(release, monkeypatch):
    monkeypatch.chdir(release.parent)
    faces = MPIIFaceGaze(release.name, people=[0], size=16)
    monkeypatch.chdir(release.anchor)
    assert faces[0].image.shape == (3, 16, 16)


# ---------------------------------------------------------------------- parts


@pytest.mark.parametrize("chosen", [[7, 2, 5], torch.tensor([7, 2, 5]), np.array([7, 2, 5])])
def test_subset_holds_the_chosen_faces_in_order(chosen, faces):
    part = faces.subset(chosen)
    whole = faces.__getitems__([7, 2, 5])
    batch = part.__getitems__([0, 1, 2])
    for name in ("image", "gaze", "head", "landmarks", "person"):
        assert torch.equal(getattr(batch, name), getattr(whole, name)), name
    assert part.people == [0, 3, 14]
    assert len(faces) == 9
    assert torch.equal(part.subset([2])[0].image, faces[5].image), "a part of a part"


def test_subset_by_mask_and_bad_choices(faces):
    mask = torch.arange(9) % 2 == 0
    assert torch.equal(faces.subset(mask).gaze, faces.gaze[::2])
    assert len(faces.subset([])) == 0
    with pytest.raises(ValueError, match=r"a mask \[9\] or a list of numbers; got tensor of shape \[8\], bool"):
        faces.subset(mask[:8])
    with pytest.raises(IndexError):
        faces.subset([9])


def test_split_people_leaves_one_person_out(faces):
    for out in faces.people:
        rest, held_out = faces.split_people([out])
        assert held_out.people == [out]
        assert rest.people == [person for person in faces.people if person != out]
        assert len(rest) + len(held_out) == len(faces)
        assert {rest[index].person for index in range(len(rest))} == set(rest.people)
    with pytest.raises(ValueError, match="held_out must be one of 0, 3, 14; got 5"):
        faces.split_people([5])


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"root": None}, TypeError, "root must be the folder of the data; got NoneType None"),
        ({"size": 8}, ValueError, "size must be 16 or more, at most 1024; got 8"),
        ({"size": 224.0}, TypeError, "size must be a whole number; got float 224.0"),
        ({"people": [15]}, ValueError, "people must be 0 or more, at most 14; got 15"),
        ({"people": ["p00"]}, TypeError, "people must be a whole number; got str 'p00'"),
        ({"people": "p00"}, TypeError, "people must be a list of numbers from 0 to 14; got str 'p00'"),
        ({"people": 3}, TypeError, "people must be a list of numbers from 0 to 14; got int 3"),
        ({"people": []}, ValueError, "people must name at least one person; got none"),
    ],
)
def test_bad_arguments_are_named(options, error, message, release):
    with pytest.raises(error, match=message):
        MPIIFaceGaze(**{"root": release, **options})


def test_missing_folder_says_how_to_get_the_data(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        MPIIFaceGaze(tmp_path / "nowhere")
    message = str(caught.value)
    assert message.startswith(f"There is no folder {tmp_path / 'nowhere'}. The data is for non-commercial research")
    assert PAGE in message
    assert "not part of the course" in message


def test_empty_folder_says_what_it_must_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not hold p00\.mat, .*, p14\.mat\. The data is for"):
        MPIIFaceGaze(tmp_path)


def test_missing_files_are_named_with_the_way_to_do_without(release):
    with pytest.raises(FileNotFoundError, match=r"lacks p01\.mat, p02\.mat.* or pass people=\[0, 3, 14\]"):
        MPIIFaceGaze(release)


def test_folder_above_the_data_names_the_right_one(release, tmp_path):
    shutil.copytree(release, tmp_path / "MPIIFaceGaze_normalizad")
    with pytest.raises(FileNotFoundError, match=r"but .*MPIIFaceGaze_normalizad does: pass that folder"):
        MPIIFaceGaze(tmp_path, people=[0, 14])


def test_raw_release_is_recognized(tmp_path):
    (tmp_path / "p00").mkdir()
    (tmp_path / "p00" / "p00.txt").write_text("day01/0005.jpg 1 2")
    with pytest.raises(FileNotFoundError, match="is the raw release of MPIIFaceGaze, not the normalized one"):
        MPIIFaceGaze(tmp_path)


def damage(root: Path, content: bytes) -> None:
    (root / "p00.mat").write_bytes(content)


RIGHT = {"Data/data": (2, 3, SIDE, SIDE), "Data/label": (2, 16)}
OLD_MATLAB = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\1IM" + bytes(500)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: its download or unpacking was cut off"),
        (
            OLD_MATLAB,
            r"is a MATLAB file of version 5; the release's are of version 7\.3.*save\(file, 'Data', '-v7\.3'\)",
        ),
        (b"<!DOCTYPE html><html>", r"must be an HDF5 file; it begins with b'<!DOCTYPE ht'"),
        (HEADER + bytes(100), "must be an HDF5 file; it begins with b'MATLAB 7.3 M'"),
    ],
    ids=["empty", "MATLAB 5", "web page", "header alone"],
)
def test_file_of_another_format_is_named_for_what_it_is(content, message, tmp_path):
    damage(tmp_path, content)
    with pytest.raises(CourseError, match=rf"p00\.mat {message}"):
        MPIIFaceGaze(tmp_path, people=[0])


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_file_that_is_cut_off_is_named(share, release, tmp_path):
    whole = (release / "p00.mat").read_bytes()
    damage(tmp_path, whole[: int(len(whole) * share)])
    with pytest.raises(CourseError, match=r"p00\.mat is cut off \(truncated file: .*unpack it again"):
        MPIIFaceGaze(tmp_path, people=[0])


def test_file_that_vanishes_or_breaks_later_is_named(release, tmp_path):
    shutil.copy(release / "p00.mat", tmp_path / "p00.mat")
    faces = MPIIFaceGaze(tmp_path, people=[0])
    damage(tmp_path, (release / "p00.mat").read_bytes()[:10_000])
    with pytest.raises(CourseError, match=r"p00\.mat is cut off"):
        faces[0]
    (tmp_path / "p00.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"p00\.mat is not there"):
        faces[0]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "must hold Data/data; it holds nothing"),
        ({"data": (2, 3, 448, 448)}, "must hold Data/data; it holds data"),
        ({"Data": (4,)}, "must hold Data/data; it holds Data"),
        ({"Data/data": RIGHT["Data/data"]}, "must hold Data/label; it holds Data/data"),
        (
            {**RIGHT, "Data/data": (2, 448, 448, 3)},
            r"Data/data must be \(N, 3, 448, 448\) of numbers; it is \(2, 448, 448, 3\)",
        ),
        ({**RIGHT, "Data/data": (2, 3, 224, 224)}, r"Data/data must be .*; it is \(2, 3, 224, 224\) of float32"),
        ({**RIGHT, "Data/label": (2, 4)}, r"Data/label must be \(N, 16\) of numbers; it is \(2, 4\) of float32"),
        ({**RIGHT, "Data/label": (16, 2)}, r"Data/label must be \(N, 16\) of numbers; it is \(16, 2\)"),
        (
            {**RIGHT, "Data/label": (5, 16)},
            "as many labels as images, and at least one; it holds 2 images and 5 labels",
        ),
        ({"Data/data": (0, 3, 448, 448), "Data/label": (0, 16)}, "it holds 0 images and 0 labels"),
    ],
)
def test_missing_keys_and_wrong_shapes_are_named(entries, message, tmp_path):
    with h5py.File(tmp_path / "p00.mat", "w") as file:
        for name, shape in entries.items():
            file.create_dataset(name, shape, dtype="f4")
    with pytest.raises(CourseError, match=message) as caught:
        MPIIFaceGaze(tmp_path, people=[0])
    assert str(tmp_path / "p00.mat") in str(caught.value)
    assert PAGE in str(caught.value)


def test_entry_that_holds_no_numbers_is_named(tmp_path):
    write(tmp_path / "p00.mat", (1, 3, SIDE, SIDE), labels_of(0, 1), dtype=h5py.ref_dtype)
    with pytest.raises(CourseError, match=r"Data/data must be .* of numbers; it is .* of object"):
        MPIIFaceGaze(tmp_path, people=[0])


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((0, 5), np.nan, "Data/label must be finite"),
        ((1, 0), 20.0, "must be angles in radians, at most π; the largest is 20"),
        ((1, 3), -12.5, "must be angles in radians, at most π; the largest is 12.5"),
    ],
)
def test_impossible_labels_are_named(place, value, message, tmp_path):
    label = labels_of(0)
    label[place] = value
    write(tmp_path / "p00.mat", pictures_of(0), label)
    with pytest.raises(CourseError, match=rf"p00\.mat: .*{message}"):
        MPIIFaceGaze(tmp_path, people=[0])


def test_gaze_above_the_camera_in_the_median_is_refused_as_wrong_signs(tmp_path):
    label = labels_of(0, 100)
    label[60:, 0] *= -1  # most still look down
    write(tmp_path / "p00.mat", (100, 3, SIDE, SIDE), label, dtype="u1")
    assert len(MPIIFaceGaze(tmp_path, people=[0])) == 100
    with pytest.raises(CourseError, match=r"above the camera in the median.* not in the course's form: .*signs=True"):
        MPIIFaceGaze(tmp_path, people=[0], opposite_signs=False)
    label[:, 0] *= -1
    write(tmp_path / "p00.mat", (100, 3, SIDE, SIDE), label, dtype="u1")
    with pytest.raises(CourseError, match=r"above the camera in the median.* already in the course's form: .*=False"):
        MPIIFaceGaze(tmp_path, people=[0])
    assert len(MPIIFaceGaze(tmp_path, people=[0], opposite_signs=False)) == 100


def test_a_few_images_with_upward_gaze_say_nothing_about_the_signs(tmp_path):
    label = labels_of(0)
    label[:, 0] *= -1
    write(tmp_path / "p00.mat", pictures_of(0), label)
    assert (MPIIFaceGaze(tmp_path, people=[0]).gaze[:, 0] > 0).all()


@pytest.mark.parametrize(
    ("low", "high", "dtype", "message"),
    [
        (0, 0.9, "f4", "got 0 to 0.9"),
        (-1, 1, "f4", "got -1 to 1"),
        (0, 256, "f8", "got 0 to 256"),
        (0, 65535, "u2", r"got 0 to 6.55\de\+04"),
        (0, np.nan, "f4", "got nan to nan"),
    ],
)
def test_images_of_another_range_are_refused_when_read(low, high, dtype, message, tmp_path):
    picture = np.full((3, SIDE, SIDE), low, dtype)
    picture[1, 200, 200] = high
    faces = one(tmp_path, picture)
    with pytest.raises(CourseError, match=rf"p00\.mat: image 0 must hold values from 0 to 255; {message}"):
        faces[0]


def test_a_black_image_is_an_image(tmp_path):
    assert one(tmp_path, np.zeros((3, SIDE, SIDE), np.float32), size=32)[0].image.sum() == 0
