"""Small releases of the real data sets in their true formats, with one planted face that looks up and to the left.

Written from the formats' descriptions, with geometry of its own, so that a reader's mistake has no twin here.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image
from scipy.spatial.transform import Rotation

UP_LEFT = np.array([-0.48, -0.36, -0.8])
"""A unit vector in the camera's frame (x right, y down, z forward): to the left of the image, up, to the camera."""
UP_LEFT_ANGLES = (0.368268, 0.540420)
"""asin(0.36) and atan2(0.48, 0.8): (pitch, yaw), both positive in the course's form."""
HEAD_ANGLES = (0.2, 0.1)
RED, GREEN, BLUE, WHITE = (220, 30, 20), (30, 200, 40), (20, 30, 210), (240, 240, 240)
"""Top left, top right, bottom left and bottom right of every planted picture, RGB."""


def quarters(height: int, width: int | None = None) -> np.ndarray:
    """RGB [H, W, 3] in four colors: what is mirrored, turned or blue first is not the same any more."""
    width = width or height
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    picture[:top, :left], picture[:top, left:] = RED, GREEN
    picture[top:, :left], picture[top:, left:] = BLUE, WHITE
    return picture


def assert_upright(image) -> None:
    """The four quarters are where they belong, in RGB."""
    size = image.shape[-1]
    near, far = size // 5, size - size // 5
    for (y, x), color in {(near, near): RED, (near, far): GREEN, (far, near): BLUE, (far, far): WHITE}.items():
        np.testing.assert_allclose(image[:, y, x], color, atol=12)


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=95, subsampling=0)


# --- MPIIFaceGaze ------------------------------------------------------------------------------

HEADER = (
    b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  2 2017 HDF5 schema 1.00 .".ljust(124) + b"\0\2IM"
)


def mpiifacegaze_normalized(
    root: Path, people=(0, 3), images: int = 3, dtype="f4", picture=None, gaze=UP_LEFT_ANGLES
) -> Path:
    """``pNN.mat`` with quarters of color; the stored signs are opposite to the course's, in which ``gaze`` is."""
    root.mkdir(parents=True, exist_ok=True)
    picture = quarters(448) if picture is None else picture
    for person in people:
        path = root / f"p{person:02d}.mat"
        label = np.zeros((images, 16))
        label[:, :2], label[:, 2:4] = -np.array(gaze), -np.array(HEAD_ANGLES)
        label[:, 4:] = np.arange(100, 220, 10)
        label[:, 4] += np.arange(images)
        with h5py.File(path, "w", userblock_size=512) as file:
            data = file.create_dataset("Data/data", (images, 3, 448, 448), dtype, chunks=(1, 3, 448, 448))
            for row in range(images):
                data[row] = picture[..., ::-1].transpose(2, 0, 1)
                data[row, :, -16:, -16:] = 40 * (row % 4)
            file.create_dataset("Data/label", data=label.astype(np.float32))
        with path.open("rb+") as file:
            file.write(HEADER)
    return root


LAPTOP = np.array([[960.0, 0.0, 639.5], [0.0, 950.0, 359.5], [0.0, 0.0, 1.0]])
"""As OpenCV gives it: the center of the first pixel is (0, 0)."""
DISTORTION = np.array([-0.35, 0.15, 0.002, -0.001, 0.0])
SCREEN = {"width_mm": 286.0, "height_mm": 179.0, "width_pixel": 1280.0, "height_pixel": 800.0}
MONITOR_R, MONITOR_T = np.array([0.0, np.pi, 0.0]), np.array([143.0, 10.0, 2.0])
HEAD_R = np.array([0.15, -0.2, 0.25])
CENTER = np.array([150.0, -90.0, 460.0])


