"""Backgrounds: of the right kind, in the light of the scene, all different, and the same in any batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gazecourse.faces import background
from gazecourse.faces.attributes import BACKGROUNDS, Factors, luminance
from gazecourse.faces.domains import WILD

PER_KIND = 8
KINDS = torch.arange(len(BACKGROUNDS)).repeat_interleave(PER_KIND)


@pytest.fixture(scope="module")
def factors() -> Factors:
    """Eight scenes of each kind."""
    count = len(KINDS)
    return WILD.sample(range(count), people=count, seed=0, split="train").replace(background=KINDS)


@pytest.fixture(scope="module")
def drawn(factors: Factors) -> Tensor:
    return background.draw(factors, 64, 64)


def rows_of(name: str) -> Tensor:
    """Images of one kind."""
    return torch.arange(PER_KIND) + BACKGROUNDS.index(name) * PER_KIND


def brightness(light: Tensor) -> Tensor:
    return luminance(light.permute(0, 2, 3, 1)).mean((1, 2))


def test_backgrounds_are_light_of_the_wanted_size(factors, drawn):
    assert drawn.shape == (len(factors), 3, 64, 64)
    assert drawn.dtype == torch.float32
    assert bool(torch.isfinite(drawn).all())
    assert float(drawn.min()) >= 0
    assert bool((brightness(drawn) > 1e-3).all())


def test_no_two_backgrounds_are_alike_even_with_equal_factors(factors):
    """Only the seeds differ here; the mean color is taken out, so that what differs is the picture."""
    for name in BACKGROUNDS:
        rows = rows_of(name)
        same = factors[rows[:1].repeat(PER_KIND)].replace(seed=factors.seed[rows])
        scene = background.draw(same, 48, 48).log1p()
        scene = (scene - scene.mean((2, 3), keepdim=True)).flatten(1)
        distance = torch.cdist(scene, scene) / scene.shape[1] ** 0.5
        assert float(distance[~torch.eye(PER_KIND, dtype=torch.bool)].min()) > 0.003, name


@pytest.mark.parametrize(("height", "width"), [(64, 64), (36, 60), (45, 33)])
def test_a_background_is_the_same_alone_and_in_any_batch(factors, height, width):
    together = background.draw(factors, height, width)
    for rows in ([0], [20], [25], [35], [47], list(range(5, 44, 7)), [47, 3, 18, 19, 20]):
        assert torch.equal(background.draw(factors[rows], height, width), together[rows])


def test_the_same_factors_draw_the_same_background_at_any_size(factors, drawn):
    small = torch.nn.functional.interpolate(background.draw(factors, 192, 192), (64, 64), mode="area")
    difference = (small - drawn).abs().mean((1, 2, 3)) / drawn.mean((1, 2, 3))
    assert float(difference.max()) < 0.03


def test_other_factors_do_not_change_a_background(factors, drawn):
    other = factors.replace(age=50.0, glasses=1, exposure=3.0, noise=0.2, hat=1, defocus=0.1)
    assert torch.equal(background.draw(other, 64, 64), drawn)


def test_twice_the_light_gives_twice_the_background(factors):
    """Everything in the picture scales: walls with the light on them, skies and lamps with the scene's level."""
    some = factors.replace(light_color=0.15)
    names = ("light_color", "ambient_above", "ambient_below")
    doubled = some.replace(**{name: 2 * getattr(some, name) for name in names})
    lit, twice = background.draw(some, 32, 32), background.draw(doubled, 32, 32)
    assert torch.allclose(twice, 2 * lit, rtol=1e-3, atol=1e-4)


def test_the_color_of_the_light_falls_on_walls(factors):
    walls = factors[rows_of("plain wall")].replace(background_color=0.5, ambient_below=0.3)
    warm = walls.replace(ambient_above=torch.tensor([0.9, 0.6, 0.3]), light_color=torch.tensor([0.6, 0.4, 0.2]))
    cool = walls.replace(ambient_above=torch.tensor([0.3, 0.6, 0.9]), light_color=torch.tensor([0.2, 0.4, 0.6]))
    by_warm, by_cool = background.draw(warm, 32, 32).mean((2, 3)), background.draw(cool, 32, 32).mean((2, 3))
    assert bool((by_warm[:, 0] > 1.3 * by_cool[:, 0]).all())
    assert bool((by_warm[:, 2] < by_cool[:, 2] / 1.3).all())


