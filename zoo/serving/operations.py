"""The TensorFlow operations that an exported model may use: those that a stock TF Serving runs."""

from pathlib import Path

# Stock kernels only: no PyFunc, no custom library's operations, no cuDNN recurrent layers, no XLA.
# fmt: off
ALLOWED_OPERATIONS = frozenset({
    "Abs", "Add", "AddN", "AddV2", "All", "Any", "ArgMax", "Assert", "AssignVariableOp", "AvgPool",
    "BatchMatMulV2", "BatchToSpaceND", "BiasAdd", "BroadcastArgs", "BroadcastTo", "Cast", "Ceil",
    "ClipByValue", "Complex", "ConcatV2", "Const", "Conv2D", "Conv2DBackpropInput", "Cos",
    "Cumsum", "DecodeWav", "DepthwiseConv2dNative", "DisableCopyOnRead", "DivNoNan", "Einsum",
    "Elu", "EncodeWav", "EnsureShape", "Equal", "Erfc", "Exp", "ExpandDims", "Fill", "Floor",
    "FloorDiv", "FloorMod", "FusedBatchNormV3", "Gather", "GatherNd", "GatherV2", "Greater",
    "GreaterEqual", "IRFFT", "Identity", "IdentityN", "If", "Imag", "LeakyRelu", "Less",
    "LessEqual", "Log", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr", "LoopCond", "MatMul",
    "Max", "Maximum", "Mean", "MergeV2Checkpoints", "Min", "Minimum", "MirrorPad", "Mul", "Neg",
    "NoOp", "NotEqual", "Pack", "Pad", "PadV2", "PartitionedCall", "Placeholder",
    "PlaceholderWithDefault", "Pow", "Prod", "RFFT", "Range", "ReadVariableOp", "Real", "RealDiv",
    "Relu", "Reshape", "RestoreV2", "ReverseV2", "Rsqrt", "SaveV2", "ScatterNd", "Select",
    "SelectV2", "Shape", "ShardedFilename", "Sigmoid", "Sin", "Size", "Slice", "Softmax",
    "Softplus", "SpaceToBatchND", "Split", "SplitV", "Sqrt", "Square", "SquaredDifference",
    "Squeeze", "StatefulPartitionedCall", "StatelessIf", "StatelessWhile", "StaticRegexFullMatch",
    "StopGradient", "StridedSlice", "StringJoin", "Sub", "Sum", "Tanh", "TensorListConcatV2",
    "TensorListElementShape", "TensorListFromTensor", "TensorListGetItem", "TensorListLength",
    "TensorListReserve", "TensorListSetItem", "TensorListStack", "Tile", "Transpose", "Unpack",
    "VarHandleOp", "VarIsInitializedOp", "Where", "While", "ZerosLike",
})
# fmt: on


def not_empty(x):
    """Returns x (batch, time, channels), in whose graph an input of no samples is refused."""
    import tensorflow as tf

    message = "This model needs at least one sample, but got the shape:"
    with tf.control_dependencies([tf.debugging.Assert(tf.shape(x)[1] > 0, [message, tf.shape(x)])]):
        return tf.identity(x)


def used_operations(folder: Path) -> set[str]:
    """Returns the names of all operations in a SavedModel, those inside its functions included.

    Raises:
        ValueError: its graph cannot be read.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        content = (folder / "saved_model.pb").read_bytes()
        saved = saved_model_pb2.SavedModel.FromString(content)
    except (OSError, DecodeError) as error:
        raise ValueError(
            f"{folder} cannot be loaded as a SavedModel: its saved_model.pb is missing or damaged. "
            "Export the model again."
        ) from error
    operations = set()
    for meta_graph in saved.meta_graphs:
        graph = meta_graph.graph_def
        operations.update(node.op for node in graph.node)
        for function in graph.library.function:
            operations.update(node.op for node in function.node_def)
    return operations


def check_operations(folder: Path, remedy: str) -> None:
    """Refuses a SavedModel that a stock TF Serving could not run, or that does something else.

    Args:
        folder: of the SavedModel.
        remedy: what to do, for the message.

    Raises:
        ValueError: names the operations that are not on the allow-list.
    """
    foreign = sorted(used_operations(folder) - ALLOWED_OPERATIONS)
    if foreign:
        raise ValueError(
            f"The graph in {folder} uses {', '.join(foreign)}, which is not among the operations "
            f"that tonezoo exports and a stock TensorFlow Serving has. {remedy}"
        )
