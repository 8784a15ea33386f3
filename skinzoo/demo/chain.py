"""The commands of the demo, run one after another in child processes."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from skinzoo.errors import SkinzooError, UsageError

RUN, MODEL = "demo", "demo"
IMAGES, EPOCHS, BATCH = 600, 40, 16
START_SECONDS, STOP_SECONDS = 120.0, 20.0
SAMPLE, RUNS, EXPORTS = "lesions", "runs", "exports"
CASES_FILE, RESULTS_FILE, SERVER_LOG, PAGE_FILE = "cases.csv", "results.csv", "server.log", "index.html"
DATA_REPORT, EXPLANATION = "data.html", "explanation"


class DemoError(SkinzooError):
    """A command of the demo that failed; the exit code is the command's."""


@dataclass(frozen=True)
class Step:
    """One command.

    Args:
        title: What it shows.
        words: What follows `skinzoo`.
        before: What must be done before it, in this process.
        serves: Whether it goes on in the background until the end.
        may_end_with: Exit codes that are no failure.
    """

    title: str
    words: tuple[str, ...]
    before: Callable[[], object] | None = None
    serves: bool = False
    may_end_with: tuple[int, ...] = (0,)

    @property
    def command(self) -> str:
        """The line that a user would type."""
        return shlex.join(["skinzoo", *self.words])


class Demo:
    """The demo in a folder.

    Args:
        folder: A folder that does not exist or is empty.
        epochs: Epochs of the training.
        images: Images that are drawn.

    Raises:
        UsageError: The folder holds something.
    """

    def __init__(self, folder: Path, *, epochs: int = EPOCHS, images: int = IMAGES) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"The folder of the demo must be new or empty. Received: '{folder}'.",
                hint="Choose another with --to.",
            )
        self.folder = folder
        self.epochs = epochs
        self.images = images
        self.port = _free_port()

    @property
    def page(self) -> Path:
        """The page that is left at the end."""
        return self.folder / PAGE_FILE

    def steps(self) -> tuple[Step, ...]:
        """Return the commands in order."""
        data, run, address = self._path(SAMPLE), self._path(f"{RUNS}/{RUN}"), f"127.0.0.1:{self.port}"
        return (
            Step("Draw a dataset", ("data", "sample", "--to", data, "--images", str(self.images))),
            # The sample has duplicates drawn into it, which an audit is there to find.
            Step("Look for leaks and damage", ("data", "audit", data), may_end_with=(0, 3)),
            Step("Describe it on one page", ("data", "report", data, "--to", self._path(DATA_REPORT))),
            Step(
                "Train on whole lesions",
                (
                    *("train", small_variant(), "--data", data, "--epochs", str(self.epochs)),
                    *("--set", f"training.batch_size={BATCH}"),
                    *("--out", self._path(RUNS), "--name", RUN),
                ),
            ),
            Step("Score the test part", ("evaluate", run, "--calibrate", "temperature", "--draws", "500")),
            Step(
                "Draw where the model looks",
                (
                    *("explain", run, "--cases", "6", "--methods", "attention,gradcam"),
                    *("--to", self._path(EXPLANATION)),
                ),
            ),
            Step("Export", ("export", run, "--to", self._path(EXPORTS), "--name", MODEL)),
            Step("Serve", ("serve", self._path(EXPORTS), "--port", str(self.port)), serves=True),
            Step(
                "Send cases, the last ones without metadata",
                (
                    *("predict", self._path(CASES_FILE), "--server", address, "--wait", "90"),
                    *("--to", self._path(RESULTS_FILE), "--format", "csv"),
                ),
                before=self._write_cases,
            ),
        )

    def run(self, announce: Callable[[int, Step], None]) -> Path:
        """Run every command and return the page that shows what came out.

        Args:
            announce: Called before each command with its number, from 1.

        Raises:
            DemoError: A command failed.
        """
        from skinzoo.demo.page import write_page

        self.folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with self._server() as serve:
            for number, step in enumerate(self.steps(), start=1):
                announce(number, step)
                if step.before is not None:
                    step.before()
                if step.serves:
                    serve(step)
                else:
                    self._carry_out(step)
        return write_page(self, seconds=time.monotonic() - began)

    def _carry_out(self, step: Step) -> None:
        code = subprocess.run(_words(step), env=self._environment(), check=False).returncode
        if code not in step.may_end_with:
            raise self._failed(step, code)

    @contextmanager
    def _server(self) -> Iterator[Callable[[Step], None]]:
        children: list[subprocess.Popen[bytes]] = []
        log = self.folder / SERVER_LOG

        def serve(step: Step) -> None:
            with log.open("wb") as stream:
                children.append(
                    subprocess.Popen(
                        _words(step), env=self._environment(), stdout=stream, stderr=subprocess.STDOUT
                    )
                )
            until = time.monotonic() + START_SECONDS
            while not _accepts(self.port) and time.monotonic() < until:
                time.sleep(0.2)
                code = children[0].poll()
                if code is not None:
                    raise self._failed(step, code, f"in {log}")

        try:
            yield serve
        finally:
            for child in children:
                child.terminate()
                try:
                    child.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    def _write_cases(self) -> None:
        from skinzoo.demo.page import write_cases

        write_cases(self)

    def _environment(self) -> dict[str, str]:
        # The demo leaves caches and settings of its user alone.
        return {**os.environ, "SKINZOO_HOME": str((self.folder / "home").resolve())}

    def _path(self, name: str) -> str:
        return str(self.folder / name)

    def _failed(self, step: Step, code: int, where: str = "above") -> DemoError:
        error = DemoError(
            f"Every command of the demo must succeed. Received: exit code {code} from `{step.command}`.",
            hint=f"What it printed stands {where}.",
        )
        error.exit_code = code if code > 0 else 1
        return error


def small_variant() -> str:
    """Return the variant with the smallest images among those that are trained from scratch."""
    from skinzoo.registry import registry
    from skinzoo.specs import BackboneSpec, VariantSpec

    parts = registry()
    sizes = {}
    for name in parts.names(VariantSpec.kind):
        backbone = parts.get(BackboneSpec, parts.get(VariantSpec, name).backbone)
        if not backbone.pretrained:
            sizes[name] = backbone.input_size
    return min(sizes, key=lambda name: (sizes[name], name))


def _words(step: Step) -> list[str]:
    return [sys.executable, "-m", "skinzoo", *step.words]


def _accepts(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
