"""The course's command line: ``python -m gazecourse``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import gazecourse
from gazecourse import commands as real_data
from gazecourse.errors import CourseError

_DESCRIPTION = f"""\
gazecourse: learn appearance-based gaze estimation and face alignment by building it.

  lab         open the course in JupyterLab (prepares what is missing first)
  doctor      say what is installed, what is missing and which profile fits this machine
  data        render the faces that the notebooks learn from
{real_data.SUMMARY}
  notebooks   generate, execute and check the notebooks from their sources
"""


def _lab(arguments: argparse.Namespace) -> int:
    from gazecourse import lab
    from gazecourse.prepare import prepare

    port = lab.wanted_port(arguments.port or os.environ.get("PORT"))
    if port is not None:
        lab.check_port(port)  # before minutes of preparation, not after
    prepare()
    lab.start(arguments.folder, port, browser=lab.wants_browser(os.environ.get("BROWSER")))
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from gazecourse import doctor

    return 0 if doctor.report() else 1


def _data(arguments: argparse.Namespace) -> int:
    from gazecourse.prepare import prepare

    prepare(arguments.domain, arguments.profile, arguments.processes)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gazecourse", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"gazecourse {gazecourse.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    lab = commands.add_parser("lab", help="open the course in JupyterLab")
    lab.add_argument("--port", help="listen on this port (also PORT=); without it, the next free one from 8888 up")
    lab.add_argument(
        "--folder",
        type=Path,
        default=Path(__file__).resolve().parents[1],
        help="folder that holds notebooks/ (default: the repository); name a copy to keep it untouched",
    )
    lab.set_defaults(run=_lab)

    commands.add_parser("doctor", help="check this machine and this installation").set_defaults(run=_doctor)

    data = commands.add_parser("data", help="render the faces that the notebooks learn from")
    data.add_argument("--domain", action="append", help="only this domain (may be given again); default: all four")
    data.add_argument("--profile", help="quick or full; default: GAZECOURSE_PROFILE, else quick")
    data.add_argument("--processes", type=int, help="render in this many processes; default: one a core")
    data.set_defaults(run=_data)
    real_data.add(commands)
    return parser


def _run(argv: Sequence[str]) -> int:
    if argv[:1] == ["notebooks"]:  # has its own commands and its own help
        from gazecourse import notebooks

        return notebooks.main(list(argv[1:])) or 0
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    return arguments.run(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. What a learner can put right ends in one sentence, not a traceback."""
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except ImportError as error:
        print(f"error: {error}. python -m gazecourse doctor says what is missing.", file=sys.stderr)
    except (CourseError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