def test_walls_and_studios_have_the_backgrounds_color(factors):
    walls = factors[rows_of("plain wall")].replace(light_color=0.5, ambient_above=0.5, ambient_below=0.5)
    red = background.draw(walls.replace(background_color=torch.tensor([0.6, 0.2, 0.2])), 32, 32).mean((0, 2, 3))
    blue = background.draw(walls.replace(background_color=torch.tensor([0.2, 0.2, 0.6])), 32, 32).mean((0, 2, 3))
    assert float(red[0] / red[2]) > 2
    assert float(blue[2] / blue[0]) > 2


def test_walls_are_brighter_towards_the_light(factors):
    walls = factors[rows_of("plain wall")].replace(light_color=1.0)
    from_left = walls.replace(light_direction=torch.tensor([-0.8, 0.0, -0.6]))
    from_right = walls.replace(light_direction=torch.tensor([0.8, 0.0, -0.6]))
    left, right = background.draw(from_left, 32, 32), background.draw(from_right, 32, 32)
    gain = (left / right).mean((1, 2))
    assert bool((gain[:, :8].mean(1) > gain[:, -8:].mean(1)).all())


def test_the_wall_light_adds_all_lights_and_ignores_those_behind_the_wall(factors):
    one = factors[:1].replace(ambient_above=0.4, ambient_below=0.2, light_color=0.0)
    assert torch.allclose(background.wall_light(one), torch.full((1, 3), 0.3), atol=1e-6)
    lit = one.replace(light_color=1.0, light_direction=torch.tensor([0.0, 0.0, -1.0]))
    behind = one.replace(light_color=1.0, light_direction=torch.tensor([0.0, 0.0, 1.0]))
    assert torch.allclose(background.wall_light(lit), torch.full((1, 3), 0.3 + 3 * 0.6), atol=1e-5)
    assert torch.allclose(background.wall_light(behind), torch.full((1, 3), 0.3 + 3 * 0.15), atol=1e-5)


def test_skies_are_above_and_walls_are_even(drawn):
    """Outdoors the upper part is brighter and bluer than the lower in most pictures; plain walls vary least."""
    outdoors = drawn[rows_of("outdoors")]
    top, bottom = outdoors[:, :, :12].mean((2, 3)), outdoors[:, :, -12:].mean((2, 3))
    assert float((luminance(top) > luminance(bottom)).float().mean()) >= 0.6
    assert float((top[:, 2] / top[:, 1]).mean()) > float((bottom[:, 2] / bottom[:, 1]).mean())
    contrast = (drawn.std((2, 3)) / drawn.mean((2, 3))).mean(1)
    busy = [float(contrast[rows_of(name)].mean()) for name in ("office", "home", "outdoors", "street")]
    assert float(contrast[rows_of("plain wall")].mean()) < min(busy)


def test_skies_grow_bluer_from_the_horizon_upwards(factors):
    stage = background.Stage(background.Setting.of(factors, (64, 64)))
    background._sky(stage, torch.full_like(stage.level, 0.5))
    top, low = stage.canvas[:, :, :6].mean((0, 2, 3)), stage.canvas[:, :, 26:32].mean((0, 2, 3))
    assert float(top[2] / top[0]) > 1.2 * float(low[2] / low[0])


def test_every_kind_has_a_painter():
    named = [name for names, _ in background.PAINTERS for name in names]
    assert sorted(named) == sorted(BACKGROUNDS)


def test_pure_hues_are_the_primary_colors():
    hue = torch.tensor([0.0, 1 / 3, 2 / 3, 1.0, 0.5]).view(-1, 1)
    color = background.hue_color(hue, torch.tensor(1.0), torch.tensor(1.0))
    expected = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 1]]).float()
    assert torch.allclose(color, expected, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "name"), [(0, 64, "height"), (64, -1, "width"), (64, "64", "width")])
def test_bad_sizes_are_named(factors, height, width, name):
    with pytest.raises((TypeError, ValueError), match=name):
        background.draw(factors, height, width)
