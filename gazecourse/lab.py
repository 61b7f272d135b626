"""Starts JupyterLab the way the course needs it; ``python -m gazecourse lab``."""

from __future__ import annotations

import errno
import json
import os
import secrets
import signal
import socket
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from gazecourse.errors import CourseError

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

REPOSITORY = Path(__file__).resolve().parents[1]
FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
DEFAULT_PORT = 8888
_PORTS_TO_TRY = 50
LARGEST_UPLOAD = 256 * 2**20
"""Bytes of a file that a widget may send. Above the server's own limit, 10 MiB, which is a phone's photograph, it cuts
the connection without a word, and no widget works any more."""


def wanted_port(text: str | None) -> int | None:
    """The port that ``PORT`` or ``--port`` asks for; None where the next free one will do.

    Raises:
        CourseError: the text is not a number from 1 to 65535.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise CourseError(f"PORT must be a number from 1 to 65535; got {text!r}.")
    return int(text)


def wants_browser(text: str | None) -> bool:
    """Whether to open a browser window: ``BROWSER=0`` (or no, off, false) says no."""
    return (text or "").strip().lower() not in {"0", "no", "off", "false"}


def check_port(port: int) -> None:
    """Raise ``CourseError`` with a plain sentence if nothing can listen on this port of localhost."""
    for family, kind, protocol, _, address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
        try:
            with socket.socket(family, kind, protocol) as probe:
                if os.name == "posix":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CourseError(
                    f"Port {port} is in use by another program; choose another, for example PORT={port + 1}, "
                    "or leave PORT away to take the next free one."
                ) from None
            if error.errno == errno.EACCES:
                raise CourseError(
                    f"Port {port} is reserved for the system; choose one from 1024 up, for example PORT=8888."
                ) from None
            # Any other error is a protocol this machine does not speak (IPv6 often): JupyterLab skips it too.


def _has_browser() -> bool:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _arguments(folder: Path, port: int | None, browser: bool) -> list[str]:
    """JupyterLab's command line: no prompts, no requests to the outside, a fixed port if one was asked for.

    The token is ours so that JupyterLab leaves the announcement of the address to ``_print_address``.
    """
    arguments = [
        f"--IdentityProvider.token={secrets.token_hex(24)}",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}",
        f"--ServerApp.port={port or DEFAULT_PORT}",
        f"--ServerApp.port_retries={0 if port else _PORTS_TO_TRY}",
        f"--ServerApp.open_browser={browser and _has_browser()}",
        f"--ServerApp.tornado_settings={{'websocket_max_message_size': {LARGEST_UPLOAD}}}",
        "--Application.log_level=WARN",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # containers: JupyterLab refuses root unless told
        arguments.append("--ServerApp.allow_root=True")
    return arguments


def _put_first(variable: str, folder: Path) -> None:
    """Make Jupyter look into ``folder`` before the other folders of a search path."""
    others = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), *([others] if others else [])])


def _write_own_kernel(folder: Path) -> None:
    """A ``python3`` kernel that runs this very interpreter and wins over any other of that name."""
    from ipykernel.kernelspec import write_kernel_spec

    write_kernel_spec(folder / "kernels" / "python3", extra_arguments=["--ext=gazecourse.torchvision_compat"])
    _put_first("JUPYTER_PATH", folder)


def _write_own_page_settings(folder: Path) -> None:
    """No question about Jupyter news; ``news_url=None`` alone does not stop JupyterLab 4.6 from asking."""
    settings = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (folder / "labconfig").mkdir()
    (folder / "labconfig" / "page_config.json").write_text(json.dumps(settings), encoding="utf-8")
    _put_first("JUPYTER_CONFIG_PATH", folder)


def start(folder: Path = REPOSITORY, port: int | None = None, browser: bool = True) -> None:
    """Run JupyterLab on the first notebook until Ctrl-C; prints its address (localhost, with token).

    Args:
        folder: what JupyterLab shows; holds ``notebooks/``. A copy keeps the repository's notebooks untouched.
        port: listen here or fail; None takes the first free port from 8888 up.
        browser: open a browser window if the machine has one.
    Raises:
        CourseError: no notebooks in the folder, or the port is taken.
    """
    folder = Path(folder).resolve()
    if not (folder / FIRST_NOTEBOOK).is_file():
        raise CourseError(
            f"There is no {FIRST_NOTEBOOK} in {folder}. Clone the repository and install it with "
            "pip install -e . -c constraints.txt; the notebooks are not part of the package."
        )
    if port is not None:
        check_port(port)
    from jupyterlab.labapp import LabApp

    with tempfile.TemporaryDirectory(prefix="gazecourse-lab-") as own:
        _write_own_kernel(Path(own))
        _write_own_page_settings(Path(own))
        server = LabApp.initialize_server(argv=_arguments(folder, port, browser))
        for number in (signal.SIGINT, signal.SIGTERM):  # JupyterLab would ask back, or keep running without a terminal
            signal.signal(number, lambda *_: server.stop(from_signal=True))
        server.io_loop.add_callback(_print_address, server)
        server.start()
    print("\nThe course is closed.", flush=True)


def _print_address(server: ServerApp) -> None:
    address = f"http://localhost:{server.port}/lab/tree/{FIRST_NOTEBOOK}?token={server.identity_provider.token}"
    print(f"\nThe course is open at\n\n    {address}\n\nCtrl-C here stops it.", flush=True)
