"""The main loop of a worker process: it receives calls from the driver and sends results back."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from multiprocessing.connection import Connection

from eval.errors import EvalError, reason_of
from eval.execute.free_memory import MemoryLowError, check_memory
from eval.execute.worker import Worker

_LEAVE = os._exit


def main(number: int) -> None:
    """Serves a driver until the connection closes."""
    line = Connection(number)
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    worker = Worker()
    while True:
        try:
            call, arguments = line.recv()
        except (EOFError, OSError):
            return
        try:
            check_memory()
        except MemoryLowError:
            return  # the driver starts a new one, which does this call
        try:
            result = getattr(worker, call)(*arguments)
        except BaseException as error:
            result = error if isinstance(error, EvalError) else EvalError(reason_of(error))
        try:
            line.send_bytes(pickle.dumps(result))
        except OSError:  # the driver is gone
            return


def _leave_with(parent: int) -> None:
    """Ends this process when its driver is gone, whatever it is doing."""
    while os.getppid() == parent:
        time.sleep(0.5)
    _LEAVE(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
