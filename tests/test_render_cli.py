"""data_scripts/render_faces.py as a person types it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from loading import load_script

from gazecourse.faces import rendering, shards
from gazecourse.faces.shards import FaceSet

SCRIPT = Path(__file__).resolve().parents[1] / "data_scripts" / "render_faces.py"
TINY = ["--domain", "lab", "--people", "2", "--images", "6", "--size", "32", "--processes", "1", "--device", "cpu"]
# A shell that starts a job in the background has it ignore interrupts, and so all that the job starts.
WITH_SMALL_SHARDS = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from gazecourse.faces import rendering, shards
shards.SHARD_IMAGES, rendering.CPU_PIXELS = 4, 4 * 16**2
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
main = load_script("data_scripts/render_faces.py").main


@pytest.fixture(autouse=True)
def small_shards(monkeypatch, cache):
    monkeypatch.setattr(shards, "SHARD_IMAGES", 2)
    monkeypatch.setattr(rendering, "CPU_PIXELS", 2 * 32**2)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code and what was printed, without the progress bar."""
    try:
        code = main(list(arguments))
    except SystemExit as exit:
        code = exit.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err.rpartition("\r")[2]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.*")) if path.is_file()}


def test_two_shares_make_up_the_set_that_one_run_writes(tmp_path, capsys):
    assert run(capsys, *TINY, "--out", str(tmp_path / "one"))[0] == 0
    code, out, _ = run(capsys, *TINY, "--out", str(tmp_path / "two"), "--shard", "0/2")
    assert (code, out.split()[0]) == (0, "4")
    code, out, _ = run(capsys, *TINY, "--out", str(tmp_path / "two"), "--shard", "1/2")
    assert (code, out.split()[0]) == (0, "2")
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert len(content(tmp_path / "one")) == 6


def test_set_lands_where_the_course_looks_unless_told_otherwise(cache, capsys):
    assert run(capsys, *TINY, "--split", "test", "--seed", "5")[0] == 0
    (folder,) = (cache / "data" / "synthetic").iterdir()
    assert folder == FaceSet("lab", "test", 32, 2, 6, 5).folder


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--domain", "kitchen"], "error: domain must be one of 'studio', 'wild', 'laptop', 'lab'; got 'kitchen'."),
        (["--split", "val"], "error: split must be one of 'train', 'test'; got 'val'."),
        (["--size", "0"], "error: size must be 16 or more, at most 1024; got 0."),
        (["--size", "big"], "error: argument --size: invalid int value: 'big' (see --help)"),
        (["--people", "0"], "error: people must be 1 or more, at most 500000; got 0."),
        (["--people", "7"], "error: people must be at most images, 6; got 7."),
        (["--images", "-1"], "error: images must be 1 or more; got -1."),
        (["--seed", "-1"], "error: seed must be 0 or more, at most 2147483647; got -1."),
        (["--processes", "0"], "error: processes must be 1 or more; got 0."),
        (
            ["--shard", "2/2"],
            "error: argument --shard: must be i/n with 0 <= i < n, such as 0/2; got '2/2' (see --help)",
        ),
        (
            ["--shard", "one"],
            "error: argument --shard: must be i/n with 0 <= i < n, such as 0/2; got 'one' (see --help)",
        ),
        (["--colour", "red"], "error: unrecognized arguments: --colour red (see --help)"),
    ],
)
def test_bad_argument_gets_one_sentence_and_leaves_nothing(arguments, sentence, capsys, cache):
    code, out, err = run(capsys, *TINY, *arguments)
    assert code != 0
    assert out == ""
    assert err == sentence + "\n"
    assert not cache.exists()


def test_missing_argument_gets_one_sentence(capsys):
    code, _, err = run(capsys, "--people", "2", "--images", "6")
    assert code == 2
    assert err == "error: the following arguments are required: --domain (see --help)\n"


def test_device_that_is_not_there_gets_one_sentence(capsys, cache):
    code, _, err = run(capsys, *TINY, "--device", "abacus")
    assert code == 1
    assert err.startswith("error: device abacus cannot be used here: ")
    assert err.count("\n") == 1
    assert not cache.exists()


def test_full_disk_gets_one_sentence(monkeypatch, capsys):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, out, err = run(capsys, *TINY)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: ")
    assert "00000.safetensors could not be written: No space left on device." in err


def test_folder_that_cannot_be_made_gets_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, _, err = run(capsys, *TINY, "--out", str(tmp_path / "file"))
    assert code == 1
    assert err.startswith(f"error: The folder {tmp_path / 'file'}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_ended_run_leaves_finished_shards_and_no_processes(signal_number, code, tmp_path):
    arguments = ["--domain", "lab", "--people", "5", "--images", "4000", "--size", "16", "--processes", "2"]
    command = [sys.executable, "-c", WITH_SMALL_SHARDS, str(SCRIPT), *arguments, "--device", "cpu", "--out"]
    running = subprocess.Popen([*command, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    try:
        while not list(tmp_path.rglob("00000.json")):
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.1)
        workers = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal_number)
        said = running.communicate(timeout=60)[1]
    finally:
        running.kill()
    assert running.returncode == code
    assert "Traceback" not in said
    if code == 130:
        assert said.endswith("Stopped. The same command goes on from here.\n")
        assert not list(tmp_path.rglob("*.part"))
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    assert FaceSet("lab", "train", 16, 5, 4000, root=tmp_path).shards()[0].path.exists()
