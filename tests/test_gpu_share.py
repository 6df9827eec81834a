import pytest

from tune_knee.gpu_share import (
    TrialResources,
    bigger,
    fitting,
    trials_at_a_time,
    trials_per_gpu,
)

GIB = 2**30


@pytest.mark.parametrize(
    ("peak_gib", "gpu_gib", "expected"),
    [
        (10, 80, 6),  # 72 of it for trials of 12 each
        (10, 24, 1),  # 21.6
        (10, 13, 0),  # 11.7
        (10, 13.34, 1),
        (0.2, 80, 59),  # 72 / 1.22
    ],
)
def test_as_many_trials_share_a_gpu_as_fit(peak_gib, gpu_gib, expected):
    assert trials_per_gpu(int(peak_gib * GIB), int(gpu_gib * GIB)) == expected


def test_the_smallest_gpu_that_holds_a_trial_sets_its_share():
    gpus = {"A100": 80 * GIB, "T4": 16 * GIB}
    assert fitting("a", GIB, gpus) == TrialResources(gpus=1 / 6)
    assert fitting("b", 30 * GIB, gpus) == TrialResources(gpus=1 / 2, kinds=("A100",))
    with pytest.raises(ValueError, match=r"hold a trial of c, which took 70.0 GiB .* most 80.0"):
        fitting("c", 70 * GIB, gpus)


@pytest.mark.parametrize(("share", "expected"), [(0.25, 0.5), (0.5, 1), (0.6, 1), (1, None)])
def test_a_share_that_was_too_little_doubles_up_to_a_whole_gpu(share, expected):
    assert bigger(share) == expected


def node(cpus, gpus=0, kind=None):
    labels = {} if kind is None else {"ray.io/accelerator-type": kind}
    return {"Resources": {"CPU": cpus, "GPU": gpus}, "Labels": labels}


@pytest.mark.parametrize(
    ("takes", "expected"),
    [
        (TrialResources(), 42),
        (TrialResources(gpus=1), 3),
        (TrialResources(gpus=1 / 3), 9),
        (TrialResources(gpus=0.4), 6),  # 2 on each, the rest of no use
        (TrialResources(gpus=1 / 30), 36),  # of 60, the first node has CPUs for 32
        (TrialResources(gpus=0.5, kinds=("T4",)), 2),
    ],
)
def test_trials_that_a_cluster_has_room_for(takes, expected):
    nodes = [node(32, 2, "A100"), node(4, 1, "T4"), node(6)]
    assert trials_at_a_time(takes, nodes) == expected
