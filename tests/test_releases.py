"""Every release becomes the course's samples: one face that looks up and to the left, all the way through."""

from __future__ import annotations

import copy
import pickle
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import releases as made
import scipy.io
import torch
from scipy.spatial.transform import Rotation

from gazecourse.angles import pitchyaw_to_vector, rotation_to_pitchyaw
from gazecourse.datasets import open_release, releases
from gazecourse.datasets.eth_xgaze import ETHXGaze
from gazecourse.datasets.source import Skipped, Source
from gazecourse.errors import CourseError
from gazecourse.normalization import normalizing_rotation
from gazecourse.sample import Sample

OF_PATCHES = {
    "mpiifacegaze-normalized": (made.mpiifacegaze_normalized, "mpiifacegaze", "normalized"),
    "eth_xgaze-patches": (made.eth_xgaze, "eth_xgaze", "patches"),
    "gaze360-faces": (made.gaze360, "gaze360", "faces"),
    "mpiifacegaze-gazehub": (lambda root: made.gazehub(root, "mpiifacegaze"), "mpiifacegaze", "gazehub"),
    "eyediap-gazehub": (lambda root: made.gazehub(root, "eyediap"), "eyediap", "gazehub"),
    "gaze360-gazehub": (lambda root: made.gazehub(root, "gaze360"), "gaze360", "gazehub"),
    "eth_xgaze-gazehub": (lambda root: made.gazehub(root, "eth_xgaze"), "eth_xgaze", "gazehub"),
}
OF_PHOTOGRAPHS = {
    "mpiifacegaze-raw": (made.mpiifacegaze_raw, "mpiifacegaze", "raw"),
    "eyediap-raw": (made.eyediap, "eyediap", "raw"),
}
ALL = {**OF_PATCHES, **OF_PHOTOGRAPHS}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Each release, made and opened once."""
    found: dict[str, Source] = {}

    def get(key: str) -> Source:
        if key not in found:
            make, name, kind = ALL[key]
            found[key] = open_release(name, make(tmp_path_factory.mktemp("release")), kind, missing_ok=True)
        return found[key]

    return get


def samples(source: Source, size: int = 96) -> list[Sample]:
    """All samples; nothing may be skipped."""
    faces = list(source.faces(size))
    assert len(faces) == len(source)
    assert not [face for face in faces if isinstance(face, Skipped)]
    return faces


# ---------------------------------------------------------------------- up and to the left


@pytest.mark.parametrize("key", OF_PATCHES)
def test_face_looking_up_left_is_read_so_and_stands_upright_in_rgb(key, opened):
    source = opened(key)
    for face in samples(source):
        if not face.gaze.isnan().any():
            np.testing.assert_allclose(pitchyaw_to_vector(face.gaze), made.UP_LEFT, atol=2e-5)
            assert face.gaze.min() > 0.3, "up is a positive pitch, and left a positive yaw"
        if face.head is not None:
            np.testing.assert_allclose(face.head, made.HEAD_ANGLES, atol=1e-6)
        assert face.image.shape == (3, 96, 96)
        assert face.image.dtype == torch.uint8
        made.assert_upright(face.image)


def projected(center: np.ndarray, along: np.ndarray, size: int) -> np.ndarray:
    """Where the normalized camera sees a point at ``along`` from a face at that distance; by hand."""
    distance = np.linalg.norm(center)
    point = np.array([0, 0, distance]) + along
    focal = 960 / 224 * size * distance / 600
    return focal * point[:2] / point[2] + size / 2


@pytest.mark.parametrize("key", OF_PHOTOGRAPHS)
def test_point_along_the_gaze_appears_where_the_label_says(key, opened):
    """The picture and the label went through different matrices; only both right agree."""
    for face in samples(opened(key), 224):
        center = face.face_center.double().numpy()
        np.testing.assert_allclose(made.find_spot(face.image, made.RED), (112, 112), atol=1.6)
        gaze = pitchyaw_to_vector(face.gaze.double()).numpy()
        spot = made.find_spot(face.image, made.GREEN)
        np.testing.assert_allclose(spot, projected(center, 50 * gaze, 224), atol=1.6)
        assert spot[0] < 100, "to the left of the image"
        assert spot[1] < 108, "and up"


@pytest.mark.parametrize("key", ALL)
def test_label_and_picture_are_of_the_size_asked_for(key, opened):
    small, large = (samples(opened(key), size)[0] for size in (64, 128))
    assert small.image.shape == (3, 64, 64)
    assert torch.equal(small.gaze, large.gaze)
    if small.landmarks is not None:
        np.testing.assert_allclose(2 * small.landmarks, large.landmarks, atol=1e-3)


@pytest.mark.parametrize("key", ALL)
def test_part_of_a_source_gives_the_same_samples_in_another_process(key, opened):
    source = opened(key)
    rows = range(1, len(source))
    part = pickle.loads(pickle.dumps(source.part(rows)))
    whole, own = list(source.faces(32))[1:], list(part.faces(32))
    assert len(own) == len(part) == len(rows)
    for one, other in zip(whole, own, strict=True):
        assert torch.equal(one.image, other.image)
        assert one.person == other.person
    assert [part.where(row) for row in range(len(part))] == [source.where(row) for row in rows]
    assert part.person.tolist() == source.person[1:].tolist()


@pytest.mark.parametrize("key", ALL)
def test_shards_cover_all_records_once_in_order(key, opened):
    source = opened(key)
    assert [row for rows in source.shards() for row in rows] == list(range(len(source)))


@pytest.mark.parametrize("key", ALL)
def test_fingerprint_is_of_the_labels(key, tmp_path):
    make, name, kind = ALL[key]
    root = make(tmp_path / "a")
    one = open_release(name, root, kind, missing_ok=True)
    shutil.copytree(root, tmp_path / "b")  # made twice, MATLAB's files would differ: they hold the time
    assert one.fingerprint == open_release(name, tmp_path / "b", kind, missing_ok=True).fingerprint
    changed = {"mpiifacegaze-normalized": "p00.mat", "mpiifacegaze-raw": "p00/p00.txt"}.get(key)
    if changed is None:
        changed = {"eth_xgaze-patches": "train/subject0000.h5", "gaze360-faces": "metadata.mat"}.get(key)
    if changed is None:
        changed = "Data/1_A_DS_S/screen_coordinates.txt" if key == "eyediap-raw" else None
    path = tmp_path / "b" / changed if changed else next((tmp_path / "b" / "Label").glob("*.label"))
    alter(path)
    assert open_release(name, tmp_path / "b", kind, missing_ok=True).fingerprint != one.fingerprint


def alter(path: Path) -> None:
    """Another label in the file."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            file["face_gaze"][0, 0] += 0.01
    elif path.name == "metadata.mat":
        content = scipy.io.loadmat(path)
        content["gaze_dir"][0, 0] += 0.01
        scipy.io.savemat(path, {name: value for name, value in content.items() if not name.startswith("__")})
    elif path.suffix == ".mat":
        with h5py.File(path, "a") as file:
            file["Data/label"][0, 0] += 0.01
    elif path.name == "p00.txt":
        fields = path.read_text().split(" ")
        fields[24] = str(float(fields[24]) + 1)  # the gaze target's x, millimeters
        path.write_text(" ".join(fields))
    else:
        text = path.read_text()
        digits = next(number for number in ("0.3682680", "460.000000", "200.0") if number in text)
        path.write_text(text.replace(digits, f"{digits[:-1]}1"))


