"""One source, two notebooks: ``python -m gazecourse notebooks``.

Each ``notebooks/source/NN_title.py`` (jupytext's py:percent) becomes ``notebooks/NN_title.ipynb`` with
the exercises to do and ``notebooks/solutions/NN_title.ipynb`` with them done; both are executed and
store their outputs. Nobody edits an .ipynb: a test rebuilds both and compares.

What a source may hold, beyond ordinary cells::

    # %% [markdown]
    # **Your turn** (●●○ · 10 min). ...              difficulty and minutes as registered

    # %% exercise: name
    def name(argument):
        # --- stub
        raise NotImplementedError
        # --- solution
        return argument + 1
        # --- end                                     only where code follows that both share

    # %%
    name = check.name(name)

    # %% tags=["nbval-ignore-output"]
    train(...)                                        output depends on the machine: not compared

    # %%
    assert purified < plain - 1.0                     so the next cell asserts what it should show

Outputs must be fit for everyone: nothing on stderr, no path of this computer, no widget state. What a
library function prints through ``tqdm`` or ``warnings`` goes to stderr, so the generator refuses it.

Options: no argument builds what is out of date (its source changed, or code of ``gazecourse`` that
it uses); numbers (``01 02``) build those; ``--all`` builds everything; ``--check`` builds nothing
and exits with 1 if a notebook does not match its source; ``--nbval`` prints the notebooks whose
stored outputs have to be compared with a fresh run: every learner's notebook, and the solved ones
that were last executed with other code (with ``--all``: every one).
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from modulefinder import ModuleFinder
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from gazecourse.paths import RESULTS
from gazecourse.profiles import VARIABLE as PROFILE_VARIABLE
from gazecourse.widgets.screen import WIDGET_VIEW

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SECONDS_PER_CELL = 600

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
IGNORE_OUTPUT = "nbval-ignore-output"

EXERCISE = re.compile(r"exercise:\s*(?P<name>\S+)")
_RESULT = re.compile(r'RESULTS / "([^"]+)"')
MARK = re.compile(r"\s*# --- (?P<part>stub|solution|end)\s*")


class SourceError(ValueError):
    """A notebook's source breaks a rule; the message names the file and the rule."""


@dataclass(frozen=True)
class Cell:
    """One cell of a source: ``kind`` is markdown or code, ``exercise`` its name or None."""

    kind: str
    text: str
    tags: tuple[str, ...]
    exercise: str | None

    def version(self, part: str) -> str:
        """The text with the stubs (``part="stub"``) or the solutions (``"solution"``) and without marks."""
        if self.exercise is None:
            return self.text
        lines, state = [], "end"
        for line in self.text.splitlines():
            mark = MARK.fullmatch(line)
            if mark:
                state = mark["part"]
            elif state in ("end", part):
                lines.append(line)
        return "\n".join(lines)


# --- reading ------------------------------------------------------------------------------------


def sources(folder: Path = NOTEBOOKS) -> list[Path]:
    """The hand-written sources, in the course's order."""
    return sorted((folder / "source").glob("[0-9][0-9]_*.py"))


def read_source(path: Path) -> list[Cell]:
    """The cells of one source.

    Raises:
        SourceError: a mark out of order, a stub that is not a bare ``raise NotImplementedError``, an
            exercise that is not checked in the next code cell, an unknown kind of cell.
    """
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    cells = [_read_cell(path, cell) for cell in notebook.cells]
    _require_checks(path, cells)
    return cells


def _read_cell(path: Path, cell: NotebookNode) -> Cell:
    title = cell.metadata.get("title", "")
    match = EXERCISE.fullmatch(title)
    if title and not match:
        raise SourceError(f"{path.name}: a cell's title can only be 'exercise: name'; got {title!r}.")
    if cell.cell_type not in ("markdown", "code"):
        raise SourceError(f"{path.name}: cells are markdown or code; got {cell.cell_type!r}.")
    tags = tuple(cell.metadata.get("tags", ()))
    read = Cell(cell.cell_type, cell.source, tags, match["name"] if match else None)
    marks = [m["part"] for line in cell.source.splitlines() if (m := MARK.fullmatch(line))]
    if read.exercise:
        _require_marks(path, read, marks)
    elif marks:
        raise SourceError(f"{path.name}: '# --- {marks[0]}' stands in a cell that is no exercise.")
    return read


def _require_marks(path: Path, cell: Cell, marks: list[str]) -> None:
    order = " ".join(marks) + " "
    if not re.fullmatch(r"(stub solution (end )?)+", order):
        raise SourceError(f"{path.name}: the marks of {cell.exercise} must be stub, solution, [end]; got {marks}.")
    if not re.search(r"^\s*raise NotImplementedError\s*$", cell.version("stub"), re.MULTILINE):
        raise SourceError(f"{path.name}: the stub of {cell.exercise} must hold a bare 'raise NotImplementedError'.")
    for part in ("stub", "solution"):
        try:
            ast.parse(cell.version(part))
        except SyntaxError as error:
            raise SourceError(f"{path.name}: the {part} of {cell.exercise} is not Python: {error}.") from None


