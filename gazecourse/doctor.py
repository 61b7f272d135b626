"""Says in plain words whether this machine can run the course; ``python -m gazecourse doctor``.

Everything here works with the standard library alone, so that it can still speak when packages are missing or broken.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]
_INSTALL = "pip install -e . -c constraints.txt"
_OLDEST_PYTHON = (3, 11)
_GIB = 2**30

#: Distributions whose module has another name.
_MODULES = {
    "scikit-learn": "sklearn",
    "umap-learn": "umap",
    "pillow": "PIL",
    "jupyter-scatter": "jscatter",
    "opencv-python-headless": "cv2",
}

_CHROMIUM_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_CHROMIUM_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)

FULL_GPU_GIB = 8
QUICK_DISK_GIB = 2
QUICK_MEMORY_GIB = 4


@dataclass(frozen=True)
class Finding:
    """One line of the report. A finding with a remedy is a problem that keeps the learner from starting."""

    text: str
    remedy: str = ""
    note: bool = False

    def __str__(self) -> str:
        mark = "✗" if self.remedy else "·" if self.note else "✓"
        return f"  {mark} {self.text}" + (f"\n      → {self.remedy}" if self.remedy else "")


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome for the browser tests: ``CHROMIUM``, else the usual names and places."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    found = (shutil.which(command) for command in (*_CHROMIUM_COMMANDS, *_CHROMIUM_PLACES))
    return next((path for path in found if path), None)


def _short(path: str | Path) -> str:
    """A path as a person would write it: from the repository, else from the home folder."""
    path = Path(path)
    for start, written in ((_REPOSITORY, ""), (Path.home(), "~")):
        if path.is_relative_to(start):
            return str(Path(written) / path.relative_to(start))
    return str(path)


def check_python() -> Iterator[Finding]:
    """The interpreter: its version, and which one it is."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, _OLDEST_PYTHON))
    too_old = sys.version_info[:2] < _OLDEST_PYTHON
    yield Finding(
        f"Python {version} ({_short(sys.executable)})", f"the course needs Python {wanted} or newer" if too_old else ""
    )


def _pins() -> dict[str, str]:
    """Tested version of each distribution, from ``constraints.txt``; empty where the repository is not at hand."""
    try:
        lines = (_REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split(";")[0].strip().split("==") for line in lines if "==" in line)


def _requirements() -> list[tuple[str, str]]:
    """Name and version range of every package the course needs at run time."""
    wanted = [entry for entry in importlib.metadata.requires("gazecourse") or [] if "extra ==" not in entry]
    return [(re.match(r"[\w.-]+", entry).group(), entry) for entry in wanted]


def _allows(requirement: str, version: str) -> bool:
    """Whether the range in ``"ipykernel<7.4,>=7.1"`` contains a version; True where that cannot be told."""
    try:
        from packaging.requirements import Requirement

        return Requirement(requirement).specifier.contains(version, prereleases=True)
    except ImportError:
        return True


def _check_package(name: str, requirement: str, pin: str | None) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(f"{name} is not installed", _INSTALL)
    try:
        importlib.import_module(_MODULES.get(name, name.replace("-", "_")))
    except Exception as error:  # a broken package may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Finding(
            f"{name} {version} cannot be imported ({reason:.120})",
            f"pip install --force-reinstall -c constraints.txt {name}",
        )
    if not _allows(requirement, version):
        return Finding(f"{name} {version} does not fit ({requirement})", _INSTALL)
    if pin and version.split("+")[0] != pin:
        return Finding(f"{name} {version} (the course was tested with {pin})", note=True)
    return Finding(f"{name} {version}")


def check_packages() -> Iterator[Finding]:
    """Every run-time dependency: is it there, does it import, is its version the tested one?"""
    try:
        requirements = _requirements()
    except importlib.metadata.PackageNotFoundError:
        yield Finding("gazecourse itself is not installed in this Python", _INSTALL)
        return
    pins = _pins()
    findings = [_check_package(name, requirement, pins.get(name)) for name, requirement in requirements]
    as_tested = [finding.text for finding in findings if not finding.remedy and not finding.note]
    if as_tested:
        yield Finding("as tested: " + ", ".join(as_tested))
    yield from (finding for finding in findings if finding.remedy or finding.note)
    yield from _check_torchvision_operators()


def _check_torchvision_operators() -> Iterator[Finding]:
    with contextlib.suppress(Exception):
        from torchvision.extension import _has_ops

        if not _has_ops():
            yield Finding(
                "torchvision was built for another torch: its compiled operators (nms, roi_align) are absent. The "
                "course does not use them; import gazecourse before torchvision and everything else works.",
                note=True,
            )


def _nearest_folder(path: Path) -> Path:
    """The folder itself, or the closest of its parents that exists."""
    return next(parent for parent in (path, *path.parents) if parent.is_dir())


