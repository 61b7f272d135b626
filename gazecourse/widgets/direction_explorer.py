"""``DirectionExplorer``: sliders for head and gaze, the face that results, and what data sets would write down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from gazecourse import plotting
from gazecourse.angles import pitchyaw_to_rotation, pitchyaw_to_vector
from gazecourse.sketches import describe_direction, direction_views
from gazecourse.validation import describe
from gazecourse.widgets.screen import Screen, show_controls

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from gazecourse.faces.attributes import Factors
    from gazecourse.faces.renderer import Renderer

TARGET_DISTANCE = 600.0  # mm from the face to what it looks at
LIMITS = {"gaze pitch": 50, "gaze yaw": 70, "head pitch": 40, "head yaw": 60}
"""Degrees to either side that the sliders reach."""


class DirectionExplorer:
    """Turn a head and its gaze by sliders. ``show()`` puts it into the notebook.

    The last picture stays in the saved notebook, with its description.

    Args:
        renderer: draws the face.
        face: factors of one face; its head and its target are replaced.
        gaze, head: (pitch, yaw) in degrees to begin with.
    Raises:
        ValueError: ``face`` is not one face, or an angle is beyond ``LIMITS``.
    """

    def __init__(
        self,
        renderer: Renderer,
        face: Factors,
        *,
        gaze: tuple[float, float] = (0.0, 0.0),
        head: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        if len(face) != 1:
            raise ValueError(f"face must be the factors of one face; got those of {len(face)}.")
        self.renderer, self.face = renderer, face
        self._screen = Screen(photo=True)
        self.degrees = dict(zip(LIMITS, (*gaze, *head), strict=True))
        for name, value in self.degrees.items():
            if not abs(value) <= LIMITS[name]:
                raise ValueError(f"{name} must lie within ±{LIMITS[name]} degrees; got {describe(value)}.")

    @property
    def gaze(self) -> Tensor:
        """[2] (pitch, yaw), radians."""
        return self._angles("gaze")

    @property
    def head(self) -> Tensor:
        """[2] (pitch, yaw), radians."""
        return self._angles("head")

    def _angles(self, what: str) -> Tensor:
        return torch.tensor([math.radians(self.degrees[f"{what} {angle}"]) for angle in ("pitch", "yaw")])

    def turned_face(self) -> Factors:
        """The factors of the face as the sliders stand."""
        target = self.face.head_position + TARGET_DISTANCE * pitchyaw_to_vector(self.gaze)
        return self.face.replace(head_rotation=pitchyaw_to_rotation(self.head), target=target)

    def picture(self) -> Tensor:
        """The face [3, H, W] in [0, 1] as the sliders stand."""
        images, _ = self.renderer.render(self.turned_face())
        return images[0]

    def figure(self) -> tuple[Figure, str]:
        """The picture that stays, and its description in words."""
        plotting.use_style()
        alt = (
            f"A rendered face. Gaze: {describe_direction(self.gaze)}. Head: {describe_direction(self.head)}. "
            "Beside it the gaze from above and from the side; below it the numbers that four data sets store for it."
        )
        return direction_views(self.gaze, self.head, self.picture()), alt

    def show(self) -> None:
        """Put sliders and picture into the notebook."""
        import ipywidgets

        sliders = [self._slider(name) for name in LIMITS]
        box = ipywidgets.HBox([ipywidgets.VBox(sliders[:2]), ipywidgets.VBox(sliders[2:])])
        show_controls(box, "Sliders for gaze and head, in degrees (in a live notebook).")
        self._screen.show(*self.figure())

    def _slider(self, name: str):
        import ipywidgets

        slider = ipywidgets.IntSlider(
            value=round(self.degrees[name]), min=-LIMITS[name], max=LIMITS[name], step=1, description=f"{name} °"
        )
        slider.observe(lambda change: self._turn(name, change["new"]), names="value")
        return slider

    def _turn(self, name: str, degrees: int) -> None:
        self.degrees[name] = degrees
        self._screen.update(*self.figure())