def _require_checks(path: Path, cells: list[Cell]) -> None:
    code = [cell for cell in cells if cell.kind == "code"]
    for cell, following in zip(code, [*code[1:], None], strict=True):
        wanted = f"{cell.exercise} = check.{cell.exercise}({cell.exercise})"
        if cell.exercise and (following is None or following.text.strip() != wanted):
            raise SourceError(f"{path.name}: the code cell after {cell.exercise} must be '{wanted}', alone.")


# --- building -----------------------------------------------------------------------------------


def build(source: Path, *, solved: bool) -> NotebookNode:
    """The notebook of ``source`` without outputs: with the exercises done if ``solved``, else to do."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": dict(KERNELSPEC), "language_info": dict(LANGUAGE)})
    identifiers = _identifiers()
    for cell in read_source(source):
        identifier = identifiers(cell)
        if cell.kind == "markdown":
            node = nbformat.v4.new_markdown_cell(cell.text, id=identifier)
        else:
            node = nbformat.v4.new_code_cell(cell.version("solution" if solved else "stub"), id=identifier)
        tags = [*cell.tags, *(["exercise"] if cell.exercise else [])]
        if tags:
            node.metadata["tags"] = tags
        notebook.cells.append(node)
    return notebook


def _identifiers():
    """Cell ids that depend on the cell alone, so that a change elsewhere leaves them as they are."""
    seen: dict[str, int] = {}

    def identify(cell: Cell) -> str:
        digest = hashlib.sha256(cell.text.encode()).hexdigest()[:8]
        base = f"exercise-{cell.exercise}"[:48] if cell.exercise else f"cell-{digest}"
        seen[base] = seen.get(base, 0) + 1
        return base if seen[base] == 1 else f"{base}-{seen[base]}"

    return identify


def target(source: Path, *, solved: bool) -> Path:
    """Where the notebook of ``source`` belongs."""
    folder = source.parent.parent
    return (folder / "solutions" if solved else folder) / f"{source.stem}.ipynb"


def is_current(source: Path, *, solved: bool) -> bool:
    """Whether the generated notebook exists and is, outputs aside, what ``source`` says today."""
    path = target(source, solved=solved)
    return path.exists() and _without_outputs(nbformat.read(path, 4)) == _without_outputs(build(source, solved=solved))


def _without_outputs(notebook: NotebookNode) -> dict:
    metadata = {key: value for key, value in notebook.metadata.items() if key != "gazecourse"}
    cells = [(cell.cell_type, cell.id, cell.source, dict(cell.metadata)) for cell in notebook.cells]
    return {"metadata": metadata, "cells": cells, "format": (notebook.nbformat, notebook.nbformat_minor)}


# --- the code behind a notebook -----------------------------------------------------------------


def code_digest(source: Path) -> str:
    """Digest of the ``gazecourse`` modules that a source imports, directly or through others, and of what they read.

    That is the weights beside a module (``*.safetensors``) and the files under results/ that the source names.
    The course map reads which sources there are, so for a notebook that shows it their texts count as well.
    """
    finder = ModuleFinder(path=[str(ROOT)])
    finder.load_file(str(source))
    digest = hashlib.sha256()
    for name, module in sorted(finder.modules.items()):
        if name.split(".")[0] == "gazecourse" and module.__file__:
            digest.update(name.encode() + b"\0" + Path(module.__file__).read_bytes())
            data = Path(module.__file__).parent.glob("*.safetensors") if module.__path__ else ()
            digest.update(b"".join(weights.read_bytes() for weights in sorted(data)))
    for name in sorted(set(_RESULT.findall(source.read_text(encoding="utf-8")))):
        digest.update(name.encode() + (RESULTS / name).read_bytes())
    if "gazecourse.course" in finder.modules:
        digest.update(b"".join(path.name.encode() + path.read_bytes() for path in sources()))
    return digest.hexdigest()[:16]


def _executed_with(path: Path) -> str | None:
    """The code digest stored when the notebook was executed."""
    return nbformat.read(path, 4).metadata.get("gazecourse", {}).get("code")


def is_stale(source: Path, *, solved: bool) -> bool:
    """Whether the notebook has to be executed again: its source or the code it uses has changed."""
    path = target(source, solved=solved)
    return not is_current(source, solved=solved) or _executed_with(path) != code_digest(source)


def notebooks_to_validate(folder: Path = NOTEBOOKS, *, everything: bool = False) -> list[Path]:
    """The notebooks whose outputs nbval must compare; see the module's docstring."""
    learners = [target(source, solved=False) for source in sources(folder)]
    solved = [target(source, solved=True) for source in sources(folder) if everything or is_stale(source, solved=True)]
    return [path for path in learners + solved if path.exists()]


