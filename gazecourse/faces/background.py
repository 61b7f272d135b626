"""What is behind the head: walls, studios, rooms, nature and streets, mostly out of focus.

Every background is painted on a small canvas with soft boxes, discs and noise, blurred like things that a portrait
lens leaves out of focus, and enlarged smoothly. Nothing but the image's own factors and seed decides where things
stand. All numbers per image come from hashes, so no two backgrounds are alike, and each is the same in any batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gazecourse.faces.attributes import BACKGROUNDS, Factors, luminance
from gazecourse.faces.noise import enlarge, fbm, uniform
from gazecourse.faces.optics import defocus
from gazecourse.validation import check_positive

CANVAS = 96
"""Width of the canvas in its own pixels; backgrounds are blurred by about as much."""
EDGE = 1.3 / CANVAS
"""Width of a sharp edge on the canvas."""
DICE = 400
"""Hashed numbers that each image holds ready."""
DICE_STREAM = 2001
NOISE_STREAM = 2100


def draw(factors: Factors, height: int, width: int) -> Tensor:
    """Backgrounds in the light of each scene.

    Args:
        factors: B images; background, background_color, the lights and seed are read.
        height, width: size in pixels.
    Returns:
        [B, 3, height, width] linear RGB, at least 0; what is lit is about as bright as a face in the same place,
        windows and lamps are brighter.
    Raises:
        TypeError, ValueError: if the size is not positive.
    """
    aspect = check_positive("height", height) / check_positive("width", width)
    canvas = factors.seed.new_zeros(len(factors), 3, max(8, round(CANVAS * aspect)), CANVAS, dtype=torch.float32)
    for painters, paint in PAINTERS:
        kinds = torch.tensor([BACKGROUNDS.index(name) for name in painters], device=canvas.device)
        rows = torch.isin(factors.background, kinds).nonzero().squeeze(1)
        if rows.numel():
            stage = Stage(factors, rows, canvas.shape[2:])
            paint(stage)
            canvas.index_copy_(0, rows, stage.canvas)
    return enlarge(canvas, height, width).clamp_(min=0)


class Stage:
    """The backgrounds of b images under way: a canvas, brushes, and dice.

    Places are (x, y) from (0, 0) at the top left to (1, 1) at the bottom right; sizes of discs are in units of the
    picture's width. Colors are linear RGB [b, 3].

    Attributes:
        canvas: [b, 3, h, w] light.
        light: [b, 3] what a white wall behind the person sends back.
        level: [b, 1] luminance of ``light``.
        tint: [b, 3] the background's color.
        kind: [b] index into BACKGROUNDS.
        x, y: [1, 1, 1, w] and [1, 1, h, 1] places of the pixels.
    """

    def __init__(self, factors: Factors, rows: Tensor, size: tuple[int, int]) -> None:
        self.seed = factors.seed.index_select(0, rows)
        self.kind = factors.background.index_select(0, rows)
        self.tint = factors.background_color.index_select(0, rows)
        self.light = wall_light(factors).index_select(0, rows)
        self.level = luminance(self.light).unsqueeze(1)
        self.above = factors.ambient_above.index_select(0, rows)
        self.side = _side_of_light(factors).index_select(0, rows)
        height, width = size
        device = rows.device
        self.aspect = height / width
        self.x = ((torch.arange(width, device=device) + 0.5) / width).view(1, 1, 1, -1)
        self.y = ((torch.arange(height, device=device) + 0.5) / height).view(1, 1, -1, 1)
        self.canvas = torch.zeros(len(rows), 3, height, width, device=device)
        self._numbers = uniform(self.seed, DICE, DICE_STREAM)
        self._rolled = 0
        self._noises = 0

    # ------------------------------------------------------------------ chance
    def roll(self, low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> Tensor:
        """[b, 1] uniform between ``low`` and ``high``, another one with every call."""
        number = self._numbers[:, self._rolled : self._rolled + 1]
        self._rolled += 1
        return number * (high - low) + low

    def chance(self, share: float) -> Tensor:
        """[b, 1] 1.0 in that share of the images, else 0.0."""
        return (self.roll() < share).float()

    def color(self, value: tuple[float, float], saturation: tuple[float, float]) -> Tensor:
        """[b, 3] a random color: any hue, with its largest channel and its saturation between the given bounds."""
        return self.hue(self.roll(), self.roll(*value), self.roll(*saturation))

    @staticmethod
    def hue(hue: Tensor, value: Tensor, saturation: Tensor) -> Tensor:
        """[b, 3] color of a hue in [0, 1): red 0, green 1/3, blue 2/3."""
        thirds = torch.tensor([0.0, 2 / 3, 1 / 3], device=hue.device)
        turn = (hue + thirds).frac()
        full = ((turn - 0.5).abs() * 6 - 1).clamp(0, 1)
        return value * (1 - saturation + saturation * full)

    def noise(self, cells: float, octaves: int = 3, gain: float = 0.5) -> Tensor:
        """[b, 1, h, w] a smooth random field with mean 0 and variance 1, another one with every call."""
        self._noises += 1
        height, width = self.canvas.shape[2:]
        stream = NOISE_STREAM + self._noises
        return fbm(self.seed, height, width, stream, cells=cells, octaves=octaves, gain=gain).unsqueeze(1)

    # ------------------------------------------------------------------ brushes
    def over(self, mask: Tensor, color: Tensor) -> None:
        """Paint ``color`` [b, 3] or [b, 3, h, w] where ``mask`` [b, 1, h, w] covers the canvas."""
        if color.ndim == 2:
            color = color[..., None, None]
        self.canvas += (color - self.canvas).mul_(mask)

    def span(self, place: Tensor, low: Tensor, high: Tensor, edge: float = EDGE) -> Tensor:
        """Cover [b, 1, …] of the pixels at ``place`` by the interval from ``low`` to ``high`` [b, 1]."""
        low, high = low[..., None, None], high[..., None, None]
        return ((place - low) / edge + 0.5).clamp_(0, 1) * ((high - place) / edge + 0.5).clamp_(0, 1)

    def box(self, left: Tensor, top: Tensor, right: Tensor, bottom: Tensor, edge: float = EDGE) -> Tensor:
        """Cover [b, 1, h, w] by upright boxes."""
        return self.span(self.x, left, right, edge) * self.span(self.y, top, bottom, edge / self.aspect)

    def disc(
        self, x: Tensor, y: Tensor, radius: Tensor, edge: float | Tensor = EDGE, stretch: float | Tensor = 1.0
    ) -> Tensor:
        """Cover [b, 1, h, w] by discs, or by ellipses ``stretch`` times as high as wide."""
        if isinstance(stretch, Tensor):
            stretch = stretch[..., None, None]
        across = self.x - x[..., None, None]
        down = (self.y - y[..., None, None]) * (self.aspect / stretch)
        far = (across * across + down * down).sqrt_()
        return far.sub_(radius[..., None, None]).div_(edge).neg_().add_(0.5).clamp_(0, 1)

    def glow(self, x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        """[b, 1, h, w] from 1 at (x, y) fading like 1 / (1 + (r / radius)²)."""
        across = (self.x - x[..., None, None]) / radius[..., None, None]
        down = (self.y - y[..., None, None]) * self.aspect / radius[..., None, None]
        return 1 / (across * across + down * down + 1)

    def wash(self, factor: Tensor) -> None:
        """Multiply the light on the canvas by ``factor``, any shape that fits [b, 3, h, w]."""
        self.canvas *= factor.clamp(min=0)

    def blur(self, low: float, high: float) -> None:
        """Put everything painted so far out of focus, by a sigma between the bounds in units of the width."""
        # Small blurs are as frequent as large ones on a logarithmic scale; a square is close enough and exact.
        self.canvas = defocus(self.canvas, self.roll()[:, 0] ** 2 * (high - low) + low)

    def gradient(self, strength: Tensor) -> Tensor:
        """[b, 1, h, w] light that grows towards the side that the main light comes from."""
        towards_x, towards_y = self.side[:, 0, None, None, None], self.side[:, 1, None, None, None]
        slope = (self.x - 0.5) * towards_x + (self.y - 0.5) * towards_y
        return 1 + slope * strength[..., None, None]

    def vignette(self, strength: Tensor) -> Tensor:
        """[b, 1, h, w] darker towards the corners."""
        far = (self.x - 0.5) ** 2 + (self.y - 0.5) ** 2
        return 1 - far * strength[..., None, None]


def wall_light(factors: Factors) -> Tensor:
    """Light [B, 3] that an upright white wall behind the person, facing the camera, sends back."""
    toward = (-factors.light_direction[..., 2:]).clamp(min=0)
    # Lights are aimed at the face and thrown from the side: a wall gets part of them, at a slant or not.
    direct = (factors.light_color * (0.15 + 0.45 * toward)).sum(1)
    return 0.5 * (factors.ambient_above + factors.ambient_below) + direct


def _side_of_light(factors: Factors) -> Tensor:
    """Where the light comes from in the picture [B, 2]: the mean of all lights, weighted by strength."""
    strength = luminance(factors.light_color).unsqueeze(-1)
    return (factors.light_direction[..., :2] * strength).sum(1) / (strength.sum(1) + 1e-3)


def _all(stage: Stage, value: float) -> Tensor:
    return torch.full_like(stage.level, value)


# ---------------------------------------------------------------------- plain wall
def paint_wall(stage: Stage) -> None:
    """A wall with a little texture: perhaps a corner, a baseboard, panels, or light falling through a window."""
    color = stage.tint * stage.roll(0.85, 1.1)
    stage.canvas += (color * stage.light)[..., None, None]
    _panels(stage)
    stage.wash(1 + stage.noise(9.0, 3, 0.7) * stage.roll(0.01, 0.05)[..., None, None])
    stage.wash(1 + stage.noise(1.5, 2) * stage.roll(0.02, 0.10)[..., None, None])
    _corner(stage)
    _baseboard(stage)
    _sunlit_patch(stage)
    _shadow_of_head(stage)
    stage.wash(stage.gradient(stage.roll(0.1, 0.9)))
    stage.wash(stage.vignette(stage.roll(0.0, 0.7)))
    stage.blur(0.003, 0.02)


def _panels(stage: Stage) -> None:
    """Grooves between planks or rows of tiles, on some walls."""
    on = stage.chance(0.25)
    count = stage.roll(4, 11).floor()
    place = stage.x * count[..., None, None] + stage.roll()[..., None, None]
    groove = 1 - ((place.frac() - 0.5).abs() - 0.44).clamp(min=0) * 10
    rows = stage.y * (count * stage.roll(0.6, 1.8) * stage.chance(0.4))[..., None, None]
    joint = 1 - ((rows.frac() - 0.5).abs() - 0.44).clamp(min=0) * 10 * (rows > 0)
    stage.wash(1 - (1 - groove * joint) * (on * stage.roll(0.1, 0.4))[..., None, None])


def _corner(stage: Stage) -> None:
    """Another wall that begins left or right of the head, turned to or away from the light."""
    side = stage.chance(0.5)
    place = side * stage.roll(0.62, 0.95) + (1 - side) * stage.roll(0.05, 0.38)
    tilt = stage.roll(-0.06, 0.06)[..., None, None]
    beyond = (stage.x - place[..., None, None] + tilt * (stage.y - 0.5)) * (2 * side - 1)[..., None, None]
    mask = (beyond / EDGE + 0.5).clamp(0, 1)
    crease = 1 - 0.18 / (1 + (beyond * 14) ** 2)
    on = stage.chance(0.4)[..., None, None]
    shade = stage.roll(0.55, 1.25)[..., None, None]
    stage.wash(1 + on * ((1 + mask * (shade - 1)) * crease - 1))


def _baseboard(stage: Stage) -> None:
    """The lower part of some walls is painted in another color."""
    top = stage.roll(0.55, 0.9)
    mask = stage.span(stage.y, top, _all(stage, 2.0)) * stage.chance(0.15)[..., None, None]
    stage.over(mask.expand(-1, -1, -1, stage.canvas.shape[3]), stage.color((0.2, 0.8), (0.0, 0.35)) * stage.light)
    rail = stage.span(stage.y, top - 0.012, top + 0.012)
    stage.wash(1 + 0.2 * rail * mask.amax(2, keepdim=True))


def _sunlit_patch(stage: Stage) -> None:
    """Slanted panes of light, as a window throws them."""
    slant = stage.roll(-0.5, 0.5)[..., None, None]
    across, down = stage.x + slant * stage.y, stage.y + 0.3 * slant * stage.x
    left, top = stage.roll(-0.2, 0.8), stage.roll(-0.2, 0.5)
    pane, tall, soft = stage.roll(0.12, 0.3), stage.roll(0.2, 0.5), 0.04
    mask = 0
    for column in (0, 1):
        start = left + column * (pane + 0.04)
        for row in (0, 1):
            begin = top + row * (tall + 0.04)
            mask = mask + stage.span(across, start, start + pane, soft) * stage.span(down, begin, begin + tall, soft)
    warm = torch.tensor([1.0, 0.86, 0.66], device=mask.device).view(1, 3, 1, 1)
    stage.wash(1 + mask * warm * (stage.chance(0.2) * stage.roll(0.3, 1.0))[..., None, None])


def _shadow_of_head(stage: Stage) -> None:
    """A soft shadow on the side away from the light."""
    x, y = 0.5 - stage.side[:, :1] * 0.35, 0.55 - stage.side[:, 1:] * 0.25
    shadow = stage.glow(x, y, stage.roll(0.2, 0.4)) ** 2
    stage.wash(1 - shadow * (stage.chance(0.6) * stage.roll(0.1, 0.5))[..., None, None])


# ---------------------------------------------------------------------- studio
def paint_studio(stage: Stage) -> None:
    """A paper or canvas backdrop with a spot of light: colored, white, black, mottled, or lit in two colors."""
    look = stage.roll()
    white, black = (look < 0.15).float(), (look > 0.85).float()
    color = stage.tint * (1 - white - black) + white * 0.85 + black * 0.025
    lamp = stage.level * (0.5 + 0.5 * stage.light / stage.level.clamp(min=1e-4))
    stage.canvas += (color * lamp)[..., None, None]
    mottled = stage.chance(0.4) * stage.roll(0.1, 0.35) * (1 - white)
    stage.wash(1 + stage.noise(2.5, 4, 0.55) * mottled[..., None, None])
    spot = stage.glow(stage.roll(0.3, 0.7), stage.roll(0.3, 0.8), stage.roll(0.3, 0.9))
    strength = stage.roll(0.2, 0.95) * (1 - 0.85 * white)
    stage.wash(1 + (spot * 1.6 - 1) * strength[..., None, None])
    _gels(stage)
    sweep = ((stage.y - stage.roll(0.6, 0.95)[..., None, None]) * 4).clamp(0, 1)
    stage.wash(1 + sweep * stage.roll(-0.4, 0.3)[..., None, None])
    stage.wash(stage.gradient(stage.roll(0.0, 0.5) * (1 - 0.7 * white)))
    stage.wash(stage.vignette(stage.roll(0.2, 1.4) * (1 - 0.8 * white)))
    stage.blur(0.002, 0.01)


def _gels(stage: Stage) -> None:
    """Colored lamps from the left and from the right, in some studios."""
    on = stage.chance(0.2)
    left, right = stage.color((1.1, 1.6), (0.4, 0.8)), stage.color((1.1, 1.6), (0.4, 0.8))
    ramp = stage.x * stage.x * (3 - 2 * stage.x)
    tint = left[..., None, None] * (1 - ramp) + right[..., None, None] * ramp
    stage.wash(1 + (tint - 1) * on[..., None, None])


# ---------------------------------------------------------------------- office and home
def paint_room(stage: Stage) -> None:
    """An office or a room at home: a wall with a window, shelves, pictures, furniture, plants, lamps or screens."""
    home = (stage.kind == BACKGROUNDS.index("home")).float().unsqueeze(1)
    gray = stage.tint.mean(1, keepdim=True)
    wall = home * stage.tint + (1 - home) * (0.35 * stage.tint + 0.65 * (0.3 + 0.6 * gray))
    stage.canvas += (wall * stage.light)[..., None, None]
    _corner(stage)
    _ceiling(stage, home)
    _door(stage)
    _shelves(stage, home)
    _window(stage, home)
    _pictures(stage, home)
    _furniture(stage, home)
    _screens(stage, home)
    _plant(stage)
    stage.wash(1 + stage.noise(2.0, 2) * 0.08)
    stage.wash(stage.gradient(stage.roll(0.1, 0.8)))
    _lamp(stage, home)
    stage.blur(0.007, 0.032)


def _ceiling(stage: Stage, home: Tensor) -> None:
    """A ceiling at the top; in offices with bright panels in rows."""
    on = stage.chance(0.45) * (1 - 0.6 * home)
    height = stage.roll(0.06, 0.2)
    slope = stage.roll(-0.12, 0.12)[..., None, None]
    tilted = stage.y + slope * (stage.x - 0.5)
    stage.over(stage.span(tilted, _all(stage, -2.0), height) * on[..., None, None], stage.light * 0.75)
    first, gap = stage.roll(-0.1, 0.2), stage.roll(0.3, 0.45)
    panels = 0
    for k in range(3):
        left = first + k * gap
        panels = panels + stage.span(stage.x, left, left + 0.2, 0.03)
    panels = panels * stage.span(tilted, height * 0.3, height * 0.7, 0.03)
    stage.over(
        panels * (on * (1 - home))[..., None, None], stage.level * torch.tensor([2.4, 2.5, 2.6], device=on.device)
    )


def _door(stage: Stage) -> None:
    on = stage.chance(0.3)
    left, top, wide = stage.roll(-0.1, 0.85), stage.roll(0.05, 0.3), stage.roll(0.22, 0.34)
    color = stage.color((0.1, 0.75), (0.05, 0.45)) * stage.light
    stage.over(
        stage.box(left - 0.02, top - 0.02, left + wide + 0.02, _all(stage, 2)) * on[..., None, None], color * 1.25
    )
    stage.over(stage.box(left, top, left + wide, _all(stage, 2)) * on[..., None, None], color)


def _shelves(stage: Stage, home: Tensor) -> None:
    """A shelf full of books or binders in hashed colors and heights."""
    on = stage.chance(0.5)
    right_side = stage.chance(0.5)
    left = right_side * stage.roll(0.5, 0.75) + (1 - right_side) * stage.roll(-0.25, 0.05)
    wide, top, bottom = stage.roll(0.3, 0.6), stage.roll(-0.1, 0.35), stage.roll(0.65, 1.2)
    mask = stage.box(left, top, left + wide, bottom) * on[..., None, None]
    wood = stage.hue(stage.roll(0.05, 0.10), stage.roll(0.06, 0.7), stage.roll(0.0, 0.6)) * stage.light
    stage.over(mask, wood)
    rows, columns = 6, 24
    u = (stage.x - left[..., None, None]) / (wide / columns)[..., None, None]
    v = (stage.y - top[..., None, None]) / ((bottom - top) / stage.roll(2.5, 5.9))[..., None, None]
    cell = v.floor().clamp(0, rows - 1) * columns + u.floor().clamp(0, columns - 1)
    books = _books(stage, home, rows * columns)
    picked = books.gather(2, cell.long().flatten(1).unsqueeze(1).expand(-1, 4, -1)).view(len(cell), 4, *cell.shape[2:])
    # Each book stands on its board; above it one looks into the dark of the shelf.
    depth = 1 - v.frac()
    color = torch.where(
        depth < picked[:, 3:], picked[:, :3] * stage.light[..., None, None], wood[..., None, None] * 0.25
    )
    boards = ((depth - 0.07) * 30).clamp(0, 1) * stage.span(stage.x, left + 0.015, left + wide - 0.015)
    stage.over(mask * boards, color)


def _books(stage: Stage, home: Tensor, count: int) -> Tensor:
    """[b, 4, count] color and height of each book; neighbors often belong to one series."""
    numbers = uniform(stage.seed, 4 * count, DICE_STREAM + 1).view(-1, 4, count)
    series = uniform(stage.seed, 4 * (count // 4 + 1), DICE_STREAM + 2).view(-1, 4, count // 4 + 1)
    series = series.repeat_interleave(4, dim=2)[..., :count]
    mixed = torch.where(numbers[:, 3:] < 0.5, series, numbers)
    hue, value = mixed[:, 0], mixed[:, 1] ** 2 * 0.75 + 0.03
    saturation = mixed[:, 2] * (0.35 + 0.4 * home)
    turn = torch.stack([hue, (hue + 2 / 3).frac(), (hue + 1 / 3).frac()], dim=1)
    full = ((turn - 0.5).abs() * 6 - 1).clamp(0, 1)
    color = value.unsqueeze(1) * (1 - saturation.unsqueeze(1) * (1 - full))
    height = 0.55 + 0.4 * series[:, 2:3] + 0.05 * numbers[:, 2:3]
    return torch.cat([color, height * (mixed[:, 3:] > 0.08)], dim=1)


def _window(stage: Stage, home: Tensor) -> None:
    """A bright window with bars, a view, and curtains or blinds."""
    on = stage.chance(0.5)[..., None, None]
    right_side = stage.chance(0.5)
    left = right_side * stage.roll(0.5, 0.8) + (1 - right_side) * stage.roll(-0.3, 0.0)
    wide, top, tall = stage.roll(0.35, 0.6), stage.roll(-0.15, 0.2), stage.roll(0.4, 0.8)
    frame = stage.color((0.5, 0.8), (0.0, 0.15)) * stage.light
    stage.over(stage.box(left - 0.025, top - 0.03, left + wide + 0.025, top + tall + 0.03) * on, frame)
    sky = torch.tensor([0.85, 0.95, 1.1], device=on.device) * stage.level * stage.roll(1.2, 3.0)
    green = torch.tensor([0.55, 0.7, 0.4], device=on.device) * stage.level * stage.roll(0.5, 1.2)
    land = ((stage.y - (top + tall * stage.roll(0.4, 0.9))[..., None, None]) * 9 + stage.noise(5.0) * 0.3).clamp(0, 1)
    view = sky[..., None, None] * (1 - land) + green[..., None, None] * land
    panes = stage.box(left, top, left + wide, top + tall)
    bars = stage.roll(1, 4).floor()
    u = ((stage.x - left[..., None, None]) / wide[..., None, None] * bars[..., None, None]).frac()
    panes = panes * (((0.5 - (u - 0.5).abs()) * 40 / bars[..., None, None]) - 0.4).clamp(0, 1)
    stage.over(panes * on, view)
    _blinds(stage, left, top, wide, tall, on * (1 - home)[..., None, None])
    _curtains(stage, left, wide, on * home[..., None, None])


def _blinds(stage: Stage, left: Tensor, top: Tensor, wide: Tensor, tall: Tensor, on: Tensor) -> None:
    slats = (stage.y * stage.roll(16, 24)[..., None, None]).frac()
    mask = stage.box(left, top, left + wide, top + tall * stage.roll(0.3, 1.0))
    gap = ((slats - 0.5).abs() * 6 - 1).clamp(0.15, 1)
    stage.over(mask * gap * on * stage.chance(0.6)[..., None, None], stage.color((0.6, 0.9), (0.0, 0.2)) * stage.light)


def _curtains(stage: Stage, left: Tensor, wide: Tensor, on: Tensor) -> None:
    """Two lengths of folded cloth beside the window, with light shining through."""
    color = stage.color((0.25, 0.9), (0.05, 0.5)) * stage.light
    wave = stage.x * stage.roll(18, 32)[..., None, None] + stage.noise(2.0, 1) * 0.5
    folds = 0.75 + 0.35 * ((wave.frac() - 0.5).abs() * 4 - 1)
    cloth = color[..., None, None] * folds
    share = stage.roll(0.12, 0.3)
    mask = stage.span(stage.x, left - 0.1, left + wide * share) + stage.span(
        stage.x, left + wide * (1 - share), left + wide + 0.1
    )
    stage.over(mask * on * stage.chance(0.75)[..., None, None], cloth)


def _pictures(stage: Stage, home: Tensor) -> None:
    """Up to four framed pictures or sheets of paper."""
    for k in range(4):
        on = stage.chance(0.55 if k < 2 else 0.3)[..., None, None]
        x, y = stage.roll(-0.05, 0.95), stage.roll(0.02, 0.5)
        wide = stage.roll(0.08, 0.24)
        tall = wide * stage.roll(0.7, 1.5)
        rim = stage.roll(0.008, 0.025)
        stage.over(stage.box(x, y, x + wide, y + tall) * on, stage.color((0.03, 0.6), (0.0, 0.5)) * stage.light)
        inner = stage.box(x + rim, y + rim, x + wide - rim, y + tall - rim)
        stage.over(inner * on, stage.color((0.45, 0.85), (0.0, 0.2 if k % 2 else 0.4)) * stage.light)
        motif = stage.box(x + 2.4 * rim, y + tall * stage.roll(0.3, 0.6), x + wide - 2.4 * rim, y + tall - 2.4 * rim)
        stage.over(motif * on, stage.color((0.1, 0.6), (0.2, 0.8)) * stage.light)


def _furniture(stage: Stage, home: Tensor) -> None:
    """A sofa with cushions at home, cabinets and chairs in an office, at the picture's lower end."""
    on = stage.chance(0.65)
    color = stage.color((0.08, 0.6), (0.05, 0.5)) * stage.light
    left, top, wide = stage.roll(-0.3, 0.6), stage.roll(0.55, 0.85), stage.roll(0.35, 0.9)
    block = stage.box(left, top, left + wide, _all(stage, 2))
    stage.over(block * on[..., None, None], color)
    lid = stage.box(left - 0.01, top - 0.015, left + wide + 0.01, top + 0.02)
    stage.over(lid * on[..., None, None], color * stage.roll(1.1, 1.7))
    for _ in range(3):
        x, radius = left + wide * stage.roll(), stage.roll(0.07, 0.13)
        cushion = stage.disc(x, top + 0.02, radius, stretch=0.8)
        stage.over(cushion * (on * home)[..., None, None], stage.color((0.1, 0.8), (0.1, 0.7)) * stage.light)
    for _ in range(2):
        x, wide = stage.roll(-0.05, 0.85), stage.roll(0.12, 0.22)
        chair = stage.box(x, top + stage.roll(-0.12, 0.05), x + wide, _all(stage, 2), edge=0.04)
        stage.over(
            chair * (stage.chance(0.5) * (1 - home))[..., None, None], stage.color((0.02, 0.25), (0, 0.5)) * stage.light
        )


