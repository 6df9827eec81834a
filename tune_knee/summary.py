"""The block that says what will run, before it runs."""

from rich.console import Console
from rich.table import Table

from tune_knee.data.dataset import KneeDataset
from tune_knee.losses import external_weights
from tune_knee.opening import OpenedStudy
from tune_knee.study_plan import StudyPlan


def mlflow_command(tracking_uri: str) -> str:
    """How to see the results in a browser: a server's address, or what starts one."""
    if tracking_uri.startswith("http"):
        return tracking_uri
    return f"mlflow ui --backend-store-uri {tracking_uri}"


def external_weights_by_region(dataset: KneeDataset) -> dict[str, float]:
    """Weights of the regions in ce2, from their areas in the training labels."""
    weights = external_weights(dataset.areas_px()).tolist()
    return dict(zip(dataset.regions, weights, strict=True))


def announce(opened: OpenedStudy, plan: StudyPlan, dashboard: str, console: Console) -> None:
    """Say what will run, on what, and where to watch it."""
    manifest, dataset = opened.manifest, opened.dataset
    budget, splits = manifest.budget, dataset.frames["split"].value_counts()
    weights = external_weights_by_region(dataset)
    lines = {
        "study": f"{manifest.study}: {len(plan.trials)} trials of grid {manifest.grid}, "
        f"{len(plan.outcomes())} of them done before",
        "budget": f"{budget.name}: {budget.image_size_px} px, width {budget.width:g}, at most "
        f"{budget.max_steps:,} steps, validated every {budget.evaluation_interval}",
        "data": f"{manifest.data}: {len(dataset):,} frames of "
        f"{dataset.frames['case'].nunique()} cases, "
        f"{splits['train']}/{splits['validation']}/{splits['test']}; {', '.join(dataset.regions)}",
        "weights": "ce2, from the training areas: "
        + ", ".join(f"{region} {weight:.4f}" for region, weight in weights.items()),
        "device": f"{plan.max_concurrent} trials at a time, {_each(plan)}",
        "storage": str(plan.storage),
        "MLflow": mlflow_command(manifest.tracking_uri),
        "dashboard": f"http://{dashboard}, its token: ray get-auth-token" if dashboard else "none",
        "logs": f"{opened.out / 'study.log'}, {opened.out / 'trials'}/*/train.log",
        "stop": "Ctrl-C once saves and ends; the same command with --resume goes on",
    }
    rows = Table.grid(padding=(0, 2))
    for name, text in lines.items():
        rows.add_row(name, text)
    console.print(rows)


def _each(plan: StudyPlan) -> str:
    shares = {network: takes.gpus for network, takes in plan.resources.items()}
    if not any(shares.values()):
        return "1 CPU each"
    if len(set(shares.values())) == 1:
        return f"{min(shares.values()):g} GPU each"
    return "GPU each: " + ", ".join(f"{network} {share:.2g}" for network, share in shares.items())
