"""Landmark data sets are prepared like the others: every landmark on its pixel, every factor kept, nothing silent."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_face_photos import (
    BOXES,
    assert_landmark_is_on_its_pixel,
    cofw_labels,
    face,
    photo,
    pts,
    save,
    wflw_line,
    write_cofw,
    write_list,
)

from gazecourse import __main__ as cli
from gazecourse.datasets import StoredFaces, cofw, face_photos, ibug_300w, open_release, source, wflw
from gazecourse.datasets.preparing import prepare, store_folder
from gazecourse.datasets.releases import SETS
from gazecourse.errors import CourseError

SIZE = 64
FOLDERS_300W = ("afw", "helen/trainset", "lfpw/trainset", "helen/testset", "lfpw/testset", "ibug")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch, cache):
    monkeypatch.setattr(source, "SHARD", 4)


def make_wflw(root: Path, monkeypatch) -> Path:
    """Five training faces and three to test on; landmark 5 + number is bright, the second of each split is occluded."""
    monkeypatch.setattr(wflw, "FACES", {"train": 5, "test": 3})
    for split, count in wflw.FACES.items():
        lines = []
        for number in range(count):
            name = f"{split}/{number}.png"
            save(photo(face(98, number), 5 + number), root / "WFLW_images" / name)
            lines.append(wflw_line(face(98, number), name, (0, 0, 0, 0, int(number == 1), 0)))
        write_list(root, lines, split)
    return root


def make_300w(root: Path, monkeypatch) -> Path:
    """One face in each folder; landmark 5 + number is bright."""
    monkeypatch.setattr(ibug_300w, "FACES", {"train": 3, "full": 3})
    for number, folder in enumerate(FOLDERS_300W):
        save(photo(face(68, number), 5 + number % 3), root / folder / f"{number}.png")
        (root / folder / f"{number}.pts").write_text(pts(face(68, number)))
    return root


def make_cofw(root: Path, monkeypatch) -> Path:
    """Three faces in each file; landmark 5 + number is bright."""
    monkeypatch.setattr(cofw, "FACES", {"train": 3, "test": 3})
    root.mkdir(parents=True)
    pictures = [photo(face(29, number), 5 + number) for number in range(3)]
    for split, suffix in cofw.SUFFIX.items():
        write_cofw(root / f"COFW_{split}_color.mat", cofw_labels(), pictures, BOXES[:3], suffix)
    return root


MAKERS = {"wflw": make_wflw, "300w": make_300w, "cofw": make_cofw}
POINTS = {"wflw": 98, "300w": 68, "cofw": 29}


def quietly(release, size=SIZE, **options) -> dict:
    return prepare(release, size=size, processes=1, progress=False, **options)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A release, made and opened."""
    return lambda name: open_release(name, MAKERS[name](tmp_path / name, monkeypatch))


# ---------------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", MAKERS)
def test_stored_landmarks_lie_on_the_pixels_where_they_were_planted(name, opened):
    manifest = quietly(opened(name))
    faces = StoredFaces(name)
    assert len(faces) == manifest["images"] == manifest["records"] == sum(manifest["splits"].values())
    assert faces.landmarks.shape == (len(faces), POINTS[name], 2)
    assert faces.gaze is None
    for split in ("train", "test"):
        part = StoredFaces(name, [split])
        for number in range(3):
            assert_landmark_is_on_its_pixel(part[number], 5 + number)
    assert len(faces.people) == len(faces), "nobody knows who is who"
    assert manifest["people"] is None
    assert repr(faces) == f"StoredFaces({name}: {len(faces)} images, {SIZE} × {SIZE})"


def test_smaller_images_bring_their_landmarks_along(opened):
    quietly(opened("wflw"), 128)
    for number, sample in enumerate(StoredFaces("wflw", ["test"], size=SIZE)[n] for n in range(3)):
        assert_landmark_is_on_its_pixel(sample, 5 + number)


