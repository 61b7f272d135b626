"""Image normalization: every face as one virtual camera would see it.

Source: Zhang, Sugano, Bulling: "Revisiting data normalization for appearance-based gaze estimation", ETRA 2018.

The real camera sees a face anywhere, at any distance, with the head tilted. The camera is turned *virtually*, about
its own center, until it looks straight at the face and the head's x axis is horizontal; then the image is zoomed until
the face is as large as it would be at one fixed distance. A rotation and a zoom need no depth, so the whole change is
one perspective warp of the image, W = C_n · S · R · C_r⁻¹.

Pixel coordinates have (0, 0) at the corner of the image; the center of the first pixel is (0.5, 0.5). Camera matrices
must use them too. A calibration by OpenCV puts (0, 0) at the center of the first pixel: add 0.5 to its c_x and c_y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from gazecourse.angles import check_rotation, cross, norm, rotation_to_pitchyaw, unit
from gazecourse.lens import Lens
from gazecourse.validation import Array, check_array, check_positive, describe

_PARALLEL = 1e-6  # sine of the angle below which two axes count as parallel
_MOST_SAMPLES_A_SIDE = 16
_OUTSIDE = -3.0  # in grid_sample's coordinates


@dataclass(frozen=True)
class Normalized:
    """A normalized image and the geometry that made it.

    Matrices are float64 arrays for an array image, float32 tensors on its device for a tensor image.

    Attributes:
        image: the face seen by the virtual camera; kind and dtype of the input image.
        rotation: R [3, 3], real camera frame → virtual camera frame.
        warp: W [3, 3], real pixels → virtual pixels (homogeneous coordinates).
        camera_matrix: C_n · S [3, 3] divided by its last entry: an ordinary camera matrix of focal length
            focal · |c| / d. A renderer with it, placed like the real camera but turned by R, draws the same image.
        head_rotation: R · head_rotation [3, 3], the head in the virtual camera's frame.
    """

    image: Array
    rotation: Array
    warp: Array
    camera_matrix: Array
    head_rotation: Array

    @property
    def head(self) -> Array:
        """[2] (pitch, yaw) of the head in the virtual camera's frame, radians."""
        return rotation_to_pitchyaw(self.head_rotation)

    def rotate(self, gaze_vector: Array) -> Array:
        """A direction of the real camera's frame in the virtual camera's frame: R g.

        R only: the zoom S changes the picture, not where the person looks (Zhang et al. 2018, section 3; data sets
        before it used M = S · R, which bends the label away from the truth).

        Args:
            gaze_vector: [..., 3], real camera frame.
        Returns:
            [..., 3], same length, kind and dtype.
        Raises:
            TypeError: not a floating-point tensor or array.
            ValueError: wrong shape, NaN or infinity.
        """
        return _apply(self.rotation, gaze_vector)

    def denormalize(self, gaze_vector: Array) -> Array:
        """A direction of the virtual camera's frame, such as a prediction, back in the real camera's frame: Rᵀ g.

        Args, Returns, Raises: as ``rotate``.
        """
        return _apply(self.rotation.T, gaze_vector)

    def warp_points(self, points: Array) -> Array:
        """Real pixels, such as landmarks, in the normalized image; see ``warp_points``."""
        return warp_points(_like(self.warp, points), points)


def _like(matrix: Array, value: Array) -> Array:
    """``matrix`` in the kind and dtype of ``value``, on its device."""
    if isinstance(value, torch.Tensor):
        return torch.as_tensor(matrix, dtype=value.dtype, device=value.device)
    return _as_numpy(matrix).astype(value.dtype)


def _as_numpy(value: Array) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def _apply(matrix: Array, vector: Array) -> Array:
    check_array("gaze_vector", vector, ("...", 3), hint="Directions in (pitch, yaw) go through pitchyaw_to_vector.")
    return (_like(matrix, vector) @ vector[..., None])[..., 0]


