"""One form for all gaze data, synthetic and real."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor


@dataclass
class Sample:
    """One face, or a batch of them with a leading axis B. Missing labels are ``None``.

    Attributes:
        image: uint8 [3, H, W], RGB.
        gaze: [2] (pitch, yaw), radians, canonical camera frame (x right, y down, z forward).
        head: [2] (pitch, yaw) of the head, same frame.
        landmarks: [N, 2] (x, y) in pixels; (0, 0) is the corner of the image, pixel centres at .5.
        face_center: [3] (x, y, z) of the face center in the physical camera's frame, mm.
        screen: [2] (x, y) of the point looked at, mm from the top left corner of the screen.
        person: identity, int (a tensor [B] in a batch).
        domain: where the sample comes from (a list in a batch).
        factors: what is known about the gaze-irrelevant factors, by name.
    """

    image: Tensor
    gaze: Tensor | None = None
    head: Tensor | None = None
    landmarks: Tensor | None = None
    face_center: Tensor | None = None
    screen: Tensor | None = None
    person: int | Tensor = -1
    domain: str | list[str] = ""
    factors: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Sample:
        """The same sample with every tensor on ``device``."""

        def move(value: object) -> object:
            if isinstance(value, Tensor):
                return value.to(device, non_blocking=non_blocking)
            if isinstance(value, dict):
                return {key: move(item) for key, item in value.items()}
            return value

        return Sample(**{f.name: move(getattr(self, f.name)) for f in fields(self)})

    def float_image(self) -> Tensor:
        """The image as float32 in [0, 1]."""
        return self.image.to(torch.float32) / 255.0


def collate(samples: list[Sample] | Sample) -> Sample:
    """Stack samples into one batch; a label that any of them lacks is dropped.

    A batch passes unchanged: PyTorch's ``DataLoader`` hands over what ``__getitems__`` of a data set returned.
    """
    if isinstance(samples, Sample):
        return samples

    def stack(name: str) -> Tensor | None:
        values = [getattr(s, name) for s in samples]
        return None if any(v is None for v in values) else torch.stack(values)

    known = set.intersection(*(set(s.factors) for s in samples)) if samples else set()
    return Sample(
        image=stack("image"),
        gaze=stack("gaze"),
        head=stack("head"),
        landmarks=stack("landmarks"),
        face_center=stack("face_center"),
        screen=stack("screen"),
        person=torch.tensor([int(s.person) for s in samples]),
        domain=[str(s.domain) for s in samples],
        factors={key: torch.stack([s.factors[key] for s in samples]) for key in sorted(known)},
    )