def check_hardware() -> Iterator[Finding]:
    """Cores, memory, GPUs, and room for the rendered faces."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding(f"{cores} CPU core{'s' if cores > 1 else ''} ({platform.machine()}, {platform.system()})")
    with contextlib.suppress(ImportError):
        import psutil

        memory = psutil.virtual_memory().total / _GIB
        yield Finding(f"{memory:.0f} GiB of memory", note=memory < QUICK_MEMORY_GIB)
    yield _describe_gpus()
    yield from _check_disk()


def _gpu_memory() -> list[tuple[str, float]]:
    """Name and memory in GiB of each CUDA GPU that torch can use."""
    try:
        import torch

        devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return [(device.name, device.total_memory / _GIB) for device in devices]
    except Exception:  # torch missing or its CUDA libraries broken: check_packages says so
        return []


def _describe_gpus() -> Finding:
    gpus = _gpu_memory()
    if gpus:
        return Finding("GPU: " + ", ".join(f"{name}, {memory:.0f} GiB" for name, memory in gpus))
    return Finding("no GPU that torch can use; the quick profile does not need one", note=True)


def _check_disk() -> Iterator[Finding]:
    from gazecourse.paths import cache_dir

    folder = _nearest_folder(cache_dir())
    if not os.access(folder, os.W_OK):
        yield Finding(f"{_short(folder)} cannot be written", "set GAZECOURSE_CACHE to a folder of your own")
        return
    free = shutil.disk_usage(folder).free / _GIB
    more = f"free {QUICK_DISK_GIB} GiB there, or set GAZECOURSE_CACHE to a folder with room"
    text = f"{free:.0f} GiB free for rendered faces in {_short(cache_dir())}"
    yield Finding(text, more if free < QUICK_DISK_GIB else "")


def fitting_profile() -> str:
    """``"full"`` with a GPU of at least 8 GiB, else ``"quick"``."""
    return "full" if any(memory >= FULL_GPU_GIB for _, memory in _gpu_memory()) else "quick"


def check_profile() -> Iterator[Finding]:
    """Which profile fits, and which one is in use."""
    from gazecourse import profiles

    fits = fitting_profile()
    try:
        in_use = profiles.profile()
    except ValueError as error:
        yield Finding(str(error), "unset GAZECOURSE_PROFILE, or set it to quick or full")
        return
    advice = "" if in_use == fits else f" (GAZECOURSE_PROFILE={fits} chooses it)"
    yield Finding(f"this machine fits the {fits} profile{advice}; in use: {in_use}", note=in_use != fits)


def _check_head_model() -> Finding:
    """The file is there, and its SHA-256 is the one that stands beside it."""
    from gazecourse.paths import HEAD_MODEL

    name = _short(HEAD_MODEL)
    try:
        digest = hashlib.sha256(HEAD_MODEL.read_bytes()).hexdigest()
        expected = HEAD_MODEL.with_suffix(".sha256").read_text(encoding="ascii").split()[0]
    except OSError as error:
        return Finding(f"head model: {_short(error.filename)} cannot be read", f"git checkout -- {Path(name).parent}")
    if digest != expected:
        return Finding(f"head model: {name} was altered or cut off", f"git checkout -- {name}")
    return Finding("head model: complete, checksum right")


def _check_faces(domain: str) -> Finding:
    """How much of a domain is rendered and undamaged, in the profile in use."""
    from gazecourse.faces.dataset import face_set
    from gazecourse.faces.shards import SPLITS

    shards = [shard for split in SPLITS for shard in face_set(domain, split).shards()]
    images = sum(len(shard.indices) for shard in shards)
    whole = sum(len(shard.indices) for shard in shards if shard.is_whole())
    if whole == images:
        return Finding(f"faces of {domain}: {images:,} images, checksums right")
    rest = "python -m gazecourse data renders the rest (lab does it, too)"
    return Finding(f"faces of {domain}: {whole:,} of {images:,} images; {rest}", note=True)


def check_files() -> Iterator[Finding]:
    """The head model and the rendered faces."""
    yield _check_head_model()
    from gazecourse.faces.domains import DOMAINS

    yield from map(_check_faces, DOMAINS)


def check_tests() -> Iterator[Finding]:
    """What only ``make test`` needs; never a reason not to start."""
    chromium = find_chromium()
    if chromium:
        yield Finding(f"Chromium for the browser tests: {_short(chromium)}")
    else:
        yield Finding(
            "no Chromium: make test leaves the browser tests out (the course itself opens in any browser)", note=True
        )


_SECTIONS: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
    ("Python", check_python),
    ("Packages", check_packages),
    ("Hardware", check_hardware),
    ("Profile", check_profile),
    ("Files", check_files),
    ("Tests", check_tests),
)


def _findings(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a check finds; a check that fails itself is a finding, too."""
    found: list[Finding] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.extend(check())
    except Exception as error:
        found.append(Finding(f"this could not be checked ({type(error).__name__}: {error})", _INSTALL))
    return found


def report() -> bool:
    """Print what was found, section by section, each problem with its remedy.

    Returns:
        True if the learner can start.
    """
    problems = 0
    for title, check in _SECTIONS:
        print(title)
        for finding in _findings(check):
            print(finding)
            problems += bool(finding.remedy)
    print(
        "\nReady: open the course with  python -m gazecourse lab"
        if not problems
        else f"\nNot ready yet: {problems} thing{'s' if problems > 1 else ''} to put right (→)."
    )
    return not problems