def photographed(points: np.ndarray, camera=LAPTOP, distortion=DISTORTION) -> np.ndarray:
    """Where the camera sees points [..., 3] of its own frame: (x, y), the center of the first pixel being (0, 0)."""
    x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    k1, k2, p1, p2, k3 = distortion
    r = x**2 + y**2
    radial = 1 + k1 * r + k2 * r**2 + k3 * r**3
    u = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x**2)
    v = y * radial + p1 * (r + 2 * y**2) + 2 * p2 * x * y
    return np.stack([camera[0, 0] * u + camera[0, 2], camera[1, 1] * v + camera[1, 2]], -1)


def spotted(spots: dict[tuple[int, int, int], np.ndarray], width: int, height: int, radius: int = 5) -> np.ndarray:
    """A black picture with a colored square at each place, the center of the first pixel being (0, 0)."""
    picture = np.zeros((height, width, 3), np.uint8)
    for color, (x, y) in spots.items():
        x, y = round(x), round(y)
        picture[y - radius : y + radius + 1, x - radius : x + radius + 1] = color
    return picture


def find_spot(image, color) -> np.ndarray:
    """(x, y) of the middle of the pixels of that color in an image [3, H, W]; (0, 0) is the corner of the image."""
    off = np.abs(np.asarray(image).transpose(1, 2, 0).astype(float) - color).max(-1)
    y, x = np.nonzero(off < 90)
    assert len(x), f"no pixel is of the color {color}"
    return np.array([x.mean() + 0.5, y.mean() + 0.5])


def line_of_photograph(name: str, center, target, head=HEAD_R) -> str:
    """One of the 28-column lines, for a gaze from ``center`` to ``target``."""
    on_screen = Rotation.from_rotvec(MONITOR_R).inv().apply(target - MONITOR_T)
    pixel = on_screen[:2] / (SCREEN["width_mm"] / SCREEN["width_pixel"], SCREEN["height_mm"] / SCREEN["height_pixel"])
    six = np.array([[-45, -35], [-18, -34], [18, -34], [45, -35], [-25, 35], [25, 36]])
    model = np.c_[six, np.array([3, -2, -2, 3, 0, 0])]
    landmarks = photographed(Rotation.from_rotvec(head).apply(model) + center)
    values = [*pixel, *landmarks.ravel(), *head, *(center + np.array([1.0, 2.0, 3.0])), *center, *target]
    return " ".join([name, *(f"{value:.6f}" for value in values), "left"])


def target_on_screen(center, direction=UP_LEFT) -> np.ndarray:
    """Where a gaze from the center meets the plane of the screen."""
    normal = Rotation.from_rotvec(MONITOR_R).apply([0, 0, 1.0])
    length = normal @ (MONITOR_T - center) / (normal @ direction)
    return center + length * direction


def on_screen(share) -> np.ndarray:
    """Points of the screen in the camera's frame, mm; ``share`` [..., 2] of its width and height, from the top left."""
    flat = share * np.array([SCREEN["width_mm"], SCREEN["height_mm"]])
    return Rotation.from_rotvec(MONITOR_R).apply(np.insert(flat, 2, 0.0, axis=-1)) + MONITOR_T


def calibration(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / "Camera.mat", {"cameraMatrix": LAPTOP, "distCoeffs": DISTORTION[None], "retval": 0.3})
    scipy.io.savemat(folder / "monitorPose.mat", {"rvects": MONITOR_R[:, None], "tvecs": MONITOR_T[:, None]})
    scipy.io.savemat(folder / "screenSize.mat", {name: np.array([[value]]) for name, value in SCREEN.items()})


def mpiifacegaze_raw(root: Path, people=(0, 3), images: int = 2) -> Path:
    """``pNN`` with photographs in which the face center is red and a point 50 mm along the gaze is green."""
    for person in people:
        folder = root / f"p{person:02d}"
        calibration(folder / "Calibration")
        lines = []
        for number in range(images):
            center = CENTER + np.array([10.0 * (number % 5), 0, 5.0 * person])
            target = target_on_screen(center)
            along = center + 50 * (target - center) / np.linalg.norm(target - center)
            spots = {RED: photographed(center), GREEN: photographed(along)}
            name = f"day01/{number:04d}.jpg"
            save(folder / name, spotted(spots, 1280, 720))
            lines.append(line_of_photograph(name, center, target))
        (folder / f"p{person:02d}.txt").write_text("\n".join(lines) + "\n")
    return root


