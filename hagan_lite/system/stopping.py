"""Stopping between two steps: Ctrl-C and SIGTERM wait until a step is whole."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a question asked between two steps: no step is cut in half."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # signals arrive in the main thread only
        return
    before = {}
    for s in (signal.SIGINT, signal.SIGTERM):
        before[s] = signal.signal(s, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
