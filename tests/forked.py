"""Start Python quickly: forked from a process that has imported what notebooks and commands import.

A process of its own imports for several seconds. Here one server, this file as a script, imports
once for all processes of a test run and forks for each request. What it forks has the environment,
the folder, the arguments and a session as if it were started alone; it differs in that modules are
there already, and that all share one seed of Python's hashes. `launch` stands in for the function
by which jupyter_client starts a kernel, so papermill does what it always does; `start` and `run`
are for commands. Where no process can be forked in this way, which is outside Linux, all start
as they always do.
"""

import contextlib
import gc
import hashlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from unittest import mock

from filelock import FileLock

IMPORTS = ("ipykernel.kernelapp", "ipykernel.zmqshell", "torch._dynamo", "pandas", "PIL.Image")
IMPORTS += ("matplotlib.figure", "matplotlib.backends.backend_agg", "mpl_toolkits.axes_grid1")
IMPORTS += ("scipy.linalg", "scipy.stats", "skimage.transform", "jaxtyping", "safetensors.torch")
"""Not hagan_lite, which reads HAGAN_BUILD as it is imported, and nothing that adapts itself to the
running kernel then, as pyplot, ipywidgets and tqdm.auto do. pandas only asks if there is one."""
KERNEL = ["-m", "ipykernel_launcher"]
KERNELS_BACKEND = "module://matplotlib_inline.backend_inline"
"""What matplotlib draws with in a kernel whose environment names nothing else."""
NOT_READ = ("HAGAN_", "JPY_", "KMP_", "PYTEST_", "PYTHONUNBUFFERED")
"""Variables that decide nothing while IMPORTS are imported: processes that differ in these alone
share a server. scikit-learn sets those of KMP in whoever imports it."""
LONGEST = 200_000
"""Bytes of a request: less than the default buffer of a socket."""


def _can_fork() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


CAN_FORK = _can_fork()