# --- ETH-XGaze ----------------------------------------------------------------------------------


def eth_xgaze(root: Path, subjects=(0, 27), images: int = 3, side: int = 224, test=(3,)) -> Path:
    """The face patches with quarters of color; test files have no gaze."""
    names = {"train": subjects, "test": test, "test_person_specific": ()}
    for split, numbers in names.items():
        for subject in numbers:
            path = root / split / f"subject{subject:04d}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(path, "w") as file:
                patches = np.tile(quarters(side)[..., ::-1], (images, 1, 1, 1))
                for row in range(images):
                    patches[row, -8:, -8:] = 40 * (row % 4)
                file.create_dataset("face_patch", data=patches, chunks=(1, side, side, 3))
                if split == "train":
                    file.create_dataset("face_gaze", data=np.tile(np.float32(UP_LEFT_ANGLES), (images, 1)))
                file.create_dataset("face_head_pose", data=np.tile(np.float32(HEAD_ANGLES), (images, 1)))
                file.create_dataset("face_mat_norm", data=np.tile(np.eye(3, dtype=np.float32), (images, 1, 1)))
                file.create_dataset("frame_index", data=np.arange(images)[:, None])
                file.create_dataset("cam_index", data=np.full((images, 1), 7))
                if side == 448:
                    points = np.full((images, 68, 2), 112.0) + np.arange(68)[:, None]
                    file.create_dataset("facial_landmarks", data=points.astype(np.float32))
    listing = {split: [f"subject{n:04d}.h5" for n in numbers] for split, numbers in names.items()}
    (root / "train_test_split.json").write_text(json.dumps(listing))
    return root


# --- Gaze360 ------------------------------------------------------------------------------------

SPLITS = ("train", "val", "test", "unused")


def gaze360(root: Path, pictures: int = 8) -> Path:
    """Heads of 200 × 100 pixels; the quarters fill the face box, and each eye is where its box says.

    Recordings, identities, frames and splits all begin at 0 and differ from each other.
    """
    recordings = np.empty((1, 2), object)
    recordings[0, 0], recordings[0, 1] = "rec_000", "rec_001"
    splits = np.empty((1, 4), object)
    for number, name in enumerate(SPLITS):
        splits[0, number] = name
    recording, identity = np.arange(pictures) % 2, np.arange(pictures) // 4
    frame, split = np.arange(pictures) * 3, np.arange(pictures) % 4
    head = np.tile([0.25, 0.5, 0.1, 0.02], (pictures, 1))
    face = np.tile([0.25 + 0.1 * 0.3, 0.5 + 0.02 * 0.2, 0.1 * 0.4, 0.02 * 0.8], (pictures, 1))  # pixels 60–140, 20–100
    left = np.tile([0.25 + 0.1 * 0.55, 0.5 + 0.02 * 0.4, 0.1 * 0.1, 0.02 * 0.1], (pictures, 1))  # pixels 110–130, 40–50
    right = np.tile([0.25 + 0.1 * 0.35, 0.5 + 0.02 * 0.4, 0.1 * 0.1, 0.02 * 0.1], (pictures, 1))  # pixels 70–90, 40–50
    face[3] = left[3] = right[3] = -1
    left[5] = -1
    # Gaze360's eye frame has x to the left, y up, z away from the camera.
    gaze = np.tile([0.48, 0.36, -0.8], (pictures, 1))
    root.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(
        root / "metadata.mat",
        {
            "recordings": recordings,
            "recording": recording[None],
            "frame": frame[None],
            "ts": frame[None] / 8.0,
            "target_cam": np.zeros((1, pictures), int),
            "target_pos3d": np.zeros((pictures, 3)),
            "target_pos2d": np.zeros((pictures, 2)),
            "person_identity": identity[None],
            "person_body_bbox": head,
            "person_head_bbox": head,
            "person_face_bbox": face,
            "person_eye_left_bbox": left,
            "person_eye_right_bbox": right,
            "gaze_dir": gaze,
            "splits": splits,
            "split": split[None],
        },
    )
    for number in range(pictures):
        picture = np.full((100, 200, 3), 90, np.uint8)
        picture[20:100, 60:140] = quarters(80)
        folder = root / "imgs" / recordings[0, recording[number]] / "head" / f"{identity[number]:06d}"
        save(folder / f"{frame[number]:06d}.jpg", picture)
    return root


