"""Runs TLC on configurations and compares what it finds with what they state; see spec/check.

The head of a configuration says what it is:

    \\* module: Core            the module in spec/models that TLC starts from
    \\* states: 27              the exact number of distinct states, if no property fails
    \\* fails: ElectionSafety   the property that must fail
    \\* deep                    it takes minutes
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

SPEC = pathlib.Path(__file__).resolve().parent
MODELS = SPEC / "models"


def head(path):
    """The fields in the head of a configuration."""
    fields = {}
    for line in path.read_text().splitlines():
        match = re.fullmatch(r"\\\* (module|states|fails|deep)(?:: (.*))?", line)
        if match:
            fields[match[1]] = match[2]
    return fields


def tlc(jar, path, module):
    """What TLC prints. One worker finds a shortest counterexample, and the compiler of the first
    tier is the fastest for runs of seconds."""
    with tempfile.TemporaryDirectory(prefix="tlc-") as meta:
        # TLC unpacks its standard modules into the directory for temporary files.
        command = ["java", "-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [f"-Djava.io.tmpdir={meta}", f"-DTLA-Library={SPEC}", "-cp", str(jar)]
        command += ["tlc2.TLC", "-nowarning", "-deadlock", "-workers", "1", "-metadir", meta]
        command += ["-config", path.name, f"{module}.tla"]
        run = subprocess.run(
            command, cwd=MODELS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    return run.stdout


def broken(output, path):
    """The property that fails, and the number of steps to the violation."""
    steps = len(re.findall(r"^State \d+:", output, re.M)) - 1
    match = re.search(r"Error: Invariant (\w+) is violated", output)
    if match:
        return match[1], max(steps, 0)
    match = re.search(r"Error: Action property (.*?) is violated", output)
    if match:
        # TLC names the place of a property of steps. A configuration with a bug asks for one.
        named = re.search(r"^PROPERTIES\s+(\w+)\s*$", path.read_text(), re.M)
        return (named[1] if named else match[1]), max(steps, 0)
    return None, 0


def judge(jar, path):
    """The verdict on a configuration: whether it is as stated, and a line that says so."""
    wanted = head(path)
    start = time.monotonic()
    output = tlc(jar, path, wanted["module"])
    seconds = f"{time.monotonic() - start:.1f} s"
    name = path.stem
    found, steps = broken(output, path)
    counts = re.search(r"(\d+) distinct states found, 0 states left on queue", output)
    if found:
        line = f"{name}: bug found by {found} in {steps} steps, {seconds}"
        return wanted.get("fails") == found, line, output
    if "No error has been found" not in output or not counts:
        return False, f"{name}: TLC FAILED, {seconds}", output
    states = int(counts[1])
    line = f"{name}: EXHAUSTIVE, {states:,} distinct states, {seconds}"
    if "fails" in wanted:
        return False, f"{line}; but {wanted['fails']} must fail", output
    if "states" not in wanted:
        return False, f"{line}; but its head states no count", output
    if wanted["states"] != str(states):
        return False, f"{line}; but {wanted['states']} are expected", output
    return True, line, output


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
        for is_right, line, output in pool.map(lambda path: judge(os.path.abspath(jar), path), chosen):
            print(line if is_right else f"{line}  <-- WRONG", flush=True)
            if not is_right:
                wrong += 1
                print("\n".join(output.splitlines()[-60:]), file=sys.stderr)
    print(f"{len(chosen)} configurations, {wrong} wrong")
    sys.exit(1 if wrong else 0)


main()
