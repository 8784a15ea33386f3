"""Whether the installation and a run are sound: versions, devices, plugins, entry points, extras, files."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from skinzoo.errors import ModelError, PluginError, SkinzooError, UsageError
from skinzoo.files import read_toml
from skinzoo.home import runs_folder
from skinzoo.plugins import GROUP
from skinzoo.registry import Registry

DISTRIBUTION = "skinzoo"
SHOWN_VERSIONS = ("tensorflow", "keras", "protobuf", "grpcio", "tensorflow-serving-api")
DEVICE_TIMEOUT_SECONDS = 300
RUN_CARD = "card.json"
RUN_JSON = ("config.json", "environment.json", "split.json", "classes.json", RUN_CARD)
RUN_TEXT = ("history.csv",)
RUN_MODEL = "model.keras"
RUN_MODEL_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
RUN_FOLDERS = ("checkpoints",)

OK, INFORMATION, PROBLEM = "ok", "information", "problem"

_DEVICE_PROGRAM = """
import json
import tensorflow
devices = tensorflow.config.list_physical_devices()
names = [
    tensorflow.config.experimental.get_device_details(device).get("device_name", "")
    if device.device_type == "GPU" else ""
    for device in devices
]
print(json.dumps([[device.device_type, device.name, name] for device, name in zip(devices, names)]))
"""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Args:
        section: `versions`, `devices`, `installation`, `plugins`, `extras` or `run`.
        subject: What was looked at.
        status: `ok`, `information` (nothing wrong, nothing to do) or `problem`.
        detail: What was found.
        hint: What to do about it.
    """

    section: str
    subject: str
    status: str
    detail: str
    hint: str = ""


def examine(registry: Registry, run: str | None = None) -> list[Check]:
    """Look at the installation and, where one is named, at a run directory.

    Args:
        registry: The registry of the installed plugins.
        run: A run: a path, a name, a unique prefix of a name, or `latest`.

    Returns:
        All findings, the good ones included.

    Raises:
        UsageError: There is no such run.
    """
    folder = _run_folder(run) if run is not None else None
    checks = [
        *check_versions(),
        *check_devices(),
        *check_installation(),
        *check_plugins(registry),
        *check_extras(),
    ]
    return checks + check_run(folder) if folder is not None else checks


def _run_folder(run: str) -> Path:
    from skinzoo.training.runs import find_run

    try:
        return find_run(run).path
    except UsageError:
        # A directory that lost its configuration is a damaged run, not an unknown one.
        if Path(run).expanduser().is_dir():
            return Path(run).expanduser()
        raise


def failure(checks: Sequence[Check]) -> SkinzooError | None:
    """Return the error that a set of findings amounts to.

    Returns:
        ModelError for an incomplete run, else PluginError for trouble with the installation or with
        plugins, else None.
    """
    problems = [check for check in checks if check.status == PROBLEM]
    if not problems:
        return None
    run = [check for check in problems if check.section == "run"]
    first = (run or problems)[0]
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    kind = ModelError if run else PluginError
    detail = first.detail.removesuffix(".")
    return kind(f"{count} found, the first: {first.subject}: {detail}.", hint=first.hint or None)