# --- EYEDIAP ------------------------------------------------------------------------------------

VGA = np.array([[570.0, 0.0, 319.5], [0.0, 572.0, 239.5], [0.0, 0.0, 1.0]])
CAMERA_R = Rotation.from_rotvec([0.02, -0.03, 0.01]).as_matrix() @ np.diag([1.0, -1.0, -1.0])
CAMERA_T = np.array([0.02, -0.01, 1.0])
"""The camera in the world, whose y goes up and whose z comes toward it; meters."""
EYES = np.array([[0.031, -0.03, 0.9], [-0.031, -0.029, 0.91]])
"""Middles of the person's left and right eye in the camera's frame, m."""
EYEDIAP_HEADERS = {
    "head_pose.txt": "Head pose: (Rotation matrix (9 values, row by row);Translation(3 values, x,y,z))",
    "eye_tracking.txt": "Eyes tracking: ...",
    "screen_coordinates.txt": "Screen coordinates: ...",
}


def to_world(points: np.ndarray) -> np.ndarray:
    """Points of the camera's frame in the world: R X + T."""
    return points @ CAMERA_R.T + CAMERA_T


def eyediap_picture(frame: int, center: np.ndarray, along: np.ndarray) -> np.ndarray:
    """The face center red, a point along the gaze green, and a corner that tells the number of the picture."""
    no_lens = np.zeros(5)
    spots = {RED: photographed(center, VGA, no_lens), GREEN: photographed(along, VGA, no_lens)}
    picture = spotted(spots, 640, 480, radius=4)
    picture[:40, :40] = 3 * frame
    return picture


def eyediap_geometry(frame: int) -> dict[str, np.ndarray]:
    """Everything about one picture, meters, in the camera's frame."""
    eyes = EYES + np.array([0.0005 * frame, 0, 0])
    head = eyes.mean(0) + np.array([0.0, 0.02, 0.08])
    center = (eyes.mean(0) + head) / 2
    target = center + 0.85 * UP_LEFT
    return {"eyes": eyes, "head": head, "center": center, "target": target, "along": center + 0.05 * UP_LEFT}


def eyediap(root: Path, sessions=("1_A_DS_S", "14_A_CS_M"), frames: int = 40, video: bool = False) -> Path:
    """Sessions with every file; pictures in a folder ``frames``, or in a video where ``video`` says so."""
    for session in (*sessions, "1_A_FT_S"):
        folder = root / "Data" / session
        folder.mkdir(parents=True, exist_ok=True)
        matrix = ";".join
        rows = [matrix(f"{v:.10f}" for v in row) for row in VGA]
        turns = [matrix(f"{v:.10f}" for v in row) for row in CAMERA_R]
        places = [f"{v:.10f}" for v in CAMERA_T]
        text = ["[resolution]", "640;480", "[intrinsics]", *rows, "[R]", *turns, "[T]", *places]
        (folder / "rgb_vga_calibration.txt").write_text("\n".join(text) + "\n")
        if "FT" in session:
            continue
        lines = {name: [header] for name, header in EYEDIAP_HEADERS.items()}
        pictures = []
        for frame in range(frames):
            place = eyediap_geometry(frame)
            # The head's frame has y up and z out of the face; this one is frontal but for a small turn.
            turned = Rotation.from_rotvec([0.1, 0.2, 0.05]).as_matrix() @ np.diag([1.0, -1.0, -1.0])
            eyes = photographed(place["eyes"], VGA, np.zeros(5))
            numbers = {
                "head_pose.txt": [*(CAMERA_R @ turned).ravel(), *to_world(place["head"])],
                "eye_tracking.txt": [*eyes.ravel(), *np.zeros(4), *np.zeros(4), *to_world(place["eyes"]).ravel()],
                "screen_coordinates.txt": [100.0 + frame, 200.0, *place["target"]],
            }
            for name, values in numbers.items():
                lines[name].append(";".join([str(frame), *(f"{value:.9f}" for value in values)]))
            pictures.append(eyediap_picture(frame, place["center"], place["along"]))
        for name, text in lines.items():
            (folder / name).write_text("\n".join(text) + "\n")
        if video:
            write_video(folder / "rgb_vga.mov", pictures)
        else:
            for frame in range(0, frames, 15):
                Path(folder / "frames").mkdir(exist_ok=True)
                Image.fromarray(pictures[frame]).save(folder / "frames" / f"{frame:05d}.png")
    return root


