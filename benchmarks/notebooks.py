"""What each notebook costs: minutes, memory and processor time of its solved copy, executed alone.

    python benchmarks/notebooks.py                 all of them, about half an hour on two cores
    python benchmarks/notebooks.py --only 00 01    some of them; the others' numbers stay as they are

They run in the quick profile, as ``python -m gazecourse notebooks`` executes them, the kernel's start included. Faces
are rendered before, as ``make lab`` does, and nothing is trained before: no notebook finds a run. Memory is that of the
kernel and of what it starts. ``core_seconds`` is its processor time: where it is less than ``seconds``, the machine had
something else to do. Executed copies are thrown away. Results are written after each notebook, so that a run that is
cut off can be gone on with; every row says when and on what it was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from memory import GIB, peak_memory
from processor import core_seconds
from report import write

from gazecourse.course import CHAPTERS
from gazecourse.history import describe_run
from gazecourse.notebooks import build, execute, sources
from gazecourse.paths import RESULTS, data_dir
from gazecourse.prepare import prepare

RESULT = RESULTS / "notebooks.json"


@contextmanager
def without_runs(folder: Path) -> Iterator[None]:
    """A cache in ``folder``, in which nothing was trained, and whose faces are those of the cache in use."""
    (folder / "data").symlink_to(data_dir().absolute())
    with patch.dict(os.environ, GAZECOURSE_CACHE=str(folder)):
        yield


def measure(source: Path) -> dict[str, object]:
    """Time and memory of executing the solved copy of one source.

    Raises:
        CellExecutionError, SourceError: see ``gazecourse.notebooks.execute``.
    """
    notebook = build(source, solved=True)
    with tempfile.TemporaryDirectory(prefix="gazecourse-notebook-") as folder, without_runs(Path(folder)):
        before, start = core_seconds(), time.perf_counter()
        with peak_memory(own=False) as peak:
            execute(notebook, Path(folder))
        seconds = time.perf_counter() - start
    described = describe_run("cpu")
    return {
        "notebook": source.stem,
        "seconds": round(seconds, 1),
        "core_seconds": round(core_seconds() - before, 1),
        "peak_memory_gib": round(peak.size / GIB, 2),
        "measured": {name: described[name] for name in ("started", "hardware")},
    }


def earlier() -> dict[str, dict[str, object]]:
    """The rows of ``results/notebooks.json`` by notebook, if there are any."""
    if not RESULT.is_file():
        return {}
    return {row["notebook"]: row for row in json.loads(RESULT.read_text(encoding="utf-8"))["measurements"]}


def in_order(rows: dict[str, dict[str, object]]) -> list[dict[str, object]]:
    """Rows in the order of the course; those of notebooks that it no longer has are left out."""
    return [rows[chapter.stem] for chapter in CHAPTERS if chapter.stem in rows]


def table(rows: Sequence[dict[str, object]]) -> str:
    """The measurements in Markdown, with the sum of the minutes and the largest of the peaks."""
    titles = {chapter.stem: f"{chapter.number} {chapter.title}" for chapter in CHAPTERS}
    lines = [_line(titles[row["notebook"]], row["seconds"], row["peak_memory_gib"]) for row in rows]
    total = _line("all", sum(row["seconds"] for row in rows), max(row["peak_memory_gib"] for row in rows))
    return "\n".join(["| notebook | minutes | peak GiB |", "|:--|--:|--:|", *lines, total])


def _line(title: str, seconds: float, peak: float) -> str:
    return f"| {title} | {seconds / 60:.1f} | {peak:.1f} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Execute the notebooks, print the table and, of all of them, write ``results/notebooks.json``."""
    by_number = {source.name[:2]: source for source in sources()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NN", choices=list(by_number), help="these alone")
    parser.add_argument("--dry", action="store_true", help="print only; write no file")
    wanted = parser.parse_args(argv)
    prepare(profile="quick")
    rows = earlier()
    for number in wanted.only or by_number:
        source = by_number[number]
        rows[source.stem] = measure(source)
        print(rows[source.stem], flush=True)
        if not wanted.dry:
            write("notebooks", "cpu", profile="quick", measurements=in_order(rows))
    print(table(in_order(rows)))


if __name__ == "__main__":
    main()
