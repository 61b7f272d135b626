"""What a lens does to straight lines: OpenCV's model of distortion, there and back.

A calibration by OpenCV gives a camera matrix and the coefficients (k1, k2, p1, p2, k3). An ideal pinhole camera would
see a point at (x, y) = (X/Z, Y/Z); through the lens it appears at

    x' = x (1 + k1 r² + k2 r⁴ + k3 r⁶) + 2 p1 x y + p2 (r² + 2 x²)        r² = x² + y²
    y' = y (1 + k1 r² + k2 r⁴ + k3 r⁶) + p1 (r² + 2 y²) + 2 p2 x y

Source: Brown, "Close-range camera calibration", Photogrammetric Engineering 1971; OpenCV's documentation orders it so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gazecourse.validation import check_array

_STEPS = 20
_CLOSE = 1e-10
"""Of a focal length: what ``undistort`` may be off by."""


@dataclass(frozen=True)
class Lens:
    """A camera's matrix and its lens.

    Attributes:
        camera_matrix: C [3, 3], pixels from the corner of the image.
        coefficients: (k1, k2, p1, p2[, k3]), as OpenCV orders them.
    Raises:
        TypeError, ValueError: naming the attribute, what was expected and what came.
    """

    camera_matrix: np.ndarray
    coefficients: np.ndarray

    def __post_init__(self) -> None:
        check_array("camera_matrix", self.camera_matrix, (3, 3))
        check_array("coefficients", self.coefficients, ("4 or 5",))
        if len(self.coefficients) not in (4, 5):
            raise ValueError(f"coefficients must be (k1, k2, p1, p2[, k3]); got {len(self.coefficients)} numbers.")

    def distort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where pixels (x, y) of the ideal camera appear in the real picture; two arrays of one shape."""
        (fx, skew, cx), (_, fy, cy), _ = self.camera_matrix
        v = (y - cy) / fy
        u = (x - cx - skew * v) / fx
        u, v = self._bend(u, v)
        return fx * u + skew * v + cx, fy * v + cy

    def undistort(self, points: np.ndarray) -> np.ndarray:
        """Where pixels [..., 2] (x, y) of the real picture would be in the ideal camera's; by fixed-point iteration.

        Raises:
            ValueError: the coefficients bend so much that there is no such place.
        """
        check_array("points", points, ("...", 2))
        (fx, skew, cx), (_, fy, cy), _ = self.camera_matrix
        v = (points[..., 1] - cy) / fy
        real = np.stack([(points[..., 0] - cx - skew * v) / fx, v])
        ideal = real.copy()
        with np.errstate(over="ignore", invalid="ignore"):  # what does not converge is refused below
            for _ in range(_STEPS):
                ideal = ideal - (np.stack(self._bend(*ideal)) - real)
            off = np.abs(np.stack(self._bend(*ideal)) - real).max(initial=0.0)
        if not off < _CLOSE:
            raise ValueError("coefficients must be those of a real lens: these cannot be undone at some of the points.")
        return np.stack([fx * ideal[0] + skew * ideal[1] + cx, fy * ideal[1] + cy], -1)

    def _bend(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k1, k2, p1, p2, k3 = (*self.coefficients, 0.0)[:5]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        cross = 2 * x * y
        return x * radial + p1 * cross + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + p2 * cross