def normalizing_rotation(face_center: Array, head_rotation: Array) -> Array:
    """R, whose rows are the axes of the virtual camera, written in the real camera's frame.

        z = c / |c|     the camera looks at the face center c
        y ∝ z × h_x     at right angles to the head's x axis, so that this is horizontal in the image
        x = y × z

    A head turned away by more than 90° comes out upside down: its x axis points left, and R makes it point right.

    Args:
        face_center: c [..., 3] in the real camera's frame, any unit; in front of the camera.
        head_rotation: [..., 3, 3], head frame → real camera frame; h_x is its first column.
    Returns:
        [..., 3, 3], same kind.
    Raises:
        TypeError: not floating point, or a tensor with an array.
        ValueError: wrong shape or NaN; a face center at the camera or behind it; not a rotation matrix; or a head
            whose x axis points along the line of sight.
    """
    _check_face_center(face_center)
    check_rotation("head_rotation", head_rotation)
    head_x = head_rotation[..., :, 0]
    z_axis = unit(face_center, "face_center")
    down = cross(z_axis, head_x)
    if bool((norm(down) < _PARALLEL).any()):
        raise ValueError(
            "head_rotation must not turn the head's x axis into the line of sight to face_center "
            "(a head seen exactly from its side has no horizontal axis to align)."
        )
    y_axis = unit(down)
    x_axis = cross(y_axis, z_axis)
    library = torch if isinstance(x_axis, torch.Tensor) else np
    return library.stack([x_axis, y_axis, z_axis], -2)


def _check_face_center(face_center: Array) -> None:
    check_array("face_center", face_center, ("...", 3))
    if bool((face_center[..., 2] <= 0).any()):
        nearest = float(face_center[..., 2].min())
        raise ValueError(f"face_center must lie in front of the camera (z > 0); got z = {nearest:.4g}.")


def normalize(
    image: Array,
    camera_matrix: Array,
    face_center: Array,
    head_rotation: Array,
    *,
    focal: float = 960,
    distance: float = 600,
    size: tuple[int, int] = (224, 224),
    lens: Lens | None = None,
) -> Normalized:
    """Normalize the image of one face (Zhang et al. 2018): W = C_n · S · R · C_r⁻¹.

    Usual values of (focal, distance, size): face (960, 600 mm, 224²), as ETH-XGaze and GazeHub; face (1600, 1000 mm,
    224²); eye (960, 600 mm, 60 × 36).

    Args:
        image: [H, W, 3] array or [3, H, W] tensor, uint8 or floating point.
        camera_matrix: C_r [3, 3] of the real camera; pixels from the corner of the image.
        face_center: c [3], real camera frame, millimeters (the unit of ``distance``).
        head_rotation: [3, 3], head frame → real camera frame.
        focal: focal length of the virtual camera, pixels.
        distance: d, distance of the face from the virtual camera.
        size: (width, height) of the normalized image, pixels.
        lens: what bends the picture of the real camera; the normalized image is straight. W maps ideal pixels, so
            landmarks go through ``lens.undistort`` before ``warp_points``.
    Returns:
        ``Normalized``: the image, R, W and the label transforms. What the real camera did not see is black.
    Raises:
        TypeError: wrong kinds or dtypes.
        ValueError: wrong shapes, NaN, a face center behind the camera, a matrix that is not a rotation, a camera
            matrix without an inverse, or a head whose x axis points along the line of sight.
    """
    _check_image(image)
    check_positive("focal", focal)
    check_positive("distance", distance)
    _check_size(size)
    check_array("face_center", face_center, (3,))
    check_array("head_rotation", head_rotation, (3, 3))
    real_camera = _check_camera_matrix(camera_matrix)
    center, head = (_as_numpy(value).astype(np.float64) for value in (face_center, head_rotation))

    rotation = normalizing_rotation(center, head)
    zoom = np.diag([1.0, 1.0, distance / float(norm(center))])
    virtual_camera = np.array([[focal, 0.0, size[0] / 2], [0.0, focal, size[1] / 2], [0.0, 0.0, 1.0]])
    warp = virtual_camera @ zoom @ rotation @ np.linalg.inv(real_camera)
    matrices = (rotation, warp, virtual_camera @ zoom / zoom[2, 2], rotation @ head)
    if isinstance(image, torch.Tensor):
        matrices = tuple(torch.tensor(m, dtype=torch.float32, device=image.device) for m in matrices)
    return Normalized(warp_image(image, warp, size, lens), *matrices)


