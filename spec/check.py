"""Runs TLC on configurations and compares what it finds with what they state; see spec/check."""

import concurrent.futures
import os
import subprocess
import sys
import tempfile
import time

from configuration import MODELS, SPEC, head, judge


def tlc(jar, path):
    """What TLC prints. One worker finds a shortest counterexample, and the compiler of the first
    tier is the fastest for runs of seconds."""
    with tempfile.TemporaryDirectory(prefix="tlc-") as meta:
        # TLC unpacks its standard modules into the directory for temporary files.
        command = ["java", "-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [f"-Djava.io.tmpdir={meta}", f"-DTLA-Library={SPEC}", "-cp", jar]
        command += ["tlc2.TLC", "-nowarning", "-deadlock", "-workers", "1", "-metadir", meta]
        command += ["-config", path.name, f"{head(path)['module']}.tla"]
        run = subprocess.run(
            command, cwd=MODELS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    return run.stdout


def check(jar, path):
    """The verdict on a configuration, the line that says it, and TLC's output."""
    start = time.monotonic()
    output = tlc(jar, path)
    return *judge(path, output, time.monotonic() - start), output


def main():
    jar, *names = sys.argv[1:]
    paths = sorted(MODELS.glob("*.cfg"))
    chosen = [path for path in paths if path.stem in names]
    unknown = set(names) - {path.stem for path in paths} - {"--deep"}
    if unknown:
        sys.exit(f"spec/check: no configuration {', '.join(sorted(unknown))} in spec/models")
    if not chosen:
        chosen = [path for path in paths if "--deep" in names or "deep" not in head(path)]
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        for is_right, line, output in pool.map(lambda path: check(jar, path), chosen):
            print(line if is_right else f"{line}  <-- WRONG", flush=True)
            if not is_right:
                wrong += 1
                print("\n".join(output.splitlines()[-60:]), file=sys.stderr)
    print(f"{len(chosen)} configurations, {wrong} wrong")
    sys.exit(1 if wrong else 0)


main()