def _screens(stage: Stage, home: Tensor) -> None:
    """Monitors on desks in offices; now and then a television at home."""
    for share in (0.55, 0.35):
        on = (stage.roll() < share * (1 - 0.75 * home)).float()[..., None, None]
        x, y, wide = stage.roll(-0.15, 0.85), stage.roll(0.4, 0.68), stage.roll(0.2, 0.36)
        tall, rim = wide * 0.62, 0.014
        black = 0.02 * stage.light
        stage.over(stage.box(x + wide * 0.45, y + tall, x + wide * 0.55, y + tall + 0.1) * on, black)
        stage.over(stage.box(x, y, x + wide, y + tall) * on, black)
        lit = stage.chance(0.75)
        glow = stage.color((0.3, 1.0), (0.0, 0.35)) * torch.tensor([0.8, 0.95, 1.15], device=on.device)
        glow = glow * stage.level.clamp(min=0.15) * (0.06 + 0.94 * lit)
        stage.over(stage.box(x + rim, y + rim, x + wide - rim, y + tall - rim) * on, glow)
        bar = stage.box(x + rim, y + rim, x + wide * stage.roll(0.2, 0.5), y + tall - rim)
        stage.over(bar * on * lit[..., None, None], glow * 0.35)
        stage.over(
            stage.box(x - 0.3, y + tall + 0.08, x + wide + 0.4, _all(stage, 2)) * on,
            stage.light * stage.color((0.2, 0.7), (0.0, 0.4)),
        )


