"""`python -m gazecourse look`: files and cameras that are there, and those that are not."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_looking import landmarks_at, photo, told, video

from gazecourse import __main__ as cli
from gazecourse import camera, looking, paths, runs
from gazecourse.checkpoint import save_trained
from gazecourse.errors import CourseError
from gazecourse.faces.pose import average_landmarks
from gazecourse.models import CLIP, StructureCoherentNet
from gazecourse.models.clip import load_course_clip
from gazecourse.models.structure_coherent import load_landmark_net

GRAPH = sum(torch.eye(68).roll(step, 0) for step in range(3)).bool()


def sentence(capsys) -> str:
    """What went to stderr: one line that starts with error."""
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture
def two_faces(monkeypatch, tmp_path):
    """Two faces in every picture, and a system that says "into the camera"."""
    faces = [landmarks_at([-120.0, 0.0, 700.0]), landmarks_at([120.0, 0.0, 700.0])]
    monkeypatch.setattr(looking, "finder", lambda path: lambda picture: faces)
    monkeypatch.setattr(looking, "gazer_of", lambda folder: told()[0])
    monkeypatch.setattr(runs, "latest", lambda: Path("puregaze-on-studio"))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo()).save(tmp_path / "photo.png")


def test_photograph_gives_a_picture_and_a_line_for_each_face(two_faces, tmp_path, capsys):
    assert cli.main(["look", "photo.png"]) == 0
    system, first, second, into = capsys.readouterr().out.splitlines()
    assert system == "system: puregaze-on-studio"
    assert first == "face 1: 0° up and 0° to the left of the picture, seen from the camera; about 71 cm away"
    assert second.startswith("face 2: ")
    assert into == "photo-gaze.png"
    assert (np.asarray(Image.open(tmp_path / into)) != photo()).any()


def test_faces_are_looked_at_with_one_thread(two_faces, monkeypatch):
    threads, faces = [], looking.finder(None)

    def find(picture):
        threads.append(torch.get_num_threads())
        return faces(picture)

    monkeypatch.setattr(looking, "finder", lambda path: find)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert cli.main(["look", "photo.png"]) == 0
    finally:
        torch.set_num_threads(before)
    assert threads == [1]


def test_endings_decide_what_is_saved(two_faces, tmp_path):
    assert cli.main(["look", "photo.png", "--into", "arrows.jpg", "--into", "numbers.csv"]) == 0
    assert Image.open(tmp_path / "arrows.jpg").size == (640, 480)
    assert [row["face"] for row in csv.DictReader((tmp_path / "numbers.csv").open())] == ["1", "2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrows.jpg", "numbers.csv", "photo.png"]


def test_video_gives_a_video_and_shows_the_frame_rate(two_faces, tmp_path, capsys):
    video(tmp_path / "film.mp4", 3)
    assert cli.main(["look", "film.mp4"]) == 0
    said = capsys.readouterr()
    assert "3 pictures, 3 with a face" in said.out
    assert "frames/s  face 1: " in said.err
    from gazecourse.video import frames

    assert len(list(frames(tmp_path / "film-gaze.mp4"))) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "look needs a photograph, a video or --camera 0, one of them."),
        (["photo.png", "--camera", "0"], "look needs a photograph, a video or --camera 0, one of them."),
        (["--camera", "-1"], "--camera must be 0 or more; got -1"),
        (["none.jpg"], "There is no file none.jpg."),
        (["folder"], "folder is a folder; look needs one photograph or video."),
        (["notes.txt"], "notes.txt is neither a photograph (.jpg, .png …) nor a video (.mp4"),
        (["photo.png", "--into", "photo.png"], "--into photo.png is the photo itself"),
        (["photo.png", "--into", "out.mp4"], "--into out.mp4 must end in .jpg, .png for the result of a photo"),
        (["photo.png", "--into", "a.csv", "--into", "b.csv"], "--into names two files of one kind, a.csv and b.csv"),
        (["photo.png", "--focal", "0"], "--focal must be a finite number above 0"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_loaded(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(looking, "finder", lambda path: pytest.fail("loaded a model"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").touch()
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    assert cli.main(["look", *arguments]) == 1
    assert message in sentence(capsys)


def test_cut_off_photograph_and_video_are_named(two_faces, tmp_path, capsys):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:3000])
    assert cli.main(["look", "cut.jpg"]) == 1
    assert "cut.jpg cannot be read as an image; it is cut off or damaged" in sentence(capsys)
    whole = video(tmp_path / "film.mp4", 3)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:200])
    assert cli.main(["look", "cut.mp4"]) == 1
    assert "cut.mp4 cannot be read as a video; it is cut off or damaged" in sentence(capsys)
    assert not list(tmp_path.glob("*-gaze*"))


def test_missing_system_and_missing_landmark_network_say_how_to_train_one(tmp_path, cache, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    monkeypatch.setattr(paths, "LANDMARK_MODEL", tmp_path / "landmarks.safetensors")
    assert cli.main(["look", "photo.png"]) == 1
    assert "python data_scripts/train_landmarks.py trains one" in sentence(capsys)
    monkeypatch.setattr(looking, "finder", lambda path: None)
    assert cli.main(["look", "photo.png"]) == 1
    assert "There is no trained gaze system yet: python -m gazecourse train" in sentence(capsys)
    assert cli.main(["look", "photo.png", "--run", "nothing"]) == 1
    assert "nothing is not there. There are no runs yet" in sentence(capsys)


def test_gaze_system_that_was_finished_last_is_the_default(cache):
    contents = {
        "finds landmarks": '{"system": "structure_coherent"}',
        "damaged": "{",
        "newest": '{"system": "resnet"}',
        "older": '{"system": "puregaze"}',
    }
    for age, (name, content) in enumerate(contents.items()):
        folder = paths.runs_dir() / "systems" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(content)
        os.utime(folder / "run.json", (1000 - age, 1000 - age))
    (paths.runs_dir() / "systems" / "unfinished").mkdir()
    assert runs.latest().name == "newest"


def test_photograph_without_a_face_says_what_to_take(two_faces, monkeypatch, capsys):
    monkeypatch.setattr(looking, "finder", lambda path: lambda picture: [])
    assert cli.main(["look", "photo.png"]) == 1
    assert "No face was found in photo.png" in sentence(capsys)


# ---------------------------------------------------------------------- the landmark network


def test_saved_network_gives_the_same_landmarks_and_its_graph(tmp_path):
    model = StructureCoherentNet(68, GRAPH, "small", "static", 64, graph_width=8, mean_shape=torch.rand(68, 2) * 256)
    model.eval()
    save_trained(tmp_path / "net.safetensors", model, note="a test")
    again = load_landmark_net(tmp_path / "net.safetensors")
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again(image), model(image), atol=0.3, rtol=0)
    assert again.settings == model.settings
    assert not again.training


def test_network_of_another_scheme_and_another_checkpoint_are_refused(tmp_path):
    from gazecourse.checkpoint import save_checkpoint

    save_trained(tmp_path / "few.safetensors", StructureCoherentNet(29, None, "small", "fc", 64))
    with pytest.raises(CourseError, match=r"few\.safetensors finds 29 landmarks; head poses need the 68"):
        looking.finder(tmp_path / "few.safetensors")
    clip = tmp_path / "clip.safetensors"
    save_trained(clip, CLIP(48, width=0.125, dim=16, text_width=24, text_layers=1, heads=3))
    with pytest.raises(CourseError, match=r"clip\.safetensors is a checkpoint, but not of a landmark network"):
        load_landmark_net(clip)
    with pytest.raises(CourseError, match=r"few\.safetensors is a checkpoint, but not of a CLIP"):
        load_course_clip(tmp_path / "few.safetensors")
    save_checkpoint(tmp_path / "other.safetensors", torch.nn.Linear(2, 2))
    with pytest.raises(CourseError, match=r"other\.safetensors is a checkpoint, but not of a landmark network"):
        load_landmark_net(tmp_path / "other.safetensors")


class Relative(torch.nn.Module):
    """A network that says "the average face fills my picture", wherever it looks; counts its pictures."""

    size = (64, 64)

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.asked = 0

    def forward(self, images):
        self.asked += len(images)
        face = torch.from_numpy(average_landmarks()[:, :2]).float()
        low, high = face.amin(0), face.amax(0)
        unit = (face - (low + high) / 2) / (high - low).max()
        return (256 * (0.5 + unit / 1.25 + self.weight)).expand(len(images), 68, 2)


def test_finder_asks_twice_in_both_views_and_gives_landmarks_of_the_photograph():
    model = Relative()
    boxes = [(100.0, 150.0, 80.0, 80.0), (400.0, 100.0, 120.0, 120.0)]
    found = looking.Finder(lambda picture: [boxes], model)(photo())
    assert model.asked == 8
    for points, (x, y, side, _) in zip(found, boxes, strict=True):
        assert points.shape == (68, 2)
        assert points.dtype == np.float64
        np.testing.assert_allclose((points.min(0) + points.max(0)) / 2, (x + side / 2, y + side / 2), atol=1.5)
        assert np.ptp(points, axis=0).max() == pytest.approx(side, abs=2)


def test_what_the_network_doubts_is_left_out_and_the_next_try_is_asked(monkeypatch):
    doubts = {1.0: 0.2, 2.0: 0.3, 3.0: 0.05, 4.0: 0.11, 5.0: 0.01}
    monkeypatch.setattr(
        looking, "landmarks_and_doubt", lambda model, photo, box: (torch.full((68, 2), box[0]), doubts[box[0]])
    )
    tries = [[], [(1.0,), (2.0,)], [(3.0,), (4.0,)], [(5.0,)]]
    asked = []
    finder = looking.Finder(lambda picture: (asked.append(boxes) or boxes for boxes in tries), None)
    (found,) = finder(photo())
    assert found[0, 0] == 3
    assert asked == tries[:3]
    assert looking.Finder(lambda picture: iter(tries[:2]), None)(photo()) == []


def test_real_photograph_goes_all_the_way(tmp_path, monkeypatch, capsys):
    """Detector, square, landmarks, pose, normalized face, arrow; with a network that knows the average face alone."""
    pytest.importorskip("cv2")
    from gazecourse.detection import FaceDetector

    shown, find = told()[0], looking.Finder(FaceDetector().tries, Relative())
    monkeypatch.setattr(looking, "finder", lambda path: find)
    monkeypatch.setattr(looking, "gazer_of", lambda folder: shown)
    monkeypatch.setattr(runs, "latest", lambda: tmp_path)
    source = Path(__import__("matplotlib").get_data_path()) / "sample_data" / "grace_hopper.jpg"
    assert cli.main(["look", str(source), "--into", str(tmp_path / "out.csv")]) == 0
    (row,) = csv.DictReader((tmp_path / "out.csv").open())
    assert 200 < float(row["z"]) < 700, "a face that fills 40 % of a picture 53° high"
    assert abs(float(row["head_yaw"])) < 15, "she faces the camera"


# ---------------------------------------------------------------------- the camera


class FakeCamera:
    """What OpenCV gives for a camera: BGR pictures, then none."""

    def __init__(self, pictures: int, opens: bool = True):
        self.left, self.opens, self.released = pictures, opens, False

    def isOpened(self):
        return self.opens

    def set(self, *setting):
        pass

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((480, 640, 3), (255, 0, 10), np.uint8)

    def release(self):
        self.released = True


@pytest.fixture
def plugged(monkeypatch):
    """Plugs a camera into the OpenCV that is installed."""

    def plug(device: FakeCamera) -> FakeCamera:
        monkeypatch.setattr(camera.opencv(), "VideoCapture", lambda number: device)
        return device

    return plug


def test_camera_gives_rgb_and_is_given_back(plugged):
    device = plugged(FakeCamera(20))
    pictures = camera.pictures(0)
    _, first = next(pictures)
    assert first[0, 0].tolist() == [10, 0, 255]
    pictures.close()
    assert device.released


def test_camera_is_looked_at_until_the_time_is_over_and_files_are_whole(two_faces, plugged, tmp_path, capsys):
    pytest.importorskip("av")
    device = plugged(FakeCamera(10_000))
    arguments = ["--seconds", "0.3", "--into", "out.mp4", "--into", "out.csv"]
    assert cli.main(["look", "--camera", "0", *arguments]) == 0
    assert device.released
    assert "with a face" in capsys.readouterr().out
    assert len(list(csv.DictReader((tmp_path / "out.csv").open()))) >= 2
    from gazecourse.video import frames

    assert len(list(frames(tmp_path / "out.mp4"))) >= 3, "12 pictures a second, however few were seen"


def test_interrupt_ends_a_camera_well(two_faces, plugged, tmp_path, monkeypatch):
    plugged(FakeCamera(10_000))
    real, count = looking.looks, iter(range(100))

    def looks(*arguments):
        if next(count) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(looking, "looks", looks)
    before = signal.getsignal(signal.SIGINT)
    assert cli.main(["look", "--camera", "0", "--into", "out.csv"]) == 0
    assert len(list(csv.DictReader((tmp_path / "out.csv").open()))) == 6
    assert signal.getsignal(signal.SIGINT) is before


def test_computer_without_a_camera_is_told_so_by_the_opencv_that_is_installed(capfd):
    with pytest.raises(CourseError, match=r"There is no camera 97|Camera 97 does not open"):
        camera.snapshot(97)
    assert capfd.readouterr().err == "", "OpenCV is quiet"


def test_camera_that_is_not_there_is_taken_or_stops_is_named(two_faces, plugged, monkeypatch, capsys):
    plugged(FakeCamera(0, opens=False))
    monkeypatch.setattr(camera.sys, "platform", "darwin")
    assert cli.main(["look", "--camera", "7"]) == 1
    assert "Camera 7 does not open: it is not there, another program uses it" in sentence(capsys)
    monkeypatch.setattr(camera.sys, "platform", "linux")
    assert cli.main(["look", "--camera", "977"]) == 1
    assert "There is no camera 977 (/dev/video977)" in sentence(capsys)
    plugged(FakeCamera(5))
    assert cli.main(["look", "--camera", "0"]) == 1
    assert "Camera 0 gives no pictures (any more)" in capsys.readouterr().err
