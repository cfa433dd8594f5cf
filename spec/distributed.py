"""Runs TLC's distributed mode on one configuration; see spec/distributed.

The server holds the queue of states and the set of fingerprints. A worker takes states from the server, computes
their successors and checks them. It gets the specification from the server, so a host that joins needs TLC and
no copy of spec.
"""

import argparse
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from configuration import MODELS, SPEC, head, judge

# The port that TLC's server takes by default.
PORT = 10997
# How long the server may take to read the specification, in seconds.
PATIENCE = 120


def arguments():
    """The jar with TLC, and what the user asks for."""
    parser = argparse.ArgumentParser(
        prog="spec/distributed", description="Runs TLC on one configuration by a server and workers."
    )
    parser.add_argument("jar", help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="?", metavar="NAME", help="a configuration in spec/models")
    parser.add_argument("--workers", type=int, default=2, metavar="K", help="workers on this host (default 2)")
    parser.add_argument("--threads", type=int, default=1, metavar="T", help="threads of each worker (default 1)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address of this host that other hosts reach (default 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"the server's port (default {PORT}); 0 picks one")
    parser.add_argument("--memory", default="2g", help="the heap of each process, as Java writes it (default 2g)")
    parser.add_argument("--join", metavar="HOST", help="be a worker of the server on HOST")
    asked = parser.parse_args()
    if (asked.name is None) == (asked.join is None):
        parser.error("give either the NAME of a configuration, or --join HOST")
    if asked.workers < 0 or asked.threads < 1:
        parser.error("--workers is at least 0, and --threads at least 1")
    return asked


class Processes:
    """Processes of Java, each with a folder and a log. All of them end with this program."""

    def __init__(self, asked, folder):
        self.asked, self.folder, self.running = asked, pathlib.Path(folder), []

    def start(self, name, main, *words, properties=()):
        """Starts a class of TLC; returns the process and the path of its log."""
        folder = self.folder / name
        folder.mkdir()
        # TLC unpacks modules into the directory for temporary files.
        command = ["java", f"-Xmx{self.asked.memory}", f"-Djava.io.tmpdir={folder}"]
        command += [f"-Djava.rmi.server.hostname={self.asked.host}"]
        command += [f"-Dtlc2.tool.distributed.TLCServer.port={self.asked.port}", f"-DTLA-Library={SPEC}"]
        command += [*properties, "-cp", self.asked.jar, main, *words]
        log = folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=MODELS, stdout=out, stderr=subprocess.STDOUT)
        self.running.append(process)
        return process, log

    def worker(self, name, server):
        """Starts a worker of the server on a host."""
        threads = f"-Dtlc2.tool.distributed.TLCWorker.threadCount={self.asked.threads}"
        return self.start(name, "tlc2.tool.distributed.TLCWorker", server, properties=[threads])

    def stop(self):
        """Ends all processes that still run."""
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait()


def verdict(path, output, seconds):
    """Whether the server's output is as the configuration states, and a line that says so.

    TLC's server prints the steps to a violation and does not name the property."""
    if "Error: The behavior up to this point is:" not in output:
        return judge(path, output, seconds)
    steps = output.count("\nState ") - 1
    line = f"{path.stem}: bug found in {steps} steps, {seconds:.1f} s (this mode names no property)"
    return "fails" in head(path), line


def await_server(process, log):
    """Waits until the server takes workers, or has ended."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and " is ready (" not in log.read_text():
        if time.monotonic() > end:
            sys.exit(f"spec/distributed: the server is not ready after {PATIENCE} s:\n{log.read_text()}")
        time.sleep(0.1)


def serve(asked, processes):
    """Checks a configuration; returns whether it is as stated."""
    path = MODELS / f"{asked.name}.cfg"
    if not path.exists():
        sys.exit(f"spec/distributed: no configuration {asked.name} in spec/models")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", asked.port))
            asked.port = probe.getsockname()[1]
        except OSError as error:
            sys.exit(f"spec/distributed: port {asked.port}: {error}; choose another with --port")
    start = time.monotonic()
    states = processes.folder / "states"
    words = ["-deadlock", "-metadir", str(states), "-config", path.name, f"{head(path)['module']}.tla"]
    server, log = processes.start("server", "tlc2.tool.distributed.TLCServer", *words)
    await_server(server, log)
    if server.poll() is None:
        print(f"The server takes workers on {asked.host}:{asked.port}.", flush=True)
        for number in range(asked.workers):
            processes.worker(f"worker-{number + 1}", asked.host)
    server.wait()
    output = log.read_text()
    is_right, line = verdict(path, output, time.monotonic() - start)
    threads = output.count("Registration for worker at")
    print(f"{line}, {threads} worker threads" + ("" if is_right else "  <-- WRONG"))
    if not is_right:
        print("\n".join(output.splitlines()), file=sys.stderr)
    return is_right


def join(asked, processes):
    """Works for a server until it has done; returns whether the worker could."""
    worker, log = processes.worker("worker", asked.join)
    worker.wait()
    output = log.read_text()
    print(output, end="")
    return "work completed" in output


def main():
    asked = arguments()
    asked.jar = os.path.abspath(asked.jar)
    with tempfile.TemporaryDirectory(prefix="tlc-") as folder:
        with contextlib.ExitStack() as stack:
            processes = Processes(asked, folder)
            stack.callback(processes.stop)
            is_right = join(asked, processes) if asked.join else serve(asked, processes)
    sys.exit(0 if is_right else 1)


main()
