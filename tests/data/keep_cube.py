"""Make the cube that is kept of a format version, and what is expected of it: `python -m tests.data.keep_cube`.

Run once for each version, when it is new: the cube that it made must open for ever.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np

import sweep
from sweep.identity import FORMAT_VERSION
from sweep.places import Folder
from sweep.replay import replay
from tests.sweep.studies import toy

FILE = Path(__file__).with_name(f"cube_format_{FORMAT_VERSION}.zip")
SHOWN = (
    "statistics/probability",
    "statistics/date_of_doubling_3/mean",
    "statistics/date_of_doubling_3/quantile_value",
    "draws/initial_agis",
)


def main() -> None:
    """Write the archive: a store with an axis, extended once, and expected.json."""
    spec = toy(axes={"paper_growth_factor": {"values": [1.5, 3.0]}}, parameters__papers_for_first_doubling=2, store__draws="outcomes")
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "cube"
        sweep.run(spec.replace(draws=300), store, workers=1)
        cube = sweep.run(spec.replace(draws=700), store, workers=1)
        found = replay(Folder(store), 1234)
        expected = {
            "fingerprint": spec.fingerprint(),
            "values": {name: np.asarray(cube[name].values, dtype=float).ravel().tolist() for name in SHOWN},
            "replayed": {"index": found.index, "outcomes": found.outcomes},
        }
        with zipfile.ZipFile(FILE, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in store.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(folder))
            archive.writestr("expected.json", json.dumps(expected))


if __name__ == "__main__":
    main()
