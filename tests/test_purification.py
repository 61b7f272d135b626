"""The adversarial game: who gets which gradient, from one forward pass, and what training does with it."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from gazecourse import purification
from gazecourse.comparison import Method, Recipe, Size, fit, from_face
from gazecourse.crops import Band, eye_centers
from gazecourse.exercises.puregaze import _self_adversarial_backward
from gazecourse.models import FullFace
from gazecourse.models.puregaze import PureGaze, purify
from gazecourse.purification import (
    Purification,
    attention_for,
    opponents,
    purification_losses,
    self_adversarial_backward,
    three_adams,
)
from gazecourse.sample import Sample
from gazecourse.training import Settings, StepDecay, make_fabric, train

SIZE = 32
EYES = torch.tensor([[10.2, 13.1], [21.4, 12.3]])
"""Middles of the right and the left eye in the faces of these tests."""


BAND = Band((SIZE, SIZE))
"""The whole face, as it is."""


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def landmarks(count, numbered=68):
    """Both eyes in their places, all other points at the image's corner."""
    points = torch.zeros(count, numbered, 2)
    around = torch.tensor([[-2.0, 0.0], [-1.0, -1.0], [1.0, -1.0], [2.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])
    for eye, places in zip(EYES, (slice(36, 42), slice(42, 48)) if numbered == 68 else ((0, 1), (2, 3)), strict=True):
        points[:, places] = eye + (around if numbered == 68 else around[[0, 3]])
    return points


def faces(count=4, seed=0, size=SIZE, numbered=68):
    """Blurred noise, so that there is something to draw, with gaze labels."""
    small = rand(count, 3, 4, 4, seed=seed)
    image = F.interpolate(small, (size, size), mode="bilinear")
    gaze = rand(count, 2, seed=seed + 1) - 0.5
    points = landmarks(count, numbered) * size / SIZE
    return Sample(image=(image * 255).byte(), gaze=gaze, landmarks=points)


class Faces(Dataset):
    def __init__(self, count=16):
        self.batch = faces(count)

    def __len__(self):
        return len(self.batch.image)

    def __getitems__(self, indices):
        batch = self.batch
        return Sample(batch.image[indices], batch.gaze[indices], landmarks=batch.landmarks[indices])


def losses_of(settings=None, band=BAND):
    return purification_losses(from_face, band, settings or Purification())


def small(**options):
    torch.manual_seed(1)
    return PureGaze(SIZE, **{"width": 0.125, "hidden": 64, "widths": (16, 16, 8, 8, 8), **options})


@pytest.fixture
def fabric():
    return make_fabric(accelerator="cpu")


@pytest.fixture
def plain(monkeypatch):
    """No augmentation: every forward pass sees the same faces."""
    monkeypatch.setattr(purification, "augmented", lambda batch: batch)


def gradients(fabric, model, batch, settings=None, change=lambda terms: terms, band=BAND):
    """Gradients of both sides after one backward pass, from a fresh copy of the model."""
    model = copy.deepcopy(model)
    terms = change(losses_of(settings, band)(model, batch))
    self_adversarial_backward(fabric, model, terms)
    gaze_side, decoder = opponents(model)
    return [p.grad for p in gaze_side], [p.grad for p in decoder]


def assert_near(got, want, rel=1e-3):
    """Equal but for the rounding of float32 sums, whatever the size of the values."""
    assert (got - want).norm() <= rel * want.norm() + 1e-7


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def gaussian(height, width, sigma):
    """M for the faces of these tests by loops, for an image of this size."""
    attention = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for eye_x, eye_y in EYES.tolist():
                squared = (x + 0.5 - eye_x * width / SIZE) ** 2 + (y + 0.5 - eye_y * height / SIZE) ** 2
                attention[y, x] += math.exp(-squared / (2 * sigma**2))
    return torch.from_numpy(attention / attention.max()).float()


# ---------------------------------------------------------------------- the losses


def test_losses_are_those_of_the_paper_written_out(plain):
    model, batch = small(), faces()
    settings = Purification(w1=3.0, w2=2.0, k=0.9, sigma=0.2)
    terms = losses_of(settings)(model, batch)
    images = batch.image.float() / 255
    gaze, drawing = copy.deepcopy(model)(images, reconstruct=True)
    t = 1 - (images - drawing) ** 2
    adversarial = (gaussian(SIZE, SIZE, 0.2 * SIZE)[None, None] * t * (t >= 0.9)).mean()
    assert 0.1 < (t >= 0.9).float().mean() < 0.9
    expected = {
        "loss": 3 * (gaze - batch.gaze).abs().mean() + 2 * adversarial,
        "gaze": (gaze - batch.gaze).abs().mean(),
        "adversarial": adversarial,
        "reconstruction": F.mse_loss(drawing, images),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"k": 1.0}, "k must lie in"),
        ({"k": True}, "k must lie in"),
        ({"sigma": -1.0}, "sigma must be a finite number above 0"),
        ({"form": "round"}, "form must be one of 'gaussian', 'exponential'"),
        ({"w1": -1.0}, "w1 must be a finite number, 0 or more; got -1.0"),
        ({"w1": "much"}, "w1 must be a number, 0 or more; got str"),
        ({"w2": math.nan}, "w2 must be a finite number, 0 or more; got nan"),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_training(setting, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Purification(**setting)


def test_eyes_outside_the_face_are_refused_and_not_moved_to_its_edge():
    batch = faces()
    batch = replace(batch, landmarks=batch.landmarks * 2 + 50)
    with pytest.raises(ValueError, match="centers must lie in the image"):
        attention_for(batch, BAND, (SIZE, SIZE), Purification())


@pytest.mark.parametrize("settings", [Purification(sigma=None), Purification(k=0), Purification(sigma=None, k=0)])
def test_parts_of_the_game_can_be_left_out(settings, plain):
    model, batch = small(), faces()
    terms = losses_of(settings)(model, batch)
    images = batch.image.float() / 255
    drawing = copy.deepcopy(model)(images, reconstruct=True)[1]
    t = 1 - (images - drawing) ** 2
    attention = 1.0 if settings.sigma is None else gaussian(SIZE, SIZE, 0.1 * SIZE)
    torch.testing.assert_close(terms["adversarial"], (attention * t * (t >= settings.k)).mean())


def test_without_attention_no_landmarks_are_needed():
    batch = faces()
    batch.landmarks = None
    losses = losses_of(Purification(sigma=None))
    assert losses(small(), batch)["loss"].isfinite()
    with pytest.raises(ValueError, match=r"batch must have landmarks.*Purification\(sigma=None\) needs none"):
        losses_of()(small(), batch)


def test_smaller_drawing_is_compared_with_the_averaged_face(plain):
    model, batch = small(widths=(16, 8, 8)), faces()
    terms = losses_of()(model, batch)
    images = batch.image.float() / 255
    drawing = copy.deepcopy(model)(images, reconstruct=True)[1]
    averaged = images.unflatten(3, (8, 4)).unflatten(2, (8, 4)).mean((3, 5))
    torch.testing.assert_close(terms["reconstruction"], F.mse_loss(drawing, averaged))
    t = 1 - (averaged - drawing) ** 2
    torch.testing.assert_close(terms["adversarial"], (gaussian(8, 8, 0.8) * t * (t >= 0.75)).mean())


def test_band_of_the_face_is_what_is_drawn(plain):
    band = Band((32, 64), top=0.25, bottom=0.75)
    torch.manual_seed(1)
    model = PureGaze(band.size, width=0.125, hidden=64, widths=(16, 8, 8, 8))
    batch = faces()
    losses = purification_losses(lambda model, batch: model(band.cut(batch.float_image())), band, Purification())
    terms = losses(model, batch)
    part = F.interpolate(batch.image[:, :, 8:24] / 255, (32, 64), mode="bilinear", antialias=True)
    drawing = copy.deepcopy(model)(part, reconstruct=True)[1]
    assert drawing.shape == (4, 3, 16, 32)
    averaged = part.unflatten(3, (32, 2)).unflatten(2, (16, 2)).mean((3, 5))
    torch.testing.assert_close(terms["reconstruction"], F.mse_loss(drawing, averaged))
    attention = attention_for(batch, band, (16, 32), Purification())
    t = 1 - (averaged - drawing) ** 2
    torch.testing.assert_close(terms["adversarial"], (attention[:, None] * t * (t >= 0.75)).mean())


def test_losses_see_mirrored_and_shaken_faces_as_all_methods_do(monkeypatch):
    seen = []
    monkeypatch.setattr(purification, "augmented", lambda batch: seen.append(batch) or batch)
    batch = faces()
    losses_of()(small(), batch)
    assert len(seen) == 1
    assert seen[0] is batch


def test_one_forward_pass_serves_both_opponents(fabric):
    model, calls = small(), []
    for name, part in model.named_children():
        part.register_forward_hook(lambda *_, name=name: calls.append(name))
    terms = losses_of()(model, faces())
    self_adversarial_backward(fabric, model, terms)
    assert sorted(calls) == ["backbone", "input", "mlp", "sa_module"]


# ---------------------------------------------------------------------- attention


@pytest.mark.parametrize("numbered", [68, 6])
def test_eye_centers_are_the_middles_of_either_numbering_right_eye_first(numbered):
    torch.testing.assert_close(eye_centers(landmarks(3, numbered)), EYES.expand(3, 2, 2))


def test_landmarks_of_another_numbering_are_refused_by_name():
    batch = faces()
    batch.landmarks = batch.landmarks[:, :5]
    with pytest.raises(ValueError, match=r"landmarks must be \[B, 68, 6 or 2, 2\], where the eyes are known; got"):
        attention_for(batch, BAND, (SIZE, SIZE), Purification())


@pytest.mark.parametrize("size", [(32, 32), (24, 24), (16, 24)])
@pytest.mark.parametrize("band", [BAND, Band((64, 96))])
def test_attention_follows_the_eyes_into_a_drawing_of_another_size(size, band):
    attention = attention_for(faces(), band, size, Purification())
    assert attention.shape == (4, *size)
    torch.testing.assert_close(attention[2], gaussian(*size, 0.1 * size[1]))


def test_attention_follows_the_eyes_into_a_band_of_the_face():
    attention = attention_for(faces(1), Band((48, 64), top=0.25, bottom=0.75), (12, 16), Purification(sigma=0.2))
    assert attention.shape == (1, 12, 16)
    expected = np.zeros((12, 16))
    for row in range(12):
        for column in range(16):
            for x, y in EYES.tolist():  # rows 8 to 24 become 12
                squared = (column + 0.5 - x / 2) ** 2 + (row + 0.5 - (y - 8) * 12 / 16) ** 2
                expected[row, column] += math.exp(-squared / (2 * 3.2**2))
    np.testing.assert_allclose(attention[0], expected / expected.max(), atol=1e-5)


@pytest.mark.parametrize("form", ["gaussian", "exponential"])
def test_attention_covers_the_same_part_of_the_face_at_every_size(form):
    settings = Purification(sigma=0.05, form=form)
    whole = Band((224, 224))
    fine, coarse = (attention_for(faces(size=224), whole, (side, side), settings) for side in (224, 56))
    averaged = F.avg_pool2d(fine, 4)
    torch.testing.assert_close(coarse, averaged, atol=0.06, rtol=0)


def test_exponential_attention_at_224_pixels_can_be_the_released_one():
    batch = faces(1, size=224)
    settings = Purification(sigma=math.sqrt(20) / 224, form="exponential")
    attention = attention_for(batch, Band((224, 224)), (224, 224), settings)[0]
    right = EYES[0] * 7
    column, row = int(right[0]), int(right[1])
    for step in (10, 20):
        near, far = attention[row, column - step], attention[row, column - step - 10]
        assert (far / near).item() == pytest.approx(math.exp(-10 / 40), abs=0.03)


def test_eyes_of_the_face_that_lie_below_the_band_are_brought_to_its_edge():
    batch = faces(1)
    top = float(eye_centers(batch.landmarks)[..., 1].min()) / SIZE
    band = Band((SIZE, SIZE), top=0.0, bottom=0.5 * top)
    attention = attention_for(batch, band, (SIZE, SIZE), Purification())
    assert attention.isfinite().all()
    assert int(attention[0].argmax()) // SIZE == SIZE - 1


# ---------------------------------------------------------------------- who gets which gradient


def by_hand(model, batch, settings):
    """Gradients of the gaze side's L1 and adversarial loss, and of the decoder's MSE, each from torch alone."""
    model = copy.deepcopy(model)
    images = batch.image.float() / 255
    gaze, drawing = model(images, reconstruct=True)
    t = 1 - (images - drawing) ** 2
    attention = gaussian(SIZE, SIZE, settings.sigma * SIZE)
    decoder = list(model.sa_module.parameters())
    gaze_side = [*model.backbone.parameters(), *model.mlp.parameters()]
    losses = {
        "gaze": (F.l1_loss(gaze, batch.gaze), gaze_side),
        "adversarial": ((attention * t * (t >= settings.k)).mean(), gaze_side),
        "reconstruction": (F.mse_loss(drawing, images), decoder),
    }
    return {
        name: torch.autograd.grad(loss, side, retain_graph=True, allow_unused=True, materialize_grads=True)
        for name, (loss, side) in losses.items()
    }


@pytest.mark.parametrize("settings", [Purification(), Purification(w1=3.0, w2=0.5, k=0.9)])
def test_each_side_has_the_gradient_of_its_own_losses_alone(settings, fabric, plain):
    model, batch = small(), faces()
    gaze_side, decoder = gradients(fabric, model, batch, settings)
    expected = by_hand(model, batch, settings)
    for got, want in zip(decoder, expected["reconstruction"], strict=True):
        assert_near(got, want)
    for got, gaze, adversarial in zip(gaze_side, expected["gaze"], expected["adversarial"], strict=True):
        assert_near(got, settings.w1 * gaze + settings.w2 * adversarial)
    assert any(values.abs().max() > 1e-4 for values in expected["adversarial"]), "it reaches the backbone"


@pytest.mark.parametrize("changed", [{"w1": 7.0}, {"w2": 0.0}, {"w2": 50.0}, {"k": 0.0}, {"sigma": None}])
def test_decoder_does_not_feel_the_gaze_sides_settings(changed, fabric, plain):
    model, batch = small(), faces()
    gaze_side, decoder = gradients(fabric, model, batch)
    other_gaze_side, other_decoder = gradients(fabric, model, batch, Purification(**changed))
    assert same(decoder, other_decoder)
    assert not same(gaze_side, other_gaze_side)


def test_decoder_does_not_feel_the_gaze_labels(fabric, plain):
    model, batch, other = small(), faces(), faces()
    other.gaze = -3 * batch.gaze
    gaze_side, decoder = gradients(fabric, model, batch)
    other_gaze_side, other_decoder = gradients(fabric, model, other)
    assert same(decoder, other_decoder)
    assert not same(gaze_side, other_gaze_side)


def test_gaze_side_does_not_feel_the_reconstruction_loss(fabric, plain):
    model, batch = small(), faces()
    gaze_side, decoder = gradients(fabric, model, batch)
    scaled = lambda terms: {**terms, "reconstruction": 10 * terms["reconstruction"]}  # noqa: E731
    other_gaze_side, other_decoder = gradients(fabric, model, batch, change=scaled)
    assert same(gaze_side, other_gaze_side)
    for got, was in zip(other_decoder, decoder, strict=True):
        torch.testing.assert_close(got, 10 * was)


def test_perceptron_feels_the_gaze_loss_alone_for_the_drawing_does_not_come_from_it(fabric, plain):
    model, batch = small(), faces()
    last = len(list(model.mlp.parameters()))
    with_both, without = (gradients(fabric, model, batch, Purification(w2=w2))[0] for w2 in (5.0, 0.0))
    assert same(with_both[-last:], without[-last:])
    assert not same(with_both[:-last], without[:-last])


def test_gradients_add_up_over_micro_batches(fabric, plain):
    model = small().eval()  # BatchNorm's statistics would change from call to call
    batches = faces(2), faces(2, seed=5)
    parts = [gradients(fabric, model, batch) for batch in batches]
    for batch in batches:
        self_adversarial_backward(fabric, model, losses_of()(model, batch))
    for side, first, second in zip(opponents(model), *parts, strict=True):
        for parameter, one, other in zip(side, first, second, strict=True):
            torch.testing.assert_close(parameter.grad, one + other)


def test_version_of_the_exercise_gives_the_same_gradients(fabric, plain):
    model, batch = small(), faces()
    expected = gradients(fabric, model, batch)
    _self_adversarial_backward(*opponents(model), losses_of()(model, batch))
    for side, wanted in zip(opponents(model), expected, strict=True):
        assert same([parameter.grad for parameter in side], wanted)


def test_frozen_layers_stay_without_gradient(fabric, plain):
    model, batch = small(), faces()
    expected = gradients(fabric, model, batch)[0]
    model.backbone.conv1.requires_grad_(False)
    gaze_side, _ = gradients(fabric, model, batch)
    assert gaze_side[0] is None
    assert same(gaze_side[1:], expected[1:])


def test_purified_full_face_routes_its_gradients_too(fabric, plain):
    torch.manual_seed(1)
    model = purify(FullFace(64, form="two_tower", width=0.1, stride=2, weights_std=None), widths=(8, 8))
    batch = faces(2, size=64)
    whole = Band((64, 64))
    gaze_side, decoder = gradients(fabric, model, batch, band=whole)
    _, other_decoder = gradients(fabric, model, batch, Purification(w1=5.0, w2=5.0), band=whole)
    assert same(decoder, other_decoder)
    twin = copy.deepcopy(model)
    drawing = twin(batch.float_image(), reconstruct=True)[1]
    assert drawing.shape[-1] < 64
    face = F.interpolate(batch.float_image(), drawing.shape[-2:], mode="area")
    F.mse_loss(drawing, face).backward()
    for got, want in zip(decoder, twin.sa_module.parameters(), strict=True):
        torch.testing.assert_close(got, want.grad)
    assert all(values is not None and values.isfinite().all() for values in gaze_side)


# ---------------------------------------------------------------------- optimizers


def owners(model, optimizers):
    """For every parameter of the model, how many optimizers have it."""
    owned = [id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    assert set(owned) <= {id(p) for p in model.parameters()}
    return {name: owned.count(id(p)) for name, p in model.named_parameters()}


def test_three_optimizers_own_every_parameter_once():
    model = small()
    optimizers = three_adams(model, 1e-4)
    assert set(owners(model, optimizers).values()) == {1}
    parts = [sum(p.numel() for group in optimizer.param_groups for p in group["params"]) for optimizer in optimizers]
    assert parts == [sum(p.numel() for p in part.parameters()) for part in (model.backbone, model.mlp, model.sa_module)]
    for optimizer in optimizers:
        assert isinstance(optimizer, torch.optim.Adam)
        assert optimizer.defaults["betas"] == (0.9, 0.95)
        assert optimizer.defaults["lr"] == 1e-4


def test_plugged_in_decoder_has_an_optimizer_of_its_own():
    model = purify(FullFace(64, form="two_tower", width=0.1, stride=2), widths=(8,))
    optimizers = three_adams(model, 1e-3)
    assert len(optimizers) == 2
    assert set(owners(model, optimizers).values()) == {1}
    decoder = {id(p) for group in optimizers[1].param_groups for p in group["params"]}
    assert decoder == {id(p) for p in model.sa_module.parameters()}


def test_opponents_share_nothing_and_leave_nothing_out():
    model = small()
    gaze_side, decoder = ({id(p) for p in side} for side in opponents(model))
    assert not gaze_side & decoder
    assert gaze_side | decoder == {id(p) for p in model.parameters()}
    assert decoder == {id(p) for p in model.sa_module.parameters()}


# ---------------------------------------------------------------------- training


def run(model, settings, fabric, steps=12, batch_size=8, decoder_rate=3e-3):
    optimizers = three_adams(model, 3e-3)
    optimizers[-1].param_groups[0]["lr"] = decoder_rate
    return train(
        model,
        losses_of(settings),
        Faces(),
        optimizers,
        Settings(epochs=steps * batch_size // 16, batch_size=batch_size, record_every=1),
        schedule=StepDecay(),
        backward=self_adversarial_backward,
        fabric=fabric,
    )


def test_training_lowers_the_reconstruction_error_where_nobody_works_against_it(fabric):
    history = run(small(), Purification(w2=0.0), fabric, steps=16)
    error = history.curve("reconstruction", "train")[1]
    assert history.status == "finished"
    assert len(error) == 16
    assert error[-3:].mean() < 0.7 * error[:3].mean()
    assert set(history.names("train")) >= {"loss", "gaze", "adversarial", "reconstruction"}


def test_gaze_side_drives_the_drawing_away_from_the_face_while_the_decoder_sleeps(fabric, plain):
    model = small()
    run(model, Purification(w1=0.0, w2=0.0), fabric, steps=16)
    history = run(model, Purification(w1=0.0, sigma=None), fabric, steps=16, batch_size=16, decoder_rate=0.0)
    error = history.curve("reconstruction", "train")[1]
    assert error[-3:].mean() > 1.2 * error[0]


def test_a_step_of_training_moves_each_side_by_its_own_gradient(fabric, plain):
    model, twin = small(), small()
    data = Faces(8)
    settings = Settings(epochs=1, batch_size=8)
    optimizers = [torch.optim.SGD(side, lr=0.1) for side in opponents(model)]
    losses = losses_of()
    train(model, losses, data, optimizers, settings, schedule=StepDecay(), backward=self_adversarial_backward,
          fabric=fabric)  # fmt: skip
    expected = gradients(fabric, twin, data.batch)
    for side, start, moves in zip(opponents(model), opponents(twin), expected, strict=True):
        for parameter, before, gradient in zip(side, start, moves, strict=True):
            assert_near(parameter - before, -0.1 * gradient, rel=0.01)


def test_a_method_of_the_comparison_can_be_purified(fabric):
    method = Method(
        "PureGaze",
        lambda size: PureGaze(size.face, width=size.width, widths=(8, 8, 8, 8, 8)),
        from_face,
        losses=losses_of(),
        optimizers=three_adams,
        backward=self_adversarial_backward,
    )
    model, history = fit(method, Faces(8), Recipe(epochs=1, batch_size=4), size=Size(32, 0.125, 2), fabric=fabric)
    assert history.status == "finished"
    assert method.forward(model, faces(2)).shape == (2, 2)


def test_weights_that_became_nan_end_the_run_with_a_message_about_the_loss(fabric):
    model = small()
    with torch.no_grad():
        model.sa_module.color.bias.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match=r"not finite at step .*weights sa_module.color.bias"):
        run(model, Purification(), fabric)


def test_a_truncation_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"k must lie in \[0, 1\); got 1"):
        losses_of(Purification(k=1))(small(), faces())
