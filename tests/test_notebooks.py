"""The notebooks: they match their sources, are fit to publish, and their exercises can be solved and failed."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from gazecourse import course, notebooks
from gazecourse.exercises import Checks
from gazecourse.notebooks import Cell, SourceError, read_source

SOURCES = notebooks.sources()
PAIRS = [(source, solved) for source in SOURCES for solved in (False, True)]
PAIR_NAMES = [f"{source.stem}-{'solved' if solved else 'learner'}" for source, solved in PAIRS]
EXERCISES = [(source, cell.exercise) for source in SOURCES for cell in read_source(source) if cell.exercise]
EXERCISE_NAMES = [name for _, name in EXERCISES]
MEGABYTE = 2**20

every_notebook = pytest.mark.parametrize(("source", "solved"), PAIRS, ids=PAIR_NAMES)
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
every_exercise = pytest.mark.parametrize(("source", "name"), EXERCISES, ids=EXERCISE_NAMES)


def _stored(source: Path, solved: bool):
    return nbformat.read(notebooks.target(source, solved=solved), 4)


def _outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def _definitions(text: str) -> str:
    """Imports, functions, classes and CAPITAL constants of a cell: what an exercise may rely on."""

    def is_definition(node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            return all(isinstance(name, ast.Name) and name.id.isupper() for name in node.targets)
        return isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))

    tree = ast.parse(text)
    return "\n".join(ast.unparse(node) for node in tree.body if is_definition(node))


def _answer(source: Path, name: str, part: str):
    """The function or class that an exercise cell defines, and the ``check`` that its notebook imports."""
    namespace: dict = {"__name__": source.stem}
    for cell in read_source(source):
        if cell.kind != "code":
            continue
        text = cell.version(part if cell.exercise == name else "solution")
        exec(compile(text if cell.exercise else _definitions(text), f"<{source.stem}>", "exec"), namespace)
        if cell.exercise == name:
            return namespace[name], namespace["check"]
    raise AssertionError(f"{source.name} has no exercise {name}")


def _check_module(source: Path) -> ModuleType:
    found = re.search(r"from (gazecourse\.exercises\.\w+) import check", source.read_text(encoding="utf-8"))
    assert found, f"{source.name} imports no check"
    return importlib.import_module(found[1])


# --- generated notebooks ------------------------------------------------------------------------


@every_notebook
def test_notebook_matches_its_source(source, solved):
    assert notebooks.is_current(source, solved=solved), "run make notebooks"


@every_notebook
def test_every_cell_was_executed_in_order_and_without_error(source, solved):
    code = [cell for cell in _stored(source, solved).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"]


@every_notebook
def test_notebook_opens_without_questions_and_holds_no_widget_state(source, solved):
    notebook = _stored(source, solved)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info", "gazecourse"}
    assert not [o for o in _outputs(notebook) if notebooks.WIDGET_VIEW in o.get("data", {})]


@every_notebook
def test_every_picture_is_described(source, solved):
    for output in _outputs(_stored(source, solved)):
        kinds = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        for kind in kinds:
            assert output.metadata[kind]["alt"] == output.data["text/plain"]
            assert len(output.data["text/plain"].split()) >= 5


@every_notebook
def test_no_output_shows_a_path_of_the_authors_machine(source, solved):
    for output in _outputs(_stored(source, solved)):
        shown = str(output.get("text", "")) + str({k: v for k, v in output.get("data", {}).items() if "image" not in k})
        assert not re.search(r"/(home|root|Users)/|ipykernel_", shown)


@every_source
def test_cell_whose_output_is_not_compared_is_followed_by_an_assertion(source):
    code = [cell for cell in read_source(source) if cell.kind == "code"]
    for cell, following in zip(code, [*code[1:], None], strict=True):
        if notebooks.IGNORE_OUTPUT in cell.tags:
            assert following, "a notebook does not end in an output that nobody compares"
            assert "assert " in following.text or notebooks.IGNORE_OUTPUT in following.tags, cell.text


@every_notebook
def test_notebook_is_small(source, solved):
    assert notebooks.target(source, solved=solved).stat().st_size < 2 * MEGABYTE


@every_source
def test_learners_notebook_gives_no_solution_away(source):
    learner = "\n".join(cell.source for cell in _stored(source, False).cells)
    assert "# ---" not in learner
    for cell in read_source(source):
        if cell.exercise:
            assert cell.version("stub") in learner
            assert cell.version("solution") not in learner


# --- exercises ----------------------------------------------------------------------------------


@every_source
def test_notebook_asks_exactly_the_registered_exercises(source):
    asked = [cell.exercise for cell in read_source(source) if cell.exercise]
    registered = list(_check_module(source).check.exercises)
    assert sorted(asked) == sorted(registered)


@every_source
def test_difficulty_and_minutes_in_the_text_are_the_registered_ones(source):
    check: Checks = _check_module(source).check
    said = ""
    for cell in read_source(source):
        if cell.kind == "markdown":
            said = cell.text
        elif cell.exercise:
            assert check.exercises[cell.exercise].badge in said.replace("\n", " "), cell.exercise


@every_exercise
def test_check_accepts_the_solution(source, name):
    answer, check = _answer(source, name, "solution")
    verdict = check.exercises[name].judge(answer)
    assert verdict.state == "passed", verdict.message


@every_exercise
def test_check_calls_the_stub_not_started(source, name):
    answer, check = _answer(source, name, "stub")
    assert check.exercises[name].judge(answer).state == "not started"


# --- the generator ------------------------------------------------------------------------------

GOOD = """\
# %% [markdown]
# # A title

