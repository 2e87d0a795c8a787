"""Ctrl-C is heard, wherever the program is when it comes."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN = 0.01
"""Time after which an interrupt that was dropped is raised once more [s]."""


@contextmanager
def interrupts_heard() -> Iterator[None]:
    """While this lasts, no `KeyboardInterrupt` is lost.

    Python reports and drops what is raised in a callback of its garbage collector or in a destructor. JAX has
    such a callback, which runs often and long enough that a Ctrl-C during a training ends there now and then.
    """
    before = sys.unraisablehook

    def raise_again(dropped: sys.UnraisableHookArgs) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            threading.Timer(AGAIN, _thread.interrupt_main).start()
        else:
            before(dropped)

    sys.unraisablehook = raise_again
    try:
        yield
    finally:
        sys.unraisablehook = before
