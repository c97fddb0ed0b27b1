"""TF_CONFIG: what it may say, and what people get wrong in it."""

import json
import os
import re
import subprocess

import pytest

from tonezoo.recipes.cluster import Cluster, read_cluster

TWO = ["a:1", "b:2"]


def read(cluster, kind="worker", index=0, **more):
    task = {"type": kind, "index": index}
    return read_cluster({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task, **more})})


def test_the_chief_is_the_first_worker_or_the_task_of_that_type():
    assert read({"worker": TWO}, index=1) == Cluster(("a:1", "b:2"), 1)
    assert read({"worker": TWO}).is_chief and not read({"worker": TWO}, index=1).is_chief
    with_chief = {"worker": TWO, "chief": ["c:3"]}
    assert read(with_chief, "chief") == Cluster(("c:3", "a:1", "b:2"), 0)
    assert read(with_chief, index=1) == Cluster(("c:3", "a:1", "b:2"), 2)
    assert not read(with_chief, index=0).is_chief
    # As Kubernetes' training operator writes it.
    assert read({"worker": TWO}, environment="cloud").name == "Worker 1 of 2 (the chief)"


def test_one_machine_is_no_cluster():
    for text in ("", " ", "{}", '{"cluster": {}}', '{"environment": "cloud"}'):
        assert read_cluster({"TF_CONFIG": text}) is None
    assert read_cluster({}) is None
    assert read({"worker": ["a:1"]}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"is not JSON \(.*\): '\{'"),
        ("[" * 100_000, "is not JSON"),
        ("worker0", "is not JSON"),
        ("[]", "has to be an object with a cluster of lists"),
        ('{"cluster": ["a:1", "b:2"]}', "has to be an object with a cluster of lists"),
        ('{"task": {"type": "worker", "index": 0}}', "has no cluster.worker"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "does not tell by task.type and task.index"),
    ],
)
def test_what_is_not_a_cluster_is_refused(text, message):
    with pytest.raises(ValueError, match=f"^TF_CONFIG {message}.*or unset it"):
        read_cluster({"TF_CONFIG": text})


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "message"),
    [
        ({"chief": ["a:1"]}, "chief", 0, "has no cluster.worker"),
        ({"worker": []}, "worker", 0, "has no cluster.worker"),
        ({"worker": ["a:1", "a:1"]}, "worker", 0, "names a:1 twice"),
        ({"worker": TWO, "chief": ["b:2"]}, "chief", 0, "names b:2 twice"),
        ({"worker": TWO, "chief": ["c:3", "d:4"]}, "chief", 0, "names 2 chiefs"),
        ({"worker": TWO, "ps": ["c:3"]}, "worker", 0, r"type 'ps', but .*no parameter servers"),
        ({"worker": TWO, "evaluator": ["c:3"]}, "evaluator", 0, "in place of an evaluator"),
        ({"worker": TWO}, "evaluator", 0, "of the type 'evaluator', but the cluster has 'worker'"),
        ({"worker": TWO}, "chief", 0, "of the type 'chief', but the cluster has 'worker'"),
        ({"worker": TWO}, None, 0, "of the type None"),
        ({"worker": TWO}, "worker", 2, "is worker 2, but they are numbered from 0 to 1"),
        ({"worker": TWO}, "worker", -1, "is worker -1"),
        ({"worker": TWO}, "worker", "0", "is worker '0'"),
        ({"worker": TWO}, "worker", True, "is worker True"),
        ({"worker": "a:1,b:2"}, "worker", 0, 'has to list "host:port" for each worker'),
        ({"worker": ["a", "b"]}, "worker", 0, 'has to list "host:port"'),
        ({"worker": ["a:1", "b:x"]}, "worker", 0, 'has to list "host:port"'),
        ({"worker": ["a:1", "b:70000"]}, "worker", 0, 'has to list "host:port"'),
        ({"worker": [":1", "b:2"]}, "worker", 0, 'has to list "host:port"'),
        ({"worker": ["a:1", 2]}, "worker", 0, 'has to list "host:port"'),
    ],
)
def test_clusters_that_cannot_train_are_explained(cluster, kind, index, message):
    with pytest.raises(ValueError, match=message):
        read(cluster, kind, index)


def test_the_command_line_tells_it_before_anything_is_trained(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CONFIG", "worker0")
    code, _, stderr = cli("train", "mu_gan_tiny", "--run", tmp_path / "run")
    assert code == 1 and "TF_CONFIG is not JSON" in stderr and "Traceback" not in stderr
    assert not (tmp_path / "run").exists()


def test_the_scripts_of_the_page_describe_a_cluster(source_tree):
    """As they would on two nodes of Slurm, which stubs of its commands stand for."""
    page = (source_tree / "docs" / "distributed.md").read_text(encoding="utf-8")
    blocks = re.findall("```bash\n(.*?)```", page, re.DOTALL)
    scripts = [block for block in blocks if "TF_CONFIG" in block]
    assert len(scripts) == 2
    stubs = """
        scontrol() { printf 'one\\ntwo\\n'; }
        srun() { shift; "$@"; }
        tonezoo() { printenv TF_CONFIG; }
        export -f tonezoo
    """
    for script, index in zip(scripts, (0, 1), strict=True):
        done = subprocess.run(
            ["bash", "-c", stubs + script + "\ntonezoo"],
            env={**os.environ, "SLURM_PROCID": "1", "SLURM_JOB_NODELIST": "[one,two]"},
            stdout=subprocess.PIPE,
            text=True,
        )
        text = done.stdout.splitlines()[0]
        assert read_cluster({"TF_CONFIG": text}) == Cluster(("one:12345", "two:12345"), index)