# %%
from gazecourse.exercises.start import check

# %% exercise: mean_angle
def mean_angle(angles):
    # --- stub
    raise NotImplementedError
    # --- solution
    return angles.sum()
    # --- end

# %%
mean_angle = check.mean_angle(mean_angle)
"""

MORE = """
# %%
from gazecourse.profiles import profile; print(profile())

# %%
import ipywidgets; ipywidgets.IntSlider(description="size")
"""


def _source(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "source" / "42_example.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_exercise_becomes_stub_and_solution():
    cell = Cell("code", "def f():\n    # --- stub\n    a\n    # --- solution\n    b\n    # --- end\n    c", (), "f")
    assert cell.version("stub") == "def f():\n    a\n    c"
    assert cell.version("solution") == "def f():\n    b\n    c"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    # --- solution\n", "", "marks of mean_angle"),
        ("raise NotImplementedError", "pass", "bare 'raise NotImplementedError'"),
        ("raise NotImplementedError", "raise NotImplementedError('todo')", "bare 'raise NotImplementedError'"),
        ("mean_angle = check.mean_angle(mean_angle)", "check.mean_angle(mean_angle)", "the code cell after mean_angle"),
        ("return angles.sum()", "return angles.sum(", "solution of mean_angle is not Python"),
        ("# %% exercise: mean_angle", "# %%", "no exercise"),
        ("# %% exercise: mean_angle", "# %% excercise: mean_angle", "title"),
        ("# %% [markdown]", "# %% [raw]", "markdown or code"),
    ],
)
def test_broken_source_is_refused_with_the_rule_it_breaks(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(SourceError, match=re.escape(message)):
        read_source(_source(tmp_path, GOOD.replace(old, new)))


def test_cell_keeps_its_id_when_another_cell_changes(tmp_path):
    before = notebooks.build(_source(tmp_path, GOOD), solved=False)
    after = notebooks.build(_source(tmp_path, GOOD.replace("A title", "Another title")), solved=False)
    assert [cell.id for cell in before.cells][1:] == [cell.id for cell in after.cells][1:]
    assert before.cells[0].id != after.cells[0].id


def test_both_notebooks_of_a_cell_share_its_id_and_equal_cells_get_ids_of_their_own(tmp_path):
    source = _source(tmp_path, GOOD + "\n# %%\n1 + 1\n\n# %%\n1 + 1\n")
    learner, solved = (notebooks.build(source, solved=solved) for solved in (False, True))
    ids = [cell.id for cell in learner.cells]
    assert ids == [cell.id for cell in solved.cells]
    assert len(set(ids)) == len(ids)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A source and its learner's notebook, really executed, for a user whose own python3 kernel cannot start."""
    folder = tmp_path_factory.mktemp("course")
    decoy = folder / "kernels" / "python3"
    decoy.mkdir(parents=True)
    (decoy / "kernel.json").write_text('{"argv": ["/nonexistent"], "display_name": "decoy", "language": "python"}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("GAZECOURSE_PROFILE", "full")
        source = _source(folder, GOOD + MORE)
        return source, notebooks.generate(source, solved=False)


def test_generated_notebook_holds_the_outputs(generated):
    _, path = generated
    checked, profile, _ = (cell.outputs[0] for cell in nbformat.read(path, 4).cells[-3:])
    assert "○ mean_angle: not started. Hint 1 of 3" in checked.text
    assert profile.text == "quick\n"


def test_generated_notebook_holds_no_trace_of_a_dead_widget(generated):
    _, path = generated
    notebook = nbformat.read(path, 4)
    assert notebook.cells[-1].outputs[0].data == {"text/plain": "IntSlider(value=0, description='size')"}
    assert set(notebook.metadata) == {"kernelspec", "language_info", "gazecourse"}


def test_generating_twice_gives_the_same_bytes(generated):
    source, path = generated
    before = path.read_bytes()
    assert notebooks.generate(source, solved=False).read_bytes() == before


@pytest.mark.parametrize(("old", "new"), [("# A title", "# My title"), ('"name": "python3"', '"name": "other"')])
def test_edit_by_hand_makes_a_notebook_differ_from_its_source(generated, old, new):
    source, path = generated
    assert notebooks.is_current(source, solved=False)
    original = path.read_text(encoding="utf-8")
    assert old in original
    path.write_text(original.replace(old, new), encoding="utf-8")
    try:
        assert not notebooks.is_current(source, solved=False)
    finally:
        path.write_text(original, encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('careful', file=sys.stderr)", "stderr"),
        ("import sys; print(sys.prefix + '/bin')", "path of this computer"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_unfit_output_is_refused_and_the_old_notebook_stays(tmp_path, code, message):
    source = _source(tmp_path, f"# %%\n{code}\n")
    old = notebooks.target(source, solved=False)
    old.write_text("old", encoding="utf-8")
    with pytest.raises(Exception, match=message):
        notebooks.generate(source, solved=False)
    assert old.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.glob("*.part")) == []


def test_path_in_an_output_that_is_not_compared_is_shortened(tmp_path):
    text = '# %% tags=["nbval-ignore-output"]\nimport sys; print(sys.prefix + "/bin/tool")\n'
    path = notebooks.generate(_source(tmp_path, text), solved=False)
    assert nbformat.read(path, 4).cells[0].outputs[0].text == "…/bin/tool\n"


# --- what changed -------------------------------------------------------------------------------


def _package(tmp_path: Path, monkeypatch) -> Path:
    """A small package of the same name, in which one module imports another and a third stands alone."""
    package = tmp_path / "gazecourse"
    package.mkdir()
    files = {"__init__": "", "used": "from gazecourse import behind", "behind": "x = 1", "alone": "x = 1"}
    for name, text in files.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    return package


def test_code_digest_follows_imports_and_nothing_else(tmp_path, monkeypatch):
    package = _package(tmp_path, monkeypatch)
    source = _source(tmp_path, "# %%\nfrom gazecourse.used import x\n")
    before = notebooks.code_digest(source)
    (package / "alone.py").write_text("x = 2", encoding="utf-8")
    assert notebooks.code_digest(source) == before
    (package / "behind.py").write_text("x = 2", encoding="utf-8")
    assert notebooks.code_digest(source) != before


def test_code_digest_follows_the_weights_beside_a_package_and_the_results_that_a_source_names(tmp_path, monkeypatch):
    package = _package(tmp_path, monkeypatch)
    monkeypatch.setattr(notebooks, "RESULTS", tmp_path)
    for name in ("mine.json", "other.json"):
        (tmp_path / name).write_text("1", encoding="utf-8")
    source = _source(tmp_path, '# %%\nfrom gazecourse.used import x\nrecord = (RESULTS / "mine.json").read_text()\n')
    digests = [notebooks.code_digest(source)]
    (tmp_path / "other.json").write_text("2", encoding="utf-8")
    assert notebooks.code_digest(source) == digests[0]
    for changed in (tmp_path / "mine.json", package / "trained.safetensors"):
        changed.write_text("2", encoding="utf-8")
        digests.append(notebooks.code_digest(source))
    assert len(set(digests)) == 3


def test_nbval_always_runs_the_learners_notebook_and_a_solved_one_whose_code_changed(tmp_path, monkeypatch):
    package = _package(tmp_path, monkeypatch)
    source = _source(tmp_path, "# %%\nfrom gazecourse.used import x\n")
    paths = [notebooks.target(source, solved=solved) for solved in (False, True)]
    for path, solved in zip(paths, (False, True), strict=True):
        notebook = notebooks.build(source, solved=solved)
        notebook.metadata["gazecourse"] = {"code": notebooks.code_digest(source)}
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
    assert notebooks.notebooks_to_validate(tmp_path) == paths[:1]
    assert notebooks.notebooks_to_validate(tmp_path, everything=True) == paths
    (package / "behind.py").write_text("x = 2", encoding="utf-8")
    assert notebooks.notebooks_to_validate(tmp_path) == paths


def test_command_refuses_an_unknown_number(capsys):
    with pytest.raises(SystemExit):
        notebooks.main(["77"])
    assert "there is no notebook 77" in capsys.readouterr().err


# --- the course map -----------------------------------------------------------------------------


def test_every_notebook_has_its_place_in_the_plan():
    assert [chapter.number for chapter in course.CHAPTERS] == [f"{number:02d}" for number in range(12)]
    assert course.available() <= {chapter.stem for chapter in course.CHAPTERS}


@every_source
def test_course_map_states_the_time_of_the_exercises(source):
    (chapter,) = [chapter for chapter in course.CHAPTERS if chapter.stem == source.stem]
    registered = _check_module(source).check.exercises.values()
    assert course.minutes_to_solve(chapter) == sum(exercise.minutes for exercise in registered)


def test_course_map_links_what_is_here_and_calls_the_rest_planned(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "NOTEBOOKS", tmp_path)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "01_gaze_geometry.py").write_text("# (●○○ · 5 min) and (●●● · 20 min)", encoding="utf-8")
    table = course.course_map()
    assert "| 01 | **[Gaze geometry](01_gaze_geometry.ipynb)** |" in table
    assert "| 02 | Synthetic faces *(planned)* |" in table
    assert "| 45 min | 25 min |" in table
    assert "1 of 12 notebooks, about 1.2 of" in table


def test_course_map_of_the_whole_course_plans_nothing_more(monkeypatch):
    monkeypatch.setattr(course, "available", lambda: {chapter.stem for chapter in course.CHAPTERS})
    table = course.course_map()
    assert "planned" not in table
    assert table.splitlines()[-1].startswith("12 notebooks, about ")


@pytest.mark.parametrize("solved", [False, True], ids=["learner", "solved"])
def test_notebook_00_shows_the_course_map_of_this_version(solved):
    cells = _stored(notebooks.NOTEBOOKS / "source" / "00_start_here.py", solved).cells
    (shown,) = [cell.outputs[0].data["text/markdown"] for cell in cells if "course.course_map()" in cell.source]
    assert shown == course.course_map(), "run python -m gazecourse notebooks 00"
