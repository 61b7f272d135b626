"""The benchmark of notebooks: it executes solved copies, without runs, and counts what the kernel takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gazecourse.notebooks import sources
from gazecourse.paths import cache_dir, data_dir, runs_dir

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import notebooks as benchmark

SOURCE = """# %%
class check:
    work = staticmethod(lambda function: function)

# %% exercise: work
def work():
    # --- stub
    raise NotImplementedError
    # --- solution
    import sys, time
    from pathlib import Path
    from gazecourse.paths import data_dir, runs_dir
    assert (data_dir() / "faces").is_file() and not runs_dir().exists()
    runs_dir().mkdir()
    Path("here").touch()
    held, began = b"1" * 300 * 2**20, time.process_time()
    while time.process_time() < began + 1.0:
        pass
    time.sleep(0.5)

# %%
work = check.work(work)

# %%
work()
"""


@pytest.fixture
def learned(cache):
    """The cache of a learner, with a face and a run."""
    for folder in (data_dir(), runs_dir()):
        folder.mkdir(parents=True)
    (data_dir() / "faces").touch()
    return cache


@pytest.fixture
def another_program():
    """A process of a test before, with 700 MB."""
    hold = "held = b'1' * 700 * 2**20; print(flush=True); import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield
        process.kill()


@pytest.mark.usefixtures("another_program")
def test_a_solved_notebook_runs_with_the_faces_and_without_the_runs_and_leaves_nothing_behind(learned, tmp_path):
    source = tmp_path / "notebooks" / "source" / "00_work.py"
    source.parent.mkdir(parents=True)
    source.write_text(SOURCE)
    found = benchmark.measure(source)
    assert found["notebook"] == "00_work"
    assert found["core_seconds"] >= 1.0
    assert found["seconds"] >= 1.5
    assert 0.3 < found["peak_memory_gib"] < 0.3 + 0.3, "that of the kernel alone"
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".ipynb" or path.name == "here"] == []
    assert (cache_dir(), list(runs_dir().iterdir())) == (learned, [])


def test_the_table_sums_minutes_and_has_the_largest_peak():
    stems = ("00_start_here", "07_clip")
    rows = [
        {"notebook": stem, "seconds": seconds, "core_seconds": 1.0, "peak_memory_gib": peak}
        for stem, seconds, peak in zip(stems, (30.0, 90.0), (2.04, 1.0), strict=True)
    ]
    assert benchmark.table(rows).splitlines()[2:] == [
        "| 00 Start here | 0.5 | 2.0 |",
        "| 07 CLIP | 1.5 | 1.0 |",
        "| all | 2.0 | 2.0 |",
    ]


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Which notebooks are executed, and what is written; a file with two rows, one of a notebook that is gone."""
    executed, written = [], []
    rows = [{"notebook": "01_gaze_geometry", "seconds": 1.0}, {"notebook": "99_gone", "seconds": 1.0}]
    (tmp_path / "notebooks.json").write_text(json.dumps({"measurements": rows}))

    def measure(source):
        executed.append(source)
        return {"notebook": source.stem, "seconds": 6.0}

    monkeypatch.setattr(benchmark, "RESULT", tmp_path / "notebooks.json")
    monkeypatch.setattr(benchmark, "prepare", lambda profile: None)
    monkeypatch.setattr(benchmark, "measure", measure)
    monkeypatch.setattr(benchmark, "table", lambda rows: "")
    monkeypatch.setattr(benchmark, "write", lambda name, device, **content: written.append((name, content)))
    return executed, written


def test_results_are_written_after_each_notebook(measured):
    executed, written = measured
    benchmark.main([])
    assert executed == sources()
    assert {name for name, _ in written} == {"notebooks"}
    assert len(written) == len(sources())
    rows = written[-1][1]["measurements"]
    assert [(row["notebook"], row["seconds"]) for row in rows] == [(source.stem, 6.0) for source in sources()]


def test_some_notebooks_leave_the_numbers_of_others_as_they_are(measured):
    executed, written = measured
    benchmark.main(["--only", "00", "03"])
    assert [source.name[:2] for source in executed] == ["00", "03"]
    rows = written[-1][1]["measurements"]
    expected = [("00_start_here", 6.0), ("01_gaze_geometry", 1.0), ("03_alexnet", 6.0)]
    assert [(row["notebook"], row["seconds"]) for row in rows] == expected
    assert [row["notebook"] for row in written[0][1]["measurements"]] == ["00_start_here", "01_gaze_geometry"]


def test_dry_run_writes_nothing(measured):
    executed, written = measured
    benchmark.main(["--dry", "--only", "00"])
    assert len(executed) == 1
    assert written == []
