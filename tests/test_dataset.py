"""Rendered sets: the same bytes however they are made, and nothing damaged is ever learned from."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gazecourse import files as course_files
from gazecourse.angles import vector_to_pitchyaw
from gazecourse.errors import CourseError
from gazecourse.faces import attributes, dataset, rendering, shards
from gazecourse.faces.dataset import FaceDataset, ensure, face_set
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.rendering import render
from gazecourse.faces.shards import FaceSet
from gazecourse.sample import collate

TINY = {"size": 32, "people": 3, "images": 10}
FACES = 10


@pytest.fixture(autouse=True)
def small_shards(monkeypatch, cache):
    """Shards of four images, drawn two at a time, so that ten images make three shards."""
    monkeypatch.setattr(shards, "SHARD_IMAGES", 4)
    monkeypatch.setattr(rendering, "CPU_PIXELS", 2 * 32**2)


@pytest.fixture(scope="session")
def drawn() -> dict[tuple, dict[str, np.ndarray]]:
    """Batches drawn so far: tests of what happens to files need not draw the same faces again."""
    return {}


@pytest.fixture
def draws(monkeypatch, drawn):
    """Numbers of the images drawn in this test, in order; faces that an earlier test drew are reused."""
    numbers: list[int] = []
    draw = rendering.draw

    def remembered(device, task):
        key = (task[0], tuple(task[1]))
        numbers.extend(task[1])
        if key not in drawn:
            drawn[key] = draw(device, task)
        return drawn[key]

    monkeypatch.setattr(rendering, "draw", remembered)
    monkeypatch.setattr(rendering, "available_cores", lambda: 1)  # other processes would know nothing of this
    return numbers


def tiny(**changes) -> FaceSet:
    return face_set("studio", "train", "quick", **{**TINY, **changes})


def quietly(faces: FaceSet, **options) -> int:
    return render([faces], **{"device": "cpu", "processes": 1, "progress": False, **options})


def files(faces: FaceSet) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(faces.folder.iterdir())}


# ---------------------------------------------------------------------- the same bytes


def test_one_process_two_processes_and_two_shares_write_the_same_bytes(tmp_path):
    one, two, shared = (tiny(root=tmp_path / name) for name in ("one", "two", "shared"))
    assert quietly(one) == FACES
    assert quietly(two, processes=2) == FACES
    assert quietly(shared, part=(1, 2)) == 4
    assert len(files(shared)) == 2, "the second share is the second shard alone"
    assert quietly(shared, part=(0, 2)) == 6
    assert files(one) == files(two) == files(shared)
    assert len(files(one)) == 6


def test_bytes_do_not_depend_on_the_threads_of_the_caller(tmp_path):
    one, many = tiny(root=tmp_path / "one"), tiny(root=tmp_path / "many")
    quietly(one)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        quietly(many)
        assert torch.get_num_threads() == 2, "the caller's setting comes back"
    finally:
        torch.set_num_threads(threads)
    assert files(one) == files(many)


def test_another_seed_gives_other_pictures_and_other_gaze(draws):
    first, second = (FaceDataset("studio", "train", "quick", **TINY, seed=seed) for seed in (0, 1))
    assert (first.images != second.images).float().mean() > 0.5
    assert not torch.isclose(first.gaze, second.gaze).any()


def test_images_of_a_longer_set_begin_with_those_of_a_shorter_one(draws):
    short = FaceDataset("studio", "train", "quick", **{**TINY, "images": 4})
    long = FaceDataset("studio", "train", "quick", **TINY)
    assert torch.equal(long.images[:4], short.images)


# ---------------------------------------------------------------------- damage


def cut_off(shard):
    shard.path.write_bytes(shard.path.read_bytes()[:-100])


def change_one_pixel(shard):
    content = bytearray(shard.path.read_bytes())
    content[-1] ^= 1
    shard.path.write_bytes(content)


def empty(shard):
    shard.path.write_bytes(b"")


def lose_tensors(shard):
    shard.path.unlink()


def lose_manifest(shard):
    shard.manifest_path.unlink()


def cut_off_manifest(shard):
    shard.manifest_path.write_bytes(shard.manifest_path.read_bytes()[:20])


def swap_with_first(shard):
    shard.path.write_bytes(shard.faces.shards()[0].path.read_bytes())
    manifest = json.loads(shard.faces.shards()[0].manifest_path.read_text())
    shard.manifest_path.write_text(json.dumps(manifest))


def draw_with_older_renderer(shard):
    manifest = json.loads(shard.manifest_path.read_text())
    shard.manifest_path.write_text(json.dumps({**manifest, "renderer": -1}))


DAMAGES = (
    cut_off,
    change_one_pixel,
    empty,
    lose_tensors,
    lose_manifest,
    cut_off_manifest,
    swap_with_first,
    draw_with_older_renderer,
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_shard_is_found_and_it_alone_is_rendered_again(damage, draws):
    faces = tiny()
    quietly(faces)
    whole = files(faces)
    damage(faces.shards()[1])

    with pytest.raises(FileNotFoundError, match="--domain studio --split train --size 32"):
        FaceDataset("studio", "train", "quick", **TINY, render=False)
    draws.clear()
    FaceDataset("studio", "train", "quick", **TINY)
    assert draws == [4, 5, 6, 7]
    assert files(faces) == whole
    FaceDataset("studio", "train", "quick", **TINY, render=False)


def test_other_version_of_the_renderer_renders_everything_again(monkeypatch, draws):
    faces = tiny()
    quietly(faces)
    monkeypatch.setattr(shards, "VERSION", shards.VERSION + 1)
    assert quietly(faces) == FACES


def test_nothing_is_drawn_twice(draws):
    assert quietly(tiny()) == FACES
    assert quietly(tiny()) == 0
    assert sorted(draws) == list(range(FACES))


def test_interrupted_render_keeps_finished_shards_and_goes_on_from_them(monkeypatch, draws, tmp_path):
    faces, straight = tiny(), tiny(root=tmp_path / "straight")
    quietly(straight)
    draw = rendering.draw

    def interrupted(device, task):
        if 6 in task[1]:
            raise KeyboardInterrupt
        return draw(device, task)

    with monkeypatch.context() as patched:
        patched.setattr(rendering, "draw", interrupted)
        with pytest.raises(KeyboardInterrupt):
            quietly(faces)
    assert list(files(faces)) == ["00000.json", "00000.safetensors"]
    draws.clear()
    assert quietly(faces) == 6
    assert draws == [4, 5, 6, 7, 8, 9]
    assert files(faces) == files(straight)


# ---------------------------------------------------------------------- a disk that refuses


def fill_disk_at(monkeypatch, name: str) -> None:
    """Writing to the file of that name stops half-way."""
    write = Path.write_bytes

    def write_some(path, data):
        if name in path.name:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_some)


@pytest.mark.parametrize("name", ["00001.safetensors", "00001.json"])
def test_full_disk_leaves_no_half_written_shard_and_says_so(name, monkeypatch, draws):
    faces = tiny()
    with monkeypatch.context() as patched:
        fill_disk_at(patched, name)
        with pytest.raises(CourseError, match=f"{name} could not be written: No space left on device"):
            quietly(faces)
    assert [shard.is_whole() for shard in faces.shards()] == [True, False, False]
    assert name not in files(faces)
    assert not [path for path in faces.folder.iterdir() if "part" in path.name]
    assert quietly(faces) == 6


def test_disk_with_too_little_room_is_named_before_anything_is_drawn(monkeypatch, draws):
    monkeypatch.setattr(course_files.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(CourseError, match=r"The images need .* GB in .*synthetic.*, where .* GB are free"):
        quietly(tiny())
    assert draws == []


def test_folder_that_cannot_be_made_is_named_before_anything_is_drawn(cache, draws):
    cache.write_text("a file where the folder should be")
    with pytest.raises(CourseError, match=f"The folder {cache}.* cannot be made"):
        quietly(tiny())
    assert draws == []


def test_folder_without_write_permission_is_named_before_anything_is_drawn(monkeypatch, draws):
    monkeypatch.setattr(course_files.os, "access", lambda folder, mode: False)
    with pytest.raises(CourseError, match="cannot be written to: no permission"):
        quietly(tiny())
    assert draws == []


# ---------------------------------------------------------------------- processes


def test_script_without_main_guard_runs_once_although_it_renders_in_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "from gazecourse.faces.dataset import FaceDataset\n"
        "from gazecourse.faces import rendering\n"
        "rendering.available_cores, rendering.CPU_PIXELS = lambda: 2, 10 * 16**2\n"
        "print(len(FaceDataset('lab', 'test', 'quick', size=16, people=2, images=30)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "once"
    assert done.stdout.splitlines()[-1] == "30"
    assert done.stdout.count("once\n") == 1


def test_process_that_dies_is_reported_in_one_sentence(monkeypatch):
    monkeypatch.setattr(rendering, "draw", _die)
    with pytest.raises(CourseError, match="ended from outside"):
        quietly(tiny(), processes=2)


def _die(device, task):
    os._exit(1)


# ---------------------------------------------------------------------- what is in a set


@pytest.mark.parametrize("domain", list(DOMAINS))
def test_nobody_is_in_both_splits(domain, draws):
    train = FaceDataset(domain, "train", "quick", size=16, people=5, images=6)
    test = FaceDataset(domain, "test", "quick", size=16, people=3, images=6)
    assert (len(train.people), len(test.people)) == (5, 3)
    assert not set(train.people) & set(test.people)
    closest = torch.cdist(train.factors.identity, test.factors.identity).min()
    assert closest > 0.1, "a person of the test split has the shape of one in the training split"


def test_loaded_tensors_are_what_was_drawn_in_order(draws):
    faces = FaceDataset("studio", "train", "quick", **TINY)
    fresh = rendering.draw("cpu", (tiny(), range(4, 6)))
    assert torch.equal(faces.images[4:6], torch.from_numpy(fresh["images"]))
    for name, values in faces.labels.items():
        assert torch.equal(values[4:6], torch.from_numpy(fresh[f"labels.{name}"])), name
    for name, values in faces.factors.items():
        assert torch.equal(values[4:6].nan_to_num(), torch.from_numpy(fresh[f"factors.{name}"]).nan_to_num()), name


def test_images_are_rounded_not_cut(monkeypatch):
    class Flat:
        def render(self, factors):
            return torch.full((len(factors), 3, 32, 32), 200.6 / 255), {}

    monkeypatch.setattr(rendering, "_renderer", lambda size, device: Flat())
    assert rendering.draw("cpu", (tiny(), range(2)))["images"].max() == 201


def test_gaze_label_points_from_face_center_to_target(draws):
    faces = FaceDataset("laptop", "train", "quick", **TINY)
    direction = faces.labels["target"] - faces.labels["face_center"]
    torch.testing.assert_close(faces.gaze, vector_to_pitchyaw(direction), atol=1e-4, rtol=0)


def test_sample_carries_image_labels_and_classes_of_its_index(draws):
    faces = FaceDataset("studio", "train", "quick", **TINY)
    sample = faces[7]
    assert sample.image.dtype == torch.uint8
    assert sample.image.shape == (3, 32, 32)
    for name in ("gaze", "head", "landmarks"):
        assert torch.equal(getattr(sample, name), getattr(faces, name)[7]), name
    assert sample.person == int(faces.person[7])
    assert sample.domain == "studio"
    assert set(sample.factors) == set(attributes.NAMED)
    assert all(
        torch.equal(sample.factors[name], values[7]) for name, values in attributes.classes(faces.factors).items()
    )
    assert torch.equal(faces[-1].image, faces[9].image)
    with pytest.raises(IndexError, match=r"\[-10, 9\]; got 10"):
        faces[10]


def test_batch_equals_collated_samples(draws):
    faces = FaceDataset("studio", "train", "quick", **TINY)
    batch, single = faces.__getitems__([3, 1, 8]), collate([faces[3], faces[1], faces[8]])
    for name in ("image", "gaze", "head", "landmarks", "person"):
        assert torch.equal(getattr(batch, name), getattr(single, name)), name
    assert batch.domain == single.domain
    assert batch.factors.keys() == single.factors.keys()
    assert all(torch.equal(batch.factors[name], single.factors[name]) for name in batch.factors)


@pytest.mark.parametrize(
    "chosen", [[2, 5, 3], torch.tensor([2, 5, 3]), np.array([2, 5, 3])], ids=["list", "tensor", "array"]
)
def test_subset_holds_the_chosen_faces_in_order(chosen, draws):
    faces = FaceDataset("studio", "train", "quick", **TINY)
    part = faces.subset(chosen)
    assert len(part) == 3
    assert torch.equal(part.images, faces.images[[2, 5, 3]])
    assert torch.equal(part.gaze, faces.gaze[[2, 5, 3]])
    assert torch.equal(part.factors.age, faces.factors.age[[2, 5, 3]])
    assert torch.equal(part[0].factors["age"], faces[2].factors["age"])
    assert len(faces) == FACES


def test_subset_by_mask_and_bad_choices(draws):
    faces = FaceDataset("studio", "train", "quick", **TINY)
    mask = torch.arange(FACES) % 2 == 0
    assert torch.equal(faces.subset(mask).gaze, faces.gaze[::2])
    assert len(faces.subset([])) == 0
    with pytest.raises(ValueError, match=r"a mask \[10\] or a list of numbers; got tensor of shape \[9\], bool"):
        faces.subset(mask[:9])
    with pytest.raises(IndexError):
        faces.subset([10])


def test_split_people_takes_every_image_of_the_held_out_and_nobody_else(draws):
    faces = FaceDataset("studio", "train", "quick", **TINY)
    out = faces.people[1]
    rest, held_out = faces.split_people([out])
    assert held_out.people == [out]
    assert rest.people == [person for person in faces.people if person != out]
    assert len(rest) + len(held_out) == FACES
    with pytest.raises(ValueError, match="held_out must be one of"):
        faces.split_people([-5])


# ---------------------------------------------------------------------- profiles and bad input


def test_ensure_renders_both_splits_of_the_domains_and_then_nothing(monkeypatch, draws):
    sizes = {"quick": {"train": TINY, "test": {"size": 32, "people": 2, "images": 3}}}
    monkeypatch.setattr(dataset, "SIZES", sizes)
    ensure(["studio", "lab"], "quick", processes=1, progress=False)
    assert len(draws) == 26
    for domain in ("studio", "lab"):
        assert len(FaceDataset(domain, "train", "quick", render=False)) == 10
        assert len(FaceDataset(domain, "test", "quick", render=False)) == 3
    draws.clear()
    ensure(["studio", "lab"], "quick", processes=1, progress=False)
    assert draws == []


def test_quick_sets_have_the_promised_size():
    for domain in DOMAINS:
        train, test = face_set(domain, "train", "quick"), face_set(domain, "test", "quick")
        assert (train.size, train.people, train.images) == (112, 40, 3000)
        assert (test.size, test.people, test.images) == (112, 10, 600)


def test_profile_in_use_decides_the_size(monkeypatch):
    monkeypatch.setenv("GAZECOURSE_PROFILE", "full")
    assert face_set("studio", "train").size == 224
    monkeypatch.delenv("GAZECOURSE_PROFILE")
    assert face_set("studio", "train").size == 112


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"domain": "kitchen"}, ValueError, "domain must be one of 'studio', 'wild', 'laptop', 'lab'; got 'kitchen'"),
        ({"split": "val"}, ValueError, "split must be one of 'train', 'test'; got 'val'"),
        ({"size": 15}, ValueError, "size must be 16 or more, at most 1024; got 15"),
        ({"size": 112.0}, TypeError, "size must be a whole number; got float 112.0"),
        ({"people": 0}, ValueError, "people must be 1 or more, at most 500000; got 0"),
        ({"people": 11}, ValueError, "people must be at most images, 10; got 11"),
        ({"images": True}, TypeError, "images must be a whole number; got bool True"),
        ({"seed": -1}, ValueError, "seed must be 0 or more"),
    ],
)
def test_bad_parameters_of_a_set_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        FaceSet(**{"domain": "studio", "split": "train", **TINY, **changes})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"processes": 0}, ValueError, "processes must be 1 or more; got 0"),
        ({"part": (2, 2)}, ValueError, "the number of the part must be 0 or more, at most 1; got 2"),
        ({"device": "abacus"}, CourseError, "device abacus cannot be used here"),
        ({"device": "cuda:99"}, CourseError, "device cuda:99 cannot be used here"),
    ],
)
def test_bad_options_of_a_render_are_named(options, error, message, draws):
    with pytest.raises(error, match=message):
        quietly(tiny(), **options)
    assert draws == []


def test_bad_names_are_refused_by_ensure():
    with pytest.raises(TypeError, match="domains must be a list of names; got str 'studio'"):
        ensure("studio")
    with pytest.raises(ValueError, match="domain must be one of"):
        ensure(["kitchen"])
    with pytest.raises(ValueError, match="profile must be one of 'quick', 'full'; got 'huge'"):
        ensure(["studio"], "huge")


def test_progress_bar_counts_images_and_shows_their_rate(capsys, draws):
    quietly(tiny(), progress=True)
    shown = capsys.readouterr().err
    assert "Rendering studio train" in shown
    assert "10/10" in shown
    assert "images/s" in shown


def test_first_use_says_that_it_renders_and_later_uses_say_nothing(capsys, draws):
    FaceDataset("studio", "train", "quick", **TINY)
    assert "It is rendered now, once." in capsys.readouterr().out
    FaceDataset("studio", "train", "quick", **TINY)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
