"""The lists of packages agree with each other, and the shipped files with what is said about them."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gazecourse import course

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUN_TIME = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(text) for text in texts] for name, texts in PROJECT["optional-dependencies"].items()}
DIRECT = [*RUN_TIME, *EXTRAS["test"]]
PLATFORM_ONLY = {"appnope", "colorama", "pywinpty"}  # macOS, Windows: cannot be resolved on another system


def exact_pins(lines: list[str]) -> dict[str, str]:
    """Name and version of each line; every line must pin one exact version."""
    pins: dict[str, str] = {}
    for line in lines:
        requirement = Requirement(line)
        [specifier] = requirement.specifier
        assert specifier.operator == "==", f"{line} is not an exact pin"
        name = canonicalize_name(requirement.name)
        assert name not in pins, f"{name} is pinned twice"
        pins[name] = specifier.version
    return pins


def constraints() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return exact_pins([line for line in lines if line and not line.startswith("#")])


def conda_environment() -> tuple[list[str], list[str]]:
    """What conda installs, and what it hands to pip."""
    entries = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    [pip_section] = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    return [entry for entry in entries if isinstance(entry, str)], pip_section


#: The markers of the system that the pins were made on, so that every system comes to the same verdict.
TESTED_ON = {"python_version": "3.11", "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
#: A CUDA build of torch pins its own libraries.
CUDA = re.compile(r"nvidia-|cuda-|triton")


def requires(name: str) -> list[Requirement]:
    """What an installed package requires; nothing for one that only other systems need."""
    try:
        return [Requirement(text) for text in importlib.metadata.requires(name) or []]
    except importlib.metadata.PackageNotFoundError:
        return []


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    contexts = [{**TESTED_ON, "extra": extra} for extra in (extras or {""})]
    return requirement.marker is None or any(requirement.marker.evaluate(context) for context in contexts)


def closure(requirements: list[Requirement]) -> set[str]:
    """Names of everything that these packages need in turn."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        entry = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if entry not in seen and not CUDA.match(entry[0]):
            seen.add(entry)
            waiting.extend(needed for needed in requires(entry[0]) if applies(needed, entry[1]))
    return {name for name, _ in seen}


@pytest.mark.parametrize("requirement", [*DIRECT, *EXTRAS["head"]], ids=str)
def test_pin_lies_in_the_range_of_pyproject(requirement):
    assert requirement.specifier.contains(constraints()[canonicalize_name(requirement.name)])


def test_everything_needed_in_turn_is_pinned():
    assert closure(DIRECT) - constraints().keys() == set()


def test_nothing_is_pinned_that_is_not_needed():
    head_only = {"anny", "roma", "trimesh", "warp-lang", "requests"}
    assert constraints().keys() - closure(DIRECT) - PLATFORM_ONLY - head_only == set()


def test_constraints_hold_no_local_versions_or_paths():
    assert not re.search(r"\+|@|/|-e ", "\n".join(f"{n}=={v}" for n, v in constraints().items()))


def test_environment_pins_every_dependency_like_constraints():
    _, pip_section = conda_environment()
    pins = exact_pins([entry for entry in pip_section if not entry.startswith("--")])
    names = {canonicalize_name(requirement.name) for requirement in DIRECT}
    assert pins == {name: version for name, version in constraints().items() if name in names}


def test_environment_installs_the_course_under_the_constraints():
    _, pip_section = conda_environment()
    options = [entry for entry in pip_section if entry.startswith("--")]
    assert options == ["--constraint constraints.txt", "--editable ."]


def test_environment_has_a_python_that_the_course_supports():
    conda, _ = conda_environment()
    [python] = [entry.removeprefix("python=") for entry in conda if entry.startswith("python=")]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)


def test_kernel_without_callbacks_during_cells_is_excluded():
    [ipykernel] = [requirement for requirement in RUN_TIME if requirement.name == "ipykernel"]
    assert ipykernel.specifier.contains("7.3.0")
    assert not ipykernel.specifier.contains("7.4.0")


def run_python(code: str) -> str:
    """Output of a fresh interpreter, which must not fail."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_course_does_not_import_torch():
    assert run_python("import sys, gazecourse; print('torch' in sys.modules)") == "False"


USE_TORCHVISION = """
import torch, torchvision
from torchvision.transforms import v2
images = v2.Resize(64)(torch.zeros(2, 3, 96, 96))
print(list(torchvision.models.resnet18(num_classes=2)(images).shape))
"""


def test_torchvision_works_after_the_course_is_imported():
    assert run_python("import gazecourse" + USE_TORCHVISION) == "[2, 2]"


def test_torchvision_works_after_a_first_import_without_the_course():
    first = "try:\n    import torchvision\nexcept RuntimeError:\n    pass\nimport gazecourse"
    assert run_python(first + USE_TORCHVISION) == "[2, 2]"


DECLARED_BY_A_MATCHING_EXTENSION = """
import torch
real = torch.library.Library("torchvision", "DEF")
real.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
real.impl("nms", lambda dets, scores, iou_threshold: torch.tensor([7]), "CPU")
import gazecourse.torchvision_compat as compat
compat._declare_missing_operators()
compat._declare_missing_operators()
print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).item(), hasattr(torch.ops.torchvision, "qnms"))
"""


def test_operators_that_loaded_are_left_alone():
    assert run_python(DECLARED_BY_A_MATCHING_EXTENSION) == "7 True"


def test_hook_is_installed_once():
    before, again = "import sys, gazecourse; before = list(sys.meta_path)", "gazecourse.torchvision_compat.install()"
    assert run_python(f"{before}; {again}; print(sys.meta_path == before)") == "True"


def test_citation_and_changelog_name_the_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    version = importlib.metadata.version("gazecourse")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == version
    assert {"message", "title", "authors", "license"} <= citation.keys()
    assert f"## [{version}]" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def test_readme_shows_the_course_map_of_this_version():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = readme.split("<!-- course map -->")[1].split("<!-- end of course map -->")[0].strip()
    assert shown == re.sub(r"\((\d\d_\w+\.ipynb)\)", r"(notebooks/\1)", course.course_map())
