"""What is behind the head: walls, studios, rooms, nature and streets, mostly out of focus.

Every background is painted on a small canvas with soft boxes, discs and noise, blurred like things that a portrait
lens leaves out of focus, and enlarged smoothly. Where things stand comes from hashes of the image's own seed, so no
two backgrounds are alike, and each is the same in any batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from gazecourse.faces.attributes import BACKGROUNDS, Factors, luminance
from gazecourse.faces.noise import enlarge, fbm, uniform
from gazecourse.faces.optics import defocus
from gazecourse.validation import check_positive

CANVAS = 64
"""Width of the canvas in its own pixels."""
EDGE = 1.3 / CANVAS
"""Width of the sharpest edge, in units of the picture's width."""
DICE, RAINBOW = 208, 40
"""Hashed numbers and colors that each image holds ready."""
DICE_STREAM, BOOK_STREAM, HOUSE_STREAM, FIELD_STREAM = 2001, 2010, 2020, 2100
SUNNY = 1.2
"""Luminance of direct light that only the sun gives: no evening in the street then."""
OUT = 2.0
"""A place outside of the picture, below or to the right of it."""


def draw(factors: Factors, height: int, width: int) -> Tensor:
    """Backgrounds in the light of each scene.

    Args:
        factors: B images; background, background_color, the lights and seed are read.
        height, width: size in pixels.
    Returns:
        [B, 3, height, width] linear RGB, at least 0. A wall of color c has about the light c times what a matte face
        in the same place would get; windows, skies and lamps are brighter.
    Raises:
        TypeError, ValueError: if the size is not positive.
    """
    aspect = check_positive("height", height) / check_positive("width", width)
    size = (max(8, round(CANVAS * aspect)), CANVAS)
    setting = Setting.of(factors, size)
    sharp = torch.zeros(len(factors), 3, *size, device=factors.seed.device)
    sigma, lights = torch.zeros(len(factors), device=sharp.device), torch.zeros_like(sharp)
    for names, paint in PAINTERS:
        kinds = torch.tensor([BACKGROUNDS.index(name) for name in names], device=sharp.device)
        rows = torch.isin(factors.background, kinds).nonzero().squeeze(1)
        if rows.numel():
            stage = Stage(setting.select(rows))
            paint(stage)
            sharp.index_copy_(0, rows, stage.canvas)
            sigma.index_copy_(0, rows, stage.sigma.flatten())
            lights.index_copy_(0, rows, stage.lights)
    return enlarge(defocus(sharp, sigma) + lights, height, width).clamp_(min=0)


def wall_light(factors: Factors) -> Tensor:
    """Light [B, 3] that an upright white wall behind the person, facing the camera, sends back."""
    toward = (-factors.light_direction[..., 2:]).clamp(min=0)
    # Lights are aimed at the face: a wall gets a part of them, and more if they shine from the camera's side.
    direct = (factors.light_color * (0.15 + 0.45 * toward)).sum(1)
    return 0.5 * (factors.ambient_above + factors.ambient_below) + direct


def hue_color(hue: Tensor, value: Tensor, saturation: Tensor) -> Tensor:
    """Colors [b, 3, …] of hues [b, 1, …] (red 0, green 1/3, blue 2/3; whole turns do not matter).

    ``value`` is the largest channel, ``saturation`` the share that the smallest falls short of it.
    """
    turn = torch.cat([hue, hue + 2 / 3, hue + 1 / 3], dim=1).frac()
    return value * (1 - saturation * (1 - ((turn - 0.5).abs() * 6 - 1).clamp_(0, 1)))


@dataclass(frozen=True)
class Setting:
    """What the painters need to know of each image. Every tensor starts with [b, 1, 1, 1], or [b, 3, 1, 1] if a color.

    Attributes:
        seed: [b] int64.
        light: what a white wall behind the person sends back; level: its luminance.
        above: luminance of the light from above. tint: the background's color.
        side: [b, 2, 1, 1] where in the picture the light comes from.
        home: 1 where the background is a home, 0 elsewhere. sunny: 1 where there is strong direct light.
        dice: [b, DICE, 1, 1] numbers in [0, 1). rainbow: [b, RAINBOW, 3, 1, 1] pure colors of things.
        coarse, fine: [b, 2, h, w] two fields each of smooth noise with mean 0 and variance 1.
    """

    seed: Tensor
    light: Tensor
    level: Tensor
    above: Tensor
    tint: Tensor
    side: Tensor
    home: Tensor
    sunny: Tensor
    dice: Tensor
    rainbow: Tensor
    coarse: Tensor
    fine: Tensor

    @classmethod
    def of(cls, factors: Factors, size: tuple[int, int]) -> Setting:
        wall, home = wall_light(factors), BACKGROUNDS.index("home")
        numbers = uniform(factors.seed, DICE + RAINBOW, DICE_STREAM)
        dice, hue = numbers.split([DICE, RAINBOW], dim=1)
        # Browns are frequent among the things that people make, purple and pink are not.
        rainbow = hue_color((hue * hue * 0.58 + 0.05).unsqueeze(1), *torch.ones(2, 1, device=hue.device))
        return cls(
            seed=factors.seed,
            light=_per_image(wall),
            level=_per_image(_luminance(wall)),
            above=_per_image(_luminance(factors.ambient_above)),
            tint=_per_image(factors.background_color),
            side=_per_image(_side_of_light(factors)),
            home=_per_image((factors.background == home).float().unsqueeze(1)),
            sunny=_per_image((_luminance(factors.light_color.sum(1)) > SUNNY).float()),
            dice=_per_image(dice),
            rainbow=_per_image(rainbow.transpose(1, 2)),
            coarse=_fields(factors.seed, size, cells=1.8, octaves=3),
            fine=_fields(factors.seed, size, cells=7.0, octaves=2),
        )

    def select(self, rows: Tensor) -> Setting:
        """The settings of some images."""
        return Setting(**{f.name: getattr(self, f.name).index_select(0, rows) for f in fields(self)})


