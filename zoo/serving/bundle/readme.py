"""The README of a bundle: what is in it, and the commands that start and ask the server."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tonezoo.serving.bundle.containers import GRPC_PORT, LOADER, METRICS_PATH, NAME, REST_PORT
from tonezoo.serving.bundle.server_config import PREVIOUS, STABLE
from tonezoo.tasks import find_task

if TYPE_CHECKING:
    from tonezoo.serving.bundle import BundledModel

DEPLOYING = "https://github.com/tonezoo/tonezoo/blob/main/docs/deploying.md"
ASKING = {"enhance": "low.wav", "separate": "song.wav", "vocode": "speech.wav"}


def readme(models: Sequence["BundledModel"], image: str) -> str:
    """Returns the text of README.md."""
    rows = [
        f"| `{model.name}` | {manifest['version']} | {label} | {find_task(manifest['task']).title} "
        f"| {manifest['parameters']:,} |"
        for model in models
        for manifest, label in zip(model.manifests, labels(len(model.manifests)), strict=True)
    ]
    first = models[-1]
    verb = find_task(first.manifests[-1]["task"]).verb
    ask = f"tonezoo {verb} {ASKING.get(verb, 'FILE')} --out out --model {first.name}"
    status = f"curl http://127.0.0.1:{REST_PORT}/v1/models/{first.name}"
    return f"""# Models for TensorFlow Serving

| model | version | label | task | parameters |
|---|---|---|---|---|
{chr(10).join(rows)}

For the image `{image}`. Clients ask for a model by its name, and for a version by its label or
number; without either the newest one answers. What stands behind the files: {DEPLOYING}

## On one machine

```sh
docker compose up --detach --wait
{status}
{ask} --server 127.0.0.1:{GRPC_PORT}
docker compose down
```

The status says `AVAILABLE` once a model is loaded and warmed up. Port {GRPC_PORT} is gRPC, port
{REST_PORT} REST and Prometheus' metrics ({METRICS_PATH}); both are reached from this machine
alone. Neither asks who it talks to: put a proxy with TLS and a login before what others may reach,
and never show them the REST port of an image of 2.19 or older (CVE-2025-0649).

## On Kubernetes

The models lie on a volume, into which they are copied once:

```sh
kubectl apply -f kubernetes/1-volume.yaml -f kubernetes/2-loader.yaml
kubectl wait --for=condition=Ready pod/{LOADER}
kubectl cp --no-preserve models/. {LOADER}:/models
kubectl delete -f kubernetes/2-loader.yaml
kubectl apply -f kubernetes/3-config.yaml -f kubernetes/4-deployment.yaml
kubectl apply -f kubernetes/5-service.yaml
kubectl rollout status deployment/{NAME}
```

To ask it from here:

```sh
kubectl port-forward service/{NAME} {GRPC_PORT}:{GRPC_PORT}
{ask} --server 127.0.0.1:{GRPC_PORT}
```

## A new version

Copy its folder to `models/NAME/` under a temporary name and rename it, then state its number and
the label in `config/models.config` (`3-config.yaml` on Kubernetes). The server reads that file
every minute. To move a label, state both versions first and move it when the new one is loaded.
"""


def labels(count: int) -> list[str]:
    """Returns the labels of so many versions in ascending order, empty for none."""
    return [*[""] * (count - 2), *(PREVIOUS, STABLE)[-count:]]
