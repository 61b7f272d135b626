"""The doctor speaks plainly whatever is broken."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from gazecourse import doctor, paths

REPOSITORY = Path(__file__).resolve().parents[1]


def texts(check) -> str:
    return "\n".join(map(str, check()))


def problems(check) -> list[str]:
    return [finding.text for finding in check() if finding.remedy]


def run_doctor(hidden: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The doctor in a fresh interpreter in which some modules cannot be imported."""
    code = f"""
        import sys

        class Hide:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {hidden.split()!r}:
                    raise ImportError(f"{{name}} is hidden")

        sys.meta_path.insert(0, Hide())
        from gazecourse.__main__ import main
        sys.exit(main(["doctor"]))
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, cwd=REPOSITORY, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("hidden", ["torch", "numpy packaging psutil platformdirs"])
def test_hidden_packages_give_a_remedy_and_exit_code_1_but_no_traceback(hidden):
    done = run_doctor(hidden)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "→" in done.stdout
    assert "Not ready yet" in done.stdout


def test_report_prints_every_section_and_says_whether_one_can_start(capsys):
    ready = doctor.report()
    printed = capsys.readouterr().out
    assert all(title in printed for title in ("Python", "Packages", "Hardware", "Profile", "Tests"))
    assert ("Ready:" in printed) is ready
    assert ("Not ready yet" in printed) is not ready


def test_problem_alone_makes_the_report_negative(monkeypatch, capsys):
    def check(finding):
        return (("Section", lambda: iter([finding])),)

    monkeypatch.setattr(doctor, "_SECTIONS", check(doctor.Finding("only a remark", note=True)))
    assert doctor.report()
    monkeypatch.setattr(doctor, "_SECTIONS", check(doctor.Finding("broken", "mend it")))
    assert not doctor.report()
    assert "✗ broken\n      → mend it" in capsys.readouterr().out


def test_check_that_fails_itself_becomes_a_finding():
    def broken():
        yield doctor.Finding("first")
        raise RuntimeError("no such luck")

    first, second = doctor._findings(broken)
    assert first.text == "first"
    assert "no such luck" in second.text
    assert second.remedy


def test_old_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(3, 10, 4), executable=sys.executable))
    [finding] = doctor.check_python()
    assert finding.remedy == "the course needs Python 3.11 or newer"


def test_version_outside_the_range_is_a_problem():
    installed = importlib.metadata.version("ipykernel")
    assert not doctor._check_package("ipykernel", "ipykernel>=7.1,<7.4", installed).remedy
    assert doctor._check_package("ipykernel", f"ipykernel>{installed}", installed).remedy


def test_untested_version_within_the_range_is_only_a_remark():
    finding = doctor._check_package("psutil", "psutil>=1", "1.2.3")
    assert "tested with 1.2.3" in finding.text
    assert finding.note
    assert not finding.remedy


def test_local_part_of_a_version_is_no_difference():
    assert not doctor._check_package("torch", "torch", importlib.metadata.version("torch").split("+")[0]).note


def test_missing_package_is_named_with_the_command_that_installs_it():
    finding = doctor._check_package("no-such-package", "no-such-package>=1", None)
    assert "no-such-package is not installed" in finding.text
    assert finding.remedy == "pip install -e . -c constraints.txt"


def test_every_dependency_is_reported():
    reported = texts(doctor.check_packages)
    assert all(name in reported for name in ("torch ", "scikit-learn", "ipykernel", "lightning-fabric"))


def test_package_that_raises_anything_at_import_is_a_problem(monkeypatch):
    def fail(name):
        raise OSError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(doctor.importlib, "import_module", fail)
    finding = doctor._check_package("psutil", "psutil", None)
    assert "libcudart" in finding.text
    assert "--force-reinstall" in finding.remedy


@pytest.mark.parametrize(("gpus", "profile"), [([], "quick"), ([("small", 4.0)], "quick"), ([("big", 80.0)], "full")])
def test_profile_follows_the_memory_of_the_gpu(monkeypatch, gpus, profile):
    monkeypatch.setattr(doctor, "_gpu_memory", lambda: gpus)
    monkeypatch.delenv("GAZECOURSE_PROFILE", raising=False)
    assert doctor.fitting_profile() == profile
    assert f"fits the {profile} profile" in texts(doctor.check_profile)


def test_unknown_profile_is_a_problem(monkeypatch):
    monkeypatch.setenv("GAZECOURSE_PROFILE", "huge")
    assert "huge" in problems(doctor.check_profile)[0]


def test_full_disk_is_a_problem(cache, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**8))
    assert "0 GiB free" in problems(doctor.check_hardware)[0]


def test_cache_without_write_permission_is_a_problem(cache, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert "cannot be written" in problems(doctor.check_hardware)[0]


def test_cache_that_does_not_exist_yet_is_fine(cache):
    assert problems(doctor.check_hardware) == []
    assert not cache.exists()


def test_chromium_is_taken_from_the_environment_first(monkeypatch, tmp_path):
    program = tmp_path / "my-chromium"
    program.touch(mode=0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    assert doctor.find_chromium() == str(program)


def test_no_chromium_is_only_a_remark(monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "nothing"))
    [finding] = doctor.check_tests()
    assert finding.note
    assert not finding.remedy


def test_paths_are_shown_from_the_repository_or_home():
    assert doctor._short(REPOSITORY / ".venv" / "bin") == os.path.join(".venv", "bin")
    assert doctor._short(Path.home() / ".cache") == os.path.join("~", ".cache")


@pytest.fixture
def head_model(tmp_path, monkeypatch):
    """A copy of the head model and its checksum that a test may damage."""
    copy = tmp_path / paths.HEAD_MODEL.name
    for file in (paths.HEAD_MODEL, paths.HEAD_MODEL.with_suffix(".sha256")):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(paths, "HEAD_MODEL", copy)
    return copy


def test_shipped_head_model_matches_its_checksum(head_model):
    assert not doctor._check_head_model().remedy


def test_altered_head_model_is_a_problem(head_model):
    content = bytearray(head_model.read_bytes())
    content[-1] ^= 1
    head_model.write_bytes(content)
    assert "altered" in doctor._check_head_model().text


@pytest.mark.parametrize("suffix", [".safetensors", ".sha256"])
def test_missing_head_model_is_a_problem(head_model, suffix):
    head_model.with_suffix(suffix).unlink()
    finding = doctor._check_head_model()
    assert f"head{suffix} cannot be read" in finding.text
    assert finding.remedy.startswith("git checkout")


def test_faces_that_are_not_rendered_are_only_a_remark(cache, monkeypatch):
    monkeypatch.delenv("GAZECOURSE_PROFILE", raising=False)
    finding = doctor._check_faces("wild")
    assert "faces of wild: 0 of 3,600 images" in finding.text
    assert finding.note
    assert not finding.remedy


def test_every_dependency_is_looked_for_under_the_name_that_it_is_imported_by():
    """By what ``pyproject.toml`` says now: what is installed here may be older."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    names = [re.match(r"[\w.-]+", entry).group() for entry in project["project"]["dependencies"]]
    assert "opencv-python-headless" in names
    modules = {name: doctor._MODULES.get(name, name.replace("-", "_")) for name in names}
    assert [name for name, module in modules.items() if find_spec(module) is None] == []
