"""Lets ``import torchvision`` succeed beside a torch build that its compiled operators do not fit.

On Linux the package index serves torchvision as a CUDA build. Beside a CPU-only torch its extension
library cannot be loaded, and ``import torchvision`` stops with "operator torchvision::nms does not exist":
torchvision attaches shape functions to two operators that nobody has declared. Declaring their
schemas is enough for everything in torchvision that is written in Python, and that is all this course
uses (models, transforms). The compiled operators stay absent: calling ``torchvision.ops.nms`` raises
torchvision's own ``RuntimeError`` about custom C++ ops.

The declaration happens inside the import of torchvision itself, after its own attempt to load the
extension: operators that did load are left alone, and importing gazecourse does not import torch.
``gazecourse/__init__.py`` installs the hook, so it is in place from ``import gazecourse`` on; kernels
started by ``python -m gazecourse lab`` load this module as an IPython extension, so there it is in
place from the first cell on.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from types import ModuleType

#: torchvision loads its extension, then imports this module, which needs the operators.
_NEEDS_OPERATORS = "torchvision._meta_registrations"
_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class _DeclareMissingOperators(MetaPathFinder):
    """Finds nothing; only notices when torchvision is about to need its operators."""

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> None:
        if fullname == _NEEDS_OPERATORS:
            _declare_missing_operators()


def _declare_missing_operators() -> None:
    import torch

    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)


def install() -> None:
    """Put the hook in place, once a process. Costs microseconds; imports neither torch nor torchvision."""
    if not any(isinstance(finder, _DeclareMissingOperators) for finder in sys.meta_path):
        sys.meta_path.insert(0, _DeclareMissingOperators())


def load_ipython_extension(shell: object) -> None:
    """Called by IPython for ``%load_ext gazecourse.torchvision_compat``; importing gazecourse did the work."""