def _fields(seed: Tensor, size: tuple[int, int], cells: float, octaves: int) -> Tensor:
    pair = torch.stack([seed, ~seed], dim=1).flatten()
    return fbm(pair, *size, FIELD_STREAM + octaves, cells=cells, octaves=octaves, gain=0.7).view(-1, 2, *size)


class Stage:
    """The backgrounds of b images under way: a canvas, brushes, and dice.

    Places are (x, y) from (0, 0) at the top left to (1, 1) at the bottom right; radii are in units of the picture's
    width. Whatever belongs to an image is a tensor [b, 1, 1, 1], or [b, 3, 1, 1] if it is a color (linear RGB).
    The attributes of the setting are the stage's own, with ``coarse`` and ``fine`` as pairs of [b, 1, h, w].

    Attributes:
        x, y: [1, 1, 1, w] and [1, 1, h, 1] places of the canvas's pixels.
        sigma: blur of the canvas in units of the picture's width.
        lights: [b, 3, h, w] light that is added after the blur.
    """

    def __init__(self, setting: Setting) -> None:
        self.seed, self.light, self.level, self.above = setting.seed, setting.light, setting.level, setting.above
        self.tint, self.side = setting.tint, setting.side
        self.home, self.sunny = setting.home, setting.sunny
        self.coarse, self.fine = setting.coarse.split(1, dim=1), setting.fine.split(1, dim=1)
        device, (height, width) = self.seed.device, setting.coarse.shape[2:]
        self.aspect = height / width
        self.x = ((torch.arange(width, device=device) + 0.5) / width).view(1, 1, 1, -1)
        self.y = ((torch.arange(height, device=device) + 0.5) / height).view(1, 1, -1, 1)
        self.sigma = torch.zeros_like(self.level)
        self.lights = torch.zeros(len(self.seed), 3, height, width, device=device)
        self._canvas = torch.zeros_like(self.lights)
        self._boxes: list[tuple[Tensor, ...]] = []
        self._dice, self._rolled = setting.dice.transpose(0, 1).unsqueeze(2).contiguous(), 0
        self._rainbow, self._colors = setting.rainbow.transpose(0, 1).contiguous(), 0

    # ------------------------------------------------------------------ chance
    def roll(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform between ``low`` and ``high``, another number with every call."""
        number = self._dice[self._rolled]
        self._rolled += 1
        return number if (low, high) == (0.0, 1.0) else number * (high - low) + low

    def chance(self, share: float) -> Tensor:
        """1.0 in that share of the images, else 0.0."""
        return (self.roll() < share).float()

    def side_of(self, left: tuple[float, float], right: tuple[float, float]) -> Tensor:
        """A place between the bounds ``left`` or, as often, between the bounds ``right``."""
        return torch.where(self.roll() < 0.5, self.roll(*left), self.roll(*right))

    def color(self, value: tuple[float, float], saturation: tuple[float, float]) -> Tensor:
        """Color of a thing that people make, lit; another one with every call."""
        pure = self._rainbow[self._colors]
        self._colors += 1
        return torch.lerp(torch.ones_like(pure), pure, self.roll(*saturation)) * (self.roll(*value) * self.light)

    # ------------------------------------------------------------------ brushes
    @property
    def canvas(self) -> Tensor:
        """[b, 3, h, w] light, with everything painted so far."""
        if self._boxes:
            self._paint_boxes()
        return self._canvas

    def fill(self, light: Tensor) -> None:
        """Add ``light``, any shape that fits [b, 3, h, w], to the whole canvas."""
        self.canvas.add_(light)

    def wash(self, factor: Tensor) -> None:
        """Multiply the light on the canvas by ``factor``, any shape that fits [b, 3, h, w]."""
        self.canvas.mul_(factor)

    def over(self, mask: Tensor, color: Tensor) -> None:
        """Paint ``color`` [b, 3, …] where ``mask`` [b, 1, …] covers the canvas."""
        self.canvas.lerp_(color, mask.expand(-1, -1, *self._canvas.shape[2:]))

    def box(self, left: Tensor, top: Tensor, right: Tensor, bottom: Tensor | float, color: Tensor, on: Tensor) -> None:
        """An upright box where ``on`` is 1. Boxes in a row are kept back and painted together, which is faster."""
        bottom = bottom if isinstance(bottom, Tensor) else torch.full_like(top, bottom)
        self._boxes.append((left, top, right, bottom, on, color))

    def _paint_boxes(self) -> None:
        left, top, right, bottom, on, color = (torch.cat(column, dim=3) for column in zip(*self._boxes, strict=True))
        self._boxes = []
        across = (self.span(self.x.mT, left, right) * on).unsqueeze(2).unbind(4)
        down = self.span(self.y, top, bottom, EDGE / self.aspect).unsqueeze(3).unbind(4)
        colors = color.unsqueeze(3).unbind(4)
        for wide, tall, paint in zip(across, down, colors, strict=True):
            self.over(wide.view(*wide.shape[:2], 1, -1) * tall.view(*tall.shape[:2], -1, 1), paint)

    @staticmethod
    def span(place: Tensor, low: Tensor, high: Tensor, edge: float = EDGE) -> Tensor:
        """Cover from 0 to 1 of the pixels at ``place`` by the interval from ``low`` to ``high``."""
        middle, half = (low + high) / 2, (high - low) / (2 * edge) + 0.5
        return (half - (place - middle).abs().div_(edge)).clamp_(0, 1)

    def disc(self, x: Tensor, y: Tensor, radius: Tensor, edge: float = EDGE, stretch: float = 1.0) -> Tensor:
        """Cover [b, 1, h, w] by discs, or by ellipses ``stretch`` times as high as wide."""
        across, down = self.x - x, (self.y - y) * (self.aspect / stretch)
        far = (across * across + down * down).sqrt_()
        return (radius / edge + 0.5 - far.div_(edge)).clamp_(0, 1)

    def glow(self, x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        """[b, 1, h, w] from 1 at (x, y), fading like 1 / (1 + (r / radius)²)."""
        across, down = (self.x - x) / radius, (self.y - y) * self.aspect / radius
        return (across * across + (down * down + 1)).reciprocal_()

    def shade(self, slope: Tensor, vignette: Tensor) -> None:
        """Let the light grow towards the side that it comes from, and fall towards the corners."""
        x, y = self.x - 0.5, self.y - 0.5
        towards = x * (self.side[:, :1] * slope) + y * (self.side[:, 1:] * slope)
        self.wash((1 + towards) * (1 - vignette * x * x - vignette * y * y))

    def blur(self, low: float, high: float) -> None:
        """Have the canvas put out of focus by a sigma between the bounds, small ones more often."""
        self.sigma = self.roll() ** 2 * (high - low) + low


def _per_image(values: Tensor) -> Tensor:
    return values.view(*values.shape, 1, 1)


def _luminance(color: Tensor) -> Tensor:
    """[b, 1]; in double precision, so that the rounded result is the same in any batch."""
    return luminance(color.double()).float().unsqueeze(1)


def _side_of_light(factors: Factors) -> Tensor:
    """Where the light comes from in the picture [B, 2]: the mean of all lights, weighted by strength."""
    strength = luminance(factors.light_color.double()).float().unsqueeze(-1)
    return (factors.light_direction[..., :2] * strength).sum(1) / (strength.sum(1) + 1e-3)


def _rgb(stage: Stage, *color: float) -> Tensor:
    """One color [1, 3, 1, 1] for all images."""
    return torch.tensor(color, device=stage.x.device).view(1, 3, 1, 1)


# ---------------------------------------------------------------------- plain wall
def paint_wall(stage: Stage) -> None:
    """A wall with a little texture: perhaps a corner, a painted base, panels, or light falling through a window."""
    stage.fill(stage.tint * stage.light * stage.roll(0.85, 1.1))
    grain = stage.fine[0] * stage.roll(0.005, 0.03) + stage.coarse[0] * stage.roll(0.02, 0.09)
    stage.wash((1 + grain) * _panels(stage))
    _corner(stage)
    _painted_base(stage)
    _sunlit_patch(stage)
    _shadow_of_head(stage)
    stage.shade(stage.roll(0.1, 0.9), stage.roll(0.0, 0.7))
    stage.blur(0.003, 0.02)


def _panels(stage: Stage) -> Tensor:
    """Grooves between planks or tiles [b, 1, h, w], on some walls."""
    count = stage.roll(4, 10).floor_()
    planks = _groove(stage.x * count + stage.roll())
    tiles = _groove(stage.y * count * stage.roll(0.6, 1.6)) * stage.chance(0.4)
    depth = stage.chance(0.25) * stage.roll(0.1, 0.4)
    return 1 - depth * torch.maximum(planks, tiles)


def _groove(place: Tensor) -> Tensor:
    """1 at whole numbers, 0 farther than 0.07 from them."""
    return ((place.frac() - 0.5).abs() - 0.43).clamp_(min=0) / 0.07


def _corner(stage: Stage) -> None:
    """Another wall that begins left or right of the head, turned to or away from the light, in some pictures."""
    place, tilt = stage.side_of((0.05, 0.38), (0.62, 0.95)), stage.roll(-0.06, 0.06)
    beyond = (stage.x - place + tilt * (stage.y - 0.5)) * torch.where(place < 0.5, -1.0, 1.0)
    mask = (beyond / EDGE + 0.5).clamp_(0, 1)
    crease = 0.18 / (1 + (beyond * 14) ** 2)
    on, shade = stage.chance(0.4), stage.roll(-0.45, 0.25)
    stage.wash((1 + mask * (on * shade)) * (1 - crease * on))


def _painted_base(stage: Stage) -> None:
    """The lower part of some walls has another color, and a rail."""
    on, top = stage.chance(0.15), stage.roll(0.55, 0.9)
    left, right, color = -torch.ones_like(top), torch.full_like(top, OUT), stage.color((0.2, 0.8), (0.0, 0.35))
    stage.box(left, top, right, OUT, color, on)
    stage.box(left, top - 0.012, right, top + 0.012, color * 1.2, on)


def _sunlit_patch(stage: Stage) -> None:
    """Slanted panes of light on some walls, as a window throws them."""
    slant = stage.roll(-0.5, 0.5)
    left, top, pane, tall = stage.roll(-0.2, 0.8), stage.roll(-0.2, 0.5), stage.roll(0.12, 0.3), stage.roll(0.2, 0.5)
    across, down = stage.x + slant * stage.y - left, stage.y + 0.3 * slant * stage.x - top
    wide = stage.span(across, 0 * pane, pane, 0.04) + stage.span(across, pane + 0.04, 2 * pane + 0.04, 0.04)
    high = stage.span(down, 0 * tall, tall, 0.04) + stage.span(down, tall + 0.04, 2 * tall + 0.04, 0.04)
    stage.wash(1 + wide * high * (stage.chance(0.2) * stage.roll(0.3, 1.0) * _rgb(stage, 1.0, 0.86, 0.66)))


def _shadow_of_head(stage: Stage) -> None:
    """A soft shadow on the side away from the light, on some walls."""
    shadow = stage.glow(0.5 - stage.side[:, :1] * 0.3, 0.6 - stage.side[:, 1:] * 0.2, stage.roll(0.35, 0.55))
    stage.wash(1 - shadow * shadow * (stage.chance(0.6) * stage.roll(0.1, 0.4)))


# ---------------------------------------------------------------------- studio
def paint_studio(stage: Stage) -> None:
    """A paper or canvas backdrop with a spot of light: colored, white, black, mottled, or lit in two colors."""
    look = stage.roll()
    white, black = (look < 0.15).float(), (look > 0.85).float()
    color = stage.tint * (1 - white - black) + white * 0.85 + black * 0.025
    plain = 1 - 0.85 * white
    stage.fill(color * 0.5 * (stage.light + stage.level))
    mottled = stage.chance(0.4) * stage.roll(0.08, 0.3) * plain
    spot = stage.glow(stage.roll(0.3, 0.7), stage.roll(0.3, 0.8), stage.roll(0.3, 0.9))
    spot = 1 + (spot * 1.6 - 1) * (stage.roll(0.2, 0.95) * plain)
    sweep = ((stage.y - stage.roll(0.6, 0.95)) * 4).clamp_(0, 1) * stage.roll(-0.4, 0.3)
    stage.wash((1 + stage.coarse[0] * mottled).clamp_(min=0.05) * spot * (1 + sweep))
    _gels(stage, stage.chance(0.15) * (1 - white))
    stage.shade(stage.roll(0.0, 0.5) * plain, stage.roll(0.2, 1.4) * plain)
    stage.blur(0.002, 0.012)


def _gels(stage: Stage, on: Tensor) -> None:
    """Colored lamps from the left and from the right, where ``on`` is 1."""
    left, right = (hue_color(stage.roll(), stage.roll(1.0, 1.4), stage.roll(0.2, 0.6)) for _ in range(2))
    ramp = stage.x * stage.x * (3 - 2 * stage.x)
    stage.wash(1 + (left + ramp * (right - left) - 1) * on)


# ---------------------------------------------------------------------- office and home
def paint_room(stage: Stage) -> None:
    """An office or a room at home: a wall with a window, shelves, pictures, furniture, plants, lamps or screens."""
    gray = stage.tint.mean(1, keepdim=True)
    office = 0.35 * stage.tint + 0.65 * (0.3 + 0.6 * gray)
    stage.fill(torch.lerp(office, stage.tint, stage.home) * stage.light)
    _corner(stage)
    _ceiling(stage)
    _door(stage)
    _shelves(stage)
    _window(stage)
    _pictures(stage)
    _furniture(stage)
    _screens(stage)
    _plant(stage)
    stage.wash(1 + stage.coarse[0] * 0.07)
    stage.shade(stage.roll(0.1, 0.8), stage.roll(0.0, 0.5))
    _lamp(stage)
    stage.blur(0.006, 0.032)


def _ceiling(stage: Stage) -> None:
    """A ceiling at the top; in offices with bright panels in a row."""
    on = stage.chance(0.45) * (1 - 0.6 * stage.home)
    height, tilted = stage.roll(0.06, 0.2), stage.y + stage.roll(-0.12, 0.12) * (stage.x - 0.5)
    stage.over(stage.span(tilted, height - OUT, height) * on, stage.light * 0.75)
    gap = stage.roll(0.3, 0.45)
    along = ((stage.x + stage.roll()) / gap).frac() * gap
    panels = stage.span(along, 0.04 + 0 * gap, gap * 0.7, 0.03) * stage.span(tilted, height * 0.3, height * 0.7, 0.03)
    stage.over(panels * (on * (1 - stage.home)), stage.level * _rgb(stage, 2.4, 2.5, 2.6))


def _door(stage: Stage) -> None:
    on, left, top, wide = stage.chance(0.3), stage.roll(-0.1, 0.85), stage.roll(0.05, 0.3), stage.roll(0.22, 0.34)
    color = stage.color((0.1, 0.75), (0.05, 0.4))
    stage.box(left - 0.02, top - 0.02, left + wide + 0.02, OUT, color * 1.25, on)
    stage.box(left, top, left + wide, OUT, color, on)


def _shelves(stage: Stage) -> None:
    """A shelf full of books or binders in hashed colors and heights."""
    on, left, wide = stage.chance(0.5), stage.side_of((-0.25, 0.05), (0.5, 0.75)), stage.roll(0.3, 0.6)
    top, bottom = stage.roll(-0.1, 0.35), stage.roll(0.65, 1.2)
    wood = hue_color(stage.roll(0.05, 0.10), stage.roll(0.06, 0.7), stage.roll(0.0, 0.6)) * stage.light
    rows, columns = 6, 24
    u = (stage.x - left) * (columns / wide)
    v = (stage.y - top) * (stage.roll(2.5, 5.9) / (bottom - top))
    cell = v.floor().clamp_(0, rows - 1) * columns + u.floor().clamp_(0, columns - 1)
    picked = _look_up(_books(stage, rows * columns), cell)
    # A book stands on its board; above it one looks into the dark of the shelf.
    up = 1 - v.frac()
    books = torch.where(up < picked[:, 3:], picked[:, :3] * stage.light, wood * 0.25)
    boards = ((up - 0.07) * 30).clamp_(0, 1) * stage.span(stage.x, left + 0.015, left + wide - 0.015)
    frame = stage.span(stage.x, left, left + wide) * stage.span(stage.y, top, bottom) * on
    stage.over(frame, torch.lerp(wood.expand_as(books), books, boards.expand_as(books)))


def _books(stage: Stage, count: int) -> Tensor:
    """[b, 4, count] color and height of each book; neighbors often belong to one series."""
    own = uniform(stage.seed, 4 * count, BOOK_STREAM).view(-1, 4, count)
    series = uniform(stage.seed, count, BOOK_STREAM + 1).view(-1, 4, count // 4).repeat_interleave(4, dim=2)
    mixed = torch.where(own[:, 3:] < 0.5, series, own)
    value = mixed[:, 1:2] ** 2 * 0.75 + 0.03
    saturation = mixed[:, 2:3] * (0.35 + 0.35 * stage.home.view(-1, 1, 1))
    height = (0.55 + 0.4 * series[:, 2:3] + 0.05 * own[:, 2:3]) * (own[:, 3:] > 0.06)
    return torch.cat([hue_color(mixed[:, 0:1], value, saturation), height], dim=1)


def _look_up(table: Tensor, cell: Tensor) -> Tensor:
    """Columns of ``table`` [b, k, n] for the numbers ``cell`` [b, 1, h, w], as [b, k, h, w]."""
    index = cell.long().flatten(2).expand(-1, table.shape[1], -1)
    return table.gather(2, index).view(len(table), -1, *cell.shape[2:])


def _window(stage: Stage) -> None:
    """A bright window with bars and a view, and with blinds or curtains, in half of the rooms."""
    on, left, wide = stage.chance(0.5), stage.side_of((-0.3, 0.0), (0.5, 0.8)), stage.roll(0.35, 0.6)
    top, tall = stage.roll(-0.15, 0.2), stage.roll(0.4, 0.8)
    frame = stage.color((0.5, 0.8), (0.0, 0.15))
    stage.box(left - 0.025, top - 0.03, left + wide + 0.025, top + tall + 0.03, frame, on)
    sky = stage.level * stage.roll(1.2, 3.0) * _rgb(stage, 0.85, 0.95, 1.1)
    green = stage.level * stage.roll(0.5, 1.2) * _rgb(stage, 0.55, 0.7, 0.4)
    land = ((stage.y - (top + tall * stage.roll(0.4, 0.9))) * 9 + stage.coarse[1] * 0.3).clamp_(0, 1)
    count = stage.roll(1, 4).floor_()
    u = ((stage.x - left) * (count / wide)).frac()
    bars = ((0.5 - (u - 0.5).abs()) * (wide / count / EDGE) - 0.2).clamp_(0, 1)
    panes = stage.span(stage.x, left, left + wide) * bars * stage.span(stage.y, top, top + tall)
    stage.over(panes * on, sky + (green - sky) * land)
    blinds = panes * stage.span(stage.y, top, top + tall * stage.roll(0.3, 1.0))
    _blinds(stage, blinds * (on * stage.chance(0.6) * (1 - stage.home)))
    _curtains(stage, left, wide, on * stage.chance(0.75) * stage.home)


def _blinds(stage: Stage, mask: Tensor) -> None:
    slats = (stage.y * stage.roll(12, 18)).frac()
    stage.over(mask * ((slats - 0.5).abs() * 6 - 1).clamp_(0.15, 1), stage.color((0.6, 0.9), (0.0, 0.2)))


def _curtains(stage: Stage, left: Tensor, wide: Tensor, on: Tensor) -> None:
    """Two lengths of folded cloth beside the window."""
    folds = ((stage.x * stage.roll(12, 20) + stage.coarse[1] * 0.15).frac() - 0.5).abs()
    share = wide * stage.roll(0.12, 0.3)
    cloth = stage.span(stage.x, left - 0.1, left + share) + stage.span(stage.x, left + wide - share, left + wide + 0.1)
    stage.over(cloth.clamp_(max=1) * on, stage.color((0.25, 0.9), (0.05, 0.45)) * (0.4 + 1.4 * folds))


def _pictures(stage: Stage) -> None:
    """Up to four framed pictures or sheets of paper."""
    for share in (0.55, 0.55, 0.3, 0.3):
        on, x, y, rim = stage.chance(share), stage.roll(-0.05, 0.95), stage.roll(0.02, 0.5), stage.roll(0.008, 0.025)
        right = x + stage.roll(0.08, 0.24)
        bottom = y + (right - x) * stage.roll(0.7, 1.5)
        stage.box(x, y, right, bottom, stage.color((0.03, 0.6), (0.0, 0.5)), on)
        stage.box(x + rim, y + rim, right - rim, bottom - rim, stage.color((0.45, 0.85), (0.0, 0.3)), on)
        middle = y + (bottom - y) * stage.roll(0.3, 0.6)
        margin = 2.4 * rim
        stage.box(x + margin, middle, right - margin, bottom - margin, stage.color((0.1, 0.6), (0.2, 0.7)), on)


def _furniture(stage: Stage) -> None:
    """At the lower end a sofa with cushions at home, or cabinets and chairs in an office."""
    on, color = stage.chance(0.65), stage.color((0.08, 0.6), (0.05, 0.4))
    left, top, wide = stage.roll(-0.3, 0.6), stage.roll(0.55, 0.85), stage.roll(0.35, 0.9)
    stage.box(left, top, left + wide, OUT, color, on)
    stage.box(left - 0.01, top - 0.015, left + wide + 0.01, top + 0.02, color * stage.roll(1.1, 1.7), on)
    for _ in range(2):
        x, y = stage.roll(-0.05, 0.85), top + stage.roll(-0.12, 0.05)
        black = stage.color((0.02, 0.25), (0.0, 0.4))
        stage.box(x, y, x + stage.roll(0.12, 0.22), OUT, black, stage.chance(0.5) * (1 - stage.home))
    for _ in range(2):
        cushion = stage.disc(left + wide * stage.roll(), top + 0.02, stage.roll(0.07, 0.13), stretch=0.8)
        stage.over(cushion * (on * stage.home), stage.color((0.1, 0.8), (0.1, 0.6)))


def _screens(stage: Stage) -> None:
    """Monitors on desks in offices; now and then a television at home."""
    for share in (0.55, 0.35):
        on = (stage.roll() < share * (1 - 0.75 * stage.home)).float()
        x, y, wide = stage.roll(-0.15, 0.85), stage.roll(0.4, 0.68), stage.roll(0.2, 0.36)
        right, bottom, black = x + wide, y + wide * 0.62, 0.02 * stage.light
        stage.box(x + wide * 0.45, bottom, x + wide * 0.55, bottom + 0.1, black, on)
        stage.box(x, y, right, bottom, black, on)
        blue = hue_color(stage.roll(0.5, 0.62), stage.roll(0.4, 1.2), stage.roll(0.0, 0.4))
        glow = blue * stage.level.clamp(min=0.15) * torch.where(stage.roll() < 0.75, 1.0, 0.06)
        stage.box(x + 0.014, y + 0.014, right - 0.014, bottom - 0.014, glow, on)
        stage.box(x + 0.014, y + 0.014, x + wide * stage.roll(0.2, 0.5), bottom - 0.014, glow * 0.4, on)
        stage.box(x - 0.3, bottom + 0.08, right + 0.4, OUT, stage.color((0.2, 0.7), (0.0, 0.4)), on)


def _plant(stage: Stage) -> None:
    """A pot plant with ragged leaves, in some rooms."""
    on, x, y, radius = stage.chance(0.4), stage.roll(-0.02, 1.02), stage.roll(0.35, 0.8), stage.roll(0.08, 0.18)
    pot = radius * 0.45
    stage.box(x - pot, y + radius * 0.8, x + pot, y + radius * 1.7, stage.color((0.15, 0.7), (0.1, 0.6)), on)
    leaves = ((stage.disc(x, y, radius, edge=0.16) + stage.fine[0] * 0.35 - 0.5) * 5).clamp_(0, 1)
    leaves = leaves * stage.disc(x, y, radius * 1.5, edge=0.1) * on
    color = hue_color(stage.roll(0.22, 0.36), stage.roll(0.08, 0.3), stage.roll(0.4, 0.8)) * stage.light
    stage.over(leaves, color * (1 + stage.fine[0] * 0.4).clamp_(min=0.2))


def _lamp(stage: Stage) -> None:
    """A lit lamp with a shade, in some homes."""
    on, x, y, size = (
        stage.chance(0.4) * stage.home,
        stage.roll(0.02, 0.98),
        stage.roll(0.05, 0.5),
        stage.roll(0.05, 0.1),
    )
    warm = _rgb(stage, 1.0, 0.72, 0.38)
    stage.wash(1 + stage.glow(x, y, size * 2.2) * (warm * on * stage.roll(0.5, 1.5)))
    stage.box(x - 0.008, y + size, x + 0.008, OUT, stage.light * 0.05, on)
    half = (stage.x - x).abs() - (stage.y - y) * 0.35
    shade = ((size - half) / EDGE + 0.5).clamp_(0, 1) * stage.span(stage.y, y - size, y + size)
    stage.over(shade * on, warm * stage.level * stage.roll(1.2, 2.6))


# ---------------------------------------------------------------------- outdoors
def paint_outdoors(stage: Stage) -> None:
    """Sky, hills, trees and ground, or nothing but leaves with discs of light where the sun peeps through."""
    horizon, autumn = stage.roll(0.3, 0.75), stage.chance(0.2)
    haze = _sky(stage, horizon)
    _hills(stage, horizon, haze, autumn)
    _ground(stage, horizon, autumn)
    full = _trees(stage, horizon, autumn)
    stage.shade(stage.roll(0.0, 0.5), stage.roll(0.0, 0.6))
    stage.blur(0.008, 0.042)
    sun = stage.level * stage.roll(0.8, 2.2) * _rgb(stage, 1.0, 0.95, 0.72)
    _bokeh(stage, full * stage.chance(0.75), sun, colorful=0.0, top=-0.1, bottom=0.75)


def _sky(stage: Stage, horizon: Tensor) -> Tensor:
    """Paint the sky; return the color of the haze at the horizon."""
    bright = (0.6 * stage.above + 0.6 * stage.level) * stage.roll(0.9, 1.6)
    pale, gold = _rgb(stage, 0.92, 0.98, 1.05), _rgb(stage, 1.15, 0.75, 0.45)
    zenith = torch.lerp(_rgb(stage, 0.30, 0.55, 1.0) * bright, pale * bright, stage.roll())
    haze = torch.lerp(pale * bright, gold * bright, stage.chance(0.2))
    height = ((horizon - stage.y) / horizon).clamp_(0, 1)
    stage.fill(haze + (zenith - haze) * height)
    clouds = ((stage.coarse[0] - 0.3) * 0.8).clamp_(0, 1) * stage.chance(0.6)
    stage.over(clouds * (1 - 0.4 * height), pale * bright * 1.2)
    sun = stage.glow(stage.roll(-0.1, 1.1), horizon * stage.roll(0.1, 0.9), stage.roll(0.05, 0.15))
    stage.fill(sun * (gold * bright * 2.0 * stage.chance(0.3)))
    return haze


def _leaf_color(stage: Stage, autumn: Tensor, low: float, high: float) -> Tensor:
    """Leaves or grass: green, in autumn yellow to red."""
    hue = torch.lerp(stage.roll(0.19, 0.31), stage.roll(0.04, 0.14), autumn)
    return hue_color(hue, stage.roll(low, high), stage.roll(0.4, 0.75)) * stage.light


def _hills(stage: Stage, horizon: Tensor, haze: Tensor, autumn: Tensor) -> None:
    """Ridges, the farther the hazier, and a line of bushes in front of them."""
    for k, share in enumerate((0.5, 0.5, 0.7)):
        # The last row of a noise field serves as the outline; bushes are more ragged.
        outline = stage.coarse[k % 2][:, :, -1:] * stage.roll(0.01, 0.06) + (k == 2) * 0.02 * stage.fine[0]
        top = horizon - (0.06, 0.03, 0.05)[k] + outline
        mask = ((stage.y - top) / (2 * EDGE) + 0.5).clamp_(0, 1) * stage.chance(share)
        leaves = _leaf_color(stage, autumn, 0.08, 0.3) * (1 + (k == 2) * 0.25 * stage.fine[1])
        stage.over(mask, torch.lerp(haze * 0.75, leaves, stage.roll(0.1, 0.4) + 0.25 * k))


def _ground(stage: Stage, horizon: Tensor, autumn: Tensor) -> None:
    """Grass, sometimes with a path, or earth, sand or water from the horizon down."""
    kind, grass = stage.roll(), _leaf_color(stage, autumn, 0.18, 0.45)
    bare = hue_color(stage.roll(0.05, 0.13), stage.roll(0.2, 0.7), stage.roll(0.1, 0.5)) * stage.light
    water = hue_color(stage.roll(0.5, 0.62), stage.roll(0.2, 0.6), stage.roll(0.2, 0.6)) * stage.light
    color = torch.where(kind < 0.65, grass, torch.where(kind < 0.85, bare, water))
    depth = ((stage.y - horizon) / (1.02 - horizon)).clamp_(0, 1)
    path = stage.span(stage.x, stage.roll(0.1, 0.5) - 0.3 * depth, stage.roll(0.5, 0.9) + 0.3 * depth, 0.1)
    color = color + (bare - color) * path * (stage.chance(0.4) * 0.7 * (kind < 0.65))
    near = 1.1 - stage.roll(0.0, 0.5) * depth + stage.coarse[1] * 0.10 + stage.fine[1] * depth * 0.10
    stage.over(((stage.y - horizon) / (2 * EDGE) + 0.5).clamp_(0, 1), color * near)


def _trees(stage: Stage, horizon: Tensor, autumn: Tensor) -> Tensor:
    """Single trees, or woods, or leaves all over the picture; returns 1 for the last of them."""
    look = stage.roll()
    single, full = (look < 0.4).float(), (look > 0.75).float()
    woods = (look > 0.5).float()
    color = _leaf_color(stage, autumn, 0.1, 0.4)
    clumps = stage.coarse[1] * 0.8 + stage.fine[0] * 0.3
    lit = 1 + 0.35 * stage.fine[1] + 0.35 * stage.coarse[0]
    leaves = color * lit.clamp(min=0.25) * (1 + (lit - 1).clamp_(0, 1) * _rgb(stage, 0.5, 0.35, 0.0))
    for _ in range(2):
        on, x, size = single * stage.chance(0.75), stage.side_of((-0.05, 0.35), (0.65, 1.05)), stage.roll(0.14, 0.34)
        y, half = horizon - size * stage.roll(0.7, 1.3), size * stage.roll(0.06, 0.12)
        trunk = stage.span(stage.x, x - half, x + half) * stage.span(stage.y, y, horizon + stage.roll(0.03, 0.2))
        bark = hue_color(stage.roll(0.04, 0.1), stage.roll(0.04, 0.2), stage.roll(0.1, 0.5)) * stage.light
        stage.over(trunk * on, bark)
        crown = (stage.disc(x, y, size, edge=0.2) + clumps * 0.22 - 0.5) * 4
        stage.over(crown.clamp_(0, 1) * stage.disc(x, y, size * 1.4, edge=0.1) * on, leaves)
    # Woods thin out upwards, where the sky shows through, and end at the ground.
    height = (horizon + 0.06 - stage.y) * 2.5
    cover = clumps + (stage.roll(0.1, 1.0) + 2.2 * full) - height.clamp(min=0) * (1.2 - 1.2 * full)
    cover = (cover * 3).clamp_(0, 1) * ((height + 0.4) * 3 + 5 * full).clamp_(0, 1)
    stage.over(cover * woods, leaves)
    return full


def _bokeh(stage: Stage, on: Tensor, light: Tensor, colorful: float, top: float, bottom: float) -> None:
    """Discs of light, as a lens draws bright points that are out of focus; of about one size in one picture."""
    size = stage.roll(0.012, 0.055)
    for _ in range(10):
        disc = stage.disc(stage.roll(-0.05, 1.05), stage.roll(top, bottom), size * stage.roll(0.8, 1.15))
        tint = hue_color(stage.roll() ** 2, 1 + colorful * torch.ones_like(size), colorful * stage.roll(0.0, 0.8))
        stage.lights.add_(disc * (tint * light * on * stage.roll(0.1, 0.6)))


# ---------------------------------------------------------------------- street
def paint_street(stage: Stage) -> None:
    """Houses with windows on both sides of a road, cars, signs, and the lights of the evening."""
    night = stage.chance(0.35) * (1 - stage.sunny)
    day = 1 - 0.75 * night
    sky = torch.lerp(_rgb(stage, 0.8, 0.9, 1.05), _rgb(stage, 0.10, 0.12, 0.26), night)
    stage.fill(sky * stage.level * stage.roll(0.8, 1.8) * (1.1 - 0.3 * stage.y))
    ground = stage.roll(0.62, 0.85)
    _houses(stage, ground, night, low=0.05, pitch=9.0)
    _houses(stage, ground, night, low=0.25, pitch=5.0)
    _road(stage, ground, day)
    _shops(stage, ground, night)
    _cars(stage, ground, day, night)
    stage.wash(1 + stage.coarse[1] * 0.07)
    stage.shade(stage.roll(0.0, 0.4), stage.roll(0.0, 0.6))
    stage.blur(0.009, 0.038)
    lamp = stage.level.clamp(min=0.1) * stage.roll(0.6, 1.6) * _rgb(stage, 1.0, 0.8, 0.5)
    _bokeh(stage, torch.maximum(night, stage.chance(0.3)), lamp, colorful=1.0, top=0.3, bottom=0.95)


def _houses(stage: Stage, ground: Tensor, night: Tensor, low: float, pitch: float) -> None:
    """A row of facades. Each column of pixels belongs to one house, whose numbers are looked up.

    Roofs lie around ``low`` (farther rows are higher in the picture); a window is 1 / ``pitch`` wide and less.
    """
    count, stream = 8, HOUSE_STREAM + round(pitch)
    numbers = uniform(stage.seed, 8 * count, stream).view(-1, 8, count)
    ends = (numbers[:, :1] * 0.22 + 0.10).cumsum(2) - stage.roll(0.0, 0.1).view(-1, 1, 1)
    house = (stage.x.view(1, -1, 1) > ends).sum(2).clamp_(max=count - 1).view(-1, 1, 1, CANVAS)
    own = _look_up(numbers, house)
    roof, value, saturation = own[:, 1:2] * 0.75 - 0.35 + low, own[:, 3:4] * 0.5 + 0.12, own[:, 4:5] * 0.5
    facade = hue_color(0.05 + own[:, 2:3] ** 4 * 0.5, value, saturation) * stage.light * (1 - 0.75 * night)
    u = stage.x * (pitch + 6 * own[:, 5:6]) + own[:, 0:1] * 7
    v = (stage.y - roof) * (pitch * 0.8 + 3 * own[:, 6:7])
    cell = (u.floor() * 5 + v.floor() * 31 + house * 11).remainder_(256)
    mood = _look_up(uniform(stage.seed, 256, stream + 1).unsqueeze(1), cell)
    pane = ((0.28 - (u.frac() - 0.5).abs()) * 7 + 0.5).clamp_(0, 1)
    pane = pane * ((0.32 - (v.frac() - 0.5).abs()) * 7 + 0.5).clamp_(0, 1) * (v > 0.3)
    dark = (0.05 + 0.22 * mood) * (stage.light * (1 - 0.75 * night))
    lit = ((mood - 0.6) * 2.5).clamp_(min=0) * (stage.level * night) * _rgb(stage, 1.5, 1.0, 0.55)
    mask = ((stage.y - roof) / (1.5 * EDGE) + 0.5).clamp_(0, 1) * (stage.y < ground)
    stage.over(mask, facade + (dark + lit - facade) * pane)


def _road(stage: Stage, ground: Tensor, day: Tensor) -> None:
    asphalt = hue_color(stage.roll(0.5, 0.7), stage.roll(0.08, 0.35), stage.roll(0.0, 0.15)) * stage.light * day
    stage.over(((stage.y - ground) / EDGE + 0.5).clamp_(0, 1), asphalt * (1 + stage.coarse[0] * 0.07))
    curb, left, right = ground + stage.roll(0.02, 0.06), -torch.ones_like(ground), torch.full_like(ground, OUT)
    stage.box(left, ground, right, curb, asphalt * stage.roll(1.2, 1.9), torch.ones_like(ground))


def _shops(stage: Stage, ground: Tensor, night: Tensor) -> None:
    """Shop windows and signs on the ground floor."""
    for _ in range(4):
        on, x, wide, top = stage.chance(0.55), stage.roll(-0.1, 0.95), stage.roll(0.12, 0.3), stage.roll(0.1, 0.2)
        glow = hue_color(stage.roll(0.06, 0.14), stage.roll(0.2, 0.8), stage.roll(0.2, 0.6)) * stage.level
        stage.box(x, ground - top, x + wide, ground - 0.02, glow * (0.5 + night), on)
        sign = stage.color((0.15, 0.8), (0.2, 0.85)) * (1 - 0.6 * night)
        stage.box(x - 0.01, ground - top - 0.05, x + wide + 0.01, ground - top, sign, on)


def _cars(stage: Stage, ground: Tensor, day: Tensor, night: Tensor) -> None:
    """Bodies, cabins, wheels and lights."""
    red, white = stage.level * _rgb(stage, 2.0, 0.1, 0.06), stage.level * _rgb(stage, 1.8, 1.7, 1.4)
    for _ in range(2):
        on, x, size = stage.chance(0.7), stage.roll(-0.15, 0.95), stage.roll(0.16, 0.34)
        base = ground + stage.roll(0.02, 0.14)
        color = stage.color((0.03, 0.75), (0.0, 0.8)) * day
        cabin = stage.disc(x + size * 0.5, base - size * 0.28, size * 0.33, edge=0.03, stretch=0.6)
        stage.over(cabin * on, color * 0.25)
        stage.box(x, base - size * 0.3, x + size, base, color, on)
        for share in (0.22, 0.78):
            stage.over(stage.disc(x + size * share, base, size * 0.1) * on, stage.light * 0.015)
        for place, lamp in ((0.04, red), (0.96, white)):
            disc = stage.disc(x + size * place, base - size * 0.18, size * 0.06)
            stage.over(disc * (on * (0.35 + 0.65 * night)), lamp)


PAINTERS: tuple[tuple[tuple[str, ...], Callable[[Stage], None]], ...] = (
    (("plain wall",), paint_wall),
    (("studio",), paint_studio),
    (("office", "home"), paint_room),
    (("outdoors",), paint_outdoors),
    (("street",), paint_street),
)
"""Who paints which of BACKGROUNDS."""
