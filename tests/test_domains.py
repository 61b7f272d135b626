"""The four domains: geometry that holds together, people that stay themselves, pictures that depend on their name."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gazecourse.angles import pitchyaw_to_vector, rotation_to_pitchyaw, vector_to_pitchyaw
from gazecourse.faces import domains, lighting, scenes
from gazecourse.faces.attributes import BEARDS, GLASSES, HAIR_COLORS, HAIR_STYLES, HATS, OCCLUDERS, Factors, main_light
from gazecourse.faces.domains import DOMAINS, LAB, LAPTOP, STUDIO, WILD, Domain
from gazecourse.faces.draws import Draws, name_seeds, weights
from gazecourse.faces.head import identity_names
from gazecourse.faces.people import ASYMMETRY_SPREAD, SHAPE_SPREAD, sample_people
from gazecourse.faces.statistics import PUBLISHED, label_statistics
from gazecourse.normalization import normalize

PERSON_FACTORS = (
    "person", "identity", "age", "male", "weight", "ancestry", "skin_tone", "undertone", "skin_detail", "hair_color",
    "hair_style", "hair_length", "hair_fringe", "beard", "brow_thickness", "eye_color", "iris_radius",
    "glasses_color", "glasses_shape", "makeup_color",
)  # fmt: skip
each_domain = pytest.mark.parametrize("domain", DOMAINS.values(), ids=list(DOMAINS))


def draw(domain: Domain, indices=range(600), people=60, seed=0, split="train") -> Factors:
    return domain.sample(indices, people=people, seed=seed, split=split)


def differing(a: Factors, b: Factors) -> list[str]:
    """Names of the factors that are not the same to the last bit."""
    pairs = zip(a.items(), b.items(), strict=True)
    return [name for (name, x), (_, y) in pairs if x.numpy().tobytes() != y.numpy().tobytes()]


def eye_in_head(factors: Factors) -> torch.Tensor:
    """Degrees (pitch, yaw) of the gaze in the head's frame, from the factors alone."""
    gaze = (factors.target - factors.head_position).double()
    return torch.rad2deg(vector_to_pitchyaw((factors.head_rotation.double().mT @ gaze.unsqueeze(-1)).squeeze(-1)))


# ------------------------------------------------------------------ what a set is


@each_domain
def test_every_domain_draws_factors_that_the_renderer_accepts(domain):
    factors = draw(domain).check()
    assert len(factors) == 600
    assert {value.dtype for _, value in factors.items()} == {torch.float32, torch.int64}
    assert factors.identity.shape == (600, len(identity_names()))


@each_domain
def test_an_image_is_the_same_alone_in_any_order_and_among_any_others(domain):
    whole = draw(domain, range(300))
    shuffled = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    assert differing(draw(domain, shuffled), whole[shuffled]) == []
    assert differing(draw(domain, [217]), whole[217]) == []
    assert differing(draw(domain, range(101, 164)), whole[101:164]) == []


@each_domain
def test_seed_split_and_number_of_people_change_the_pictures(domain):
    first = draw(domain, range(40))
    assert differing(first, draw(domain, range(40))) == []
    for change in ({"seed": 1}, {"split": "test"}, {"people": 61}):
        other = draw(domain, range(40), **change)
        assert (other.target != first.target).any(1).all(), change
        assert not set(other.seed.tolist()) & set(first.seed.tolist()), change


def test_drawing_neither_reads_nor_changes_the_global_random_state():
    torch.manual_seed(3)
    before, first = torch.get_rng_state(), draw(WILD, range(8))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert differing(draw(WILD, range(8)), first) == []


def test_pixel_seeds_are_all_different_and_not_negative():
    seeds = torch.cat([draw(domain, range(2000), split=s).seed for domain in DOMAINS.values() for s in domains.SPLITS])
    assert len(seeds.unique()) == len(seeds)
    assert int(seeds.min()) >= 0


# ------------------------------------------------------------------ people


@each_domain
def test_image_i_shows_person_i_modulo_people(domain):
    person = draw(domain, range(25), people=7).person
    assert torch.equal(person - person.min(), torch.arange(25) % 7)
    assert torch.equal(person, domain.person_numbers(range(25), people=7, split="train"))