# --- executing ----------------------------------------------------------------------------------


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run the notebook in ``folder`` with this Python, in the quick profile, and keep tidied outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
        SourceError: an output that cannot be published: stderr, or a path of this computer.
    """
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient

    # Without folders to search, the only kernel is ipykernel under this very interpreter.
    kernels = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
    manager = AsyncKernelManager(kernel_name=KERNELSPEC["name"], kernel_spec_manager=kernels)
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=SECONDS_PER_CELL,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(cleanup_kc=True, env={**os.environ, PROFILE_VARIABLE: "quick"})
    notebook.metadata["language_info"] = dict(LANGUAGE)
    for number, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
        cell.execution_count = number + 1
        for output in cell.outputs:
            _tidy(output, number + 1)
            if IGNORE_OUTPUT in cell.metadata.get("tags", ()):
                _shorten_paths(output)
            _refuse_unfit(output, cell)


def _tidy(output: NotebookNode, count: int) -> None:
    """Drop the view of a widget, which is dead in a saved notebook; its text and picture stay."""
    if "data" in output:
        output.data.pop(WIDGET_VIEW, None)
    if output.output_type == "execute_result":
        output.execution_count = count


def _shorten_paths(output: NotebookNode) -> None:
    """Where the output is an example of what one machine says, keep the ends of its paths."""
    for path in _private_paths():
        if "text" in output:
            output.text = output.text.replace(path, "…/")
        for kind, value in output.get("data", {}).items():
            if isinstance(value, str) and not kind.startswith("image/"):
                output.data[kind] = value.replace(path, "…/")


def _refuse_unfit(output: NotebookNode, cell: NotebookNode) -> None:
    first_line = cell.source.splitlines()[0]
    if output.output_type == "stream" and output.name == "stderr":
        raise SourceError(f"the cell '{first_line}' writes to stderr:\n{output.text}")
    texts = [
        output.get("text", ""),
        *(v for kind, v in output.get("data", {}).items() if not kind.startswith("image/")),
    ]
    for path in _private_paths():
        if any(path in str(text) for text in texts):
            raise SourceError(f"the output of the cell '{first_line}' shows a path of this computer: {path}")


def _private_paths() -> Iterator[str]:
    """Folders that have no place in a published notebook, the longest first."""
    folders = {ROOT, Path.home(), Path(sys.prefix), Path(tempfile.gettempdir())}
    for path in sorted(folders, key=lambda folder: -len(str(folder))):
        if len(path.parts) > 1:
            yield f"{path}{os.sep}"


def generate(source: Path, *, solved: bool) -> Path:
    """Build, execute and write one notebook; an error leaves the old one as it was."""
    path = target(source, solved=solved)
    notebook = build(source, solved=solved)
    path.parent.mkdir(parents=True, exist_ok=True)
    execute(notebook, path.parent)
    notebook.metadata["gazecourse"] = {"source": f"notebooks/source/{source.name}", "code": code_digest(source)}
    nbformat.validate(notebook)
    scratch = path.with_suffix(".ipynb.part")
    nbformat.write(notebook, scratch)
    scratch.replace(path)
    return path


# --- the command --------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """``python -m gazecourse notebooks``; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gazecourse notebooks", description="Build the notebooks.")
    parser.add_argument("numbers", nargs="*", metavar="NN", help="build these (01 02 ...)")
    parser.add_argument("--all", action="store_true", help="build every notebook")
    parser.add_argument("--check", action="store_true", help="only say which notebooks do not match their source")
    parser.add_argument("--nbval", action="store_true", help="only print which notebooks nbval has to run")
    options = parser.parse_args(argv)
    unknown = set(options.numbers) - {source.name[:2] for source in sources()}
    if unknown:
        parser.error(f"there is no notebook {', '.join(sorted(unknown))} in notebooks/source")
    if options.nbval:
        print(*(path.relative_to(ROOT) for path in notebooks_to_validate(everything=options.all)), sep="\n")
        return 0
    chosen = [source for source in sources() if not options.numbers or source.name[:2] in options.numbers]
    if options.check:
        return _report_differences(chosen)
    return _build_chosen(chosen, everything=options.all or bool(options.numbers))


def _report_differences(chosen: list[Path]) -> int:
    differing = [
        target(s, solved=solved) for s in chosen for solved in (False, True) if not is_current(s, solved=solved)
    ]
    for path in differing:
        print(f"{path.relative_to(ROOT)} does not match its source: run make notebooks")
    return 1 if differing else 0


def _build_chosen(chosen: list[Path], *, everything: bool) -> int:
    for source in chosen:
        for solved in (False, True):
            if not (everything or is_stale(source, solved=solved)):
                continue
            start = time.perf_counter()
            try:
                path = generate(source, solved=solved)
            except Exception as error:
                print(f"{target(source, solved=solved).relative_to(ROOT)}: {error}", file=sys.stderr)
                return 1
            print(f"{path.relative_to(ROOT)}: {time.perf_counter() - start:.0f} s", flush=True)
    return 0
