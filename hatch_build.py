"""Generates the Python modules of `protos/skinzoo/v1` when skinzoo is built, also for `pip install -e .`."""

from __future__ import annotations

import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTOS = Path("protos")
PACKAGE = Path("skinzoo", "v1")


class ProtoBuildHook(BuildHookInterface):
    """Writes message classes, their types, the gRPC stubs and the .proto itself into `skinzoo/v1`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate before a wheel is put together; a source distribution carries only the .proto."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        with tempfile.TemporaryDirectory() as folder:
            for made in generate(root / PROTOS, Path(folder)):
                path = made.relative_to(folder)
                _update(root / path, made.read_bytes())
                # They are git-ignored, and hatch leaves out what is unless it is told.
                build_data["artifacts"].append(f"/{path.as_posix()}")


def generate(protos: Path, folder: Path) -> list[Path]:
    """Compile every .proto of the package.

    Args:
        protos: Folder that import paths begin in.
        folder: Where the generated tree goes.

    Returns:
        The files made.

    Raises:
        RuntimeError: A .proto cannot be compiled; the compiler has said why on stderr.
    """
    from grpc_tools import protoc

    sources = sorted((protos / PACKAGE).glob("*.proto"))
    includes = [protos, files("grpc_tools") / "_proto"]
    outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
    arguments = ["protoc", *(f"-I{path}" for path in includes), *outputs, *map(str, sources)]
    if not sources or protoc.main(arguments) != 0:
        raise RuntimeError(f"'{protos / PACKAGE}' must hold .proto files that protoc compiles.")
    for source in sources:
        shutil.copyfile(source, folder / PACKAGE / source.name)
    return sorted(path for path in (folder / PACKAGE).iterdir() if path.is_file())


def _update(path: Path, content: bytes) -> None:
    """Write a file whole, and only where it changed, for programs that import it meanwhile."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    temporary.replace(path)
