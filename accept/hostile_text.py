"""Submit with 10,000 hostile names, arguments, paths and environment keys: each is refused, or arrives unchanged.

    python accept/hostile_text.py [--cases 10000] [--seed 1]

`sbatch` is a stub that writes down exactly what it is given. Checked of every case: no traceback and no exit code but 0
and 2; what was accepted reaches sbatch byte by byte in one word; the script handed over is the one that ships and bash
reads it; no canary file appears anywhere; the secret in our environment stands in no file and in nothing that was
printed; folders are 0700 and files 0600.
"""

import argparse
import contextlib
import io
import json
import os
import random
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hpcjobs.cli import dispatch
from hpcjobs.errors import UserError

STUB = """#!/bin/bash
printf '%s\\0' "$@" >"$HPCJOBS_STUB/argv"
echo 12
"""
SECRET = "s3cr3t-canary-of-the-environment"  # noqa: S105 (it is there to be looked for)
PIECES = [
    "\n", "\r\n", "\t", " ", "'", '"', "`touch canary`", "$(touch canary)", "${IFS}", ";touch canary;", "&&", "|", ">",
    "<", "*", "?", "[", "~", "#", "#SBATCH --wrap=touch", "%j", "%", "\\", "-", "--", "--wrap=touch canary", "=", ",",
    ":", "@",
    "ü", "日本", "😀", "\u202e", "\u0085", "\x1b[31m", "\x7f", "\0", "..", "../", "/", "a", "Z9", "_", ".", "{{", "{0}",
    "x" * 50,
]  # fmt: skip
FIELDS = {
    "--name": "job-name", "--tag": "", "--partition": "partition", "--account": "account", "--qos": "qos",
    "--time": "time", "--mem": "mem", "--mem-per-cpu": "mem-per-cpu", "--gpus-per-node": "gpus-per-node",
    "--constraint": "constraint", "--reservation": "reservation", "--dependency": "dependency", "--nodes": "nodes",
    "--ntasks": "ntasks", "--sbatch-arg": "", "--mpi": "", "--init": "", "--weights": "", "--data": "", "--out": "",
}  # fmt: skip


def hostile(draw: random.Random) -> str:
    """A text of one to five pieces, now and then with a good beginning."""
    start = draw.choice(["", "", "a", "4", "--nice=", "--comment=", "afterok:1"])
    return start + "".join(draw.choice(PIECES) for _ in range(draw.randrange(1, 6)))


def submit(argv: list[str]) -> tuple[int, str]:
    """Run `hpcjobs submit` in this process; its exit code and all that it printed."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = dispatch(["submit", *argv])
        except UserError as mistake:
            code = 2
            print(mistake, file=err)
        except SystemExit as leave:  # argparse after --help
            code = int(leave.code or 0)
    return code, out.buffer.getvalue().decode(errors="replace") + err.getvalue()


def check_files(base: Path) -> None:
    """Nothing of the secret, no canary, nothing that others may read."""
    for path in base.rglob("*"):
        assert path.name != "canary", path
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert path.is_symlink() or not mode & 0o077, f"{path}: {mode:o}"
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)  # noqa: S311 (cases, not secrets)
    counted: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "bin").mkdir()
        (work / "bin" / "sbatch").write_text(STUB)
        (work / "bin" / "sbatch").chmod(0o755)
        os.environ |= {
            "PATH": f"{work}/bin:{os.environ['PATH']}",
            "XDG_STATE_HOME": str(work / "state"),
            "XDG_CONFIG_HOME": str(work / "config"),
            "HPCJOBS_STUB": str(work),
            "API_TOKEN": SECRET,
        }
        os.chdir(work)
        os.umask(0o077)
        generate = "data generate blobs b.h5 --rows 100 --columns 2 --centres 2".split()
        subprocess.run([sys.executable, "-m", "hpcjobs", *generate], check=True, stdout=subprocess.DEVNULL)
        script = (Path(sys.modules["hpcjobs"].__path__[0]) / "scripts" / "cpu.sbatch").read_bytes()
        gpu = (Path(sys.modules["hpcjobs"].__path__[0]) / "scripts" / "gpu.sbatch").read_bytes()
        for case in range(given.cases):
            (work / "argv").unlink(missing_ok=True)
            field, text = draw.choice(sorted(FIELDS)), hostile(draw)
            key = None
            if draw.random() < 0.2:  # a key of the environment that no shell could have set
                key = hostile(draw).replace("\0", "").replace("=", "") or "X"
                os.environ[key] = f"$(touch canary){SECRET}"
            argv = ["kmeans", "--clusters", "2", f"{field}={text}"]
            if field != "--data":
                argv += ["--data", "b.h5"]
            elif "\0" not in text and "/" not in text and draw.random() < 0.5:  # the file really has that name
                with contextlib.suppress(OSError):
                    (work / text).symlink_to(work / "b.h5")
            dry = draw.random() < 0.1
            code, said = submit([*argv, *(["--dry-run"] if dry else [])])
            if key is not None:
                del os.environ[key]
            assert code in (0, 2), (argv, code, said)
            assert SECRET not in said, argv
            assert not (work / "canary").exists(), argv
            if code == 0 and not dry and (work / "argv").exists():
                words = (work / "argv").read_text().split("\0")[:-1]
                run = Path(words[-1])
                assert (run / "job.sbatch").read_bytes() in (script, gpu), argv
                values = json.loads((run / "settings.json").read_text())
                option = FIELDS[field]
                if option == "job-name":
                    assert any(word.startswith(f"--job-name={text}-") for word in words), (argv, words)
                elif option in ("nodes", "ntasks"):  # a number: `4.` is 4
                    assert f"--{option}={int(float(text))}" in words, (argv, words)
                elif option:
                    assert f"--{option}={text}" in words, (argv, words)
                elif field == "--sbatch-arg":
                    assert text in words, (argv, words)
                elif field == "--tag":
                    assert values["tags"] == [text], argv
                elif field == "--out":
                    assert run == Path(text).absolute() or run == work / text, (argv, run)
                assert all(word.isprintable() for word in words), (argv, words)
            kind = "shown" if code == 0 and dry else "sent" if code == 0 else "refused"
            counted[kind] += 1
            if case % 500 == 499:
                check_files(work / "runs")
                print(f"{case + 1} cases: {dict(counted)}", flush=True)
        subprocess.run(["bash", "-n"], input=script, check=True)
        check_files(work / "runs")
        assert not list(work.rglob("canary")), "a canary ran"
    print("PASSED")
    return 0


if __name__ == "__main__":
    sys.exit(main())
