"""One factor changed, everything else as it was: known here, because the networks are made by hand."""

from __future__ import annotations

import pytest
import torch

from gazecourse.analysis import counterfactual
from gazecourse.analysis.counterfactual import CHANGES, GROUPS, KEPT, altered, borrow, counterfactuals, predictions
from gazecourse.angles import angular_error
from gazecourse.faces.attributes import GLASSES, HATS, Factors
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.renderer import Renderer

SIZE = 32


@pytest.fixture(scope="module")
def renderer():
    return Renderer(SIZE, "cpu")


@pytest.fixture(scope="module")
def faces() -> Factors:
    """Six bareheaded, fair, sharp faces of three people, the first of whom wears sunglasses."""
    factors = DOMAINS["laptop"].sample(range(6), people=3, seed=1, split="test")
    glasses = torch.where(factors.person == factors.person[0], GLASSES.index("sunglasses"), 0)
    looks = {"skin_tone": 0.2, "defocus": 0.0, "resolution": 1.0, "compression": 100.0}
    return factors.replace(hat=0, occluder=0, glasses=glasses, beard=0, background=0, **looks)


@pytest.fixture(autouse=True)
def one_renderer(monkeypatch, renderer):
    """A renderer takes seconds to make; all tests share one."""
    made = []

    def make(size, device=None):
        made.append(size)
        return renderer

    monkeypatch.setattr(counterfactual, "Renderer", make)
    return made


def brightness(images: torch.Tensor) -> torch.Tensor:
    """A network that takes the mean gray value for the pitch, 0.5 for straight ahead."""
    pitch = images.mean((1, 2, 3)) - 0.5
    return torch.stack([pitch, torch.zeros_like(pitch)], dim=1)


def straight(images: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(images), 2)


def test_a_network_that_sees_nothing_neither_moves_nor_errs_more(faces):
    for effect in counterfactuals(straight, faces, {"dark": CHANGES["a dark room"]}, SIZE).values():
        assert effect.error == (0, 0, 0)
        assert effect.moved == (0, 0, 0)
        assert effect.faces == 6


def test_the_rise_is_the_error_with_the_change_minus_that_without_face_by_face(faces, renderer):
    change = CHANGES["a dark room"]
    effect = counterfactuals(brightness, faces, {"dark": change}, SIZE)["dark"]
    before, labels = renderer.render(faces)
    after, _ = renderer.render(change(faces))
    rise = angular_error(brightness(after), labels["gaze"]) - angular_error(brightness(before), labels["gaze"])
    assert effect.error.mean == pytest.approx(rise.mean().item(), abs=0.1)  # images have 256 levels there
    assert effect.moved.mean == pytest.approx(
        angular_error(brightness(after), brightness(before)).mean().item(), abs=0.1
    )
    assert effect.error.low <= effect.error.mean <= effect.error.high
    assert effect.moved.mean > 5


def test_predictions_can_move_towards_the_gaze(faces, renderer):
    gaze = renderer.render(faces)[1]["gaze"]
    calls = iter((gaze + 0.2, gaze))
    effect = counterfactuals(lambda images: next(calls), faces, {"cap": CHANGES["a cap"]}, SIZE)["cap"]
    assert effect.error.mean < -10
    assert effect.moved.mean == pytest.approx(-effect.error.mean, abs=0.01)


def test_intervals_draw_people_so_that_one_person_has_none(faces):
    alone = faces.replace(person=faces.person[0])
    effect = counterfactuals(brightness, alone, {"dark": CHANGES["a dark room"]}, SIZE)["dark"]
    assert effect.error.low == effect.error.high


def test_only_faces_that_a_change_alters_count(faces):
    effects = counterfactuals(brightness, faces, {"sunglasses": CHANGES["sunglasses"], "cap": CHANGES["a cap"]}, SIZE)
    assert (effects["sunglasses"].faces, effects["cap"].faces) == (4, 6)


def test_each_change_begins_with_the_faces_as_they_were(faces):
    seen = []

    def second(factors):
        seen.append(factors)
        return factors.replace(hat=HATS.index("cap"))

    kept = faces.map(torch.clone)
    counterfactuals(brightness, faces, {"dark": CHANGES["a dark room"], "cap": second}, SIZE)
    assert altered(seen[0], kept) == {}
    assert altered(faces, kept) == {}


def test_images_come_in_batches_and_with_256_levels(faces, monkeypatch, one_renderer):
    monkeypatch.setattr(counterfactual, "CPU_PIXELS", 4 * SIZE**2)
    sizes = []

    def predict(images):
        sizes.append(len(images))
        levels = images * 255
        torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
        assert not torch.is_grad_enabled()
        return straight(images)

    counterfactuals(predict, faces, {"cap": CHANGES["a cap"]}, SIZE)
    assert sizes == [4, 2, 4, 2]
    assert one_renderer == [SIZE]


