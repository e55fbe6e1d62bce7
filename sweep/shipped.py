"""Where the files that come with the package are: configs, named distributions and the schema.

A checkout keeps them at its top, in `configs/`, where they are read and edited; a wheel carries the same folder as `sweep/configs/`
(the mapping is in pyproject.toml).
"""

from __future__ import annotations

from pathlib import Path


def configs_directory() -> Path:
    """The folder of the configs that come with this package, whether it runs from a checkout or from an installed wheel.

    Raises FileNotFoundError if the installation lacks it.
    """
    package = Path(__file__).resolve().parent
    for directory in (package / "configs", package.parent / "configs"):
        if directory.is_dir():
            return directory
    raise FileNotFoundError(f"no configs beside {package}: this installation of siesweep is incomplete; install it again")
