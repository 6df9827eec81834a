"""The files of docker/ say what they must; linters, Compose and Kubernetes' schemas read them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
BASE = DOCKER / "kubernetes" / "base"
YAML_FILES = sorted(DOCKER.rglob("*.yaml"))
SCRIPTS = [
    path
    for path in sorted(DOCKER.rglob("*"))
    if path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env bash")
]
SECRET_NAME = re.compile("password|secret|token|key|credential", re.IGNORECASE)


def of_venv(tool: str) -> str:
    """A tool of the environment that the tests run in; skips where it has no build for here."""
    found = shutil.which(tool, path=Path(sys.executable).parent)
    if found is None:
        pytest.skip(f"{tool} is not in this environment")
    return found


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def compose() -> dict[str, Any]:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def services() -> dict[str, dict[str, Any]]:
    return compose()["services"]


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    """The secrets of a service and where they are mounted."""
    each = [s if isinstance(s, dict) else {"source": s} for s in service.get("secrets", [])]
    return {s["source"]: s.get("target", f"/run/secrets/{s['source']}") for s in each}


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted(BASE.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())


def pod_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod that the manifests make, those of KubeRay's too."""
    for each in manifests():
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "RayJob":
            cluster = each["spec"]["rayClusterSpec"]
            yield f"{name} head", cluster["headGroupSpec"]["template"]["spec"]
            for group in cluster["workerGroupSpecs"]:
                yield f"{name} {group['groupName']}", group["template"]["spec"]
        elif "template" in each.get("spec", {}):
            yield name, each["spec"]["template"]["spec"]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_parses(path: Path) -> None:
    assert all(isinstance(each, dict) for each in yaml.safe_load_all(path.read_text()))


# Compose


def test_compose_every_service_that_stays_says_how_it_is() -> None:
    ends = {
        name
        for service in services().values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert ends == {"buckets"}
    for name, service in services().items():
        assert ("healthcheck" in service) == (name not in ends), name


def test_compose_who_waits_waits_for_health_or_the_end() -> None:
    waits = {name: set(service.get("depends_on", {})) for name, service in services().items()}
    assert waits["worker"] == {"head"}
    assert waits["head"] == {"mlflow"}
    assert waits["mlflow"] == {"postgres", "buckets"}
    for service in services().values():
        for how in service.get("depends_on", {}).values():
            assert how["condition"] in ("service_healthy", "service_completed_successfully")


def test_compose_publishes_two_ports_on_this_machine_alone() -> None:
    published = {name: each["ports"] for name, each in services().items() if "ports" in each}
    assert published == {"head": ["127.0.0.1:8265:8265"], "mlflow": ["127.0.0.1:5000:5000"]}


def test_compose_only_what_is_published_has_a_way_out() -> None:
    assert compose()["networks"]["inner"]["internal"] is True
    for name, service in services().items():
        assert ("outer" in service["networks"]) == ("ports" in service), name


def test_compose_every_ray_node_asks_for_the_token() -> None:
    nodes = {n: s for n, s in services().items() if "ray-node" in str(s.get("command"))}
    assert set(nodes) == {"head", "worker"}
    for service in nodes.values():
        environment = service["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == secrets_of(service)["ray_token"]


def test_compose_no_service_has_a_secret_in_its_environment_or_command() -> None:
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            if SECRET_NAME.search(variable):
                assert value.startswith("/run/secrets/"), (name, variable)
        assert not SECRET_NAME.search(re.sub(r"/run/secrets/\S+", "", str(service.get("command"))))


def test_compose_secrets_are_files_that_make_secrets_makes_and_git_ignores() -> None:
    declared = compose()["secrets"]
    used = {secret for service in services().values() for secret in secrets_of(service)}
    assert used == set(declared)
    for name, secret in declared.items():
        assert secret == {"file": f"secrets/{name}"}
        assert f'"$made/{name}"' in (DOCKER / "make-secrets").read_text()
        assert run("git", "check-ignore", "-q", DOCKER / "secrets" / name).returncode == 0


def test_compose_confines_every_container() -> None:
    for name, service in services().items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service
        if service["image"] == "tune-knee":
            assert service["cap_drop"] == ["ALL"], name


def test_compose_gpu_override_is_about_services_there_are() -> None:
    override = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())
    assert set(override["services"]) <= set(services())


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")])
def test_compose_reads_it(files: tuple[str, ...]) -> None:
    command: list[str | Path] = ["docker-compose"]
    if shutil.which("docker-compose") is None:
        command = ["docker", "compose"]
        if shutil.which("docker") is None or run(*command, "version").returncode:
            pytest.skip("Docker Compose is not installed")
    named = [argument for file in files for argument in ("-f", DOCKER / file)]
    found = run(*command, *named, "config")
    assert found.returncode == 0, found.stderr
    assert set(yaml.safe_load(found.stdout)["services"]) == set(services())


# The image


def test_hadolint_finds_nothing() -> None:
    found = run(of_venv("hadolint"), DOCKER / "Dockerfile")
    assert (found.returncode, found.stdout) == (0, "")


def test_image_is_pinned_and_not_root() -> None:
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install [^&\n]*", text)
    assert len(installs) == 4
    assert all("-c constraints.txt" in line or "--no-index" in line for line in installs)
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["$UID"]
    assert "ARG UID=1000" in text
    assert set(re.findall(r"^FROM (python\S*)", text, re.MULTILINE)) == {
        "python:3.11-slim-bookworm"
    }


def test_image_context_leaves_out_all_but_what_it_copies() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((ROOT / path).exists() for path in kept)
    assert not any("secrets" in path or path == "docker" for path in kept)


# Kubernetes


def test_kubernetes_knows_every_field() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    own = [each for each in manifests() if each["kind"] != "RayJob"]
    assert len(own) > 10
    for each in own:
        validate.validate(each, "1.34", strict=True)
    with pytest.raises(validate.ValidationError):
        validate.validate(own[0] | {"unheard": 1}, "1.34", strict=True)


def test_kubernetes_pods_are_confined() -> None:
    pods = dict(pod_specs())
    assert len(pods) == 5
    for name, pod in pods.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_kubernetes_secrets_are_mounted_from_what_make_secrets_makes() -> None:
    template = next(each for each in manifests() if each["kind"] == "Secret")
    made = set(re.findall(r'"\$made/(\w[\w.]*)"', (DOCKER / "make-secrets").read_text()))
    assert set(template["stringData"]) | {"ray_token"} == made | {"auth_token"}
    for value in template["stringData"].values():
        assert "REPLACE" in value
    for name, pod in pod_specs():
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] == template["metadata"]["name"], name
                assert {item["key"] for item in volume["secret"]["items"]} <= made, name
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if SECRET_NAME.search(variable["name"]):
                    assert variable["value"].startswith("/run/secrets/"), name


