"""The published protocols: who is trained on, who is tested on, and that nobody is both."""

from __future__ import annotations

import pytest
import releases as made
import scipy.io

from gazecourse import cross_domain, protocols
from gazecourse.datasets import open_release
from gazecourse.datasets.preparing import prepare
from gazecourse.errors import CourseError
from gazecourse.protocols import CROSS, base, folds, held_out_people, is_real, training


@pytest.fixture
def stored(cache, tmp_path):
    """Prepares a small release."""

    def make(name, maker, kind=None, **options):
        root = maker(tmp_path / f"{name}-{kind}", **options)
        return prepare(open_release(name, root, kind, missing_ok=True), size=16, processes=1, progress=False)

    return make


def test_mpiifacegaze_leaves_each_person_out_once(stored):
    stored("mpiifacegaze", made.mpiifacegaze_normalized, people=(0, 3, 14), images=2)
    parts = folds("mpiifacegaze", "mpiifacegaze", 16)
    assert [fold.name for fold in parts] == ["p00", "p03", "p14"]
    for fold, person in zip(parts, (0, 3, 14), strict=True):
        assert fold.test().people == [person]
        assert fold.train().people == [other for other in (0, 3, 14) if other != person]
        assert len(fold.train()) + len(fold.test()) == 6


def test_eyediap_leaves_a_quarter_of_its_people_out(stored):
    stored("eyediap", lambda root: made.gazehub(root, "eyediap", 1), "gazehub")
    parts = folds("eyediap", "eyediap", 16)
    assert [fold.name for fold in parts] == ["part1", "part2", "part3", "part4"]
    tested = [fold.test().people for fold in parts]
    assert tested == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11], [14, 15, 16]]
    for fold in parts:
        assert not set(fold.train().people) & set(fold.test().people)
        assert len(fold.train()) + len(fold.test()) == 14


def test_gaze360_has_its_own_splits(stored):
    stored("gaze360", made.gaze360)
    (fold,) = folds("gaze360", "gaze360", 16)
    assert (fold.name, len(fold.train()), len(fold.test())) == ("", 2, 2)


def test_across_sets_one_trains_and_the_other_tests(stored):
    stored("eth_xgaze", made.eth_xgaze)
    stored("gaze360", made.gaze360)
    stored("mpiifacegaze", made.mpiifacegaze_raw, "raw")
    stored("eyediap", lambda root: made.gazehub(root, "eyediap", 1), "gazehub")
    sizes = {"eth_xgaze": 6, "gaze360": 2, "mpiifacegaze": 4, "eyediap": 14}
    for source, target in CROSS:
        (fold,) = folds(source, target, 32)
        train, test = fold.train(), fold.test()
        assert (train.domain, test.domain) == (source, target)
        assert (len(train), len(test)) == (sizes[source], sizes[target])
        assert train[0].image.shape == (3, 32, 32)
        assert not train.gaze.isnan().any()
    assert training("eth_xgaze", 32).train().people == [0, 27], "never the test people"


def test_faces_without_landmarks_get_the_usual_places_of_the_eyes(stored):
    stored("eth_xgaze", made.eth_xgaze)
    assert training("eth_xgaze", 32).train()[0].landmarks.shape == (2, 2)


def test_the_tasks_are_those_of_the_comparisons_and_their_rendered_likenesses():
    assert [f"{s} → {t}" for s, t in CROSS] == [
        "eth_xgaze → mpiifacegaze", "eth_xgaze → eyediap", "gaze360 → mpiifacegaze", "gaze360 → eyediap",
    ]  # fmt: skip
    assert len(CROSS) == len(cross_domain.TASKS)


def test_rendered_domains_are_sets_too(monkeypatch):
    asked = []
    monkeypatch.setattr(cross_domain, "source_faces", lambda domain: asked.append(("source", domain)))
    monkeypatch.setattr(cross_domain, "test_faces", lambda domain: asked.append(("test", domain)))
    monkeypatch.setattr(protocols, "FaceDataset", lambda *arguments: asked.append(arguments))
    for source, target in (("studio", "lab"), ("laptop", "laptop")):
        (fold,) = folds(source, target, 112)
        fold.train(), fold.test()
    assert asked == [("source", "studio"), ("test", "lab"), ("laptop", "train"), ("test", "laptop")]


def test_all_rendered_domains_together_are_trained_on_and_not_tested_on(monkeypatch):
    monkeypatch.setattr(cross_domain, "source_faces", lambda domain: [domain] * 3)
    monkeypatch.setattr(cross_domain, "test_faces", lambda domain: [f"other people of {domain}"])
    monkeypatch.setattr(protocols, "FaceDataset", lambda domain, split: [domain] * 2)
    (fold,) = folds("rendered", "lab", 16)
    assert list(fold.train()) == ["studio"] * 3 + ["wild"] * 3 + ["laptop"] * 2 + ["lab"] * 2
    assert fold.test() == ["other people of lab"]
    assert not is_real("rendered")
    with pytest.raises(CourseError, match="rendered is to be trained on; test on one of studio, wild"):
        folds("studio", "rendered", 16)
    with pytest.raises(CourseError, match="rendered is to be trained on"):
        protocols.faces("rendered", "test", 16)


def test_labels_that_nobody_has_cannot_be_evaluated():
    with pytest.raises(CourseError, match=r"ETH-XGaze keeps the labels of its test set.*predict RUN --on eth_xgaze"):
        folds("gaze360", "eth_xgaze", 112)


@pytest.mark.parametrize(("name", "expected"), [("mpiifacegaze-raw-224px", "mpiifacegaze"), ("studio", "studio")])
def test_a_name_stands_for_its_set(name, expected):
    assert base(name) == expected
    assert is_real(name) == (expected == "mpiifacegaze")


def test_unknown_sets_are_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"set must be one of studio, wild, laptop, lab, rendered, mpii.*; got 'moon'"):
        folds("studio", "moon", 112)


def test_one_person_alone_cannot_be_left_out():
    with pytest.raises(ValueError, match=r"people must be two or more, .*; mpiifacegaze holds 1"):
        list(held_out_people("mpiifacegaze", [4]))


def test_set_without_test_faces_is_named(stored):
    def only_validation(root):
        made.gaze360(root)
        content = scipy.io.loadmat(root / "metadata.mat")
        content["split"][:] = 1
        scipy.io.savemat(root / "metadata.mat", {k: v for k, v in content.items() if not k.startswith("__")})
        return root

    stored("gaze360", only_validation)
    with pytest.raises(CourseError, match=r"gaze360-faces-16px holds no test faces; splits there: .*'val': 7"):
        protocols.faces("gaze360", "test", 16)
