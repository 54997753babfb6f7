"""Runs an emulator, a Python module with its arguments, until it is killed or its starter is gone.

The starter keeps the other end of standard input open. However it ends, no emulator stays behind.
"""

import os
import runpy
import sys
import threading


def end_with_starter():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=end_with_starter, daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
