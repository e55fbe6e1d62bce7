"""A second reader of cubes, written from docs/cube-format.md alone: JSON, zstd and NumPy; neither zarr nor anything of this project."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import Zstd

KINDS = {"bool": "?", "int8": "i1", "int32": "<i4", "int64": "<i8", "uint8": "u1", "uint16": "<u2", "uint32": "<u4"}
KINDS |= {"float32": "<f4", "float64": "<f8"}


class Cube:
    """A cube in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.attributes: dict[str, Any] = json.loads((folder / "zarr.json").read_text())["attributes"]
        if self.attributes["format_version"] > 1:
            raise ValueError("a newer format")
        self.head: dict[str, Any] = json.loads((folder / "ledger" / "head.json").read_text())

    def array(self, name: str) -> np.ndarray:
        """An array, decoded."""
        meta = json.loads((self.folder / name / "zarr.json").read_text())
        kind, shape = np.dtype(KINDS[meta["data_type"]]), tuple(meta["shape"])
        size = meta["chunk_grid"]["configuration"]["chunk_shape"]
        fill = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}.get(str(meta["fill_value"]), meta["fill_value"])
        whole = np.full(shape, fill, kind)
        for number in itertools.product(*(range(-(-length // step)) for length, step in zip(shape, size, strict=True))):
            file = self.folder.joinpath(name, "c", *map(str, number))
            if not file.exists():
                continue
            content = file.read_bytes()
            if any(codec["name"] == "zstd" for codec in meta["codecs"]):
                content = Zstd().decode(content)
            chunk = np.frombuffer(content, kind).reshape(size)
            place = tuple(
                slice(index * step, min((index + 1) * step, length)) for index, step, length in zip(number, size, shape, strict=True)
            )
            whole[place] = chunk[tuple(slice(0, each.stop - each.start) for each in place)]
        return whole

    def receipts(self) -> dict[str, dict[str, Any]]:
        """The receipts that hold, by tile."""
        lines = []
        for file in (self.folder / "ledger").glob("*.jsonl"):
            for line in file.read_text().splitlines():
                text, _, seal = line.rpartition(',"line_crc":"')
                if f"{google_crc32c.value((text + '}').encode()):08x}" == seal[:8]:
                    lines.append(json.loads(text + "}"))
        found: dict[str, dict[str, Any]] = {}
        for line in sorted(lines, key=lambda each: each["at"]):
            if "tile" in line:
                found.pop(line["tile"], None)
                if "crc" in line:
                    found[line["tile"]] = line
        columns = self.columns()
        return {
            name: line
            for name, line in found.items()
            if (column := int(name.rpartition("/")[2])) < len(columns)
            and (line["first_block"], line["draws"]) == self._holds(columns[column])
        }

    def columns(self) -> list[tuple[int, int]]:
        """(first block, blocks) of every column."""
        block, width, draws = self.head["identity"]["block"], self.head["policy"]["blocks"], self.attributes["draws"]
        found, first = [], 0
        for extent in (*self.attributes.get("extents", ()), draws):
            while first < extent // block:
                stop = min(extent // block, (first // width + 1) * width)
                found.append((first, stop - first))
                first = stop
        return [*found, (first, 1)] if draws % block else found

    def _holds(self, column: tuple[int, int]) -> tuple[int, int]:
        block = self.head["identity"]["block"]
        return column[0], min(self.attributes["draws"] - column[0] * block, column[1] * block)

    def fingerprint(self) -> str:
        text = json.dumps(self.head["identity"], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()
