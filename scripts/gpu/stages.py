"""On the machine with the GPU: all stages within a time, each in processes of its own.

What a stage leaves is below build/gpu/work, and is skipped when this is called again; at the end,
or when the time is over, the results are put into few files (collect.py). Needs no package but
those of the workers: torch, numpy, safetensors, tqdm.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import collect

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WEIGHTS = {1: 70, 2: 110, 3: 380}
"""Seconds of each stage when there are 560; other times are shared out in proportion, and what a
stage does not need goes to those after it."""
COLLECTING = 15.0  # seconds kept for the end
GRACE = 12.0  # seconds between asking a process to stop and ending it


def main() -> None:
    """Run the stages asked for, collect, and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "build/gpu/out")))
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gpu" / "work")
    parser.add_argument("--seconds", type=float, default=560, help="for everything")
    parser.add_argument("--stages", default="1,2,3", help="'' for none: collect alone")
    parser.add_argument("--collect", default="*", help="results wanted, such as 'runs/acdc-*'")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mode", default="recorded", help="how trainings run")
    parser.add_argument("--precision", default="fp32", help="of the trainings")
    parser.add_argument("--workers", type=int, default=8, help="trainings at once")
    parser.add_argument("--rehearsal", action="store_true")
    Stages(parser.parse_args()).run()


class Stages:
    """Hold the options, the deadline and what each stage said."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.deadline = time.monotonic() + options.seconds - COLLECTING
        self.results, self.runs = options.work / "results", options.work / "runs"
        self.results.mkdir(parents=True, exist_ok=True)
        self.began = time.monotonic()
        # Workers find the package and the arrays in the pack, and write below `work`.
        here = dict(HAGAN_DATA=str(ROOT / "data"), HAGAN_BUILD=str(options.work / "build"))
        here |= dict(PYTHONUNBUFFERED="1", TQDM_DISABLE="1")
        here |= dict(OMP_NUM_THREADS="1" if options.rehearsal else "2")
        path = os.environ.get("PYTHONPATH", "")
        here["PYTHONPATH"] = f"{ROOT}{os.pathsep}{path}" if path else str(ROOT)
        self.environment = os.environ | here

    def run(self) -> None:
        """Run each stage in its share of the time left, whatever became of the one before."""
        stages = [int(number) for number in self.options.stages.split(",") if number]
        does = {1: self.check, 2: self.speed, 3: self.grid}
        for i, stage in enumerate(stages):
            left = self.deadline - time.monotonic()
            share = WEIGHTS[stage] / sum(WEIGHTS[other] for other in stages[i:])
            done = self.results / f"stage{stage}.done"
            if done.exists():
                self.say(f"stage {stage}: done before")
                continue
            if left * share < 5:
                self.say(f"stage {stage}: no time left")
                continue
            self.say(f"stage {stage}: {left * share:.0f} s")
            try:
                if does[stage](left * share):
                    done.touch()
            except Exception as error:  # the next stage is still wanted
                self.say(f"stage {stage} failed: {type(error).__name__}: {error}")
        for part in collect.collect(self.results, self.options.out, self.options.collect):
            self.say(f"{part.name}: {part.stat().st_size / collect.MIB:.1f} MiB")

    def check(self, seconds: float) -> bool:
        """Compare with the CPU and run the tests; return whether both have run."""
        tests = max(10.0, seconds - 25)
        code = self.together(
            [self.command("check", "--out", self.results, "--seconds", tests)], seconds, "check"
        )
        return code == [0]

    def speed(self, seconds: float) -> bool:
        """Time the groups of steps, one process after another; return whether all have run."""
        groups = {"eager": 30, "recorded": 30, "at-once": 35, "compiled": 55}
        if self.options.rehearsal:
            groups = {"eager": 1.0}  # all in one process, and nothing compiled: it shall be short
        until, codes = time.monotonic() + seconds, []
        for i, (group, share) in enumerate(groups.items()):
            rest = sum(list(groups.values())[i:])
            mine = (until - time.monotonic()) * share / rest
            asked = ["eager", "recorded", "at-once"] if self.options.rehearsal else [group]
            words = [word for name in asked for word in ("--group", name)]
            command = self.command("speed", *words, "--out", self.results, "--seconds", mine - 5)
            codes += self.together([command], mine, f"speed-{group}")
        return codes == [0] * len(groups)

    def grid(self, seconds: float) -> bool:
        """Train and evaluate the cells of grid.json; return whether all are done.

        A cell that an earlier call began and did not finish is taken again, and goes on.
        """
        taken, done = self.runs / "taken", self.runs / "done"
        for path in taken.glob("*"):
            if not (done / path.name).exists():
                path.unlink()
        words = ["--list", ROOT / "grid.json", "--work", self.runs, "--out", self.results]
        words += ["--seconds", seconds - 8, "--mode", self.options.mode]
        command = self.command("grid", *words, "--precision", self.options.precision)
        self.together([command] * self.options.workers, seconds, "grid")
        return len(list(done.glob("*"))) == len(json.loads((ROOT / "grid.json").read_text()))

    def command(self, script: str, *words: object) -> list[str]:
        """Return the command line of a worker; a rehearsal shortens the first two stages."""
        command = [sys.executable, str(HERE / f"{script}.py"), *map(str, words)]
        command += ["--device", self.options.device]
        shortened = self.options.rehearsal and script in ("check", "speed")
        return [*command, "--rehearsal"] if shortened else command

    def together(self, commands: list[list[str]], seconds: float, name: str) -> list[int]:
        """Run commands at once, each in a group of its own; stop what outlasts the time.

        Their output is in NAME-i.txt among the results. Returns the exit codes.
        """
        until, processes = time.monotonic() + seconds, []
        for i, command in enumerate(commands):
            with (self.results / f"{name}-{i}.txt").open("a") as log:
                processes.append(
                    subprocess.Popen(
                        command,
                        cwd=ROOT,
                        env=self.environment,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        for process in processes:
            _wait(process, until - time.monotonic())
        for process in processes:
            _end(process)
        for i, process in enumerate(processes):
            self.say(f"  {name}-{i}: exit {process.returncode}{self.tail(name, i)}")
        return [process.returncode for process in processes]

    def tail(self, name: str, i: int) -> str:
        """Return the last lines of a worker's output, without progress bars."""
        text = (self.results / f"{name}-{i}.txt").read_text(errors="replace")
        lines = [line.rpartition("\r")[2].strip()[:200] for line in text.splitlines()]
        return "".join(f"\n      {line}" for line in [line for line in lines if line][-6:])

    def say(self, text: str) -> None:
        """Print a line with the time, and keep it in summary.txt."""
        line = f"[{time.monotonic() - self.began:6.1f}] {text}"
        print(line)
        with (self.results / "summary.txt").open("a") as file:
            file.write(line + "\n")


def _wait(process: subprocess.Popen, seconds: float) -> None:
    """Wait for a process, and ask its group to stop once the time is over."""
    try:
        process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)


def _end(process: subprocess.Popen) -> None:
    """Wait a little for a process that was asked to stop, then end its group."""
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    main()