def _check_image(image: Array) -> None:
    is_tensor = isinstance(image, torch.Tensor)
    check_array("image", image, (3, "H", "W") if is_tensor else ("H", "W", 3), floating=False)
    if not _is_floating(image) and image.dtype not in (np.uint8, torch.uint8):
        raise TypeError(f"image must be uint8 or floating point; got {describe(image)}.")
    if 0 in image.shape:
        raise ValueError(f"image must have pixels; got {describe(image)}.")


def _is_floating(value: Array) -> bool:
    return value.is_floating_point() if isinstance(value, torch.Tensor) else value.dtype.kind == "f"


def _check_size(size: tuple[int, int]) -> None:
    whole = isinstance(size, (tuple, list)) and len(size) == 2 and all(isinstance(n, (int, np.integer)) for n in size)
    if not (whole and min(size) > 0):
        raise ValueError(f"size must be (width, height) in whole pixels above 0; got {size!r}.")


def _check_camera_matrix(camera_matrix: Array) -> np.ndarray:
    check_array("camera_matrix", camera_matrix, (3, 3))
    matrix = _as_numpy(camera_matrix).astype(np.float64)
    last_row_fits = np.array_equal(matrix[2], (0, 0, 1))
    if not (last_row_fits and matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise ValueError(
            f"camera_matrix must be [[f_x, s, c_x], [0, f_y, c_y], [0, 0, 1]] with f_x, f_y > 0; got {matrix.tolist()}."
        )
    return matrix


def warp_points(warp: Array, points: Array) -> Array:
    """Pixels through a homography: (x, y, 1) → W (x, y, 1), divided by its last coordinate.

    Args:
        warp: W [3, 3].
        points: [..., 2] (x, y) in pixels; same kind as ``warp``.
    Returns:
        [..., 2] (x, y) in pixels.
    Raises:
        TypeError: not floating point, or a tensor with an array.
        ValueError: wrong shape, NaN, or a point that W sends behind the camera (last coordinate not above 0).
    """
    check_array("warp", warp, (3, 3))
    check_array("points", points, ("...", 2))
    if type(warp) is not type(points):
        raise TypeError(
            f"warp and points must both be tensors or both arrays; got {describe(warp)}, {describe(points)}."
        )
    projected = points @ warp[:, :2].T + warp[:, 2]
    depth = projected[..., 2:]
    if bool((depth <= 0).any()):
        raise ValueError("points must lie in front of the virtual camera; at least one is behind it.")
    return projected[..., :2] / depth


def warp_image(image: Array, warp: Array, size: tuple[int, int], lens: Lens | None = None) -> Array:
    """``image`` seen through a homography: the output pixel W p shows what the input shows at p.

    Each output pixel looks back through W⁻¹ and samples the input bilinearly. Where the warp shrinks the image, one
    sample a pixel would skip most of the input and alias, so each pixel then averages a grid of k × k samples, k
    input pixels (at the center of the output) being as wide as one output pixel.

    Args:
        image: [H, W, 3] array or [3, H, W] tensor, uint8 or floating point.
        warp: [3, 3], input pixels → output pixels, invertible; its scale is chosen so that what lies in front of the
            camera has a positive last coordinate.
        size: (width, height) of the output.
        lens: what bends the input; the warp is that of the ideal camera.
    Returns:
        The warped image, same kind, dtype and device; black where the input does not reach.
    Raises:
        TypeError: wrong kinds or dtypes.
        ValueError: wrong shapes, NaN, or a warp without an inverse.
    """
    _check_image(image)
    _check_size(size)
    check_array("warp", warp, (3, 3))
    matrix = _as_numpy(warp).astype(np.float64)
    if np.linalg.matrix_rank(matrix) < 3:
        raise ValueError(f"warp must have an inverse; got {matrix.tolist()}.")
    if isinstance(image, torch.Tensor):
        return _warp_tensor(image, np.linalg.inv(matrix), size, lens)
    chw = torch.from_numpy(np.require(image, requirements="CW")).permute(2, 0, 1)
    return np.ascontiguousarray(_warp_tensor(chw, np.linalg.inv(matrix), size, lens).numpy().transpose(1, 2, 0))


def _warp_tensor(image: torch.Tensor, back: np.ndarray, size: tuple[int, int], lens: Lens | None) -> torch.Tensor:
    """``warp_image`` of a [3, H, W] tensor; ``back`` is W⁻¹."""
    samples = _samples_a_side(back, size)
    dtype = torch.float64 if image.dtype == torch.float64 else torch.float32
    grid = _sampling_grid(back, size, samples, image.shape[-2:], lens)
    image, grid = _cropped(image, grid)
    grid = torch.from_numpy(grid).to(device=image.device, dtype=dtype)
    # align_corners=False puts -1 and 1 at the image's corners: the course's pixel coordinates.
    fine = F.grid_sample(image.to(dtype)[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)
    result = F.avg_pool2d(fine, samples)[0]
    return (result if image.is_floating_point() else result.round()).to(image.dtype)


def _cropped(image: torch.Tensor, grid: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """The part of the image that the grid looks at, and the grid in its coordinates: faces are small in photographs."""
    height, width = image.shape[-2:]
    x, y = (grid[..., 0] + 1) / 2 * width, (grid[..., 1] + 1) / 2 * height
    seen = (x > -1) & (x < width + 1) & (y > -1) & (y < height + 1)
    if not seen.any():
        return image[..., :1, :1], grid
    left, right = _span(x[seen], width)
    top, bottom = _span(y[seen], height)
    x, y = 2 * (x - left) / (right - left) - 1, 2 * (y - top) / (bottom - top) - 1
    return image[..., top:bottom, left:right], np.stack([x, y], -1)


def _span(places: np.ndarray, length: int) -> tuple[int, int]:
    """The pixels of an axis, [first, end), that hold these places and two more on either side."""
    first = np.clip(math.floor(places.min()) - 2, 0, length - 1)
    return int(first), int(np.clip(math.ceil(places.max()) + 2, 1, length))


def _samples_a_side(back: np.ndarray, size: tuple[int, int]) -> int:
    """Input pixels along one output pixel at the output's center, rounded up."""
    x, y = size[0] / 2, size[1] / 2
    u, v, w = back @ (x, y, 1.0)
    jacobian = (back[:2, :2] - np.outer((u / w, v / w), back[2, :2])) / w
    stretch = np.linalg.norm(jacobian, ord=2)
    return int(np.clip(math.ceil(stretch - 1e-6), 1, _MOST_SAMPLES_A_SIDE))


def _sampling_grid(
    back: np.ndarray, size: tuple[int, int], samples: int, shape: tuple[int, int], lens: Lens | None
) -> np.ndarray:
    """Where each (sub)pixel of the output looks in the input, [h·k, w·k, 2] in grid_sample's [-1, 1] coordinates."""
    width, height = size
    x = (np.arange(width * samples) + 0.5) / samples
    y = ((np.arange(height * samples) + 0.5) / samples)[:, None]
    u, v, w = (row[0] * x + (row[1] * y + row[2]) for row in back)
    hidden = w <= 0  # the half-space behind the real camera would show a mirrored ghost
    w[hidden] = 1.0
    u, v = u / w, v / w
    if lens is not None:
        u, v = lens.distort(u, v)
    grid = np.stack([2 * u / shape[1] - 1, 2 * v / shape[0] - 1], -1)
    grid[hidden] = _OUTSIDE
    return grid