@each_domain
def test_a_person_is_the_same_in_all_pictures_and_differs_from_all_others(domain):
    factors = draw(domain, range(60), people=20)
    for name in PERSON_FACTORS:
        value = getattr(factors, name)
        assert torch.equal(value[:20], value[20:40]), name
        assert torch.equal(value[:20], value[40:]), name
    assert len(factors.identity.unique(dim=0)) == 20
    pictures = [factors.target, factors.light_color.flatten(1), factors.exposure[:, None], factors.blink[:, None]]
    assert all(len(value.unique(dim=0)) == 60 for value in pictures)


def test_nobody_is_in_two_splits_or_two_domains():
    sets = [draw(d, range(30), people=30, split=s) for d in DOMAINS.values() for s in domains.SPLITS]
    everyone = Factors.concatenate(sets)
    assert len(everyone.person.unique()) == len(everyone) == 240
    assert len(everyone.identity.unique(dim=0)) == 240


@pytest.fixture(scope="module")
def crowd():
    return sample_people([f"person {number}" for number in range(4000)])


def test_shapes_are_spread_as_documented_and_never_beyond_the_artists_extremes(crowd):
    shape = crowd.looks["identity"]
    uneven = torch.tensor([name.startswith("asym") for name in identity_names()])
    assert uneven.any()
    assert shape[:, ~uneven].std().item() == pytest.approx(SHAPE_SPREAD, rel=0.03)
    assert shape[:, uneven].std().item() == pytest.approx(ASYMMETRY_SPREAD, rel=0.03)
    assert shape.abs().max() <= 1
    correlation = torch.corrcoef(shape.T) - torch.eye(shape.shape[1])
    assert correlation.abs().max() < 0.1


def test_looks_that_go_together_in_life_go_together_here(crowd):
    looks = crowd.looks
    man = looks["male"] > 0

    def share(event, among):
        return event[among].double().mean().item()

    assert 0.45 < man.double().mean() < 0.55
    assert (looks["male"].abs() > 0.3).all()
    assert 18 <= looks["age"].min() < 19
    assert 74 < looks["age"].max() <= 75
    assert torch.allclose(looks["ancestry"].sum(1), torch.ones(len(man), dtype=torch.float64))
    assert torch.corrcoef(torch.stack([looks["skin_tone"], looks["ancestry"][:, 0]]))[0, 1] > 0.75
    assert not (looks["beard"][~man] != BEARDS.index("none")).any()
    assert share(looks["beard"] != BEARDS.index("none"), man) > 0.4
    gray = looks["hair_color"] >= HAIR_COLORS.index("gray")
    assert share(gray, looks["age"] < 40) < 0.1
    assert share(gray, looks["age"] > 62) > 0.5
    long = looks["hair_style"] == HAIR_STYLES.index("long")
    assert share(long, ~man) > 3 * share(long, man) > 0
    assert share(crowd.makeup > 0.2, ~man) > 0.4
    assert share(crowd.makeup > 0.2, man) < 0.05
    blue = looks["eye_color"] == 4
    assert share(blue, looks["ancestry"][:, 2] > 0.7) > 0.1
    assert share(blue, looks["ancestry"][:, 2] < 0.3) < 0.03
    assert 0.25 < share(crowd.frames > 0, man | ~man) < 0.36


def test_what_people_wear_belongs_to_their_domain():
    everything = {name: draw(domain, range(4000), people=400) for name, domain in DOMAINS.items()}
    for name, factors in everything.items():
        sunglasses = (factors.glasses == GLASSES.index("sunglasses")).double().mean()
        hats = (factors.hat > 0).double().mean()
        occluded = (factors.occluder != OCCLUDERS.index("none")).double().mean()
        assert 0.02 < occluded < 0.09, name
        assert (factors.blink < 0.45).all()
        assert torch.quantile(factors.blink, 0.9) < 0.25
        if name == "wild":
            assert 0.04 < sunglasses < 0.12
            assert 0.1 < hats < 0.22
            assert 0 < (factors.hat == HATS.index("helmet")).double().mean() < 0.03
        else:
            assert sunglasses == 0, name
            assert hats < 0.05, name
    studio, wild = everything["studio"], everything["wild"]
    tinted = wild.glasses_tint > 0.3
    assert torch.equal(tinted, wild.glasses == GLASSES.index("sunglasses"))
    assert studio.resolution.min() == 1
    assert wild.resolution.mean() < 0.8
    assert everything["lab"].resolution.max() < 0.6
    assert wild.defocus.mean() > 3 * studio.defocus.mean()


