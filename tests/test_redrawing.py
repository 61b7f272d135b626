"""Redrawing: what frozen features hold is measured by a decoder that learns alone."""

import pytest
import torch
from torch.nn.functional import interpolate

from gazecourse.analysis import redrawing as module
from gazecourse.analysis.redrawing import Redrawing, drawing_error, learn_to_redraw, redrawing_errors
from gazecourse.comparison import Recipe
from gazecourse.crops import Band
from gazecourse.models import PureGaze, ResNetGaze
from gazecourse.models.puregaze import SAModule
from gazecourse.sample import Sample
from gazecourse.training import make_fabric

BAND = Band((32, 32))


class Faces(torch.utils.data.Dataset):
    """Sixteen plain faces of two colors, which any decoder can learn to draw."""

    def __init__(self):
        colors = torch.tensor([[200, 30, 30], [30, 30, 200]], dtype=torch.uint8).repeat(8, 1)
        self.images = colors[:, :, None, None].expand(16, 3, 32, 32).contiguous()

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return Sample(image=self.images[index], gaze=torch.zeros(2), head=torch.zeros(2), domain="studio")


def network():
    torch.manual_seed(0)
    return PureGaze(32, width=0.1, widths=(8, 4))


def redrawing():
    model = network()
    return Redrawing(model, model.sa_module)


def test_the_error_is_the_mean_squared_difference_to_the_averaged_face():
    drawing, face = torch.rand(3, 3, 4, 4), torch.rand(3, 3, 8, 8)
    small = face.reshape(3, 3, 4, 2, 4, 2).mean((3, 5))
    expected = torch.stack([((d - f) ** 2).mean() for d, f in zip(drawing, small, strict=True)])
    torch.testing.assert_close(drawing_error(drawing, face), expected)


def test_an_exact_drawing_has_no_error():
    face = torch.rand(2, 3, 8, 8)
    assert drawing_error(interpolate(face, (4, 4), mode="area"), face).abs().max() < 1e-6


def test_the_gaze_network_stays_as_it_is_while_the_decoder_learns_to_tell_the_faces_apart():
    model, faces = redrawing(), Faces()
    before_training = {name: tensor.clone() for name, tensor in model.gaze_model.state_dict().items()}
    recipe = Recipe(epochs=60, batch_size=8, rate=2e-2)
    learn_to_redraw(model, faces, recipe, BAND, fabric=make_fabric(accelerator="cpu"))
    after = model.gaze_model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before_training.items())
    assert not any(parameter.requires_grad for parameter in model.gaze_model.parameters())
    colors = faces.images[:, :, 0, 0] / 255
    same_for_everybody = (colors - colors.mean(0)).square().mean()
    assert redrawing_errors(model, faces, BAND).mean() < 0.2 * same_for_everybody


def test_the_decoder_learns_from_augmented_faces(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "augmented", lambda batch: seen.append(len(batch.image)) or batch)
    learn_to_redraw(redrawing(), Faces(), Recipe(epochs=1, batch_size=8), BAND, fabric=make_fabric(accelerator="cpu"))
    assert seen == [8, 8]


def test_the_gaze_network_keeps_to_evaluation_while_the_decoder_trains():
    model = redrawing().train()
    assert not model.gaze_model.backbone.training
    assert model.decoder.training


def test_the_networks_that_were_given_are_left_alone():
    given = network()
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    model = Redrawing(given, given.sa_module)
    learn_to_redraw(model, Faces(), Recipe(epochs=1, batch_size=8), BAND, fabric=make_fabric(accelerator="cpu"))
    assert all(torch.equal(given.state_dict()[name], tensor) for name, tensor in before.items())
    assert all(parameter.requires_grad for parameter in given.parameters())


def test_any_decoder_of_the_right_width_can_ask_a_network_that_never_had_one():
    torch.manual_seed(0)
    gaze_model = ResNetGaze(32, width=0.1)
    model = Redrawing(gaze_model, SAModule(gaze_model.maps[0], (8, 4)))
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 3, 4, 4)


def test_drawings_of_another_shape_of_batch_are_refused():
    with pytest.raises(ValueError, match="reconstruction must have shape"):
        drawing_error(torch.rand(3, 3, 4, 4), torch.rand(2, 3, 8, 8))
