"""Histories survive being cut off, and say what was lost."""

import json
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gazecourse.errors import CourseError
from gazecourse.files import atomic_write
from gazecourse.history import History, describe_run, load_runs, smooth


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "history.jsonl"


def two_steps(path):
    history = History(path, {"seed": 3})
    history.append("train", step=1, loss=2.0)
    history.append("train", step=2, loss=1.0)
    return history


def test_every_record_is_on_disk_at_once_and_loads_again(path):
    history = two_steps(path)
    loaded = History.load(path)
    assert loaded.records == history.records
    assert loaded.metadata == {"seed": 3}
    assert len(path.read_text().splitlines()) == 3


def test_half_written_last_line_is_left_out_and_reported(path):
    two_steps(path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.warns(UserWarning, match=r"history\.jsonl: the last line is half-written"):
        loaded = History.load(path)
    assert [record["step"] for record in loaded.records] == [1]


def test_going_on_after_a_half_written_line_leaves_a_sound_file(path):
    two_steps(path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.warns(UserWarning, match="half-written"):
        loaded = History.load(path)
    loaded.keep(1)
    loaded.append("train", step=2, loss=0.5)
    assert History.load(path).curve("loss")[1].tolist() == [2.0, 0.5]


def test_broken_line_in_the_middle_is_an_error_that_names_it(path):
    two_steps(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{broken", lines[2]]))
    with pytest.raises(ValueError, match="line 2 is not a record"):
        History.load(path)


@pytest.mark.parametrize("text", ["", '{"kind": "train", "step": 1}\n'])
def test_file_without_metadata_is_no_history(path, text):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match="not a training history"):
        History.load(path)


def test_keep_forgets_later_records_on_disk_too(path):
    history = two_steps(path)
    history.keep(1)
    assert History.load(path).records == history.records == [{"kind": "train", "step": 1, "loss": 2.0}]
    with pytest.raises(ValueError, match="count must lie in 0 to 1"):
        history.keep(2)


def test_nan_and_tensors_are_refused(path):
    history = two_steps(path)
    with pytest.raises(ValueError, match="error must be finite; got nan"):
        history.append("evaluation", step=2, error=float("nan"))
    with pytest.raises(TypeError, match="loss must be a number, string or bool; got tensor"):
        history.append("train", step=3, loss=torch.tensor(1.0))
    assert len(history.records) == 2


def test_curve_gives_steps_and_values_and_lists_names_when_asked_for_another(path):
    history = two_steps(path)
    history.append("evaluation", step=2, error=8.0)
    steps, values = history.curve("loss")
    assert steps.tolist() == [1, 2]
    assert values.tolist() == [2, 1]
    assert history.names() == ["loss", "error"]
    assert history.names("evaluation") == ["error"]
    with pytest.raises(ValueError, match="name must be one of loss, error; got 'accuracy'"):
        history.curve("accuracy")


def test_status_is_running_until_the_end_record(path):
    history = two_steps(path)
    assert history.status == "running"
    history.append("end", step=2, status="stopped")
    assert History.load(path).status == "stopped"


def test_load_runs_names_them_by_folder_and_skips_what_is_broken(tmp_path):
    two_steps(tmp_path / "a" / "history.jsonl")
    two_steps(tmp_path / "b" / "seed 1" / "history.jsonl")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "history.jsonl").write_text('nonsense\n{}\n{"kind": "end"}\n')
    with pytest.warns(UserWarning, match="is not a record"):
        runs = load_runs(tmp_path)
    assert list(runs) == ["a", "b/seed 1"]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(0, 0.99))
def test_smoothing_is_the_weighted_mean_of_its_formula(values, weight):
    expected = [np.average(values[: t + 1], weights=weight ** np.arange(t, -1.0, -1)) for t in range(len(values))]
    np.testing.assert_allclose(smooth(values, weight), expected, rtol=1e-9, atol=1e-9)


def test_smoothing_weight_of_one_is_refused():
    with pytest.raises(ValueError, match=r"weight must lie in \[0, 1\); got 1"):
        smooth([1.0], 1)


def test_metadata_of_a_run_is_json_and_names_no_folder():
    metadata = json.loads(json.dumps(describe_run("cpu", seed=1)))
    assert metadata["seed"] == 1
    assert metadata["hardware"]["device"] == "cpu"
    assert metadata["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert os.sep not in metadata["command"].split()[0]


def test_atomic_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    def write_half():
        with atomic_write(file) as temporary:
            temporary.write_text("half of it")
            raise OSError(28, "No space left on device")

    file = tmp_path / "data.bin"
    file.write_text("old")
    with pytest.raises(CourseError, match=r"data\.bin could not be written: No space left on device"):
        write_half()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_folder_that_cannot_be_made_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CourseError, match="could not be written"):
        History(tmp_path / "file" / "history.jsonl")