def write_video(path: Path, pictures: list[np.ndarray]) -> None:
    """A QuickTime file with MPEG-4 in it, as the release has; needs PyAV."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 8_000_000
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


# --- GazeHub ------------------------------------------------------------------------------------


def joined(*values: float) -> str:
    return ",".join(f"{value:.7f}" for value in values)


def gazehub(root: Path, name: str, lines: int = 2) -> Path:
    """The label folder of a data set: yaw first, except for ETH-XGaze."""
    pitch, yaw = UP_LEFT_ANGLES
    head_pitch, head_yaw = HEAD_ANGLES
    gaze, head, vector = joined(yaw, pitch), joined(head_yaw, head_pitch), joined(*UP_LEFT)
    files = {"mpiifacegaze": [f"p{n:02d}" for n in range(15)], "gaze360": list(SPLITS), "eth_xgaze": ["train"]}
    files["eyediap"] = [f"p{n}" for n in range(1, 17) if n not in (12, 13)]
    headers = {
        "mpiifacegaze": "Face Left Right Origin WhichEye 3DGaze 3DHead 2DGaze 2DHead Rmat Smat GazeOrigin",
        "eyediap": "Face Left Right metapath 3DGaze 3DHead 2DGaze 2DHead Rvec Svec GazeOrigin",
        "gaze360": "Face Left Right Origin 3DGaze 2DGaze",
        "eth_xgaze": "face gaze head origin cam_index frame_index normmat",
    }
    (root / "Label").mkdir(parents=True)
    for file in files[name]:
        rows = [headers[name]]
        for n in range(1, lines + 1):
            face = f"subject00{n:02d}/{n}.jpg" if name == "eth_xgaze" else f"{file}/face/{n}.jpg"
            eyes = [face.replace("face", "left"), face.replace("face", "right")]
            three = joined(0.1, 0.2, 0.3)
            fields = {
                "mpiifacegaze": [
                    face,
                    *eyes,
                    f"day01/000{n}.jpg",
                    "left",
                    vector,
                    three,
                    gaze,
                    head,
                    three,
                    three,
                    three,
                ],
                "eyediap": [face, *eyes, f"{file[1:]}_A_DS_S_{n}", vector, three, gaze, head, three, three, three],
                "gaze360": [face, *eyes, f"rec_000/head/00000{n}/000009.jpg", joined(0.48, 0.36, -0.8), gaze],
                "eth_xgaze": [
                    face,
                    joined(pitch, yaw),
                    joined(head_pitch, head_yaw),
                    face,
                    "7",
                    "3",
                    joined(*range(9)),
                ],
            }
            rows.append(" ".join(fields[name]))
            save(root / "Image" / face, quarters(224))
        (root / "Label" / f"{file}.label").write_text("\n".join(rows) + "\n")
    return root