def check_versions(distribution: str = DISTRIBUTION) -> list[Check]:
    """Compare installed versions with the ranges that the distribution declares."""
    python = Check(
        section="versions", subject="python", status=OK, detail=f"{platform.python_version()} {sys.platform}"
    )
    try:
        requirements = [Requirement(text) for text in metadata.requires(distribution) or ()]
    except metadata.PackageNotFoundError:
        return [python]
    needed = [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    order = {name: i for i, name in enumerate((distribution, *SHOWN_VERSIONS))}
    own = Check(section="versions", subject=distribution, status=OK, detail=metadata.version(distribution))
    checks = [own, *(_check_requirement(requirement) for requirement in needed)]
    checks.sort(key=lambda check: order.get(check.subject, len(order)))
    return [python, *checks, *_check_serving_api()]


def _check_requirement(requirement: Requirement) -> Check:
    name = canonicalize_name(requirement.name)
    install = f'Install it with: pip install "{requirement.name}{requirement.specifier}"'
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(section="versions", subject=name, status=PROBLEM, detail="not installed", hint=install)
    if requirement.specifier.contains(version, prereleases=True):
        return Check(section="versions", subject=name, status=OK, detail=version)
    return Check(
        section="versions",
        subject=name,
        status=PROBLEM,
        detail=f"must be {requirement.specifier}. Received: {version}",
        hint=install,
    )


def _check_serving_api() -> list[Check]:
    """Check that the stubs of TensorFlow Serving have TensorFlow's minor version, whose messages they use."""
    try:
        tensorflow = Version(metadata.version("tensorflow"))
        stubs = Version(metadata.version("tensorflow-serving-api"))
    except (metadata.PackageNotFoundError, InvalidVersion):
        return []
    if tensorflow.release[:2] == stubs.release[:2]:
        return []
    minor = ".".join(map(str, tensorflow.release[:2]))
    return [
        Check(
            section="versions",
            subject="tensorflow-serving-api",
            status=PROBLEM,
            detail=f"must have TensorFlow's minor version {minor}. Received: {stubs}",
            hint=f'Install it with: pip install "tensorflow-serving-api=={minor}.*"',
        )
    ]


def check_devices() -> list[Check]:
    """List the devices that TensorFlow sees, asked in a child process that is silent."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        child = subprocess.run(
            [sys.executable, "-c", _DEVICE_PROGRAM],
            capture_output=True,
            text=True,
            env=environment,
            timeout=DEVICE_TIMEOUT_SECONDS,
            check=True,
        )
        found = json.loads(child.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        detail = f"TensorFlow did not answer within {DEVICE_TIMEOUT_SECONDS} s"
        return [Check(section="devices", subject="tensorflow", status=PROBLEM, detail=detail)]
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        detail = f"TensorFlow cannot be imported: {last}"
        hint = "Reinstall it with: pip install --force-reinstall tensorflow"
        return [Check(section="devices", subject="tensorflow", status=PROBLEM, detail=detail, hint=hint)]
    devices = [
        Check(section="devices", subject=kind, status=OK, detail=" ".join(filter(None, [name, model])))
        for kind, name, model in found
    ]
    if not any(kind == "GPU" for kind, _, _ in found):
        devices.append(
            Check(
                section="devices",
                subject="GPU",
                status=INFORMATION,
                detail="TensorFlow sees none",
                hint='Where there is one, install: pip install "skinzoo[gpu]"',
            )
        )
    return devices


def check_installation() -> list[Check]:
    """Check the entry points of skinzoo and of every distribution that has plugins."""
    found: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        # The first on the path hides others of its name.
        found.setdefault(canonicalize_name(distribution.name), distribution)
    distributions = {name: distribution for name, distribution in found.items() if _has_plugins(distribution)}
    if DISTRIBUTION not in distributions:
        return [_missing_entry_points(), *_check_entry_points(distributions.values())]
    return list(_check_entry_points(distributions.values()))


def _has_plugins(distribution: metadata.Distribution) -> bool:
    return any(entry_point.group == GROUP for entry_point in distribution.entry_points)


def _missing_entry_points() -> Check:
    try:
        metadata.distribution(DISTRIBUTION)
        detail = f"declares no entry point in the group '{GROUP}', so no built-in part is found"
    except metadata.PackageNotFoundError:
        detail = "is not installed as a distribution, so no built-in part is found"
    return Check(
        section="installation",
        subject=DISTRIBUTION,
        status=PROBLEM,
        detail=detail,
        hint="Install it again with: pip install --force-reinstall --no-deps skinzoo (or -e CHECKOUT)",
    )


def _check_entry_points(distributions: Iterable[metadata.Distribution]) -> Iterator[Check]:
    for distribution in sorted(distributions, key=lambda dist: dist.name):
        problems = [*_missing_modules(distribution), *_stale_metadata(distribution)]
        yield from problems
        if not problems:
            count = sum(entry_point.group == GROUP for entry_point in distribution.entry_points)
            source = editable_source(distribution)
            yield Check(
                section="installation",
                subject=f"{distribution.name} {distribution.version}",
                status=OK,
                detail=f"{count} entry points" + (f", editable from {source}" if source else ""),
            )


def _missing_modules(distribution: metadata.Distribution) -> Iterator[Check]:
    for entry_point in distribution.entry_points:
        if entry_point.group == GROUP and not _module_exists(entry_point.module):
            yield Check(
                section="installation",
                subject=f"{distribution.name} {distribution.version}",
                status=PROBLEM,
                detail=f"entry point '{entry_point.name}' names the missing module '{entry_point.module}'",
                hint=_reinstall(distribution),
            )


def _module_exists(name: str) -> bool:
    parts = name.split(".")
    locations: Sequence[str] | None = None
    # find_spec("a.b") would import a; looking at each level by itself runs no plugin's code.
    for i in range(len(parts)):
        spec = _find_spec(".".join(parts[: i + 1]), locations)
        if spec is None:
            return False
        locations = spec.submodule_search_locations
        if locations is None and i < len(parts) - 1:
            return False
    return True


def _find_spec(name: str, locations: Sequence[str] | None) -> ModuleSpec | None:
    found = (finder.find_spec(name, locations) for finder in sys.meta_path)
    return next((spec for spec in found if spec is not None), None)


def _stale_metadata(distribution: metadata.Distribution) -> Iterator[Check]:
    source = editable_source(distribution)
    if source is None:
        return
    subject = f"{distribution.name} {distribution.version}"
    if not (source / "pyproject.toml").is_file():
        if not source.is_dir():
            yield Check(
                section="installation",
                subject=subject,
                status=PROBLEM,
                detail=f"its editable source is gone: {source}",
                hint=f"Uninstall it with: pip uninstall {distribution.name}",
            )
        return
    declared = read_toml(source / "pyproject.toml").get("project", {}).get("entry-points", {}).get(GROUP, {})
    installed = {
        entry_point.name: entry_point.value
        for entry_point in distribution.entry_points
        if entry_point.group == GROUP
    }
    differing = sorted(
        name for name in declared.keys() | installed.keys() if declared.get(name) != installed.get(name)
    )
    if differing:
        yield Check(
            section="installation",
            subject=subject,
            status=PROBLEM,
            detail=f"the editable install is stale, its entry points differ from pyproject.toml: "
            f"{', '.join(differing)}",
            hint=_reinstall(distribution),
        )


def editable_source(distribution: metadata.Distribution) -> Path | None:
    """Return the folder that a distribution is installed from in editable mode, or None."""
    text = distribution.read_text("direct_url.json")
    if text is None:
        return None
    origin = json.loads(text)
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path))


def _reinstall(distribution: metadata.Distribution) -> str:
    source = editable_source(distribution)
    what = f"-e {source}" if source else f"--force-reinstall --no-deps {distribution.name}"
    return f"Install it again with: pip install {what}"


def check_plugins(registry: Registry) -> list[Check]:
    """Report plugins that failed and names that are contested."""
    checks = [
        Check(
            section="plugins",
            subject=str(plugin.provider),
            status=PROBLEM,
            detail=plugin.problem,
            hint="See: skinzoo plugins",
        )
        for plugin in registry.failed
    ]
    checks += [
        Check(
            section="plugins",
            subject=f"{conflict.kind} {conflict.name}",
            status=PROBLEM,
            detail=str(conflict),
            hint="See: skinzoo plugins",
        )
        for conflict in registry.conflicts
    ]
    checks += [
        Check(section="plugins", subject=str(plugin.provider), status=INFORMATION, detail=plugin.problem)
        for plugin in registry.plugins
        if plugin.status == "disabled"
    ]
    loaded = sum(plugin.status == "loaded" for plugin in registry.plugins)
    return [Check(section="plugins", subject="loaded", status=OK, detail=str(loaded)), *checks]


def check_extras(distribution: str = DISTRIBUTION) -> list[Check]:
    """Say which extras are installed, and the pip command of those that are not."""
    try:
        described = metadata.metadata(distribution)
    except metadata.PackageNotFoundError:
        return []
    extras = described.get_all("Provides-Extra") or []
    requirements = [Requirement(text) for text in metadata.requires(distribution) or ()]
    return [_check_extra(distribution, extra, requirements) for extra in extras]


def _check_extra(distribution: str, extra: str, requirements: Sequence[Requirement]) -> Check:
    needed = [
        requirement
        for requirement in requirements
        if requirement.marker is not None
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.marker.evaluate({"extra": ""})
        and canonicalize_name(requirement.name) != canonicalize_name(distribution)
    ]
    unmet = [requirement for requirement in needed if not _is_met(requirement)]
    if not unmet:
        return Check(section="extras", subject=extra, status=OK, detail="installed")
    return Check(
        section="extras",
        subject=extra,
        status=INFORMATION,
        detail="not installed: " + ", ".join(_requirement_name(requirement) for requirement in unmet),
        hint=f'pip install "{distribution}[{extra}]"',
    )


def _requirement_name(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _is_met(requirement: Requirement) -> bool:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    if not requirement.specifier.contains(version, prereleases=True):
        return False
    nested = [Requirement(text) for text in metadata.requires(requirement.name) or ()]
    return all(
        _is_met(Requirement(f"{inner.name}{inner.specifier}"))
        for extra in requirement.extras
        for inner in nested
        if inner.marker is not None
        and inner.marker.evaluate({"extra": extra})
        and not inner.marker.evaluate({"extra": ""})
    )


def check_run(run: Path) -> list[Check]:
    """Check that a run directory has everything that a finished training writes, and that it can be read."""
    if not run.is_dir():
        return [_run_problem(str(run), "no such directory", "See which runs there are: skinzoo runs")]
    unfinished = _check_unfinished(run)
    if unfinished is not None:
        return [*(_check_json(run / name) for name in RUN_JSON if name != RUN_CARD), unfinished]
    checks = [_check_json(run / name) for name in RUN_JSON]
    checks += [_check_text(run / name) for name in RUN_TEXT]
    checks += [_check_folder(run / name) for name in RUN_FOLDERS]
    return [*checks, _check_archive(run / RUN_MODEL)]


def _check_unfinished(run: Path) -> Check | None:
    """Say how far a run is that is not finished; None for a finished one, and where nothing tells."""
    from skinzoo.training.runs import FAILED, FAILURE_FILE, FINISHED, RUNNING, RunFolder

    folder = RunFolder(run)
    state = folder.state
    try:
        if state == FINISHED:
            return None
        epoch = min(len(folder.history()) + 1, folder.config().training.epochs)
        reason = str(folder.document(FAILURE_FILE)["message"]) if state == FAILED else ""
    except (ModelError, ValueError, KeyError, TypeError):
        return None
    if state == RUNNING:
        return Check(section="run", subject=run.name, status=INFORMATION, detail=f"in epoch {epoch}, running")
    if state == FAILED:
        return _run_problem(run.name, f"failed in epoch {epoch}: {reason}", "See: skinzoo runs")
    name = run.name if run.parent.resolve() == runs_folder().resolve() else shlex.quote(str(run))
    return _run_problem(run.name, f"stopped in epoch {epoch}", f"Go on with: skinzoo train --resume {name}")


def _run_problem(subject: str, detail: str, hint: str = "") -> Check:
    return Check(section="run", subject=subject, status=PROBLEM, detail=detail, hint=hint)


def _found(path: Path, detail: str = "complete") -> Check:
    return Check(section="run", subject=path.name, status=OK, detail=detail)


def _check_json(path: Path) -> Check:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _run_problem(path.name, "missing")
    except (OSError, ValueError) as error:
        return _run_problem(path.name, f"cannot be read: {error}")
    return _found(path)


def _check_text(path: Path) -> Check:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return _run_problem(path.name, "missing")
    except (OSError, ValueError) as error:
        return _run_problem(path.name, f"cannot be read: {error}")
    if len(lines) < 2:
        return _run_problem(path.name, "holds no epoch")
    return _found(path, f"{len(lines) - 1} epoch{'' if len(lines) == 2 else 's'}")


def _check_folder(path: Path) -> Check:
    if not path.is_dir():
        return _run_problem(path.name, "missing")
    if not any(path.iterdir()):
        return _run_problem(path.name, "empty")
    return _found(path)


def _check_archive(path: Path) -> Check:
    if not path.is_file():
        return _run_problem(path.name, "missing")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            missing = sorted(set(RUN_MODEL_MEMBERS) - set(archive.namelist()))
    except (zipfile.BadZipFile, OSError) as error:
        return _run_problem(path.name, f"cannot be read: {error}")
    if damaged:
        return _run_problem(path.name, f"is damaged at its member '{damaged}'")
    if missing:
        return _run_problem(path.name, f"lacks its members {', '.join(missing)}")
    return _found(path)


def as_document(checks: Sequence[Check]) -> dict[str, Any]:
    """Return findings as a JSON-ready document."""
    return {
        "healthy": not any(check.status == PROBLEM for check in checks),
        "checks": [
            {
                "section": check.section,
                "subject": check.subject,
                "status": check.status,
                "detail": check.detail,
                "hint": check.hint,
            }
            for check in checks
        ],
    }