# ------------------------------------------------------------------ gaze, head and eyes


@each_domain
def test_eyes_stay_within_what_eyes_can_do_and_still_move(domain):
    factors = draw(domain, range(4000), people=400)
    eyes = eye_in_head(factors)
    assert eyes[:, 1].abs().max() < 40.01
    assert eyes[:, 0].max() < 30.01
    assert eyes[:, 0].min() > -35.01
    assert (eyes.std(0) > 4).all()


@each_domain
def test_the_head_turns_as_far_as_the_eyes_cannot(domain, monkeypatch):
    before = draw(domain)
    monkeypatch.setattr(scenes, "EYE_YAW_LIMIT", math.radians(6.0))
    monkeypatch.setattr(scenes, "EYE_PITCH_LIMITS", (math.radians(-5.0), math.radians(4.0)))
    stiff = draw(domain)
    eyes = eye_in_head(stiff)
    assert eyes[:, 1].abs().max() == pytest.approx(6.0, abs=0.01)
    assert eyes[:, 0].max() == pytest.approx(4.0, abs=0.01)
    assert eyes[:, 0].min() == pytest.approx(-5.0, abs=0.01)
    if domain is LAPTOP:
        torch.testing.assert_close(stiff.screen, before.screen)


@each_domain
def test_every_picture_shows_a_face(domain):
    factors = draw(domain, range(4000), people=400)
    away = torch.rad2deg(torch.acos(factors.head_rotation[:, 2, 2]))
    assert away.max() < 81


def test_domains_differ_as_the_data_sets_that_they_mirror():
    table = {name: label_statistics(draw(domain, range(4000), people=400)) for name, domain in DOMAINS.items()}
    for name, published in PUBLISHED.items():
        limits = {
            "gaze yaw": published.gaze_yaw,
            "gaze pitch": abs(published.gaze_pitch),
            "head yaw": published.head_yaw or 90,
            "head pitch": published.head_pitch or 90,
        }
        for label, limit in limits.items():
            widest = max(-table[name][label]["low"], table[name][label]["high"])
            assert widest < limit + 3, (name, label)
    assert table["laptop"]["gaze pitch"]["high"] < 2
    assert table["laptop"]["gaze pitch"]["mean"] < -6
    assert table["lab"]["gaze pitch"]["mean"] > 5
    for wide in ("studio", "wild"):
        for narrow in ("laptop", "lab"):
            assert table[wide]["gaze yaw"]["std"] > 3 * table[narrow]["gaze yaw"]["std"]
            assert table[wide]["head yaw"]["std"] > 3 * table[narrow]["head yaw"]["std"]


@each_domain
def test_head_follows_gaze_but_does_not_give_it_away(domain):
    factors = draw(domain, range(4000), people=400)
    gaze = vector_to_pitchyaw(factors.target - factors.head_position)
    head = rotation_to_pitchyaw(factors.head_rotation)
    for axis in (0, 1):
        correlation = torch.corrcoef(torch.stack([gaze[:, axis], head[:, axis]]))[0, 1]
        assert 0.1 < correlation < 0.98


@given(
    gaze=st.tuples(st.floats(-0.6, 0.6), st.floats(-1.4, 1.4)),
    eyes=st.tuples(st.floats(-0.6, 0.52), st.floats(-0.69, 0.69)),
    roll=st.floats(-0.3, 0.3),
)
def test_turn_head_points_the_turned_eyes_at_the_target(gaze, eyes, roll):
    gaze = pitchyaw_to_vector(torch.tensor([gaze], dtype=torch.float64))
    in_head = pitchyaw_to_vector(torch.tensor([eyes], dtype=torch.float64))
    head = scenes.turn_head(gaze, torch.tensor([eyes], dtype=torch.float64), torch.tensor([roll], dtype=torch.float64))
    torch.testing.assert_close((head @ in_head.unsqueeze(-1)).squeeze(-1), gaze)
    torch.testing.assert_close(head @ head.mT, torch.eye(3, dtype=torch.float64)[None])
    # The ear axis rises by sin(roll) times the cosine of the nod: a positive roll lowers the person's left ear.
    nod = rotation_to_pitchyaw(head)[:, 0]
    torch.testing.assert_close(head[:, 1, 0], math.sin(roll) * nod.cos())


