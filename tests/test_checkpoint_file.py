import datetime
import importlib.util
import io
import pickle
import shutil
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from tune_knee.networks.__main__ import main
from tune_knee.networks.checkpoint_file import EXTRACT_COMMAND, extract_weights, read_weights

WEIGHTS = {"w": torch.arange(6.0).reshape(2, 3), "bn.num_batches_tracked": torch.tensor(3)}


class Calls:
    """Unpickled, it calls a function: what a malicious checkpoint does."""

    def __init__(self, function, *arguments) -> None:
        self.called = function, arguments

    def __reduce__(self):
        return self.called


def mmengine_checkpoint(path: Path) -> Path:
    """What MMEngine's runner saves: beside the weights, a history buffer, numpy and methods."""
    names = ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer")
    modules = {name: types.ModuleType(name) for name in names}

    class HistoryBuffer:
        def mean(self) -> None: ...

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = names[-1], "HistoryBuffer"
    modules[names[-1]].HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    buffer = HistoryBuffer()
    buffer.max_length, buffer._log_history = 9, np.array([1.5, 2.0])  # type: ignore[attr-defined]
    buffer._statistics_methods = {"mean": buffer.mean}  # type: ignore[attr-defined]
    content = {
        "meta": {"epoch": 1, "cfg": "model = ...", "dataset_meta": {"classes": ("knee",)}},
        "state_dict": OrderedDict(WEIGHTS),
        "message_hub": {
            "log_scalars": OrderedDict(loss=buffer),
            "runtime_info": OrderedDict(best=np.float32(3), at=datetime.date(2026, 1, 1)),
        },
        "param_schedulers": [{"last_value": np.float64(1e-4)}],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        torch.save(content, path)
    return path


def assert_weights(path: Path) -> None:
    found = read_weights(path)
    assert list(found) == list(WEIGHTS)
    assert all(torch.equal(found[key], value) for key, value in WEIGHTS.items())


def test_mmengines_checkpoints_are_refused_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    path = mmengine_checkpoint(tmp_path / "iter.pth")
    with pytest.raises(ValueError, match=r"-m tune_knee\.networks .*iter\.pth OUT\.pt'"):
        read_weights(path)


def test_their_weights_are_taken_out(tmp_path: Path) -> None:
    path = mmengine_checkpoint(tmp_path / "iter.pth")
    left_out = extract_weights(path, tmp_path / "weights.pt")
    assert {"mmengine.logging.history_buffer.HistoryBuffer", "datetime.date"} <= set(left_out)
    assert_weights(tmp_path / "weights.pt")


def test_what_a_checkpoint_names_is_neither_imported_nor_called(tmp_path: Path) -> None:
    mark, module = tmp_path / "mark", tmp_path / "knee_evil.py"
    touch = f"import pathlib; pathlib.Path({str(mark)!r}).touch()"
    module.write_text(f"{touch}\nclass Thing: pass\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        import knee_evil  # type: ignore[import-not-found]

        calls = [Calls(shutil.copyfile, module, mark), Calls(exec, touch)]
        torch.save({"state_dict": WEIGHTS, "meta": [*calls, knee_evil.Thing()]}, tmp_path / "a.pth")
        del sys.modules["knee_evil"]
        mark.unlink()
        with pytest.raises(ValueError, match=r"unpickling other objects can run any code"):
            read_weights(tmp_path / "a.pth")
        left_out = extract_weights(tmp_path / "a.pth", tmp_path / "b.pt")
        assert {"builtins.exec", "shutil.copyfile", "knee_evil.Thing"} <= set(left_out)
        assert_weights(tmp_path / "b.pt")
        assert not mark.exists()
        assert "knee_evil" not in sys.modules
        # The trap works: the plain reader falls into it.
        torch.load(tmp_path / "a.pth", weights_only=False)
        assert mark.exists()


@pytest.mark.parametrize("function", ["system", "remove"])
def test_a_checkpoint_that_names_the_operating_system_is_refused(
    tmp_path: Path, function: str
) -> None:
    import os

    mark = tmp_path / "mark"
    if function == "remove":
        mark.touch()
    call = Calls(os.system, f"touch {mark}") if function == "system" else Calls(os.remove, mark)
    torch.save({"state_dict": WEIGHTS, "meta": call}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=rf"a\.pth .*{os.name}\.{function} .*is blocked"):
        extract_weights(tmp_path / "a.pth", tmp_path / "b.pt")
    assert not (tmp_path / "b.pt").exists()
    assert mark.exists() == (function == "remove")


def test_weights_that_are_made_by_a_foreign_function_are_refused(tmp_path: Path) -> None:
    state = {"w": Calls(exec, "raise SystemExit")}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="must be a state dict"):
        extract_weights(tmp_path / "a.pth", tmp_path / "b.pt")


def test_a_foreign_container_is_refused_and_not_run(tmp_path: Path) -> None:
    class Filled(list):
        def __reduce__(self):
            return (Filled, (), None, iter([1, 2]))

    Filled.__qualname__ = "Filled"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "Filled", Filled, raising=False)
        torch.save({"state_dict": WEIGHTS, "meta": Filled([1, 2])}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth .*Can only extend lists.*state dict alone"):
        extract_weights(tmp_path / "a.pth", tmp_path / "b.pt")


def test_files_in_the_format_before_pytorch_1_6(tmp_path: Path) -> None:
    old = {"_use_new_zipfile_serialization": False}
    torch.save({"state_dict": WEIGHTS, "meta": {"epoch": 3}}, tmp_path / "plain.pth", **old)
    assert extract_weights(tmp_path / "plain.pth", tmp_path / "plain.pt") == ()
    assert_weights(tmp_path / "plain.pt")
    evil = {
        "state_dict": WEIGHTS,
        "meta": Calls(exec, f"open({str(tmp_path / 'mark')!r}, 'x').close()"),
    }
    torch.save(evil, tmp_path / "evil.pth", **old)
    for read in (read_weights, lambda path: extract_weights(path, tmp_path / "evil.pt")):
        with pytest.raises(ValueError, match=r"evil\.pth"):
            read(tmp_path / "evil.pth")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("cut", [0, 10, 300])
def test_damaged_files(tmp_path: Path, cut: int) -> None:
    torch.save(WEIGHTS, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes((tmp_path / "a.pth").read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"torch\.save wrote, got path=.*b\.pth"):
        extract_weights(tmp_path / "b.pth", tmp_path / "c.pt")


def test_a_bare_pickle_is_not_run(tmp_path: Path) -> None:
    bare, packed = tmp_path / "bare.pth", tmp_path / "packed.pth"
    evil = pickle.dumps(Calls(exec, f"open({str(tmp_path / 'mark')!r}, 'x').close()"), protocol=2)
    bare.write_bytes(evil)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", evil)
        archive.writestr("archive/version", "3")
    for path in (bare, packed):
        for read in (read_weights, lambda path: extract_weights(path, tmp_path / "out.pt")):
            with pytest.raises(ValueError, match=path.name):
                read(path)
    assert not (tmp_path / "mark").exists()


def test_stand_ins_last_no_longer_than_the_reading(tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    extract_weights(mmengine_checkpoint(tmp_path / "a.pth"), tmp_path / "b.pt")
    assert set(torch.serialization.get_safe_globals()) == before


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = str(mmengine_checkpoint(tmp_path / "a.pth")), str(tmp_path / "b.pt")
    assert main([source, target]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{target}; left out: ")
    assert "mmengine.logging.history_buffer.HistoryBuffer" in said
    assert main([source, target]) == 2
    assert "target must not exist" in capsys.readouterr().err
    assert main([str(tmp_path / "absent"), str(tmp_path / "c.pt")]) == 2
    assert "absent" in capsys.readouterr().err
    torch.save(io.BytesIO(), tmp_path / "d.pth")
    assert main([str(tmp_path / "d.pth"), str(tmp_path / "e.pt")]) == 2


def test_the_command_that_an_error_names_is_there() -> None:
    module = EXTRACT_COMMAND.removeprefix("python -m ")
    assert importlib.util.find_spec(f"{module}.__main__") is not None
