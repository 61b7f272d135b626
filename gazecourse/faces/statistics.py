"""Label statistics of drawn faces, and the published ranges of the data sets that the domains mirror."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gazecourse.angles import rotation_to_pitchyaw, vector_to_pitchyaw
from gazecourse.faces.attributes import Factors


def label_statistics(factors: Factors) -> dict[str, dict[str, float]]:
    """How gaze and head pose are spread, in degrees.

    Args:
        factors: at least one image.
    Returns:
        For "gaze pitch", "gaze yaw", "head pitch" and "head yaw", in this order: ``mean``, ``std``, ``min``,
        ``max``, and ``low`` and ``high``, between which the middle 98 % lie.
    """
    gaze = vector_to_pitchyaw(factors.target - factors.head_position)
    head = rotation_to_pitchyaw(factors.head_rotation)
    columns = {"gaze pitch": gaze[:, 0], "gaze yaw": gaze[:, 1], "head pitch": head[:, 0], "head yaw": head[:, 1]}
    table = {}
    for name, radians in columns.items():
        degrees = torch.rad2deg(radians.double())
        low, high = torch.quantile(degrees, torch.tensor([0.01, 0.99], dtype=torch.float64)).tolist()
        table[name] = {
            "mean": degrees.mean().item(),
            "std": degrees.std(correction=0).item(),
            "min": degrees.min().item(),
            "max": degrees.max().item(),
            "low": low,
            "high": high,
        }
    return table


@dataclass(frozen=True)
class Published:
    """Approximate published numbers of a real data set, as data set papers list them beside each other.

    Attributes:
        data_set: its name. people: identities. images: as published, in words where releases differ.
        gaze_yaw, gaze_pitch, head_yaw, head_pitch: largest angle to either side in degrees; a negative number means
            that only downward angles are listed; None that none is.
        source: where it was published.
    """

    data_set: str
    people: int
    images: str
    gaze_yaw: float
    gaze_pitch: float
    head_yaw: float | None
    head_pitch: float | None
    source: str


PUBLISHED: dict[str, Published] = {
    "studio": Published("ETH-XGaze", 110, "1.08 M", 120, 70, 80, 80, "Zhang et al., ECCV 2020"),
    "wild": Published("Gaze360", 238, "172 k", 140, -50, None, None, "Kellnhofer et al., ICCV 2019"),
    "laptop": Published(
        "MPIIFaceGaze", 15, "45 k normalized; 37,667 raw", 20, 20, 15, 30, "Zhang et al., CVPR Workshops 2017"
    ),
    "lab": Published("EyeDiap", 16, "94 videos", 25, 20, 15, 30, "Funes Mora et al., ETRA 2014"),
}
"""The real data set beside each domain. Ranges as in the comparison table of Zhang et al. (ETH-XGaze, ECCV 2020)."""