def test_turn_head_by_hand():
    """Eyes 20° to the person's right, target 50° to the right: the head has turned 30° to the right."""
    degrees = torch.tensor([[0.0, 20.0]], dtype=torch.float64)
    gaze = pitchyaw_to_vector(torch.deg2rad(torch.tensor([[0.0, 50.0]], dtype=torch.float64)))
    head = scenes.turn_head(gaze, torch.deg2rad(degrees), torch.zeros(1, dtype=torch.float64))
    np.testing.assert_allclose(np.rad2deg(rotation_to_pitchyaw(head).numpy()), [[0.0, 30.0]], atol=1e-9)


# ------------------------------------------------------------------ normalization


@each_domain
def test_normalization_puts_the_face_center_on_the_axis_and_levels_the_head(domain):
    factors = draw(domain, range(500))
    scene = domain.scene(range(500), people=60, seed=0, split="train")
    rotation = factors.normalization.double()
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).double().expand(500, 3, 3), atol=1e-6, rtol=0)
    center = (rotation @ scene.face_center.unsqueeze(-1)).squeeze(-1)
    assert center[:, :2].abs().max() < 1e-3
    torch.testing.assert_close(center[:, 2].float(), factors.head_position[:, 2])
    assert factors.head_position[:, :2].abs().max() == 0
    assert factors.head_rotation[:, 1, 0].abs().max() < 1e-6
    assert (factors.head_rotation[:, 0, 0] > 0).all()
    torch.testing.assert_close(rotation.mT @ factors.head_rotation.double(), scene.head_rotation, atol=1e-6, rtol=0)
    raw = (rotation.mT @ factors.target.double().unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(raw, scene.target, atol=1e-2, rtol=0)


@each_domain
def test_factors_agree_with_the_courses_own_normalize(domain):
    factors, scene = draw(domain, [3, 11], people=60), domain.scene([3, 11], people=60, seed=0, split="train")
    real = np.array([[900.0, 0.0, 320.0], [0.0, 900.0, 240.0], [0.0, 0.0, 1.0]])
    for row in (0, 1):
        normalized = normalize(
            np.zeros((4, 4, 3)), real, scene.face_center[row].numpy(), scene.head_rotation[row].numpy(), focal=840
        )
        np.testing.assert_allclose(factors.normalization[row], normalized.rotation, atol=1e-6)
        np.testing.assert_allclose(factors.head_rotation[row], normalized.head_rotation, atol=1e-6)
        in_widths = normalized.camera_matrix[:2, :2] / 224
        np.testing.assert_allclose(factors.camera[row, :2, :2], in_widths, rtol=1e-5)


@each_domain
def test_a_detectors_error_moves_the_crop_but_not_the_label(domain):
    factors = draw(domain, range(3000), people=300)
    center = (factors.camera @ factors.head_position.unsqueeze(-1)).squeeze(-1)
    in_widths = center[:, :2] / center[:, 2:] - 0.5
    widths_per_mm = 840 / 600 / 224
    expected = domain.camera.center_error * widths_per_mm
    assert in_widths.std().item() == pytest.approx(expected, rel=0.06)
    assert in_widths.mean().abs().item() < 0.1 * expected
    assert factors.head_position[:, :2].abs().max() == 0


def test_the_normalized_camera_shows_160_mm_of_the_face_at_any_distance():
    factors = draw(WILD, range(50))
    shown = factors.head_position[:, 2] / factors.camera[:, 0, 0]
    torch.testing.assert_close(shown, torch.full((50,), 224 * 600 / 840), rtol=1e-5, atol=0)


# ------------------------------------------------------------------ screens


@pytest.mark.parametrize("domain", [STUDIO, LAPTOP, LAB], ids=str)
def test_rotating_the_target_back_leads_to_the_labeled_place_on_the_screen(domain):
    factors, scene = draw(domain, range(500)), domain.scene(range(500), people=60, seed=0, split="train")
    raw = (factors.normalization.mT @ factors.target.unsqueeze(-1)).squeeze(-1).double()
    on_screen = ~factors.screen.isnan().any(1)
    assert on_screen.double().mean() > 0.6
    normal = torch.linalg.cross(scene.screen.x_axis, scene.screen.y_axis)
    off_plane = ((raw - scene.screen.origin) * normal).sum(1)[on_screen]
    assert off_plane.abs().max() < 0.02
    place = scene.screen.locate(raw)[on_screen]
    assert (place - factors.screen[on_screen]).abs().max() < 0.02
    assert place.min() > -0.02
    assert (place < scene.screen.size[on_screen] + 0.02).all()


def test_the_laptops_screen_lies_below_its_camera_and_to_the_right_is_left_in_the_picture():
    factors = draw(LAPTOP, range(500))
    raw = (factors.normalization.mT @ factors.target.unsqueeze(-1)).squeeze(-1)
    assert raw[:, 2].abs().max() < 0.02
    assert raw[:, 1].min() > 0
    assert torch.corrcoef(torch.stack([raw[:, 0], factors.screen[:, 0]]))[0, 1] < -0.99
    assert torch.corrcoef(torch.stack([raw[:, 1], factors.screen[:, 1]]))[0, 1] > 0.99
    assert 230 < factors.screen[:, 0].max() < 344


def test_there_is_no_screen_in_the_wild_and_none_behind_a_hanging_ball():
    assert draw(WILD).screen.isnan().all()
    assert not draw(LAPTOP).screen.isnan().any()
    assert not draw(STUDIO).screen.isnan().any()
    is_ball = draw(LAB, range(3000)).screen.isnan().any(1)
    assert 0.29 < is_ball.double().mean() < 0.38


# ------------------------------------------------------------------ light and picture


@each_domain
def test_faces_are_exposed_so_that_they_can_be_seen(domain):
    factors = draw(domain, range(2000), people=200)
    torch.testing.assert_close(factors.light_direction.norm(dim=2), torch.ones(2000, 3))
    light = lighting.Light(
        torch.zeros(2000), factors.light_direction, factors.light_color, factors.ambient_above, factors.ambient_below
    )
    toward_camera = torch.tensor([0.0, 0.0, -1.0]).expand(2000, 3)
    on_face = lighting.light_on_face(light, -factors.head_rotation[:, :, 2], toward_camera)
    shown = on_face * factors.exposure / (1 + 0.5 * factors.skin_tone) / domains.MID_EXPOSURE
    low, middle, high = torch.quantile(shown, torch.tensor([0.02, 0.5, 0.98])).tolist()
    assert 0.85 < middle < 1.15
    assert low > 0.4
    assert high < 2.0
    # An exposure that ignored the light would leave the spread of the light itself.
    assert shown.log().std() < 0.36


@pytest.mark.parametrize(
    ("domain", "lamp", "pitch", "yaw"), [(LAB, 0, (58, 62), (30, 36)), (STUDIO, 2, (48, 54), (-4, 4))], ids=str
)
def test_lamps_hang_where_the_room_has_them_whatever_the_camera_does(domain, lamp, pitch, yaw):
    factors, scene = draw(domain), domain.scene(range(600), people=60, seed=0, split="train")
    lit = factors.light_color[:, lamp, 1] > 0
    to_room = (factors.normalization.double() @ scene.room).mT
    direction = (to_room @ factors.light_direction[:, lamp].double().unsqueeze(-1)).squeeze(-1)[lit]
    degrees = torch.rad2deg(vector_to_pitchyaw(direction))
    for column, (low, high) in ((0, pitch), (1, yaw)):
        assert low - 0.1 < degrees[:, column].min() < (low + high) / 2 < degrees[:, column].max() < high + 0.1


def test_the_studio_has_sixteen_lights_and_the_dark_one_is_dark():
    assert len({kind.name for kind in lighting.STUDIO_LIGHT}) == 16
    light = lighting.sample_light(lighting.STUDIO_LIGHT, Draws([str(i) for i in range(4000)], 64))
    assert torch.bincount(light.kind, minlength=16).min() > 150
    front = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64).expand(4000, 3)
    on_face = lighting.light_on_face(light, front, front)
    mean = torch.stack([on_face[light.kind == k].mean() for k in range(16)])
    assert mean.max() > 8 * mean.min()
    dark = next(k for k, kind in enumerate(lighting.STUDIO_LIGHT) if kind.name == "projection only")
    assert mean.argmin() == dark


