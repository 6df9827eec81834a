"""What the code does nowhere: run, or have run, what a file or a server says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent
CODE = sorted(
    path
    for folder in ("tune_knee", "search_spaces", "analysis", "benchmarks", "docker")
    for path in (HERE / folder).rglob("*.py")
)
# Unpickle, or evaluate text. (`torch.load` and `yaml.load` are looked at by themselves.)
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load",
    "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads", "joblib.load",
    "marshal.loads", "shelve.open", "dill.load", "dill.loads", "pd.read_pickle",
    "pandas.read_pickle", "torch.jit.load", "torch.export.load", "torch.hub.load",
    "yaml.unsafe_load", "yaml.full_load", "subprocess.getoutput", "subprocess.getstatusoutput",
}  # fmt: skip
# Of the file that the same command has just written, in a folder of its own, to compare it.
OF_OUR_OWN = {HERE / "tune_knee/export/torch_files.py": {"torch.jit.load", "torch.export.load"}}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a file by what is called, as it is written."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


def faults(path: Path) -> list[str]:
    found = []
    for name, call in calls(path):
        unsafe = (
            name in FORBIDDEN_CALLS - OF_OUR_OWN.get(path, set())
            or (name == "torch.load" and keyword(call, "weights_only") != "True")
            or keyword(call, "allow_pickle") not in (None, "False")
            or keyword(call, "shell") == "True"
            or (name == "yaml.load" and not _is_safe_loader(path, call))
        )
        if unsafe:
            found.append(f"{path.name}:{call.lineno} {ast.unparse(call)}")
    return found


def _is_safe_loader(path: Path, call: ast.Call) -> bool:
    (_, loader) = (ast.unparse(each) for each in call.args)
    classes = (
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    )
    safe = {"yaml.SafeLoader", "yaml.CSafeLoader"}
    return loader in safe or any(
        node.name == loader and {ast.unparse(base) for base in node.bases} <= safe
        for node in classes
    )


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(HERE)))
def test_no_file_runs_what_others_wrote(path: Path) -> None:
    assert faults(path) == []


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f, allow_pickle=True)",
        "yaml.load(f, yaml.Loader)",
        "yaml.load(f, Own)",
        "subprocess.run(c, shell=True)",
        "eval('1')",
        "pickle.loads(b)",
    ],
)
def test_the_look_finds_what_it_looks_for(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"class Own(yaml.Loader): ...\n{line}\n")
    assert len(faults(path)) == 1


def test_the_look_takes_what_is_safe(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "class Own(yaml.SafeLoader): ...\nyaml.load(f, Own)\nmodel.eval()\nnp.load(f)\n"
        "torch.load(f, weights_only=True)\nre.compile('a')\nsubprocess.run(c)\n"
    )
    assert faults(path) == []


def test_there_is_code_to_look_at() -> None:
    assert len(CODE) > 100