def _plant(stage: Stage) -> None:
    """A pot plant: a ragged clump of leaves."""
    on = stage.chance(0.4)
    x, y, radius = stage.roll(-0.02, 1.02), stage.roll(0.35, 0.8), stage.roll(0.08, 0.18)
    ragged = stage.noise(11.0, 3, 0.8)
    leaves = stage.disc(x, y, radius, edge=0.16) + ragged * 0.35
    mask = ((leaves - 0.5) * 5).clamp(0, 1) * stage.disc(x, y, radius * 1.5, edge=0.1)
    color = stage.hue(stage.roll(0.22, 0.36), stage.roll(0.08, 0.3), stage.roll(0.4, 0.8)) * stage.light
    pot = stage.box(x - radius * 0.45, y + radius * 0.8, x + radius * 0.45, y + radius * 1.7)
    stage.over(pot * on[..., None, None], stage.color((0.15, 0.7), (0.1, 0.6)) * stage.light)
    stage.over(mask * on[..., None, None], color[..., None, None] * (1 + ragged * 0.4).clamp(min=0.2))


def _lamp(stage: Stage, home: Tensor) -> None:
    """A lit lamp with a shade, at home."""
    on = stage.chance(0.45) * home
    x, y, size = stage.roll(0.02, 0.98), stage.roll(0.05, 0.55), stage.roll(0.05, 0.1)
    warm = torch.tensor([1.0, 0.72, 0.38], device=on.device)
    stage.wash(1 + stage.glow(x, y, size * 2.2) * (warm * on * stage.roll(0.5, 1.5))[..., None, None])
    stand = stage.box(x - 0.008, y + size, x + 0.008, _all(stage, 2))
    stage.over(stand * on[..., None, None], stage.light * 0.05)
    slope = (stage.y - y[..., None, None]) * 0.35
    narrow = (stage.x - x[..., None, None]).abs() - slope
    shade = ((size[..., None, None] - narrow) / EDGE + 0.5).clamp(0, 1) * stage.span(stage.y, y - size, y + size)
    stage.over(shade * on[..., None, None], warm * stage.level * stage.roll(1.5, 3.0))


