"""Augmented samples keep true labels: checked on numbers, and on faces that are rendered and their mirror images."""

import math
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecourse.angles import pitchyaw_to_rotation
from gazecourse.augment import (
    MIRRORED,
    MIRRORED_29,
    MIRRORED_68,
    MIRRORED_98,
    covered,
    mirror,
    randomly_blurred,
    randomly_lit,
    randomly_mirrored,
    shaken_landmarks,
    warped,
)
from gazecourse.faces import attributes
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.renderer import Renderer
from gazecourse.sample import Sample

SIZE = 64


def numbers(count=3, width=6, seed=0, landmarks=68, **changes):
    """A batch of noise in which every label is there."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(count, *shape, generator=generator)

    labels = {
        "image": torch.randint(0, 256, (count, 3, 5, width), generator=generator, dtype=torch.uint8),
        "gaze": rand(2) - 0.5,
        "head": rand(2) - 0.5,
        "landmarks": rand(landmarks, 2) * width,
        "face_center": rand(3) * 100 + 400,
        "screen": rand(2) * 200,
        "person": torch.arange(count),
        "domain": ["laptop"] * count,
        "factors": {"age": torch.arange(count)},
    }
    return Sample(**{**labels, **changes})


def assert_same(one, other, but=()):
    for name in (f.name for f in fields(Sample) if f.name not in but):
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, torch.Tensor):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=0, msg=name)
        elif name == "factors":
            assert a.keys() == b.keys()
            assert all(torch.equal(a[key], b[key]) for key in a)
        else:
            assert a == b, name


# ---------------------------------------------------------------------- mirror, by the numbers


@settings(max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=5), st.integers(1, 9), st.integers(0, 99))
def test_mirroring_the_same_faces_twice_gives_them_back(which, width, seed):
    batch, mask = numbers(len(which), width, seed, screen=None), torch.tensor(which)
    assert_same(mirror(mirror(batch, mask), mask), batch)


def test_mirror_turns_every_label_around():
    batch = numbers()
    mirrored = mirror(batch)
    assert torch.equal(mirrored.image[1, :, 2], batch.image[1, :, 2, [5, 4, 3, 2, 1, 0]])
    for name, signs in (("gaze", (1, -1)), ("head", (1, -1)), ("face_center", (-1, 1, 1))):
        assert torch.equal(getattr(mirrored, name), getattr(batch, name) * torch.tensor(signs)), name
    assert torch.equal(mirrored.landmarks[..., 1], batch.landmarks[:, MIRRORED_68, 1])
    torch.testing.assert_close(mirrored.landmarks[..., 0], 6 - batch.landmarks[:, MIRRORED_68, 0])
    assert mirrored.screen is None
    assert_same(mirrored, batch, but=("image", "gaze", "head", "face_center", "landmarks", "screen"))


def test_the_original_is_left_as_it_was():
    batch = numbers()
    mirror(batch)
    randomly_mirrored(batch)
    shaken_landmarks(batch)
    assert_same(batch, numbers())


def test_labels_that_are_missing_stay_missing():
    mirrored = mirror(bare())
    assert (mirrored.head, mirrored.landmarks, mirrored.face_center, mirrored.screen) == (None,) * 4


def bare():
    return Sample(image=torch.zeros(2, 3, 4, 4, dtype=torch.uint8), gaze=torch.zeros(2, 2))


def test_a_mask_mirrors_some_faces_and_leaves_the_others_alone():
    batch, mask = numbers(4), torch.tensor([False, True, True, False])
    some, everything = mirror(batch, mask), mirror(batch)
    for name in ("image", "gaze", "head", "landmarks", "face_center"):
        expected = getattr(batch, name).clone()
        expected[mask] = getattr(everything, name)[mask]
        assert torch.equal(getattr(some, name), expected), name


def test_mirrored_order_exchanges_pairs_and_keeps_what_lies_in_the_middle():
    order = torch.tensor(MIRRORED_68)
    assert sorted(MIRRORED_68) == list(range(68))
    assert torch.equal(order[order], torch.arange(68))
    middle = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]  # chin, bridge and tip of the nose, lips
    assert (order == torch.arange(68)).nonzero().flatten().tolist() == middle


def test_six_landmarks_exchange_outer_with_outer_and_inner_with_inner_corners():
    """MPIIFaceGaze's order: right eye's outer and inner corner, left eye's inner and outer, mouth's right and left."""
    face = torch.tensor([[1.0, 2.0], [2.0, 3.0], [4.0, 3.5], [5.5, 2.5], [2.5, 6.0], [4.5, 6.5]])
    batch = numbers(1, width=8, landmarks=6)
    batch.landmarks = face[None]
    expected = torch.tensor([[2.5, 2.5], [4.0, 3.5], [6.0, 3.0], [7.0, 2.0], [3.5, 6.5], [5.5, 6.0]])
    assert torch.equal(mirror(batch).landmarks[0], expected)


def test_two_landmarks_exchange_the_eyes():
    batch = numbers(1, width=8, landmarks=2)
    batch.landmarks = torch.tensor([[[2.0, 3.0], [5.5, 2.5]]])
    assert torch.equal(mirror(batch).landmarks[0], torch.tensor([[2.5, 2.5], [6.0, 3.0]]))


def test_every_part_of_the_face_stays_a_part_of_its_kind():
    parts = [range(17), range(17, 27), range(27, 31), range(31, 36), range(36, 48), range(48, 60), range(60, 68)]
    assert all({MIRRORED_68[point] for point in part} == set(part) for part in parts)
    assert {MIRRORED_68[point] for point in range(36, 42)} == set(range(42, 48)), "right eye and left eye"


@pytest.mark.parametrize("points", [29, 98])
def test_orders_of_the_real_data_sets_exchange_pairs(points):
    order = torch.tensor(MIRRORED[points])
    assert sorted(MIRRORED[points]) == list(range(points))
    assert torch.equal(order[order], torch.arange(points))


def test_wflw_keeps_its_middle_and_its_parts():
    """Chin, bridge and tip of the nose, middles of the lips; jaw, brows, eyes with pupils, outer and inner lips."""
    middle = [16, 51, 52, 53, 54, 57, 79, 85, 90, 94]
    assert [point for point in range(98) if MIRRORED_98[point] == point] == middle
    right_brow, left_brow, right_eye, left_eye = range(33, 42), range(42, 51), range(60, 68), range(68, 76)
    parts = [range(33), range(51, 60), range(76, 88), range(88, 96)]
    assert all({MIRRORED_98[point] for point in part} == set(part) for part in parts)
    assert {MIRRORED_98[point] for point in right_brow} == set(left_brow)
    assert {MIRRORED_98[point] for point in right_eye} == set(left_eye)
    assert (MIRRORED_98[60], MIRRORED_98[64], MIRRORED_98[96]) == (72, 68, 97), "outer and inner corners, pupils"


def test_cofw_keeps_its_middle_and_exchanges_the_corners_of_the_eyes():
    middle = [20, 21, 24, 25, 26, 27, 28]  # nose, lips, chin
    assert [point for point in range(29) if MIRRORED_29[point] == point] == middle
    assert (MIRRORED_29[8], MIRRORED_29[10], MIRRORED_29[16], MIRRORED_29[22]) == (9, 11, 17, 23)


def test_one_half_of_the_faces_is_mirrored_at_random_and_each_of_them_as_a_whole():
    torch.manual_seed(0)
    batch = numbers(400)
    changed, everything = randomly_mirrored(batch), mirror(batch)
    was_mirrored = changed.gaze[:, 1] != batch.gaze[:, 1]
    assert 0.4 < was_mirrored.float().mean() < 0.6
    assert_same(changed, mirror(batch, was_mirrored))
    assert torch.equal(changed.image[was_mirrored], everything.image[was_mirrored])
    assert torch.equal(changed.image[~was_mirrored], batch.image[~was_mirrored])
    assert not torch.equal(randomly_mirrored(batch).gaze, changed.gaze), "others the next time"


def test_light_from_the_left_comes_from_the_right_in_the_mirror():
    """0 front, 1 left of the picture, 2 right, 3 above, 4 below: the true class, or none."""
    words = attributes.NAMED["light from"].words
    assert [words.index(f"light from the {side}") for side in ("left", "right")] == [1, 2]
    batch = numbers(5, factors={"light from": torch.tensor([0, 1, 2, 3, 4])})
    mirrored = mirror(batch, torch.tensor([True, True, True, True, True])).factors.get("light from")
    assert mirrored is None or mirrored.tolist() == [0, 2, 1, 3, 4]


# ---------------------------------------------------------------------- warps and covers


def spot(x, y, side=40):
    """One image with a bright pixel whose middle is a landmark."""
    image = torch.zeros(1, 3, side, side, dtype=torch.uint8)
    image[0, :, y, x] = 250
    return Sample(image, landmarks=torch.tensor([[[x + 0.5, y + 0.5]]]), person=torch.tensor([7]), domain=["studio"])


def brightest(batch):
    """(x, y) of the middle of the brightest pixel."""
    place = int(batch.image[0, 0].flatten().argmax())
    side = batch.image.shape[-1]
    return [place % side + 0.5, place // side + 0.5]


@pytest.mark.parametrize(
    ("degrees", "scale", "shift", "expected"),
    [
        (0.0, 1.0, (0.0, 0.0), (30.5, 12.5)),
        (90.0, 1.0, (0.0, 0.0), (27.5, 30.5)),  # x towards y: (10.5, −7.5) from the middle becomes (7.5, 10.5)
        (180.0, 1.0, (0.0, 0.0), (9.5, 27.5)),
        (0.0, 1.0, (4.0, -3.0), (34.5, 9.5)),
        (90.0, 1.0, (2.0, 1.0), (29.5, 31.5)),  # turned first, then moved
        (0.0, 0.5, (0.0, 0.0), (25.25, 16.25)),
    ],
)
def test_warp_moves_a_landmark_as_computed_by_hand_and_the_pixel_with_it(degrees, scale, shift, expected):
    angle = torch.deg2rad(torch.tensor([degrees]))
    moved = warped(spot(30, 12), angle, torch.tensor([scale]), torch.tensor([shift]))
    torch.testing.assert_close(moved.landmarks[0, 0], torch.tensor(expected), atol=1e-4, rtol=0)
    if scale == 1:  # at half the size a single pixel is nearly lost
        assert brightest(moved) == list(expected)


@given(st.floats(-3, 3), st.floats(0.7, 1.5), st.floats(-4, 4), st.floats(-4, 4))
def test_bright_spots_stay_under_their_landmarks(angle, scale, x, y):
    image = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    image[0, :, 28:32, 34:38] = 250
    batch = Sample(image, landmarks=torch.tensor([[[36.0, 30.0]]]))
    moved = warped(batch, torch.tensor([angle]), torch.tensor([scale]), torch.tensor([[x, y]]))
    brightness = moved.image[0, 0].float()
    grid = torch.arange(64) + 0.5
    center = torch.stack([(brightness.sum(0) * grid).sum(), (brightness.sum(1) * grid).sum()]) / brightness.sum()
    torch.testing.assert_close(center, moved.landmarks[0, 0], atol=0.15, rtol=0)


def test_each_face_of_a_batch_has_its_own_warp():
    one, other = spot(30, 12), spot(5, 9)
    both = Sample(torch.cat([one.image, other.image]), landmarks=torch.cat([one.landmarks, other.landmarks]))
    angle, scale, shift = torch.tensor([0.3, -0.5]), torch.tensor([1.1, 0.9]), torch.tensor([[1.0, 2.0], [-3.0, 0.5]])
    together = warped(both, angle, scale, shift)
    for row, single in enumerate((one, other)):
        alone = warped(single, angle[row : row + 1], scale[row : row + 1], shift[row : row + 1])
        assert torch.equal(together.image[row], alone.image[0])
        torch.testing.assert_close(together.landmarks[row], alone.landmarks[0])


def test_what_a_warp_would_make_wrong_is_dropped_and_who_it_is_stays():
    batch = numbers(2)
    moved = warped(batch, torch.zeros(2), torch.ones(2), torch.zeros(2, 2))
    assert moved.gaze is None
    assert moved.head is None
    assert moved.face_center is None
    assert moved.screen is None
    assert moved.factors == {}
    assert torch.equal(moved.person, batch.person)
    assert torch.equal(moved.image, batch.image)
    torch.testing.assert_close(moved.landmarks, batch.landmarks)


def test_beyond_the_old_image_its_edge_is_repeated():
    image = torch.full((1, 3, 8, 8), 200, dtype=torch.uint8)
    moved = warped(Sample(image), torch.tensor([0.5]), torch.tensor([0.5]), torch.tensor([[3.0, 0.0]]))
    assert (moved.image == 200).all()


def test_a_cover_hides_the_pixels_between_its_corners_in_the_chosen_faces_alone():
    image = torch.zeros(2, 3, 6, 8, dtype=torch.uint8)
    batch = Sample(image, landmarks=torch.rand(2, 5, 2))
    low, high = torch.tensor([[1.0, 2.0], [1.0, 2.0]]), torch.tensor([[4.0, 5.0], [4.0, 5.0]])
    color = torch.tensor([[9, 8, 7], [9, 8, 7]], dtype=torch.uint8)
    hidden = covered(batch, torch.tensor([True, False]), low, high, color)
    expected = torch.zeros(3, 6, 8, dtype=torch.uint8)
    expected[:, 2:5, 1:4] = torch.tensor([9, 8, 7], dtype=torch.uint8).view(3, 1, 1)
    assert torch.equal(hidden.image[0], expected)
    assert torch.equal(hidden.image[1], image[1])
    assert torch.equal(hidden.landmarks, batch.landmarks)
    assert (batch.image == 0).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: warped(numbers(3), torch.zeros(2), torch.ones(3), torch.zeros(3, 2)),
            ValueError,
            r"angle must .*\[3\]",
        ),
        (
            lambda: warped(numbers(3), torch.zeros(3), torch.zeros(3), torch.zeros(3, 2)),
            ValueError,
            "scale must be above",
        ),
        (
            lambda: warped(numbers(3), torch.zeros(3), torch.ones(3), torch.zeros(3)),
            ValueError,
            r"shift must .*\[3, 2\]",
        ),
    ],
)
def test_bad_warps_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mirror(numbers(3), torch.ones(2, dtype=torch.bool)), ValueError, r"which must be bool \[3\]; got .*2"),
        (lambda: mirror(numbers(3), torch.tensor([0, 1, 1])), ValueError, r"which must be bool \[3\]; got .*int64"),
        (lambda: mirror(numbers(3), torch.ones(3, 1) > 0), ValueError, r"which must be bool \[3\]"),
        (
            lambda: mirror(numbers(landmarks=5)),
            ValueError,
            r"landmarks must be \[B, N, 2\], N one of 2, 6, 29, 68, 98, whose mirrored order",
        ),
        (lambda: shaken_landmarks(bare()), ValueError, r"batch must have landmarks \[B, N, 2\]; it has None"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mirror(numbers(3), [True, False, True]), "which must be bool"),
        (lambda: mirror(Sample(torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(2))), "batch must"),
    ],
    ids=["a list for which", "one sample instead of a batch"],
)
def test_usual_mistakes_are_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


# ---------------------------------------------------------------------- shaken landmarks


def test_landmarks_of_a_face_move_together_and_those_of_others_elsewhere():
    torch.manual_seed(0)
    batch = numbers(2000)
    moved = shaken_landmarks(batch, 1.5)
    offset = moved.landmarks - batch.landmarks
    assert (offset - offset[:, :1]).abs().max() < 1e-5, "one offset for all 68"
    each = offset[:, 0]
    assert each.mean(0).tolist() == pytest.approx([0, 0], abs=5 * 1.5 / 2000**0.5)
    assert each.std(0).tolist() == pytest.approx([1.5, 1.5], rel=5 / 4000**0.5)
    assert torch.corrcoef(each.T)[0, 1].abs() < 0.12
    assert_same(moved, batch, but=("landmarks",))


# ---------------------------------------------------------------------- blur


def test_light_changes_half_of_the_faces_by_one_power_and_factor_each_and_nothing_else():
    torch.manual_seed(0)
    ramp = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    batch = replace(numbers(200), image=ramp.repeat(200, 1, 1, 1))
    lit = randomly_lit(batch)
    assert_same(lit, batch, but=("image",))
    assert lit.image.dtype == torch.uint8
    assert torch.equal(lit.image[:, 0], lit.image[:, 2]), "all colors alike"
    curves = lit.image[:, 0, 0].double() / 255
    changed = (lit.image != batch.image).flatten(1).any(1)
    assert 70 < int(changed.sum()) < 130
    dark = curves[changed & (curves[:, 255] < 1)]
    gain = dark[:, 255]
    assert float(gain.min()) > 0.29
    assert float(gain.min()) < 0.36
    gamma = (dark[:, 128] / gain).log() / math.log(128 / 255)
    assert 0.68 < float(gamma.min()) < 0.8
    assert 1.25 < float(gamma.max()) < 1.42
    expected = gain[:, None] * (torch.arange(256).double() / 255) ** gamma[:, None]
    torch.testing.assert_close(dark, expected, atol=0.02, rtol=0)
    assert bool((curves[changed][:, 255] == 1).any()), "some are brighter"


def test_as_many_faces_lose_half_of_their_light_as_a_half_of_the_rest():
    """Gains are drawn evenly in their logarithm: from 0.3 to 0.6 is as far as from 0.6 to 1.2."""
    torch.manual_seed(0)
    white = Sample(torch.full((4000, 3, 1, 1), 255, dtype=torch.uint8))
    gain = randomly_lit(white, gamma=(1.0, 1.0)).image[:, 0, 0, 0].double() / 255
    # A quarter of all: half of the faces are lit, and half of these are below the middle.
    assert float((gain < 0.6).double().mean()) == pytest.approx(0.25, abs=0.02)


def test_half_of_the_faces_are_blurred_up_to_the_limit_and_nothing_else_changes():
    torch.manual_seed(0)
    batch = numbers(400)
    edge = torch.zeros(400, 3, 32, 32, dtype=torch.uint8)
    edge[..., 16:] = 255
    batch = replace(batch, image=edge)
    blurred = randomly_blurred(batch, 0.1)
    assert blurred.image.dtype == torch.uint8
    assert_same(blurred, batch, but=("image",))
    row = blurred.image[:, 0, 16].float() / 255
    same = (blurred.image == batch.image).flatten(1).all(1)
    assert 0.4 < same.float().mean() < 0.62
    # A blurred edge is the normal distribution's: the gray outside it grows with sigma, and is the same on both sides.
    spread = 2 * row[:, :16].sum(1) / (2 / torch.pi) ** 0.5
    torch.testing.assert_close(row[:, :16].sum(1), (1 - row[:, 16:]).sum(1), atol=0.1, rtol=0)
    assert spread.max() < 3.4, "3.2 pixels are a tenth of the width"
    assert spread.max() > 2.6
    assert (spread[~same] < 1.6).float().mean() == pytest.approx(0.5, abs=0.15)


def test_blur_makes_a_face_neither_darker_nor_brighter():
    torch.manual_seed(0)
    gray = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(256, 3, 16, 16)
    batch = replace(numbers(256), image=gray)
    assert torch.equal(randomly_blurred(batch, 0.1).image, gray)


# ---------------------------------------------------------------------- mirror, on faces


@pytest.fixture(scope="module")
def renderer():
    return Renderer(SIZE, "cpu")


def plain(yaw=0.0, sideways=0.0):
    """One average, symmetric face in even light, turned by ``yaw``, that looks at a point ``sideways``, mm."""
    factors = DOMAINS["studio"].sample([0], people=1, seed=7, split="test")
    light, towards = torch.zeros_like(factors.light_color), torch.zeros_like(factors.light_direction)
    light[:, 0], towards[:, :, 2] = 1.0, -1.0
    fixed = {
        "camera": torch.tensor([[720 / 224, 0, 0.5], [0, 720 / 224, 0.5], [0, 0, 1]]),
        "identity": torch.zeros_like(factors.identity),
        "head_rotation": pitchyaw_to_rotation(torch.tensor([0.05, yaw])),
        "head_position": torch.tensor([0.0, 0.0, 600.0]), "target": torch.tensor([sideways, 100.0, 0.0]),
        "normalization": torch.eye(3), "neck": 0.0, "glasses": 0, "hat": 0, "occluder": 0,
        "expression": 0, "blink": 0.0, "hair_style": 0, "beard": 0, "noise": 0.0, "motion": 0.0, "defocus": 0.0,
        "resolution": 1.0, "compression": 100.0, "exposure": 1.0, "light_color": light, "light_direction": towards,
        "ambient_above": 0.3, "ambient_below": 0.3, "skin_tone": 0.3, "makeup": 0.0, "background": 0,
    }  # fmt: skip
    return factors.replace(**fixed)


@pytest.fixture(scope="module")
def drawn(renderer):
    """Makes samples; the same face again is not rendered again."""
    known = {}

    def draw(yaw, sideways):
        if (yaw, sideways) not in known:
            images, labels = renderer.render(plain(yaw, sideways))
            known[yaw, sideways] = Sample(
                image=(images * 255).round().to(torch.uint8),
                gaze=labels["gaze"],
                head=labels["head"],
                landmarks=labels["landmarks"],
                face_center=labels["face_center"],
            )
        return known[yaw, sideways]

    return draw


@pytest.mark.parametrize(("yaw", "sideways"), [(0.0, 0.0), (0.4, 0.0), (0.4, -200.0), (0.0, 250.0)])
def test_the_mirror_image_of_a_face_has_the_labels_of_the_face_that_it_shows(drawn, yaw, sideways):
    """Turned right and looking right, mirrored, is what the renderer draws and labels as turned and looking left."""
    mirrored, rendered = mirror(drawn(yaw, sideways)), drawn(-yaw, -sideways)
    torch.testing.assert_close(mirrored.gaze, rendered.gaze, atol=2e-3, rtol=0)
    torch.testing.assert_close(mirrored.head, rendered.head, atol=1e-5, rtol=0)
    off = (mirrored.landmarks - rendered.landmarks).norm(dim=-1)
    assert off.max() < 0.6, f"landmark {off.argmax()} is {off.max():.1f} pixels from where it should be"
    difference = (mirrored.image.float() - rendered.image.float()).abs().mean()
    assert difference < 6, f"pictures differ by {difference:.1f} gray levels"
    if yaw:
        unmirrored = (drawn(yaw, sideways).image.float() - rendered.image.float()).abs().mean()
        assert unmirrored > 2 * difference


def pixels_at(sample, points):
    """Colors [N, 3] at places of the first image, between pixels interpolated."""
    place = (points / SIZE * 2 - 1).view(1, 1, -1, 2)
    return torch.nn.functional.grid_sample(sample.float_image(), place, align_corners=False)[0, :, 0].T


def test_each_mirrored_landmark_lies_on_the_pixels_of_its_counterpart(drawn):
    sample = drawn(0.4, -200.0)
    mirrored = mirror(sample)
    there, here = pixels_at(sample, sample.landmarks[0]), pixels_at(mirrored, mirrored.landmarks[0])
    torch.testing.assert_close(here, there[MIRRORED_68], atol=1e-4, rtol=0)
    assert (here - there).abs().max() > 0.1, "which is another place for landmarks that are not in the middle"


def test_the_persons_left_eye_corner_is_where_the_pixel_of_the_right_one_went(drawn):
    """The right corner's surroundings, turned around, are found about the left corner of the mirror image."""
    sample = drawn(0.4, -200.0)
    mirrored = mirror(sample)
    for right, left in ((36, 45), (39, 42)):
        x, y = sample.landmarks[0, right].round().int().tolist()  # the corner between two pixels
        there = sample.image[0, :, y - 3 : y + 3, x - 3 : x + 3]
        x, y = mirrored.landmarks[0, left].round().int().tolist()
        here = mirrored.image[0, :, y - 3 : y + 3, x - 3 : x + 3]
        assert torch.equal(here, there.flip(2))


def test_in_the_mirror_the_persons_right_eye_is_still_on_the_left_of_the_picture(drawn):
    for sample in (drawn(0.4, -200.0), mirror(drawn(0.4, -200.0))):
        right, left = sample.landmarks[0, 36:42, 0], sample.landmarks[0, 42:48, 0]
        assert right.max() < left.min()
        assert sample.landmarks[0, :17, 0].diff().min() > -1, "the jaw runs from the picture's left to its right"
