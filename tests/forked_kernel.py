"""Start kernels quickly: forked from a process that has imported what notebooks import.

A kernel in a process of its own imports for three seconds. Here a server, this file as a script,
imports once and forks a kernel for each request. `launch` stands in for the function by which
jupyter_client starts a process, so papermill does what it always does. A kernel has the
environment, the folder, the arguments and the session that it would have alone. It needs Linux.
"""

import functools
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import types
from typing import Any
from unittest import mock

IMPORTS = ("ipykernel.kernelapp", "ipykernel.zmqshell", "torch._dynamo", "pandas", "PIL.Image")
IMPORTS += ("matplotlib.figure", "matplotlib.backends.backend_agg", "mpl_toolkits.axes_grid1")
IMPORTS += ("scipy.linalg", "scipy.stats", "skimage.transform", "jaxtyping", "safetensors.torch")
"""Not hagan_lite, which reads HAGAN_BUILD as it is imported, and nothing that adapts itself to the
running kernel then, as pyplot, ipywidgets and tqdm.auto do. pandas only asks if there is one."""
LAUNCHER = ["-m", "ipykernel_launcher"]
ITS_OWN = ("HAGAN_", "JPY_", "PYTEST_")
"""Variables that IMPORTS do not read: kernels that differ in these alone share a server."""
LONGEST = 200_000
"""Bytes of a request: less than the default buffer of a socket."""


class Kernel:
    """Be to jupyter_client what a subprocess.Popen is, for a process that the server forked."""

    stdin = stdout = stderr = None

    def __init__(self, server: socket.socket, *request: Any) -> None:
        self.line, far = socket.socketpair()
        with far:
            socket.send_fds(server, [json.dumps(request).encode()], [far.fileno()])
        self.pid = int(self.line.recv(99))  # sent by the kernel, once it has a session of its own
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


@functools.cache
def server(environment: tuple[tuple[str, str], ...]) -> socket.socket:
    """Start a server, once for each environment, and return the line to it.

    It ends when this process does, or earlier by `stop`; a kernel that still runs then ends too.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with far:
        how = dict(env=dict(environment), stdin=subprocess.DEVNULL, start_new_session=True)
        number = far.fileno()
        words = [sys.executable, __file__, str(number)]
        servers[near] = subprocess.Popen(words, pass_fds=[number], **how)
    return near


servers: dict[socket.socket, subprocess.Popen] = {}


def stop() -> None:
    """End all servers."""
    server.cache_clear()
    while servers:
        line, process = servers.popitem()
        line.close()
        process.wait()


def launch(cmd: list[str], *, env: dict[str, str], cwd: str | None = None, **how: Any) -> Kernel:
    """Start a kernel as jupyter_client.launcher.launch_kernel does, but fork it."""
    if [sys.executable, *LAUNCHER] != cmd[:3] or how:
        raise ValueError(f"no Python kernel with ordinary streams: {cmd}, {how}")
    shared = tuple(sorted((k, v) for k, v in env.items() if not k.startswith(ITS_OWN)))
    return Kernel(server(shared), cmd[2:], env, os.fspath(cwd or os.getcwd()))


def serve(requests: socket.socket) -> tuple[list[str], dict[str, str], str]:
    """Fork a kernel for each request and report how it ended. Only the kernels return."""
    lines = {}
    while True:
        for ready in select.select([requests, *lines], [], [])[0]:
            if ready is not requests:
                pid, line = lines.pop(ready)
                line.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
                line.close()
                os.close(ready)
                continue
            message, numbers, *_ = socket.recv_fds(requests, LONGEST, 1)
            if not message:
                sys.exit()  # kernels that still run notice it
            line = socket.socket(fileno=numbers[0])
            pid = os.fork()
            if pid:
                lines[os.pidfd_open(pid)] = pid, line
                continue
            os.setsid()
            line.send(str(os.getpid()).encode())
            for each in (requests, line, *(other for _, other in lines.values())):
                each.close()
            return json.loads(message)


def main() -> None:
    sys.path.pop(0)  # the folder of this file
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as ipykernel
    kernel = mock.Mock(return_value=types.SimpleNamespace(kernel=None))
    with mock.patch("builtins.get_ipython", kernel, create=True):
        for name in IMPORTS:
            importlib.import_module(name)
    arguments, environment, folder = serve(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, folder)  # as python -m does
    # Each kernel has chance of its own; the module random sees to that itself.
    sys.modules["numpy"].random.seed()
    sys.modules["torch"].default_generator.seed()
    sys.argv = [*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"]
    runpy.run_module(LAUNCHER[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
