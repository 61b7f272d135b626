"""The cross-domain tasks: who may see what, how every method is fed, and that two parts of a training fit together."""

from dataclasses import replace

import pytest
import torch

from gazecourse import cross_domain
from gazecourse.comparison import Recipe, Size, fit
from gazecourse.cross_domain import (
    NETWORKS,
    SOURCES,
    TARGETS,
    TASKS,
    Task,
    continued,
    domain_adversarial,
    face_band,
    few_faces,
    first,
    opponent,
    plain,
    purified,
    source_faces,
    source_set,
    target_faces,
    with_blur,
)
from gazecourse.faces import rendering
from gazecourse.faces.dataset import FaceDataset, face_set
from gazecourse.models.domain_adversarial import DomainAdversarial, ReverseGradient
from gazecourse.purification import Purification
from gazecourse.training import make_fabric, predict

TINY = Size(face=112, width=0.05, stride=2)
ONE_STEP = Recipe(epochs=1, batch_size=8)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Sixteen rendered faces of four people, at the size that the quick networks want."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAZECOURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(rendering, "available_cores", lambda: 1)
        yield FaceDataset("laptop", "train", "quick", size=TINY.face, people=4, images=16)


def trained(method, faces, **changes):
    model, _ = fit(method, faces, ONE_STEP, size=TINY, fabric=make_fabric(accelerator="cpu"), **changes)
    return model


# ---------------------------------------------------------------------- tasks


def test_the_tasks_are_the_papers_four():
    assert [str(task) for task in TASKS] == ["studio → laptop", "studio → lab", "wild → laptop", "wild → lab"]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("laptop", "laptop", "source must not be the target domain"),
        ("laptop", "lab", "source must be one of 'studio', 'wild'"),
        ("studio", "wild", "target must be one of 'laptop', 'lab'"),
        ("moon", "lab", "source must be one of"),
    ],
)
def test_a_target_domain_listed_as_source_is_refused_before_training(source, target, message):
    with pytest.raises(ValueError, match=message):
        Task(source, target)


def test_nobody_trains_on_a_target_domain_by_mistake():
    for target in TARGETS:
        with pytest.raises(ValueError, match="domain must be one of"):
            source_faces(target)
    for source in SOURCES:
        with pytest.raises(ValueError, match="domain must be one of"):
            target_faces(source)


def test_few_faces_are_ninety_different_ones_of_the_target_that_a_seed_repeats(monkeypatch, faces):
    many = torch.arange(len(faces)).repeat(20)
    numbered = faces.subset(many)
    numbered.labels["gaze"] = torch.stack([torch.arange(len(many)), torch.zeros(len(many))], dim=1)
    monkeypatch.setattr(cross_domain, "FaceDataset", lambda domain, split: numbered)
    one, again, other = (few_faces("laptop", seed).gaze[:, 0] for seed in (0, 0, 1))
    assert len(one.unique()) == len(one) == 90
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_few_faces_are_of_a_target_domain_only():
    with pytest.raises(ValueError, match="domain must be one of"):
        few_faces("studio")


@pytest.mark.parametrize("source", SOURCES)
def test_networks_are_trained_on_the_training_people_of_their_source(source, monkeypatch):
    monkeypatch.setattr(cross_domain, "FaceDataset", lambda *arguments, **changes: face_set(*arguments, **changes))
    assert source_faces(source) == source_set(source)
    assert (source_set(source).domain, source_set(source).split) == (source, "train")


# ---------------------------------------------------------------------- methods


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_trains_and_answers_for_its_own_input(name, faces):
    model = trained(plain(name), faces)
    answer = predict(model, faces, plain(name).forward)
    assert answer.shape == (16, 2)
    assert answer.isfinite().all()


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.purified])
def test_a_purified_network_trains_its_decoder_and_its_gaze_side(name, faces):
    method = purified(name, TINY, Purification())
    model = trained(method, faces)
    torch.manual_seed(0)
    before = {n: t.clone() for n, t in continued(method, model).build(TINY).state_dict().items()}
    again = trained(continued(method, model), faces, seed=1).state_dict()
    moved = {n for n, t in again.items() if t.is_floating_point() and not torch.equal(t, before[n])}
    assert any(n.startswith("sa_module.") for n in moved)
    assert any(not n.startswith("sa_module.") for n in moved)


def test_networks_without_an_opponent_in_the_paper_cannot_be_purified():
    with pytest.raises(ValueError, match="name must be one of"):
        purified("RT-Gene", TINY, Purification())


@pytest.mark.parametrize("name", ["ResNet", "Full-Face"])
def test_while_the_opponent_only_watches_the_gaze_side_learns_as_without_it(name, faces):
    alone, watched = trained(plain(name), faces), trained(first(name, TINY), faces)
    inner = {n.removeprefix("gaze_model."): t for n, t in watched.state_dict().items()}
    for n, t in alone.state_dict().items():
        torch.testing.assert_close(inner[n], t, atol=2e-5, rtol=1e-4, msg=n)