# ---------------------------------------------------------------------- outdoors
def paint_outdoors(stage: Stage) -> None:
    """Sky, hills, trees and ground, or nothing but leaves; with discs of light where the sun peeps through."""
    horizon = stage.roll(0.3, 0.75)
    season = stage.roll()
    haze = _sky(stage, horizon)
    _hills(stage, horizon, haze, season)
    _ground(stage, horizon, season)
    leafy = _trees(stage, horizon, season)
    stage.wash(1 + stage.noise(1.5, 2) * 0.07)
    stage.blur(0.008, 0.04)
    warm = torch.tensor([1.0, 0.95, 0.75], device=horizon.device) * stage.level
    _bokeh(stage, leafy * stage.chance(0.7), 8, warm * stage.roll(1.0, 2.5), (0.0, 0.0), (-0.1, 0.7))


def _sky(stage: Stage, horizon: Tensor) -> Tensor:
    """Paint the sky; return the color [b, 3] of the haze at the horizon."""
    cloudy, evening = stage.roll(), stage.chance(0.2)
    bright = (0.6 * luminance(stage.above).unsqueeze(1) + 0.6 * stage.level) * stage.roll(0.9, 1.6)
    blue = torch.tensor([0.30, 0.55, 1.0], device=horizon.device)
    gold = torch.tensor([1.15, 0.75, 0.45], device=horizon.device)
    pale = torch.tensor([0.92, 0.98, 1.05], device=horizon.device)
    zenith = (blue + (pale - blue) * cloudy) * bright
    haze = (pale * (1 - evening) + gold * evening) * bright
    height = ((horizon[..., None, None] - stage.y) / horizon[..., None, None]).clamp(0, 1)
    stage.canvas += haze[..., None, None] + (zenith - haze)[..., None, None] * height
    clouds = ((stage.noise(2.0, 4, 0.6) - 0.3) * 0.8).clamp(0, 1) * stage.chance(0.6)[..., None, None]
    stage.over(clouds * (1 - 0.4 * height), pale * bright * 1.2)
    sun = stage.glow(stage.roll(-0.1, 1.1), horizon * stage.roll(0.1, 0.9), stage.roll(0.05, 0.15)) ** 1
    stage.canvas += sun * (gold * bright * 2.0 * stage.chance(0.3))[..., None, None]
    return haze


