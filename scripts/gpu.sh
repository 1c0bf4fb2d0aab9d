#!/bin/bash
# Everything for a GPU that is lent for minutes, without a network: pack here, run there, evaluate here. See docs/gpu.md.
#
#   scripts/gpu.sh                               pack: build/gpu/pack.tar, from the data sets below HAGAN_DATA
#   scripts/gpu.sh --there --seconds 560 --out OUT    there, in the unpacked pack: all stages; results in OUT
#   scripts/gpu.sh --records OUT                 here: unpack what came back, evaluate it, write records
#   scripts/gpu.sh --rehearse                    all of that on this machine's CPU at smoke, in a minute or so
#
# More options: scripts/gpu/NAME.py --help. PYTHON chooses another interpreter.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-$root/.venv/bin/python}"
command -v "$python" > /dev/null || python=python3
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1

what="pack"
case "${1:-}" in
  --there) what="stages"; shift ;;
  --records) what="records"; shift ;;
  --rehearse) what="rehearse"; shift ;;
esac
exec "$python" "$root/scripts/gpu/$what.py" "$@"
