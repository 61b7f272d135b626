"""``GazePlayground``: every input of the renderer as a slider, the face redrawn while it moves, and its gaze arrow."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image, ImageDraw

from gazecourse import plotting
from gazecourse.angles import angular_error, pitchyaw_to_rotation, pitchyaw_to_vector
from gazecourse.faces.attributes import CATEGORIES, Factors, words
from gazecourse.faces.domains import NORMALIZED_FOCAL, STUDIO
from gazecourse.faces.head import identity_index
from gazecourse.faces.renderer import Renderer
from gazecourse.sketches import describe_direction
from gazecourse.validation import check_choice, describe
from gazecourse.widgets.screen import show_controls

TARGET_DISTANCE = 600.0
"""Millimeters from the face to what it looks at."""

EYES_REACH = 45.0
"""Degrees that eyes can turn in the head; beyond, a person turns the head as well."""

SHOWN_WIDTH = 448
ARROW = (213, 94, 0)
POINTS = (0, 158, 115)
PEOPLE = 60

PERSON_FACTORS = (
    "person", "identity", "age", "male", "weight", "ancestry", "skin_tone", "undertone", "skin_detail", "hair_color",
    "hair_style", "hair_length", "hair_fringe", "beard", "brow_thickness", "eye_color", "iris_radius", "clothes_color",
)  # fmt: skip


@dataclass(frozen=True)
class Control:
    """One slider or list: its group, its label, its values, and where it starts.

    ``choices`` are the words of a list; without them the control is a slider from ``low`` to ``high``.
    """

    group: str
    label: str
    start: float
    low: float = 0.0
    high: float = 1.0
    step: float = 0.05
    choices: tuple[str, ...] = ()


def _sliders(group: str, table: dict[str, tuple[float, float, float, float]]) -> dict[str, Control]:
    return {name: Control(group, name.replace("_", " "), *values) for name, values in table.items()}


def _list(group: str, name: str, label: str | None = None) -> dict[str, Control]:
    return {name: Control(group, label or name.replace("_", " "), 0, choices=CATEGORIES[name])}


CONTROLS: dict[str, Control] = {
    **_sliders(
        "Gaze and head",
        {
            "gaze_pitch": (0, -40, 40, 1), "gaze_yaw": (0, -60, 60, 1), "head_pitch": (0, -40, 40, 1),
            "head_yaw": (0, -80, 80, 1), "head_roll": (0, -40, 40, 1), "blink": (0, 0, 1, 0.05),
            "pupil": (2.0, 1.0, 4.0, 0.1),
        },
    ),
    **_sliders(
        "Person",
        {
            "person": (0, 0, PEOPLE - 1, 1), "age": (30, 18, 80, 1), "skin_tone": (0.3, 0, 1, 0.05),
            "face_width": (0, -1, 1, 0.1), "nose_width": (0, -1, 1, 0.1), "eye_size": (0, -1, 1, 0.1),
        },
    ),
    **_list("Person", "hair_style"), **_list("Person", "hair_color"), **_list("Person", "beard"),
    **_list("Person", "eye_color"), **_list("Person", "expression"),
    **_sliders("Person", {"expression_strength": (0.8, 0, 1, 0.05)}),
    **_list("Wears", "glasses"), **_sliders("Wears", {"tint": (0.05, 0, 0.95, 0.05), "reflection": (0.2, 0, 1, 0.05)}),
    **_list("Wears", "hat"), **_sliders("Wears", {"makeup": (0, 0, 1, 0.05)}),
    **_list("Wears", "occluder", "in front of the face"),
    **_sliders(
        "Light",
        {
            "light_from_the_right": (-20, -90, 90, 5), "light_from_above": (35, -60, 90, 5),
            "strength": (0.9, 0, 2, 0.05), "ambient": (0.35, 0.02, 1, 0.01), "warmth": (0, -1, 1, 0.1),
        },
    ),
    **_list("Light", "background"),
    **_sliders(
        "Camera",
        {
            "blur": (0, 0, 0.03, 0.001), "motion": (0, 0, 0.1, 0.005), "resolution": (1, 0.1, 1, 0.05),
            "noise": (0, 0, 0.15, 0.005), "jpeg_quality": (100, 5, 100, 5),
        },
    ),
}  # fmt: skip
"""Every control of the playground by name, in the order in which they are shown. Angles are in degrees."""


def _turn_about_z(degrees: float) -> torch.Tensor:
    angle = math.radians(degrees)
    return torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])


def start_face() -> Factors:
    """One face in the normalized camera, evenly lit, with nothing on and no camera flaws."""
    face = STUDIO.sample([0], people=PEOPLE, seed=11, split="train")
    return face.replace(
        camera=torch.tensor([[NORMALIZED_FOCAL / 224, 0, 0.5], [0, NORMALIZED_FOCAL / 224, 0.5], [0, 0, 1]]),
        head_rotation=torch.eye(3),
        head_position=torch.tensor([0.0, 0.0, TARGET_DISTANCE]),
        target=0.0,
        normalization=torch.eye(3),
        neck=0.0,
        exposure=1.0,
        light_direction=torch.nn.functional.normalize(torch.tensor([-0.35, -0.6, -0.75]), dim=0),
        light_color=torch.tensor([[0.9, 0.88, 0.85], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        ambient_above=0.35,
        ambient_below=0.25,
        blink=0.0,
        defocus=0.0,
        motion=0.0,
        noise=0.0,
        resolution=1.0,
        compression=100.0,
        glasses=0,
        hat=0,
        occluder=0,
        expression=0,
        glasses_tint=0.05,
    )


class GazePlayground:
    """Sliders for head, gaze and everything that gaze is not; the face is redrawn as they move.

    ``show()`` puts it into the notebook; the last picture stays in the saved notebook with its description.
    ``set(name=value, …)`` moves controls from code; ``values`` holds where they stand.

    Args:
        size: pixels of the rendered face.
        face: factors of one face to begin with; by default a plain one.
    Raises:
        ValueError: ``face`` is not one face, a control does not exist or a value is out of its range.
    """

    def __init__(self, size: int = 224, face: Factors | None = None, **values: float) -> None:
        if face is not None and len(face) != 1:
            raise ValueError(f"face must be the factors of one face; got those of {len(face)}.")
        self.renderer = Renderer(size, "cpu")
        self.face = start_face() if face is None else face
        self.people = STUDIO.sample(list(range(PEOPLE)), people=PEOPLE, seed=11, split="train")
        self.values: dict[str, float] = {name: control.start for name, control in CONTROLS.items()}
        self._widgets: dict[str, Any] = {}
        self._shown = self._spoken = None
        self._meet(0)
        self.set(**values)

    # ------------------------------------------------------------------ state
    def set(self, **values: float) -> None:
        """Move controls; lists take a word or its number.

        Raises:
            ValueError: no such control, or a value out of its range. TypeError: not a number or word.
        """
        for name, value in values.items():
            check_choice("control", name, list(CONTROLS))
            self._put(name, self._number(name, value))
        self._refresh()

    def _number(self, name: str, value: float | str) -> float:
        control = CONTROLS[name]
        if isinstance(value, str):
            check_choice(name, value, control.choices)
            return control.choices.index(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} must be a number; got {describe(value)}.")
        high = len(control.choices) - 1 if control.choices else control.high
        if not control.low <= value <= high:
            raise ValueError(f"{name} must lie in [{control.low:g}, {high:g}]; got {value!r}.")
        return value

    def _put(self, name: str, value: float) -> None:
        self.values[name] = value
        if name == "person":
            self._meet(int(value))

    def _meet(self, number: int) -> None:
        """Take over another person's looks; the controls that describe a person move to where that person is."""
        other = self.people[number]
        self.face = self.face.replace(**{name: getattr(other, name) for name in PERSON_FACTORS})
        for name in ("hair_style", "hair_color", "beard", "eye_color"):
            self.values[name] = int(getattr(other, name))
        self.values["age"] = round(float(other.age))
        self.values["skin_tone"] = round(float(other.skin_tone), 2)
        for name in ("face_width", "nose_width", "eye_size"):
            self.values[name] = 0.0

    def factors(self) -> Factors:
        """What the renderer gets: the face as the controls stand."""
        v = self.values
        gaze = torch.tensor([math.radians(v["gaze_pitch"]), math.radians(v["gaze_yaw"])])
        head = torch.tensor([math.radians(v["head_pitch"]), math.radians(v["head_yaw"])])
        identity = self.face.identity.clone()
        for control, name in SHAPES.items():
            column = identity_index(name)
            identity[:, column] = (identity[:, column] + v[control]).clamp(-1, 1)
        right, above = math.radians(v["light_from_the_right"]), math.radians(v["light_from_above"])
        towards = torch.tensor(
            [math.cos(above) * math.sin(right), -math.sin(above), -math.cos(above) * math.cos(right)]
        )
        tone = torch.tensor([1 + 0.3 * v["warmth"], 1.0, 1 - 0.4 * v["warmth"]])
        lights = torch.zeros_like(self.face.light_color)
        lights[:, 0] = v["strength"] * tone
        return self.face.replace(
            head_rotation=pitchyaw_to_rotation(head) @ _turn_about_z(v["head_roll"]),
            target=self.face.head_position[0] + TARGET_DISTANCE * pitchyaw_to_vector(gaze),
            neck=0.5 * head,
            identity=identity,
            pupil_radius=v["pupil"],
            light_direction=towards,
            light_color=lights,
            ambient_above=v["ambient"] * tone,
            ambient_below=0.7 * v["ambient"] * tone,
            glasses_tint=v["tint"],
            glasses_reflection=v["reflection"],
            defocus=v["blur"],
            motion=torch.tensor([v["motion"], 0.0]),
            compression=v["jpeg_quality"],
            **{name: v[name] for name in DIRECT},
        )

    # ------------------------------------------------------------------ picture
    def frame(self) -> tuple[Image.Image, str]:
        """The face with its gaze arrow and landmarks, and a description in words."""
        factors = self.factors()
        images, labels = self.renderer.render(factors)
        pixels = (images[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        scale = SHOWN_WIDTH / self.renderer.width
        picture = Image.fromarray(pixels).resize((SHOWN_WIDTH, round(self.renderer.height * scale)), Image.BILINEAR)
        draw = ImageDraw.Draw(picture)
        for (x, y), seen in zip(labels["landmarks"][0] * scale, labels["visibility"][0], strict=True):
            if seen:
                draw.ellipse([x - 1.5, y - 1.5, x + 1.5, y + 1.5], fill=POINTS)
        for center, gaze in zip(labels["eye_centers"][0] * scale, ("gaze_left", "gaze_right"), strict=True):
            _arrow(draw, center.tolist(), labels[gaze][0], 90.0)
        return picture, self.describe(factors, labels)

    def describe(self, factors: Factors, labels: dict[str, torch.Tensor]) -> str:
        """Gaze, head and what else there is to see, in a few sentences."""
        in_head = float(angular_error(labels["gaze"], labels["head"]))
        said = ", ".join(list(words(factors)[0].values())[:2])
        rest = ", ".join(list(words(factors)[0].values())[2:])
        limit = f" Eyes turn about {EYES_REACH:.0f}° in the head at most." if in_head > EYES_REACH else ""
        return (
            f"Gaze: {describe_direction(labels['gaze'][0])}. Head: {describe_direction(labels['head'][0])}. "
            f"The eyes are turned {in_head:.0f}° in the head.{limit} In words: {said}, {rest}."
        )

    def _bundle(self) -> tuple[dict[str, str], dict[str, dict]]:
        picture, text = self.frame()
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=88)
        alt = f"A rendered face with its gaze arrows. {text}"
        data = {"image/jpeg": base64.b64encode(buffer.getvalue()).decode("ascii"), "text/plain": alt}
        return data, {"image/jpeg": {"width": SHOWN_WIDTH, "alt": alt}}

    # ------------------------------------------------------------------ widgets
    def show(self) -> None:
        """Put the controls and the picture into the notebook."""
        import ipywidgets
        from IPython.display import display

        groups: dict[str, list] = {}
        for name, control in CONTROLS.items():
            self._widgets[name] = self._widget(name, control)
            groups.setdefault(control.group, []).append(self._widgets[name])
        columns = {"grid_template_columns": "repeat(2, 340px)", "width": "100%"}
        pages = [ipywidgets.GridBox(items, layout=ipywidgets.Layout(**columns)) for items in groups.values()]
        tab = ipywidgets.Tab(pages, titles=list(groups))
        reset = ipywidgets.Button(description="Back to the start", icon="undo")
        reset.on_click(lambda _: self.reset())
        self._text = ipywidgets.HTML()
        plain = "Sliders for gaze, head, person, what is worn, light and camera (in a live notebook)."
        show_controls(ipywidgets.VBox([tab, reset, self._text]), plain)
        data, metadata = self._bundle()
        self._text.value = data["text/plain"]
        self._shown = display(data, metadata=metadata, raw=True, display_id=True)
        self._spoken = display(plotting.spoken(data["text/plain"]), raw=True, display_id=True)

    def reset(self) -> None:
        """Every control back to where it started."""
        self.set(person=0, **{name: c.start for name, c in CONTROLS.items() if name not in OF_PERSON})

    def _widget(self, name: str, control: Control):
        import ipywidgets

        style = {"description_width": "130px"}
        layout = ipywidgets.Layout(width="330px")
        common = {"description": control.label, "style": style, "layout": layout}
        if control.choices:
            options = [(word, number) for number, word in enumerate(control.choices)]
            widget = ipywidgets.Dropdown(options=options, value=int(self.values[name]), **common)
        elif float(control.step).is_integer():
            values = {"min": int(control.low), "max": int(control.high), "step": int(control.step)}
            widget = ipywidgets.IntSlider(value=int(self.values[name]), **values, **common)
        else:
            values = {"min": control.low, "max": control.high, "step": control.step}
            decimals = 3 if control.step < 0.01 else 2
            widget = ipywidgets.FloatSlider(value=self.values[name], readout_format=f".{decimals}f", **values, **common)
        widget.observe(self._on_change(name), names="value")
        return widget

    def _on_change(self, name: str) -> Callable[[dict], None]:
        def moved(change: dict) -> None:
            if self.values[name] != change["new"]:
                self._put(name, change["new"])
                self._refresh()

        return moved

    def _refresh(self) -> None:
        """Draw again, and let every control show its value."""
        if self._shown is None:
            return
        for name, widget in self._widgets.items():
            if widget.value != self.values[name]:
                widget.value = self.values[name]
        data, metadata = self._bundle()
        self._text.value = data["text/plain"]
        self._shown.update(data, metadata=metadata, raw=True)
        self._spoken.update(plotting.spoken(data["text/plain"]), raw=True)


SHAPES = {"face_width": "head-scale-horiz", "nose_width": "nose-scale-horiz", "eye_size": "eye-scale"}
"""Controls that add to a named identity coefficient."""

OF_PERSON = ("person", "age", "skin_tone", "hair_style", "hair_color", "beard", "eye_color", *SHAPES)
"""Controls that a change of person moves."""

DIRECT = (
    "blink", "age", "skin_tone", "hair_style", "hair_color", "beard", "eye_color", "expression",
    "expression_strength", "glasses", "hat", "makeup", "occluder", "background", "resolution", "noise",
)  # fmt: skip
"""Controls that are factors of the renderer by the same name."""


def _arrow(draw: ImageDraw.ImageDraw, start: list[float], gaze: torch.Tensor, length: float) -> None:
    """The gaze as the camera sees it: the x and y of its vector, from the eye, with a white rim."""
    x, y, _ = pitchyaw_to_vector(gaze).tolist()
    tip = (start[0] + length * x, start[1] + length * y)
    across = (-y, x)
    size = math.hypot(x, y)
    wings = []
    if size > 0.08:
        along = (x / size, y / size)
        across = (-along[1], along[0])
        wings = [
            (tip[0] - 9 * along[0] + side * 5 * across[0], tip[1] - 9 * along[1] + side * 5 * across[1])
            for side in (-1, 1)
        ]
    for width, color in ((6, (255, 255, 255)), (3, ARROW)):
        draw.line([tuple(start), tip], fill=color, width=width)
        for wing in wings:
            draw.line([tip, wing], fill=color, width=width)
    draw.ellipse([start[0] - 4, start[1] - 4, start[0] + 4, start[1] + 4], fill=ARROW, outline=(255, 255, 255))