def _leaf_color(stage: Stage, season: Tensor, value: tuple[float, float]) -> Tensor:
    """[b, 3] of leaves or grass: green for most of the year, then yellow to red."""
    autumn = (season > 0.8).float()
    hue = stage.roll(0.19, 0.33) * (1 - autumn) + stage.roll(0.04, 0.14) * autumn
    return stage.hue(hue, stage.roll(*value), stage.roll(0.45, 0.8)) * stage.light


def _hills(stage: Stage, horizon: Tensor, haze: Tensor, season: Tensor) -> None:
    """Up to three ridges, the farther the hazier."""
    for k in range(3):
        ridge = stage.noise(1.6 + 1.2 * k, 3)[:, :, :1]
        top = horizon[..., None, None] - 0.05 * (2 - k) + ridge * stage.roll(0.01, 0.06)[..., None, None]
        mask = ((stage.y - top) / (2 * EDGE) + 0.5).clamp(0, 1) * stage.chance(0.6)[..., None, None]
        far = stage.roll(0.55, 0.85) - 0.25 * k
        color = haze * 0.75 * far + _leaf_color(stage, season, (0.12, 0.4)) * (1 - far)
        stage.over(mask, color)


def _ground(stage: Stage, horizon: Tensor, season: Tensor) -> None:
    """Grass, sand, water, snow or a path from the horizon down."""
    kind = stage.roll()
    grass = _leaf_color(stage, season, (0.2, 0.5))
    bare = stage.hue(stage.roll(0.05, 0.13), stage.roll(0.25, 0.75), stage.roll(0.1, 0.5)) * stage.light
    water = stage.hue(stage.roll(0.5, 0.62), stage.roll(0.2, 0.6), stage.roll(0.2, 0.6)) * stage.light
    color = torch.where(kind < 0.6, grass, torch.where(kind < 0.8, bare, water))
    depth = ((stage.y - horizon[..., None, None]) / (1.02 - horizon)[..., None, None]).clamp(0, 1)
    texture = 1 + stage.noise(7.0, 3, 0.7) * 0.22 * (0.3 + depth)
    shade = 1.15 - stage.roll(0.0, 0.6)[..., None, None] * depth
    mask = ((stage.y - horizon[..., None, None]) / (2 * EDGE) + 0.5).clamp(0, 1).expand(-1, -1, -1, CANVAS)
    stage.over(mask, color[..., None, None] * texture * shade)