# --- the changes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CHANGES))
def test_every_change_shows_and_leaves_gaze_and_head_alone(name, faces, renderer):
    men = faces.replace(male=0.8)[:2]
    before, labels = renderer.render(men)
    changed = CHANGES[name](men)
    after, others = renderer.render(changed)
    assert torch.equal(labels["gaze"], others["gaze"])
    assert torch.equal(labels["head"], others["head"])
    assert not altered(men, changed).keys() & set(KEPT)
    different = (after - before).abs().amax((1, 2, 3))
    assert bool((different[1:] > 0.1).all())


def test_beards_are_for_men_and_those_who_wear_something_already_stay_as_they_are():
    factors = DOMAINS["wild"].sample(range(60), people=20, seed=0, split="train")
    beard = altered(factors, CHANGES["a full beard"](factors))["beard"]
    assert bool((factors.male[beard] > 0).all())
    for name in ("thick-framed glasses", "sunglasses"):
        worn = factors.replace(glasses=GLASSES.index(name), glasses_tint=0.6 if name == "sunglasses" else 0.02)
        assert altered(worn, CHANGES[name](worn)) == {}


def test_altered_names_factors_and_faces_and_takes_nan_for_equal(faces):
    other = faces.replace(screen=torch.nan)
    assert altered(other, other.replace(screen=torch.nan)) == {}
    mask = altered(faces, faces.replace(age=torch.where(torch.arange(6) == 2, 40.5, faces.age)))
    assert {name: rows.tolist() for name, rows in mask.items()} == {"age": [False, False, True, False, False, False]}


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({}, TypeError, "changes must be functions by name, one or more; got dict"),
        ([CHANGES["a cap"]], TypeError, "changes must be functions by name"),
        ({"cap": {"hat": 1}}, TypeError, "changes must be functions of Factors; 'cap' is dict"),
        ({"cap": lambda f: None}, ValueError, "changes must return Factors of 6 faces; 'cap' returns NoneType None"),
        ({"cap": lambda f: f[:2]}, ValueError, "changes must return Factors of 6 faces; 'cap' returns Factors of 2"),
        ({"bald": lambda f: f}, ValueError, "changes must alter something; 'bald' leaves all 6 faces as they are"),
        ({"look": lambda f: f.replace(target=0.0)}, ValueError, "'look' changes target"),
        ({"twin": lambda f: f.replace(person=1, seed=2)}, ValueError, "'twin' changes person, seed"),
    ],
)
def test_changes_that_are_none_are_refused_before_anything_is_drawn(changes, error, message, faces, one_renderer):
    with pytest.raises(error, match=message):
        counterfactuals(straight, faces, changes, SIZE)
    assert one_renderer == []


def test_other_arguments_that_do_not_fit_are_named(faces):
    with pytest.raises(TypeError, match="factors must be Factors; got dict"):
        counterfactuals(straight, {}, CHANGES, SIZE)
    with pytest.raises(ValueError, match=r"predict's result must have shape \[6, 2 or 3\]; got tensor of shape \[6\]"):
        counterfactuals(lambda images: images.mean((1, 2, 3)), faces, {"cap": CHANGES["a cap"]}, SIZE)


# ---------------------------------------------------------------------- groups from another domain


def test_groups_hold_every_factor_but_the_seed_once():
    grouped = [name for group in GROUPS.values() for name in group]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {
        name for name, _ in DOMAINS["lab"].sample(range(1), people=1, seed=0, split="test").items()
    } - {"seed"}


def test_borrowed_groups_come_from_the_others_and_everything_else_stays(faces):
    others = DOMAINS["lab"].sample(range(len(faces)), people=3, seed=5, split="test")
    both = borrow(faces, others, "light", "image quality")
    for group, names in GROUPS.items():
        source = others if group in ("light", "image quality") else faces
        for name in names:
            torch.testing.assert_close(getattr(both, name), getattr(source, name), rtol=0, atol=0, equal_nan=True)
    assert torch.equal(both.seed, faces.seed)


def test_predictions_come_with_the_gaze_of_the_faces_that_were_drawn(faces, renderer):
    true, guess = predictions(lambda images: images.mean((1, 2, 3))[:, None].expand(-1, 2), faces, renderer.width)
    torch.testing.assert_close(true, renderer.render(faces)[1]["gaze"])
    assert guess.shape == (len(faces), 2)


def test_borrowing_what_is_not_there_is_refused(faces):
    with pytest.raises(ValueError, match="groups must be one of"):
        borrow(faces, faces, "weather")
    with pytest.raises(ValueError, match=f"others must be {len(faces)} faces"):
        borrow(faces, faces[:1], "light")