@pytest.mark.parametrize("name", ["mpiifacegaze", "eth_xgaze", "gaze360", "eyediap"])
def test_kind_of_release_is_known_from_the_folder(name, tmp_path):
    for key, (make, own, kind) in ALL.items():
        if own == name:
            assert open_release(name, make(tmp_path / key), missing_ok=True).release.kind == kind


# ---------------------------------------------------------------------- each of them


def test_raw_mpiifacegaze_has_landmarks_screen_points_and_head_pose(opened):
    source = opened("mpiifacegaze-raw")
    face = samples(source, 224)[0]
    target = made.target_on_screen(made.CENTER)
    on_screen = (made.MONITOR_T - target) * [1, -1, 1]  # turned half around y
    np.testing.assert_allclose(face.screen, on_screen[:2], atol=1e-2)
    np.testing.assert_allclose(face.face_center, made.CENTER, atol=1e-4)
    # The head's landmarks, seen by the normalized camera: 45 mm to either side of the nose, eyes above, mouth below.
    eyes, mouth = face.landmarks[:4], face.landmarks[4:]
    assert (eyes[:, 1] < 112).all()
    assert (mouth[:, 1] > 112).all()
    assert (eyes[1:, 0] > eyes[:-1, 0]).all()
    assert abs(float((eyes[3] - eyes[0])[1])) < 5, "the head's tilt of 14° is taken out; it would be some 35 pixels"
    assert [face.person for face in samples(source)] == [0, 0, 3, 3]
    assert source.where(3) == f"{source.root / 'p03' / 'p03.txt'}, line 2"


