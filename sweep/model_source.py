"""Where a model comes from, by what a config calls it: the one place in which a name becomes a model.

    returns_law              one of ours
    my_models.py:MyModel     a class in a file, relative to the folder of the config, or absolute
    package.module:MyModel   a class in a module that Python can import
    fast_growth              an entry point that an installed package has in the group siesweep.models

Code of others runs for a config file, `simulate` or `siesweep models` only, where a user names it; never for text that comes out of a cube.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from kernels import models
from kernels.models import Model
from sweep.errors import Fault, SpecError, near
from sweep.model_check import checked, told

GROUP = "siesweep.models"
"""The group of entry points."""


@dataclass(frozen=True)
class ModelSource:
    """A model as data: what it is called, the folder in which that is looked up, and SHA-256 of its source file (None: one of ours).

    Pickles without the model's code, which another process loads again from the same file.
    """

    reference: str
    folder: Path | None = None
    sha256: str | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is none of ours."""
        return self.sha256 is not None

    def model(self) -> Model:
        """The model. Raises SpecError where its file has to be loaded again and is no longer the same."""
        if not self.is_own:
            return models.get(self.reference)
        if self not in _LOADED:
            try:
                found = find(self.reference, self.folder)
            except Fault as fault:
                raise SpecError(self.reference, "", None, fault.problem, fault.fix) from None
            if found != self:
                raise SpecError(self.reference, "", None, "its file has changed since the sweep was read", "read the config again")
        return _LOADED[self]

    def identity(self) -> str | dict[str, str]:
        """What of it a bit of a result depends on, as JSON."""
        return {"reference": self.reference, "sha256": self.sha256} if self.sha256 is not None else self.reference


_LOADED: dict[ModelSource, Model] = {}


def find(reference: str, folder: Path | None) -> ModelSource:
    """The model that `reference` names for a config in `folder`; None for a config that is no file, for which no code is loaded.

    Raises Fault where there is none, or where it is not a model.
    """
    if reference in models.names():
        return ModelSource(reference)
    place, colon, name = reference.rpartition(":")
    entries = {} if colon else installed()
    if not colon and reference.endswith(".py"):
        raise Fault("names a file, but no class in it", f'write "{reference}:CLASS"')
    if not colon and reference not in entries:
        listed = near(reference, (*models.names(), *entries), "models")
        raise Fault("unknown model", f"{listed}, or a class of your own, FILE.py:CLASS")
    if folder is None:
        problem = "own models are loaded for config files only, not for the text of a config, such as a cube's"
        raise Fault(problem, "save the text as a file beside the model's, and load that")
    folder = folder.absolute()
    if not colon:
        found, digest = _of_entry_point(entries[reference])
    elif place.endswith(".py"):
        reference = f"{os.path.normpath(place)}:{name}"
        found, digest = _of_file(folder, os.path.normpath(place), name)
    else:
        found, digest = _of_module(place, name)
    source = ModelSource(reference, folder, digest)
    if source not in _LOADED:
        _LOADED[source] = checked(found, name or reference)
    return source


def installed() -> dict[str, list[metadata.EntryPoint]]:
    """The entry points of installed packages by name; ours cannot be replaced by one."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for entry in metadata.entry_points(group=GROUP):
        if entry.name not in models.names():
            found.setdefault(entry.name, []).append(entry)
    return found


def _of_entry_point(entries: list[metadata.EntryPoint]) -> tuple[object, str]:
    values = sorted({entry.value for entry in entries})
    if len(values) > 1:
        raise Fault(f"several installed packages have a model of this name: {', '.join(values)}", f'write one of them, e.g. "{values[0]}"')
    return _of_module(entries[0].module, entries[0].attr)


class _Held(importlib.abc.InspectLoader):
    """Runs the very bytes that were read and hashed: no byte code of an older file, no second look at the disk."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content = path, content

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self.content)

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self.content, str(self.path), "exec", dont_inherit=True)
        return code


def _of_file(folder: Path, place: str, name: str) -> tuple[object, str]:
    path = folder / place
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Fault(f"no such file: {path}", f"give its path, absolute or from {folder} on") from None
    except (OSError, ValueError) as error:
        raise Fault(f"{path} cannot be read ({error})", "give the path of a readable Python file") from None
    module = _module(path, content)
    found = _attribute(module, name)
    if getattr(found, "__module__", module.__name__) != module.__name__:
        home = getattr(found, "__module__", "")
        raise Fault(
            f"{name} is not defined in {path.name}, but in {home}", f'write "{home}:{name}", so that its own file is the one checked'
        )
    return found, hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=64)
def _module(path: Path, content: bytes) -> ModuleType:
    """The module with this content, run once."""
    name = f"_own_{path.stem}_{hashlib.sha256(bytes(path) + content).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Held(path, content))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up the names in their annotations there.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise Fault(f"it cannot be imported: {told(error, str(path))}", "correct this line") from None
    return module


def _of_module(place: str, name: str) -> tuple[object, str]:
    if not all(part.isidentifier() for part in place.split(".")):
        raise Fault(f"{place!r} is neither a Python file nor a module", 'write "FILE.py:CLASS" or "package.module:CLASS"')
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise Fault(f"it cannot be imported: {told(error)}", "install what it needs") from None
        raise Fault(f"no module {error.name}", 'install it, or name its file: "FILE.py:CLASS"') from None
    except (Exception, SystemExit) as error:
        raise Fault(f"it cannot be imported: {told(error)}", "correct this line") from None
    found = _attribute(module, name)
    return found, _digest(found)


def _attribute(module: Any, name: str) -> object:
    if name not in vars(module):
        defined = [(each, value) for each, value in vars(module).items() if isinstance(value, type) and issubclass(value, Model)]
        classes = [each for each, value in defined if not value.__module__.startswith("kernels.")]
        fix = near(name, classes, "its models") if classes else "define one there: class MyModel(kernels.models.Model)"
        raise Fault(f"no class {name} there", fix)
    return vars(module)[name]


@cache
def _digest(found: object) -> str:
    """SHA-256 of the file in which a class is defined, as it is when the class is first seen."""
    file = getattr(sys.modules.get(getattr(found, "__module__", "")), "__file__", None)
    try:
        return hashlib.sha256(Path(file or "").read_bytes()).hexdigest()
    except OSError:
        raise Fault("the source file of its class cannot be read", "define the class in a Python file") from None