def _trees(stage: Stage, horizon: Tensor, season: Tensor) -> Tensor:
    """Crowns and trunks; returns [b, 1], 1 where leaves fill most of the picture."""
    wooded = stage.chance(0.7)
    full = stage.chance(0.35) * wooded
    clumps = stage.noise(2.6, 4, 0.65)
    detail = stage.noise(9.0, 3, 0.8)
    _trunks(stage, wooded)
    height = (horizon[..., None, None] + 0.06 - stage.y) * 2.5
    reach = stage.roll(-0.3, 0.9)[..., None, None] + 2.0 * full[..., None, None]
    # Crowns thin out upwards, where the sky shows through, and end near the ground.
    cover = clumps * 0.9 + detail * 0.35 + reach - height.clamp(min=0) * (1 - full[..., None, None])
    crowns = (cover * 3).clamp(0, 1) * ((height + 0.5) * 3 + full[..., None, None] * 2).clamp(0, 1)
    crowns = crowns * wooded[..., None, None]
    color = _leaf_color(stage, season, (0.1, 0.42))
    lit = (1 + 0.45 * detail + 0.35 * clumps).clamp(min=0.15)
    stage.over(crowns, color[..., None, None] * lit)
    return full


def _trunks(stage: Stage, wooded: Tensor) -> None:
    for _ in range(3):
        x, wide, lean = stage.roll(-0.05, 1.05), stage.roll(0.012, 0.05), stage.roll(-0.1, 0.1)[..., None, None]
        mask = stage.span(stage.x + lean * stage.y, x, x + wide, 2 * EDGE) * (
            stage.y < stage.roll(0.7, 1.2)[..., None, None]
        )
        color = stage.hue(stage.roll(0.04, 0.1), stage.roll(0.04, 0.25), stage.roll(0.1, 0.5)) * stage.light
        stage.over(mask * (wooded * stage.chance(0.5))[..., None, None], color)


