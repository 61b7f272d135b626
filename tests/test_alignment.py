"""Training data for alignment, how networks are trained on it, and how they are judged."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from loading import load_script
from torch import nn
from torch.nn.functional import interpolate

from gazecourse import alignment as module
from gazecourse.alignment import (
    MODERATE_POSE,
    MOST_DOUBT,
    PAPER,
    PENALTIES,
    PIXELS,
    UNCHANGED,
    AlignmentFaces,
    Score,
    alignment,
    alignment_losses,
    augmentation,
    augmented,
    covered_faces,
    in_image_pixels,
    landmarks_and_doubt,
    landmarks_in_photo,
    landmarks_of,
    recipe,
    scale,
    score,
    scores,
    subsets,
)
from gazecourse.angles import angular_error
from gazecourse.augment import MIRRORED_68, mirror
from gazecourse.comparison import Recipe, fit
from gazecourse.crops import Square, face_square
from gazecourse.faces import rendering
from gazecourse.faces.dataset import FaceDataset
from gazecourse.landmark_noise import blur_sigma, face_hardness, noise_learned, noisy_labels
from gazecourse.losses import l1, landmark_loss, relative_location_loss, soft_wing, wing
from gazecourse.metrics import auc, failure_rate, nme
from gazecourse.models import landmark_graph, laplacian
from gazecourse.models.structure_coherent import load_landmark_net
from gazecourse.sample import Sample
from gazecourse.training import make_fabric

RENDERED, SIDE = 48, 32


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Fifteen faces of studio and nine of wild."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAZECOURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(rendering, "available_cores", lambda: 1)
        size = {"size": RENDERED, "people": 3}
        yield [FaceDataset("studio", "train", images=15, **size), FaceDataset("wild", "train", images=9, **size)]


@pytest.fixture
def faces(rendered):
    return AlignmentFaces(rendered, SIDE)


def cpu():
    return make_fabric(accelerator="cpu")


# ---------------------------------------------------------------------- faces


def test_sets_follow_one_another_with_images_and_landmarks_of_the_wanted_size(rendered, faces):
    assert len(faces) == 24
    assert faces.images.shape == (24, 3, SIDE, SIDE)
    wild = rendered[1]
    torch.testing.assert_close(faces.landmarks[15:], wild.landmarks * (SIDE / RENDERED))
    small = interpolate(wild.images.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    assert (faces.images[15:] - small).abs().max() <= 1  # bytes are rounded after each direction
    assert [faces[row].domain for row in (0, 14, 15, -1)] == ["studio", "studio", "wild", "wild"]
    assert torch.equal(faces.person, torch.cat([one.person for one in rendered]))


def test_hardness_and_pose_are_those_of_each_set_by_its_factors(rendered, faces):
    wild = rendered[1]
    hardness = face_hardness(wild.head, wild.visibility, blur_sigma(wild.factors, RENDERED))
    torch.testing.assert_close(faces.hardness[15:], hardness)
    torch.testing.assert_close(faces.pose[:15], angular_error(rendered[0].head, torch.zeros(2)))
    assert torch.equal(faces.visibility[15:], wild.visibility)
    assert torch.equal(faces.occluded, torch.cat([one.factors.occluder > 0 for one in rendered]))


def test_noise_is_in_the_labels_that_samples_hold_and_the_truth_stays(faces):
    noisy = faces.with_noise(0.1, seed=3)
    assert torch.equal(noisy.landmarks, faces.landmarks)
    assert torch.equal(noisy.labels, noisy_labels(faces.landmarks, faces.hardness, 0.1, 3))
    assert (noisy.labels - noisy.landmarks).norm(dim=2).min() > 0
    assert torch.equal(noisy[4].landmarks, noisy.labels[4])
    assert torch.equal(noisy.__getitems__([4, 20]).landmarks, noisy.labels[[4, 20]])
    assert torch.equal(faces[4].landmarks, faces.landmarks[4]), "the original set stays clean"
    assert torch.equal(faces.with_noise(0.0, seed=3).labels, faces.landmarks)


def test_a_subset_keeps_everything_of_its_rows(faces):
    rows = torch.tensor([20, 3, 16])
    part = faces.with_noise(0.1, seed=0).subset(rows)
    whole = faces.with_noise(0.1, seed=0)
    for name in ("images", "landmarks", "labels", "hardness", "pose", "visibility", "occluded", "person"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[rows]), name
    assert [part[row].domain for row in range(3)] == ["wild", "studio", "wild"]
    assert len(faces) == 24


def test_a_batch_is_its_single_samples(faces):
    batch = faces.__getitems__([2, 17])
    for row, index in enumerate((2, 17)):
        one = faces[index]
        assert torch.equal(batch.image[row], one.image)
        assert torch.equal(batch.landmarks[row], one.landmarks)
        assert (int(batch.person[row]), batch.domain[row]) == (one.person, one.domain)
    with pytest.raises(IndexError, match=r"index must lie in \[-24, 23\]; got 24"):
        faces[24]


def test_networks_are_trained_and_tested_on_different_people(monkeypatch, rendered):
    asked = []

    def of(domain, split):
        asked.append((domain, split))
        return rendered[len(asked) % 2]

    monkeypatch.setattr(module, "FaceDataset", of)
    monkeypatch.setattr(module, "AlignmentFaces", lambda sets, side: side)
    assert module.training_faces() == module.test_faces() == scale().side
    domains = ("studio", "wild", "laptop", "lab")
    assert asked == [(domain, split) for split in ("train", "test") for domain in domains]


@pytest.mark.parametrize(
    ("profile", "side", "backbone", "turn"), [("quick", 64, "small", 10.0), ("full", 224, "resnet34", 40.0)]
)
def test_profiles_change_sizes(monkeypatch, profile, side, backbone, turn):
    monkeypatch.setenv("GAZECOURSE_PROFILE", profile)
    assert (scale().side, scale().backbone) == (side, backbone)
    assert augmentation().rotation == turn
    assert recipe().epochs > 0


# ---------------------------------------------------------------------- augmentation


def test_without_any_change_a_batch_stays_as_it_is(faces):
    batch = faces.__getitems__(range(8))
    same = augmented(batch, UNCHANGED)
    assert torch.equal(same.image, batch.image)
    torch.testing.assert_close(same.landmarks, batch.landmarks)


def test_mirrored_faces_have_their_landmarks_renumbered(faces):
    batch = faces.__getitems__(range(8))
    turned = augmented(batch, replace(UNCHANGED, mirror=1.0))
    torch.testing.assert_close(turned.landmarks, mirror(batch).landmarks)
    assert torch.equal(turned.image, mirror(batch).image)


def test_changes_stay_in_the_papers_ranges_and_use_them():
    torch.manual_seed(0)
    count, side = 2000, 8
    corners = torch.zeros(68, 2)
    corners[0], corners[1] = torch.tensor([4.0, 4.0]), torch.tensor([5.0, 4.0])  # the middle, and one pixel beside it
    batch = Sample(torch.zeros(count, 3, side, side, dtype=torch.uint8), landmarks=corners.repeat(count, 1, 1))
    moved = augmented(batch, replace(PAPER, mirror=0.0)).landmarks
    shift, way = (moved[:, 0] - 4) / side, moved[:, 1] - moved[:, 0]
    angle, size = torch.rad2deg(torch.atan2(way[:, 1], way[:, 0])), way.norm(dim=1)
    for values, low, high in ((shift[:, 0], -0.1, 0.1), (shift[:, 1], -0.1, 0.1), (angle, -40, 40), (size, 0.93, 1.07)):
        assert low - 1e-4 <= values.min() < low + 0.03 * (high - low)
        assert high - 0.03 * (high - low) < values.max() <= high + 1e-4


def test_half_of_the_faces_get_a_rectangle_of_a_fifth_of_the_image():
    torch.manual_seed(0)
    side = 60
    batch = Sample(torch.full((400, 3, side, side), 77, dtype=torch.uint8), landmarks=torch.zeros(400, 68, 2))
    changed = (augmented(batch, replace(UNCHANGED, occluded=0.5)).image != 77).any(1).flatten(1).double().mean(1)
    assert 0.42 < (changed > 0).double().mean() < 0.58
    assert changed[changed > 0].min() > 0.18
    assert changed[changed > 0].max() < 0.22


def test_noisy_labels_move_with_their_face(faces):
    noisy = faces.with_noise(0.1, seed=0)
    settings = replace(PAPER, occluded=0.0)
    torch.manual_seed(5)
    labels = augmented(noisy.__getitems__(range(8)), settings).landmarks
    torch.manual_seed(5)
    truth = augmented(faces.__getitems__(range(8)), settings).landmarks
    sizes = (labels - truth).norm(dim=2).sum(1) / (noisy.labels - noisy.landmarks)[:8].norm(dim=2).sum(1)
    assert sizes.min() > 0.92
    assert sizes.max() < 1.08


def test_covers_for_tests_are_the_same_every_time_and_say_what_they_hide(faces):
    before = faces.images.clone()
    hidden_faces, hidden = covered_faces(faces, seed=1)
    again, _ = covered_faces(faces, seed=1)
    other, _ = covered_faces(faces, seed=2)
    assert torch.equal(hidden_faces.images, again.images)
    assert not torch.equal(hidden_faces.images, other.images)
    assert torch.equal(faces.images, before)
    assert torch.equal(hidden_faces.landmarks, faces.landmarks)
    assert hidden.any(1).all(), "the landmark in the middle of the rectangle at least"
    assert 0.05 < hidden.double().mean() < 0.6
    changed = (hidden_faces.images != faces.images).any(1)
    x, y = faces.landmarks.long().clamp(0, SIDE - 1).unbind(2)
    for row in range(len(faces)):
        colors = hidden_faces.images[row][:, changed[row]].unique(dim=1)
        assert colors.shape[1] == 1, "one color"
        at_landmarks = (hidden_faces.images[row][:, y[row], x[row]] == colors).all(0)
        assert (at_landmarks == hidden[row]).double().mean() > 0.85, "all but those on the rectangle's edge"


# ---------------------------------------------------------------------- losses


class Fixed(nn.Module):
    """Answers with one shape, in pixels of 256²."""

    def __init__(self, shape):
        super().__init__()
        self.shape = nn.Parameter(shape)
        self.size = (SIDE, SIDE)

    def forward(self, image):
        return self.shape.expand(len(image), -1, -1)


def test_losses_are_computed_in_pixels_of_256(faces):
    batch = faces.__getitems__(range(6))
    target = batch.landmarks * (PIXELS / SIDE)
    model = Fixed(target.mean(0))
    terms = alignment_losses(soft_wing, SIDE, UNCHANGED)(model, batch)
    assert set(terms) == {"loss", "landmarks"}
    torch.testing.assert_close(terms["loss"], landmark_loss(model(batch.image), target))
    matrix = laplacian(landmark_graph(target))
    both = alignment_losses(wing, SIDE, UNCHANGED, matrix)(model, batch)
    relative = relative_location_loss(model(batch.image), target, matrix, wing)
    torch.testing.assert_close(both["relative location"], relative)
    torch.testing.assert_close(both["loss"], landmark_loss(model(batch.image), target, wing) + relative)


def test_predictions_come_back_in_pixels_of_the_images(faces):
    shape = 256 * torch.rand(68, 2)
    answers = landmarks_of(Fixed(shape), faces)
    torch.testing.assert_close(answers, (shape * SIDE / 256).expand(24, 68, 2))


def test_training_sees_augmented_faces_and_tests_see_them_as_they_are(faces):
    seen = []
    model = Fixed(torch.zeros(68, 2))
    model.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    torch.manual_seed(0)
    alignment_losses(l1, SIDE, PAPER)(model, faces.__getitems__(range(6)))
    in_image_pixels(model, faces.__getitems__(range(6)))
    assert not torch.allclose(seen[0], faces.images[:6] / 255)
    torch.testing.assert_close(seen[1], faces.images[:6] / 255)


def test_penalties_are_listed_by_the_names_of_tables():
    assert list(PENALTIES) == ["L2", "L1", "smooth L1", "wing", "soft wing"]
    assert PENALTIES["soft wing"] is soft_wing


# ---------------------------------------------------------------------- networks


@pytest.mark.parametrize("head", ["static", "dynamic", "fc"])
def test_a_method_trains_a_network_that_begins_at_the_mean_of_its_labels(head, faces):
    noisy = faces.with_noise(0.05, seed=0)
    method = alignment(noisy.labels, SIDE, head, relative_location=head == "dynamic")
    torch.manual_seed(0)
    network = method.build(None)
    start = landmarks_of(network, faces)
    assert (start - noisy.labels.mean(0)).norm(dim=2).mean() < 0.03 * SIDE
    model, history = fit(method, noisy, Recipe(epochs=1, batch_size=8), fabric=cpu())
    assert landmarks_of(model, faces).shape == (24, 68, 2)
    assert ("relative location" in history.names("train")) == (head == "dynamic")


def test_the_graph_is_that_of_the_labels_and_k_its_neighbors(faces):
    labels = faces.with_noise(0.05, seed=0).labels
    for k in (1, 3):
        network = alignment(labels, SIDE, k=k).build(None)
        assert torch.equal(network.head.input.edges.place, landmark_graph(labels, k).flatten().nonzero().squeeze(1))


def test_a_network_learns_the_faces_that_it_sees(faces):
    method = alignment(faces.labels, SIDE, "fc", settings=UNCHANGED)
    untrained = nme(faces.landmarks.mean(0).expand(24, 68, 2).contiguous(), faces.landmarks, 68).mean()
    model, _ = fit(method, faces, Recipe(epochs=40, batch_size=8, rate=3e-3), fabric=cpu())
    learned = score(landmarks_of(model, faces), faces.landmarks).nme
    assert learned < 0.6 * untrained, f"{untrained:.3f} before, {learned:.3f} after"


def test_on_faces_without_augmentation_a_long_training_learns_the_noise_of_its_labels(faces):
    noisy = faces.subset(torch.arange(8)).with_noise(0.2, seed=0)
    method = alignment(noisy.labels, SIDE, "fc", relative_location=False, settings=UNCHANGED)
    model, _ = fit(method, noisy, Recipe(epochs=60, batch_size=8, rate=3e-3), fabric=cpu())
    share = noise_learned(landmarks_of(model, noisy), noisy.landmarks, noisy.labels)
    assert 0.3 < share < 1.2


# ---------------------------------------------------------------------- photographs


def test_landmarks_of_a_photograph_come_back_in_its_pixels():
    shape = torch.tensor([[0.0, 0.0], [128.0, 64.0], [256.0, 256.0]])
    photo = torch.zeros(3, 300, 400, dtype=torch.uint8)
    found = landmarks_in_photo(Fixed(shape), photo, (100, 60, 80, 64))
    # A square of 1.25 · 80 = 100 pixels around the middle of the box, (140, 92): from (90, 42) to (190, 142).
    torch.testing.assert_close(found, torch.tensor([[90.0, 42.0], [140.0, 67.0], [190.0, 142.0]]))


def test_the_network_sees_the_square_around_the_face_and_nothing_else():
    seen = []
    model = Fixed(torch.zeros(4, 2))
    model.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    photo = torch.zeros(3, 90, 90, dtype=torch.uint8)
    photo[:, 20:52, 30:62] = 255
    landmarks_in_photo(model, photo, (30 + 3.2, 20 + 3.2, 25.6, 25.6))
    assert seen[0].shape == (1, 3, SIDE, SIDE)
    assert (seen[0] == 1).all()
    assert model.training, "left in the mode that it was in"
    landmarks_in_photo(model.eval(), photo, (30, 20, 20, 20))
    assert not model.training


def symmetric_face() -> torch.Tensor:
    """[68, 2] pixels of 256², the same in a mirror, and filling four fifths of the image."""
    generator = torch.Generator().manual_seed(0)
    points = 256 * (0.1 + 0.8 * torch.rand(68, 2, generator=generator))
    points[0], points[16], points[8] = torch.tensor([25.6, 128]), torch.tensor([230.4, 128]), torch.tensor([128, 230.4])
    points[36], points[45] = torch.tensor([64.0, 100.0]), torch.tensor([192.0, 100.0])
    mirrored = points[MIRRORED_68] * torch.tensor([-1.0, 1.0]) + torch.tensor([256.0, 0.0])
    return (points + mirrored) / 2


def test_a_face_that_is_the_same_in_the_mirror_is_not_doubted_and_lies_in_its_box():
    photo = torch.zeros(3, 300, 400, dtype=torch.uint8)
    points, doubt = landmarks_and_doubt(Fixed(symmetric_face()), photo, (100, 60, 80, 80))
    assert doubt < 1e-5
    model = Fixed(symmetric_face())
    for training in (True, False):
        model.train(training)
        landmarks_and_doubt(model, photo, (100, 60, 80, 80))
        assert model.training is training, "left in the mode that it was in"
    torch.testing.assert_close(points[[0, 16], 0], torch.tensor([100.0, 180.0]), atol=1.5, rtol=0)


def test_an_answer_that_does_not_turn_around_with_the_picture_is_doubted_and_their_mean_is_in_the_middle():
    photo = torch.zeros(3, 300, 400, dtype=torch.uint8)
    aside = symmetric_face() + torch.tensor([12.8, 0.0])  # a tenth of the eyes' distance, to the right in any picture
    points, doubt = landmarks_and_doubt(Fixed(aside), photo, (100, 60, 80, 80))
    # Both views go aside by a tenth, and from there by another tenth: they end four tenths of it apart.
    assert doubt == pytest.approx(0.4, abs=0.05)
    assert float((points[0, 0] + points[16, 0]) / 2) == pytest.approx(140, abs=1)


def test_the_course_network_doubts_noise_and_not_a_rendered_face(rendered):
    frontal = rendered[0].head.norm(dim=1).argmin()
    face, truth = rendered[0].images[frontal], rendered[0].landmarks[frontal]
    low, high = truth.amin(0), truth.amax(0)
    points, doubt = landmarks_and_doubt(load_landmark_net(), face, [*low.tolist(), *(high - low).tolist()])
    assert doubt < MOST_DOUBT
    assert nme(points, truth, 68) < 0.1
    noise = torch.randint(0, 256, face.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert landmarks_and_doubt(load_landmark_net(), noise, [*low.tolist(), *(high - low).tolist()])[1] > MOST_DOUBT


def test_a_point_goes_into_a_square_and_back():
    square = Square(-3, 7, 50)
    points = torch.tensor([[10.0, 20.0], [-3.0, 7.0]])
    inside = square.locate(points, 25)
    torch.testing.assert_close(inside, torch.tensor([[6.5, 6.5], [0.0, 0.0]]))
    torch.testing.assert_close(square.place_back(inside, 25), points)


# ---------------------------------------------------------------------- scores


def test_a_score_is_what_the_metrics_say():
    generator = torch.Generator().manual_seed(0)
    target = 100 * torch.rand(30, 68, 2, generator=generator)
    pred = target + 8 * torch.rand(30, 1, 1, generator=generator) * torch.randn(30, 68, 2, generator=generator)
    errors = nme(pred, target, 68)
    assert 0 < failure_rate(errors) < 1
    expected = Score(errors.mean(), nme(pred, target, 68, "box").mean(), failure_rate(errors), auc(errors), 30)
    assert score(pred, target) == expected


def test_subsets_are_thirds_of_hardness_moderate_poses_and_occluded_faces(faces):
    masks = subsets(faces)
    assert list(masks) == ["all", "moderate pose", "easy", "medium", "hard", "occluded"]
    assert masks["all"].all()
    assert torch.equal(masks["moderate pose"], faces.pose <= MODERATE_POSE)
    assert [int(masks[name].sum()) for name in ("easy", "medium", "hard")] == [8, 8, 8]
    assert faces.hardness[masks["easy"]].max() <= faces.hardness[masks["hard"]].min()


def test_scores_compare_with_the_truth_subset_by_subset(faces):
    noisy = faces.with_noise(0.1, seed=0)
    noisy.occluded = torch.zeros(24, dtype=torch.bool)
    found = scores(noisy.labels, noisy)
    assert "occluded" not in found, "a subset without a face has no score"
    hard = subsets(faces)["hard"]
    assert found["hard"].nme == pytest.approx(nme(noisy.labels[hard], faces.landmarks[hard], 68).mean())
    assert found["hard"].faces == 8
    assert found["easy"].nme_box < found["hard"].nme_box, "label noise grows with hardness"
    assert scores(faces.landmarks, noisy)["all"] == Score(0.0, 0.0, 0.0, 1.0, 24)


# ---------------------------------------------------------------------- bad input


def test_labels_of_another_scheme_than_the_networks_are_named(faces):
    batch = faces.__getitems__(range(3))
    with pytest.raises(ValueError, match=r"pred must have shape \[3, 68, 2\]; got .*\[3, 98, 2\]"):
        alignment_losses(l1, SIDE, UNCHANGED)(Fixed(torch.zeros(98, 2)), batch)
    with pytest.raises(ValueError, match=r"pred must have shape \[24, 68, 2\]; got .*\[24, 29, 2\]"):
        scores(torch.zeros(24, 29, 2), faces)
    with pytest.raises(ValueError, match="scheme must be one of 29, 68, 98; got 5"):
        score(torch.zeros(3, 5, 2), torch.zeros(3, 5, 2))
    with pytest.raises(ValueError, match=r"landmarks must be \[B, N, 2\], N one of 2, 6, 29, 68, 98"):
        augmented(Sample(batch.image, landmarks=torch.zeros(3, 21, 2)), PAPER)


def test_fewer_points_than_neighbors_and_constant_coordinates_have_no_graph(faces):
    with pytest.raises(ValueError, match=r"landmarks must have k \+ 1 = 69 points or more; got 68"):
        alignment(faces.labels, SIDE, k=68)
    with pytest.raises(ValueError, match=r"landmarks must have k \+ 1 = 4 points or more; got 3"):
        alignment(faces.labels[:, :3], SIDE)
    constant = faces.labels.clone()
    constant[:, 30] = SIDE / 2
    with pytest.raises(ValueError, match="the x of point 30 is 128 in all of them, and a constant has no correlation"):
        alignment(constant, SIDE)


def test_labels_as_shares_of_the_image_bring_a_warning_although_they_are_scaled(faces):
    batch = faces.__getitems__(range(3))
    shares = Sample(batch.image, landmarks=batch.landmarks / SIDE)
    shares.landmarks.clamp_(0, 1)
    with pytest.warns(UserWarning, match="Soft wing is plain L1 there"):
        alignment_losses(soft_wing, SIDE, UNCHANGED)(Fixed(torch.zeros(68, 2)), shares)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alignment_losses(soft_wing, SIDE, UNCHANGED)(Fixed(torch.zeros(68, 2)), batch)


def test_faces_without_inter_ocular_distance_are_refused_by_name(faces):
    flat = faces.subset(torch.arange(24))
    flat.landmarks = faces.landmarks.clone()
    flat.landmarks[7, 45] = flat.landmarks[7, 36]
    with pytest.raises(ValueError, match="target must have distinct outer eye corners; points 36 and 45 coincide"):
        scores(faces.landmarks, flat)


PHOTO = torch.zeros(3, 20, 20, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: AlignmentFaces([], SIDE), TypeError, "sets must be a list of FaceDataset, one or more"),
        (lambda: AlignmentFaces(["studio"], SIDE), TypeError, "sets must be a list of FaceDataset"),
        (lambda: alignment(torch.rand(9, 68, 2), SIDE, "gcn"), ValueError, "head must be one of 'static'"),
        (lambda: alignment(torch.rand(9, 68), SIDE), ValueError, r"labels must have shape \[M, N, 2\]"),
        (lambda: alignment(torch.rand(9, 68, 2) * math.nan, SIDE), ValueError, "labels must be finite"),
        (lambda: alignment(torch.rand(9, 68, 2), 0), ValueError, "side must be 8 or more"),
        (lambda: face_square((1, 2, 3)), TypeError, "box must be four numbers"),
        (lambda: face_square((1, 2, 3, "4a")), TypeError, "box must be four numbers"),
        (lambda: face_square((1, 2, 0, 4)), ValueError, "box must be finite, with a width and a height above 0"),
        (lambda: face_square((1, math.nan, 3, 4)), ValueError, "box must be finite"),
        (lambda: face_square((0, 0, 5, 5)).cut(PHOTO.float(), 8), TypeError, "photo must be a uint8 tensor"),
        (lambda: face_square((0, 0, 5, 5)).cut(PHOTO[0], 8), ValueError, r"photo must have shape \[3, H, W\]"),
        (lambda: face_square((0, 0, 5, 5)).cut(np.zeros((3, 5, 5), np.uint8), 8), TypeError, "photo must be a uint8"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------------- faces as photographs are cut, and the script


def test_boxed_faces_fill_their_square_as_in_photographs(rendered):
    boxed, whole = AlignmentFaces(rendered, SIDE, boxed=True), AlignmentFaces(rendered, SIDE)
    low, high = boxed.landmarks.amin(1), boxed.landmarks.amax(1)
    torch.testing.assert_close((high - low).amax(1), torch.full((24,), SIDE / 1.25), atol=1.0, rtol=0)
    torch.testing.assert_close((high + low) / 2, torch.full((24, 2), SIDE / 2), atol=1.0, rtol=0)
    assert torch.equal(boxed.hardness, whole.hardness)
    assert boxed.images.shape == whole.images.shape


def test_the_script_trains_saves_and_describes_a_network_that_loads(rendered, tmp_path, monkeypatch, capsys):
    script = load_script("data_scripts/train_landmarks.py")
    sets = {faces.domain: faces for faces in rendered}
    monkeypatch.setattr(script, "SOURCES", tuple(sets))
    asked = []

    def face_dataset(domain, split, **changes):
        asked.append((domain, split, changes))
        return sets[domain].subset(range(changes.get("images", len(sets[domain]))))

    monkeypatch.setattr(script, "FaceDataset", face_dataset)
    written = {}
    monkeypatch.setattr(script, "write", lambda name, device, **content: written.update(content, name=name))
    card_file = tmp_path / "landmarks.md"
    monkeypatch.setattr(script, "MODEL_CARD", card_file)
    out = tmp_path / "landmarks.safetensors"
    options = [
        "--epochs",
        "1",
        "--images",
        "9",
        "--people",
        "3",
        "--batch-size",
        "9",
        "--side",
        "32",
        "--out",
        str(out),
    ]
    assert script.main([*options, "--estimate"]) == 0
    assert "minutes for 1 epochs of 18 faces" in capsys.readouterr().out
    assert not out.exists()
    assert script.main([*options, "--dry"]) == 0
    assert not written
    assert not card_file.exists()
    card = capsys.readouterr().out
    assert "18 rendered faces" in card
    assert "| a detector's boxes | all | 24 |" in card
    assert asked[-4:] == [
        *((domain, "train", {"images": 9, "people": 3}) for domain in sets),
        *((domain, "test", {}) for domain in sets),
    ], "tested on what the profile tests on, whatever it learned from"
    assert script.main(options) == 0
    assert "18 rendered faces" in card_file.read_text(encoding="utf-8")
    assert written["name"] == "landmark_net"
    assert written["scores"]["true boxes"]["all"]["faces"] == 24
    photo = torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8)
    assert landmarks_in_photo(load_landmark_net(out), photo, (20, 10, 60, 60)).shape == (68, 2)
    monkeypatch.setattr(script, "LARGEST_FILE", 1000)
    assert script.main([*options, "--dry"]) == 1
    assert "error: a shipped checkpoint" in capsys.readouterr().err
