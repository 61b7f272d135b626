"""The comparison of Full-Face's paper: every method trains and answers in one form, and the folds leave nobody out."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecourse.augment import mirror
from gazecourse.batches import Batches, seed_all
from gazecourse.checkpoint import FILE_NAME, load_checkpoint
from gazecourse.comparison import (
    METHODS,
    Recipe,
    Size,
    fit,
    from_everything,
    from_eyes,
    from_face,
    gaze_losses,
    groups_of_people,
    regress_head_pose,
    size_of_profile,
)
from gazecourse.faces import rendering
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS
from gazecourse.history import History
from gazecourse.sample import Sample, collate
from gazecourse.training import Settings, make_fabric, predict, train

PEOPLE, IMAGES = 4, 20
TINY = Size(face=64, width=0.05, stride=2)
ONE_STEP = Recipe(epochs=1, batch_size=16)


def cpu():
    return make_fabric(accelerator="cpu")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Twenty rendered faces of four people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAZECOURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(rendering, "available_cores", lambda: 1)
        yield FaceDataset("laptop", "train", "quick", size=TINY.face, people=PEOPLE, images=IMAGES)


@pytest.fixture(scope="module")
def scene():
    """The same twenty faces as the physical camera has them, before normalization."""
    return DOMAINS["laptop"].scene(range(IMAGES), people=PEOPLE, seed=0, split="train")


# ---------------------------------------------------------------------- what samples know about the room


def test_face_center_is_that_of_the_physical_camera(faces, scene):
    torch.testing.assert_close(faces.face_center, scene.face_center.float(), atol=0.01, rtol=0)
    assert (faces.face_center[:, :2].abs().max(0).values > 10).all(), "the normalized camera has it at (0, 0, z)"


def test_screen_is_the_point_looked_at(faces, scene):
    torch.testing.assert_close(faces.screen, scene.screen.locate(scene.target).float(), atol=0.01, rtol=0)


def test_a_set_in_which_some_look_elsewhere_has_no_screen(faces):
    copied = faces.subset(range(4))
    copied.labels["screen"][2] = torch.nan
    part = copied.subset(range(4))
    assert part.screen is None
    assert part[0].screen is None
    assert part.__getitems__([0, 1]).screen is None
    assert torch.equal(part.subset([0, 1, 3]).screen, faces.screen[[0, 1, 3]]), "these look at the screen"
    assert faces.screen is not None, "subsets are copies"


def test_samples_and_batches_carry_face_center_and_screen(faces):
    batch, single = faces.__getitems__([3, 1, 8]), collate([faces[3], faces[1], faces[8]])
    for name in ("face_center", "screen"):
        assert torch.equal(getattr(batch, name), getattr(faces, name)[[3, 1, 8]]), name
        assert torch.equal(getattr(single, name), getattr(batch, name)), name
        assert getattr(batch.to("meta"), name).device.type == "meta"
        assert torch.equal(getattr(faces[-1], name), getattr(faces, name)[-1]), name
    assert collate([faces[3], Sample(faces[1].image, faces[1].gaze)]).face_center is None


# ---------------------------------------------------------------------- people


@settings(max_examples=50)
@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=30, unique=True), st.data())
def test_groups_of_people_are_a_partition_into_groups_of_almost_one_size(people, data):
    count = data.draw(st.integers(2, len(people)))
    groups = groups_of_people(people, count, seed=data.draw(st.integers(0, 9)))
    assert len(groups) == count
    assert sorted(person for group in groups for person in group) == sorted(people)
    sizes = [len(group) for group in groups]
    assert max(sizes) - min(sizes) <= 1
    assert all(group == sorted(group) for group in groups)
    assert all(type(person) is int for group in groups for person in group)


def test_the_seed_and_not_the_moment_decides_who_shares_a_group():
    people = list(range(40))
    assert groups_of_people(people, 4, 1) == groups_of_people(people, 4, 1)
    assert groups_of_people(people, 4, 1) != groups_of_people(people, 4, 2)
    assert groups_of_people(people, 4, 1) != [list(range(i, i + 10)) for i in range(0, 40, 10)]


def test_as_many_groups_as_people_is_leave_one_person_out():
    assert sorted(groups_of_people([5, 9, 2], 3)) == [[2], [5], [9]]


def test_groups_are_what_split_people_takes(faces):
    groups = groups_of_people(faces.people, 2)
    tested = torch.zeros(len(faces), dtype=torch.long)
    for group in groups:
        training, test = faces.split_people(group)
        assert not set(training.people) & set(test.people)
        assert len(training) + len(test) == IMAGES
        tested += torch.isin(faces.person, torch.tensor(group))
    assert (tested == 1).all(), "every image is tested once"


@pytest.mark.parametrize(
    ("people", "groups", "error", "message"),
    [
        ([1, 2, 3], 1, ValueError, "groups must be 2 or more, at most 3; got 1"),
        ([1, 2, 3], 4, ValueError, "groups must be 2 or more, at most 3; got 4"),
        ([1, 2, 3], 2.0, TypeError, "groups must be a whole number"),
        ([1, 2, 2], 2, ValueError, "people must name everybody once; somebody is named twice"),
    ],
)
def test_impossible_groups_are_refused(people, groups, error, message):
    with pytest.raises(error, match=message):
        groups_of_people(people, groups)


# ---------------------------------------------------------------------- head pose


def test_regression_recovers_an_affine_map_exactly():
    generator = torch.Generator().manual_seed(0)
    matrix, offset = torch.tensor([[0.9, -0.2], [0.1, 1.3]]), torch.tensor([0.05, -0.4])
    head, other = (torch.rand(count, 2, generator=generator) - 0.5 for count in (12, 5))
    predict_gaze = regress_head_pose(head, head @ matrix.T + offset)
    assert predict_gaze(other).dtype == torch.float32
    torch.testing.assert_close(predict_gaze(other), other @ matrix.T + offset, atol=1e-6, rtol=0)
    torch.testing.assert_close(predict_gaze(torch.zeros(1, 2)), offset[None], atol=1e-6, rtol=0)


def test_regression_of_noise_is_least_squares():
    rng = np.random.default_rng(0)
    head, gaze = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    design = np.c_[head, np.ones(30)]
    expected = design @ np.linalg.pinv(design) @ gaze
    predict_gaze = regress_head_pose(torch.from_numpy(head), torch.from_numpy(gaze))
    np.testing.assert_allclose(predict_gaze(torch.from_numpy(head)).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("head", "gaze", "message"),
    [
        (torch.rand(5, 3), torch.rand(5, 2), r"head must have shape \[N, 2\]"),
        (torch.rand(5, 2), torch.rand(4, 2), r"gaze must have shape \[5, 2\]"),
        (torch.full((5, 2), math.nan), torch.rand(5, 2), "head must be finite"),
    ],
)
def test_regression_names_what_does_not_fit(head, gaze, message):
    with pytest.raises(ValueError, match=message):
        regress_head_pose(head, gaze)


def test_regression_refuses_fewer_than_three_head_poses():
    with pytest.raises(ValueError, match="head must"):
        regress_head_pose(torch.rand(2, 2), torch.rand(2, 2))


def test_regression_takes_arrays_or_names_them():
    try:
        regress_head_pose(np.random.default_rng(0).normal(size=(5, 2)), np.zeros((5, 2)))
    except TypeError as error:
        assert str(error).startswith("head must")  # noqa: PT017


def test_regression_from_arrays_predicts_for_arrays():
    head = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(np.asarray(regress_head_pose(head, 2 * head)(head)), 2 * head, atol=1e-9)


# ---------------------------------------------------------------------- the methods


def test_methods_go_by_the_names_of_the_paper():
    assert list(METHODS) == [
        "single eye",
        "two eyes",
        "two eyes and head pose",
        "iTracker",
        "iTracker (face only)",
        "Full-Face without weights",
        "Full-Face",
    ]
    assert all(name == method.name for name, method in METHODS.items())


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_trains_a_step_and_gives_a_gaze_for_every_face(name, faces):
    method = METHODS[name]
    torch.manual_seed(0)
    model, history = fit(method, faces, ONE_STEP, size=TINY, seed=3, fabric=cpu())
    assert history.status == "finished"
    assert [r["step"] for r in history.records if r["kind"] == "train"] == [1]
    gaze = predict(model, faces, method.forward, batch_size=7)
    assert gaze.shape == (IMAGES, 2)
    assert gaze.isfinite().all()
    assert gaze.std(0).min() > 0, "faces differ"
    assert not model.training

    seed_all(3)
    before = method.build(TINY)
    still = [
        name for (name, p), q in zip(model.named_parameters(), before.parameters(), strict=True) if torch.equal(p, q)
    ]
    assert still == [], "every weight has learned something"


LOOKS_AT = {
    "single eye": {"landmarks"},
    "two eyes": {"landmarks"},
    "two eyes and head pose": {"landmarks", "head"},
    "iTracker": {"landmarks", "face_center"},
    "iTracker (face only)": set(),
    "Full-Face without weights": set(),
    "Full-Face": set(),
}


@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_sees_the_labels_that_it_may_see_and_no_others(name, faces):
    torch.manual_seed(0)
    model, batch = METHODS[name].build(TINY).eval(), faces.__getitems__(range(4))
    other = faces.__getitems__(range(4, 8))
    before = METHODS[name].forward(model, batch)
    for label in ("gaze", "head", "landmarks", "face_center", "screen", "person"):
        changed = Sample(**{**vars(batch), label: getattr(other, label)})
        seen = not torch.equal(METHODS[name].forward(model, changed), before)
        assert seen == (label in LOOKS_AT[name]), label


def test_single_eye_sees_the_persons_right_eye_only(faces):
    torch.manual_seed(0)
    batch = faces.__getitems__(range(4))
    for name, sees_left in (("single eye", False), ("two eyes", True)):
        model = METHODS[name].build(TINY).eval()
        before = METHODS[name].forward(model, batch)
        for eye, seen in ((slice(36, 42), True), (slice(42, 48), sees_left)):
            landmarks = batch.landmarks.clone()
            landmarks[:, eye] += 5.0
            moved = METHODS[name].forward(model, Sample(**{**vars(batch), "landmarks": landmarks}))
            assert torch.equal(moved, before) != seen, (name, eye)


def test_full_face_differs_from_itself_without_weights_by_the_weights_alone():
    torch.manual_seed(0)
    whole, without = (METHODS[name].build(TINY) for name in ("Full-Face", "Full-Face without weights"))
    extra = {name: p for name, p in whole.named_parameters() if name.startswith("spatial_weights")}
    own, other = dict(whole.named_parameters()), dict(without.named_parameters())
    assert own.keys() - other.keys() == extra.keys()
    assert all(own[name].shape == p.shape for name, p in other.items())


def test_sizes_of_the_profiles(monkeypatch):
    monkeypatch.setenv("GAZECOURSE_PROFILE", "quick")
    assert size_of_profile() == Size(face=112, width=0.25, stride=2)
    monkeypatch.setenv("GAZECOURSE_PROFILE", "full")
    assert size_of_profile() == Size(face=224, width=1.0, stride=4)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_can_be_built_at_both_profiles_sizes(name):
    with torch.device("meta"):
        for size in (Size(face=112, width=0.25, stride=2), Size(face=224, width=1.0, stride=4)):
            model = METHODS[name].build(size)
            faces_seen = [m for part, m in model.named_children() if part in ("features", "face_features")]
            if isinstance(faces_seen[0], torch.nn.Sequential):
                maps = faces_seen[0](torch.empty(1, 3, size.face, size.face))
                assert tuple(maps.shape[2:]) == (6, 6), "stride 2 at half the size"


@pytest.mark.parametrize(
    ("forward", "name", "missing", "error", "message"),
    [
        (from_eyes, "two eyes", "landmarks", ValueError, r"landmarks must be \[B, 68, 6 or 2, 2\]; got None"),
        (from_everything, "iTracker", "landmarks", ValueError, r"landmarks must be \[B, 68, 6 or 2, 2\]; got None"),
        (from_everything, "iTracker", "face_center", ValueError, r"batch\.face_center must be \[B, 3\]; got None"),
        (from_eyes, "two eyes and head pose", "head", TypeError, "head must be .* got NoneType None"),
    ],
)
def test_a_label_that_the_method_needs_and_the_data_lack_is_named(forward, name, missing, error, message, faces):
    batch = Sample(**{**vars(faces.__getitems__([0, 1])), missing: None})
    with pytest.raises(error, match=message):
        forward(METHODS[name].build(TINY), batch)


def test_faces_of_another_size_than_the_network_are_refused(faces):
    with pytest.raises(ValueError, match=r"image must be RGB \[B, 3, 80, 80\]"):
        from_face(METHODS["Full-Face"].build(Size(face=80, width=0.05, stride=2)), faces.__getitems__([0]))


# ---------------------------------------------------------------------- the recipe


def test_the_same_seed_gives_the_same_network_and_another_seed_another(faces):
    def weights(seed):
        model, _ = fit(METHODS["iTracker"], faces, ONE_STEP, size=TINY, seed=seed, fabric=cpu())
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_a_batch_is_never_larger_than_the_data(faces):
    _, history = fit(
        METHODS["single eye"], faces.subset(range(6)), Recipe(epochs=2, batch_size=50), size=TINY, fabric=cpu()
    )
    assert history.metadata["plan"]["batch_size"] == 6
    assert history.status == "finished"


def test_image_and_target_are_mirrored_together_and_landmarks_shaken(faces):
    batch, seen = faces.__getitems__(range(IMAGES)), []

    def truth(model, given):
        seen.append(given)
        return given.gaze

    torch.manual_seed(0)
    losses = gaze_losses(truth)
    assert losses(None, batch)["loss"] == 0, "who knows the label of the mirrored face makes no error"
    turned = seen[0].gaze[:, 1] != batch.gaze[:, 1]
    assert 0 < turned.sum() < IMAGES
    expected = mirror(batch, turned)
    assert torch.equal(seen[0].image, expected.image)
    offset = seen[0].landmarks - expected.landmarks
    assert (offset - offset[:, :1]).abs().max() < 1e-4
    assert 0.5 < offset[:, 0].std() < 1.5, "a pixel, as a detector errs"


def test_the_loss_is_l1_against_the_gaze(faces):
    batch = faces.__getitems__(range(IMAGES))
    loss = gaze_losses(lambda model, given: torch.zeros(IMAGES, 2))(None, batch)["loss"]
    assert loss.item() == pytest.approx(batch.gaze.abs().mean().item(), rel=1e-5), "mirroring keeps |yaw|"


def test_data_without_landmarks_are_trained_on_by_methods_that_need_none(faces):
    batch = Sample(**{**vars(faces.__getitems__(range(4))), "landmarks": None})
    model = METHODS["Full-Face"].build(TINY)
    assert gaze_losses(from_face)(model, batch)["loss"].isfinite()


# ---------------------------------------------------------------------- numbers that are none

RUN = Settings(epochs=1, batch_size=4, seed=2, save_every=1)
BAD_STEP = 3


class Poisoned(torch.utils.data.Dataset):
    """The same faces, but in one of the last step but one the label or a pixel is not a number."""

    def __init__(self, faces, field):
        self.faces, self.field = faces, field
        self.batch = Batches(faces, RUN.batch_size, RUN.epochs, RUN.seed).indices(BAD_STEP).flatten().tolist()

    def __len__(self):
        return len(self.faces)

    def __getitems__(self, indices):
        batch = self.faces.__getitems__(indices)
        bad = torch.tensor(indices) == self.batch[1]
        values = getattr(batch, self.field).float()
        values[bad] = torch.nan
        setattr(batch, self.field, values)
        return batch


@pytest.fixture
def poisoned_run(faces, tmp_path):
    """Trains on such faces; what is left of a run that failed can be looked at afterwards."""

    class Run:
        def __init__(self):
            self.model = METHODS["Full-Face"].build(TINY)
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

        def train(self, data, forward):
            self.data = data
            train(self.model, gaze_losses(forward), data, self.optimizer, RUN, folder=tmp_path, fabric=cpu())

        def saved(self):
            return load_checkpoint(tmp_path / FILE_NAME, self.model, [self.optimizer])

        def status(self):
            return History.load(tmp_path / "history.jsonl").status

    torch.manual_seed(0)
    return Run()


def test_a_target_that_is_not_a_number_ends_the_run_with_step_and_batch_and_keeps_the_checkpoint(faces, poisoned_run):
    data = Poisoned(faces, "gaze")
    samples = ", ".join(map(str, data.batch))
    message = rf"step 3 \(epoch 1\): loss = nan.*samples {samples} of the data\. Last good checkpoint: that of step 3\."
    with pytest.raises(FloatingPointError, match=message):
        poisoned_run.train(data, from_face)
    assert poisoned_run.saved()["step"] == BAD_STEP
    assert all(p.isfinite().all() for p in poisoned_run.model.parameters())
    assert poisoned_run.status() == "failed"


def test_a_network_that_gives_no_number_ends_the_run_with_step_and_batch_too(faces, poisoned_run):
    with pytest.raises(
        FloatingPointError, match=r"step 0 \(epoch 1\): loss = (inf|nan).*Last good checkpoint: none yet"
    ):
        poisoned_run.train(faces, lambda model, batch: from_face(model, batch) / 0)


def test_an_image_that_is_not_a_number_ends_the_run_and_keeps_the_checkpoint(faces, poisoned_run):
    with pytest.raises(ValueError, match=r"image must be RGB .* got values from nan to nan"):
        poisoned_run.train(Poisoned(faces, "image"), from_face)
    assert poisoned_run.saved()["step"] == BAD_STEP
    assert poisoned_run.status() == "failed"


def test_an_image_that_is_not_a_number_is_traced_to_its_step(faces, poisoned_run):
    with pytest.raises((FloatingPointError, ValueError)) as info:
        poisoned_run.train(Poisoned(faces, "image"), from_face)
    assert "step 3" in " ".join([str(info.value), *getattr(info.value, "__notes__", [])])
