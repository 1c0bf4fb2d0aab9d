"""Start Python quickly: forked from a process that has imported what notebooks and commands import.

A process of its own imports for several seconds. Here one server, this file as a script, imports
once for all processes that test, and forks for each request. What it forks has the environment, the
folder, the arguments and the session that it would have alone. `launch` stands in for the function
by which jupyter_client starts a kernel, so papermill does what it always does; `start` and `run`
are for commands. Without pidfd, which is outside Linux, all start as they always do.
"""

import contextlib
import fcntl
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

IMPORTS = ("ipykernel.kernelapp", "ipykernel.zmqshell", "torch._dynamo", "pandas", "PIL.Image")
IMPORTS += ("matplotlib.figure", "matplotlib.backends.backend_agg", "mpl_toolkits.axes_grid1")
IMPORTS += ("scipy.linalg", "scipy.stats", "skimage.transform", "jaxtyping", "safetensors.torch")
"""Not hagan_lite, which reads HAGAN_BUILD as it is imported, and nothing that adapts itself to the
running kernel then, as pyplot, ipywidgets and tqdm.auto do. pandas only asks if there is one."""
KERNEL = ["-m", "ipykernel_launcher"]
ITS_OWN = ("HAGAN_", "JPY_", "KMP_", "PYTEST_")
"""Variables that IMPORTS do not read on one thread: processes that differ in these alone share a
server. scikit-learn sets those of KMP in whoever imports it."""
LONGEST = 200_000
"""Bytes of a request: less than the default buffer of a socket."""
HERE = hasattr(os, "pidfd_open")
"""Whether processes are forked on this system."""


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


_servers: list[subprocess.Popen] = []


def _connected(environment: Mapping[str, str]) -> socket.socket:
    """Return a line to the server for such an environment, which is started if there is none."""
    shared = {k: v for k, v in environment.items() if not k.startswith(ITS_OWN)}
    name = hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:12]
    os.makedirs(os.environ["HAGAN_TEST_SERVERS"], exist_ok=True)
    path = os.path.join(os.environ["HAGAN_TEST_SERVERS"], name)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be starting it
        if not os.path.exists(path):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
                server.bind(path)
                server.listen(64)
                number, owner = str(server.fileno()), os.environ["HAGAN_TEST_OWNER"]
                how = dict(env=shared, stdin=subprocess.DEVNULL, start_new_session=True)
                words = [sys.executable, __file__, number, owner]
                _servers.append(subprocess.Popen(words, pass_fds=[int(number)], **how))
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.connect(path)
    return line


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
    words, env, cwd = (
        [str(word) for word in words],
        env or os.environ,
        os.fspath(cwd or os.getcwd()),
    )
    with open(os.devnull, "r+b") as nothing:
        streams = (nothing, stdout or nothing, stderr or nothing)
        if HERE:
            return Process(words, env, cwd, [stream.fileno() for stream in streams])
        how = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True))
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

    The server ends with the process that tests; what still runs then has lost its parent.
    """
    lines: dict[int, tuple[int, socket.socket]] = {}
    tests = os.pidfd_open(owner)
    while True:
        for ready in select.select([server, tests, *lines], [], [])[0]:
            if ready == tests:
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
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as ipykernel
    kernel = mock.Mock(return_value=types.SimpleNamespace(kernel=None))
    with mock.patch("builtins.get_ipython", kernel, create=True):
        for name in IMPORTS:
            importlib.import_module(name)
    gc.freeze()  # what is imported is no rubbish: no process need look through it
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
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Each has chance of its own; the module random sees to that itself.
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
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