@pytest.mark.parametrize("name", ["ResNet", "CA-Net"])
def test_the_second_part_begins_where_the_first_has_ended(name, faces):
    start = trained(first(name, TINY), faces)
    for method in (plain(name), purified(name, TINY, Purification())):
        model = continued(method, start).build(TINY)
        torch.testing.assert_close(predict(model, faces, method.forward), predict(start, faces, method.forward))


def test_dilated_net_drops_half_of_its_units_at_full_width_and_none_where_few_are_left():
    def shares(width):
        network = NETWORKS["Dilated-Net"].build(Size(face=96, width=width, stride=2))
        return {layer.p for layer in network.modules() if isinstance(layer, torch.nn.Dropout)}

    assert shares(0.25) == {0.0}
    assert shares(1.0) == {0.5}


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_built_in_either_profile_with_its_opponent(name, profile, monkeypatch):
    monkeypatch.setenv("GAZECOURSE_PROFILE", profile)
    size = Size(face={"quick": 112, "full": 224}[profile], width=0.05, stride={"quick": 2, "full": 4}[profile])
    NETWORKS[name].build(size)
    if NETWORKS[name].purified is not None:
        assert NETWORKS[name].purified(size).sa_module is not None


def test_an_opponent_that_is_new_begins_at_random_beside_the_gaze_network_that_was_learned(faces):
    start = NETWORKS["ResNet"].build(TINY)
    for method in (domain_adversarial(faces), purified("ResNet", TINY, Purification())):
        model = continued(method, start).build(TINY)
        torch.testing.assert_close(predict(model, faces, method.forward), predict(start, faces, method.forward))


def test_weights_of_another_network_or_width_cannot_begin_a_second_part():
    for start in (NETWORKS["Full-Face"].build(TINY), NETWORKS["ResNet"].build(Size(face=112, width=0.1, stride=2))):
        with pytest.raises(ValueError, match="another architecture, width or size"):
            continued(purified("ResNet", TINY, Purification()), start).build(TINY)


# ---------------------------------------------------------------------- domain-adversarial learning


def test_the_domain_head_learns_and_the_backbone_is_pushed_the_other_way():
    z = torch.randn(3, 4, requires_grad=True)
    (plain_gradient,) = torch.autograd.grad((z**2).sum(), z)
    (reversed_gradient,) = torch.autograd.grad((ReverseGradient.apply(z) ** 2).sum(), z)
    torch.testing.assert_close(reversed_gradient, -plain_gradient)


def test_domain_adversarial_learning_never_reads_a_target_label(faces, monkeypatch):
    target = faces.subset(torch.arange(8))
    method = domain_adversarial(target)
    one = trained(method, faces).state_dict()
    target.labels["gaze"] = torch.full_like(target.labels["gaze"], torch.nan)
    other = trained(method, faces).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_domain_adversarial_baseline_answers_like_any_other_network():
    torch.manual_seed(0)
    model = DomainAdversarial((96, 224), width=0.05).eval()
    images = torch.rand(2, 3, 96, 224)
    gaze, logit = model(images, tell_domain=True)
    torch.testing.assert_close(model(images), gaze)
    assert logit.shape == (2,)


def test_blur_reaches_the_network_with_an_opponent_and_without(faces, monkeypatch):
    monkeypatch.setattr(cross_domain, "randomly_blurred", lambda batch: replace(batch, image=batch.image // 2))
    batch = faces.__getitems__([0, 1])
    darker = replace(batch, image=batch.image // 2)
    for method in (plain("ResNet"), purified("ResNet", TINY, Purification())):
        torch.manual_seed(0)
        model = method.build(TINY).eval()
        losses = method.losses or cross_domain.gaze_losses(method.forward)
        torch.manual_seed(1)
        expected = losses(model, darker)
        torch.manual_seed(1)
        found = with_blur(method).losses(model, batch)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_the_quick_band_holds_the_eyes_of_nearly_every_face(faces, monkeypatch):
    monkeypatch.delenv("GAZECOURSE_PROFILE", raising=False)
    band = face_band()
    points = band.locate(faces.landmarks[:, 36:48], (112, 112))
    inside = (points[..., 1] > 0) & (points[..., 1] < band.size[0])
    assert inside.float().mean() > 0.97
    assert cross_domain.face_band() == band


def test_the_opponent_is_the_papers_in_the_full_profile_and_counts_more_in_the_quick_one(monkeypatch):
    monkeypatch.setenv("GAZECOURSE_PROFILE", "full")
    assert opponent() == Purification(w1=1.0, w2=1.0, k=0.75)
    monkeypatch.setenv("GAZECOURSE_PROFILE", "quick")
    assert opponent() == Purification(w1=1.0, w2=5.0, k=0.75)