@pytest.mark.parametrize("key", ["mpiifacegaze-normalized", "eth_xgaze-patches"])
def test_image_and_label_are_of_the_same_row(key, opened):
    """Every image of a file has its number in the corner."""
    faces = samples(opened(key), 112)
    assert [round(float(face.image[0, -2, -2]) / 40) for face in faces] == [0, 1, 2] * (len(faces) // 3)
    part = opened(key).part(range(4, 6))
    assert [round(float(face.image[0, -2, -2]) / 40) for face in samples(part, 112)] == [1, 2]


def test_raw_mpiifacegaze_with_another_screen_is_suspected(tmp_path):
    made.mpiifacegaze_raw(tmp_path, people=[0])
    assert open_release("mpiifacegaze", tmp_path, missing_ok=True).warnings == [
        "people missing: " + ", ".join(f"p{n:02d}/p{n:02d}.txt" for n in range(1, 15))
    ]
    moved = {"rvects": made.MONITOR_R, "tvecs": made.MONITOR_T + np.array([0.0, 40.0, 0.0])}
    scipy.io.savemat(tmp_path / "p00" / "Calibration" / "monitorPose.mat", moved)
    *_, warning = open_release("mpiifacegaze", tmp_path, missing_ok=True).warnings
    assert re.search(
        r"p00\.txt: the points of columns 2-3, put on the screen, lie 40 mm from those of columns", warning
    )


def test_eth_xgaze_knows_subjects_splits_and_who_took_what(opened):
    source = opened("eth_xgaze-patches")
    assert source.person.tolist() == [0] * 3 + [27] * 3 + [3] * 3
    assert [source.splits[n] for n in source.split] == ["train"] * 6 + ["test"] * 3
    faces = samples(source)
    assert all(face.gaze.isnan().all() for face in faces[6:]), "the test set's labels are with the authors"
    assert source.where(4).endswith("subject0027.h5, image 1 (frame 1, camera 7)")
    assert source.holds == ("gaze", "head")


def test_eth_xgaze_of_448_pixels_has_landmarks(tmp_path):
    source = open_release("eth_xgaze", made.eth_xgaze(tmp_path, subjects=[5], side=448, test=[]))
    face = samples(source, 112)[0]
    assert face.landmarks.shape == (68, 2)
    np.testing.assert_allclose(face.landmarks[10], (122 / 4, 122 / 4), atol=1e-4)
    made.assert_upright(face.image)


def test_gaze360_counts_from_zero_and_leaves_out_heads_without_a_face(opened):
    source = opened("gaze360-faces")
    assert source.left_out == {"no face was found in them": 1}
    assert [source.splits[n] for n in source.split] == ["train", "val", "test", "train", "val", "test", "unused"]
    assert source.where(1).endswith("imgs/rec_001/head/000000/000003.jpg (entry 1 of metadata.mat)")
    assert len(set(source.person.tolist())) == 4, "an identity holds within a recording"
    faces = samples(source, 80)
    np.testing.assert_allclose(faces[0].landmarks, [(20, 25), (60, 25)], atol=1e-4)
    assert faces[4].landmarks is None, "one eye was not found"


def test_gaze360_face_box_beyond_the_picture_is_moved_into_it(tmp_path):
    root = made.gaze360(tmp_path)
    content = scipy.io.loadmat(root / "metadata.mat")
    content["person_face_bbox"][0] = [0.25 + 0.1 * 0.8, 0.5 + 0.02 * 0.2, 0.1 * 0.4, 0.02 * 0.8]  # pixels 160–240
    scipy.io.savemat(root / "metadata.mat", {k: v for k, v in content.items() if not k.startswith("__")})
    face = samples(open_release("gaze360", root), 80)[0]
    assert (face.image[:, 40, 40] == face.image[:, 70, 70]).all(), "it shows the gray right edge, and no black"


def test_eyediap_uses_every_fifteenth_picture_of_sessions_with_a_screen(opened):
    source = opened("eyediap-raw")
    assert source.left_out == {"sessions with a floating ball": 1}
    assert source.warnings == []
    assert source.person.tolist() == [1, 1, 1, 14, 14, 14]
    assert source.where(4).endswith("Data/14_A_CS_M/rgb_vga.mov, picture 15")
    faces = samples(source, 224)
    for face, frame in zip(faces, (0, 15, 30, 0, 15, 30), strict=True):
        place = made.eyediap_geometry(frame)
        np.testing.assert_allclose(face.face_center, 1000 * place["center"], atol=1e-3)
        right, left = face.landmarks
        assert right[0] < 112 < left[0]
    turned = Rotation.from_rotvec([0.1, 0.2, 0.05]).as_matrix()
    virtual = normalizing_rotation(1000 * made.eyediap_geometry(0)["center"], turned)
    np.testing.assert_allclose(faces[0].head, rotation_to_pitchyaw(virtual @ turned), atol=1e-5)
    np.testing.assert_allclose(faces[0].head, (-0.1, 0.2), atol=0.05)
    assert len(source.shards()) == 2


def test_eyediap_reads_the_video_itself(tmp_path):
    pytest.importorskip("av")
    source = open_release("eyediap", made.eyediap(tmp_path, ["1_A_DS_S"], 35, video=True))
    for face, frame in zip(samples(source, 224), (0, 15, 30), strict=True):
        np.testing.assert_allclose(made.find_spot(face.image, made.RED), (112, 112), atol=1.5)
        assert face.face_center[0] == pytest.approx(1000 * made.eyediap_geometry(frame)["center"][0], abs=1e-3)


def test_eyediap_with_another_camera_is_suspected(tmp_path):
    root = made.eyediap(tmp_path, ["1_A_DS_S"])
    path = root / "Data" / "1_A_DS_S" / "rgb_vga_calibration.txt"
    path.write_text(path.read_text().replace("0.0200000000\n-0.0100000000", "0.1200000000\n-0.0100000000"))
    (warning,) = open_release("eyediap", root).warnings
    assert re.search(r"session 1_A_DS_S: the eyes of eye_tracking.txt, .* lie \d+ pixels from their places", warning)


@pytest.mark.parametrize("name", ["mpiifacegaze", "eyediap", "gaze360", "eth_xgaze"])
def test_gazehub_knows_people_and_splits(name, opened):
    source = opened(f"{name}-gazehub")
    people = {
        "mpiifacegaze": [n for n in range(15) for _ in "ab"],
        "eyediap": [n for n in range(1, 17) if n not in (12, 13) for _ in "ab"],
        "gaze360": [0, 1] * 4,
        "eth_xgaze": [1, 2],
    }
    assert source.person.tolist() == people[name]
    splits = [source.splits[n] for n in source.split]
    assert splits == {
        "gaze360": ["train"] * 2 + ["val"] * 2 + ["test"] * 2 + ["unused"] * 2,
        "eth_xgaze": ["train"] * 2,
    }.get(name, ["all"] * len(source))
    assert source.warnings == []


def test_gazehub_warns_where_vector_and_angles_differ(tmp_path):
    root = made.gazehub(tmp_path / "hub", "gaze360")
    path = root / "Label" / "test.label"
    swapped = path.read_text().replace(made.joined(0.540420, 0.368268), made.joined(0.368268, 0.540420), 1)
    path.write_text(swapped)
    (warning,) = open_release("gaze360", root).warnings
    assert re.fullmatch(
        r"in 1 of 8 lines the vector and the two angles of the gaze differ, by 1\d\.\d° in the median; "
        "the angles are used",
        warning,
    )


# ---------------------------------------------------------------------- broken records


def broken(source: Source) -> dict[int, str]:
    """Numbers of the records that became no sample, and why."""
    faces = list(source.faces(32))
    assert len(faces) == len(source)
    return {row: face.reason for row, face in enumerate(faces) if isinstance(face, Skipped)}


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def test_broken_photographs_and_lines_of_raw_mpiifacegaze_are_skipped_with_the_reason(tmp_path):
    root = made.mpiifacegaze_raw(tmp_path, people=[0], images=5)
    cut(root / "p00" / "day01" / "0001.jpg")
    (root / "p00" / "day01" / "0002.jpg").unlink()
    lines = (root / "p00" / "p00.txt").read_text().splitlines()
    lines[3], lines[4] = " ".join(lines[3].split()[:-2]), lines[4].replace(lines[4].split()[7], "nan", 1)
    (root / "p00" / "p00.txt").write_text("\n".join(lines))
    reasons = broken(open_release("mpiifacegaze", root, missing_ok=True))
    assert list(reasons) == [1, 2, 3, 4]
    assert re.search(r"0001\.jpg cannot be read as an image; it is cut off or damaged", reasons[1])
    assert re.search(r"There is no image .*0002\.jpg\.", reasons[2])
    assert reasons[3] == "must have 28 columns; has 26."
    assert reasons[4] == "columns 2 to 27 must be finite; got NaN or infinity."


def test_face_behind_the_camera_is_skipped(tmp_path):
    root = made.mpiifacegaze_raw(tmp_path, people=[0], images=1)
    path = root / "p00" / "p00.txt"
    fields = path.read_text().split()
    fields[23] = "-480.0"
    path.write_text(" ".join(fields))
    assert (
        "face_center must lie in front of the camera" in broken(open_release("mpiifacegaze", root, missing_ok=True))[0]
    )


def test_labels_of_eth_xgaze_that_are_none_are_skipped(tmp_path):
    root = made.eth_xgaze(tmp_path, subjects=[1])
    with h5py.File(root / "train" / "subject0001.h5", "a") as file:
        file["face_gaze"][0, 1] = np.nan
        file["face_head_pose"][2, 0] = 20.0
    reasons = broken(open_release("eth_xgaze", root))
    assert reasons == {
        0: "gaze and head pose must be finite.",
        2: "gaze and head pose must be radians, at most π.",
    }


@pytest.mark.parametrize("key", ["eth_xgaze-patches", "mpiifacegaze-normalized"])
def test_file_that_vanishes_while_it_is_read_skips_its_records(key, tmp_path):
    make, name, kind = ALL[key]
    source = open_release(name, make(tmp_path), kind, missing_ok=True)
    path = source.file_of(0)
    path.unlink()
    reasons = broken(source)
    assert list(reasons) == [0, 1, 2]
    assert all(f"{path} is not there" in reason for reason in reasons.values())


def test_pictures_of_gaze360_that_are_missing_and_gaze_that_is_none_are_skipped(tmp_path):
    root = made.gaze360(tmp_path)
    (root / "imgs" / "rec_001" / "head" / "000000" / "000003.jpg").write_bytes(b"")
    content = scipy.io.loadmat(root / "metadata.mat")
    content["gaze_dir"][2] = 0
    scipy.io.savemat(root / "metadata.mat", {k: v for k, v in content.items() if not k.startswith("__")})
    reasons = broken(open_release("gaze360", root))
    assert list(reasons) == [1, 2]
    assert reasons[1].endswith("000003.jpg is empty.")
    assert reasons[2] == "gaze_dir must be a direction; it is zero, NaN or infinite."


def test_pictures_and_lines_of_eyediap_that_are_missing_are_skipped(tmp_path):
    root = made.eyediap(tmp_path, ["1_A_DS_S"], 80)
    folder = root / "Data" / "1_A_DS_S"
    cut(folder / "frames" / "00015.png")
    (folder / "frames" / "00030.png").unlink()
    lines = (folder / "head_pose.txt").read_text().splitlines()
    lines[1 + 45] = "45;0.1;0.2"
    lines[1 + 60] = "60;" + ";".join(["0"] * 12)
    del lines[1 + 75]
    (folder / "head_pose.txt").write_text("\n".join(lines))
    reasons = broken(open_release("eyediap", root))
    assert list(reasons) == [1, 2, 3, 4, 5]
    assert "00015.png cannot be read as an image" in reasons[1]
    assert reasons[2] == "the video ends before this picture."
    assert reasons[3] == "head_pose.txt has 3 columns for it, not 13."
    assert reasons[4] == "head_pose.txt is all zeros for it: not tracked."
    assert reasons[5] == "head_pose.txt has no line for it."


def test_video_that_is_cut_off_skips_what_it_lacks(tmp_path):
    pytest.importorskip("av")
    root = made.eyediap(tmp_path, ["1_A_DS_S"], 35, video=True)
    made.write_video(root / "Data" / "1_A_DS_S" / "rgb_vga.mov", [np.zeros((480, 640, 3), np.uint8)] * 20)
    assert broken(open_release("eyediap", root)) == {2: "the video ends before this picture."}
    (root / "Data" / "1_A_DS_S" / "rgb_vga.mov").write_bytes(b"no video at all")
    reasons = broken(open_release("eyediap", root))
    assert list(reasons) == [0, 1, 2]
    assert "rgb_vga.mov cannot be read as a video" in reasons[0]


def test_lines_of_gazehub_that_are_broken_are_skipped(tmp_path):
    root = made.gazehub(tmp_path / "hub", "eth_xgaze", lines=4)
    path = root / "Label" / "train.label"
    header, *lines = path.read_text().splitlines()
    lines[0] = " ".join(lines[0].split()[:3])
    lines[1] = lines[1].replace(made.joined(*made.UP_LEFT_ANGLES), "21.1,30.9")
    lines[2] = lines[2].replace(made.joined(*made.UP_LEFT_ANGLES), "up,left")
    path.write_text("\n".join([header, *lines]))
    reasons = broken(open_release("eth_xgaze", root))
    assert reasons == {
        0: "must have 7 fields; has 3.",
        1: "the gaze must be radians, at most π; got 30.9.",
        2: "the gaze must be numbers; got 'up'.",
    }


# ---------------------------------------------------------------------- not what was expected


@pytest.mark.parametrize("name", ["mpiifacegaze", "eth_xgaze", "gaze360", "eyediap"])
@pytest.mark.parametrize("kind", ["own", "gazehub"])
def test_missing_and_empty_folders_say_what_to_download_and_on_what_terms(name, kind, tmp_path):
    for own in releases(name):
        if (own == "gazehub") == (kind == "gazehub"):
            with pytest.raises(FileNotFoundError) as missing:
                open_release(name, tmp_path / "nowhere", own)
            message = str(missing.value)
            assert message.startswith(f"There is no folder {tmp_path / 'nowhere'}. ")
            for word in ("neither ships nor downloads", "http", "Terms: ", "ass the folder that holds"):
                assert word in message.replace("Data, which", "that")
            with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
                open_release(name, tmp_path, own)


def test_folder_next_to_the_right_one_is_named(tmp_path):
    made.eth_xgaze(tmp_path / "xgaze_224")
    with pytest.raises(FileNotFoundError, match=r"but .*xgaze_224 does: pass that folder"):
        open_release("eth_xgaze", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"but .*xgaze_224 does: pass that folder"):
        open_release("eth_xgaze", tmp_path / "xgaze_224" / "train")


def test_raw_and_normalized_mpiifacegaze_know_each_other(tmp_path):
    made.mpiifacegaze_normalized(tmp_path / "normalized")
    made.mpiifacegaze_raw(tmp_path / "raw", images=1)
    with pytest.raises(FileNotFoundError, match="is the normalized release of MPIIFaceGaze, not the raw one"):
        open_release("mpiifacegaze", tmp_path / "normalized", "raw")
    with pytest.raises(FileNotFoundError, match="is the raw release of MPIIFaceGaze, not the normalized one"):
        open_release("mpiifacegaze", tmp_path / "raw", "normalized")


@pytest.mark.parametrize(
    ("key", "path", "message"),
    [
        ("eth_xgaze-patches", "train/subject0027.h5", r"lacks train/subject0027\.h5\. .*--missing-ok"),
        ("eth_xgaze-patches", "train_test_split.json", r"does not hold train_test_split\.json"),
        ("mpiifacegaze-raw", "p03/Calibration/Camera.mat", r"Camera\.mat is missing\. Unpack it again"),
        ("gaze360-faces", "metadata.mat", r"does not hold metadata\.mat"),
        ("eyediap-raw", "Data/1_A_DS_S/eye_tracking.txt", r"1_A_DS_S lacks eye_tracking\.txt\. .*--missing-ok"),
        ("eyediap-gazehub", "Label/p3.label", r"lacks p3\.label\. .*--missing-ok"),
        ("mpiifacegaze-gazehub", "Label/p12.label", r"lacks p12\.label\. .*--missing-ok"),
        ("gaze360-gazehub", "Label/test.label", r"lacks test\.label\. .*--missing-ok"),
    ],
)
def test_missing_file_is_named_with_the_remedy(key, path, message, tmp_path):
    make, name, kind = ALL[key]
    make(tmp_path / "it")
    (tmp_path / "it" / path).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        open_release(name, tmp_path / "it", kind, missing_ok=key == "mpiifacegaze-raw")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("eth_xgaze-patches", "train/subject0027.h5"),
        ("eyediap-raw", "Data/1_A_DS_S/eye_tracking.txt"),
        ("eyediap-gazehub", "Label/p3.label"),
    ],
)
def test_missing_file_can_be_done_without_and_is_told(key, path, tmp_path):
    make, name, kind = ALL[key]
    make(tmp_path / "it")
    (tmp_path / "it" / path).unlink()
    source = open_release(name, tmp_path / "it", kind, missing_ok=True)
    assert any(Path(path).name in warning for warning in source.warnings)
    assert samples(source)


