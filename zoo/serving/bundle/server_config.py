"""The configuration files of TensorFlow Serving, as protocol buffers in text form."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tonezoo.serving.bundle import BundledModel

MODELS_CONFIG, BATCHING_CONFIG, MONITORING_CONFIG = (
    "models.config",
    "batching_parameters.config",
    "monitoring.config",
)
METRICS_PATH = "/monitoring/prometheus/metrics"
# The last one has to be the largest batch; a batch in between is filled up to the next.
ALLOWED_BATCH_SIZES = (1, 2, 4, 8)
# What a request waits for others at most, beside some 100 ms of computing a chunk.
BATCH_TIMEOUT_US = 5_000
# Batches that wait: beyond them the server answers UNAVAILABLE, and the client tries again.
MAX_ENQUEUED_BATCHES = 64
# A batch of convolutions uses all cores by itself; a second one hides the first one's loose ends.
BATCH_THREADS = 2
STABLE, PREVIOUS = "stable", "previous"


def config_files(models: Sequence["BundledModel"]) -> dict[str, str]:
    """Returns name -> text of the server's three configuration files."""
    from google.protobuf import text_format

    messages = {
        MODELS_CONFIG: models_config(models),
        BATCHING_CONFIG: batching_parameters(),
        MONITORING_CONFIG: monitoring_config(),
    }
    return {name: text_format.MessageToString(message) for name, message in messages.items()}


def models_config(models: Sequence["BundledModel"]):
    """Returns the `ModelServerConfig`: each model's versions, named, with labels.

    The newest version is "stable", the one before it "previous". The server loads the versions
    that are stated and no other, so that a label never names one that is gone.
    """
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = ModelServerConfig()
    for model in models:
        entry = config.model_config_list.config.add(
            name=model.name, base_path=f"/models/{model.name}", model_platform="tensorflow"
        )
        entry.model_version_policy.specific.versions.extend(model.versions)
        for label, version in zip((STABLE, PREVIOUS), reversed(model.versions), strict=False):
            entry.version_labels[label] = version
    return config


def batching_parameters():
    """Returns the `BatchingParameters`: batches of requests of one shape.

    Not pad_variable_length_inputs: it repeats an input's first element, and outputs are not cut.
    """
    message = serving_messages()["BatchingParameters"]()
    message.max_batch_size.value = ALLOWED_BATCH_SIZES[-1]
    message.batch_timeout_micros.value = BATCH_TIMEOUT_US
    message.max_enqueued_batches.value = MAX_ENQUEUED_BATCHES
    message.num_batch_threads.value = BATCH_THREADS
    message.allowed_batch_sizes.extend(ALLOWED_BATCH_SIZES)
    return message


def monitoring_config():
    """Returns the `MonitoringConfig`: metrics for Prometheus, on the REST port."""
    message = serving_messages()["MonitoringConfig"]()
    message.prometheus_config.enable = True
    message.prometheus_config.path = METRICS_PATH
    return message


@functools.cache
def serving_messages() -> dict:
    """Returns name -> class of the messages that tensorflow-serving-api leaves out.

    The fields, numbers and types of tensorflow_serving/servables/tensorflow/
    session_bundle_config.proto and tensorflow_serving/config/monitoring_config.proto.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    kinds = descriptor_pb2.FieldDescriptorProto
    wrappers = wrappers_pb2.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name="tonezoo/serving_config.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers.name],
    )

    def message(name: str, *fields: tuple):
        declared = file.message_type.add(name=name)
        for field, number, kind, label in fields:
            is_message = isinstance(kind, str)
            declared.field.add(
                name=field,
                number=number,
                label=label,
                type=kinds.TYPE_MESSAGE if is_message else kind,
                type_name=kind if is_message else None,
            )

    one, many = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED
    whole_number = ".google.protobuf.Int64Value"
    message(
        "BatchingParameters",
        ("max_batch_size", 1, whole_number, one),
        ("batch_timeout_micros", 2, whole_number, one),
        ("max_enqueued_batches", 3, whole_number, one),
        ("num_batch_threads", 4, whole_number, one),
        ("thread_pool_name", 5, ".google.protobuf.StringValue", one),
        ("allowed_batch_sizes", 6, kinds.TYPE_INT64, many),
        ("pad_variable_length_inputs", 7, kinds.TYPE_BOOL, one),
    )
    message(
        "PrometheusConfig",
        ("enable", 1, kinds.TYPE_BOOL, one),
        ("path", 2, kinds.TYPE_STRING, one),
    )
    prometheus = ".tensorflow.serving.PrometheusConfig"
    message("MonitoringConfig", ("prometheus_config", 1, prometheus, one))
    pool = descriptor_pool.DescriptorPool()
    wrapped = descriptor_pb2.FileDescriptorProto()
    wrappers.CopyToProto(wrapped)
    pool.Add(wrapped)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}"))
        for name in ("BatchingParameters", "MonitoringConfig")
    }
