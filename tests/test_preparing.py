"""From a release to a store and back: nothing lost, nothing silent, whole after any interruption."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import releases as made
import torch
from torch.utils.data import DataLoader

from gazecourse import files as course_files
from gazecourse.datasets import StoredFaces, open_release, preparing, source, store
from gazecourse.datasets.preparing import prepare, store_folder
from gazecourse.errors import CourseError
from gazecourse.sample import collate

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch, cache):
    monkeypatch.setattr(source, "SHARD", 4)


@pytest.fixture
def raw(tmp_path):
    """Ten photographs, of which one is cut off and one line is short."""
    root = made.mpiifacegaze_raw(tmp_path / "raw", people=(0, 3), images=5)
    path = root / "p00" / "day01" / "0002.jpg"
    path.write_bytes(path.read_bytes()[:5000])
    lines = (root / "p03" / "p03.txt").read_text().splitlines()
    (root / "p03" / "p03.txt").write_text("\n".join([*lines[:4], lines[4][:40]]))
    return open_release("mpiifacegaze", root, missing_ok=True)


def quietly(release, size=32, **options) -> dict:
    return prepare(release, size=size, processes=1, progress=False, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# ---------------------------------------------------------------------- there and back


@pytest.mark.parametrize(
    ("name", "kind", "make"),
    [
        ("mpiifacegaze", "normalized", made.mpiifacegaze_normalized),
        ("mpiifacegaze", "raw", made.mpiifacegaze_raw),
        ("eth_xgaze", "patches", made.eth_xgaze),
        ("gaze360", "faces", made.gaze360),
        ("eyediap", "raw", made.eyediap),
        ("eyediap", "gazehub", lambda root: made.gazehub(root, "eyediap", 1)),
    ],
)
def test_stored_faces_are_the_faces_of_the_release(name, kind, make, tmp_path):
    release = open_release(name, make(tmp_path / "it"), kind, missing_ok=True)
    manifest = quietly(release, 48)
    faces = StoredFaces(name)
    expected = list(release.faces(48))
    assert len(faces) == len(expected) == manifest["images"] == manifest["records"]
    for stored, sample in zip((faces[n] for n in range(len(faces))), expected, strict=True):
        assert torch.equal(stored.image, sample.image)
        assert (stored.person, stored.domain) == (sample.person, name)
        torch.testing.assert_close(stored.gaze, sample.gaze, equal_nan=True, rtol=0, atol=0)
        for label in ("head", "landmarks", "face_center", "screen"):
            if getattr(faces, label) is not None:
                assert torch.equal(getattr(stored, label), getattr(sample, label)), label
    known = {label for label in ("head", "landmarks", "face_center", "screen") if getattr(faces, label) is not None}
    given = {label for label in store.LABELS if all(getattr(sample, label) is not None for sample in expected)}
    assert known == given - {"gaze"}


def test_manifest_counts_lists_and_names_everything(raw):
    manifest = quietly(raw)
    folder = store_folder(raw, 32)
    assert manifest == json.loads((folder / "manifest.json").read_text())
    assert folder == store.real_dir() / "mpiifacegaze-raw-32px"
    assert (manifest["records"], manifest["images"], manifest["people"], manifest["skipped_count"]) == (10, 8, 2, 2)
    cut, short = manifest["skipped"]
    assert (cut["record"], short["record"]) == (2, 9)
    assert cut["where"].endswith("p00.txt, line 3")
    assert "0002.jpg cannot be read as an image; it is cut off or damaged" in cut["reason"]
    assert short["where"].endswith("p03.txt, line 5")
    assert short["reason"].startswith("must have 28 columns; has ")
    assert manifest["terms"] == "non-commercial research only, CC BY-NC-SA 4.0"
    assert manifest["from"].startswith("https://www.mpi-inf.mpg.de")
    assert manifest["source"] == raw.fingerprint
    assert manifest["splits"] == {"all": 8}
    assert manifest["warnings"] == raw.warnings
    assert [shard["images"] for shard in manifest["shards"]] == [3, 4, 1]
    for shard in manifest["shards"]:
        path = folder / shard["file"]
        assert path.stat().st_size == shard["bytes"]
        assert course_files.read_checked(path) is not None


def test_splits_are_kept_apart_and_what_is_left_out_is_counted(tmp_path):
    manifest = quietly(open_release("gaze360", made.gaze360(tmp_path)))
    assert manifest["splits"] == {"train": 2, "val": 2, "test": 2, "unused": 1}
    assert manifest["left_out"] == {"no face was found in them": 1}
    train, test = StoredFaces("gaze360", ["train"]), StoredFaces("gaze360", ["test"])
    assert (len(train), len(test), len(StoredFaces("gaze360", ["train", "val"]))) == (2, 2, 4)
    assert train.person.tolist() == test.person.tolist() == [0, 1], "entries 0 and 4, 2 and 6, all of one recording"
    with pytest.raises(ValueError, match="splits must be one of 'train', 'val', 'test', 'unused'; got 'all'"):
        StoredFaces("gaze360", ["all"])


def test_gaze_that_the_release_keeps_to_itself_stays_unknown(tmp_path):
    quietly(open_release("eth_xgaze", made.eth_xgaze(tmp_path)))
    assert StoredFaces("eth_xgaze", ["test"]).gaze.isnan().all()
    assert not StoredFaces("eth_xgaze", ["train"]).gaze.isnan().any()


def test_landmarks_that_some_faces_lack_are_there_for_those_that_have_them(tmp_path):
    quietly(open_release("gaze360", made.gaze360(tmp_path)))
    faces = StoredFaces("gaze360")
    assert faces.landmarks is None
    assert faces[0].landmarks is None
    assert faces.subset([0, 1, 2]).landmarks.shape == (3, 2, 2)


def test_usual_places_of_the_eyes_stand_in_where_asked_for(tmp_path):
    quietly(open_release("eth_xgaze", made.eth_xgaze(tmp_path)), 112)
    assert StoredFaces("eth_xgaze").landmarks is None
    faces = StoredFaces("eth_xgaze", typical_eyes=True, size=56)
    np.testing.assert_allclose(faces.landmarks[4], np.array([(63, 74), (151, 74)]) / 4, rtol=1e-6)
    assert faces.__getitems__([0, 1]).landmarks.shape == (2, 2, 2)
    assert len(faces.subset([0, 1]).landmarks) == 2


def test_nothing_of_a_face_is_kept_while_others_are_read(raw, monkeypatch):
    """What is kept lies between the large arrays of warping and holds their memory: a gigabyte a process."""
    read, alive = raw.face, []

    def face(row, size):
        sample = read(row, size)
        alive.append([weakref.ref(value) for name in raw.holds if (value := getattr(sample, name)) is not None])
        gone = alive[:-2]  # the one before may still be at hand
        assert not any(label() is not None for labels in gone for label in labels)
        return sample

    monkeypatch.setattr(raw, "face", face)
    monkeypatch.setattr(raw, "shards", lambda: [range(len(raw))])
    assert quietly(raw)["images"] == 8
    assert len(alive) == 8


# ---------------------------------------------------------------------- reading


@pytest.fixture
def faces(tmp_path) -> StoredFaces:
    """Nine faces in three shards that all differ."""
    root = made.eth_xgaze(tmp_path / "it", images=3)
    for number, path in enumerate(sorted((root / "train").iterdir())):
        import h5py

        with h5py.File(path, "a") as file:
            file["face_patch"][...] = np.random.default_rng(number).integers(0, 255, (3, 224, 224, 3), np.uint8)
            file["face_gaze"][...] = np.random.default_rng(number).normal(0, 0.2, (3, 2))
    quietly(open_release("eth_xgaze", root), 64)
    return StoredFaces("eth_xgaze")


@pytest.mark.parametrize("as_type", [list, torch.tensor, np.array])
def test_batch_is_the_single_faces_in_the_order_asked_for(as_type, faces):
    order = [5, 0, 3, 5, 1]
    batch, single = faces.__getitems__(as_type(order)), collate([faces[number] for number in order])
    for name in ("image", "gaze", "head", "person"):
        assert torch.equal(getattr(batch, name), getattr(single, name)), name
    assert batch.domain == single.domain
    assert len({image.float().mean().item() for image in batch.image}) == 4


def test_smaller_images_are_resized_with_antialiasing(faces):
    half = StoredFaces("eth_xgaze", size=32)
    mean = torch.nn.functional.avg_pool2d(faces[2].image.float(), 2)
    assert (half[2].image.float() - mean).abs().mean() < 12
    assert half.__getitems__([2, 1]).image.shape == (2, 3, 32, 32)


def test_workers_and_pickled_copies_read_the_same(faces):
    copy = pickle.loads(pickle.dumps(faces))
    assert torch.equal(copy[4].image, faces[4].image)
    for here, there in zip(*(DataLoader(faces, 4, num_workers=n, collate_fn=collate) for n in (0, 2)), strict=True):
        assert torch.equal(here.image, there.image)


def test_people_can_be_left_out(faces):
    rest, held_out = faces.split_people([27])
    assert (rest.people, held_out.people) == ([0, 3], [27])
    assert torch.equal(held_out[1].image, faces[4].image)
    assert repr(held_out) == "StoredFaces(eth_xgaze: 3 images of 1 people, 64 × 64)"
    with pytest.raises(IndexError, match=r"\[-3, 2\]; got 3"):
        held_out[3]


# ---------------------------------------------------------------------- names


def test_set_that_is_not_prepared_says_how(cache):
    with pytest.raises(FileNotFoundError, match="python -m gazecourse prepare gaze360 --from FOLDER"):
        StoredFaces("gaze360")


def test_two_releases_of_a_set_must_be_told_apart(tmp_path):
    quietly(open_release("mpiifacegaze", made.mpiifacegaze_raw(tmp_path / "r", images=1), missing_ok=True))
    quietly(open_release("mpiifacegaze", made.mpiifacegaze_normalized(tmp_path / "n"), missing_ok=True))
    with pytest.raises(ValueError, match="say which you mean: mpiifacegaze-normalized-32px, mpiifacegaze-raw-32px"):
        StoredFaces("mpiifacegaze")
    assert len(StoredFaces("mpiifacegaze-raw")) == 2
    assert len(StoredFaces("mpiifacegaze-normalized-32px")) == 6


def test_store_elsewhere_is_read_by_its_folder(raw, tmp_path):
    quietly(raw, root=tmp_path / "elsewhere")
    assert len(StoredFaces(tmp_path / "elsewhere" / "mpiifacegaze-raw-32px")) == 8
    assert store.prepared() == {}


# ---------------------------------------------------------------------- interruptions and damage


def test_prepared_again_nothing_is_read_and_nothing_changes(raw, monkeypatch):
    quietly(raw)
    before = content(store_folder(raw, 32))
    monkeypatch.setattr(preparing, "_read", lambda task: pytest.fail("read again"))
    quietly(raw)
    assert content(store_folder(raw, 32)) == before


def test_interrupted_preparation_goes_on_and_ends_the_same(raw, monkeypatch, tmp_path):
    quietly(raw, root=tmp_path / "at once")
    read, calls = preparing._read, []

    def until_the_second(task):
        calls.append(task.first)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(task)

    with monkeypatch.context() as patched:
        patched.setattr(preparing, "_read", until_the_second)
        with pytest.raises(KeyboardInterrupt):
            quietly(raw)
    with pytest.raises(FileNotFoundError, match="is not finished: the same prepare command goes on where it stopped"):
        StoredFaces(store_folder(raw, 32))
    calls.clear()
    monkeypatch.setattr(preparing, "_read", lambda task: calls.append(task.first) or read(task))
    quietly(raw)
    assert calls == [4, 8], "the first shard is kept"
    assert content(store_folder(raw, 32)) == content(tmp_path / "at once" / "mpiifacegaze-raw-32px")


@pytest.mark.parametrize("harm", ["cut", "flip", "no description", "half a description", "gone"])
def test_damaged_shard_is_found_and_made_again(harm, raw):
    quietly(raw)
    folder = store_folder(raw, 32)
    before = content(folder)
    path = folder / "00001.safetensors"
    if harm == "cut":
        path.write_bytes(before[path.name][:-100])
    elif harm == "flip":
        path.write_bytes(before[path.name][:-100] + b"x" + before[path.name][-99:])
    elif harm == "no description":
        path.with_suffix(".json").unlink()
    elif harm == "half a description":
        path.with_suffix(".json").write_bytes(before["00001.json"][:50])
    else:
        path.unlink()
    if harm in ("cut", "gone"):
        with pytest.raises(CourseError, match=r"00001\.safetensors is (cut off or altered|missing)\. The same prepare"):
            StoredFaces(folder)
    quietly(raw)
    assert content(folder) == before


def test_shard_that_is_cut_off_after_opening_is_named(raw):
    quietly(raw)
    faces = StoredFaces("mpiifacegaze")
    path = faces.folder / "00001.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    assert faces[0].image.shape == (3, 32, 32)
    with pytest.raises(CourseError, match=r"00001\.safetensors is cut off\."):
        faces[6]
    path.unlink()
    with pytest.raises(CourseError, match=r"00001\.safetensors cannot be read: No such file"):
        faces[6]


def test_other_labels_make_everything_anew(raw, tmp_path):
    quietly(raw)
    path = tmp_path / "raw" / "p00" / "p00.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:3]))
    path = tmp_path / "raw" / "p03" / "p03.txt"
    path.unlink()
    manifest = quietly(open_release("mpiifacegaze", tmp_path / "raw", missing_ok=True))
    assert (manifest["records"], manifest["images"]) == (3, 2)
    assert sorted(p.name for p in store_folder(raw, 32).iterdir()) == [
        "00000.json", "00000.safetensors", "manifest.json",
    ]  # fmt: skip


def test_killed_processes_leave_whole_shards_only_and_the_next_run_goes_on(tmp_path):
    """SIGKILL at any moment: the main process and its workers die without a word."""
    root = made.mpiifacegaze_raw(tmp_path / "raw", people=(0,), images=14)
    code = (
        "import sys; from gazecourse.datasets import source, open_release; source.SHARD = 2\n"
        "from gazecourse.datasets.preparing import prepare\n"
        "prepare(open_release('mpiifacegaze', sys.argv[1], missing_ok=True), size=224, processes=1, progress=False)\n"
    )
    release = open_release("mpiifacegaze", root, missing_ok=True)
    folder = store_folder(release, 224)
    run = subprocess.Popen([sys.executable, "-c", code, str(root)], cwd=REPOSITORY, start_new_session=True)
    until = time.monotonic() + 60
    while len(list(folder.glob("*.json"))) < 2 and time.monotonic() < until and run.poll() is None:
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    kept = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.safetensors") if course_files.read_checked(p)}
    assert kept
    subprocess.run([sys.executable, "-c", code, str(root)], cwd=REPOSITORY, check=True)
    assert len(StoredFaces("mpiifacegaze")) == 14
    after = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.safetensors")}
    assert all(after[name] == at for name, at in kept.items()), "whole shards are not made again"


def test_two_processes_make_the_same_bytes_as_one(raw, tmp_path):
    quietly(raw)
    prepare(raw, size=32, processes=2, progress=False, root=tmp_path / "two")
    assert content(tmp_path / "two" / "mpiifacegaze-raw-32px") == content(store_folder(raw, 32))


# ---------------------------------------------------------------------- refusals


def test_nothing_that_can_be_used_is_an_error_that_names_the_first(tmp_path):
    root = made.mpiifacegaze_raw(tmp_path, people=(0,), images=3)
    for path in (root / "p00" / "day01").iterdir():
        path.write_bytes(b"")
    release = open_release("mpiifacegaze", root, missing_ok=True)
    with pytest.raises(CourseError, match=r"None of the 3 records of .* The first: .*line 1: .*0000\.jpg is empty"):
        quietly(release)
    assert store.prepared() == {}


def test_full_disk_is_named_before_anything_is_read(raw, monkeypatch):
    monkeypatch.setattr(course_files.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 100})())
    monkeypatch.setattr(preparing, "_read", lambda task: pytest.fail("read"))
    with pytest.raises(CourseError, match=r"The images need .* GB in .*mpiifacegaze-raw-32px, where 0\.0 GB are free"):
        quietly(raw)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": 8}, ValueError, "size must be 16 or more, at most 1024; got 8"),
        ({"size": "big"}, TypeError, "size must be a whole number; got str 'big'"),
        ({"processes": 0}, ValueError, "processes must be 1 or more; got 0"),
    ],
)
def test_bad_arguments_are_named(options, error, message, raw):
    with pytest.raises(error, match=message):
        prepare(raw, progress=False, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"format"', r"manifest\.json is damaged"), ('{"format": 0}', "was prepared by another version of the course")],
)
def test_manifest_that_is_none_is_named(text, message, raw):
    quietly(raw)
    (store_folder(raw, 32) / "manifest.json").write_text(text)
    with pytest.raises(CourseError, match=message):
        StoredFaces("mpiifacegaze")


def test_progress_tells_images_and_what_was_skipped(raw, capsys):
    prepare(raw, size=32, processes=1)
    shown = capsys.readouterr().err.splitlines()[-1].rpartition("\r")[2]
    assert "MPIIFaceGaze (raw): 100%" in shown
    assert "10/10" in shown
    assert "skipped=2" in shown
