#!/usr/bin/env bash
# Tables of a GPU, or a training run on it, where there is JAX but neither TensorFlow nor a network.
#
#     benchmarks/gpu/run.sh tables
#     benchmarks/gpu/run.sh train mu_gan_speech --data .gpu/audio --hold-out p228 --max-minutes 8
#     benchmarks/gpu/run.sh ablation --table speech --steps 3000 --jobs 8 --data .gpu/audio
#
# Before, where there is a network, `make gpu-files DATA=speech` fetches the missing wheels and packs
# the recordings; the working tree and .gpu/ are then all that the machine needs. Results go to
# gpu-results/, or to the folder that OUT names: tables.md, or the runs, which any machine evaluates,
# exports and resumes. Tables and training take at most 9 minutes each. QUICK=1 makes tiny tables.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
case ${1:-}:${2:-} in
tables: | train:?* | ablation:?*) ;;
*)
    echo "usage: benchmarks/gpu/run.sh tables | train RECIPE [words of tonezoo train] |" \
        "ablation [words of benchmarks/ablation.py]" >&2
    exit 2
    ;;
esac
out=${OUT:-gpu-results}
python=${PYTHON:-python3}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT

wheels=${WHEELS-.gpu/wheels}
if compgen -G "$wheels/*.whl" >/dev/null; then
    "$python" -m pip install --quiet --no-index --no-deps --target "$site" "$wheels"/*.whl
fi
mkdir -p "$site/tonezoo" "$out"
ln -s "$PWD"/zoo/* "$PWD"/{layers,recipes,analysis,savedmodels} "$site/tonezoo/"
export PYTHONPATH="$site" KERAS_BACKEND=jax PYTHONUNBUFFERED=1

# Prints a table under its command, whatever becomes of it: table SECONDS COMMAND...
table() {
    local seconds=$1
    shift
    printf '\n```sh\nKERAS_BACKEND=jax python %s\n```\n\n' "$*"
    timeout "$seconds" "$python" "$@" || printf '\nNo result: exit code %d.\n' $?
}

tables() {
    if [ -n "${QUICK:-}" ]; then
        table 170 benchmarks/upsamplers.py --sizes medium --batch 1 --rounds 1
        table 170 benchmarks/mu_gan.py --batch 1 --rounds 1
        table 170 benchmarks/demucs.py --backend jax --presets tiny --segment-s 0.2 --rounds 1
        return
    fi
    table 80 benchmarks/upsamplers.py --batch 64 --rounds 20 --sizes medium
    table 300 benchmarks/mu_gan.py --width full --batch 32 --depths 4
    # Of four models of 700 million parameters, Adam's moments included, all of the memory.
    export XLA_PYTHON_CLIENT_MEM_FRACTION=0.95
    presets=table1_transposed,table1_nearest,table1_linear,table1_subpixel
    table 100 benchmarks/demucs.py --backend jax --dtypes float32 --presets "$presets"
    table 50 benchmarks/demucs.py --backend jax --dtypes mixed_bfloat16 --presets table1_transposed
}

case $1 in
tables)
    tables | tee "$out/tables.md"
    ;;
train)
    recipe=$2
    shift 2
    "$python" -m tonezoo train "$recipe" --run "$out/$recipe" "$@"
    ;;
ablation)
    shift
    # Several runs share the memory.
    export XLA_PYTHON_CLIENT_PREALLOCATE=false
    "$python" benchmarks/ablation.py --runs "$out/ablation" "$@"
    ;;
esac