def test_the_laptops_screen_shines_on_the_face_from_below_the_camera():
    night = next(k for k in lighting.LAPTOP_LIGHT if k.name == "screen at night")
    light = lighting.sample_light((night,), Draws([str(i) for i in range(50)], 64))
    screen = light.direction[:, 0]
    assert (screen[:, 1] > 0).all()
    assert (screen[:, 2] < -0.8).all()


@pytest.mark.parametrize("domain", [STUDIO, WILD, LAPTOP], ids=str)
def test_light_comes_from_either_side_equally_often(domain):
    factors = draw(domain, range(3000), people=300)
    side = main_light(factors)[:, 0]
    left, right = (side < -0.35).double().mean(), (side > 0.35).double().mean()
    assert left > 0.1
    assert abs(left - right) < 0.05


def test_sunglasses_are_worn_outdoors():
    factors = draw(WILD, range(4000), people=400)
    outside = factors.background >= 4
    dark = factors.glasses == GLASSES.index("sunglasses")
    assert dark.any()
    assert outside[dark].all()


def test_tint_has_the_warmth_asked_for_at_equal_luminance():
    color = lighting.tint(torch.tensor([-0.5, 0.0, 0.7]))
    torch.testing.assert_close((color[:, 0] / color[:, 2]).log(), torch.tensor([-0.5, 0.0, 0.7]))
    torch.testing.assert_close(color @ torch.tensor([0.2126, 0.7152, 0.0722]), torch.ones(3))