@pytest.mark.parametrize(
    ("key", "path", "content", "message"),
    [
        ("eth_xgaze-patches", "train/subject0027.h5", None, r"subject0027\.h5 is cut off \(truncated file"),
        ("eth_xgaze-patches", "train/subject0027.h5", b"<html>", r"subject0027\.h5 must be an HDF5 file"),
        ("eth_xgaze-patches", "train_test_split.json", b'{"train": [}', r"must be JSON with the keys train, test"),
        ("eth_xgaze-patches", "train_test_split.json", b'{"train": []}', r"must be JSON with the keys .*'test'"),
        ("mpiifacegaze-normalized", "p03.mat", None, r"p03\.mat is cut off"),
        ("mpiifacegaze-raw", "p03/Calibration/Camera.mat", None, r"Camera\.mat cannot be read as a MATLAB file"),
        ("mpiifacegaze-raw", "p00/p00.txt", b"", r"p00\.txt is empty"),
        ("mpiifacegaze-raw", "p00/p00.txt", b"\xff\xfe\x00\x91", r"p00\.txt is no text file"),
        ("gaze360-faces", "metadata.mat", None, r"metadata\.mat cannot be read as a MATLAB file"),
        ("gaze360-faces", "metadata.mat", b"", r"metadata\.mat cannot be read as a MATLAB file"),
        (
            "eyediap-raw",
            "Data/14_A_CS_M/rgb_vga_calibration.txt",
            b"[R]\n1;0;0",
            r"must have the sections \[intrinsics\]",
        ),
        ("gaze360-gazehub", "Label/val.label", b"train/1.jpg 1 2 3", r"val\.label must begin with a header line"),
        ("gaze360-gazehub", "Label/val.label", b"Face Left Right Origin 2DGaze", r"must have 2dgaze as field 5"),
    ],
)
def test_damaged_file_is_named_for_what_it_is(key, path, content, message, tmp_path):
    make, name, kind = ALL[key]
    make(tmp_path / "it")
    target = tmp_path / "it" / path
    cut(target) if content is None else target.write_bytes(content)
    with pytest.raises(CourseError, match=message) as caught:
        open_release(name, tmp_path / "it", kind, missing_ok=True)
    assert str(target) in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("recording", np.arange(1, 9)[None] % 3, r"recording must be from 0 to 1, for the release counts from 0"),
        ("frame", np.arange(5)[None], r"frame must have 8 entries, one for each picture; has 5"),
        ("gaze_dir", np.zeros((3, 8)), r"gaze_dir must be \(8, 3\), a row for each picture; it is \(3, 8\)"),
        ("splits", np.array(["a", "b"]), r"splits must be train, val, test, unused; they are a, b"),
        ("person_face_bbox", np.full((8, 4), -1.0), "there is no face box in it"),
        ("split", None, r"must hold split; it does not"),
    ],
)
def test_metadata_of_gaze360_that_is_not_the_releases_is_named(entry, value, message, tmp_path):
    root = made.gaze360(tmp_path)
    content = scipy.io.loadmat(root / "metadata.mat")
    content = {k: v for k, v in {**content, entry: value}.items() if not k.startswith("__") and v is not None}
    scipy.io.savemat(root / "metadata.mat", content)
    with pytest.raises(CourseError, match=message):
        open_release("gaze360", root)