class Process:
    """Be what a subprocess.Popen is, for a process that a server forked."""

    stdin = stdout = stderr = None

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], cwd: str, streams: Sequence[int]
    ) -> None:
        self.line = _connected(environment)
        request = json.dumps([list(words), dict(environment), cwd])
        socket.send_fds(self.line, [request.encode()], list(streams))
        self.pid = int(self.line.recv(99))  # sent by the process, once it has a session of its own
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code, negative for a signal; None if it still runs after `timeout`."""
        if self.returncode is None and select.select([self.line], [], [], timeout)[0]:
            self.returncode = int(self.line.recv(99) or -signal.SIGKILL)
            self.line.close()
        return self.returncode

    def poll(self) -> int | None:
        return self.wait(0)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _connected(environment: Mapping[str, str]) -> socket.socket:
    """Return a line to the server for such an environment; one is started where none answers."""
    shared = {k: v for k, v in environment.items() if not k.startswith(NOT_READ)}
    folder = os.environ["HAGAN_TEST_SERVERS"]
    os.makedirs(folder, exist_ok=True)
    name = hashlib.sha256(json.dumps([folder, shared], sort_keys=True).encode()).hexdigest()[:16]
    address = f"\0hagan-{name}"  # without a file, whose path could be too long for a socket
    with FileLock(os.path.join(folder, f"{name}.lock")):  # another process may be starting it
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            line.connect(address)
        except ConnectionRefusedError:
            _start_server(address, shared)
            line.connect(address)
    return line


def _start_server(address: str, environment: dict[str, str]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen(64)
        words = [sys.executable, __file__, str(server.fileno()), os.environ["HAGAN_TEST_OWNER"]]
        how = dict(env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        _servers.append(subprocess.Popen(words, pass_fds=[server.fileno()], **how))


_servers: list[subprocess.Popen] = []
"""Kept because a Popen whose process runs on warns when it is collected."""


def launch(cmd: list[str], *, env: dict[str, str], cwd: str | None = None, **how: Any) -> Process:
    """Start a kernel as jupyter_client.launcher.launch_kernel does, but fork it."""
    if [sys.executable, *KERNEL] != cmd[:3] or how:
        raise ValueError(f"no Python kernel with ordinary streams: {cmd}, {how}")
    return Process(cmd[1:], env, os.fspath(cwd or os.getcwd()), (0, 1, 2))


def start(
    *words: object,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdout: IO | None = None,
    stderr: IO | None = None,
) -> Process | subprocess.Popen:
    """Start `python *words`, which has -m or -c first; what it prints goes into open files."""
    words, env, cwd = list(map(str, words)), env or os.environ, os.fspath(cwd or os.getcwd())
    with open(os.devnull, "r+b") as nothing:
        streams = (nothing, stdout or nothing, stderr or nothing)
        if CAN_FORK:
            return Process(words, env, cwd, [stream.fileno() for stream in streams])
        how = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True))
        if os.name == "posix":  # as in `become`
            how["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen([sys.executable, *words], env=env, cwd=cwd, **how)


def run(*words: object, **how: Any) -> subprocess.CompletedProcess:
    """Run `python *words` to its end; return its exit code, and what it printed as text."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        code = start(*words, stdout=out, stderr=err, **how).wait()
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def serve(server: socket.socket, owner: int) -> tuple[list[str], dict[str, str], str]:
    """Fork for each request and report how that process ended. Only what is forked returns.

    When the process that tests has ended, the server ends what still runs, and itself.
    """
    lines: dict[int, tuple[int, socket.socket]] = {}
    tests = os.pidfd_open(owner)
    while True:
        for ready in select.select([server, tests, *lines], [], [])[0]:
            if ready == tests:
                for pid, _ in lines.values():
                    with contextlib.suppress(ProcessLookupError):  # it has no session yet
                        os.killpg(pid, signal.SIGKILL)
                sys.exit()
            if ready is not server:
                pid, line = lines.pop(ready)
                _tell(line, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                line.close()
                os.close(ready)
                continue
            line, _ = server.accept()
            message, streams, *_ = socket.recv_fds(line, LONGEST, 3)
            pid = os.fork()
            if pid:
                lines[os.pidfd_open(pid)] = pid, line
                for stream in streams:
                    os.close(stream)
                continue
            os.setsid()
            _tell(line, os.getpid())
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            for each in (server, line, *(other for _, other in lines.values())):
                each.close()
            return json.loads(message)


def _tell(line: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # who asked may have ended
        line.send(str(number).encode())


def main() -> None:
    server, owner = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    sys.path.pop(0)  # the folder of this file
    kernel = mock.Mock(return_value=types.SimpleNamespace(kernel=None))
    with mock.patch("builtins.get_ipython", kernel, create=True):
        for name in IMPORTS:
            importlib.import_module(name)
    gc.freeze()  # modules stay: no process need look through them for what can be freed
    words, environment, cwd = serve(server, owner)
    become(words, environment, cwd)


def become(words: list[str], environment: dict[str, str], cwd: str) -> None:
    """Be `python *words`."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, cwd)  # as python -m and -c do
    if "PYTHONUNBUFFERED" in environment:
        sys.stdout.reconfigure(write_through=True)
    # Tests in the background of a shell inherit an ignored SIGINT; a user's terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Random numbers differ from process to process; the module random sees to that itself.
    sys.modules["numpy"].random.seed()
    sys.modules["torch"].default_generator.seed()
    kind, name, *arguments = words
    sys.argv = [kind, *arguments]
    if kind == "-c":
        alone = types.ModuleType("__main__")
        sys.modules["__main__"] = alone
        exec(compile(name, "<string>", "exec"), vars(alone))
        return
    if words[:2] == KERNEL:
        sys.argv.append(f"--IPKernelApp.parent_handle={os.getppid()}")
        if "MPLBACKEND" not in environment:
            sys.modules["matplotlib"].rcParams["backend"] = KERNELS_BACKEND
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
