"""Questions of several threads to the log, in a process in which nobody has asked one before."""

import subprocess
import sys

THREADS, ROUNDS = 4, 150

PROGRAM = f"""
import threading
from contextlib import closing
from trawl.lake.log.schema import LOG
from trawl.lake.log.sql import connect

together = threading.Barrier({THREADS})

def ask():
    for _ in range({ROUNDS}):
        together.wait(20)
        with closing(connect()) as con:  # the last of each round to close takes the instance with it
            con.register("log", LOG.empty_table())
            assert con.execute("SELECT count(*) FROM log").fetchall() == [(0,)]
        print("answered")

for thread in [threading.Thread(target=ask, daemon=True) for _ in range({THREADS})]:
    thread.start()
for thread in threading.enumerate()[1:]:
    thread.join()
"""


def test_threads_that_ask_at_the_same_moment_each_get_their_answer() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.count("answered") == THREADS * ROUNDS, done.stderr[-2000:]
