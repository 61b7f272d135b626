"""``LookExplorer``: gaze in a photograph, in any picture of a video, or in a picture that the camera takes."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gazecourse import camera, plotting
from gazecourse.errors import CourseError
from gazecourse.faces.pose import guessed_camera
from gazecourse.images import read_image
from gazecourse.looking import ADVICE, Gazer, Landmarks, Look, draw, in_words, looks
from gazecourse.media import source_kind
from gazecourse.validation import check_choice, check_whole, describe
from gazecourse.video import frame_count, frames
from gazecourse.widgets.screen import Screen, show_controls

WIDTH, HIGHEST = 9.6, 6.4  # inches, of everything and of the picture
FACE, LEAST_FACE, TITLE, GAP = 2.2, 1.0, 0.32, 0.15  # inches: sides of the faces beside it, lines above, room between
MOST_FACES = 3
"""That are shown as the network sees them, beside the picture."""
LONGEST_NAME = 60
"""Characters of a file's name in the title."""
LABELS = {"picture": "picture", "landmarks": "landmarks"}


class LookExplorer:
    """The picture with arrows and landmarks, and beside it the first faces as the network sees them.

    ``show()`` puts it into the notebook, with a button for files, one for the camera, and a slider for videos; the last
    picture stays in the saved notebook with its description. ``open(path)`` and ``snapshot()`` do the same from code,
    ``set(name=value, …)`` moves the slider and the box; ``values`` holds where they stand, ``found`` the faces.

    Args:
        find: finds landmarks, such as ``looking.finder()``.
        gazer: a trained system, such as ``looking.gazer_of(folder)``.
        path: photograph or video to begin with.
        device: number of the camera.
        focal: of the camera in pixels; see ``guessed_camera``.
    Raises:
        FileNotFoundError, CourseError: see ``open``.
    """

    def __init__(
        self, find: Landmarks, gazer: Gazer, path: Path | str, *, device: int = 0, focal: float | None = None
    ) -> None:
        self.find, self.gazer, self.focal = find, gazer, focal
        self.device = check_whole("device", device, 0)
        self.values: dict[str, Any] = {"picture": 0, "landmarks": True}
        self._controls: dict[str, Any] = {}
        self._message: Any = None
        self._screen = Screen(photo=True)
        self.open(path)

    def open(self, path: Path | str) -> None:
        """Look at a photograph, or at the first picture of a video.

        Raises:
            FileNotFoundError, CourseError: no such file, no photograph or video, cut off or damaged.
        """
        path = Path(path)
        if source_kind(path, None) == "photo":
            self._take(read_image(path, upright=True), path.name)
            return
        count = frame_count(path)
        self._take(_picture(path, 0), path.name, path, count)

    def snapshot(self) -> None:
        """Look at what the camera sees.

        Raises:
            CourseError: see ``camera.pictures``.
        """
        self._take(camera.snapshot(self.device), f"camera {self.device}")

    def set(self, **values: int | bool) -> None:
        """Move the slider ``picture`` of a video, or tick the box ``landmarks``.

        Raises:
            TypeError: another type. ValueError: no such control, or a picture that the video does not have.
        """
        for name, value in values.items():
            check_choice("control", name, list(LABELS))
            if name == "picture":
                check_whole(name, value, 0, self._count - 1)
            elif not isinstance(value, bool):
                raise TypeError(f"landmarks must be True or False; got {describe(value)}.")
        moved = values.get("picture", self.values["picture"]) != self.values["picture"]
        self.values |= values
        if moved:
            self._see(_picture(self._video, self.values["picture"]))
        self._refresh()

    def _take(self, picture: np.ndarray, name: str, video: Path | None = None, count: int = 1) -> None:
        """Look at something new."""
        self.name, self._video, self._count = name, video, count
        self.values["picture"] = 0
        self._see(picture)
        self._refresh()

    def _see(self, picture: np.ndarray) -> None:
        self.picture = picture
        lens = guessed_camera(picture.shape[1], picture.shape[0], self.focal)
        self.found: list[Look] = looks(picture, self.find, self.gazer, lens)

    # ------------------------------------------------------------------ picture
    def figure(self) -> tuple[Figure, str]:
        """The picture with arrows, the faces as the network sees them, and the description in words."""
        plotting.use_style()
        height, width = self.picture.shape[:2]
        faces = self.found[:MOST_FACES]
        tall = min((WIDTH - (FACE + GAP if faces else 0.0)) * height / width, HIGHEST)
        wide = tall * width / height
        side = max(LEAST_FACE, min(FACE, tall / max(len(faces), 1) - TITLE))
        whole = max(tall, len(faces) * (TITLE + side)) + TITLE
        fig = Figure(figsize=(WIDTH, whole), layout="none")

        def place(x: float, y: float, w: float, h: float) -> Axes:
            """Inches from the upper left corner."""
            return fig.add_axes((x / WIDTH, 1 - (y + h) / whole, w / WIDTH, h / whole))

        seen = draw(self.picture, self.found, landmarks=self.values["landmarks"])
        _show(place(0, TITLE, wide, tall), _reduced(seen, tall), self._title(_shortened(self.name)))
        for row, look in enumerate(faces):
            corner = wide + GAP, TITLE + row * (TITLE + side) + TITLE
            _show(place(*corner, side, side), look.face.image, f"face {row + 1}")
        return fig, self.describe()

    def _title(self, name: str) -> str:
        part = f", picture {self.values['picture']} of {self._count}" if self._video else ""
        return f"{name}{part}: {_faces(len(self.found))}"

    def describe(self) -> str:
        """Everything that the picture says, in a sentence for each face."""
        words = "; ".join(in_words(self.found).splitlines())
        return f"{self._title(self.name)}{'. An arrow shows where each looks: ' + words if words else ''}."

    # ------------------------------------------------------------------ widgets
    def show(self) -> None:
        """Put controls and picture into the notebook."""
        import ipywidgets

        style = {"description_width": "70px"}
        controls = {
            "file": ipywidgets.FileUpload(description="open …", accept="image/*"),
            "camera": ipywidgets.Button(description="take a picture"),
            "picture": ipywidgets.IntSlider(
                description="picture", min=0, max=self._count - 1, style=style, continuous_update=False
            ),
            "landmarks": ipywidgets.Checkbox(description="landmarks", value=True, indent=False),
        }
        controls["file"].observe(lambda change: self._chosen(change["new"]), names="value")
        controls["camera"].on_click(lambda _: self._try(self.snapshot))
        for name in LABELS:
            controls[name].observe(lambda change, name=name: self._moved(name, change["new"]), names="value")
        self._controls, self._message = controls, ipywidgets.HTML(_lines(self._words()))
        self._align()
        row = ipywidgets.HBox(list(controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        plain = "Buttons for a file and the camera, a slider for the pictures of a video, a box for the landmarks."
        show_controls(ipywidgets.VBox([row, self._message]), f"{plain[:-1]} (in a live notebook).")
        self._screen.show(*self.figure())

    def _chosen(self, files: tuple) -> None:
        """Look at what the browser sent, and forget it there: the same file may be chosen again."""
        if files:
            try:
                self._try(lambda: self._uploaded(files))
            finally:
                self._controls["file"].value = ()

    def _uploaded(self, files: tuple) -> None:
        """Look at what the browser sent; a name's folders are the sender's, not ours."""
        for file in files:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / Path(file["name"]).name
                path.write_bytes(file["content"])
                try:
                    if source_kind(path, None) == "video":  # its pictures are read later, when this file is gone
                        raise CourseError(f"{path.name} is a video; open it by its path: explorer.open(path).")
                    self.open(path)
                except CourseError as error:  # nobody has put the file into our folder, and it will be gone
                    raise CourseError(str(error).replace(str(path), path.name)) from error

    def _try(self, work: Callable[[], None]) -> None:
        """Do something that a person asked for; what they can put right is said below the controls."""
        self._say("Looking …")
        try:
            work()
        except (CourseError, OSError, ValueError) as error:
            self._say(str(error))
        except Exception as error:  # its traceback goes to JupyterLab's log, where nobody looks
            self._say(f"This should not happen: {type(error).__name__}: {error}")
            raise

    def _say(self, words: str) -> None:
        self._message.value = _lines(words)

    def _words(self) -> str:
        """What the arrows say in numbers, or what to do where there are none."""
        return in_words(self.found) if self.found else f"No face was found. {ADVICE}"

    def _moved(self, name: str, value: int | bool) -> None:
        if self.values[name] != value:
            self._try(lambda: self.set(**{name: value}))

    def _align(self) -> None:
        """Let every control show its value; a photograph has one picture."""
        slider = self._controls["picture"]
        slider.max, slider.layout.display = self._count - 1, "none" if self._count == 1 else None
        for name in LABELS:
            self._controls[name].value = self.values[name]

    def _refresh(self) -> None:
        if self._screen.is_on:
            self._align()
            self._screen.update(*self.figure())
            self._say(self._words())


def _picture(path: Path, number: int) -> np.ndarray:
    for _, picture in frames(path, (number,)):
        return picture
    raise CourseError(f"{path} ends before picture {number}.")


def _lines(words: str) -> str:
    return html.escape(words).replace("\n", "<br>")


def _faces(count: int) -> str:
    enlarged = f", the first {MOST_FACES} enlarged" if count > MOST_FACES else ""
    return {0: "no face was found", 1: "1 face"}.get(count, f"{count} faces{enlarged}")


def _shortened(name: str) -> str:
    """A name that leaves room in the title; its ending tells photographs apart."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2]} … {name[-LONGEST_NAME // 2 :]}"


def _reduced(picture: np.ndarray, inches: float) -> np.ndarray:
    """A picture of no more pixels than can be seen at this height: matplotlib takes seconds for those of phones."""
    image = Image.fromarray(picture)
    times = int(image.height / (inches * plotting.DOTS_PER_INCH * plotting.SHARPNESS))
    return np.asarray(image.reduce(times)) if times > 1 else picture


def _show(ax: Axes, picture: np.ndarray, title: str) -> None:
    ax.imshow(picture)
    ax.set_axis_off()
    ax.set_title(title, fontsize=10.5, parse_math=False)  # a file's name may have dollars in it