def test_resolution_follows_from_the_sensor_and_the_distance():
    factors = draw(LAB, range(500))
    # A 525 pixel focal length at 900 mm has 0.583 pixels a mm; the normalized picture has 840 / 600 = 1.4.
    expected = 525 / factors.head_position[:, 2] / 1.4
    assert (factors.resolution / expected - 1).abs().max() < 0.011


# ------------------------------------------------------------------ random numbers


def test_draws_take_uniform_and_independent_numbers():
    draws = Draws([f"row {i}" for i in range(20000)], 40)
    first, second = draws.uniform(2.0, 6.0), draws.uniform()
    assert 2 < first.min() < 2.01
    assert 5.99 < first.max() < 6
    assert first.mean().item() == pytest.approx(4.0, abs=0.05)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.03
    normal = draws.normal(1.0, 2.0, size=2)
    assert normal.shape == (20000, 2)
    assert normal.std().item() == pytest.approx(2.0, abs=0.03)
    assert (normal - 1).abs().max() <= 6
    picked = torch.bincount(draws.choice(torch.tensor([1.0, 0.0, 3.0])), minlength=3) / 20000
    torch.testing.assert_close(picked, torch.tensor([0.25, 0.0, 0.75]), atol=0.015, rtol=0)
    assert draws.chance(0.2).double().mean().item() == pytest.approx(0.2, abs=0.01)
    spread = torch.rad2deg(draws.angles(5.0, 10.0).std(0))
    torch.testing.assert_close(spread, torch.tensor([5.0, 10.0]).double(), rtol=0.03, atol=0)


def test_what_is_drawn_for_one_purpose_says_nothing_about_another():
    factors = draw(STUDIO, range(3000), people=300)
    columns = torch.stack(
        [
            factors.camera[:, 0, 2],
            factors.exposure.log(),
            factors.noise,
            factors.occluder_place[:, 0],
            factors.screen[:, 0],
            factors.background_color[:, 0],
        ]
    ).double()
    correlation = torch.corrcoef(columns) - torch.eye(6)
    correlation[1, 2] = correlation[2, 1] = 0  # a longer exposure has more noise
    assert correlation.abs().max() < 0.08


def test_choice_takes_weights_per_row():
    table = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(50, 1)
    assert Draws([str(i) for i in range(100)], 1).choice(table).tolist() == [0, 1] * 50


