"""What explorers put into a notebook: their controls, and a picture that is drawn anew when these are moved."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from gazecourse import plotting
from gazecourse.widgets.live_curve import quick_png

if TYPE_CHECKING:
    from IPython.display import DisplayHandle
    from ipywidgets import Widget
    from matplotlib.figure import Figure

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def show_controls(box: Widget, plain: str) -> None:
    """Put controls into the notebook; ``plain`` says what they are where nothing is live."""
    from IPython.display import display

    display({WIDGET_VIEW: box._repr_mimebundle_()[WIDGET_VIEW], "text/plain": plain}, raw=True)


class Screen:
    """A picture in the notebook and its description for those who cannot see it; the last one stays when it is saved.

    Args:
        photo: stored as JPEG, as for faces.
    """

    def __init__(self, *, photo: bool = False) -> None:
        self._photo = photo
        self._picture: DisplayHandle | None = None
        self._words: DisplayHandle | None = None

    @property
    def is_on(self) -> bool:
        """Whether it has been shown."""
        return self._picture is not None

    def show(self, fig: Figure, alt: str) -> None:
        """Put it into the notebook, carefully packed, for this may be the picture that stays."""
        from IPython.display import display

        data, metadata = plotting.bundle(fig, alt, photo=self._photo)
        self._picture = display(data, metadata=metadata, raw=True, display_id=True)
        self._words = display(plotting.spoken(alt), raw=True, display_id=True)

    def update(self, fig: Figure, alt: str) -> None:
        """Draw it anew, quickly."""
        png = base64.b64encode(quick_png(fig)).decode("ascii")
        width = int(fig.get_figwidth() * plotting.DOTS_PER_INCH)
        self._picture.update(
            {"image/png": png, "text/plain": alt}, metadata={"image/png": {"width": width, "alt": alt}}, raw=True
        )
        self._words.update(plotting.spoken(alt), raw=True)


class Explorer(ABC):
    """A picture that depends on some values, and controls that move them.

    Args:
        photo: as in ``Screen``.
    Attributes:
        values: where the controls stand, by name.
    """

    def __init__(self, *, photo: bool = False) -> None:
        self.values: dict[str, Any] = {}
        self._controls: dict[str, Any] = {}
        self._screen = Screen(photo=photo)

    @abstractmethod
    def figure(self) -> tuple[Figure, str]:
        """The picture as it stands, and its description."""

    def _put(self, box: Widget, plain: str) -> None:
        """Put the controls in their box into the notebook, and the picture below; ``plain`` as in ``show_controls``."""
        show_controls(box, plain)
        self._screen.show(*self.figure())

    def _watched(self, name: str, control: Widget) -> Widget:
        """The control, whose moves now reach ``values`` and the picture."""
        control.observe(lambda change: self._moved(name, change["new"]), names="value")
        return control

    def _moved(self, name: str, value: Any) -> None:
        value = round(value, 4) if isinstance(value, float) else value  # a browser's 0.1 + 0.2 is no 0.3 either
        if self.values[name] != value:
            self.values[name] = value
            self._refresh()

    def _refresh(self) -> None:
        """Draw again, and let every control show its value."""
        if not self._screen.is_on:
            return
        for name, control in self._controls.items():
            control.value = self.values[name]
        self._screen.update(*self.figure())
