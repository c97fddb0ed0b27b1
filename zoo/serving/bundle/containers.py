"""Running the server: a compose file, and manifests for Kubernetes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonezoo.serving.bundle.server_config import (
    BATCHING_CONFIG,
    METRICS_PATH,
    MODELS_CONFIG,
    MONITORING_CONFIG,
)

if TYPE_CHECKING:
    from tonezoo.serving.bundle import BundledModel

IMAGE = "tensorflow/serving:2.20.0"
GRPC_PORT, REST_PORT = 8500, 8501
MODELS_PATH, CONFIG_PATH = "/models", "/config"
NAME = "tonezoo-serving"
LOADER = "tonezoo-loader"
LABELS = {"app.kubernetes.io/name": NAME}
# Of the server's pods alone: the service must not send requests to the loader.
SERVER_LABELS = {**LABELS, "app.kubernetes.io/component": "server"}
NO_PRIVILEGES = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
CONFIG_POLL_S = 60
# Loading, verifying and warming up a large model from a slow disk.
STARTUP_S, PROBE_S = 600, 5
# Requests that are being computed may end.
GRACE_S = 60
GIB = 2**30
# The server without models, and what a batch of chunks takes beside the weights.
BASE_GIB, WORKING_GIB = 1, 3


def server_arguments() -> list[str]:
    """Returns the arguments of the server beside those that the image's entry point gives it."""
    return [
        f"--model_config_file={CONFIG_PATH}/{MODELS_CONFIG}",
        f"--model_config_file_poll_wait_seconds={CONFIG_POLL_S}",
        # At the start no version is loaded yet.
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_batching=true",
        f"--batching_parameters_file={CONFIG_PATH}/{BATCHING_CONFIG}",
        f"--monitoring_config_file={CONFIG_PATH}/{MONITORING_CONFIG}",
        # Off by default; the probes ask it.
        "--enable_grpc_healthcheck_service=true",
    ]


def compose_file(image: str) -> str:
    """Returns the text of compose.yaml: one server, reached from this machine alone."""
    # The port is opened when all models are loaded; the image has bash, and nothing to ask by gRPC.
    probe = f"exec 3<>/dev/tcp/127.0.0.1/{GRPC_PORT}"
    service = {
        "image": image,
        "command": server_arguments(),
        "ports": [f"127.0.0.1:{port}:{port}" for port in (GRPC_PORT, REST_PORT)],
        "volumes": [f"./models:{MODELS_PATH}:ro", f"./config:{CONFIG_PATH}:ro"],
        "restart": "unless-stopped",
        "stop_grace_period": f"{GRACE_S}s",
        "healthcheck": {
            "test": ["CMD", "bash", "-c", probe],
            "interval": f"{PROBE_S}s",
            "timeout": f"{PROBE_S}s",
            "start_period": f"{STARTUP_S}s",
        },
    }
    return as_yaml({"name": NAME, "services": {"serving": service}})


def kubernetes_files(
    models: Sequence["BundledModel"], configs: dict[str, str], image: str
) -> dict[str, str]:
    """Returns name -> text of the manifests, in the order in which they are applied.

    Args:
        models: of the bundle, by whose size storage and memory are asked for.
        configs: name -> text of the server's configuration files.
        image: of the container.
    """
    size_gib = sum(folder_bytes(f) for model in models for f in model.folders) / GIB
    return {
        "1-volume.yaml": as_yaml(volume_claim(size_gib)),
        "2-loader.yaml": as_yaml(loader(image)),
        "3-config.yaml": as_yaml(described("v1", "ConfigMap", NAME, data=configs)),
        "4-deployment.yaml": as_yaml(deployment(image, size_gib)),
        "5-service.yaml": as_yaml(service()),
    }


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def volume_claim(size_gib: float) -> dict:
    """Returns the claim of the volume that holds the models, with room for their next versions."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{math.ceil(1 + 3 * size_gib)}Gi"}},
    }
    return described("v1", "PersistentVolumeClaim", NAME, spec=spec)


def loader(image: str) -> dict:
    """Returns a pod into which `kubectl cp` copies the models, on their volume."""
    container = {
        "name": "loader",
        "image": image,
        "command": ["sleep", "infinity"],
        "volumeMounts": [{"name": "models", "mountPath": MODELS_PATH}],
        "securityContext": NO_PRIVILEGES,
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"memory": "256Mi"},
        },
    }
    spec = {"containers": [container], "volumes": [models_volume()], "restartPolicy": "Never"}
    return described("v1", "Pod", LOADER, spec=spec)


def deployment(image: str, size_gib: float) -> dict:
    """Returns the deployment of the server, with probes on its gRPC health service."""
    grpc = {"grpc": {"port": GRPC_PORT}}
    # Old and new version of a model are in memory together while one replaces the other.
    needed_gib = math.ceil(BASE_GIB + 2 * size_gib)
    container = {
        "name": "serving",
        "image": image,
        "args": server_arguments(),
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT},
            {"name": "rest", "containerPort": REST_PORT},
        ],
        "startupProbe": {
            **grpc,
            "periodSeconds": PROBE_S,
            "failureThreshold": STARTUP_S // PROBE_S,
        },
        "readinessProbe": {**grpc, "periodSeconds": PROBE_S},
        "livenessProbe": {**grpc, "periodSeconds": 4 * PROBE_S, "timeoutSeconds": 2 * PROBE_S},
        "resources": {
            "requests": {"cpu": "2", "memory": f"{needed_gib}Gi"},
            "limits": {"memory": f"{needed_gib + WORKING_GIB}Gi"},
        },
        "securityContext": NO_PRIVILEGES,
        "volumeMounts": [
            {"name": "models", "mountPath": MODELS_PATH, "readOnly": True},
            {"name": "config", "mountPath": CONFIG_PATH, "readOnly": True},
        ],
    }
    scraped = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(REST_PORT),
        "prometheus.io/path": METRICS_PATH,
    }
    pod = {
        "metadata": {"labels": SERVER_LABELS, "annotations": scraped},
        "spec": {
            "terminationGracePeriodSeconds": GRACE_S,
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [models_volume(), {"name": "config", "configMap": {"name": NAME}}],
        },
    }
    spec = {"replicas": 1, "selector": {"matchLabels": SERVER_LABELS}, "template": pod}
    return described("apps/v1", "Deployment", NAME, spec=spec)


def service() -> dict:
    """Returns the service, gRPC alone: REST takes no requests from outside of the pod."""
    port = {"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc", "appProtocol": "grpc"}
    return described("v1", "Service", NAME, spec={"selector": SERVER_LABELS, "ports": [port]})


def models_volume() -> dict:
    return {"name": "models", "persistentVolumeClaim": {"claimName": NAME}}


def described(api: str, kind: str, name: str, **content: Any) -> dict:
    """Returns a manifest with the labels that all of them have."""
    metadata = {"name": name, "labels": LABELS}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}


def as_yaml(content: dict) -> str:
    """Returns content as YAML, texts of several lines as they are read."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    def text(dumper, value):
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(content, Dumper=Dumper, sort_keys=False, width=100)
