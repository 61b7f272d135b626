"""What explorers put into a notebook: their controls, and a picture that is drawn anew when these are moved."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

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