def test_factors_of_every_set_are_those_of_the_face(opened):
    for name in MAKERS:
        quietly(opened(name))
    faces = StoredFaces("wflw")
    assert set(faces.factors) == set(wflw.FLAGS)
    assert faces.factors["occlusion"].tolist() == [0, 1, 0, 0, 0, 0, 1, 0]
    assert not faces.factors["blur"].any()
    assert [int(faces[row].factors["occlusion"]) for row in (0, 1)] == [0, 1]
    assert faces.__getitems__([7, 6, 0, 1]).factors["occlusion"].tolist() == [0, 1, 0, 1]
    assert faces.subset([6]).factors["occlusion"].tolist() == [1]
    assert StoredFaces("300w", ["test"]).factors["challenge"].tolist() == [0, 0, 1]
    expected = torch.from_numpy(cofw_labels()[:, 58:] == 1)
    assert expected.any()
    assert torch.equal(StoredFaces("cofw", ["test"]).factors["occluded"].bool(), expected)


def test_default_size_is_the_papers(opened):
    release = opened("300w")
    prepare(release, processes=1, progress=False)
    assert store_folder(release).name == "300w-photos-256px"
    assert StoredFaces("300w").size == 256


@pytest.mark.parametrize("name", MAKERS)
def test_part_gives_the_same_faces_in_another_process(name, opened):
    release = opened(name)
    rows = range(2, 5)  # of both splits, except in WFLW
    part = pickle.loads(pickle.dumps(release.part(rows)))
    for own, row in enumerate(rows):
        assert part.where(own) == release.where(row)
        found, expected = part.face(own, SIZE), release.face(row, SIZE)
        assert torch.equal(found.image, expected.image)
        assert torch.equal(found.landmarks, expected.landmarks)
        assert found.person == expected.person == row


# ---------------------------------------------------------------------- what is wrong with it


def test_photographs_that_are_missing_or_cut_off_are_skipped_and_listed(opened, tmp_path):
    release = opened("wflw")
    (tmp_path / "wflw" / "WFLW_images" / "train" / "1.png").unlink()
    cut = tmp_path / "wflw" / "WFLW_images" / "test" / "0.png"
    cut.write_bytes(cut.read_bytes()[:60])
    manifest = quietly(release)
    assert (manifest["records"], manifest["images"], manifest["skipped_count"]) == (8, 6, 2)
    gone, broken = manifest["skipped"]
    assert (gone["record"], broken["record"]) == (1, 5)
    assert gone["where"].endswith("WFLW_images/train/1.png")
    assert "1.png" in gone["reason"]
    assert "cannot be read as an image" in broken["reason"]
    assert_landmark_is_on_its_pixel(StoredFaces("wflw", ["train"])[1], 7)
    assert StoredFaces("wflw").factors["occlusion"].tolist() == [0, 0, 0, 0, 1, 0], "flags of those that are there"


@pytest.mark.parametrize(
    ("first", "box"), [("1e300", None), ("4000.0", None), (None, "0 0 3000000 3000000"), (None, "1e300 0 2e300 90")]
)
def test_face_far_outside_its_photograph_is_skipped_and_named_and_the_others_are_kept(
    first, box, tmp_path, monkeypatch
):
    """One damaged line must neither ask for terabytes of memory nor become an endless landmark."""
    root = make_wflw(tmp_path / "wflw", monkeypatch)
    monkeypatch.setattr(face_photos, "MOST_ODD", 0.5)  # one of three is a small share of thousands
    (path,) = root.rglob("list_*_test.txt")
    lines = path.read_text().splitlines()
    fields = lines[1].split()
    fields[0] = first or fields[0]
    fields[196:200] = box.split() if box else fields[196:200]
    path.write_text("\n".join([lines[0], " ".join(fields), lines[2]]))
    manifest = quietly(open_release("wflw", root))
    (skipped,) = manifest["skipped"]
    assert skipped["record"] == 6
    assert skipped["reason"].endswith("test/1.png: the box or a landmark lies far outside the photograph, 120 × 100.")
    assert_landmark_is_on_its_pixel(StoredFaces("wflw", ["test"])[1], 7)


