"""Redrawing: what frozen features hold is measured by a new decoder that learns from nothing else."""

import pytest
import torch

from gazecourse.analysis.redrawing import FrozenFeatures, frozen_features, learn_to_redraw, redrawing_errors
from gazecourse.comparison import Recipe
from gazecourse.crops import Band
from gazecourse.models import PureGaze
from gazecourse.models.puregaze import SAModule
from gazecourse.sample import Sample
from gazecourse.training import make_fabric

BAND = Band((32, 32))
SIZE = (4, 4)


class Faces(torch.utils.data.Dataset):
    """Sixteen plain faces of two colors, darker toward the right, which any decoder can learn to draw."""

    def __init__(self):
        colors = torch.tensor([[200, 30, 30], [30, 30, 200]]).repeat(8, 1)
        shade = torch.linspace(1, 0.5, 32)
        self.images = (colors[:, :, None, None] * shade).to(torch.uint8).expand(16, 3, 32, 32).contiguous()

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return Sample(image=self.images[index], gaze=torch.zeros(2), head=torch.zeros(2), domain="studio")


def network():
    torch.manual_seed(0)
    return PureGaze(32, width=0.1, widths=(8, 4))


def decoder_for(model, seed=0):
    torch.manual_seed(seed)
    return SAModule(model.maps[0], (8, 4))


def learned(decoder, features, epochs=60):
    recipe = Recipe(epochs=epochs, batch_size=8, rate=2e-2)
    learn_to_redraw(decoder, features, recipe, fabric=make_fabric(accelerator="cpu"))
    return decoder


def test_features_are_those_of_evaluation_and_faces_are_averaged_to_the_drawing():
    model, faces = network().train(), Faces()
    found = frozen_features(model, faces, BAND, SIZE)
    assert model.training
    images = faces.images / 255
    with torch.no_grad():
        torch.testing.assert_close(found.z, model.eval().features(images))
    torch.testing.assert_close(found.faces, images.reshape(16, 3, 4, 8, 4, 8).mean((3, 5)))


def test_mirrored_faces_come_after_the_others_with_features_of_their_own():
    model, faces = network(), Faces()
    found = frozen_features(model, faces, BAND, SIZE, mirrored=True)
    assert len(found) == 32
    torch.testing.assert_close(found.faces[16:], found.faces[:16].flip(-1))
    with torch.no_grad():
        torch.testing.assert_close(found.z[16:], model.eval().features(faces.images.flip(-1) / 255))


def test_only_the_band_is_seen_and_drawn():
    lower = frozen_features(network(), Faces(), Band((32, 32), 0.5, 1.0), SIZE)
    faces = Faces()
    faces.images[:, :, :16] = 0  # above the band
    other = frozen_features(network(), faces, Band((32, 32), 0.5, 1.0), SIZE)
    torch.testing.assert_close(lower.z, other.z)
    torch.testing.assert_close(lower.faces, other.faces)


def test_a_decoder_learns_to_tell_faces_apart_and_the_network_stays_as_it_is():
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    features = frozen_features(model, Faces(), BAND, SIZE)
    decoder = learned(decoder_for(model), features)
    same_for_everybody = (features.faces - features.faces.mean(0)).square().mean()
    errors = redrawing_errors(decoder, features)
    assert errors.shape == (16,)
    assert errors.mean() < 0.2 * same_for_everybody
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


def test_features_that_hold_nothing_of_a_face_cannot_be_drawn_from():
    model = network()
    features = frozen_features(model, Faces(), BAND, SIZE)
    empty = FrozenFeatures(torch.ones_like(features.z), features.faces)
    errors = redrawing_errors(learned(decoder_for(model), empty), empty)
    assert errors.mean() > 0.9 * (features.faces - features.faces.mean(0)).square().mean()


def test_the_error_is_the_mean_squared_difference_of_each_face():
    model = network()
    features = frozen_features(model, Faces(), BAND, SIZE)
    decoder = decoder_for(model).eval()
    with torch.no_grad():
        expected = (decoder(features.z) - features.faces).square().mean((1, 2, 3))
    torch.testing.assert_close(redrawing_errors(decoder, features), expected)


def test_decoders_that_begin_alike_end_alike_on_the_same_features():
    model = network()
    features = frozen_features(model, Faces(), BAND, SIZE)
    one, other = (learned(decoder_for(model), features, epochs=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_features_of_another_network_are_refused():
    features = frozen_features(network(), Faces(), BAND, SIZE)
    with pytest.raises(ValueError, match="z must be feature maps"):
        redrawing_errors(SAModule(features.z.shape[1] + 1, (8, 4)), features)