def test_gazehub_folder_of_another_set_is_named(tmp_path):
    root = made.gazehub(tmp_path / "hub", "gaze360")
    with pytest.raises(
        FileNotFoundError, match=r"must hold label files of eyediap, such as p1\.label; it holds test\.label"
    ):
        open_release("eyediap", root)
    with pytest.raises(CourseError, match=r"must have gaze as field 1.* of another data set than eth_xgaze"):
        open_release("eth_xgaze", root)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("aflw", "x"), ValueError, "set must be one of 'mpiifacegaze', .*, 'wflw', '300w', 'cofw'; got 'aflw'"),
        (("gaze360", "x", "raw"), ValueError, "release must be one of 'faces', 'gazehub'; got 'raw'"),
    ],
)
def test_unknown_sets_and_releases_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        open_release(*arguments)


def test_source_of_no_folder_is_refused():
    with pytest.raises(TypeError, match="root must be the folder of the data; got NoneType None"):
        ETHXGaze(None)


def test_wrong_columns_would_be_noticed(opened):
    """The planted numbers differ wherever a reader could mix them up: swapping any two is seen above."""
    pitch, yaw = made.UP_LEFT_ANGLES
    assert len({round(value, 3) for value in (pitch, yaw, -pitch, -yaw, *made.HEAD_ANGLES)}) == 6
    source = copy.copy(opened("eth_xgaze-gazehub"))
    source._gaze = source._gaze[:, ::-1].copy()
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(pitchyaw_to_vector(samples(source)[0].gaze), made.UP_LEFT, atol=2e-5)
