#!/bin/bash
# One cell of a grid per task of a job array, each by `hagan run`. Not run on a cluster by us: read it before you use it.
#
#   GRID="table2 --preset paper --datasets covid-ct --seeds 0,1,2"
#   sbatch --array=1-$(hagan batch $GRID --commands | wc -l) scripts/slurm/array.sh $GRID
#
# From the checkout's root, on a file system that all nodes share. What is done is a comment in the list, and its task
# ends at once; a task that was cut off goes on from its checkpoint when the same array is submitted again.
#SBATCH --job-name=hagan
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --output=build/slurm-%A-%a.out
set -euo pipefail

if [ "$#" -eq 0 ] || [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
  echo "use: sbatch --array=1-N scripts/slurm/array.sh table2 --preset paper ...; see the head of this file" >&2
  exit 2
fi
[ -f .venv/bin/activate ] && source .venv/bin/activate
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"

cell=$(hagan batch "$@" --commands | sed -n "${SLURM_ARRAY_TASK_ID}p")
echo "${cell:-no cell has the number $SLURM_ARRAY_TASK_ID}"
eval "$cell"
