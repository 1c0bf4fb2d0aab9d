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
WEIGHTS = {1: 80, 2: 150, 3: 200, 4: 75, 5: 55}
"""Seconds of each stage when there are 560; other times are shared out in proportion, and what a
stage does not need goes to those after it."""
COLLECTING = 15.0  # seconds kept for the end
GRACE = 12.0  # seconds between asking a process to stop and ending it
STEPS_256 = 4000  # at 256x256, where stage 2 measured nothing
NAMES = {
    3: ("hagan", "sagan-with-T", "base-with-T", "hagan-cutmix"),
    4: ("hagan", "sagan-with-T"),
    5: ("hagan", "sagan-with-T", "base-with-T", "hagan-cutmix"),
}
"""The short names of cases.runs_of: importing cases would load torch here."""


def main() -> None:
    """Run the stages asked for, collect, and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "build/gpu/out")))
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gpu" / "work")
    parser.add_argument("--seconds", type=float, default=560, help="for everything")
    parser.add_argument("--stages", default="1,2,3,4,5", help="'' for none: collect alone")
    parser.add_argument("--collect", default="*", help="results wanted, such as 'runs/acdc-*'")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mode", help="how trainings run; default: what stage 2 found fastest")
    parser.add_argument("--at-once", type=int, help="trainings at once; default: what stage 2 says")
    parser.add_argument("--rehearsal", action="store_true")
    Stages(parser.parse_args()).run()


class Stages:
    """Hold the options, the deadline and what each stage said."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.deadline = time.monotonic() + options.seconds - COLLECTING
        self.results, self.runs = options.work / "results", options.work / "runs"
        self.exports = self.results / "runs"
        self.exports.mkdir(parents=True, exist_ok=True)
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
        does = {1: self.check, 2: self.speed, 3: self.train, 4: self.train, 5: self.train}
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
                if does[stage](stage, left * share):
                    done.touch()
            except Exception as error:  # the next stage is still wanted
                self.say(f"stage {stage} failed: {type(error).__name__}: {error}")
        for part in collect.collect(self.results, self.options.out, self.options.collect):
            self.say(f"{part.name}: {part.stat().st_size / collect.MIB:.1f} MiB")

    def check(self, stage: int, seconds: float) -> bool:
        """Compare with the CPU and run the tests; return whether both have run."""
        tests = max(10.0, seconds - 25)
        code = self.together(
            [self.command("check", "--out", self.results, "--seconds", tests)], seconds, "check"
        )
        return code == [0]

    def speed(self, stage: int, seconds: float) -> bool:
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
        choosing = self.command("speed", "--group", "choose", "--out", self.results)
        if not self.options.rehearsal:
            self.together([choosing], 20, "speed-choose")
        return codes == [0] * len(groups)

    def train(self, stage: int, seconds: float) -> bool:
        """Train the stage's runs; return whether all have reached their end.

        A run that fails before its first checkpoint is tried once more without the recorded step.
        """
        prefix = f"{'acdc' if stage == 5 else 'covid-ct'}-{256 if stage == 4 else 64}"
        names = [f"{prefix}-{name}" for name in NAMES[stage]]
        if self.options.rehearsal and stage == 5:
            names = names[:2]
        until = time.monotonic() + seconds
        choice = self.choice()
        mode = self.options.mode or choice.get("mode", "recorded")
        rehearsed = 2 if self.options.rehearsal and stage == 3 else 1
        at_once = self.options.at_once or choice.get("at_once", rehearsed)
        self.side_by_side(stage, names, mode, at_once, seconds)
        failed = [name for name in names if not (self.exports / name / "experiment.json").exists()]
        left = until - time.monotonic()
        if failed and mode != "eager" and left > 20:
            self.say(f"once more, as they are: {', '.join(failed)}")
            self.side_by_side(stage, failed, "eager", at_once, left)
        reached = [name for name in names if self.finished(name)]
        return len(reached) == len(names)

    def side_by_side(
        self, stage: int, names: list[str], mode: str, at_once: int, seconds: float
    ) -> None:
        """Train `names` in `at_once` processes, each of which takes every so-manieth of them."""
        processes = min(at_once, len(names))
        commands = []
        for i in range(processes):
            words = ["--stage", stage, "--names", ",".join(names[i::processes]), "--mode", mode]
            words += ["--work", self.runs, "--out", self.exports, "--seconds", seconds - 8]
            if stage == 4:
                words += ["--steps-256", self.steps_256(seconds, at_once)]
            commands.append(self.command("training", *words))
        self.together(commands, seconds, f"train-{stage}-{mode}")

    def steps_256(self, seconds: float, at_once: int) -> int:
        """Return how many steps both runs at 256x256 can take; once decided, it stays.

        Half of the time that the measured step allows, for sagan's and for what else takes time.
        """
        path = self.options.work / "steps-256.json"
        if not path.exists():
            ms = self.choice().get("ms_at_256")
            steps = int(0.4 * seconds / (ms / 1e3)) // 500 * 500 if ms else STEPS_256
            path.write_text(json.dumps(min(198_000, max(500, steps))))
        return json.loads(path.read_text())

    def finished(self, name: str) -> bool:
        """Return whether a run reached its end: an export that was cut off says so."""
        path = self.exports / name / "experiment.json"
        return path.exists() and "stopped" not in json.loads(path.read_text())

    def choice(self) -> dict:
        """Return what stage 2 found best; nothing where it did not come to that."""
        path = self.results / "choice.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def command(self, script: str, *words: object) -> list[str]:
        """Return the command line of a worker."""
        command = [sys.executable, str(HERE / f"{script}.py"), *map(str, words)]
        command += ["--device", self.options.device]
        return [*command, "--rehearsal"] if self.options.rehearsal else command

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