def test_kubernetes_lets_nothing_in_or_out_by_default() -> None:
    policies = {
        e["metadata"]["name"]: e["spec"] for e in manifests() if e["kind"] == "NetworkPolicy"
    }
    shut = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies.pop("nothing-by-default") == shut
    assert policies.pop("names")["egress"][0].keys() == {"ports"}
    assert set(policies) == {"ray", "mlflow", "postgres", "s3"}
    for name, policy in policies.items():
        assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": name}


def test_kubernetes_study_is_that_of_this_ray_with_its_token() -> None:
    job = next(each for each in manifests() if each["kind"] == "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert f"ray=={cluster['rayVersion']}\n" in (ROOT / "constraints.txt").read_text()
    assert cluster["authOptions"] == {"mode": "token", "secretName": "tune-knee"}
    for name, pod in pod_specs():
        if name.startswith("RayJob"):
            assert {"name": "shm", "mountPath": "/dev/shm"} in pod["containers"][0]["volumeMounts"]


def test_kustomizations_are_whole() -> None:
    base = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    there = {path.name for path in BASE.glob("*.yaml")}
    assert set(base["resources"]) == there - {"kustomization.yaml", "secret.template.yaml"}
    overlay = yaml.safe_load((DOCKER / "kubernetes/gpu/kustomization.yaml").read_text())
    job = next(each for each in manifests() if each["kind"] == "RayJob")
    for patch in overlay["patches"]:
        for operation in yaml.safe_load(patch["patch"]):
            at: Any = job
            for part in operation["path"].split("/")[1:-1]:
                at = at[int(part)] if isinstance(at, list) else at[part]
            assert isinstance(at, dict), operation["path"]


# Scripts


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    assert run("bash", "-n", script).returncode == 0
    found = run(of_venv("shellcheck"), script)
    assert (found.returncode, found.stdout) == (0, "")


def test_scripts_are_all_of_them() -> None:
    names = {script.name for script in SCRIPTS}
    assert names == {"make-secrets", "mlflow-server", "ray-node", "study.sbatch"}


def test_slurm_saves_and_returns_to_the_queue_before_its_time_is_over() -> None:
    text = (DOCKER / "slurm" / "study.sbatch").read_text()
    options = re.findall(r"^#SBATCH (\S+)", text, re.MULTILINE)
    assert {"--requeue", "--no-kill", "--signal=B:USR1@300", "--open-mode=append"} <= set(options)
