"""The benchmark of certificates runs, and its loops agree with the library on small sizes."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "certificates.py"


def test_both_sides_agree():
    sizes = ("--threads", "1", "--turns", "1", "--symbols", "2000", "--images", "400")
    done = subprocess.run([sys.executable, str(SCRIPT), *sizes], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    for coder in ("decimal", "integer"):
        for row in record[f"codec_{coder}"]:
            assert abs(row["results"]["ours"] - row["results"]["loop"]) < 0.06 * row["results"]["loop"]
    for part in ("decisions", "evaluation"):
        assert record[part]["results"]["ours"] == record[part]["results"]["loop"] > 0
        assert record[part]["ratio_by_processor_time"] > 0
    assert record["bounds"]["largest_difference"] < 1e-5