def test_numbers_are_those_of_the_name():
    a, b = Draws(["x", "y", "x"], 3), Draws(["y"], 9)
    first, alone = a.uniform(), b.uniform()
    assert first[0] == first[2] != first[1]
    assert first[1] == alone[0]
    assert name_seeds(["wild/train/0/10/image/3"]).tolist() == name_seeds(["wild/train/0/10/image/3"]).tolist()


def test_a_stream_that_runs_out_says_so():
    draws = Draws(["x"], 2)
    draws.uniform(size=2)
    with pytest.raises(ValueError, match=r"count must cover all draws; the rows hold 2 numbers"):
        draws.uniform()


def test_weights_refuse_a_word_that_is_no_category():
    with pytest.raises(ValueError, match=r"table must use the words none, cap.*; got crown"):
        weights(HATS, {"crown": 1.0})


# ------------------------------------------------------------------ statistics


def test_label_statistics_of_known_directions():
    factors = draw(STUDIO, range(3))
    eye = torch.eye(3).expand(3, 3, 3)
    yaw = torch.deg2rad(torch.tensor([10.0, 20.0, 60.0]))
    gaze = pitchyaw_to_vector(torch.stack([torch.full((3,), math.radians(-5.0)), yaw], dim=1))
    factors = factors.replace(head_rotation=eye, target=factors.head_position + 800.0 * gaze)
    table = label_statistics(factors)
    assert list(table) == ["gaze pitch", "gaze yaw", "head pitch", "head yaw"]
    assert table["gaze yaw"]["mean"] == pytest.approx(30.0, abs=1e-3)
    assert table["gaze yaw"]["std"] == pytest.approx(21.602, abs=1e-2)
    assert (table["gaze yaw"]["min"], table["gaze yaw"]["max"]) == pytest.approx((10.0, 60.0), abs=1e-3)
    assert table["gaze pitch"]["low"] == pytest.approx(-5.0, abs=1e-3)
    assert table["head yaw"]["max"] == table["head pitch"]["std"] == 0


def test_published_numbers_stand_beside_the_right_domain():
    assert {name: published.data_set for name, published in PUBLISHED.items()} == {
        name: domain.mirrors for name, domain in DOMAINS.items()
    }


# ------------------------------------------------------------------ bad input


def test_get_knows_the_four_domains_and_lists_them_otherwise():
    assert [domains.get(name) for name in ("studio", "wild", "laptop", "lab")] == [STUDIO, WILD, LAPTOP, LAB]
    with pytest.raises(ValueError, match=r"domain must be one of 'studio', 'wild', 'laptop', 'lab'; got 'office'"):
        domains.get("office")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"split": "val"}, ValueError, "split must be one of 'train', 'test'; got 'val'"),
        ({"people": 0}, ValueError, "people must be 1 or more, at most 500000; got 0"),
        ({"people": 500_001}, ValueError, "people must be 1 or more, at most 500000; got 500001"),
        ({"people": 2.5}, TypeError, r"people must be a whole number; got float 2\.5"),
        ({"people": True}, TypeError, "people must be a whole number; got bool True"),
        ({"seed": -1}, ValueError, "seed must be 0 or more"),
        ({"seed": "0"}, TypeError, "seed must be a whole number; got str '0'"),
        ({"indices": []}, ValueError, "indices must name at least one image; got none"),
        ({"indices": [3, -1]}, ValueError, "indices must be 0 or more.* got -1"),
        ({"indices": [0.5]}, TypeError, r"indices must be a whole number; got float 0\.5"),
        ({"indices": torch.tensor([0.5])}, TypeError, r"indices must be a whole number; got float 0\.5"),
        ({"indices": torch.zeros(2, 2)}, TypeError, r"indices must be a list.*; got tensor of shape \[2, 2\]"),
        ({"indices": "12"}, TypeError, "indices must be a list.*; got str '12'"),
        ({"indices": 12}, TypeError, "indices must be a list.*; got int 12"),
    ],
)
def test_sampling_names_the_argument_that_does_not_fit(change, error, message):
    arguments = {"indices": range(3), "people": 2, "seed": 0, "split": "train"} | change
    with pytest.raises(error, match=message):
        LAB.sample(arguments.pop("indices"), **arguments)