def _bokeh(
    stage: Stage, on: Tensor, count: int, color: Tensor, spread: tuple[float, float], band: tuple[float, float]
) -> None:
    """Discs of light, as a lens draws bright points that are out of focus; all of one size in one picture."""
    size = stage.roll(0.012, 0.05)
    for _ in range(count):
        x, y = stage.roll(-0.05, 1.05), stage.roll(*band)
        disc = stage.disc(x, y, size * stage.roll(0.8, 1.15), edge=0.018)
        light = color * (1 + stage.color(spread, (0.6, 0.95)))
        stage.canvas += disc * (light * on * stage.roll(0.15, 0.7))[..., None, None]


# ---------------------------------------------------------------------- street
def paint_street(stage: Stage) -> None:
    """Houses with windows on both sides of a road, cars, signs, and the lights of the evening."""
    night = stage.chance(0.3)
    day = 1 - 0.75 * night
    pale = torch.tensor([0.8, 0.9, 1.05], device=night.device)
    dusk = torch.tensor([0.12, 0.14, 0.3], device=night.device)
    sky = (pale * (1 - night) + dusk * night) * stage.level * stage.roll(0.8, 1.8)
    stage.canvas += sky[..., None, None] * (1.1 - 0.3 * stage.y)
    ground = stage.roll(0.62, 0.85)
    _houses(stage, ground, day, night, 0.05, 9.0)
    _houses(stage, ground, day, night, 0.25, 5.0)
    _road(stage, ground, day)
    _shops(stage, ground, night)
    _cars(stage, ground, day, night)
    stage.wash(1 + stage.noise(2.0, 2) * 0.08)
    stage.blur(0.009, 0.036)
    lamp = torch.tensor([1.0, 0.8, 0.5], device=night.device) * stage.level.clamp(min=0.1)
    _bokeh(stage, (night + stage.chance(0.3)).clamp(max=1), 10, lamp * stage.roll(0.6, 1.6), (0.0, 1.2), (0.3, 0.95))