def test_missing_split_is_an_error_or_a_warning_where_asked_for(opened, tmp_path):
    opened("cofw")
    (tmp_path / "cofw" / "COFW_train_color.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"COFW_train_color\.mat.*neither ships nor downloads COFW"):
        open_release("cofw", tmp_path / "cofw")
    release = open_release("cofw", tmp_path / "cofw", missing_ok=True)
    manifest = quietly(release)
    assert manifest["warnings"] == ["the train split is missing"]
    assert manifest["splits"] == {"train": 0, "test": 3}
    assert_landmark_is_on_its_pixel(StoredFaces("cofw", ["test"])[2], 7)
    (tmp_path / "cofw" / "COFW_test_color.mat").unlink()
    with pytest.raises(FileNotFoundError, match="neither ships nor downloads COFW"):
        open_release("cofw", tmp_path / "cofw", missing_ok=True)


def test_releases_for_gaze_are_not_asked_for_landmark_sets(opened, tmp_path):
    opened("wflw")
    with pytest.raises(ValueError, match="release must be one of 'photos'; got 'gazehub'"):
        open_release("wflw", tmp_path / "wflw", "gazehub")


def test_unfinished_preparation_goes_on_and_ends_the_same(opened, monkeypatch):
    release = opened("wflw")
    folder = store_folder(release, SIZE)
    quietly(release)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "manifest.json").unlink()
    (folder / "00001.safetensors").write_bytes(b"cut off")
    read = []
    own = type(release).face
    monkeypatch.setattr(type(release), "face", lambda self, row, size: read.append(row) or own(self, row, size))
    quietly(release)
    assert len(read) == 4, "the whole shard was kept"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_fingerprint_is_of_landmarks_boxes_flags_and_names_and_not_of_the_place(tmp_path, monkeypatch):
    release = open_release("wflw", make_wflw(tmp_path / "a", monkeypatch))
    assert release.fingerprint == open_release("wflw", make_wflw(tmp_path / "b", monkeypatch)).fingerprint
    known = {release.fingerprint}
    point, box = f" {face(98, 1)[7, 0]:.6f} ", " 30 25 95 90 "
    changes = (
        (" 0 0 0 0 1 0 ", " 0 0 0 1 1 0 "),
        ("test/0.png", "test/2.png"),
        (point, f"{point[:-2]}5 "),
        (box, box.replace("90", "99")),
    )
    for number, (old, new) in enumerate(changes):
        root = make_wflw(tmp_path / f"c{number}", monkeypatch)
        for path in root.rglob("list_*_test.txt"):
            path.write_text(path.read_text().replace(old, new, 1))
        known.add(open_release("wflw", root).fingerprint)
    assert len(known) == 1 + len(changes)


def test_wrong_number_of_faces_is_named(opened, monkeypatch, tmp_path):
    opened("wflw")
    monkeypatch.setattr(wflw, "FACES", {"train": 5, "test": 4})
    with pytest.raises(CourseError, match="must hold 4 faces; it holds 3: it was cut off"):
        open_release("wflw", tmp_path / "wflw")


def test_command_prepares_and_tells_what_became_of_it(opened, tmp_path, capsys):
    opened("300w")
    assert cli.main(["prepare", "300w", "--from", str(tmp_path / "300w"), "--size", "64", "--processes", "1"]) == 0
    out = capsys.readouterr().out
    assert "300W: 6 images in " in out
    assert "terms: research only" in out
    assert cli.main(["prepare", "wflw"]) == 0
    assert "The course neither ships nor downloads WFLW: get it from its authors, https://" in capsys.readouterr().out


def test_landmarks_are_stored_to_a_hundredth_of_a_pixel(opened):
    release = opened("wflw")
    quietly(release)
    stored = StoredFaces("wflw").landmarks
    expected = torch.stack([release.face(row, SIZE).landmarks for row in range(len(release))])
    np.testing.assert_allclose(stored, expected, atol=1e-4)


@pytest.mark.parametrize("name", SETS)
def test_script_of_every_set_says_what_to_download(name):
    script = Path(__file__).resolve().parents[1] / "data_scripts" / f"prepare_{name}.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f"Then: python -m gazecourse prepare {name} --from FOLDER\n")


def test_script_passes_its_options_on(opened, tmp_path):
    opened("wflw")
    script = Path(__file__).resolve().parents[1] / "data_scripts" / "prepare_wflw.py"
    arguments = ["--from", tmp_path / "wflw", "--into", tmp_path / "stores"]
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "must hold 7,500 faces; it holds 5: it was cut off" in done.stderr
