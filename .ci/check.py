"""The steps of .ci/run, and the count that it closes with. A step that fails counts as one failed test."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

LEAST_COVERAGE_PERCENT = 95

README_COMMAND = "python -m pip install -e '.[test]' --config-settings editable_mode=compat && trial tests"

EACH_PART = """
coverage erase
for part in tests/*/__init__.py tests/test_*.py; do
    part=${part%/__init__.py}; part=${part%.py}
    echo "coverage: $part"
    timeout -k 10 900 coverage run -p -m twisted.trial "${part//\\//.}"
    status=$?
    case $status in
        0) ;;
        124|137) echo "$part: its time was up under the tracer; without it the tests have run before" ;;
        *) exit $status ;;
    esac
done
true"""
"""Every package of tests in a process of its own: what one leaves behind does not meet the next under the tracer."""

STEPS = {
    "README's command": README_COMMAND,
    "development tools": "python -m pip install -e '.[dev]' --config-settings editable_mode=compat",
    "coverage": f"{EACH_PART} && coverage combine -q && coverage report --fail-under={LEAST_COVERAGE_PERCENT}",
    "ruff check": "ruff check .",
    "ruff format": "ruff format --check .",
    "mypy": "mypy",
}


def run(command: str) -> tuple[int, str]:
    """Run a shell command, showing its output; give status and output."""
    print(f"$ {command}", flush=True)
    process = subprocess.Popen(
        ["bash", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        lines.append(line)
    return process.wait(), "".join(lines)


def count_tests(output: str) -> tuple[int, int]:
    """Passed and failed tests of trial's closing line; zero tests are one failure."""
    passed = sum(map(int, re.findall(r"successes=(\d+)", output)[-1:]))
    failed = sum(
        int(n)
        for line in re.findall(r"^FAILED \((.*)\)", output, re.MULTILINE)
        for n in re.findall(r"(?:failures|errors|unexpectedSuccesses)=(\d+)", line)
    )
    return passed, failed if passed or failed else 1


def reports(output: str) -> list[str]:
    """What trial reported of each test that failed, skips left out."""
    parts = re.split(r"^={20,}\n", output, flags=re.MULTILINE)[1:]
    whole = [re.split(r"^-{20,}\n", part, maxsplit=1, flags=re.MULTILINE)[0] for part in parts]
    return [part for part in whole if not part.startswith(("[SKIPPED]", "[TODO]"))]


def main() -> int:
    """Run all steps, whatever fails, and print what did, the failed tests' reports again at the end."""
    passed = failed = 0
    problems = []
    failures = []
    if README_COMMAND not in Path("README.md").read_text():
        problems.append("README.md does not have the test command")
    for name, command in STEPS.items():
        status, output = run(command)
        if name == "README's command":
            passed, failed = count_tests(output)
        if status:
            failures += [f"{name}: {report}" for report in reports(output)]
            problems.append(f"{name} failed: {shlex.quote(command)}")
    for line in failures + problems:
        print(line)
    failed = max(failed, len(problems))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
