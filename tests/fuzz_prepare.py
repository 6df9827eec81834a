"""Coverage-guided fuzzing of what reads files, by hand: see CONTRIBUTING.md.

    python tests/fuzz_prepare.py TARGET [options of libFuzzer, e.g. -max_total_time=600]

Targets: ``prepare``, each kind of file within a whole folder; ``model``, a model's file. A finding
stops it, and its input is kept as ``crash-*``; give that file's name to run it again.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import atheris

_READERS: Final = ["tune_knee.data", "tune_knee.segmenter", "pydicom", "nibabel", "PIL"]

with atheris.instrument_imports(include=_READERS):
    import torch
    from made_model import FACTS
    from spoilt_sources import (
        EDITS,
        SPOILABLE,
        assert_whole_or_refused,
        edited,
        silent,
        write_source,
    )

    from tune_knee.segmenter.saved_model import SavedModel

_MOST_EDITS: Final = 8
_OTHER_CASES: Final = ("a0", "a1", "a2")  # so that every split has one


def spoilt(data: atheris.FuzzedDataProvider, content: bytes) -> bytes:
    """A file with some edits, or in whole what the fuzzer gives."""
    if data.ConsumeIntInRange(0, 7) == 0:
        return bytes(data.ConsumeBytes(data.remaining_bytes()))
    changes = [
        (
            data.ConsumeProbability() * (1 - 1e-9),
            EDITS[data.ConsumeIntInRange(0, len(EDITS) - 1)],
            bytes(data.ConsumeBytes(data.ConsumeIntInRange(1, 8))),
        )
        for _ in range(data.ConsumeIntInRange(1, _MOST_EDITS))
    ]
    return edited(content, changes)


def prepare_target(folder: Path) -> Callable[[bytes], None]:
    """A source folder of four cases, in which one file is spoilt."""
    write_source(folder / "all")
    for name in SPOILABLE:
        for case in {*_OTHER_CASES, Path(name).parts[0]}:
            shutil.copytree(folder / "all" / case, folder / name / case)

    def target(given: bytes) -> None:
        data = atheris.FuzzedDataProvider(given)
        name = SPOILABLE[data.ConsumeIntInRange(0, len(SPOILABLE) - 1)]
        content = spoilt(data, (folder / name / name).read_bytes())
        with silent():
            assert_whole_or_refused(folder / name, lambda src: (src / name).write_bytes(content))

    return target


def model_target(folder: Path) -> Callable[[bytes], None]:
    """A model's file, spoilt."""
    path = folder / "model.pt"
    model = SavedModel(FACTS, {"a": torch.arange(6.0), "b.c": torch.ones(2, 3)})
    model.write(path)
    whole = path.read_bytes()

    def target(given: bytes) -> None:
        path.write_bytes(spoilt(atheris.FuzzedDataProvider(given), whole))
        try:
            read = SavedModel.read(path)
        except ValueError as error:
            assert f"model={path}" in str(error)  # noqa: PT017 - or it is read
        else:
            assert read.facts == model.facts
            assert all(torch.equal(read.weights[key], model.weights[key]) for key in model.weights)

    return target


TARGETS: Final = {"prepare": prepare_target, "model": model_target}


def main() -> None:
    """Fuzz until a finding, or until the options say so."""
    name, *options = sys.argv[1:] or [""]
    if name not in TARGETS:
        sys.exit(f"TARGET must be one of {', '.join(TARGETS)}, got TARGET={name or 'none'}")
    with tempfile.TemporaryDirectory() as folder:
        atheris.Setup([sys.argv[0], *options], TARGETS[name](Path(folder)))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