def _houses(stage: Stage, ground: Tensor, day: Tensor, night: Tensor, low: float, pitch: float) -> None:
    """A row of facades. Each column of pixels belongs to one house, whose numbers are looked up."""
    count = 8
    numbers = uniform(stage.seed, 8 * count, DICE_STREAM + 3 + round(pitch)).view(-1, 8, count)
    width = numbers[:, 0] * 1.2 + 0.5
    ends = width.cumsum(1) / width.sum(1, keepdim=True) * stage.roll(1.1, 2.0) - stage.roll(0.0, 0.1)
    column = stage.x.view(1, -1)
    house = (column.unsqueeze(2) > ends.unsqueeze(1)).sum(2).clamp(max=count - 1)
    own = numbers.gather(2, house.unsqueeze(1).expand(-1, 8, -1)).unsqueeze(2)
    roof = own[:, 1:2] * 0.75 - 0.35 + low
    hue, value = own[:, 2:3] * 0.2 + (own[:, 2:3] > 0.8) * 0.35, own[:, 3:4] * 0.5 + 0.12
    turn = torch.cat([hue, hue + 2 / 3, hue + 1 / 3], dim=1).frac()
    full = ((turn - 0.5).abs() * 6 - 1).clamp(0, 1)
    facade = value * (1 - own[:, 4:5] * 0.5 * (1 - full)) * (stage.light * day)[..., None, None]
    u = stage.x * (pitch + 6 * own[:, 5:6]) + own[:, 0:1] * 7
    v = (stage.y - roof) * (pitch * 0.8 + 3 * own[:, 6:7])
    cell = (u.floor() * 5 + v.floor() * 31 + house.view(-1, 1, 1, CANVAS) * 11).long() % 256
    mood = uniform(stage.seed, 256, DICE_STREAM + 4).gather(1, cell.flatten(1)).view(cell.shape)
    edge = 0.14
    pane = ((0.30 - (u.frac() - 0.5).abs()) / edge + 0.5).clamp(0, 1)
    pane = pane * ((0.32 - (v.frac() - 0.5).abs()) / edge + 0.5).clamp(0, 1) * (v > 0.3)
    glass = torch.tensor([0.09, 0.11, 0.14], device=mood.device).view(1, 3, 1, 1) * (0.5 + 2.5 * mood)
    warm = torch.tensor([1.5, 1.0, 0.5], device=mood.device).view(1, 3, 1, 1) * (mood > 0.55) * (0.4 + mood)
    level = (stage.level * night)[..., None, None]
    glass = glass * (stage.light * day)[..., None, None] + warm * level
    mask = ((stage.y - roof) / (1.5 * EDGE) + 0.5).clamp(0, 1) * (stage.y < ground[..., None, None])
    stage.over(mask, facade + (glass - facade) * pane)


def _road(stage: Stage, ground: Tensor, day: Tensor) -> None:
    depth = ((stage.y - ground[..., None, None]) / EDGE + 0.5).clamp(0, 1).expand(-1, -1, -1, CANVAS)
    asphalt = stage.hue(stage.roll(0.5, 0.7), stage.roll(0.08, 0.35), stage.roll(0.0, 0.15)) * stage.light * day
    stage.over(depth, asphalt[..., None, None] * (1 + stage.noise(4.0, 3) * 0.08))
    curb = stage.span(stage.y, ground, ground + stage.roll(0.02, 0.06))
    stage.over(curb.expand(-1, -1, -1, CANVAS), asphalt * stage.roll(1.2, 1.9))


def _shops(stage: Stage, ground: Tensor, night: Tensor) -> None:
    """Shop windows, awnings and signs on the ground floor."""
    for _ in range(4):
        on = stage.chance(0.55)[..., None, None]
        x, wide, tall = stage.roll(-0.1, 0.95), stage.roll(0.12, 0.3), stage.roll(0.1, 0.2)
        glow = stage.hue(stage.roll(0.06, 0.14), stage.roll(0.2, 0.9), stage.roll(0.2, 0.6)) * stage.level
        stage.over(stage.box(x, ground - tall, x + wide, ground - 0.02) * on, glow * (0.5 + 1.2 * night))
        sign = stage.box(x - 0.01, ground - tall - 0.05, x + wide + 0.01, ground - tall)
        stage.over(sign * on, stage.color((0.2, 0.9), (0.3, 0.9)) * (stage.light * (1 - 0.6 * night)))


def _cars(stage: Stage, ground: Tensor, day: Tensor, night: Tensor) -> None:
    """Bodies, cabins, wheels and lights."""
    for _ in range(3):
        on = stage.chance(0.6)
        x, size = stage.roll(-0.15, 0.95), stage.roll(0.16, 0.34)
        base = ground + stage.roll(0.02, 0.14)
        color = stage.color((0.03, 0.8), (0.0, 0.85)) * stage.light * day
        cover = on[..., None, None]
        cabin = stage.disc(x + size * 0.5, base - size * 0.28, size * 0.33, edge=0.03, stretch=0.6)
        stage.over(cabin * cover, color * 0.25)
        stage.over(stage.box(x, base - size * 0.3, x + size, base, edge=0.035) * cover, color)
        for share in (0.22, 0.78):
            stage.over(stage.disc(x + size * share, base, size * 0.1) * cover, stage.light * 0.015)
        red, white = torch.tensor([2.0, 0.1, 0.06], device=on.device), torch.tensor([1.8, 1.7, 1.4], device=on.device)
        for place, lamp in ((0.04, red), (0.96, white)):
            disc = stage.disc(x + size * place, base - size * 0.18, size * 0.06, edge=0.025)
            stage.over(disc * (on * (0.35 + 0.65 * night))[..., None, None], lamp * stage.level)


PAINTERS: tuple[tuple[tuple[str, ...], Callable[[Stage], None]], ...] = (
    (("plain wall",), paint_wall),
    (("studio",), paint_studio),
    (("office", "home"), paint_room),
    (("outdoors",), paint_outdoors),
    (("street",), paint_street),
)
"""Who paints which of BACKGROUNDS."""
