#!/bin/bash
# A scheduler, one worker per GPU and the driver of a grid in one allocation. Not run on a cluster by us: read it first.
#
#   sbatch --nodes=4 scripts/slurm/dask.sh table2 --preset paper --datasets covid-ct --seeds 0,1,2
#
# From the checkout's root, on a file system that all nodes share. When the time is over, submit it again: it goes on.
#SBATCH --job-name=hagan-grid
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --output=build/slurm-%j.out
set -euo pipefail

if [ "$#" -eq 0 ] || [ -z "${SLURM_JOB_ID:-}" ]; then
  echo "use: sbatch scripts/slurm/dask.sh table2 --preset paper ...; see the head of this file" >&2
  exit 2
fi
if [ -z "${CUDA_VISIBLE_DEVICES:-}" ]; then
  echo "Slurm gave this job no GPU (CUDA_VISIBLE_DEVICES is empty): ask for one with --gres=gpu:1" >&2
  exit 2
fi
[ -f .venv/bin/activate ] && source .venv/bin/activate
address=build/scheduler-$SLURM_JOB_ID.json
mkdir -p build

dask scheduler --port 0 --no-dashboard --scheduler-file "$address" &
scheduler=$!
trap 'kill "$scheduler" 2>/dev/null || true; rm -f "$address"' EXIT
until [ -s "$address" ]; do
  sleep 1
  kill -0 "$scheduler" 2>/dev/null || { echo "dask's scheduler ended at its start: see the lines above" >&2; exit 1; }
done
export HAGAN_SCHEDULER="$address"

# On every node one worker per GPU that Slurm gave it, each seeing that one alone; --resources counts, it does not choose.
srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 bash -c '
  IFS=, read -ra gpus <<< "$CUDA_VISIBLE_DEVICES"
  threads=$((${SLURM_CPUS_PER_TASK:-1} / ${#gpus[@]}))
  export OMP_NUM_THREADS=$((threads > 0 ? threads : 1))
  export MKL_NUM_THREADS=$OMP_NUM_THREADS
  for gpu in "${gpus[@]}"; do
    CUDA_VISIBLE_DEVICES=$gpu dask worker --scheduler-file "$HAGAN_SCHEDULER" --nthreads 1 --memory-limit 0 \
      --no-dashboard --resources GPU=1 --local-directory "${TMPDIR:-/tmp}" &
  done
  wait
' &

uri=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$address")
hagan batch "$@" --scheduler "$uri"
