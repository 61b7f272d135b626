"""The plan of the course, and which of its notebooks this version holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gazecourse.notebooks import NOTEBOOKS, sources

STATED_MINUTES = re.compile(r"[●○]{3} · (\d+) min")


@dataclass(frozen=True)
class Chapter:
    """One notebook: file name without ending, title, what the learner builds, minutes to read it and to solve it.

    ``exercises`` is the plan; once the notebook exists, the times stated at its exercises count.
    """

    stem: str
    title: str
    builds: str
    reading: int
    exercises: int

    @property
    def number(self) -> str:
        return self.stem[:2]


CHAPTERS = (
    Chapter("00_start_here", "Start here", "your bearings", 20, 5),
    Chapter("01_gaze_geometry", "Gaze geometry", "angles, angular error, the normalized camera", 45, 45),
    Chapter("02_synthetic_faces", "Synthetic faces", "a renderer of faces with exact labels", 45, 40),
    Chapter("03_alexnet", "AlexNet", "the network of 2012, turned into a gaze regressor", 40, 40),
    Chapter("04_full_face", "Full-Face", "spatial weights, and maps of where a network looks", 45, 50),
    Chapter("05_domain_gap", "The domain gap", "probes and counterfactual faces", 45, 40),
    Chapter("06_puregaze", "PureGaze", "adversarial purification", 60, 60),
    Chapter("07_clip", "CLIP", "a contrastive image–text model", 45, 40),
    Chapter("08_clip_gaze", "CLIP-Gaze", "separation by language, ranking by gaze", 60, 50),
    Chapter("09_landmark_losses", "Landmark losses", "wing and soft wing under label noise", 45, 40),
    Chapter("10_structure_coherent", "Structure-coherent landmarks", "graph convolutions on a face", 50, 50),
    Chapter("11_capstone", "Capstone", "gaze from a photograph, and a project of your own (90 min more)", 60, 120),
)


def available() -> set[str]:
    """Stems of the notebooks that this version holds."""
    return {path.stem for path in sources(NOTEBOOKS)}


def minutes_to_solve(chapter: Chapter) -> int:
    """Minutes of the chapter's exercises: as its notebook states them, or as planned."""
    source = NOTEBOOKS / "source" / f"{chapter.stem}.py"
    if not source.exists():
        return chapter.exercises
    return sum(int(minutes) for minutes in STATED_MINUTES.findall(source.read_text(encoding="utf-8")))


def course_map() -> str:
    """The course as a Markdown table, with a link to each notebook that is here."""
    here = available()
    rows = ["| | notebook | you build | read | do |", "|:--|:--|:--|--:|--:|"]
    for chapter in CHAPTERS:
        is_here = chapter.stem in here
        title = f"**[{chapter.title}]({chapter.stem}.ipynb)**" if is_here else f"{chapter.title} *(planned)*"
        times = f"{chapter.reading} min | {minutes_to_solve(chapter)} min"
        rows.append(f"| {chapter.number} | {title} | {chapter.builds} | {times} |")
    hours = {c.stem: (c.reading + minutes_to_solve(c)) / 60 for c in CHAPTERS}
    rows += ["", _extent(here, hours)]
    return "\n".join(rows)


def _extent(here: set[str], hours: dict[str, float]) -> str:
    """How much of the course this version holds, in a sentence or two."""
    if len(here) == len(CHAPTERS):
        return f"{len(CHAPTERS)} notebooks, about {sum(hours.values()):.0f} hours."
    return (
        f"This version holds {len(here)} of {len(CHAPTERS)} notebooks, about {sum(hours[stem] for stem in here):.1f} "
        f"of {sum(hours.values()):.0f} hours. The planned ones come with later releases."
    )
